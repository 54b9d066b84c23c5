//! Blocks, certificates, state and the signing record on disk, committed atomically.
//!
//! - **Owns**: what this node keeps over a restart. [`Store`] is the chain's database, [`Checkpoints`] the files beside it, [`DataDir`] the
//!   directory around both. Progress is what [`Store::head`] says after a restart, and nothing else.
//! - **In**: one [`Batch`] at a time, through [`Store::commit`]: everything in it, or nothing.
//! - **Out**: typed rows, and stored bytes that are served to peers without decoding them.
//! - **On failure**: a [`StoreError`], never a peer's fault, each with what to do. After a failed write or sync nothing is acknowledged any
//!   more until the store has been opened again; reading goes on.
//!
//! Everything here is synchronous: callers run it on a pool of threads that may block.
#![forbid(unsafe_code)]

mod batch;
mod checkpoint;
mod codec;
mod datadir;
mod error;
pub mod fjall;
mod generation;
mod layout;
pub mod memory;
mod store;
mod tables;
mod types;

pub use batch::Batch;
pub use checkpoint::Checkpoints;
pub use datadir::DataDir;
pub use error::StoreError;
pub use layout::ChainStore;
pub use memory::MemoryDisk;
pub use store::{Pinned, Store};
pub use types::{
    BlockKey, CertifiedBytes, Committed, Durability, Limit, Location, Staged, StateEntry, StateKey,
    StoredHeader,
};
