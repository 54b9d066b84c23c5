//! The actors: network, peer, sync, chain, supervisor.
#![forbid(unsafe_code)]

pub mod chain;
pub mod network;
pub mod peer;
pub mod sync;
