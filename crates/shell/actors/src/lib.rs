//! The actors: network, peer, sync, chain, supervisor.
#![forbid(unsafe_code)]

pub mod chain;
pub mod network;
pub mod peer;
pub mod supervisor;
pub mod sync;

pub use supervisor::{Base, Connect, Node, Parts, Settings, StartError, start};
