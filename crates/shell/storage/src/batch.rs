//! What is written together: a list of changes, built with named verbs.

use std::collections::BTreeMap;

use alys_chain::consensus::SigningRecord;
use alys_chain::{Body, Certificate, Hash, Header, Height, Lineage};
use bytes::Bytes;

use crate::codec;
use crate::generation::{self, STAGED};
use crate::tables::{Change, Table, meta};
use crate::{BlockKey, Location, StateKey};

/// One atomic change of the database. Later verbs win over earlier ones; nothing is read, so the same batch can be committed twice.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// One change a row, in the order of the disk.
    changes: BTreeMap<(Table, Vec<u8>), Option<Bytes>>,
    bytes: usize,
    signs: bool,
    adopts: bool,
}

impl Batch {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a header, its lineage and its body (an empty one takes no room). A certificate that is already
    /// stored stays.
    pub fn put_block(
        &mut self,
        block: BlockKey,
        header: &Header,
        lineage: Lineage,
        body: &Body,
    ) -> &mut Self {
        self.put(Table::Ids, block.id.as_bytes().to_vec(), codec::height(block.height));
        self.put(Table::Headers, codec::header_key(block), codec::header_row(header, lineage));
        if !body.0.is_empty() {
            self.put(Table::Bodies, codec::block_key(block), body.0.clone());
        }
        self
    }

    /// Stores the certificate of the block that it names.
    pub fn certify(&mut self, certificate: &Certificate) -> &mut Self {
        let block = BlockKey::new(certificate.height, certificate.block);
        self.put(Table::Headers, codec::certificate_key(block), Bytes::copy_from_slice(&certificate.encode()))
    }

    /// Removes a block with everything stored under it: header, certificate, lineage, body, diff. Pointers to it are left alone.
    pub fn remove_block(&mut self, block: BlockKey) -> &mut Self {
        self.delete(Table::Ids, block.id.as_bytes().to_vec());
        self.delete(Table::Headers, codec::header_key(block));
        self.delete(Table::Headers, codec::certificate_key(block));
        self.delete(Table::Bodies, codec::block_key(block));
        self.remove_diff(block)
    }

    /// Makes this the block of the canonical chain at its height.
    pub fn make_canonical(&mut self, block: BlockKey) -> &mut Self {
        self.put(
            Table::Canonical,
            codec::height(block.height).to_vec(),
            Bytes::copy_from_slice(block.id.as_bytes()),
        )
    }

    /// Leaves the canonical chain without a block at this height.
    pub fn clear_canonical(&mut self, height: Height) -> &mut Self {
        self.delete(Table::Canonical, codec::height(height).to_vec())
    }

    /// Moves the head.
    pub fn set_head(&mut self, block: BlockKey) -> &mut Self {
        self.put(Table::Meta, meta::HEAD.to_vec(), codec::block_row(block))
    }

    /// Moves the final block.
    pub fn set_final(&mut self, block: BlockKey) -> &mut Self {
        self.put(Table::Meta, meta::FINAL.to_vec(), codec::block_row(block))
    }

    /// Sets a value of the state.
    pub fn put_state(&mut self, key: StateKey, value: &[u8]) -> &mut Self {
        self.put(Table::State, codec::state_key(key, 0), Bytes::copy_from_slice(value))
    }

    /// Removes a value of the state.
    pub fn remove_state(&mut self, key: StateKey) -> &mut Self {
        self.delete(Table::State, codec::state_key(key, 0))
    }

    /// Says which state is being staged from now on: opaque here. Rows of an earlier one are to be removed before
    /// ([`Store::clear_staged`](crate::Store::clear_staged)).
    pub fn begin_staged(&mut self, snapshot: &[u8]) -> &mut Self {
        self.put(Table::Meta, meta::SNAPSHOT.to_vec(), Bytes::copy_from_slice(snapshot))
    }

    /// Sets a value of the staged state.
    pub fn stage_state(&mut self, key: StateKey, value: &[u8]) -> &mut Self {
        let mut key = codec::state_key(key, 0);
        key[0] |= STAGED;
        self.put(Table::State, key, Bytes::copy_from_slice(value))
    }

    /// Says that a bucket of the staged state is complete.
    pub fn complete_bucket(&mut self, bucket: u8) -> &mut Self {
        self.put(Table::Meta, generation::bucket_row(bucket), Bytes::new())
    }

    /// Makes the staged state the live one. Without a staged state, as when the batch is committed again, it changes nothing.
    pub const fn adopt_staged(&mut self) -> &mut Self {
        self.adopts = true;
        self
    }

    /// Moves the lowest height whose body is here, with all above it.
    pub fn set_earliest(&mut self, height: Height) -> &mut Self {
        self.put(Table::Meta, meta::EARLIEST.to_vec(), codec::height(height))
    }

    /// Stores what a block changed in the state, so that it can be undone or applied.
    pub fn put_diff(&mut self, block: BlockKey, diff: &[u8]) -> &mut Self {
        self.put(Table::Diffs, codec::block_key(block), Bytes::copy_from_slice(diff))
    }

    /// Removes a diff: the block became final, or was pruned.
    pub fn remove_diff(&mut self, block: BlockKey) -> &mut Self {
        self.delete(Table::Diffs, codec::block_key(block))
    }

    /// Says where a transaction stands in the canonical chain.
    pub fn index_transaction(&mut self, hash: Hash, location: Location) -> &mut Self {
        self.put(Table::Transactions, hash.as_bytes().to_vec(), codec::location_row(location))
    }

    /// Forgets where a transaction stood.
    pub fn unindex_transaction(&mut self, hash: Hash) -> &mut Self {
        self.delete(Table::Transactions, hash.as_bytes().to_vec())
    }

    /// Records a signature, before it leaves the process (I9). Makes the whole batch durable.
    pub fn record_signing(&mut self, record: SigningRecord) -> &mut Self {
        self.signs = true;
        self.put(Table::Meta, meta::SIGNING.to_vec(), Bytes::copy_from_slice(&record.encode()))
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && !self.adopts
    }

    /// The keys and values in bytes: what a group commit is limited by.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) const fn signs(&self) -> bool {
        self.signs
    }

    pub(crate) const fn adopts(&self) -> bool {
        self.adopts
    }

    /// Where it moves the lowest body to.
    pub(crate) fn earliest(&self) -> Option<&Bytes> {
        self.changes.get(&(Table::Meta, meta::EARLIEST.to_vec()))?.as_ref()
    }

    pub(crate) fn put_meta(&mut self, key: &[u8], value: Bytes) {
        self.put(Table::Meta, key.to_vec(), value);
    }

    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.changes.into_iter().map(|((table, key), value)| Change { table, key, value }).collect()
    }

    fn put(&mut self, table: Table, key: Vec<u8>, value: Bytes) -> &mut Self {
        self.change(table, key, Some(value))
    }

    fn delete(&mut self, table: Table, key: Vec<u8>) -> &mut Self {
        self.change(table, key, None)
    }

    fn change(&mut self, table: Table, key: Vec<u8>, value: Option<Bytes>) -> &mut Self {
        let (key_bytes, value_bytes) = (key.len(), value.as_ref().map_or(0, Bytes::len));
        let replaced = match self.changes.insert((table, key), value) {
            Some(before) => before.map_or(0, |value| value.len()),
            None => {
                self.bytes = self.bytes.saturating_add(key_bytes);
                0
            }
        };
        self.bytes = self.bytes.saturating_add(value_bytes).saturating_sub(replaced);
        self
    }
}
