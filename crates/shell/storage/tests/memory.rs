//! The twin in memory: the conformance suite, and its powers to break things.

#![allow(clippy::unwrap_used, reason = "a test ends where its step fails")]

mod conformance;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use alys_chain::consensus::SigningRecord;
use alys_chain::{BlockId, Slot};
use alys_storage::memory::Fault;
use alys_storage::{Batch, Durability, MemoryDisk, Store, StoreError};
use conformance::fixture::{GENESIS, chain, sample};
use proptest::prelude::*;

#[test]
fn the_twin_in_memory_conforms() {
    let disks: Mutex<BTreeMap<PathBuf, MemoryDisk>> = Mutex::default();
    conformance::all(&|path: &Path, genesis| {
        let disk = disks.lock().unwrap().entry(path.to_owned()).or_default().clone();
        Ok(Box::new(disk.open(genesis)?))
    });
}

fn extend(store: &dyn Store, height: u64, durability: Durability) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    sample(height, 0, 10).extend(&mut batch);
    store.commit(batch, durability).map(|_| ())
}

fn head(disk: &MemoryDisk) -> u64 {
    disk.open(GENESIS).unwrap().head().unwrap().height.get()
}

#[test]
fn a_crash_takes_what_was_not_durable() {
    let disk = MemoryDisk::new();
    let store = disk.open(GENESIS).unwrap();
    extend(&store, 1, Durability::Durable).unwrap();
    extend(&store, 2, Durability::Buffered).unwrap();
    extend(&store, 3, Durability::Buffered).unwrap();
    assert_eq!(store.head().unwrap().height.get(), 3);
    disk.crash();
    assert!(store.head().is_err() && extend(&store, 4, Durability::Durable).is_err(), "the process is gone");
    assert_eq!(head(&disk), 1);
}

#[test]
fn a_durable_commit_takes_the_earlier_ones_along() {
    let disk = MemoryDisk::new();
    let store = disk.open(GENESIS).unwrap();
    extend(&store, 1, Durability::Buffered).unwrap();
    extend(&store, 2, Durability::Durable).unwrap();
    disk.crash();
    assert_eq!(head(&disk), 2);
}

#[test]
fn a_full_disk_writes_nothing_and_the_same_commit_can_be_tried_again() {
    let disk = MemoryDisk::new();
    let store = disk.open(GENESIS).unwrap();
    disk.fail_commit(2, Fault::DiskFull);
    extend(&store, 1, Durability::Durable).unwrap();
    let full = extend(&store, 2, Durability::Durable).unwrap_err();
    assert!(matches!(full, StoreError::DiskFull { .. }) && full.is_temporary());
    assert_eq!(store.head().unwrap().height.get(), 1);
    extend(&store, 2, Durability::Durable).unwrap();
    assert_eq!(store.head().unwrap().height.get(), 2);
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_the_restart() {
    let disk = MemoryDisk::new();
    let store = disk.open(GENESIS).unwrap();
    extend(&store, 1, Durability::Durable).unwrap();
    disk.fail_commit(1, Fault::Io);
    assert!(matches!(extend(&store, 2, Durability::Durable), Err(StoreError::Io { .. })));
    assert!(matches!(extend(&store, 2, Durability::Durable), Err(StoreError::Poisoned)));
    assert_eq!(store.head().unwrap().height.get(), 1, "reading goes on");
    let store = disk.open(GENESIS).unwrap();
    assert_eq!(store.head().unwrap().height.get(), 2, "a restart finds what the system had taken");
    extend(&store, 3, Durability::Durable).unwrap();
    disk.fail_commit(1, Fault::Io);
    extend(&store, 4, Durability::Durable).unwrap_err();
    disk.crash();
    assert_eq!(head(&disk), 3, "a loss of power takes it");
}

#[test]
fn reads_fail_when_told_to() {
    let disk = MemoryDisk::new();
    let store = disk.open(GENESIS).unwrap();
    store.commit(chain(3, 10).1, Durability::Durable).unwrap();
    disk.fail_reads(true);
    assert!(matches!(store.head(), Err(StoreError::Io { .. })));
    assert!(disk.open(GENESIS).is_err());
    disk.fail_reads(false);
    assert_eq!(head(&disk), 3);
}

/// What a random process does to its disk.
#[derive(Clone, Debug)]
enum Event {
    Sign,
    Write,
    FailSign,
    Crash,
}

proptest! {
    #[test]
    fn a_signing_record_that_was_acknowledged_survives_any_crash(
        events in prop::collection::vec(
            prop_oneof![Just(Event::Sign), Just(Event::Write), Just(Event::FailSign), Just(Event::Crash)], 1..40)
    ) {
        let disk = MemoryDisk::new();
        let mut store = disk.open(GENESIS).unwrap();
        let (mut slot, mut acknowledged) = (0, None);
        for event in events {
            slot += 1;
            let record = SigningRecord { last: Slot(slot), block: BlockId([1; 32]), lock: Slot(0) };
            let mut batch = Batch::new();
            match event {
                Event::Write => drop(store.commit(batch, Durability::Buffered)),
                Event::Crash => {
                    disk.crash();
                    store = disk.open(GENESIS).unwrap();
                }
                Event::Sign | Event::FailSign => {
                    if matches!(event, Event::FailSign) {
                        disk.fail_commit(1, Fault::Io);
                    }
                    batch.record_signing(record);
                    if store.commit(batch, Durability::Buffered).is_ok() {
                        acknowledged = Some(record.last);
                    }
                }
            }
            prop_assert!(store.signing_record().unwrap().map(|found| found.last) >= acknowledged);
        }
    }
}
