//! What reads answer.

use std::path::Path;

use alys_chain::{BlockId, CertifiedHeader, Height};
use alys_storage::{Batch, BlockKey, Durability::Durable, Limit, StateKey};

use super::Open;
use super::fixture::{AMPLE, GENESIS, chain, sample};

pub fn a_fresh_store_stands_on_genesis(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    let genesis = BlockKey::new(Height(0), GENESIS);
    assert_eq!(store.genesis(), GENESIS);
    assert_eq!((store.head().unwrap(), store.finalized().unwrap()), (genesis, genesis));
    assert!(store.header(GENESIS).unwrap().is_none());
    assert!(store.body(GENESIS).unwrap().is_none());
    assert!(store.canonical(Height(0)).unwrap().is_none());
    assert!(store.signing_record().unwrap().is_none());
    assert!(store.certified_headers(Height(1), AMPLE).unwrap().is_empty());
    assert!(store.above_final().unwrap().is_empty());
    assert!(store.accounts(0, None, AMPLE).unwrap().is_empty());
}

pub fn a_block_comes_back_as_it_was_stored(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    let (full, empty, large) = (sample(1, 0, 300), sample(2, 0, 0), sample(3, 0, 200_000));
    let mut batch = Batch::new();
    full.put(&mut batch);
    empty.propose(&mut batch);
    large.put(&mut batch);
    batch.put_diff(full.at, b"what it changed");
    store.commit(batch, Durable).unwrap();

    for block in [&full, &empty, &large] {
        let stored = store.header(block.at.id).unwrap().unwrap();
        assert_eq!((stored.id, stored.header, stored.lineage), (block.at.id, block.header, block.lineage));
        assert_eq!(store.body(block.at.id).unwrap().unwrap(), block.body);
    }
    let certificate = store.header(full.at.id).unwrap().unwrap().certificate;
    assert_eq!(certificate, Some(full.certificate));
    assert_eq!(store.header(empty.at.id).unwrap().unwrap().certificate, None);
    assert_eq!(store.diff(full.at).unwrap().as_deref(), Some(&b"what it changed"[..]));
    assert!(store.diff(empty.at).unwrap().is_none());
    assert!(store.body(BlockId([0xee; 32])).unwrap().is_none(), "not here, which is not the same as empty");
}

pub fn ranges_are_ascending_contiguous_and_certified(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    let (blocks, mut batch) = chain(20, 0);
    // Forks at many heights, some sorting before the canonical block, some behind; one is certified too.
    for height in 3..12 {
        sample(height, 1, 0).propose(&mut batch);
        sample(height, 2, 0).put(&mut batch);
    }
    let proposal = sample(21, 0, 0);
    proposal.propose(&mut batch);
    batch.make_canonical(proposal.at);
    let beyond_the_gap = sample(23, 0, 0);
    beyond_the_gap.extend(&mut batch);
    store.commit(batch, Durable).unwrap();

    let range = store.certified_headers(Height(1), AMPLE).unwrap();
    assert_eq!(range.len(), 20, "ends before the block without a certificate");
    for (stored, block) in range.iter().zip(&blocks) {
        assert_eq!(stored.block, block.at);
        let certified = CertifiedHeader { header: block.header, certificate: block.certificate };
        assert_eq!(CertifiedHeader::decode(&stored.bytes), Ok(certified));
    }
    assert_eq!(store.certified_headers(Height(7), AMPLE).unwrap(), range[6..]);
    assert!(store.certified_headers(Height(21), AMPLE).unwrap().is_empty());
    assert!(store.certified_headers(Height(22), AMPLE).unwrap().is_empty(), "a gap is not skipped");
    assert!(store.certified_headers(Height(u64::MAX), AMPLE).unwrap().is_empty());
}

pub fn ranges_keep_to_their_limits(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    let (blocks, batch) = chain(10, 1000);
    store.commit(batch, Durable).unwrap();
    let count = |count, bytes| store.certified_headers(Height(1), Limit { count, bytes }).unwrap().len();
    let row = CertifiedHeader::SIZE;
    assert_eq!(count(4, 1 << 20), 4);
    assert_eq!(count(0, 1 << 20), 0);
    assert_eq!(count(100, row * 3), 3);
    assert_eq!(count(100, row * 3 - 1), 2);
    assert_eq!(count(100, 0), 1, "the first one always comes, so that the reader gets on");

    let ids: Vec<BlockId> = blocks.iter().map(|block| block.at.id).collect();
    let bodies = |count, bytes| store.bodies(&ids, Limit { count, bytes }).unwrap().len();
    assert_eq!((bodies(5, 1 << 20), bodies(100, 2500), bodies(100, 10), bodies(0, 10)), (5, 2, 1, 0));
}

pub fn bodies_come_in_the_order_asked(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    let (blocks, mut batch) = chain(3, 500);
    let empty = sample(4, 0, 0);
    empty.extend(&mut batch);
    store.commit(batch, Durable).unwrap();
    let ids = [blocks[2].at.id, BlockId([0xee; 32]), blocks[0].at.id, empty.at.id];
    let bodies = store.bodies(&ids, AMPLE).unwrap();
    assert_eq!(bodies[0].as_ref(), Some(&blocks[2].body.0));
    assert_eq!(bodies[1], None);
    assert_eq!(bodies[2].as_ref(), Some(&blocks[0].body.0));
    assert_eq!(bodies[3].as_ref().map(bytes::Bytes::len), Some(0));
}

pub fn a_bucket_is_read_in_pages(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    let mut batch = Batch::new();
    let address = |bucket: u8, second: u8| {
        let mut address = [0; 20];
        address[..2].copy_from_slice(&[bucket, second]);
        address
    };
    let last = |bucket: u8| {
        let mut address = [0xff; 20];
        address[0] = bucket;
        address
    };
    // Written backwards, beside neighbours that must not show up.
    for bucket in [4, 5, 6, 255] {
        for second in (0..10).rev() {
            batch.put_state(StateKey::Account(address(bucket, second)), &[bucket, second]);
        }
        batch.put_state(StateKey::Account(last(bucket)), &[bucket, 255]);
        batch.put_state(StateKey::Bucket(bucket), b"summary");
    }
    store.commit(batch, Durable).unwrap();

    for bucket in [5, 255] {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = store.accounts(bucket, after, Limit { count: 3, bytes: 1 << 20 }).unwrap();
            let Some(end) = page.last() else { break };
            after = Some(end.address);
            found.extend(page);
        }
        let expected: Vec<[u8; 20]> =
            (0..10).map(|second| address(bucket, second)).chain([last(bucket)]).collect();
        assert_eq!(found.iter().map(|entry| entry.address).collect::<Vec<_>>(), expected);
        assert!(found.iter().all(|entry| entry.value[0] == bucket));
        assert_eq!(store.state(StateKey::Bucket(bucket)).unwrap().as_deref(), Some(&b"summary"[..]));
    }
    assert_eq!(store.accounts(5, None, Limit { count: 100, bytes: 7 }).unwrap().len(), 3, "two bytes each");
}

pub fn the_tree_of_blocks_is_rebuilt_above_finality(open: Open<'_>, path: &Path) {
    let store = open(path, GENESIS).unwrap();
    let (blocks, mut batch) = chain(6, 10);
    let (fork, proposal) = (sample(5, 1, 10), sample(7, 0, 10));
    fork.put(&mut batch);
    proposal.propose(&mut batch);
    batch.set_final(blocks[3].at);
    store.commit(batch, Durable).unwrap();
    let above = store.above_final().unwrap();
    assert!(above.is_sorted_by_key(|stored| stored.header.height));
    let mut found: Vec<BlockKey> =
        above.iter().map(|stored| BlockKey::new(stored.header.height, stored.id)).collect();
    found.sort();
    let mut expected = vec![blocks[4].at, blocks[5].at, fork.at, proposal.at];
    expected.sort();
    assert_eq!(found, expected);
    assert!(above.iter().all(|stored| stored.certificate.is_none() == (stored.id == proposal.at.id)));

    let mut batch = Batch::new();
    batch.set_final(BlockKey::new(Height(u64::MAX), blocks[0].at.id));
    store.commit(batch, Durable).unwrap();
    assert!(store.above_final().unwrap().is_empty(), "nothing is above the greatest height");
}
