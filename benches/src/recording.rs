//! A store in memory that keeps every batch that is committed to it, so that the same batches can be committed to a disk, and nothing else.

use std::sync::{Mutex, PoisonError};

use alys_chain::consensus::SigningRecord;
use alys_chain::{BlockId, Body, Hash, Height};
use alys_storage::{
    Batch, BlockKey, CertifiedBytes, ChainStore, Committed, Durability, Limit, Location, MemoryDisk,
    StateEntry, StateKey, Store, StoreError, StoredHeader,
};
use bytes::Bytes;

/// The store.
pub struct Recording {
    inner: ChainStore,
    batches: Mutex<Vec<Batch>>,
}

impl Recording {
    /// An empty one.
    pub fn new(genesis: BlockId) -> Result<Self, StoreError> {
        Ok(Self { inner: MemoryDisk::new().open(genesis)?, batches: Mutex::default() })
    }

    /// Takes out what was committed until now.
    pub fn take(&self) -> Vec<Batch> {
        std::mem::take(&mut self.batches.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for Recording {
    fn commit(&self, batch: Batch, durability: Durability) -> Result<Committed, StoreError> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).push(batch.clone());
        self.inner.commit(batch, durability)
    }

    fn genesis(&self) -> BlockId {
        self.inner.genesis()
    }

    fn head(&self) -> Result<BlockKey, StoreError> {
        self.inner.head()
    }

    fn finalized(&self) -> Result<BlockKey, StoreError> {
        self.inner.finalized()
    }

    fn header(&self, id: BlockId) -> Result<Option<StoredHeader>, StoreError> {
        self.inner.header(id)
    }

    fn body(&self, id: BlockId) -> Result<Option<Body>, StoreError> {
        self.inner.body(id)
    }

    fn canonical(&self, height: Height) -> Result<Option<BlockId>, StoreError> {
        self.inner.canonical(height)
    }

    fn certified_headers(&self, from: Height, limit: Limit) -> Result<Vec<CertifiedBytes>, StoreError> {
        self.inner.certified_headers(from, limit)
    }

    fn bodies(&self, ids: &[BlockId], limit: Limit) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.inner.bodies(ids, limit)
    }

    fn state(&self, key: StateKey) -> Result<Option<Bytes>, StoreError> {
        self.inner.state(key)
    }

    fn accounts(
        &self,
        bucket: u8,
        after: Option<[u8; 20]>,
        limit: Limit,
    ) -> Result<Vec<StateEntry>, StoreError> {
        self.inner.accounts(bucket, after, limit)
    }

    fn diff(&self, block: BlockKey) -> Result<Option<Bytes>, StoreError> {
        self.inner.diff(block)
    }

    fn above_final(&self) -> Result<Vec<StoredHeader>, StoreError> {
        self.inner.above_final()
    }

    fn signing_record(&self) -> Result<Option<SigningRecord>, StoreError> {
        self.inner.signing_record()
    }

    fn transaction(&self, hash: Hash) -> Result<Option<Location>, StoreError> {
        self.inner.transaction(hash)
    }
}
