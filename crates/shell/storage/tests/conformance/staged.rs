//! A state that is fetched beside the live one, states that stand still, and bodies that never came.

use std::path::Path;

use alys_chain::Height;
use alys_storage::{Batch, Durability::Buffered, Durability::Durable, Limit, StateKey, Store};

use super::Open;
use super::fixture::{AMPLE, GENESIS, sample};

fn account(bucket: u8, n: u8) -> [u8; 20] {
    let mut address = [n; 20];
    address[0] = bucket;
    address
}

/// Writes accounts of bucket 7, and its sum, by `put`.
fn fill(put: fn(&mut Batch, StateKey, &[u8]), numbers: &[u8], value: &[u8]) -> Batch {
    let mut batch = Batch::new();
    for n in numbers {
        put(&mut batch, StateKey::Account(account(7, *n)), value);
    }
    put(&mut batch, StateKey::Bucket(7), value);
    batch
}

fn live(batch: &mut Batch, key: StateKey, value: &[u8]) {
    batch.put_state(key, value);
}

fn staged(batch: &mut Batch, key: StateKey, value: &[u8]) {
    batch.stage_state(key, value);
}

/// The numbers of the accounts of bucket 7, and what they hold.
fn bucket(store: &dyn Store) -> Vec<(u8, Vec<u8>)> {
    let rows = store.accounts(7, None, AMPLE).unwrap();
    rows.iter().map(|row| (row.address[19], row.value.to_vec())).collect()
}

pub fn a_staged_state_replaces_the_live_one_at_once(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    store.commit(fill(live, &[1, 2, 3], b"old"), Durable).unwrap();
    assert_eq!(store.staged().unwrap(), None);

    let mut begin = Batch::new();
    begin.begin_staged(b"which");
    store.commit(begin, Durable).unwrap();
    let mut first = fill(staged, &[2, 9], b"new");
    first.complete_bucket(7).complete_bucket(250);
    store.commit(first, Buffered).unwrap();
    let old = |n| (n, b"old".to_vec());
    assert_eq!(bucket(&*store), [old(1), old(2), old(3)], "the live state is not touched");
    assert_eq!(store.state(StateKey::Bucket(7)).unwrap().as_deref(), Some(&b"old"[..]));
    assert_eq!(store.staged_state(StateKey::Bucket(7)).unwrap().as_deref(), Some(&b"new"[..]));

    drop(store);
    let store = open(path, GENESIS).unwrap();
    let found = store.staged().unwrap().expect("it is durable");
    assert_eq!((&found.snapshot[..], &found.complete[..]), (&b"which"[..], &[7, 250][..]));

    let block = sample(50, 0, 0);
    let mut adopt = Batch::new();
    block.extend(&mut adopt);
    adopt.adopt_staged();
    store.commit(adopt.clone(), Durable).unwrap();
    store.commit(adopt, Durable).unwrap();
    let new = |n| (n, b"new".to_vec());
    assert_eq!(bucket(&*store), [new(2), new(9)], "and committing it again changes nothing");
    assert_eq!(store.state(StateKey::Account(account(7, 1))).unwrap(), None);
    assert_eq!((store.staged().unwrap(), store.head().unwrap()), (None, block.at));

    store.clear_staged().unwrap();
    assert_eq!(store.staged_state(StateKey::Account(account(7, 1))).unwrap(), None, "the old state is gone");
    store.commit(fill(live, &[4], b"next"), Durable).unwrap();
    drop(store);
    let store = open(path, GENESIS).unwrap();
    assert_eq!(bucket(&*store), [new(2), (4, b"next".to_vec()), new(9)]);
}

pub fn a_staged_state_is_given_up_without_a_trace(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    store.commit(fill(live, &[1], b"old"), Durable).unwrap();
    let mut begin = Batch::new();
    begin.begin_staged(b"which").complete_bucket(3);
    store.commit(begin, Durable).unwrap();
    let mut many = Batch::new();
    for n in 0..11_000_u32 {
        let mut address = [3; 20];
        address[16..].copy_from_slice(&n.to_be_bytes());
        many.stage_state(StateKey::Account(address), b"x");
    }
    store.commit(many, Buffered).unwrap();
    store.clear_staged().unwrap();
    assert_eq!(store.staged().unwrap(), None);
    let mut again = Batch::new();
    again.begin_staged(b"other").adopt_staged();
    store.commit(again, Durable).unwrap();
    let mut adopt = Batch::new();
    adopt.adopt_staged();
    store.commit(adopt, Durable).unwrap();
    assert!(store.accounts(3, None, AMPLE).unwrap().is_empty(), "nothing was left of the first");
    assert!(bucket(&*store).is_empty());
}

pub fn a_pinned_state_stands_still(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    store.commit(fill(live, &[1, 2, 3], b"then"), Durable).unwrap();
    let pinned = store.pin().unwrap();
    let mut later = fill(live, &[2, 4], b"now");
    later.remove_state(StateKey::Account(account(7, 1)));
    store.commit(later, Durable).unwrap();
    drop(store);
    let page = |after, count| {
        let limit = Limit { count, bytes: 1 << 20 };
        let rows = pinned.accounts(7, after, limit).unwrap();
        assert!(rows.iter().all(|row| row.value == b"then"[..]));
        rows.iter().map(|row| row.address[19]).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 2), [1, 2]);
    assert_eq!(page(Some(account(7, 2)), 2), [3]);
    assert_eq!(pinned.state(StateKey::Bucket(7)).unwrap().as_deref(), Some(&b"then"[..]));
}

pub fn a_body_that_never_came_is_not_an_empty_one(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    assert_eq!(store.earliest().unwrap(), Height(1));
    let (below, above, genesis) = (sample(4, 0, 0), sample(6, 0, 0), sample(0, 0, 0));
    let mut batch = Batch::new();
    [&below, &above, &genesis].into_iter().for_each(|block| block.put(&mut batch));
    batch.set_earliest(Height(5));
    store.commit(batch, Durable).unwrap();
    drop(store);
    let store = open(path, GENESIS).unwrap();
    let ids = [below.at.id, above.at.id, genesis.at.id];
    let here = |store: &dyn Store| {
        store.bodies(&ids, AMPLE).unwrap().iter().map(Option::is_some).collect::<Vec<_>>()
    };
    assert_eq!(here(&*store), [false, true, true]);
    assert!(store.body(below.at.id).unwrap().is_none());
    let mut filled = Batch::new();
    filled.set_earliest(Height(4));
    store.commit(filled, Durable).unwrap();
    assert_eq!(here(&*store), [true, true, true]);
}
