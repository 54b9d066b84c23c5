//! Our actor kernel: mailboxes that outlive their actors, supervision, restart policy, clock, randomness and the CPU pool.
//!
//! - **Owns**: the [`Mailbox`] of each actor (three bounded lanes), its incarnations, and the one [`Supervisor`] loop that
//!   starts, restarts and stops them.
//! - **Comes in**: messages through [`Addr::ask`], [`Addr::tell`] and [`Addr::try_tell`]; from an actor's own [`Context`]
//!   also the results of its tasks, its timers and attached streams.
//! - **Goes out**: replies; [`Event`]s to the embedder; [`ActorStatus`] to whoever shows it.
//! - **When it fails**: a panic ends one incarnation. Address and queue survive it; the next incarnation is built from the
//!   newest seed. Only the message that crashed is lost, and not even that one if it has a [`Message::retry`]: then it is
//!   delivered once more, and quarantined if it crashes its handler again.
//!
//! In a `current_thread` runtime with paused time a run is a function of its seed: every `select!` is biased, no order
//! depends on a hasher, and nobody reads another clock.

mod actor;
mod addr;
mod clock;
mod context;
mod exit;
mod incarnation;
mod lanes;
mod letter;
mod mailbox;
mod policy;
pub mod pool;
mod seed;
mod supervisor;

#[cfg(test)]
mod tests;

pub use actor::{Actor, Fault, Handler, Lane, Message, Overflow};
pub use addr::{Addr, AskError, SendError};
pub use clock::{Clock, Skew};
pub use context::{Context, StopReason, TaskHandle};
pub use exit::ExitReason;
pub use letter::Correlation;
pub use mailbox::{LaneLimit, LaneStatus, Mailbox, MailboxConfig, MailboxStatus};
pub use policy::{ChildPolicy, Intensity, Strategy};
pub use pool::{Pool, PoolError, Priority};
pub use seed::{Randomness, Stream};
pub use supervisor::{
    ActorState, ActorStatus, ChildSpec, CrashedMessage, Event, Fate, Supervisor, SupervisorHandle,
    UnknownActor,
};
