//! A child: how it is launched, and where it stands.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::actor::Actor;
use crate::context::{Context, SeedCell, SharedSeed};
use crate::exit::ExitReason;
use crate::incarnation;
use crate::mailbox::{Gauge, Mailbox};
use crate::policy::{ChildPolicy, History};
use crate::supervisor::status::{ActorState, Entry};

/// An actor to be supervised: its mailbox, what it is built from, and how it is treated.
pub struct ChildSpec {
    pub(crate) name: &'static str,
    pub(crate) policy: ChildPolicy,
    pub(crate) launcher: Box<dyn Launch>,
}

impl ChildSpec {
    /// A child that reads `mailbox`. Each incarnation is built by `build` from the newest seed; what an actor needs besides
    /// its seed (addresses, stores) is captured by `build`. A panic in `build` counts as a crash.
    #[must_use]
    pub fn new<A, F>(mailbox: Mailbox<A>, seed: A::Seed, build: F) -> Self
    where
        A: Actor,
        F: Fn(A::Seed) -> A + Send + Sync + 'static,
    {
        let name = mailbox.shared().name();
        let launcher = Launcher { mailbox, seed: SeedCell::new(seed), build: Arc::new(build) };
        Self { name, policy: ChildPolicy::default(), launcher: Box::new(launcher) }
    }

    /// The same child, treated by `policy`.
    #[must_use]
    pub const fn policy(mut self, policy: ChildPolicy) -> Self {
        self.policy = policy;
        self
    }
}

/// Tells the supervisor which incarnation of which child has started.
pub(crate) type Ready = mpsc::UnboundedSender<(usize, u64)>;

/// A launched incarnation.
pub(crate) struct Launched {
    pub(crate) token: CancellationToken,
    pub(crate) task: AbortOnDropHandle<ExitReason>,
}

/// Launches incarnations of an actor of any type.
pub(crate) trait Launch: Send {
    fn launch(&self, child: usize, incarnation: u64, policy: &ChildPolicy, ready: Ready) -> Launched;
    fn gauge(&self) -> Arc<dyn Gauge>;
}

struct Launcher<A: Actor, F> {
    mailbox: Mailbox<A>,
    seed: SharedSeed<A::Seed>,
    build: Arc<F>,
}

impl<A: Actor, F: Fn(A::Seed) -> A + Send + Sync + 'static> Launch for Launcher<A, F> {
    fn launch(&self, child: usize, incarnation: u64, policy: &ChildPolicy, ready: Ready) -> Launched {
        let shared = Arc::clone(self.mailbox.shared());
        let seed = SeedCell::hand_over(&self.seed, incarnation);
        shared.hand_over(incarnation);
        let token = CancellationToken::new();
        let span = tracing::info_span!("actor", name = shared.name(), incarnation);
        let ctx = Context::new(shared, Arc::clone(&self.seed), incarnation, token.clone());
        let build = Arc::clone(&self.build);
        let ready = move || {
            // A supervisor that has gone needs no notice.
            ready.send((child, incarnation)).ok();
        };
        let life = incarnation::run(move || build(seed), ctx, ready, policy.kill_timeout);
        Launched { token, task: AbortOnDropHandle::new(tokio::spawn(life.instrument(span))) }
    }

    fn gauge(&self) -> Arc<dyn Gauge> {
        Arc::clone(self.mailbox.shared()) as Arc<dyn Gauge>
    }
}

/// Where a child stands, with what the supervisor needs to move it on.
pub(crate) enum Phase {
    /// To be started at `at`; `ordered` also after its elders.
    Waiting {
        at: Instant,
        ordered: bool,
    },
    Starting {
        since: Instant,
        task: Task,
    },
    Running {
        task: Task,
    },
    /// Told to stop, or aborted, at `since`.
    Ending {
        why: ExitReason,
        since: Instant,
        aborted: bool,
        task: Task,
    },
    Finished,
    Failed,
    Stopped,
}

/// The supervisor's hold on a running incarnation.
#[derive(Clone)]
pub(crate) struct Task {
    pub(crate) token: CancellationToken,
    pub(crate) abort: AbortHandle,
}

impl Phase {
    /// The task of a live incarnation.
    pub(crate) const fn task(&self) -> Option<&Task> {
        match self {
            Self::Starting { task, .. } | Self::Running { task } | Self::Ending { task, .. } => Some(task),
            Self::Waiting { .. } | Self::Finished | Self::Failed | Self::Stopped => None,
        }
    }

    const fn state(&self) -> ActorState {
        match self {
            Self::Waiting { .. } => ActorState::Waiting,
            Self::Starting { .. } => ActorState::Starting,
            Self::Running { .. } => ActorState::Running,
            Self::Ending { .. } => ActorState::Stopping,
            Self::Finished => ActorState::Finished,
            Self::Failed => ActorState::Failed,
            Self::Stopped => ActorState::Stopped,
        }
    }
}

/// A child in the supervisor's hands.
pub(crate) struct Child {
    pub(crate) entry: Arc<Entry>,
    pub(crate) policy: ChildPolicy,
    pub(crate) launcher: Box<dyn Launch>,
    pub(crate) history: History,
    pub(crate) incarnation: u64,
    pub(crate) phase: Phase,
    /// To be stopped, when its turn comes, and why.
    pub(crate) must_stop: Option<ExitReason>,
    /// A backlog has been told of.
    pub(crate) backlogged: bool,
}

impl Child {
    pub(crate) fn new(spec: ChildSpec) -> Self {
        let entry = Arc::new(Entry::new(spec.name, spec.launcher.gauge()));
        Self {
            entry,
            policy: spec.policy,
            launcher: spec.launcher,
            history: History::new(spec.policy.intensity),
            incarnation: 0,
            phase: Phase::Waiting { at: Instant::now(), ordered: true },
            must_stop: None,
            backlogged: false,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.entry.name
    }

    /// Moves to `phase`, for all to see.
    pub(crate) fn enter(&mut self, phase: Phase) {
        let mut record = self.entry.record();
        record.state = phase.state();
        record.incarnation = self.incarnation;
        drop(record);
        self.phase = phase;
    }

    /// Launches the next incarnation.
    pub(crate) fn launch(&mut self, index: usize, ready: Ready) -> AbortOnDropHandle<ExitReason> {
        self.incarnation += 1;
        self.must_stop = None;
        let Launched { token, task } = self.launcher.launch(index, self.incarnation, &self.policy, ready);
        let hold = Task { token, abort: task.abort_handle() };
        self.enter(Phase::Starting { since: Instant::now(), task: hold });
        task
    }

    /// Ends the live incarnation, if any: gently, or at once. An end that has begun keeps its reason.
    pub(crate) fn end(&mut self, why: ExitReason, abort: bool) {
        let Some(task) = self.phase.task().cloned() else { return };
        let why = match &self.phase {
            Phase::Ending { why, .. } => why.clone(),
            _ => why,
        };
        task.token.cancel();
        if abort {
            task.abort.abort();
        }
        self.enter(Phase::Ending { why, since: Instant::now(), aborted: abort, task });
    }

    /// Whether its younger may start, as far as it is concerned.
    pub(crate) fn lets_younger_start(&self) -> bool {
        match self.phase {
            Phase::Running { .. } | Phase::Finished => true,
            // Those that live on its state must wait for somebody to bring it back.
            Phase::Failed => self.policy.strategy == crate::policy::Strategy::OneForOne,
            Phase::Waiting { .. } | Phase::Starting { .. } | Phase::Ending { .. } | Phase::Stopped => false,
        }
    }
}
