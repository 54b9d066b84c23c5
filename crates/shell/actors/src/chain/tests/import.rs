//! Blocks from sync, questions, and a disk that fails.

use alys_chain::{BlockId, Body, CertifiedBlock, Hash, Height, HeightRange, Slot};
use alys_ledger::U256;
use alys_peers::Offence;
use alys_storage::memory::{Fault as DiskFault, MemoryDisk};
use alys_sync::Fault;
use alys_transport::Verdict;

use super::world::*;
use crate::chain::*;

/// A network of one, ten blocks long, the third with a payment.
async fn ten_blocks() -> (World, Node) {
    let world = World::new(1);
    let node = world.node(0).await;
    world.until(2, 100).await;
    node.mailbox.submit(world.pay(0, 0)).await.unwrap();
    world.until(10, 100).await;
    node.shut(true);
    node.cut_off(true);
    (world, node)
}

async fn newcomer(world: &World) -> Node {
    world.start(None, &MemoryDisk::new(), true).await
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_imported_and_importing_it_again_changes_nothing() {
    let (world, full) = ten_blocks().await;
    let new = newcomer(&world).await;
    let imported = new.mailbox.import(world.verified(&full, 1..=6)).await.unwrap();
    assert_eq!((imported.tip.head.height, imported.tip.finalized.height), (Height(6), Height(5)));
    let imported = new.mailbox.import(world.verified(&full, 3..=10)).await.unwrap();
    assert_eq!(imported.tip, full.view().tip());
    assert_eq!(new.mailbox.import(world.verified(&full, 1..=10)).await.unwrap(), imported);
    assert_eq!(new.mailbox.account(BOB).await.unwrap().balance, U256::from(5));
    assert!(new.port.certificates.lock().unwrap().is_empty(), "old certificates are nobody's news");
}

#[tokio::test(start_paused = true)]
async fn an_import_says_how_far_it_came_and_whose_fault_it_is() {
    let (world, full) = ten_blocks().await;
    let new = newcomer(&world).await;
    let missing = new.mailbox.import(world.verified(&full, 2..=3)).await.unwrap_err();
    assert!(matches!(missing.fault, Fault::Moment(_)) && missing.imported == 0, "{missing}");
    let mut blocks = world.verified(&full, 1..=5);
    let header = &mut blocks[3].block.header;
    header.state_root = Hash([1; 32]);
    blocks[3].block.id = blocks[3].block.header.id();
    let stopped = new.mailbox.import(blocks).await.unwrap_err();
    assert!(matches!(stopped.fault, Fault::Ours(_)), "a quorum has executed it: {stopped}");
    assert_eq!((stopped.imported, stopped.tip.head.height), (3, Height(3)));
    assert_eq!(new.view().storage, StorageState::Working);
}

#[tokio::test(start_paused = true)]
async fn a_block_from_elsewhere_is_checked_in_full() {
    let (world, full) = ten_blocks().await;
    let new = newcomer(&world).await;
    let good = full.certified(Height(1));
    let fault = async |block: CertifiedBlock| new.mailbox.import_block(block, false).await.unwrap_err().fault;
    let mut bad = good.clone();
    bad.block.body = Body::encode(&[world.pay(0, 0)]).unwrap();
    assert_eq!(fault(bad).await, Fault::Peer(Offence::BadBody));
    let mut bad = good.clone();
    bad.block.header.height = Height(9);
    assert_eq!(fault(bad).await, Fault::Peer(Offence::BadHeader));
    let mut bad = good.clone();
    bad.certificate.block = BlockId([1; 32]);
    assert_eq!(fault(bad).await, Fault::Peer(Offence::BadCertificate));
    let mut bad = good.clone();
    bad.certificate.quorum.signature = full.certified(Height(2)).certificate.quorum.signature;
    assert_eq!(fault(bad).await, Fault::Peer(Offence::BadCertificate));
    assert!(matches!(fault(full.certified(Height(2))).await, Fault::Moment(_)));
    let imported = new.mailbox.import_block(good.clone(), true).await.unwrap();
    assert_eq!(imported.tip.head.height, Height(1));
    assert_eq!(*new.port.certificates.lock().unwrap(), [good.certificate]);
}

#[tokio::test(start_paused = true)]
async fn an_import_releases_the_proposal_that_waited_for_it() {
    let (world, full) = ten_blocks().await;
    let new = newcomer(&world).await;
    world.until(11, 100).await;
    let parent = full.certified(Height(10)).block.header;
    let next = world.proposal(11, &parent, parent.state_root);
    assert_eq!(new.hear(next.clone()).await.0, Verdict::Ignore);
    new.mailbox.import(world.verified(&full, 1..=10)).await.unwrap();
    assert_eq!(new.view().head.id, next.header.id(), "its author alone is the quorum");
}

#[tokio::test(start_paused = true)]
async fn questions_are_answered_from_the_store() {
    let (world, full) = ten_blocks().await;
    let ask = async |at| full.mailbox.get_block(at).await.unwrap();
    let third = ask(At::Height(Height(3))).await.unwrap();
    assert_eq!(third.body, Body::encode(&[world.pay(0, 0)]).unwrap());
    assert_eq!(ask(At::Id(third.id)).await, Some(third.clone()));
    assert_eq!(ask(At::Head).await.unwrap().header.height, Height(10));
    assert_eq!(ask(At::Final).await.unwrap().header.height, Height(9));
    assert_eq!(ask(At::Height(Height(11))).await, None);
    assert_eq!(ask(At::Id(BlockId([1; 32]))).await, None);
    let range = |start, end| HeightRange::new(Height(start), Height(end));
    let blocks = full.mailbox.get_blocks_by_range(range(3, 5)).await.unwrap();
    assert_eq!(blocks.iter().map(|block| block.header.height.0).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(full.mailbox.get_blocks_by_range(range(8, 50)).await.unwrap().len(), 3);
    assert!(!full.mailbox.has_block(BlockId([1; 32])).await.unwrap());
    full.disk.fail_reads(true);
    assert!(matches!(full.mailbox.get_block(At::Head).await, Err(ReadError::Store(_))));
    assert!(matches!(full.mailbox.account(BOB).await, Err(ReadError::Store(_))));
    assert!(matches!(full.mailbox.submit(world.pay(1, 0)).await, Err(Refused::State(_))));
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_waits_and_nothing_is_lost() {
    let (world, full) = ten_blocks().await;
    let new = newcomer(&world).await;
    new.disk.fail_commit(1, DiskFault::DiskFull);
    let stopped = new.mailbox.import(world.verified(&full, 1..=4)).await.unwrap_err();
    assert!(matches!(stopped.fault, Fault::Moment(_)), "{stopped}");
    assert!(matches!(new.view().storage, StorageState::Waiting(_)));
    new.mailbox.import(world.verified(&full, 1..=10)).await.unwrap();
    assert_eq!(new.view().storage, StorageState::Working);
    // The same for what is gossiped once: it is tried again at the next slot.
    world.until(11, 100).await;
    let parent = full.certified(Height(10)).block.header;
    let next = world.proposal(11, &parent, parent.state_root);
    new.disk.fail_commit(1, DiskFault::DiskFull);
    assert_eq!(new.hear(next.clone()).await.0, Verdict::Ignore);
    world.until(12, 100).await;
    assert_eq!(new.view().head.id, next.header.id());
    assert_eq!(new.view().storage, StorageState::Working);
    assert_eq!(new.mailbox.metrics().storage_failures.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_the_disk_had_no_room_for_is_tried_again() {
    let world = World::new(4);
    let node = newcomer(&world).await;
    world.until(1, 10).await;
    let block = world.proposal(1, &world.genesis(), world.genesis().state_root);
    assert_eq!(node.hear(block.clone()).await.0, Verdict::Accept);
    for _ in 0..2 {
        node.disk.fail_commit(1, DiskFault::DiskFull);
        assert_eq!(node.hear_certificate(world.certificate(&block.header)).await.0, Verdict::Ignore);
    }
    node.disk.fail_commit(1, DiskFault::DiskFull);
    world.until(2, 10).await;
    assert_eq!(node.view().head.height, Height(0));
    assert_eq!(node.view().highest_certified, Slot(1));
    world.until(3, 10).await;
    assert_eq!(node.view().head.id, block.header.id());
}

#[tokio::test(start_paused = true)]
async fn a_failed_disk_ends_signing_and_importing_and_the_status_says_so() {
    let world = World::new(1);
    let node = world.node(0).await;
    world.until(2, 100).await;
    node.disk.fail_commit(1, DiskFault::Io);
    world.until(6, 100).await;
    let status = node.mailbox.status().await.unwrap();
    assert!(matches!(status.view.storage, StorageState::Failed(_)), "{:?}", status.view.storage);
    assert!(status.not_produced.unwrap().contains("check the disk"));
    assert_eq!((status.view.produced, status.view.head.height), (2, Height(2)));
    let stopped = node.mailbox.import(Vec::new()).await.unwrap_err();
    assert!(matches!(stopped.fault, Fault::Ours(_)));
    // A restart of the process finds a disk that works, and what was signed.
    let disk = node.kill().await;
    let again = world.start(Some(0), &disk, false).await;
    world.until(8, 100).await;
    assert_eq!(again.view().head.slot, Slot(8));
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_costs_an_authority_its_slot_and_no_more() {
    let world = World::new(1);
    let node = world.node(0).await;
    world.until(2, 100).await;
    node.disk.fail_commit(1, DiskFault::DiskFull);
    world.until(3, 100).await;
    assert!(matches!(node.view().storage, StorageState::Waiting(_)));
    assert_eq!(node.view().last_signed, Some(Slot(2)), "nothing is signed that is not on record");
    world.until(5, 100).await;
    assert_eq!((node.view().head.height, node.view().storage), (Height(4), StorageState::Working));
}
