//! The twin of the database, in memory: same rows, same promises, and the power to break things on purpose.
//!
//! A [`MemoryDisk`] outlives the stores that are opened on it, as a disk outlives processes. [`MemoryDisk::crash`] is the loss of power: it
//! takes every commit since the last durable one, and the handles that were open. Opening again, like restarting, clears what a failed
//! commit poisoned.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use alys_chain::BlockId;
use bytes::Bytes;

use crate::codec;
use crate::layout::ChainStore;
use crate::tables::{Change, Rows, Table, Tables, View, meta};
use crate::{Durability, StoreError};

/// What a commit can fail with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No room: nothing is written, the same commit can be tried again.
    DiskFull,
    /// The sync fails: readers do not see the batch, nothing is acknowledged any more, and the next start finds the batch, unless the power
    /// failed before.
    Io,
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    disk: Arc<RwLock<Disk>>,
}

#[derive(Default)]
struct Disk {
    tables: [BTreeMap<Bytes, Bytes>; Table::ALL.len()],
    /// What the rows were before each change since the last durable commit, oldest first.
    undo: Vec<Change>,
    /// What a failed sync left behind: a restart finds it, a loss of power does not.
    uncertain: Vec<Change>,
    /// Opening, and a crash, end the life of older handles.
    life: u64,
    poisoned: bool,
    /// Commits from now until one fails (1 is the next), and how.
    failing: Option<(u64, Fault)>,
    reads_fail: bool,
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the database on this disk. Handles that are still open are cut off.
    ///
    /// # Errors
    /// [`StoreError::WrongGenesis`], or a fault that was asked for.
    pub fn open(&self, genesis: BlockId) -> Result<ChainStore, StoreError> {
        let life = {
            let mut disk = self.write();
            disk.life += 1;
            disk.poisoned = false;
            let uncertain = std::mem::take(&mut disk.uncertain);
            disk.apply(uncertain);
            disk.life
        };
        ChainStore::open(Box::new(MemoryTables { disk: self.disk.clone(), life }), &path(), genesis)
    }

    /// The power fails: every commit since the last durable one is gone, and so are the open handles.
    pub fn crash(&self) {
        let mut disk = self.write();
        disk.life += 1;
        disk.uncertain.clear();
        while let Some(Change { table, key, value }) = disk.undo.pop() {
            disk.put(table, key.into(), value);
        }
    }

    /// Lets the `nth` commit from now fail (1 is the next one).
    pub fn fail_commit(&self, nth: u64, fault: Fault) {
        self.write().failing = Some((nth.max(1), fault));
    }

    /// Lets every read fail, or succeed again.
    pub fn fail_reads(&self, fail: bool) {
        self.write().reads_fail = fail;
    }

    fn write(&self) -> RwLockWriteGuard<'_, Disk> {
        self.disk.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    /// Changes a row and returns what it was.
    fn put(&mut self, table: Table, key: Bytes, value: Option<Bytes>) -> Option<Bytes> {
        let rows = &mut self.tables[table.index()];
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        }
    }

    /// The fault whose turn it is.
    fn fault(&mut self) -> Option<Fault> {
        let (left, fault) = self.failing.take()?;
        if left <= 1 {
            return Some(fault);
        }
        self.failing = Some((left - 1, fault));
        None
    }

    fn apply(&mut self, changes: Vec<Change>) {
        for Change { table, key, value } in changes {
            let before = self.put(table, Bytes::copy_from_slice(&key), value);
            self.undo.push(Change { table, key, value: before });
        }
    }
}

struct MemoryTables {
    disk: Arc<RwLock<Disk>>,
    life: u64,
}

impl Tables for MemoryTables {
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        let disk = self.disk.read().unwrap_or_else(PoisonError::into_inner);
        if disk.life != self.life || disk.reads_fail {
            return Err(StoreError::file(
                "read",
                &path(),
                io::Error::other("the disk in memory was told to fail, or crashed"),
            ));
        }
        Ok(Box::new(MemoryView { disk }))
    }

    fn pin(&self) -> Result<Box<dyn View + Send + Sync>, StoreError> {
        drop(self.view()?);
        let disk = self.disk.read().unwrap_or_else(PoisonError::into_inner);
        let rows = [Table::State, Table::Meta].map(|table| disk.tables[table.index()].clone());
        Ok(Box::new(MemoryPinned { rows }))
    }

    fn write(&self, number: u64, mut changes: Vec<Change>, durability: Durability) -> Result<(), StoreError> {
        let commits = codec::commits_row(number, 0);
        changes.push(Change { table: Table::Meta, key: meta::COMMITS.to_vec(), value: Some(commits) });
        let mut disk = self.disk.write().unwrap_or_else(PoisonError::into_inner);
        if disk.poisoned || disk.life != self.life {
            return Err(StoreError::Poisoned);
        }
        match disk.fault() {
            Some(Fault::DiskFull) => {
                return Err(StoreError::DiskFull { path: path(), available: 0, needed: 1 });
            }
            Some(Fault::Io) => {
                disk.uncertain = changes;
                disk.poisoned = true;
                return Err(StoreError::file(
                    "sync",
                    &path(),
                    io::Error::other("the disk in memory was told to fail"),
                ));
            }
            None => disk.apply(changes),
        }
        if durability == Durability::Durable {
            disk.undo.clear();
        }
        Ok(())
    }
}

/// What errors name as the place.
fn path() -> PathBuf {
    PathBuf::from("(memory)")
}

/// Holds the disk still while it is read.
struct MemoryView<'a> {
    disk: RwLockReadGuard<'a, Disk>,
}

impl View for MemoryView<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.disk.tables[table.index()].get(key).cloned())
    }

    fn scan(&self, table: Table, start: &[u8], end: &[u8]) -> Rows<'_> {
        rows(&self.disk.tables[table.index()], start, end)
    }
}

/// The rows with `start <= key < end`.
fn rows<'a>(table: &'a BTreeMap<Bytes, Bytes>, start: &[u8], end: &[u8]) -> Rows<'a> {
    if start >= end {
        return Box::new(std::iter::empty());
    }
    let range = (Bound::Included(start), Bound::Excluded(end));
    Box::new(table.range::<[u8], _>(range).map(|(key, value)| Ok((key.clone(), value.clone()))))
}

/// Copies of the tables that can be read in a pinned view.
struct MemoryPinned {
    /// The state, and single values.
    rows: [BTreeMap<Bytes, Bytes>; 2],
}

impl MemoryPinned {
    fn table(&self, table: Table) -> &BTreeMap<Bytes, Bytes> {
        &self.rows[usize::from(table != Table::State)]
    }
}

impl View for MemoryPinned {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.table(table).get(key).cloned())
    }

    fn scan(&self, table: Table, start: &[u8], end: &[u8]) -> Rows<'_> {
        rows(self.table(table), start, end)
    }
}
