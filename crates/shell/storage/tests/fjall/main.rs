//! The database on disk: the conformance suite, torn and damaged files, killed processes, failing disks.

#![allow(clippy::unwrap_used, reason = "a test ends where its step fails")]

#[path = "../conformance/mod.rs"]
mod conformance;
mod crash;
mod damage;
mod history;

use alys_storage::StoreError;
use alys_storage::fjall::{Sizes, open, open_sized};
use conformance::fixture::{GENESIS, OTHER_GENESIS, scratch};

#[test]
fn the_database_on_disk_conforms() {
    conformance::all(&|path, genesis| Ok(Box::new(open(path, genesis)?)));
}

#[test]
fn a_second_store_on_the_same_directory_is_refused() {
    let directory = scratch();
    let first = open(directory.path(), GENESIS).unwrap();
    assert!(matches!(open(directory.path(), GENESIS), Err(StoreError::Locked { .. })));
    assert!(matches!(open(directory.path(), OTHER_GENESIS), Err(StoreError::Locked { .. })));
    drop(first);
    open(directory.path(), GENESIS).unwrap();
}

#[test]
fn a_nearly_full_disk_is_refused_before_anything_is_written() {
    let directory = scratch();
    let sizes = Sizes { reserve: u64::MAX, ..Sizes::default() };
    let refused = open_sized(directory.path(), GENESIS, sizes).err().unwrap();
    assert!(matches!(refused, StoreError::DiskFull { needed: u64::MAX, .. }), "{refused}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_place_that_cannot_be_a_directory_is_an_error() {
    let directory = scratch();
    let file = directory.path().join("file");
    std::fs::write(&file, b"").unwrap();
    assert!(matches!(open(&file, GENESIS), Err(StoreError::Io { .. })));
}
