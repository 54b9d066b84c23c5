//! Where a chain ends: the blocks that sync measures its way by.

use alys_chain::{BlockId, CertifiedHeader, Height, Slot};
use serde::{Deserialize, Serialize};

/// A block by its place and name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlockRef {
    /// Its slot: of two certified blocks the one with the higher slot counts. First, so that blocks order by it.
    pub slot: Slot,
    /// Its height.
    pub height: Height,
    /// Its name.
    pub id: BlockId,
}

impl BlockRef {
    /// The first block of the network with this name: height 0, slot 0, certified and final by definition.
    #[must_use]
    pub const fn genesis(id: BlockId) -> Self {
        Self { slot: Slot::ZERO, height: Height::ZERO, id }
    }

    /// The block that a certificate vouches for. The caller has verified the certificate.
    #[must_use]
    pub const fn of(header: &CertifiedHeader) -> Self {
        Self { slot: header.header.slot, height: header.header.height, id: header.certificate.block }
    }
}

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
