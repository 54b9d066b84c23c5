//! Approvals and certificates: who vouches for a block.

use crate::block::Block;
use crate::header::Header;
use crate::ids::{AuthorityIndex, BlockId, Height, SetId, Slot};

/// One authority's signature under one block: BLS12-381, signature in G1 (48 bytes, compressed). It signs domain, genesis, set id, slot,
/// height and block id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Approval {
    /// The set that the authority signs as a member of.
    pub set: SetId,
    /// The slot of the block.
    pub slot: Slot,
    /// The height of the block.
    pub height: Height,
    /// The block.
    pub block: BlockId,
    /// Who signed.
    pub authority: AuthorityIndex,
    /// The signature, compressed G1.
    pub signature: [u8; 48],
}

/// What the members of one authority set say of a block: who signed, and the sum of their signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SetQuorum {
    /// The set.
    pub set: SetId,
    /// Bit `i` stands for authority `i`; bits from `n` on are zero.
    pub signers: u16,
    /// The aggregate signature, compressed G1.
    pub signature: [u8; 48],
}

/// A quorum's approval of one block. Certificates of one block may differ in their signers: compare block ids only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Certificate {
    /// The slot of the block.
    pub slot: Slot,
    /// The height of the block.
    pub height: Height,
    /// The block.
    pub block: BlockId,
    /// The quorum of the slot's authority set.
    pub quorum: SetQuorum,
    /// After a change of the set, until a block of the new time is final in the block's own ancestry: the quorum of the old set as well.
    pub joint: Option<SetQuorum>,
}

/// A header and the certificate of its block. Genesis has none: it is certified by definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertifiedHeader {
    /// The header.
    pub header: Header,
    /// Its quorum.
    pub certificate: Certificate,
}

/// A block and its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedBlock {
    /// The block.
    pub block: Block,
    /// Its quorum.
    pub certificate: Certificate,
}
