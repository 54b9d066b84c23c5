//! The meaning of the rows: [`Store`] over any backend. Both backends share it, so they cannot differ in anything but how bytes are kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use alys_chain::consensus::SigningRecord;
use alys_chain::{BlockId, Body, CertifiedHeader, Hash, Height};
use bytes::Bytes;

use crate::codec::{self, Kind};
use crate::generation::{self, Live};
use crate::tables::{Change, Row, Table, Tables, View, meta};
use crate::{
    Batch, BlockKey, CertifiedBytes, Committed, Durability, Limit, Location, Pinned, Staged, StateEntry,
    StateKey, Store, StoreError, StoredHeader,
};

/// The version of the tables and rows. Another one is refused, never converted silently.
const FORMAT: u64 = 2;

/// A database of one chain over a backend: [`crate::fjall::open`] or [`crate::MemoryDisk::open`].
pub struct ChainStore {
    tables: Box<dyn Tables>,
    genesis: BlockId,
    /// The number of the last commit. Held during a commit: there is one writer.
    commits: Mutex<u64>,
    live: Live,
    /// The lowest height with a body.
    earliest: AtomicU64,
}

impl ChainStore {
    /// Takes a backend over: checks that it belongs to this network, or marks an empty one.
    pub(crate) fn open(
        tables: Box<dyn Tables>,
        path: &std::path::Path,
        genesis: BlockId,
    ) -> Result<Self, StoreError> {
        let view = tables.view()?;
        let commits = check_origin(&*view, path, genesis)?;
        let (live, earliest) = (Live::load(&*view)?, read_earliest(&*view)?);
        drop(view);
        let fresh = commits.is_none();
        let commits = Mutex::new(commits.unwrap_or(0));
        let store = Self { tables, genesis, commits, live, earliest: AtomicU64::new(earliest.get()) };
        if fresh {
            let mut batch = Batch::new();
            batch.put_meta(meta::GENESIS, Bytes::copy_from_slice(genesis.as_bytes()));
            batch.put_meta(meta::FORMAT, Bytes::copy_from_slice(&FORMAT.to_be_bytes()));
            store.commit(batch, Durability::Durable)?;
        }
        Ok(store)
    }

    /// The bytes of a body; `None` where it is not here.
    fn body_bytes(&self, view: &dyn View, id: BlockId) -> Result<Option<Bytes>, StoreError> {
        let Some(block) = locate(view, id)? else {
            return Ok(None);
        };
        let row = view.get(Table::Bodies, &codec::block_key(block))?;
        // An empty body has no row; neither has one that never came.
        let came =
            block.height == Height::ZERO || block.height.get() >= self.earliest.load(Ordering::Acquire);
        Ok(row.or_else(|| came.then(Bytes::new)))
    }

    /// One write, and what follows from it in memory.
    fn write(
        &self,
        mut batch: Vec<Change>,
        adopts: bool,
        durability: Durability,
    ) -> Result<Committed, StoreError> {
        // A thread that panicked here left the number as it was: the number moves only after a write.
        let mut commits = self.commits.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let number = commits.saturating_add(1);
        self.live.translate(&mut batch);
        let adopts = adopts && self.tables.view()?.get(Table::Meta, meta::SNAPSHOT)?.is_some();
        if adopts {
            batch.extend(self.live.replaced());
        }
        self.tables.write(number, batch, durability)?;
        if adopts {
            self.live.flip();
        }
        *commits = number;
        Ok(Committed { number, durability })
    }

    /// Removes rows whose keys are those on disk.
    fn remove(&self, rows: Vec<Change>) -> Result<(), StoreError> {
        let mut commits = self.commits.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let number = commits.saturating_add(1);
        self.tables.write(number, rows, Durability::Buffered)?;
        *commits = number;
        Ok(())
    }

    fn pointer(&self, key: &[u8]) -> Result<BlockKey, StoreError> {
        let row = self.tables.view()?.get(Table::Meta, key)?;
        row.map_or(Ok(BlockKey::new(Height::ZERO, self.genesis)), |row| codec::read_block(&row))
    }
}

/// The number of commits of the database, `None` if it is empty.
fn check_origin(
    view: &dyn View,
    path: &std::path::Path,
    expected: BlockId,
) -> Result<Option<u64>, StoreError> {
    let Some(commits) = view.get(Table::Meta, meta::COMMITS)? else {
        return Ok(None);
    };
    let format = view.get(Table::Meta, meta::FORMAT)?.ok_or_else(|| StoreError::corrupted("no format"))?;
    let format = codec::read_number(&format)?;
    if format != FORMAT {
        return Err(StoreError::WrongVersion { path: path.to_owned(), found: format, expected: FORMAT });
    }
    let found = view.get(Table::Meta, meta::GENESIS)?.ok_or_else(|| StoreError::corrupted("no genesis"))?;
    let found = codec::read_id(&found)?;
    if found != expected {
        return Err(StoreError::WrongGenesis { path: path.to_owned(), found, expected });
    }
    codec::read_commits(&commits).map(|(number, _)| Some(number))
}

fn locate(view: &dyn View, id: BlockId) -> Result<Option<BlockKey>, StoreError> {
    let row = view.get(Table::Ids, id.as_bytes())?;
    row.map(|row| Ok(BlockKey::new(codec::read_height(&row)?, id))).transpose()
}

fn stored_header(
    block: BlockKey,
    row: &[u8],
    certificate: Option<&Bytes>,
) -> Result<StoredHeader, StoreError> {
    let (header, lineage) = codec::read_header_row(row)?;
    let certificate = certificate.map(|row| codec::read_certificate(row)).transpose()?;
    Ok(StoredHeader { id: block.id, header, certificate, lineage })
}

/// The lowest height with a body.
fn read_earliest(view: &dyn View) -> Result<Height, StoreError> {
    let row = view.get(Table::Meta, meta::EARLIEST)?;
    row.map_or(Ok(Height(1)), |row| codec::read_height(&row))
}

/// A page of a bucket.
fn accounts(
    view: &dyn View,
    generation: u8,
    (bucket, after): (u8, Option<[u8; 20]>),
    limit: Limit,
) -> Result<Vec<StateEntry>, StoreError> {
    let mut room = Room::new(limit);
    let mut found = Vec::new();
    let start = codec::state_start(bucket, after, generation);
    for row in view.scan(Table::State, &start, &codec::state_end(bucket, generation)) {
        let (key, value) = row?;
        if !room.take(value.len()) {
            break;
        }
        found.push(StateEntry { address: codec::read_account_key(&key)?, value });
    }
    Ok(found)
}

/// The state of one moment, in the generation that was live then.
struct PinnedState {
    view: Box<dyn View + Send + Sync>,
    generation: u8,
}

impl Pinned for PinnedState {
    fn state(&self, key: StateKey) -> Result<Option<Bytes>, StoreError> {
        self.view.get(Table::State, &codec::state_key(key, self.generation))
    }

    fn accounts(
        &self,
        bucket: u8,
        after: Option<[u8; 20]>,
        limit: Limit,
    ) -> Result<Vec<StateEntry>, StoreError> {
        accounts(&*self.view, self.generation, (bucket, after), limit)
    }
}

/// How much of a limit is left. The first row always fits.
struct Room {
    limit: Limit,
    rows: usize,
    bytes: usize,
}

impl Room {
    const fn new(limit: Limit) -> Self {
        Self { limit, rows: 0, bytes: 0 }
    }

    /// Whether one more row of this size fits; counts it if so.
    const fn take(&mut self, bytes: usize) -> bool {
        let total = self.bytes.saturating_add(bytes);
        if self.rows >= self.limit.count || (self.rows > 0 && total > self.limit.bytes) {
            return false;
        }
        self.rows += 1;
        self.bytes = total;
        true
    }
}

/// Walks the rows of the table of headers block by block.
struct Blocks<'a> {
    rows: std::iter::Peekable<crate::tables::Rows<'a>>,
}

impl<'a> Blocks<'a> {
    fn from(view: &'a dyn View, height: Height) -> Self {
        let rows = view.scan(Table::Headers, &codec::height(height), &codec::END_OF_HEIGHTS);
        Self { rows: rows.peekable() }
    }

    /// The certificate behind the header, if there is one.
    fn certificate(&mut self, of: BlockKey) -> Result<Option<Bytes>, StoreError> {
        let behind = codec::certificate_key(of);
        match self.rows.next_if(|row| row.as_ref().map_or(true, |(key, _)| *key == behind)) {
            None => Ok(None),
            Some(row) => row.map(|(_, certificate)| Some(certificate)),
        }
    }

    fn read(&mut self, (key, header): Row) -> Result<(BlockKey, Bytes, Option<Bytes>), StoreError> {
        match codec::read_header_key(&key)? {
            (block, Kind::Header) => Ok((block, header, self.certificate(block)?)),
            (block, Kind::Certificate) => {
                Err(StoreError::corrupted(format!("a certificate without its header {}", block.id)))
            }
        }
    }
}

impl Iterator for Blocks<'_> {
    type Item = Result<(BlockKey, Bytes, Option<Bytes>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        Some(row.and_then(|row| self.read(row)))
    }
}

/// The ids of the canonical chain from a height on, for as long as there is no gap.
fn canonical_chain(view: &dyn View, from: Height) -> impl Iterator<Item = Result<BlockKey, StoreError>> {
    let rows = view.scan(Table::Canonical, &codec::height(from), &codec::END_OF_HEIGHTS);
    let mut expected = Some(from);
    rows.map(|row| {
        let (key, id) = row?;
        Ok(BlockKey::new(codec::read_height(&key)?, codec::read_id(&id)?))
    })
    .take_while(move |block: &Result<BlockKey, StoreError>| match block {
        Ok(block) => {
            let contiguous = expected == Some(block.height);
            expected = block.height.next();
            contiguous
        }
        Err(_) => true,
    })
}

impl Store for ChainStore {
    fn genesis(&self) -> BlockId {
        self.genesis
    }

    fn head(&self) -> Result<BlockKey, StoreError> {
        self.pointer(meta::HEAD)
    }

    fn finalized(&self) -> Result<BlockKey, StoreError> {
        self.pointer(meta::FINAL)
    }

    fn header(&self, id: BlockId) -> Result<Option<StoredHeader>, StoreError> {
        let view = self.tables.view()?;
        let Some(block) = locate(&*view, id)? else {
            return Ok(None);
        };
        let row = view.get(Table::Headers, &codec::header_key(block))?;
        let row = row.ok_or_else(|| StoreError::corrupted(format!("the header of {id} is missing")))?;
        let certificate = view.get(Table::Headers, &codec::certificate_key(block))?;
        stored_header(block, &row, certificate.as_ref()).map(Some)
    }

    fn body(&self, id: BlockId) -> Result<Option<Body>, StoreError> {
        Ok(self.body_bytes(&*self.tables.view()?, id)?.map(Body))
    }

    fn canonical(&self, height: Height) -> Result<Option<BlockId>, StoreError> {
        let row = self.tables.view()?.get(Table::Canonical, &codec::height(height))?;
        row.map(|row| codec::read_id(&row)).transpose()
    }

    fn certified_headers(&self, from: Height, limit: Limit) -> Result<Vec<CertifiedBytes>, StoreError> {
        let view = self.tables.view()?;
        let mut stored = Blocks::from(&*view, from);
        let mut room = Room::new(limit);
        let mut found = Vec::new();
        for canonical in canonical_chain(&*view, from).take(limit.count) {
            let canonical = canonical?;
            let row = stored
                .find(|row| row.as_ref().map_or(true, |(block, _, _)| *block >= canonical))
                .transpose()?;
            let Some((block, header, Some(certificate))) = row.filter(|(block, _, _)| *block == canonical)
            else {
                break;
            };
            if !room.take(CertifiedHeader::SIZE) {
                break;
            }
            let (header, _lineage) = codec::split_header_row(&header)?;
            found.push(CertifiedBytes { block, bytes: [header, &certificate].concat().into() });
        }
        Ok(found)
    }

    fn bodies(&self, ids: &[BlockId], limit: Limit) -> Result<Vec<Option<Bytes>>, StoreError> {
        let view = self.tables.view()?;
        let mut room = Room::new(limit);
        let mut found = Vec::new();
        for id in ids.iter().take(limit.count) {
            let body = self.body_bytes(&*view, *id)?;
            if !room.take(body.as_ref().map_or(0, Bytes::len)) {
                break;
            }
            found.push(body);
        }
        Ok(found)
    }

    fn state(&self, key: StateKey) -> Result<Option<Bytes>, StoreError> {
        self.live.read(|live| self.tables.view()?.get(Table::State, &codec::state_key(key, live)))
    }

    fn accounts(
        &self,
        bucket: u8,
        after: Option<[u8; 20]>,
        limit: Limit,
    ) -> Result<Vec<StateEntry>, StoreError> {
        self.live.read(|live| accounts(&*self.tables.view()?, live, (bucket, after), limit))
    }

    fn pin(&self) -> Result<Arc<dyn Pinned>, StoreError> {
        let (view, generation) = self.live.read(|live| Ok((self.tables.pin()?, live)))?;
        Ok(Arc::new(PinnedState { view, generation }))
    }

    fn earliest(&self) -> Result<Height, StoreError> {
        Ok(Height(self.earliest.load(Ordering::Acquire)))
    }

    fn staged(&self) -> Result<Option<Staged>, StoreError> {
        let view = self.tables.view()?;
        let Some(snapshot) = view.get(Table::Meta, meta::SNAPSHOT)? else { return Ok(None) };
        Ok(Some(Staged { snapshot, complete: generation::complete(&*view)? }))
    }

    fn staged_state(&self, key: StateKey) -> Result<Option<Bytes>, StoreError> {
        self.live.read(|live| self.tables.view()?.get(Table::State, &codec::state_key(key, 1 - live)))
    }

    fn clear_staged(&self) -> Result<(), StoreError> {
        if self.tables.view()?.get(Table::Meta, meta::SNAPSHOT)?.is_some() {
            self.write(generation::forgotten(), false, Durability::Buffered)?;
        }
        loop {
            let rows = self.live.leftovers(&*self.tables)?;
            if rows.is_empty() {
                return Ok(());
            }
            self.remove(rows)?;
        }
    }

    fn diff(&self, block: BlockKey) -> Result<Option<Bytes>, StoreError> {
        self.tables.view()?.get(Table::Diffs, &codec::block_key(block))
    }

    fn above_final(&self) -> Result<Vec<StoredHeader>, StoreError> {
        let view = self.tables.view()?;
        let finalized = view.get(Table::Meta, meta::FINAL)?;
        let finalized =
            finalized.map_or(Ok(Height::ZERO), |row| codec::read_block(&row).map(|block| block.height))?;
        let Some(above) = finalized.next() else {
            return Ok(Vec::new());
        };
        Blocks::from(&*view, above)
            .map(|row| {
                row.and_then(|(block, header, certificate)| {
                    stored_header(block, &header, certificate.as_ref())
                })
            })
            .collect()
    }

    fn signing_record(&self) -> Result<Option<SigningRecord>, StoreError> {
        let row = self.tables.view()?.get(Table::Meta, meta::SIGNING)?;
        row.map(|row| codec::read_signing(&row)).transpose()
    }

    fn transaction(&self, hash: Hash) -> Result<Option<Location>, StoreError> {
        let row = self.tables.view()?.get(Table::Transactions, hash.as_bytes())?;
        row.map(|row| codec::read_location(&row)).transpose()
    }

    fn write_ahead(&self, bodies: Vec<(BlockKey, Body)>) {
        let rows = bodies.into_iter().filter(|(_, body)| !body.0.is_empty());
        self.tables.write_ahead(rows.map(|(block, body)| (codec::block_key(block), body.0)).collect());
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<Committed, StoreError> {
        let durability = if batch.signs() { Durability::Durable } else { durability };
        let (adopts, earliest) =
            (batch.adopts(), batch.earliest().map(|row| codec::read_height(row)).transpose()?);
        let committed = self.write(batch.into_changes(), adopts, durability)?;
        if let Some(earliest) = earliest {
            self.earliest.store(earliest.get(), Ordering::Release);
        }
        Ok(committed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDisk;

    const GENESIS: BlockId = BlockId([7; 32]);

    /// A store whose rows were changed behind its back.
    fn tampered(change: impl FnOnce(&mut Batch)) -> (MemoryDisk, ChainStore) {
        let disk = MemoryDisk::new();
        let store = disk.open(GENESIS).unwrap();
        let mut batch = Batch::new();
        change(&mut batch);
        store.commit(batch, Durability::Durable).unwrap();
        (disk, store)
    }

    #[test]
    fn another_format_is_refused() {
        let (disk, _) =
            tampered(|batch| batch.put_meta(meta::FORMAT, Bytes::copy_from_slice(&9_u64.to_be_bytes())));
        assert!(matches!(
            disk.open(GENESIS),
            Err(StoreError::WrongVersion { found: 9, expected: FORMAT, .. })
        ));
    }

    #[test]
    fn rows_that_make_no_sense_are_damage() {
        let damage = |found: Option<StoreError>| {
            assert!(matches!(found, Some(StoreError::Corrupted { .. })), "{found:?}")
        };
        let short = Bytes::from_static(b"short");
        for key in [meta::FORMAT, meta::GENESIS] {
            damage(tampered(|batch| batch.put_meta(key, short.clone())).0.open(GENESIS).err());
        }
        damage(tampered(|batch| batch.put_meta(meta::HEAD, short.clone())).1.head().err());
        damage(tampered(|batch| batch.put_meta(meta::FINAL, short.clone())).1.above_final().err());
        damage(tampered(|batch| batch.put_meta(meta::SIGNING, short.clone())).1.signing_record().err());
    }

    #[test]
    fn a_certificate_without_its_header_is_damage() {
        let quorum = alys_chain::SetQuorum { set: alys_chain::SetId(0), signers: 1, signature: [1; 48] };
        let (height, slot) = (Height(4), alys_chain::Slot(4));
        let certificate = alys_chain::Certificate { slot, height, block: GENESIS, quorum, joint: None };
        let (_, store) = tampered(|batch| {
            batch.certify(&certificate);
        });
        assert!(matches!(store.above_final(), Err(StoreError::Corrupted { .. })));
    }
}
