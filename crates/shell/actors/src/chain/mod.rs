//! The chain as an actor.

pub mod local;
