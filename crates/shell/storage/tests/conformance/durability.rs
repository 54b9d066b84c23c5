//! What a restart finds. (What a loss of power leaves is in the tests of each backend: they lose it in different ways.)

use std::path::Path;

use alys_chain::consensus::SigningRecord;
use alys_chain::{BlockId, Height, Slot};
use alys_storage::{Batch, Durability, Durability::Buffered, Durability::Durable, StateKey, StoreError};

use super::Open;
use super::fixture::{AMPLE, GENESIS, OTHER_GENESIS, chain};

pub fn a_restart_finds_everything(open: Open<'_>, path: &Path) {
    let (blocks, mut batch) = chain(30, 700);
    batch.set_final(blocks[20].at).put_state(StateKey::Bucket(3), b"summary");
    let store = open(path, GENESIS).unwrap();
    store.commit(batch, Buffered).unwrap();
    drop(store);
    let store = open(path, GENESIS).unwrap();
    assert_eq!(store.head().unwrap(), blocks[29].at);
    assert_eq!(store.finalized().unwrap(), blocks[20].at);
    assert_eq!(store.certified_headers(Height(1), AMPLE).unwrap().len(), 30);
    assert_eq!(store.above_final().unwrap().len(), 9);
    assert_eq!(store.body(blocks[7].at.id).unwrap().unwrap(), blocks[7].body);
    assert_eq!(store.state(StateKey::Bucket(3)).unwrap().as_deref(), Some(&b"summary"[..]));
}

pub fn the_signing_record_is_durable_whatever_was_asked(open: Open<'_>, path: &Path) {
    let record = SigningRecord { last: Slot(12), block: BlockId([4; 32]), lock: Slot(10) };
    let store = open(path, GENESIS).unwrap();
    let mut batch = Batch::new();
    batch.record_signing(record);
    let receipt = store.commit(batch, Buffered).unwrap();
    assert_eq!(receipt.durability, Durability::Durable);
    assert_eq!(store.signing_record().unwrap(), Some(record));
    drop(store);
    assert_eq!(open(path, GENESIS).unwrap().signing_record().unwrap(), Some(record));
}

pub fn another_network_is_refused_and_nothing_is_lost(open: Open<'_>, path: &Path) {
    let (blocks, batch) = chain(2, 10);
    open(path, GENESIS).unwrap().commit(batch, Durable).unwrap();
    let refused = open(path, OTHER_GENESIS).err().expect("another network");
    assert!(
        matches!(refused, StoreError::WrongGenesis { found: GENESIS, expected: OTHER_GENESIS, .. }),
        "both ids are named: {refused}"
    );
    assert_eq!(open(path, GENESIS).unwrap().head().unwrap(), blocks[1].at);
}

pub fn commits_are_counted_over_restarts(open: Open<'_>, path: &Path) {
    let commit = || open(path, GENESIS).unwrap().commit(Batch::new(), Durable).unwrap().number;
    let first = commit();
    assert_eq!((commit(), commit()), (first + 1, first + 2));
}
