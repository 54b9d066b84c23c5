//! A history whose every commit can be told from what the store holds: commit `k` extends the chain to height `k` in all tables.

use std::fs;
use std::path::{Path, PathBuf};

use alys_chain::consensus::SigningRecord;
use alys_chain::{Hash, Height, Slot};
use alys_storage::{Batch, Durability, Location, StateKey, Store, StoreError};

use crate::conformance::fixture::{AMPLE, GENESIS, sample, scratch};

/// The account that every commit overwrites.
const ACCOUNT: StateKey = StateKey::Account([5; 20]);

/// The batch of commit `k`.
pub fn step(k: u64, body_bytes: usize) -> Batch {
    let block = sample(k, 0, body_bytes);
    let mut batch = Batch::new();
    block.extend(&mut batch);
    batch.put_state(ACCOUNT, &k.to_be_bytes()).put_diff(block.at, &k.to_be_bytes());
    batch.index_transaction(hash(k), Location { height: Height(k), position: 0 });
    batch
}

/// The same, with a signature in it.
pub fn signed_step(k: u64, body_bytes: usize) -> Batch {
    let mut batch = step(k, body_bytes);
    batch.record_signing(SigningRecord { last: Slot(k), block: GENESIS, lock: Slot(k - 1) });
    batch
}

fn hash(k: u64) -> Hash {
    let mut bytes = [9; 32];
    bytes[..8].copy_from_slice(&k.to_le_bytes());
    Hash(bytes)
}

/// Which commit the store stands at, having checked that every table agrees, so that no commit is there in part.
pub fn stands_at(store: &dyn Store, body_bytes: usize) -> Result<u64, StoreError> {
    let k = store.head()?.height.get();
    let headers = store.certified_headers(Height(1), AMPLE)?;
    assert_eq!(headers.len() as u64, k);
    assert_eq!(store.above_final()?.len() as u64, k);
    let account = store.state(ACCOUNT)?;
    assert_eq!(account.as_deref(), (k > 0).then_some(&k.to_be_bytes()[..]));
    assert_eq!(store.canonical(Height(k + 1))?, None);
    for (height, stored) in (1..).zip(headers) {
        let block = sample(height, 0, body_bytes);
        assert_eq!(stored.block, block.at);
        assert_eq!(store.header(block.at.id)?.unwrap().certificate, Some(block.certificate));
        assert_eq!(store.body(block.at.id)?.unwrap(), block.body);
        assert_eq!(store.diff(block.at)?.unwrap()[..], height.to_be_bytes());
        assert_eq!(store.transaction(hash(height))?.unwrap().height, Height(height));
    }
    assert!(store.transaction(hash(k + 1))?.is_none());
    Ok(k)
}

/// Commits `from..=to`.
pub fn extend(
    store: &dyn Store,
    range: std::ops::RangeInclusive<u64>,
    body_bytes: usize,
    durability: Durability,
) {
    for k in range {
        store.commit(step(k, body_bytes), durability).unwrap();
    }
}

/// All files below a directory, in a fixed order.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A directory with everything in it, as it was at one moment.
pub struct Image(Vec<(PathBuf, Vec<u8>, u64)>);

impl Image {
    /// Keeps the zeros at the end of a file as a number.
    pub fn of(directory: &Path) -> Self {
        let files = files(directory).into_iter().map(|path| {
            let mut bytes = fs::read(&path).unwrap();
            let length = bytes.len() as u64;
            bytes.truncate(content(&bytes));
            (path.strip_prefix(directory).unwrap().to_owned(), bytes, length)
        });
        Self(files.collect())
    }

    /// Writes it into an empty directory.
    pub fn restore(&self) -> tempfile::TempDir {
        let place = scratch();
        for (path, bytes, length) in &self.0 {
            let path = place.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(*length).unwrap();
        }
        place
    }

    /// The files and how many bytes of each are in use.
    pub fn files(&self) -> Vec<(&Path, usize)> {
        self.0.iter().map(|(path, bytes, _)| (path.as_path(), bytes.len())).collect()
    }
}

/// The length without the zeros at the end.
pub fn content(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// The only journal.
pub fn journal(directory: &Path) -> PathBuf {
    let journals: Vec<PathBuf> = files(directory)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "jnl"))
        .collect();
    assert_eq!(journals.len(), 1, "{journals:?}");
    journals[0].clone()
}
