//! What an actor is, and what may be sent to it.

use std::future::Future;

use crate::context::Context;

/// Why an incarnation could not start, in its own words.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// State with a mailbox. One incarnation of it runs at a time and handles one message at a time.
pub trait Actor: Sized + Send + 'static {
    /// What an incarnation is built from. [`Context::checkpoint`] replaces it after each committed step, so a restart gets
    /// the newest; keep it small, and keep what must survive the process in a durable store.
    type Seed: Clone + Send + 'static;

    /// Runs before the first message; an error counts as a crash. Bounded by [`crate::ChildPolicy::start_timeout`], and
    /// given up when the actor is told to stop meanwhile.
    fn started(&mut self, _ctx: &mut Context<Self>) -> impl Future<Output = Result<(), Fault>> + Send {
        async { Ok(()) }
    }

    /// Runs after the last message of an orderly stop, never after a panic. Its tasks and timers are already gone. Bounded
    /// by [`crate::ChildPolicy::kill_timeout`].
    fn stopping(&mut self, _ctx: &mut Context<Self>) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// Handles one kind of message. Handlers are short: long work goes to [`Context::spawn`] or to the pool.
pub trait Handler<M: Message>: Actor {
    /// Handles `message`; the result answers an ask and is dropped after a tell.
    fn handle(&mut self, message: M, ctx: &mut Context<Self>) -> impl Future<Output = M::Reply> + Send;
}

/// Something that can be sent to an actor.
pub trait Message: Send + Sized + 'static {
    /// What [`crate::Addr::ask`] returns.
    type Reply: Send + 'static;

    /// The name in status, events and logs.
    const NAME: &'static str;

    /// Which lane it waits in.
    fn lane(&self) -> Lane {
        Lane::Normal
    }

    /// What happens when that lane is full.
    fn overflow(&self) -> Overflow {
        Overflow::Wait
    }

    /// Bytes that it keeps alive, heap included. A message that owns buffers must say so, or its lane is bounded in count
    /// only.
    fn size(&self) -> usize {
        size_of::<Self>()
    }

    /// A copy to deliver once more if this delivery crashes its handler. The default is none, because most messages cannot
    /// be cloned, or are not worth a copy at every delivery: such a message is lost with its crash. One that opts in
    /// (`Some(self.clone())`) is delivered twice at most, then quarantined.
    fn retry(&self) -> Option<Self> {
        None
    }
}

/// The three lanes of a mailbox, drained with weights so that none starves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Health and configuration.
    Control,
    /// Consensus: federation messages and block announcements.
    High,
    /// Everything else.
    Normal,
}

impl Lane {
    /// All lanes, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Control, Self::High, Self::Normal];

    /// Its label in metrics and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::High => "high",
            Self::Normal => "normal",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// What happens to a message whose lane is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The sender waits for room, first come, first served. [`crate::Addr::try_tell`] cannot wait and refuses instead.
    Wait,
    /// It is refused, and the sender knows.
    Reject,
    /// The oldest messages of the same kind make room. Where that is not enough it is refused: one kind never pushes out
    /// another.
    DropOldest,
    /// It takes the place of a waiting message of the same kind and key, full or not. Refused when the lane is full and
    /// there is none.
    Coalesce(u64),
}
