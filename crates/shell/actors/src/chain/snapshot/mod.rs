//! States that are offered to fresh nodes, and the making of a fetched one our own.
//!
//! - **Owns**: the offered states, each a view of the database that stands still with the way back to its block.
//! - **In**: finality passing a multiple of the interval; requests of peers; a proven block whose state is staged.
//! - **Out**: proofs, sums and accounts as they are served; a chain that stands on the proven block.
//! - **On failure**: a state that cannot be offered is not; the next one comes. An installation is one commit, or nothing.

mod backfill;
mod install;
mod offer;

pub use backfill::Backfilled;
pub use offer::{INTERVAL, Offer, Snapshots};
