//! What goes into the store and comes out of it.

use alys_chain::{BlockId, Certificate, Header, Height, Lineage};
use bytes::Bytes;

/// Which block: its height and its id. The height orders the disk, so that neighbours in the chain are neighbours there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockKey {
    /// The height of the block.
    pub height: Height,
    /// The id of its header.
    pub id: BlockId,
}

impl BlockKey {
    /// The block `id` at `height`.
    #[must_use]
    pub const fn new(height: Height, id: BlockId) -> Self {
        Self { height, id }
    }
}

/// A header and what was stored with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredHeader {
    /// The name of the block, as it was stored (not computed again).
    pub id: BlockId,
    /// The header.
    pub header: Header,
    /// Its certificate; `None` for genesis and for a proposal that was executed but not certified.
    pub certificate: Option<Certificate>,
    /// What its ancestry says about its certificate.
    pub lineage: Lineage,
}

/// One certified header of the canonical chain, as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedBytes {
    /// Height and id.
    pub block: BlockKey,
    /// The encoding of its [`CertifiedHeader`](alys_chain::CertifiedHeader).
    pub bytes: Bytes,
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
    /// An account, by its 20-byte address. Its bucket is the first byte, so the accounts of one bucket are neighbours on disk.
    Account([u8; 20]),
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

/// A state that is being fetched beside the live one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Which state it is, as [`Batch::begin_staged`](crate::Batch::begin_staged) was told.
    pub snapshot: Bytes,
    /// The buckets that are complete, ascending.
    pub complete: Vec<u8>,
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
