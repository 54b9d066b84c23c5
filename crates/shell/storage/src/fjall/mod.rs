//! The database on disk: fjall, a log-structured store in plain Rust with a checksummed journal and atomic batches over its keyspaces.
//!
//! - **Owns**: one directory. Nothing else may write to it; a second process is refused.
//! - **Large bodies** lie beside the database, in files that only grow (see `bodies`).
//! - **Durable** means that fdatasync of the journal has returned, and that of the bodies before it. Then the number of the commit is noted beside the database (see `note`),
//!   so that the next start knows what must be there.
//! - **At the start** the journal is checked batch by batch (see `journal`): what a loss of power tore off is cut away, damage in what was
//!   acknowledged is an error. So are the lists of tables (see `manifest`). The tables themselves carry checksums that every read checks.
//! - **On failure** of a write or a sync: the error, then [`StoreError::Poisoned`] for every commit until the store is opened again. What the
//!   kernel kept of a failed sync is unknown, so no later sync is believed. Reading goes on.
//!
//! Values are copied in and out, so that neither a cached row nor a network buffer pins the memory of the other.

mod ahead;
mod bodies;
mod journal;
mod manifest;
mod note;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ::fjall::{
    Database, Keyspace, KeyspaceCreateOptions, LsmError, OwnedWriteBatch, PersistMode, Readable, Snapshot,
};
use alys_chain::BlockId;
use bytes::Bytes;

use crate::codec;
use crate::layout::ChainStore;
use crate::tables::{Change, Row, Rows, Table, Tables, View, meta};
use crate::{Durability, StoreError};
use ahead::Ahead;
use bodies::{BodyFiles, End};
use note::Note;

const MIB: u64 = 1024 * 1024;

/// Flushing and compaction. One thread of each kind keeps writes from stalling; more would take cores from checking signatures.
const WORKERS: usize = 2;

/// Open files of the database. The usual limit of a process is 1,024, of which the network wants most; below 64 tables are reopened at
/// nearly every read.
const OPEN_FILES: usize = 128;

/// How much memory and disk the database may take beyond its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Cached pieces of tables, in bytes. Enough for the upper levels of the state of some million accounts; the system's page cache is
    /// behind it, so more would mostly hold the same bytes twice.
    pub cache: u64,
    /// The write buffer of the bodies, in bytes (large ones do not go there); those of tables with smaller rows are a fraction of it. A buffer is
    /// sealed by the commit that fills it, and four sealed ones of a table can wait to be written, and a syncing node must stay below 256 MB.
    /// Smaller: more and smaller tables to merge.
    pub buffer: u64,
    /// The journals that may pile up, in bytes on disk, at least 64 MiB. Bounds how long a start has to read.
    pub journal: u64,
    /// Free bytes on the disk below which nothing is written any more. A commit can set off a new journal (64 MiB), the writing of all
    /// buffers and one merge; running out in the middle of one costs a restart, stopping before costs nothing.
    pub reserve: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { cache: 24 * MIB, buffer: 8 * MIB, journal: 128 * MIB, reserve: 256 * MIB }
    }
}

/// Opens the database of the network `genesis` in the directory `path`; creates it if the directory is empty or missing.
///
/// # Errors
/// [`StoreError::WrongGenesis`], [`StoreError::WrongVersion`], [`StoreError::Locked`], [`StoreError::Corrupted`], [`StoreError::Io`],
/// [`StoreError::DiskFull`].
pub fn open(path: &Path, genesis: BlockId) -> Result<ChainStore, StoreError> {
    open_sized(path, genesis, Sizes::default())
}

/// [`open`] with other sizes.
///
/// # Errors
/// As for [`open`].
pub fn open_sized(path: &Path, genesis: BlockId, sizes: Sizes) -> Result<ChainStore, StoreError> {
    // The library asserts what a flipped bit in its own files can break; that must not take the process down.
    catch_unwind(AssertUnwindSafe(|| {
        let tables = FjallTables::open(path, sizes)?;
        ChainStore::open(Box::new(tables), path, genesis)
    }))
    .unwrap_or_else(|_| Err(StoreError::corrupted("the database library gave up on its files")))
}

struct FjallTables {
    path: PathBuf,
    reserve: u64,
    keyspaces: Vec<Keyspace>,
    bodies: Arc<BodyFiles>,
    ahead: Ahead,
    note: Mutex<Note>,
    poisoned: AtomicBool,
    // Last: the keyspaces let go of it before it closes.
    database: Database,
}

impl FjallTables {
    fn open(path: &Path, sizes: Sizes) -> Result<Self, StoreError> {
        std::fs::create_dir_all(path).map_err(|source| StoreError::file("create", path, source))?;
        check_room(path, sizes.reserve)?;
        let lock = journal::lock(path)?;
        let note = Note::open(path)?;
        manifest::check(path, note.acknowledged())?;
        journal::check(path, note.acknowledged())?;
        drop(lock);
        let database = Database::builder(path)
            .cache_size(sizes.cache)
            .max_journaling_size(sizes.journal)
            .max_cached_files(Some(OPEN_FILES))
            .worker_threads(WORKERS)
            .manual_journal_persist(true)
            .open()
            .map_err(|error| failed(path, error))?;
        check_tables(&database, path, note.acknowledged())?;
        let keyspaces =
            Table::ALL.iter().map(|table| database.keyspace(table.name(), || options(*table, sizes)));
        let keyspaces = keyspaces.collect::<Result<Vec<_>, _>>().map_err(|error| failed(path, error))?;
        let bodies = Arc::new(open_bodies(&database, &keyspaces, path)?);
        let ahead = Ahead::start(bodies.clone());
        let ahead = ahead.map_err(|source| StoreError::io("start a thread", source))?;
        let tables = Self {
            path: path.to_owned(),
            reserve: sizes.reserve,
            keyspaces,
            bodies,
            ahead,
            note: Mutex::new(note),
            poisoned: AtomicBool::new(false),
            database,
        };
        tables.check_complete()?;
        Ok(tables)
    }

    /// Everything that was acknowledged as durable is here.
    fn check_complete(&self) -> Result<(), StoreError> {
        let acknowledged = self.note.lock().unwrap_or_else(std::sync::PoisonError::into_inner).acknowledged();
        let view = self.view()?;
        let commits = match view.get(Table::Meta, meta::COMMITS)? {
            Some(row) => codec::read_commits(&row)?.0,
            None => 0,
        };
        if commits < acknowledged {
            return Err(lost(commits, acknowledged));
        }
        if commits == 0 && view.scan(Table::Headers, &[], &codec::END_OF_HEIGHTS).next().is_some() {
            return Err(StoreError::corrupted("blocks without a count of commits"));
        }
        Ok(())
    }

    fn batch(&self, number: u64, changes: Vec<Change>, mode: PersistMode) -> OwnedWriteBatch {
        let mut batch =
            OwnedWriteBatch::with_capacity(self.database.clone(), changes.len().saturating_add(1));
        for Change { table, key, value } in changes {
            let keyspace = &self.keyspaces[table.index()];
            match value {
                Some(value) => batch.insert(keyspace, key, &value[..]),
                None => batch.remove(keyspace, key),
            }
        }
        let commits = codec::commits_row(number, self.database.seqno());
        batch.insert(&self.keyspaces[Table::Meta.index()], meta::COMMITS, &commits[..]);
        batch.durability(Some(mode))
    }

    /// Whatever failed, nothing is acknowledged after it.
    fn poison(&self, error: StoreError) -> StoreError {
        self.poisoned.store(true, Ordering::Release);
        error
    }
}

impl Tables for FjallTables {
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        let (path, keyspaces, bodies) = (&*self.path, &*self.keyspaces, &*self.bodies);
        Ok(Box::new(FjallView { path, keyspaces, bodies, snapshot: self.database.snapshot() }))
    }

    fn pin(&self) -> Result<Box<dyn View + Send + Sync>, StoreError> {
        let (path, keyspaces) = (self.path.clone(), self.keyspaces.clone());
        Ok(Box::new(FjallPinned { path, keyspaces, snapshot: self.database.snapshot() }))
    }

    fn write(&self, number: u64, mut changes: Vec<Change>, durability: Durability) -> Result<(), StoreError> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(StoreError::Poisoned);
        }
        check_room(&self.path, self.reserve)?;
        let mode = match durability {
            Durability::Durable => PersistMode::SyncData,
            Durability::Buffered => PersistMode::Buffer,
        };
        self.bodies.put_apart(&self.ahead, &mut changes).map_err(|error| self.poison(error))?;
        self.batch(number, changes, mode).commit().map_err(|error| self.poison(failed(&self.path, error)))?;
        if durability == Durability::Durable {
            let mut note = self.note.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            note.acknowledge(number).map_err(|error| self.poison(error))?;
        }
        Ok(())
    }

    fn write_ahead(&self, bodies: Vec<(Vec<u8>, Bytes)>) {
        // Without room for them the commit says so, and can be tried again.
        if check_room(&self.path, self.reserve).is_ok() {
            self.ahead.give(bodies);
        }
    }
}

struct FjallView<'a> {
    path: &'a Path,
    keyspaces: &'a [Keyspace],
    bodies: &'a BodyFiles,
    snapshot: Snapshot,
}

impl View for FjallView<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let row = get(&self.snapshot, &self.keyspaces[table.index()], key);
        let row = row.map_err(|error| failed(self.path, error))?;
        if table == Table::Bodies { row.map(|row| self.bodies.body(row)).transpose() } else { Ok(row) }
    }

    fn scan(&self, table: Table, start: &[u8], end: &[u8]) -> Rows<'_> {
        scan(&self.snapshot, &self.keyspaces[table.index()], (start, end), self.path)
    }
}

/// A view that outlives the borrow of its database. The tables are closed when the last one is dropped.
struct FjallPinned {
    path: PathBuf,
    keyspaces: Vec<Keyspace>,
    snapshot: Snapshot,
}

impl View for FjallPinned {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        get(&self.snapshot, &self.keyspaces[table.index()], key).map_err(|error| failed(&self.path, error))
    }

    fn scan(&self, table: Table, start: &[u8], end: &[u8]) -> Rows<'_> {
        scan(&self.snapshot, &self.keyspaces[table.index()], (start, end), &self.path)
    }
}

/// The files of the large bodies, up to where the rows say that they go.
fn open_bodies(database: &Database, keyspaces: &[Keyspace], path: &Path) -> Result<BodyFiles, StoreError> {
    let row = get(&database.snapshot(), &keyspaces[Table::Meta.index()], meta::BODIES_END);
    let end =
        row.map_err(|error| failed(path, error))?.map_or(Ok(End::default()), |row| End::decode(&row))?;
    BodyFiles::open(&path.join("bodies"), end)
}

fn get(snapshot: &Snapshot, keyspace: &Keyspace, key: &[u8]) -> Result<Option<Bytes>, ::fjall::Error> {
    Ok(snapshot.get(keyspace, key)?.map(|value| Bytes::copy_from_slice(&value)))
}

fn scan<'a>(
    snapshot: &Snapshot,
    keyspace: &Keyspace,
    (start, end): (&[u8], &[u8]),
    path: &'a Path,
) -> Rows<'a> {
    if start >= end {
        return Box::new(std::iter::empty());
    }
    let rows = snapshot.range(keyspace, start.to_vec()..end.to_vec());
    Box::new(rows.map(move |row| match row.into_inner() {
        Ok((key, value)) => Ok::<Row, _>((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value))),
        Err(error) => Err(failed(path, error)),
    }))
}

/// A table that lost its files is dropped by the library, and would be made anew: only a database that never committed may lack one.
fn check_tables(database: &Database, path: &Path, acknowledged: u64) -> Result<(), StoreError> {
    let Some(missing) = Table::ALL.iter().find(|table| !database.keyspace_exists(table.name())) else {
        return Ok(());
    };
    let name = Table::Meta.name();
    let committed = database.keyspace_exists(name) && {
        let keyspace =
            database.keyspace(name, KeyspaceCreateOptions::default).map_err(|error| failed(path, error))?;
        keyspace.contains_key(meta::COMMITS).map_err(|error| failed(path, error))?
    };
    if committed || acknowledged > 0 {
        return Err(StoreError::corrupted(format!(
            "{}: the table {} is gone",
            path.display(),
            missing.name()
        )));
    }
    Ok(())
}

/// How a table is kept.
fn options(table: Table, sizes: Sizes) -> KeyspaceCreateOptions {
    // By how many bytes a block puts there.
    let share = match table {
        Table::Bodies => 1,
        Table::Headers | Table::State | Table::Transactions => 2,
        Table::Ids | Table::Canonical | Table::Diffs | Table::Meta => 4,
    };
    KeyspaceCreateOptions::default().max_memtable_size(sizes.buffer / share)
}

/// Refuses before anything is written when the disk is nearly full.
fn check_room(path: &Path, needed: u64) -> Result<(), StoreError> {
    let disk = rustix::fs::statvfs(path)
        .map_err(|error| StoreError::file("look at the disk of", path, error.into()))?;
    let available = disk.f_bavail.saturating_mul(disk.f_frsize);
    if available < needed {
        return Err(StoreError::DiskFull { path: path.to_owned(), available, needed });
    }
    Ok(())
}

fn lost(found: u64, acknowledged: u64) -> StoreError {
    StoreError::corrupted(format!(
        "commit {acknowledged} was acknowledged as durable, the files end with commit {found}"
    ))
}

/// The library's error as ours: whose fault, and what to do.
fn failed(path: &Path, error: ::fjall::Error) -> StoreError {
    match error {
        ::fjall::Error::Io(source) | ::fjall::Error::Storage(LsmError::Io(source)) => failed_io(path, source),
        ::fjall::Error::Locked => StoreError::Locked { path: path.to_owned(), pid: None },
        ::fjall::Error::Poisoned => StoreError::Poisoned,
        other => StoreError::corrupted(format!("{}: {other:?}", path.display())),
    }
}

/// Contents that end too early or make no sense are damage, the rest is the system's refusal.
fn failed_io(path: &Path, source: io::Error) -> StoreError {
    match source.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
            StoreError::corrupted(format!("{}: {source}", path.display()))
        }
        _ => StoreError::file("use the database in", path, source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(number: u8) -> Vec<Change> {
        vec![Change {
            table: Table::Meta,
            key: meta::HEAD.to_vec(),
            value: Some(Bytes::copy_from_slice(&[number; 40])),
        }]
    }

    fn stored(tables: &FjallTables) -> Option<u8> {
        tables.view().unwrap().get(Table::Meta, meta::HEAD).unwrap().map(|row| row[0])
    }

    #[test]
    fn a_disk_that_fills_up_refuses_the_commit_and_takes_it_later() {
        let directory = tempfile::tempdir().unwrap();
        let mut tables = FjallTables::open(directory.path(), Sizes::default()).unwrap();
        tables.write(1, head(1), Durability::Durable).unwrap();
        tables.reserve = u64::MAX;
        let refused = tables.write(2, head(2), Durability::Durable).unwrap_err();
        assert!(matches!(refused, StoreError::DiskFull { .. }) && refused.is_temporary());
        assert_eq!(stored(&tables), Some(1));
        tables.reserve = 0;
        tables.write(2, head(2), Durability::Durable).unwrap();
        assert_eq!(stored(&tables), Some(2));
    }

    #[test]
    fn blocks_without_a_count_of_commits_are_damage() {
        let directory = tempfile::tempdir().unwrap();
        let tables = FjallTables::open(directory.path(), Sizes::default()).unwrap();
        tables.keyspaces[Table::Headers.index()].insert([1; 41], [0; 10]).unwrap();
        assert!(matches!(tables.check_complete(), Err(StoreError::Corrupted { .. })));
    }

    #[test]
    fn every_error_of_the_library_has_a_place() {
        let path = Path::new("/data");
        let io = |kind: io::ErrorKind| ::fjall::Error::Io(kind.into());
        assert!(matches!(failed(path, io(io::ErrorKind::UnexpectedEof)), StoreError::Corrupted { .. }));
        assert!(matches!(failed(path, io(io::ErrorKind::PermissionDenied)), StoreError::Io { .. }));
        assert!(matches!(failed(path, ::fjall::Error::Locked), StoreError::Locked { .. }));
        assert!(matches!(failed(path, ::fjall::Error::Poisoned), StoreError::Poisoned));
        assert!(matches!(failed(path, ::fjall::Error::InvalidTrailer), StoreError::Corrupted { .. }));
        let inner = LsmError::Io(io::ErrorKind::InvalidData.into());
        assert!(matches!(failed(path, ::fjall::Error::Storage(inner)), StoreError::Corrupted { .. }));
    }
}
