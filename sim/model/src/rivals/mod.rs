//! Three schedulers that are usual, to be compared with that of this project.
//!
//! - **Decides**: who is asked for which bodies, as each design has it. What is not at stake is the same for all and generous: headers from
//!   everybody, a window as wide as ours, no byte budget, verification that nothing waits for, partial answers that are kept, and a peer that
//!   failed three times in a row is left alone.
//! - **In** and **out**: as the machine of this project ([`Scheduler`]).
//! - **On failure**: a request that has not ended in time is cancelled, and what it owed is missing again.

mod batches;
mod board;
mod gaps;
mod plain;
mod rounds;

use crate::Scheduler;

pub use batches::Batches;
pub use board::Board;
pub use gaps::Gaps;
pub use plain::{Plain, Strategy};
pub use rounds::Rounds;

/// How many bodies a request names: what go-ethereum's downloader asks for (`MaxBlockFetch`).
pub const BATCH: u64 = 128;

/// Join-all rounds.
#[must_use]
pub fn rounds() -> impl Scheduler {
    Plain::new(Rounds)
}

/// One batch a peer, of so many bodies.
#[must_use]
pub fn batches(size: u64) -> impl Scheduler {
    Plain::new(Batches { size })
}

/// A gap a peer.
#[must_use]
pub fn gaps() -> impl Scheduler {
    Plain::new(Gaps::default())
}
