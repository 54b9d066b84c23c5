//! What was acknowledged: the number of the last durable commit, in a file beside the database.
//!
//! The end of a journal looks the same whether the power failed in the middle of a batch or a bit flipped in one that was acknowledged. The
//! note tells them apart: it is written after the sync has returned and is not synced itself, so it can be too low after a loss of power (and
//! then only weakens the check), never too high. A note that is damaged counts as none.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::StoreError;

/// Beside the files of the database, which ignores it.
const FILE: &str = "acknowledged";

pub(super) struct Note {
    path: PathBuf,
    file: File,
    acknowledged: u64,
}

impl Note {
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|source| StoreError::file("open", &path, source))?;
        let mut bytes = Vec::new();
        (&file)
            .take(Self::SIZE + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| StoreError::file("read", &path, source))?;
        Ok(Self { acknowledged: decode(&bytes).unwrap_or(0), path, file })
    }

    /// The number and its complement.
    const SIZE: u64 = 16;

    /// The highest commit that is known to have been acknowledged as durable.
    pub(super) const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// To be called once the sync of this commit has returned.
    pub(super) fn acknowledge(&mut self, number: u64) -> Result<(), StoreError> {
        self.write(number).map_err(|source| StoreError::file("write", &self.path, source))?;
        self.acknowledged = number;
        Ok(())
    }

    fn write(&mut self, number: u64) -> std::io::Result<()> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[8..].copy_from_slice(&(!number).to_le_bytes());
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&bytes)
    }
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let (number, complement) = bytes.split_first_chunk::<8>()?;
    let complement: [u8; 8] = complement.try_into().ok()?;
    let number = u64::from_le_bytes(*number);
    (u64::from_le_bytes(complement) == !number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back_and_a_damaged_one_counts_as_none() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Note::open(directory.path()).unwrap().acknowledged(), 0);
        let mut note = Note::open(directory.path()).unwrap();
        note.acknowledge(300).unwrap();
        note.acknowledge(301).unwrap();
        assert_eq!(Note::open(directory.path()).unwrap().acknowledged(), 301);
        let path = directory.path().join(FILE);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(Note::open(directory.path()).unwrap().acknowledged(), 0, "cut at {length}");
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &flipped).unwrap();
            assert_eq!(Note::open(directory.path()).unwrap().acknowledged(), 0, "bit {bit}");
        }
    }
}
