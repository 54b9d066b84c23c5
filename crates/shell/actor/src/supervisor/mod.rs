//! The supervisor: starts children in order, restarts what crashes, stops them in reverse, and reports.
//!
//! - **Owns**: the phase of every child, and the only loop that starts or stops one. A crash during a restart therefore
//!   only widens the restart in hand: it marks more children to be stopped and started.
//! - **Comes in**: ends and starts of incarnations, commands of [`SupervisorHandle`], the time.
//! - **Goes out**: [`Event`]s, bounded: a slow reader loses the oldest; [`ActorStatus`] at any time.
//! - **When it fails**: its drop aborts every incarnation. A child that crashes too often is given up and escalated: its
//!   queue stays, its door is shut, the others go on.

mod child;
mod run;
mod status;

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, watch};
use tracing::Instrument;

pub use child::ChildSpec;
pub(crate) use status::Entry;
pub use status::{ActorState, ActorStatus, CrashedMessage, Event, Fate};

use crate::seed::{Randomness, Stream};
use child::Child;

/// Events kept for a slow reader: a restart of ten children makes about forty.
const EVENT_CAPACITY: usize = 256;

/// Commands that wait; they come from people and from degraded-mode decisions, a few a minute.
const COMMAND_CAPACITY: usize = 16;

/// Children in start order, not started yet.
pub struct Supervisor {
    children: Vec<Child>,
    rng: Stream,
    events: broadcast::Sender<Event>,
}

impl Supervisor {
    /// A supervisor without children; `randomness` jitters the back-off.
    #[must_use]
    pub fn new(randomness: &Randomness) -> Self {
        let (events, _) = broadcast::channel(EVENT_CAPACITY);
        Self { children: Vec::new(), rng: randomness.stream("supervisor"), events }
    }

    /// Adds a child after those already there.
    #[must_use]
    pub fn child(mut self, spec: ChildSpec) -> Self {
        self.children.push(Child::new(spec));
        self
    }

    /// Every event from the first on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Starts the children one after the other, in a task of the current runtime.
    ///
    /// # Panics
    /// If panics abort the process: a supervisor could then restart nothing.
    #[must_use]
    pub fn start(self) -> SupervisorHandle {
        let unwinds = cfg!(panic = "unwind");
        assert!(
            unwinds,
            "actors restart after a panic only where panics unwind: build with panic = \"unwind\""
        );
        let roster = self.children.iter().map(|child| Arc::clone(&child.entry)).collect();
        let (commands, inbox) = mpsc::channel(COMMAND_CAPACITY);
        let (stage, stages) = watch::channel(Stage::Starting);
        let events = self.events.clone();
        // Who starts several nodes in one process tells them apart by the span that it starts each in.
        tokio::spawn(run::Loop::new(self, inbox, stage).run().in_current_span());
        SupervisorHandle { roster, commands, events, stages }
    }
}

/// How far the supervisor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Starting,
    /// Every child has been started or given up once.
    Running,
    Stopped,
}

pub(crate) enum Command {
    /// Restart this incarnation of this child; of another one the command is stale.
    Restart {
        child: usize,
        incarnation: u64,
    },
    Shutdown,
}

/// No child of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no actor is called {0:?}")]
pub struct UnknownActor(pub String);

/// The embedder's hold on a supervisor. When the last clone is dropped, the supervisor shuts down.
#[derive(Clone)]
pub struct SupervisorHandle {
    roster: Vec<Arc<Entry>>,
    commands: mpsc::Sender<Command>,
    events: broadcast::Sender<Event>,
    stages: watch::Receiver<Stage>,
}

impl SupervisorHandle {
    /// Every event from now on. The last one is [`Event::Stopped`].
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// All children in start order, as they stand now.
    #[must_use]
    pub fn status(&self) -> Vec<ActorStatus> {
        self.roster.iter().map(|entry| entry.status()).collect()
    }

    /// Restarts the present incarnation of the child called `name`, and those that depend on it. A child that was given
    /// up gets another chance; a finished one does not.
    ///
    /// # Errors
    /// If there is no such child.
    pub async fn restart(&self, name: &str) -> Result<(), UnknownActor> {
        let child = self.find(name)?;
        let incarnation = self.roster[child].record().incarnation;
        self.send(Command::Restart { child, incarnation }).await;
        Ok(())
    }

    /// As [`Self::restart`], for a decision that was made about one incarnation: ignored if that one has ended meanwhile.
    ///
    /// # Errors
    /// If there is no such child.
    pub async fn restart_incarnation(&self, name: &str, incarnation: u64) -> Result<(), UnknownActor> {
        let child = self.find(name)?;
        self.send(Command::Restart { child, incarnation }).await;
        Ok(())
    }

    fn find(&self, name: &str) -> Result<usize, UnknownActor> {
        let unknown = || UnknownActor(name.to_owned());
        self.roster.iter().position(|entry| entry.name == name).ok_or_else(unknown)
    }

    /// Resolves when every child has been started, or given up, once.
    pub async fn running(&self) {
        self.reached(Stage::Running).await;
    }

    /// Resolves when all children have stopped.
    pub async fn stopped(&self) {
        self.reached(Stage::Stopped).await;
    }

    /// Stops the children in reverse start order; resolves when all have stopped.
    pub async fn shutdown(&self) {
        self.send(Command::Shutdown).await;
        self.stopped().await;
    }

    async fn send(&self, command: Command) {
        // A supervisor that has stopped needs no command.
        self.commands.send(command).await.ok();
    }

    async fn reached(&self, stage: Stage) {
        // The sender is dropped with the supervisor, which has then stopped as well.
        self.stages.clone().wait_for(|now| *now >= stage).await.ok();
    }
}
