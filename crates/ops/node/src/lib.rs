//! The `alys` binary: command line, settings, wiring.
//!
//! - **Owns**: how a node is told what to do, and the one place where its parts meet.
//! - **In**: flags, environment, files. **Out**: a running node, or a command's output.
//! - **On failure**: a message that says what was wrong and what to do, and a distinct exit code.

pub mod allocator;
pub mod ask;
pub mod chainfile;
pub mod checkpoint;
pub mod cli;
pub mod console;
mod cores;
pub mod devnet;
pub mod exit;
pub mod explain;
pub mod export;
#[cfg(test)]
mod fixture;
pub mod generate;
pub mod genesis;
pub mod home;
pub mod import;
pub mod init;
pub mod keyfile;
pub mod keys;
pub mod node;
pub mod progress;
pub mod settings;
pub mod sync;
