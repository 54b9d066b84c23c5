//! Two states side by side: the live one that the head stands on, and a staged one that is being fetched. Which is which is one row, so a whole
//! state is replaced at once, however large it is.
//!
//! The first byte of a state's key says the kind of row, plus two for the second generation. A batch does not know which generation is live: it
//! marks the rows of the staged one, and the commit translates.

use core::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;

use crate::StoreError;
use crate::codec;
use crate::tables::{Change, Table, Tables, View, meta};

/// On the first byte of a key in a batch: a row of the staged state.
pub(crate) const STAGED: u8 = 0x80;

/// What the first byte of a key grows by in the second generation.
const SECOND: u8 = 2;

/// Rows removed in one commit: some hundreds of kilobytes of keys. More would hold the writers up.
const REMOVED_AT_ONCE: usize = 10_000;

/// Which of the two states is live: 0 or 1.
#[derive(Debug, Default)]
pub(crate) struct Live(AtomicU8);

impl Live {
    pub fn load(view: &dyn View) -> Result<Self, StoreError> {
        let row = view.get(Table::Meta, meta::GENERATION)?;
        let number = row.map_or(Ok(0), |row| codec::read_number(&row))?;
        match u8::try_from(number) {
            Ok(live @ (0 | 1)) => Ok(Self(AtomicU8::new(live))),
            _ => Err(StoreError::corrupted(format!("the state has the generation {number}"))),
        }
    }

    /// The live state's number.
    pub fn get(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }

    /// Reads from the live state; once more if it was replaced meanwhile.
    pub fn read<T>(&self, read: impl Fn(u8) -> Result<T, StoreError>) -> Result<T, StoreError> {
        loop {
            let live = self.get();
            let found = read(live)?;
            if live == self.get() {
                return Ok(found);
            }
        }
    }

    /// After a commit that made the staged state the live one.
    pub fn flip(&self) {
        self.0.fetch_xor(1, Ordering::AcqRel);
    }

    /// Gives the rows of both states in a batch the keys that they have on disk.
    pub fn translate(&self, changes: &mut [Change]) {
        let live = self.get();
        for change in changes.iter_mut().filter(|change| change.table == Table::State) {
            if let Some(kind) = change.key.first_mut() {
                let generation = if *kind & STAGED == 0 { live } else { 1 - live };
                *kind = prefix(*kind & !STAGED, generation);
            }
        }
    }

    /// The rows of the commit that replaces the live state.
    pub fn replaced(&self) -> Vec<Change> {
        let row = codec::height(alys_chain::Height(u64::from(1 - self.get())));
        let mut changes = forgotten();
        changes.push(Change { table: Table::Meta, key: meta::GENERATION.to_vec(), value: Some(row) });
        changes
    }

    /// Some rows of the state that is not live; none when there are no more.
    pub fn leftovers(&self, tables: &dyn Tables) -> Result<Vec<Change>, StoreError> {
        let view = tables.view()?;
        let generation = 1 - self.get();
        let mut changes = Vec::new();
        for kind in [codec::ACCOUNTS, codec::BUCKETS] {
            let first = prefix(kind, generation);
            for row in view.scan(Table::State, &[first], &[first + 1]).take(REMOVED_AT_ONCE - changes.len()) {
                changes.push(Change { table: Table::State, key: row?.0.to_vec(), value: None });
            }
        }
        Ok(changes)
    }
}

/// The first byte of a key of this kind in a generation.
pub(crate) const fn prefix(kind: u8, generation: u8) -> u8 {
    kind + SECOND * generation
}

/// What is staged, and which buckets of it are complete, is not known any more.
pub(crate) fn forgotten() -> Vec<Change> {
    let bucket = |bucket| Change { table: Table::Meta, key: bucket_row(bucket), value: None };
    let mut changes: Vec<Change> = (0..=u8::MAX).map(bucket).collect();
    changes.push(Change { table: Table::Meta, key: meta::SNAPSHOT.to_vec(), value: None });
    changes
}

/// The row that says that a staged bucket is complete.
pub(crate) fn bucket_row(bucket: u8) -> Vec<u8> {
    [meta::BUCKET, &[bucket]].concat()
}

/// The complete buckets of the staged state, ascending.
pub(crate) fn complete(view: &dyn View) -> Result<Vec<u8>, StoreError> {
    let end = [meta::BUCKET, &[u8::MAX, u8::MAX]].concat();
    let rows = view.scan(Table::Meta, meta::BUCKET, &end);
    rows.map(|row| row.map(|(key, _): (Bytes, Bytes)| key.last().copied().unwrap_or_default())).collect()
}
