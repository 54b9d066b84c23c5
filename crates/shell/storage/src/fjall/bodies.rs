//! Large bodies, in files of their own that only grow.
//!
//! The database writes what it is given twice, to its journal and to a table, and merges tables later. A body never changes, so it is written once:
//! behind the last one, in a file under `bodies`. The database keeps where it lies.
//!
//! - **In**: bodies that a row names, or soon will; places to read. **Out**: places; bytes.
//! - **On failure**: bytes reach the disk before the row that names them is written, so a row never names what is not there. What was written for a
//!   row that was not is cut off when the directory is opened again. A body that is not what was written is damage.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::ahead::Ahead;
use crate::StoreError;
use crate::tables::{Change, Table, meta};

/// Bodies of this size and above lie in files. Smaller ones cost more there than in the tables.
const SEPARATE_BYTES: usize = 4096;
/// Before a body in its row.
const INLINE: u8 = 0;
/// Before the place of a body in its row.
const APART: u8 = 1;
/// A file that is as long takes no more bodies: a terabyte makes a thousand files, and what a crash leaves behind is cut off the last one.
const FILE_BYTES: u64 = 1 << 30;
/// How many files are held open: peers that sync read a few places at once.
const OPEN_FILES: usize = 16;

/// Where the next body goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct End {
    file: u32,
    offset: u64,
}

impl End {
    const SIZE: usize = 12;

    fn encode(self) -> Vec<u8> {
        [&self.file.to_be_bytes()[..], &self.offset.to_be_bytes()].concat()
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        let damaged = || StoreError::corrupted("the end of the bodies");
        let (file, offset) = row.split_first_chunk::<4>().ok_or_else(damaged)?;
        let offset = offset.try_into().map_err(|_| damaged())?;
        Ok(Self { file: u32::from_be_bytes(*file), offset: u64::from_be_bytes(offset) })
    }
}

/// Where a body lies, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    at: End,
    length: u32,
    /// xxh3 over the body.
    checksum: u64,
}

impl Place {
    /// Whether it is the place of these bytes.
    pub(super) fn holds(&self, body: &[u8]) -> bool {
        usize::try_from(self.length) == Ok(body.len()) && self.checksum == xxh3_64(body)
    }

    /// Behind it.
    fn end(&self) -> End {
        End { offset: self.at.offset.saturating_add(self.length.into()), ..self.at }
    }

    fn encode(self) -> Vec<u8> {
        [&self.at.encode()[..], &self.length.to_be_bytes(), &self.checksum.to_be_bytes()].concat()
    }

    fn decode(row: &[u8]) -> Result<Self, StoreError> {
        let damaged = || StoreError::corrupted("the place of a body");
        let (at, rest) = row.split_first_chunk::<{ End::SIZE }>().ok_or_else(damaged)?;
        let (length, checksum) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let checksum = checksum.try_into().map_err(|_| damaged())?;
        let (length, checksum) = (u32::from_be_bytes(*length), u64::from_be_bytes(checksum));
        Ok(Self { at: End::decode(at)?, length, checksum })
    }
}

pub(super) fn is_large(body: &[u8]) -> bool {
    body.len() >= SEPARATE_BYTES
}

fn tagged(tag: u8, bytes: &[u8]) -> Bytes {
    [&[tag], bytes].concat().into()
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct BodyFiles {
    directory: PathBuf,
    /// Where the next body goes. Held while bodies are written.
    end: Mutex<End>,
    /// Behind the last place that a row names.
    named: Mutex<End>,
    open: Mutex<BTreeMap<u32, Arc<File>>>,
}

impl BodyFiles {
    /// Opens the directory, which must reach to `end`, and cuts off what lies behind it.
    pub(super) fn open(directory: &Path, end: End) -> Result<Self, StoreError> {
        fs::create_dir_all(directory).map_err(|source| StoreError::file("create", directory, source))?;
        let (directory, open) = (directory.to_owned(), Mutex::default());
        let files = Self { directory, end: Mutex::new(end), named: Mutex::new(end), open };
        files.cut(end)?;
        Ok(files)
    }

    /// Brings the large bodies among these changes to the disk, where `ahead` has not done so. The rows of bodies become what is kept of them, and one
    /// more says how far bodies are named. Called by one thread at a time.
    pub(super) fn put_apart(&self, ahead: &Ahead, changes: &mut Vec<Change>) -> Result<(), StoreError> {
        let mut late = Vec::new();
        let mut places = BTreeMap::new();
        for (index, change) in changes.iter().enumerate().filter(|(_, change)| change.table == Table::Bodies)
        {
            let Some(body) = change.value.as_ref().filter(|body| is_large(body)) else { continue };
            match ahead.take(&change.key, body)? {
                Some(place) => drop(places.insert(index, place)),
                None => late.push((index, body)),
            }
        }
        let bodies: Vec<&Bytes> = late.iter().map(|(_, body)| *body).collect();
        let written = self.append(&bodies)?;
        places.extend(late.iter().map(|(index, _)| *index).zip(written));
        let end = self.name(places.values());
        for (index, change) in
            changes.iter_mut().enumerate().filter(|(_, change)| change.table == Table::Bodies)
        {
            let Some(row) = &mut change.value else { continue };
            *row = match places.get(&index) {
                Some(place) => tagged(APART, &place.encode()),
                None => tagged(INLINE, row),
            };
        }
        if let Some(end) = end {
            let value = Some(end.encode().into());
            changes.push(Change { table: Table::Meta, key: meta::BODIES_END.to_vec(), value });
        }
        Ok(())
    }

    /// Notes that rows name these places; the end of all that are named, if it has moved.
    fn name<'a>(&self, places: impl Iterator<Item = &'a Place>) -> Option<End> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let end = places.map(Place::end).max().filter(|end| *end > *named)?;
        *named = end;
        Some(end)
    }

    /// The body that a row keeps, or whose place it keeps.
    pub(super) fn body(&self, mut row: Bytes) -> Result<Bytes, StoreError> {
        match row.split_first() {
            Some((&INLINE, _)) => Ok(row.split_off(1)),
            Some((&APART, place)) => self.read(Place::decode(place)?),
            _ => Err(StoreError::corrupted("the row of a body")),
        }
    }

    /// Nobody writes while the answer is kept.
    #[cfg(test)]
    pub(super) fn pause(&self) -> std::sync::MutexGuard<'_, End> {
        self.end.lock().unwrap()
    }

    /// Writes bodies behind the last one and brings them to the disk.
    pub(super) fn append(&self, bodies: &[&Bytes]) -> Result<Vec<Place>, StoreError> {
        let mut last = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let mut end = *last;
        let mut places = Vec::with_capacity(bodies.len());
        while let Some(rest) = bodies.get(places.len()..).filter(|rest| !rest.is_empty()) {
            if end.offset >= FILE_BYTES {
                end = End { file: end.file.saturating_add(1), offset: 0 };
            }
            places.extend(self.fill(&mut end, rest)?);
        }
        *last = end;
        Ok(places)
    }

    /// Writes bodies to the file that `end` is in until it is full: at least one.
    fn fill(&self, end: &mut End, bodies: &[&Bytes]) -> Result<Vec<Place>, StoreError> {
        let path = self.path(end.file);
        let file = self.writable(*end)?;
        let mut places = Vec::new();
        for body in bodies {
            if end.offset >= FILE_BYTES {
                break;
            }
            file.write_all_at(body, end.offset).map_err(|source| StoreError::file("write", &path, source))?;
            let length = u32::try_from(body.len()).map_err(|_| StoreError::corrupted("a body of 4 GiB"))?;
            places.push(Place { at: *end, length, checksum: xxh3_64(body) });
            end.offset = end.offset.saturating_add(length.into());
        }
        file.sync_data().map_err(|source| StoreError::file("sync", &path, source))?;
        Ok(places)
    }

    /// The bytes of a body.
    pub(super) fn read(&self, place: Place) -> Result<Bytes, StoreError> {
        let Place { at, length, checksum } = place;
        let path = self.path(at.file);
        let damaged = || StoreError::corrupted(format!("{} at byte {}", path.display(), at.offset));
        let mut body = vec![0; length as usize];
        let file = self.readable(at.file).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => damaged(),
            _ => StoreError::file("open", &path, source),
        })?;
        file.read_exact_at(&mut body, at.offset).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => damaged(),
            _ => StoreError::file("read", &path, source),
        })?;
        if xxh3_64(&body) != checksum {
            return Err(damaged());
        }
        Ok(body.into())
    }

    fn path(&self, number: u32) -> PathBuf {
        self.directory.join(format!("{number:06}"))
    }

    fn readable(&self, number: u32) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&number) {
            return Ok(file.clone());
        }
        let file = Arc::new(File::open(self.path(number))?);
        if open.len() >= OPEN_FILES {
            // The newest bodies are asked for most.
            open.pop_first();
        }
        open.insert(number, file.clone());
        Ok(file)
    }

    /// The file that is being written; a new one is on the disk with its name before anything is in it.
    fn writable(&self, end: End) -> Result<File, StoreError> {
        let path = self.path(end.file);
        let open = || {
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
            if end.offset == 0 {
                File::open(&self.directory)?.sync_all()?;
            }
            Ok(file)
        };
        open().map_err(|source| StoreError::file("open", &path, source))
    }

    /// Checks that the last file reaches to the end, and removes what no row can name.
    fn cut(&self, end: End) -> Result<(), StoreError> {
        let path = self.path(end.file);
        let length = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(source) => return Err(StoreError::file("look at", &path, source)),
        };
        if length < end.offset {
            return Err(StoreError::corrupted(format!(
                "{} ends at byte {length}, bodies were written up to {}",
                path.display(),
                end.offset
            )));
        }
        if length > end.offset {
            let cut = || OpenOptions::new().write(true).open(&path)?.set_len(end.offset);
            cut().map_err(|source| StoreError::file("cut", &path, source))?;
        }
        match fs::remove_file(self.path(end.file.saturating_add(1))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::file("remove", &self.path(end.file.saturating_add(1)), error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(fill: u8) -> Bytes {
        vec![fill; SEPARATE_BYTES].into()
    }

    fn damaged<T: std::fmt::Debug>(found: Result<T, StoreError>) {
        assert!(matches!(found, Err(StoreError::Corrupted { .. })), "{found:?}");
    }

    #[test]
    fn bodies_come_back_and_places_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let files = BodyFiles::open(directory.path(), End::default()).unwrap();
        let mut places = files.append(&[&body(1), &body(2)]).unwrap();
        places.extend(files.append(&[&body(3)]).unwrap());
        let end = *files.end.lock().unwrap();
        assert_eq!(end, End { file: 0, offset: 3 * SEPARATE_BYTES as u64 });
        assert_eq!(End::decode(&end.encode()).unwrap(), end);
        let again = BodyFiles::open(directory.path(), end).unwrap();
        for (place, fill) in places.into_iter().zip(1..) {
            assert_eq!(Place::decode(&place.encode()).unwrap(), place);
            assert_eq!(again.read(place).unwrap(), body(fill));
        }
        damaged(End::decode(&[0; End::SIZE + 1]));
        damaged(Place::decode(&[0; 20]));
    }

    #[test]
    fn small_bodies_stay_in_their_rows() {
        let directory = tempfile::tempdir().unwrap();
        let files = Arc::new(BodyFiles::open(directory.path(), End::default()).unwrap());
        let ahead = Ahead::start(files.clone()).unwrap();
        let small = Bytes::from(vec![5; SEPARATE_BYTES - 1]);
        let row = |table, value| Change { table, key: vec![1], value };
        let mut changes = vec![
            row(Table::Bodies, Some(small.clone())),
            row(Table::Bodies, Some(body(1))),
            row(Table::Bodies, None),
            row(Table::Diffs, Some(body(2))),
        ];
        files.put_apart(&ahead, &mut changes).unwrap();
        let [first, second, removed, other, end] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!(files.body(first.value.clone().unwrap()).unwrap(), small);
        assert!(second.value.as_ref().unwrap().len() < 32, "a place");
        assert_eq!(files.body(second.value.clone().unwrap()).unwrap(), body(1));
        assert_eq!((&removed.value, &other.value), (&None, &Some(body(2))));
        assert_eq!(End::decode(end.value.as_ref().unwrap()).unwrap(), *files.end.lock().unwrap());
        let mut nothing = vec![row(Table::Bodies, Some(small))];
        files.put_apart(&ahead, &mut nothing).unwrap();
        assert_eq!(nothing.len(), 1, "the end has not moved");

        // Of two that were given, the one that lies first is named.
        ahead.give(vec![(vec![2], body(2))]);
        ahead.give(vec![(vec![3], body(3))]);
        assert!(ahead.take(&[3], &body(3)).unwrap().is_some());
        let before = *files.end.lock().unwrap();
        let mut named = vec![Change { table: Table::Bodies, key: vec![2], value: Some(body(2)) }];
        files.put_apart(&ahead, &mut named).unwrap();
        assert_eq!(*files.end.lock().unwrap(), before, "it was there already");
        assert_eq!(files.body(named[0].value.clone().unwrap()).unwrap(), body(2));
        let end = End::decode(named[1].value.as_ref().unwrap()).unwrap();
        assert!(end < before, "what nobody names is cut off at the next start");
        damaged(files.body(Bytes::new()));
        damaged(files.body(Bytes::from_static(&[7])));
    }

    #[test]
    fn what_no_row_names_is_cut_off_and_what_one_names_must_be_there() {
        let directory = tempfile::tempdir().unwrap();
        let files = BodyFiles::open(directory.path(), End::default()).unwrap();
        let kept = files.append(&[&body(1)]).unwrap();
        let end = *files.end.lock().unwrap();
        files.append(&[&body(2)]).unwrap();
        drop(files);
        std::fs::write(directory.path().join("000001"), b"begun before a crash").unwrap();
        let files = BodyFiles::open(directory.path(), end).unwrap();
        assert_eq!(files.read(kept[0]).unwrap(), body(1));
        assert_eq!(std::fs::metadata(directory.path().join("000000")).unwrap().len(), end.offset);
        assert!(!directory.path().join("000001").exists());
        let beyond = End { offset: end.offset + 1, ..end };
        damaged(BodyFiles::open(directory.path(), beyond).map(drop));
        damaged(BodyFiles::open(directory.path(), End { file: 7, offset: 1 }).map(drop));
    }

    #[test]
    fn a_full_file_is_followed_by_another_one() {
        let directory = tempfile::tempdir().unwrap();
        let end = End { file: 0, offset: FILE_BYTES - 1 };
        let first = File::create(directory.path().join("000000")).unwrap();
        // Nothing but a hole.
        first.set_len(end.offset).unwrap();
        let files = BodyFiles::open(directory.path(), end).unwrap();
        let places = files.append(&[&body(1), &body(2)]).unwrap();
        assert_eq!(places[0].at, end, "the last one may stand out");
        assert_eq!(places[1].at, End { file: 1, offset: 0 });
        for (place, fill) in places.iter().zip(1..) {
            assert_eq!(files.read(*place).unwrap(), body(fill));
        }
        let again = BodyFiles::open(directory.path(), *files.end.lock().unwrap()).unwrap();
        assert_eq!(again.read(places[0]).unwrap(), body(1));
    }

    #[test]
    fn more_files_are_read_than_are_held_open() {
        let directory = tempfile::tempdir().unwrap();
        let files = BodyFiles::open(directory.path(), End::default()).unwrap();
        let mut places = Vec::new();
        for number in (0..).take(OPEN_FILES + 3) {
            *files.end.lock().unwrap() = End { file: number.into(), offset: 0 };
            places.extend(files.append(&[&body(number)]).unwrap());
        }
        for (place, fill) in places.iter().zip(0..).chain(places.iter().zip(0..)) {
            assert_eq!(files.read(*place).unwrap(), body(fill));
        }
        assert!(files.open.lock().unwrap().len() <= OPEN_FILES);
    }

    #[test]
    fn a_damaged_body_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let files = BodyFiles::open(directory.path(), End::default()).unwrap();
        let place = files.append(&[&body(1)]).unwrap()[0];
        let path = directory.path().join("000000");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[77] ^= 4;
        std::fs::write(&path, &bytes).unwrap();
        damaged(files.read(place));
        std::fs::write(&path, &bytes[..100]).unwrap();
        damaged(files.read(place));
        damaged(files.read(Place { at: End { file: 9, offset: 0 }, ..place }));
    }
}
