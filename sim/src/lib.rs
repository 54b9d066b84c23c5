//! The seeded world: the real actors on a simulated network, in virtual time, with faults that a seed has drawn.
//!
//! - **Decides**: whether the invariants hold in a run, and whether the same seed gives the same run.
//! - **In**: seeds. **Out**: an outcome for each, with a digest of everything that happened in it.
//! - **On failure**: a violated rule names its time and node; its seed replays it, event by event.
//!
//! A node here is what the node binary runs, but for its transport, its disk, its clock and its randomness, which are simulated.
#![forbid(unsafe_code)]

pub mod faults;
pub mod invariants;
pub mod node;
pub mod plan;
pub mod play;
pub mod process;
pub mod scenario;
pub mod siege;
pub mod site;
pub mod tap;
pub mod trace;
pub mod traffic;
pub mod world;

pub use invariants::{Rule, Violation};
pub use plan::Plan;
pub use trace::Log;
pub use world::{Outcome, run};
