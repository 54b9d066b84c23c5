//! What commits change.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use alys_chain::{Hash, Height};
use alys_storage::{Batch, BlockKey, Durability::Buffered, Durability::Durable, Location, StateKey, Store};

use super::Open;
use super::fixture::{AMPLE, GENESIS, Sample, chain, sample};

pub fn import_is_idempotent(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    let (blocks, batch) = chain(5, 100);
    assert!(!batch.is_empty() && batch.bytes() > 5 * 100);
    store.commit(batch.clone(), Durable).unwrap();
    let before = (
        store.head().unwrap(),
        store.certified_headers(Height(1), AMPLE).unwrap(),
        store.above_final().unwrap(),
    );
    store.commit(batch, Durable).unwrap();
    let after = (
        store.head().unwrap(),
        store.certified_headers(Height(1), AMPLE).unwrap(),
        store.above_final().unwrap(),
    );
    assert_eq!(before, after);
    assert_eq!(store.body(blocks[4].at.id).unwrap().unwrap(), blocks[4].body);
}

pub fn a_certificate_that_came_later_stays(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    let block = sample(1, 0, 10);
    let propose = || {
        let mut batch = Batch::new();
        block.propose(&mut batch);
        store.commit(batch, Durable).unwrap();
    };
    let certificate = || store.header(block.at.id).unwrap().unwrap().certificate;
    propose();
    assert_eq!(certificate(), None);
    let mut batch = Batch::new();
    batch.certify(&block.certificate);
    store.commit(batch, Durable).unwrap();
    propose();
    assert_eq!(certificate(), Some(block.certificate), "importing the proposal again forgets nothing");
}

pub fn a_reorganisation_is_one_commit(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    let (old, mut batch) = chain(5, 10);
    let account = StateKey::Account([1; 20]);
    for block in &old {
        batch.put_diff(block.at, &block.at.height.get().to_be_bytes());
    }
    batch.set_final(old[1].at).put_state(account, b"five");
    store.commit(batch, Durable).unwrap();

    // Down to height 2 with the diffs, up to height 4 of the other branch.
    let new = [sample(3, 1, 10), sample(4, 1, 10)];
    let mut batch = Batch::new();
    for undone in old[2..].iter().rev() {
        assert_eq!(store.diff(undone.at).unwrap().unwrap()[..], undone.at.height.get().to_be_bytes());
        batch.clear_canonical(undone.at.height);
    }
    new.iter().for_each(|block| block.extend(&mut batch));
    batch.put_state(account, b"four").remove_state(StateKey::Bucket(1));
    store.commit(batch, Durable).unwrap();

    assert_eq!(store.head().unwrap(), new[1].at);
    assert_eq!(store.canonical(Height(4)).unwrap(), Some(new[1].at.id));
    assert_eq!(store.canonical(Height(5)).unwrap(), None);
    assert_eq!(store.state(account).unwrap().as_deref(), Some(&b"four"[..]));
    let range: Vec<BlockKey> =
        store.certified_headers(Height(1), AMPLE).unwrap().into_iter().map(|stored| stored.block).collect();
    assert_eq!(range, [old[0].at, old[1].at, new[0].at, new[1].at]);
    assert!(store.header(old[4].at.id).unwrap().is_some(), "the other branch stays until finality passes it");
}

pub fn a_removed_block_leaves_nothing(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    let (_, mut batch) = chain(2, 10);
    let fork = sample(2, 1, 10);
    fork.put(&mut batch);
    batch.put_diff(fork.at, b"diff");
    store.commit(batch, Durable).unwrap();
    let mut batch = Batch::new();
    batch.remove_block(fork.at);
    store.commit(batch.clone(), Durable).unwrap();
    assert!(store.header(fork.at.id).unwrap().is_none());
    assert!(store.body(fork.at.id).unwrap().is_none());
    assert!(store.diff(fork.at).unwrap().is_none());
    assert_eq!(store.above_final().unwrap().len(), 2);
    store.commit(batch, Durable).unwrap();
    assert_eq!(store.above_final().unwrap().len(), 2, "removing it again is success");
}

pub fn transactions_are_found_until_they_are_unindexed(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    let (hash, location) = (Hash([3; 32]), Location { height: Height(9), position: 4 });
    let mut batch = Batch::new();
    batch.index_transaction(hash, location);
    store.commit(batch, Durable).unwrap();
    assert_eq!(store.transaction(hash).unwrap(), Some(location));
    let mut batch = Batch::new();
    batch.unindex_transaction(hash);
    store.commit(batch, Durable).unwrap();
    assert_eq!(store.transaction(hash).unwrap(), None);
}

pub fn the_last_verb_wins(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    let account = StateKey::Account([0; 20]);
    let other = StateKey::Bucket(0);
    let mut batch = Batch::new();
    batch.put_state(account, b"a").remove_state(account).put_state(account, b"b");
    batch.put_state(other, b"c").remove_state(other);
    store.commit(batch, Durable).unwrap();
    assert_eq!(store.state(account).unwrap().as_deref(), Some(&b"b"[..]));
    assert_eq!(store.state(other).unwrap(), None);
}

pub fn readers_never_see_half_a_commit(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=200_u64 {
                let branch = u8::try_from(round % 2).unwrap();
                let mut batch = Batch::new();
                (1..=8).for_each(|height| sample(height, branch, 0).extend(&mut batch));
                store.commit(batch, Buffered).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            one_branch_only(&*store);
        }
    });
    one_branch_only(&*store);
    assert_eq!(store.certified_headers(Height(1), AMPLE).unwrap().len(), 8);
}

/// All canonical blocks that one read sees are of the same branch.
fn one_branch_only(store: &dyn Store) {
    let seen = store.certified_headers(Height(1), AMPLE).unwrap();
    let branch = |height: u64| seen.first().map(|first| (first.block == sample(1, 1, 0).at, height));
    for stored in &seen {
        let (odd, height) = branch(stored.block.height.get()).unwrap();
        assert_eq!(stored.block, sample(height, u8::from(odd), 0).at, "two commits in one read");
    }
}

pub fn bodies_written_ahead_are_there_when_they_are_committed(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    let (blocks, batch) = chain(6, 20_000);
    let ahead = |blocks: &[Sample]| {
        store.write_ahead(blocks.iter().map(|block| (block.at, block.body.clone())).collect());
    };
    // Another body than the one that is committed, a block that never is, and one twice.
    store.write_ahead(vec![
        (blocks[0].at, blocks[1].body.clone()),
        (sample(9, 1, 20_000).at, blocks[2].body.clone()),
    ]);
    ahead(&blocks[1..4]);
    ahead(&blocks[2..5]);
    assert_eq!(store.body(blocks[1].at.id).unwrap(), None, "nobody sees it before");
    store.commit(batch, Durable).unwrap();
    drop(store);
    let store = open(path, GENESIS).unwrap();
    for block in &blocks {
        assert_eq!(store.body(block.at.id).unwrap().unwrap(), block.body);
    }
    let (later, mut batch) = (sample(7, 0, 20_000), Batch::new());
    later.extend(&mut batch);
    store.commit(batch, Durable).unwrap();
    assert_eq!(store.body(later.at.id).unwrap().unwrap(), later.body);
    assert_eq!(store.body(blocks[5].at.id).unwrap().unwrap(), blocks[5].body);
}
