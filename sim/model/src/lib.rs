//! A model of peers, lines, verification and import around a scheduler: discrete events in virtual time, drawn from a seed.
//!
//! - **Decides**: nothing. It plays what a scheduler asks for: bytes travel as fast as each line allows, answers of one peer queue behind each
//!   other, blocks are verified and imported at the given speeds.
//! - **In**: a [`Scenario`] and a [`Scheduler`]. **Out**: an [`Outcome`]: how long it took, what travelled, who was asked and reported.
//! - **On failure**: a broken invariant (the byte budget, the order of imports, a lease that is used twice) panics with the seed.
//!
//! It is to the scheduler what a wind tunnel is to a wing: no actors, no sockets, no signatures, so that a sync of 200,000 blocks
//! takes seconds and hundreds of them a few minutes.
#![forbid(unsafe_code)]

mod chain;
pub mod compare;
mod dice;
mod line;
mod outcome;
mod pipeline;
pub mod rivals;
mod scenario;
mod scheduler;
mod world;

pub use dice::Dice;
pub use outcome::{Outcome, PeerOutcome};
pub use scenario::{Conduct, PeerModel, Scenario};
pub use scheduler::Scheduler;
pub use world::{play, play_with};
