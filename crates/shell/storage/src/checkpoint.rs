//! Checkpoints: files beside the database, one a height.
//!
//! - **Owns**: their directory. What is in a checkpoint, whether it belongs to this chain and when one is due is for
//!   [`alys_chain::checkpoint`] to say; here it is a payload.
//! - **In**: a height and the payload, which carries its own magic and checksum. It is compressed (zstd, with zstd's checksum).
//! - **Out**: payloads, newest first.
//! - **On failure**: a file is there as a whole or not at all; one that cannot be read is an error of its own, so that the next older one can
//!   be tried.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use alys_chain::Height;
use alys_chain::checkpoint::{MAX_CHECKPOINT, superseded};

use crate::StoreError;
use crate::datadir::{create_directory, write_atomically};

/// zstd's own default: higher levels cost ten times as long for a few percent.
const COMPRESSION_LEVEL: i32 = 3;
/// Behind the height in the name of a file.
const SUFFIX: &str = ".checkpoint";

/// The directory of checkpoints.
#[derive(Debug)]
pub struct Checkpoints {
    directory: PathBuf,
}

impl Checkpoints {
    /// The checkpoints in a directory, which is made if it is missing.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        create_directory(directory)?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// Writes the checkpoint of a height, durably and atomically, then deletes all but the `keep` newest.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the checkpoints that were there are untouched if writing failed.
    pub fn save(&self, height: Height, payload: &[u8], keep: usize) -> Result<(), StoreError> {
        let path = self.path(height);
        let compressed = compress(payload).map_err(|source| StoreError::file("compress", &path, source))?;
        write_atomically(&path, &compressed).map_err(|source| StoreError::file("write", &path, source))?;
        self.prune(keep)
    }

    /// The heights that have one, newest first.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn heights(&self) -> Result<Vec<Height>, StoreError> {
        let failed = |source| StoreError::file("list", &self.directory, source);
        let mut heights = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            heights.extend(name.to_str().and_then(height_of));
        }
        heights.sort_unstable_by(|a, b| b.cmp(a));
        Ok(heights)
    }

    /// The payload of a checkpoint.
    ///
    /// # Errors
    /// [`StoreError::Corrupted`] when it does not decompress to at most [`MAX_CHECKPOINT`] bytes, [`StoreError::Io`] when it cannot be read.
    pub fn load(&self, height: Height) -> Result<Vec<u8>, StoreError> {
        Self::read(&self.path(height))
    }

    /// The payload of a checkpoint in any file.
    ///
    /// # Errors
    /// As for [`Checkpoints::load`].
    pub fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
        let file = File::open(path).map_err(|source| StoreError::file("open", path, source))?;
        decompress(file).map_err(|source| StoreError::corrupted(format!("{}: {source}", path.display())))
    }

    fn prune(&self, keep: usize) -> Result<(), StoreError> {
        for height in superseded(self.heights()?, keep) {
            let path = self.path(height);
            fs::remove_file(&path).map_err(|source| StoreError::file("delete", &path, source))?;
        }
        Ok(())
    }

    /// The file of a height, whether it is there or not.
    #[must_use]
    pub fn path(&self, height: Height) -> PathBuf {
        self.directory.join(format!("{:020}{SUFFIX}", height.get()))
    }
}

fn height_of(name: &str) -> Option<Height> {
    let digits = name.strip_suffix(SUFFIX).filter(|digits| digits.len() == 20)?;
    digits.parse().ok().map(Height)
}

fn compress(payload: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), COMPRESSION_LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.write_all(payload)?;
    encoder.finish()
}

/// A file of one frame, never more than the largest checkpoint in memory.
fn decompress(file: File) -> io::Result<Vec<u8>> {
    let mut decoder = zstd::Decoder::new(file)?.single_frame();
    let mut payload = Vec::new();
    decoder.by_ref().take(MAX_CHECKPOINT as u64 + 1).read_to_end(&mut payload)?;
    if payload.len() > MAX_CHECKPOINT {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than any checkpoint"));
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload() -> Vec<u8> {
        b"a checkpoint, and another one, and another one".repeat(20)
    }

    #[test]
    fn the_newest_are_kept_and_listed_first() {
        let directory = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(&directory.path().join("checkpoints")).unwrap();
        for height in [100, 300, 200, 1000, 400] {
            checkpoints.save(Height(height), &payload(), 3).unwrap();
        }
        assert_eq!(checkpoints.heights().unwrap(), [Height(1000), Height(400), Height(300)]);
        assert_eq!(checkpoints.load(Height(400)).unwrap(), payload());
        assert!(matches!(checkpoints.load(Height(100)), Err(StoreError::Io { .. })));
    }

    #[test]
    fn saving_again_replaces_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(directory.path()).unwrap();
        checkpoints.save(Height(100), b"first", 10).unwrap();
        checkpoints.save(Height(100), b"second", 10).unwrap();
        assert_eq!(checkpoints.load(Height(100)).unwrap(), b"second");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn strangers_in_the_directory_are_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(directory.path()).unwrap();
        for name in ["notes.txt", "5.checkpoint", "99999999999999999999.checkpoint", ".writing-1"] {
            fs::write(directory.path().join(name), b"").unwrap();
        }
        checkpoints.save(Height(100), b"one", 1).unwrap();
        assert_eq!(checkpoints.heights().unwrap(), [Height(100)]);
    }

    #[test]
    fn no_flipped_bit_and_no_cut_gives_another_payload() {
        let directory = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(directory.path()).unwrap();
        checkpoints.save(Height(100), &payload(), 1).unwrap();
        let path = checkpoints.path(Height(100));
        let whole = fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &flipped).unwrap();
            let loaded = checkpoints.load(Height(100));
            assert!(loaded.is_err() || loaded.unwrap() == payload(), "bit {bit}");
        }
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(
                matches!(checkpoints.load(Height(100)), Err(StoreError::Corrupted { .. })),
                "cut at {length}"
            );
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(directory.path()).unwrap();
        checkpoints.save(Height(100), &vec![0; MAX_CHECKPOINT + 1], 1).unwrap();
        assert!(matches!(checkpoints.load(Height(100)), Err(StoreError::Corrupted { .. })));
    }

    #[test]
    fn a_directory_that_cannot_be_made_or_written_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, b"").unwrap();
        assert!(matches!(Checkpoints::open(&file), Err(StoreError::Io { .. })));
        let checkpoints = Checkpoints::open(&directory.path().join("gone")).unwrap();
        fs::remove_dir(directory.path().join("gone")).unwrap();
        assert!(matches!(checkpoints.save(Height(1), b"", 1), Err(StoreError::Io { .. })));
        assert!(matches!(checkpoints.heights(), Err(StoreError::Io { .. })));
    }
}
