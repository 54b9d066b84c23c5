//! Blocks that come by another way.

use alys_chain::CertifiedBlock;
use alys_sync::{Fault, Offence};
use alys_wire::PeerId;

use super::history::HISTORY;
use super::world::{Setting, World};
use crate::sync::BatchRefused;

fn blocks(heights: std::ops::RangeInclusive<u64>) -> Vec<CertifiedBlock> {
    heights.map(|height| HISTORY.block(height)).collect()
}

fn stranger() -> PeerId {
    PeerId::from_bytes(&[7; 38]).unwrap()
}

#[tokio::test(start_paused = true)]
async fn good_blocks_are_imported_and_those_that_are_here_count() {
    let world = World::new(Setting::default()).await;
    let done = world.sync.process_block_batch(blocks(1..=40), None).await.unwrap();
    assert_eq!((done.imported, done.head.height.get()), (40, 40));
    let done = world.sync.process_block_batch(blocks(30..=50), Some(stranger())).await.unwrap();
    assert_eq!((done.imported, world.height()), (21, 50));
    assert_eq!(world.sync.process_block_batch(Vec::new(), None).await.unwrap().imported, 0);
    assert_eq!(world.offences(stranger()), []);
}

#[tokio::test(start_paused = true)]
async fn blocks_on_nothing_and_blocks_of_the_future_are_nobodys_fault() {
    let world = World::new(Setting { slot: 20, ..Setting::default() }).await;
    let refused = world.sync.process_block_batch(blocks(5..=9), Some(stranger())).await;
    assert_eq!(refused, Err(BatchRefused::Unknown));
    let done = world.sync.process_block_batch(blocks(1..=40), Some(stranger())).await.unwrap();
    assert_eq!(done.imported, 20, "as far as the slots have begun");
    assert_eq!(world.offences(stranger()), []);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_block_is_named_and_nothing_is_imported() {
    let world = World::new(Setting::default()).await;
    let refused = |batch: Vec<CertifiedBlock>| world.sync.process_block_batch(batch, Some(stranger()));
    let mut bodies = blocks(1..=20);
    bodies[9].block.body = alys_chain::Body::default();
    let offence = Offence::BadBody;
    assert_eq!(refused(bodies).await, Err(BatchRefused::Invalid { index: 9, offence }));
    let mut certificates = blocks(1..=20);
    certificates[3].certificate.quorum.signature = certificates[4].certificate.quorum.signature;
    let offence = Offence::BadCertificate;
    assert_eq!(refused(certificates).await, Err(BatchRefused::Invalid { index: 3, offence }));
    let mut links = blocks(1..=20);
    links.remove(5);
    let offence = Offence::BadHeader;
    assert_eq!(refused(links).await, Err(BatchRefused::Invalid { index: 5, offence }));
    world.passes(1).await;
    assert_eq!(world.offences(stranger()), [Offence::BadBody, Offence::BadCertificate, Offence::BadHeader]);
    assert_eq!(world.height(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_batch_at_a_time_and_a_failing_importer_is_ours() {
    let world = World::new(Setting::default()).await;
    let (first, second) = tokio::join!(
        world.sync.process_block_batch(blocks(1..=5), None),
        world.sync.process_block_batch(blocks(1..=5), None),
    );
    assert_eq!((first.unwrap().imported, second), (5, Err(BatchRefused::Busy)));
    world.chain.failures.lock().unwrap().push(Fault::Ours("disk".to_owned()));
    let refused = world.sync.process_block_batch(blocks(6..=7), None).await.unwrap_err();
    assert_eq!(refused.to_string(), "0 blocks were imported, then: disk");
}
