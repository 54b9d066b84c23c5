//! The database of the chain, as its callers see it.

use std::sync::Arc;

use alys_chain::consensus::SigningRecord;
use alys_chain::{BlockId, Body, Hash, Height};
use bytes::Bytes;

use crate::{
    Batch, BlockKey, CertifiedBytes, Committed, Durability, Limit, Location, Staged, StateEntry, StateKey,
    StoreError, StoredHeader,
};

/// The database of the chain. Reads may run beside each other and beside a commit, each sees the database between two commits, never inside
/// one. All of it blocks: call it from a thread that may.
///
/// A fresh store's head and final block are genesis, and `header(genesis)` is `None` until the first batch has put it there.
pub trait Store: Send + Sync + 'static {
    /// The network that this database belongs to.
    fn genesis(&self) -> BlockId;

    /// The certified block that the state stands on.
    ///
    /// # Errors
    /// [`StoreError::Io`] and [`StoreError::Corrupted`], as with every read below.
    fn head(&self) -> Result<BlockKey, StoreError>;

    /// The last final block.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn finalized(&self) -> Result<BlockKey, StoreError>;

    /// The header, certificate and lineage of a block.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn header(&self, id: BlockId) -> Result<Option<StoredHeader>, StoreError>;

    /// The body of a block; an empty one for a stored block without transactions; `None` below [`Store::earliest`].
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn body(&self, id: BlockId) -> Result<Option<Body>, StoreError>;

    /// The block of the canonical chain at a height.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn canonical(&self, height: Height) -> Result<Option<BlockId>, StoreError>;

    /// Certified headers of the canonical chain, ascending and without a gap from `from`; ends before the first height that has none.
    /// Genesis has no certificate: ask from height 1.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn certified_headers(&self, from: Height, limit: Limit) -> Result<Vec<CertifiedBytes>, StoreError>;

    /// The stored bytes of bodies, in the order of `ids`; `None` for a block that is not here. Shorter than `ids` when the limit is reached.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn bodies(&self, ids: &[BlockId], limit: Limit) -> Result<Vec<Option<Bytes>>, StoreError>;

    /// A value of the state.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn state(&self, key: StateKey) -> Result<Option<Bytes>, StoreError>;

    /// The accounts of a bucket in ascending order of address, after `after` (from the first if `None`). The next page starts after the last
    /// address of this one; an empty page ends it. Pages see different commits if there were any in between.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn accounts(
        &self,
        bucket: u8,
        after: Option<[u8; 20]>,
        limit: Limit,
    ) -> Result<Vec<StateEntry>, StoreError>;

    /// The state as it is now, for as long as the answer is kept: what is overwritten since is kept on disk for it.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn pin(&self) -> Result<Arc<dyn Pinned>, StoreError>;

    /// The lowest height whose body is here, with all above it: 1 unless the chain was begun from a state, or keeps no bodies.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn earliest(&self) -> Result<Height, StoreError>;

    /// The state that is being fetched beside the live one, if there is one.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn staged(&self) -> Result<Option<Staged>, StoreError>;

    /// A value of the staged state.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn staged_state(&self, key: StateKey) -> Result<Option<Bytes>, StoreError>;

    /// Forgets the staged state, and removes every row of a state that is not live, in commits of some thousands.
    ///
    /// # Errors
    /// As for [`Store::commit`]; doing it again goes on where it ended.
    fn clear_staged(&self) -> Result<(), StoreError>;

    /// What a block above finality changed in the state; opaque here.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn diff(&self, block: BlockKey) -> Result<Option<Bytes>, StoreError>;

    /// All blocks above the final height, certified or not, ascending by height: what the tree of blocks is rebuilt from at the start.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn above_final(&self) -> Result<Vec<StoredHeader>, StoreError>;

    /// The last signature that this node gave.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn signing_record(&self) -> Result<Option<SigningRecord>, StoreError>;

    /// Where a transaction stands in the canonical chain.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn transaction(&self, hash: Hash) -> Result<Option<Location>, StoreError>;

    /// Says that these bodies will probably be committed soon, so that the disk can begin with them. It returns at once, and changes nothing that
    /// anybody could read: what is never committed is forgotten.
    fn write_ahead(&self, bodies: Vec<(BlockKey, Body)>);

    /// Writes everything in the batch, or nothing. Once it has returned, every read sees it and it survives what `durability` says (a batch
    /// with a signing record is always durable). Committing the same batch again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] before anything is written: free space and commit the same batch again. [`StoreError::Io`] when writing or
    /// syncing failed: from then on [`StoreError::Poisoned`] until the store is opened again.
    fn commit(&self, batch: Batch, durability: Durability) -> Result<Committed, StoreError>;
}

/// The state of one moment.
pub trait Pinned: Send + Sync + 'static {
    /// A value of the state.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn state(&self, key: StateKey) -> Result<Option<Bytes>, StoreError>;

    /// As [`Store::accounts`], but all pages are of this moment.
    ///
    /// # Errors
    /// As for [`Store::head`].
    fn accounts(
        &self,
        bucket: u8,
        after: Option<[u8; 20]>,
        limit: Limit,
    ) -> Result<Vec<StateEntry>, StoreError>;
}
