//! What sync answers to what it is told, where it takes more than a yes.

use alys_actor::AskError;
use alys_chain::{BlockId, BlockRef, Height, Slot};
use alys_sync::Offence;
use thiserror::Error;

/// Why sync did not do what it was told. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// The command makes no sense now.
    #[error("{0}")]
    State(&'static str),
    /// The command asks to begin above what is durable here; sync never leaves a hole.
    #[error("cannot begin at height {from}: the next block here is {next}")]
    Hole {
        /// Where it was to begin.
        from: Height,
        /// The height above the durable head.
        next: Height,
    },
    /// The block that is to be on the chain cannot exist by now.
    #[error("no block can have height {height} and slot {slot} by now")]
    Impossible {
        /// The height that was named.
        height: Height,
        /// The slot that was named.
        slot: Slot,
    },
    /// The block that is to be on the chain is not: the store has another one at that height.
    #[error("the store has block {ours} at height {height}, not {theirs}")]
    Contradicted {
        /// The height that was named.
        height: Height,
        /// The store's block.
        ours: BlockId,
        /// The block that was named.
        theirs: BlockId,
    },
    /// The store could not be asked.
    #[error("the store does not answer: {0}")]
    Store(String),
    /// Sync did not take or answer it.
    #[error("sync does not answer: {0}")]
    Mailbox(#[from] AskError),
}

/// What became of a batch of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchImported {
    /// How many of them, from the first on, are durable. Fewer than were given only where their slots have not begun.
    pub imported: usize,
    /// The durable head now.
    pub head: BlockRef,
}

/// Why a batch of blocks was not taken, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BatchRefused {
    /// Another one is being worked on.
    #[error("another batch is being processed")]
    Busy,
    /// Sync is paused, and imports nothing.
    #[error("sync is paused: it imports nothing until it is resumed")]
    Paused,
    /// The first block stands on nothing that is here.
    #[error("the first block stands on a block that is not known here")]
    Unknown,
    /// A block is provably wrong. The ones before it were not imported either.
    #[error("at block {index} the batch holds {offence}")]
    Invalid {
        /// The position of the block.
        index: usize,
        /// What the sender did.
        offence: Offence,
    },
    /// We could not: a worker or the importer failed. What was imported before stays.
    #[error("{imported} blocks were imported, then: {why}")]
    Failed {
        /// How many are durable.
        imported: usize,
        /// Why no more.
        why: String,
    },
    /// Sync did not take or answer it.
    #[error("sync does not answer: {0}")]
    Mailbox(#[from] AskError),
}

/// Why there is no checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CheckpointFailed {
    /// This node keeps none.
    #[error("this node keeps no checkpoints")]
    Disabled,
    /// Another one is being written or read.
    #[error("another checkpoint is being written or read")]
    Busy,
    /// Blocks are being fetched, which a new beginning would throw away.
    #[error("sync is at work: pause or stop it first")]
    Syncing,
    /// There is nothing to write down.
    #[error("no block but genesis is final")]
    NothingFinal,
    /// None of those that are there fits.
    #[error("no usable checkpoint: {0}")]
    None(String),
    /// The disk or the store failed.
    #[error("{0}")]
    Ours(String),
    /// Sync did not take or answer it.
    #[error("sync does not answer: {0}")]
    Mailbox(#[from] AskError),
}
