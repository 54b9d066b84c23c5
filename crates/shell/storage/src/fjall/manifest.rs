//! Checks the list of tables of every keyspace before the database reads it.
//!
//! A keyspace directory has a file `current`, which names the newest list of its tables (`v<number>`) and carries the list's checksum. The
//! library writes that checksum and does not look at it; a bit that flips in the list can hide a table, or end the process in an assertion.
//! The format is that of lsm-tree 3: number (8 bytes, little-endian), xxh3-128 (16), kind of checksum (1).

use std::fs;
use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::StoreError;

/// The largest list that is read: 48 bytes a table, so some hundred thousand tables.
const LIST_LIMIT: u64 = 16 * 1024 * 1024;

/// Checks all keyspaces in the directory. One without a list is half-made, which is right only before the first commit.
pub(super) fn check(directory: &Path, acknowledged: u64) -> Result<(), StoreError> {
    let keyspaces = directory.join("keyspaces");
    let entries = match fs::read_dir(&keyspaces) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound && acknowledged == 0 => return Ok(()),
        Err(source) => return Err(StoreError::file("list", &keyspaces, source)),
    };
    for entry in entries {
        let keyspace = entry.map_err(|source| StoreError::file("list", &keyspaces, source))?.path();
        if keyspace.is_dir() {
            check_list(&keyspace, acknowledged)?;
        }
    }
    Ok(())
}

fn check_list(keyspace: &Path, acknowledged: u64) -> Result<(), StoreError> {
    let current = keyspace.join("current");
    let damaged = || StoreError::corrupted(format!("the list of tables in {}", keyspace.display()));
    let pointer = match fs::read(&current) {
        Ok(pointer) => pointer,
        Err(error) if error.kind() == io::ErrorKind::NotFound && acknowledged == 0 => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged()),
        Err(source) => return Err(StoreError::file("read", &current, source)),
    };
    let (number, rest) = pointer.split_first_chunk::<8>().ok_or_else(damaged)?;
    let (checksum, kind) = rest.split_first_chunk::<16>().ok_or_else(damaged)?;
    let list = keyspace.join(format!("v{}", u64::from_le_bytes(*number)));
    let small = fs::metadata(&list).is_ok_and(|metadata| metadata.len() <= LIST_LIMIT);
    if *kind != [0] || !small {
        return Err(damaged());
    }
    let bytes = fs::read(&list).map_err(|source| StoreError::file("read", &list, source))?;
    if xxh3_128(&bytes) != u128::from_le_bytes(*checksum) {
        return Err(damaged());
    }
    Ok(())
}
