//! Sync in virtual time, over a simulated network, on a chain with real signatures.

mod batches;
mod checkpoints;
mod commands;
mod explain;
mod gate;
mod history;
mod parts;
mod stories;
mod world;
