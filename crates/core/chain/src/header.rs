//! The header: what the approvals sign, and what a light node keeps.

use crate::error::Invalid;
use crate::ids::{AuthorityIndex, BlockId, Hash, Height, Slot};
use crate::read::Reader;
use crate::sha256::sha256;

/// Separates a header's hash from every other SHA-256 in the system.
const HEADER_DOMAIN: &[u8] = b"alys/header/1";

/// One block's place in the chain and what it commits to. SSZ, fixed size: the fields in this order, integers
/// little-endian, 113 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// One above the parent's.
    pub height: Height,
    /// The turn in which it was made; above the parent's.
    pub slot: Slot,
    /// The block that it stands on.
    pub parent: BlockId,
    /// Commits to the transactions (see [`crate::block`]).
    pub body_root: Hash,
    /// Commits to all accounts after this block.
    pub state_root: Hash,
    /// Who made it: `authorities[slot mod n]` of the slot's set.
    pub proposer: AuthorityIndex,
}

impl Header {
    /// The size of the encoding in bytes.
    pub const SIZE: usize = 8 + 8 + 32 + 32 + 32 + 1;

    /// The SSZ encoding.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[..8].copy_from_slice(&self.height.0.to_le_bytes());
        out[8..16].copy_from_slice(&self.slot.0.to_le_bytes());
        out[16..48].copy_from_slice(self.parent.as_bytes());
        out[48..80].copy_from_slice(self.body_root.as_bytes());
        out[80..112].copy_from_slice(self.state_root.as_bytes());
        out[112] = self.proposer.0;
        out
    }

    /// What [`Header::encode`] wrote. Only the size is checked; the rules are in [`crate::verify`].
    ///
    /// # Errors
    /// [`Invalid::Length`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        let mut from = Reader::sized("header", bytes, Self::SIZE)?;
        Ok(Self {
            height: Height(from.u64()?),
            slot: Slot(from.u64()?),
            parent: BlockId(*from.array()?),
            body_root: Hash(*from.array()?),
            state_root: Hash(*from.array()?),
            proposer: AuthorityIndex(from.u8()?),
        })
    }

    /// The name of the block: SHA-256 over a domain tag and the encoding.
    #[must_use]
    pub fn id(&self) -> BlockId {
        BlockId(sha256(&[HEADER_DOMAIN, &self.encode()]))
    }
}
