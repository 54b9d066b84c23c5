//! What goes into the store and comes out of it.

use alys_chain::{BlockId, Header, Height, Slot};
use bytes::Bytes;

/// Which block: its height and its id. The height orders the disk, so that neighbours in the chain are neighbours there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRef {
    /// The height of the block.
    pub height: Height,
    /// The id of its header.
    pub id: BlockId,
}

impl BlockRef {
    /// The block `id` at `height`.
    #[must_use]
    pub const fn new(height: Height, id: BlockId) -> Self {
        Self { height, id }
    }
}

/// A header and what was stored with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredHeader {
    /// The name of the block, as it was stored (not computed again).
    pub id: BlockId,
    /// The header.
    pub header: Header,
    /// The SSZ encoding of its certificate; `None` for genesis and for a proposal that was executed but not certified.
    pub certificate: Option<Bytes>,
    /// What the chain remembers of the block's ancestry; opaque here.
    pub lineage: Bytes,
}

/// One certified header of the canonical chain, as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedBytes {
    /// Height and id.
    pub block: BlockRef,
    /// The SSZ encoding of the header, [`Header::SIZE`] bytes.
    pub header: Bytes,
    /// The SSZ encoding of the certificate.
    pub certificate: Bytes,
}

/// How much one read may bring into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Rows at most.
    pub count: usize,
    /// Bytes of values at most. The first row is returned even when it alone is larger: the reader always gets on.
    pub bytes: usize,
}

/// A key of the state. Values are opaque here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKey {
    /// An account: the bucket that the ledger puts it in, and its address.
    Account {
        /// The bucket, so that the accounts of one bucket are neighbours on disk.
        bucket: u8,
        /// The 20-byte address.
        address: [u8; 20],
    },
    /// What the ledger keeps of a whole bucket (its lattice hash).
    Bucket(u8),
}

/// One account of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateEntry {
    /// The 20-byte address.
    pub address: [u8; 20],
    /// The stored value.
    pub value: Bytes,
}

/// Where a transaction stands in the canonical chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The height of its block.
    pub height: Height,
    /// Its place in the body, from 0.
    pub position: u32,
}

/// The last signature that this node gave as an authority. It is durable before the signature leaves the process, so that no restart makes
/// the node sign a slot twice or below its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningRecord {
    /// The slot of the last signature.
    pub slot: Slot,
    /// The block that was signed.
    pub block: BlockId,
    /// The highest slot among the parents of all blocks that were signed.
    pub lock: Slot,
}

/// What a commit survives once it has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The loss of power: the bytes are on the medium.
    Durable,
    /// The death of the process. A loss of power may take it, and all later ones with it, never an earlier one alone.
    Buffered,
}

/// The receipt of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// How many commits this database has seen, this one included.
    pub number: u64,
    /// What it survives: at least what was asked for.
    pub durability: Durability,
}
