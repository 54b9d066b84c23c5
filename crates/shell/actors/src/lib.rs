//! The actors: network, peer, sync, chain, supervisor.
#![forbid(unsafe_code)]

pub mod chain;
pub mod network;
pub mod peer;
pub mod supervisor;
pub mod sync;

/// The target of the log that tells every decision, at level trace: what a machine takes in, and what it wants done.
pub const DECISIONS: &str = "alys::decisions";

pub use supervisor::{Base, Connect, Node, Parts, Settings, StartError, start};
