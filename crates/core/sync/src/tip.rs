//! Where a chain ends: the blocks that sync measures its way by.

use alys_chain::{BlockId, BlockRef};

/// What is durable on our disk. All ancestors of both blocks are durable as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The certified block with the highest slot that descends from the final one.
    pub head: BlockRef,
    /// The highest final block; never undone.
    pub finalized: BlockRef,
}

impl Tip {
    /// A chain that has nothing but its first block.
    #[must_use]
    pub const fn genesis(id: BlockId) -> Self {
        let block = BlockRef::genesis(id);
        Self { head: block, finalized: block }
    }
}
