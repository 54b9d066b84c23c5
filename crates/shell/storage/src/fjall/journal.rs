//! Reads the journal before the database does, and decides what its end means.
//!
//! The database replays its journal up to the first batch that it cannot read, and cuts off the rest. That is right after a loss of power and
//! wrong after a flipped bit, when acknowledged commits would vanish without a word. So every batch is checked here first: its checksum, its
//! commit number, and that its sequence number (which no checksum covers, and which decides what wins) is one that it can have had.
//!
//! - The journal ends behind the last acknowledged commit, or later: what follows was never acknowledged and is cut away. (The database
//!   itself refuses a batch whose pages reached the disk out of order.)
//! - It ends earlier: an error, and the files stay as they are.
//!
//! The format is fjall's, version 3: a batch is a start (items, sequence number), its items, and an end (xxh3 over the items, magic bytes).

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::tables::meta;
use crate::{StoreError, codec};

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
/// Behind every batch.
const MAGIC: [u8; 4] = *b"FJL\x03";
/// How far the sequence number of a commit may be above the one that was next when it was made: what background work can take in between.
const SEQUENCE_SLACK: u64 = 64;
/// How much is read at once.
const BUFFER: usize = 256 * 1024;

/// Keeps other processes out while the journal is checked: the lock file is the database's own, which takes it again right after.
pub(super) fn lock(directory: &Path) -> Result<Option<File>, StoreError> {
    let path = directory.join("lock");
    let file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoreError::file("open", &path, source)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: directory.to_owned(), pid: None }),
        Err(TryLockError::Error(source)) => Err(StoreError::file("lock", &path, source)),
    }
}

/// Checks every journal in the directory; cuts a torn end off the last one.
pub(super) fn check(directory: &Path, acknowledged: u64) -> Result<(), StoreError> {
    let journals = list(directory).map_err(|source| StoreError::file("list", directory, source))?;
    let mut seen = Seen::default();
    for (position, path) in journals.iter().enumerate() {
        let end = scan(path, &mut seen).map_err(|source| StoreError::file("read", path, source))?;
        let Some(end) = end else { continue };
        let last = position + 1 == journals.len();
        if !last {
            return Err(StoreError::corrupted(format!("{} is damaged behind byte {end}", path.display())));
        }
        if let Some(found) = seen.commit.filter(|&found| found < acknowledged) {
            return Err(super::lost(found, acknowledged));
        }
        cut(path, end).map_err(|source| StoreError::file("cut the torn end off", path, source))?;
    }
    Ok(())
}

/// The journals in the order of their numbers.
fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut journals = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let number =
            path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jnl")?.parse::<u64>().ok());
        journals.extend(number.map(|number| (number, path)));
    }
    journals.sort();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

fn cut(path: &Path, end: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(end)?;
    file.sync_all()
}

/// The last good batch of all journals so far.
#[derive(Default)]
struct Seen {
    commit: Option<u64>,
    sequence: Option<u64>,
}

impl Seen {
    /// Whether this batch can follow; remembers it if so.
    fn follow(&mut self, batch: &Batch) -> bool {
        let (number, floor) = batch.commit;
        let after = self.sequence.is_none_or(|last| last < batch.sequence);
        let within = floor <= batch.sequence && batch.sequence <= floor.saturating_add(SEQUENCE_SLACK);
        let good = after && within && self.commit.is_none_or(|last| last < number);
        if good {
            *self = Self { commit: Some(number), sequence: Some(batch.sequence) };
        }
        good
    }
}

struct Batch {
    sequence: u64,
    commit: (u64, u64),
}

/// Reads a journal up to its first bad batch. `None` if nothing but the zeros of preallocated room is behind the last good one, else where
/// the good ones end.
fn scan(path: &Path, seen: &mut Seen) -> io::Result<Option<u64>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut journal = Journal { reader: BufReader::with_capacity(BUFFER, file), left: length, zeros: true };
    let mut end = 0;
    loop {
        journal.zeros = true;
        match journal.batch()? {
            Some(batch) if seen.follow(&batch) => end = length - journal.left,
            Some(_) => return Ok(Some(end)),
            None if journal.zeros && journal.rest_is_zero()? => return Ok(None),
            None => return Ok(Some(end)),
        }
    }
}

struct Journal {
    reader: BufReader<File>,
    /// Bytes that have not been read.
    left: u64,
    /// Whether every byte read since it was set is zero.
    zeros: bool,
}

impl Journal {
    /// The next bytes; `None` at the end of the file.
    fn take<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        let mut bytes = [0; N];
        if self.left < N as u64 {
            // What is left is a torn field, unless it is empty or zero.
            return Ok(None);
        }
        self.reader.read_exact(&mut bytes)?;
        self.left -= N as u64;
        self.zeros &= bytes.iter().all(|byte| *byte == 0);
        Ok(Some(bytes))
    }

    fn rest_is_zero(&mut self) -> io::Result<bool> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = self.reader.read(&mut buffer)?;
            if count == 0 {
                return Ok(true);
            }
            if buffer[..count].iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
        }
    }

    /// A whole batch that carries its checksum and a commit number; `None` for anything else.
    fn batch(&mut self) -> io::Result<Option<Batch>> {
        let Some([START]) = self.take()? else { return Ok(None) };
        let (Some(items), Some(sequence)) = (self.take()?, self.take()?) else { return Ok(None) };
        let mut hasher = Xxh3::new();
        let mut commit = None;
        for _ in 0..u32::from_le_bytes(items) {
            match self.item(&mut hasher)? {
                None => return Ok(None),
                Some(row) => commit = row.or(commit),
            }
        }
        let (Some([END]), Some(checksum), Some(MAGIC)) = (self.take()?, self.take()?, self.take()?) else {
            return Ok(None);
        };
        if u64::from_le_bytes(checksum) != hasher.digest() {
            return Ok(None);
        }
        Ok(commit.map(|commit| Batch { sequence: u64::from_le_bytes(sequence), commit }))
    }

    /// One item, added to the checksum: `Some(Some(..))` if it is the row that numbers the commit.
    fn item(&mut self, hasher: &mut Xxh3) -> io::Result<Option<Option<(u64, u64)>>> {
        // Tag, kind of value, compression, keyspace (8), key length (2), value length (4), stored length (4).
        let Some(head) = self.take::<21>()? else { return Ok(None) };
        let [ITEM, _, 0, _, _, _, _, _, _, _, _, k0, k1, v0, v1, v2, v3, s0, s1, s2, s3] = head else {
            return Ok(None);
        };
        let key = u16::from_le_bytes([k0, k1]);
        let (value, stored) = (u32::from_le_bytes([v0, v1, v2, v3]), u32::from_le_bytes([s0, s1, s2, s3]));
        if value != stored || self.left < u64::from(key) + u64::from(value) {
            return Ok(None);
        }
        hasher.update(&head);
        let mut bytes = vec![0; usize::from(key)];
        self.read_into(&mut bytes, hasher)?;
        if bytes == meta::COMMITS && value == 16 {
            let mut row = [0; 16];
            self.read_into(&mut row, hasher)?;
            return Ok(Some(codec::read_commits(&row).ok()));
        }
        self.skip(u64::from(value), hasher)?;
        Ok(Some(None))
    }

    fn read_into(&mut self, bytes: &mut [u8], hasher: &mut Xxh3) -> io::Result<()> {
        self.reader.read_exact(bytes)?;
        self.left -= bytes.len() as u64;
        hasher.update(bytes);
        Ok(())
    }

    /// Adds the next bytes to the checksum, a piece at a time.
    fn skip(&mut self, mut count: u64, hasher: &mut Xxh3) -> io::Result<()> {
        let mut buffer = [0; 8192];
        while count > 0 {
            let piece = usize::try_from(count).map_or(buffer.len(), |count| count.min(buffer.len()));
            self.read_into(&mut buffer[..piece], hasher)?;
            count -= piece as u64;
        }
        Ok(())
    }
}
