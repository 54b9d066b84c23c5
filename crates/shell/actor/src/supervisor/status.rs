//! What others may know of the children: status for reading, events for reacting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::exit::ExitReason;
use crate::letter::Correlation;
use crate::mailbox::{Gauge, MailboxStatus};

/// Where a child stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorState {
    /// To be started, when its elders run or its back-off is over.
    Waiting,
    /// In [`crate::Actor::started`].
    Starting,
    /// Handling messages.
    Running,
    /// Told to stop.
    Stopping,
    /// Its work is done.
    Finished,
    /// Given up after too many crashes; only [`crate::SupervisorHandle::restart`] brings it back.
    Failed,
    /// Stopped with the supervisor.
    Stopped,
}

impl ActorState {
    /// Its label in metrics and status.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// One child, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorStatus {
    /// The mailbox's name.
    pub name: &'static str,
    /// Where it stands.
    pub state: ActorState,
    /// How often it has been started.
    pub incarnation: u64,
    /// Restarts by [`ExitReason::label`].
    pub restarts: BTreeMap<&'static str, u64>,
    /// Its queue: depth by lane, longest wait, counters.
    pub mailbox: MailboxStatus,
    /// Why it last crashed.
    pub last_error: Option<String>,
}

/// What became of a message that crashed its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is gone: it has no [`crate::Message::retry`].
    Lost,
    /// It will be delivered once more.
    Redelivered,
    /// It has crashed its handler twice, and is gone.
    Quarantined,
}

/// A message that crashed its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashedMessage {
    /// [`crate::Message::NAME`].
    pub name: &'static str,
    /// Which one.
    pub correlation: Correlation,
    /// What became of it.
    pub fate: Fate,
}

/// What happened to the children. For reacting: read [`ActorStatus`] to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An incarnation handles messages.
    Started {
        /// The child.
        actor: &'static str,
        /// Its incarnation.
        incarnation: u64,
    },
    /// An incarnation has ended.
    Exited {
        /// The child.
        actor: &'static str,
        /// Its incarnation.
        incarnation: u64,
        /// Why.
        reason: ExitReason,
        /// What it was handling, if it crashed there.
        message: Option<CrashedMessage>,
    },
    /// Another incarnation will follow after this back-off.
    Restarting {
        /// The child.
        actor: &'static str,
        /// The back-off.
        after: Duration,
    },
    /// One message has taken longer than the handler limit; the incarnation is aborted.
    Stuck {
        /// The child.
        actor: &'static str,
        /// Its incarnation.
        incarnation: u64,
        /// [`crate::Message::NAME`] of what it is handling.
        message: &'static str,
        /// For how long.
        since: Duration,
    },
    /// A message has waited longer than the backlog limit. Told once, until the backlog is gone.
    Backlog {
        /// The child.
        actor: &'static str,
        /// How long its oldest message has waited.
        oldest: Duration,
        /// Messages in all lanes.
        messages: usize,
    },
    /// An incarnation could not even be aborted (its handler blocks a thread) and was fenced off.
    Abandoned {
        /// The child.
        actor: &'static str,
        /// Its incarnation.
        incarnation: u64,
    },
    /// A child was given up: it crashed too often. The embedder decides what that means.
    Escalated {
        /// The child.
        actor: &'static str,
        /// Its last crash.
        reason: ExitReason,
    },
    /// All children have stopped; nothing follows.
    Stopped,
}

/// One line of the roster.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) gauge: Arc<dyn Gauge>,
    record: Mutex<Record>,
}

/// What the supervisor has written down of a child.
pub(crate) struct Record {
    pub(crate) state: ActorState,
    pub(crate) incarnation: u64,
    pub(crate) restarts: BTreeMap<&'static str, u64>,
    pub(crate) last_error: Option<String>,
}

impl Entry {
    pub(crate) fn new(name: &'static str, gauge: Arc<dyn Gauge>) -> Self {
        let record = Record {
            state: ActorState::Waiting,
            incarnation: 0,
            restarts: BTreeMap::new(),
            last_error: None,
        };
        Self { name, gauge, record: Mutex::new(record) }
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> ActorStatus {
        let mailbox = self.gauge.status();
        let record = self.record();
        ActorStatus {
            name: self.name,
            state: record.state,
            incarnation: record.incarnation,
            restarts: record.restarts.clone(),
            mailbox,
            last_error: record.last_error.clone(),
        }
    }
}
