//! Stores with something done at each commit: one that keeps every batch, so that the same batches can be committed to a disk, and nothing
//! else; and one that is no faster than it is told.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use alys_chain::consensus::SigningRecord;
use alys_chain::{BlockId, Body, Hash, Height};
use alys_storage::{
    Batch, BlockKey, CertifiedBytes, Committed, Durability, Limit, Location, MemoryDisk, Pinned, Staged,
    StateEntry, StateKey, Store, StoreError, StoredHeader,
};
use bytes::Bytes;
use tokio::time::Instant;

use crate::proxy::Bucket;

/// What a capped importer may save up: so much that its cap holds for its work and its waiting together, so little that it cannot catch up
/// after it has starved.
const SAVED_UP: Duration = Duration::from_millis(100);

/// What happens at a commit.
enum Habit {
    /// Every batch is kept.
    Keeps(Mutex<Vec<Batch>>),
    /// It takes as long as so many blocks may.
    Dawdles { since: Instant, blocks: Mutex<Bucket>, nobody: Condvar },
}

/// A store with a habit.
pub struct Peculiar {
    inner: Arc<dyn Store>,
    habit: Habit,
}

impl Peculiar {
    /// An empty one in memory that keeps every batch.
    pub fn recording(genesis: BlockId) -> Result<Self, StoreError> {
        let inner = Arc::new(MemoryDisk::new().open(genesis)?);
        Ok(Self { inner, habit: Habit::Keeps(Mutex::default()) })
    }

    /// One that commits no more than so many blocks a second.
    pub fn capped(inner: Arc<dyn Store>, blocks_per_second: u64) -> Self {
        let blocks = Mutex::new(Bucket::new(blocks_per_second, SAVED_UP));
        Self { inner, habit: Habit::Dawdles { since: Instant::now(), blocks, nobody: Condvar::new() } }
    }

    /// Takes out what was kept until now.
    pub fn take(&self) -> Vec<Batch> {
        match &self.habit {
            Habit::Keeps(batches) => {
                std::mem::take(&mut batches.lock().unwrap_or_else(PoisonError::into_inner))
            }
            Habit::Dawdles { .. } => Vec::new(),
        }
    }
}

impl Store for Peculiar {
    fn write_ahead(&self, bodies: Vec<(BlockKey, Body)>) {
        self.inner.write_ahead(bodies);
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<Committed, StoreError> {
        match &self.habit {
            Habit::Keeps(batches) => {
                batches.lock().unwrap_or_else(PoisonError::into_inner).push(batch.clone());
                self.inner.commit(batch, durability)
            }
            Habit::Dawdles { since, blocks, nobody } => {
                let before = self.inner.head()?.height;
                let committed = self.inner.commit(batch, durability)?;
                let more = self.inner.head()?.height.0.saturating_sub(before.0);
                let mut bucket = blocks.lock().unwrap_or_else(PoisonError::into_inner);
                let now = since.elapsed();
                let wait = bucket.take(now, more).saturating_sub(now);
                // Commits are made in a thread that may block.
                drop(nobody.wait_timeout_while(bucket, wait, |_| true));
                Ok(committed)
            }
        }
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

    fn pin(&self) -> Result<Arc<dyn Pinned>, StoreError> {
        self.inner.pin()
    }

    fn earliest(&self) -> Result<Height, StoreError> {
        self.inner.earliest()
    }

    fn staged(&self) -> Result<Option<Staged>, StoreError> {
        self.inner.staged()
    }

    fn staged_state(&self, key: StateKey) -> Result<Option<Bytes>, StoreError> {
        self.inner.staged_state(key)
    }

    fn clear_staged(&self) -> Result<(), StoreError> {
        self.inner.clear_staged()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn block(height: u64) -> BlockKey {
        BlockKey { height: Height(height), id: BlockId([u8::try_from(height).unwrap(); 32]) }
    }

    #[test]
    fn a_recording_store_gives_back_what_was_committed_to_it() {
        let store = Peculiar::recording(BlockId::default()).unwrap();
        let mut batch = Batch::new();
        batch.set_head(block(1));
        store.commit(batch, Durability::Durable).unwrap();
        assert_eq!((store.take().len(), store.take().len()), (1, 0));
        assert_eq!(store.head().unwrap(), block(1));
    }

    #[test]
    fn a_capped_store_takes_its_time_for_the_blocks_beyond_what_it_saved_up() {
        let inner = Arc::new(MemoryDisk::new().open(BlockId::default()).unwrap());
        let store = Peculiar::capped(inner, 100);
        let begin = Instant::now();
        for height in [10, 20, 40] {
            let mut batch = Batch::new();
            batch.set_head(block(height));
            store.commit(batch, Durability::Durable).unwrap();
        }
        // Forty blocks at a hundred a second, of which ten were saved up at most.
        assert!(begin.elapsed() >= Duration::from_millis(300), "{:?}", begin.elapsed());
    }
}
