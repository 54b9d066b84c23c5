//! What a mailbox shows to others, and what the supervisor may do with it, whatever its actor.

use std::time::Duration;

use tokio::time::Instant;

use super::{Door, Shared};
use crate::actor::{Actor, Lane};
use crate::letter::Correlation;
use crate::supervisor::Fate;

/// What waits in one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneStatus {
    /// Messages.
    pub messages: usize,
    /// Bytes, as the messages report them.
    pub bytes: usize,
}

/// What a mailbox holds and what it has seen, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailboxStatus {
    /// By lane, in the order of [`Lane::ALL`].
    pub lanes: [LaneStatus; 3],
    /// The age of the oldest message that waits now.
    pub oldest_wait: Duration,
    /// The longest that any message has waited.
    pub longest_wait: Duration,
    /// Messages handed to the actor.
    pub delivered: u64,
    /// Messages skipped because their asker had gone or their deadline was over.
    pub skipped: u64,
    /// Messages displaced by the overflow rule of a newer one.
    pub displaced: u64,
    /// Messages refused because their lane was full.
    pub refused: u64,
    /// Messages that crashed their handler twice.
    pub quarantined: u64,
}

impl MailboxStatus {
    /// Messages in all lanes.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.lanes.iter().map(|lane| lane.messages).sum()
    }
}

/// What the actor is doing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Current {
    pub(crate) name: &'static str,
    pub(crate) correlation: Correlation,
    pub(crate) since: Instant,
    pub(crate) fate: Fate,
}

/// A mailbox as the supervisor sees it, whatever its actor.
pub(crate) trait Gauge: Send + Sync {
    /// What it holds.
    fn status(&self) -> MailboxStatus;
    /// What the actor is handling.
    fn current(&self) -> Option<Current>;
    /// Ends an incarnation's claim on what it was handling, and says what that was.
    fn take_current(&self) -> Option<Current>;
    /// Lets senders in, or not; what is queued stays.
    fn open(&self, open: bool);
    /// No more messages, for good.
    fn close(&self);
}

impl<A: Actor> Gauge for Shared<A> {
    fn status(&self) -> MailboxStatus {
        let state = self.lock();
        let mut status = state.seen;
        for lane in Lane::ALL {
            let (messages, bytes) = state.lanes.depth(lane);
            status.lanes[lane.index()] = LaneStatus { messages, bytes };
        }
        let oldest = state.lanes.oldest().map_or(Duration::ZERO, |head| head.entered.elapsed());
        status.oldest_wait = oldest;
        status.longest_wait = status.longest_wait.max(oldest);
        status
    }

    fn current(&self) -> Option<Current> {
        self.lock().current
    }

    fn take_current(&self) -> Option<Current> {
        self.lock().current.take()
    }

    fn open(&self, open: bool) {
        let mut state = self.lock();
        if state.door != Door::Closed {
            state.door = if open { Door::Open } else { Door::Shut };
        }
        drop(state);
        self.wake_lines();
    }

    fn close(&self) {
        self.close();
    }
}
