//! A block by name and place: what heads, targets and final blocks are told by.

use serde::{Deserialize, Serialize};

use crate::certificate::CertifiedHeader;
use crate::header::Header;
use crate::ids::{BlockId, Height, Slot};

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

    /// The block with this name and this header.
    #[must_use]
    pub const fn new(id: BlockId, header: &Header) -> Self {
        Self { slot: header.slot, height: header.height, id }
    }

    /// The block that a certificate vouches for. The caller has verified the certificate.
    #[must_use]
    pub const fn of(certified: &CertifiedHeader) -> Self {
        Self::new(certified.certificate.block, &certified.header)
    }
}
