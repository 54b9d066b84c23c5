//! The signer, the slot clock, what waits, what is served.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use alys_actor::Clock;
use alys_chain::consensus::{Refusal, SigningRecord, SlotTime};
use alys_chain::{BlockId, Body, Claim, Header, Height, Parties, Required, SetId, Slot, UnixMillis};
use alys_storage::memory::{Fault, MemoryDisk};
use alys_storage::{Batch, Durability, Store};
use alys_transport::{BlockSource, Unavailable};
use alys_wire::PeerId;
use prometheus_client::registry::Registry;

use super::world::*;
use crate::chain::held::{Held, MAX_AGE, MAX_HELD};
use crate::chain::inspect::Candidate;
use crate::chain::local::{LocalChain, PreparedBlock};
use crate::chain::slots::SlotClock;
use crate::chain::*;

const REQUIRED: Required = Required { own: SetId(0), old: None };

fn store(world: &World, disk: &MemoryDisk) -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(disk.open(world.network.rules.genesis_id()).unwrap());
    LocalChain::open(world.network.clone(), store.clone()).unwrap();
    store
}

fn signer(world: &World, store: &dyn Store, now: u64) -> Signer {
    Signer::open(world.network.rules.clone(), world.keys[1].clone(), store, Slot(now)).unwrap()
}

/// One of a key that has not signed yet.
fn new_signer(world: &World) -> Signer {
    let store = store(world, &MemoryDisk::new());
    begin_record(store.as_ref(), world.network.rules.genesis_id()).unwrap();
    signer(world, store.as_ref(), 0)
}

const fn start_of(slot: u64) -> SlotTime {
    SlotTime { slot: Slot(slot), elapsed: Duration::ZERO, length: Duration::from_secs(2) }
}

fn ballot(world: &World, slot: u64) -> Ballot {
    let header = world.proposal(slot, &world.genesis(), world.genesis().state_root).header;
    Ballot { header, certified_parent: Some(Slot(0)), required: REQUIRED }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_signed_before_its_record_is_durable() {
    let world = World::new(4);
    let signer = new_signer(&world);
    assert_eq!((signer.last_signed(), signer.state()), (None, SignerState::Ready));
    let failed = signer.approve(&ballot(&world, 2), start_of(2), |_| Err("the disk is full"));
    assert!(matches!(failed, Err(SignError::Commit("the disk is full"))));
    assert_eq!(signer.last_signed(), None);
    let mut recorded = None;
    let ballot = ballot(&world, 2);
    let keep = |record: SigningRecord| {
        recorded = Some(record);
        Ok::<_, Infallible>(())
    };
    let approvals = signer.approve(&ballot, start_of(2), keep).unwrap();
    assert_eq!(approvals, [world.approval(&ballot.header, 1)]);
    assert_eq!(recorded.unwrap(), SigningRecord { last: Slot(2), block: ballot.header.id(), lock: Slot(0) });
    assert_eq!(signer.last_signed(), Some(Slot(2)));
}

#[tokio::test(start_paused = true)]
async fn one_block_a_slot_and_only_where_there_is_a_vote() {
    let world = World::new(4);
    let signer = new_signer(&world);
    let commit = |_| Ok::<_, Infallible>(());
    signer.approve(&ballot(&world, 2), start_of(2), commit).unwrap();
    let header = Header { state_root: alys_chain::Hash([1; 32]), ..ballot(&world, 2).header };
    let twice = signer.approve(&Ballot { header, ..ballot(&world, 2) }, start_of(2), commit);
    assert!(matches!(twice, Err(SignError::Refused(Refusal::AlreadySigned { .. }))));
    let foreign = Required { own: SetId(7), old: None };
    let foreign = Ballot { required: foreign, ..ballot(&world, 3) };
    assert!(matches!(signer.approve(&foreign, start_of(3), commit), Err(SignError::NoVote)));
    assert!(signer.may_propose(Slot(2), Slot(0), start_of(2)).is_err());
    assert!(signer.may_propose(Slot(5), Slot(0), start_of(5)).is_ok());
    let own: Vec<u64> = (0..9).filter(|slot| signer.is_proposer(Slot(*slot))).collect();
    assert_eq!(own, [1, 5]);
}

#[tokio::test(start_paused = true)]
async fn without_a_record_it_counts_as_lost() {
    let world = World::new(4);
    let disk = MemoryDisk::new();
    let at_genesis = store(&world, &disk);
    let lost = SignerState::Lost { restart: Slot(9) };
    let waiting = signer(&world, at_genesis.as_ref(), 9);
    assert_eq!(waiting.state(), lost);
    waiting.on_certificate(Slot(9), BlockId([1; 32]));
    assert_eq!(waiting.state(), lost);
    waiting.on_certificate(Slot(10), BlockId([1; 32]));
    assert_eq!(waiting.last_signed(), Some(Slot(10)));
    let record = SigningRecord { last: Slot(4), block: BlockId([2; 32]), lock: Slot(3) };
    let mut batch = Batch::new();
    batch.record_signing(record);
    at_genesis.commit(batch, Durability::Durable).unwrap();
    assert_eq!(signer(&world, at_genesis.as_ref(), 9).last_signed(), Some(Slot(4)));
    begin_record(at_genesis.as_ref(), world.network.rules.genesis_id()).unwrap();
    assert_eq!(at_genesis.signing_record().unwrap(), Some(record), "what was signed stays on record");
    disk.fail_reads(true);
    let rules = world.network.rules.clone();
    assert!(Signer::open(rules, world.keys[1].clone(), at_genesis.as_ref(), Slot(9)).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_new_key_that_is_killed_before_its_first_signature_still_knows_that_it_is_new() {
    let world = World::new(4);
    let disk = MemoryDisk::new();
    let genesis = world.network.rules.genesis_id();
    begin_record(&disk.open(genesis).unwrap(), genesis).unwrap();
    disk.crash();
    let again = signer(&world, store(&world, &disk).as_ref(), 9);
    assert_eq!((again.state(), again.last_signed()), (SignerState::Ready, None));
}

#[tokio::test(start_paused = true)]
async fn a_store_beyond_genesis_without_a_record_has_lost_it() {
    let world = World::new(1);
    let node = world.node(0).await;
    world.until(2, 100).await;
    let new = world.start(None, &MemoryDisk::new(), true).await;
    new.mailbox.import(world.verified(&node, 1..=1)).await.unwrap();
    let disk = new.kill().await;
    let again = world.start(Some(0), &disk, true).await;
    assert_eq!(again.mailbox.status().await.unwrap().signer, SignerState::Lost { restart: Slot(2) });
}

#[tokio::test(start_paused = true)]
async fn the_slot_clock_knows_where_the_slot_stands() {
    let world = World::new(1);
    let (clock, skew) = Clock::simulated(UnixMillis(0));
    let slots = SlotClock::new(clock, world.network.rules.clone());
    assert_eq!((slots.now(), slots.slot()), (None, Slot(0)), "genesis is a second away");
    assert_eq!(slots.wait(), Duration::from_secs(1));
    tokio::time::sleep(Duration::from_millis(4_500)).await;
    let now = slots.now().unwrap();
    assert_eq!((now.slot, now.elapsed), (Slot(1), Duration::from_millis(1_500)));
    assert_eq!(slots.wait(), Duration::from_millis(500));
    skew.set(-1_000);
    assert_eq!(slots.wait(), Duration::from_secs(1), "never long without a look at the clock");
}

#[tokio::test(start_paused = true)]
async fn few_proposals_wait_and_the_oldest_make_room() {
    let world = World::new(4);
    let candidate = |slot: u64| {
        let proposal = world.proposal(slot, &world.genesis(), world.genesis().state_root);
        let (header, approval) = (proposal.header, proposal.approval);
        let block = PreparedBlock::check(header, approval.block, Body::default(), CHAIN).unwrap();
        Candidate { block, approval, parent: None }
    };
    let mut held = Held::default();
    (1..=20).for_each(|slot| held.insert(candidate(slot)));
    assert_eq!(held.len(), MAX_HELD);
    held.forget_old(Slot(20));
    let slots: Vec<u64> = held.take_all().iter().map(|held| held.block.header.slot.0).collect();
    assert_eq!(slots, (20 - MAX_AGE..=20).collect::<Vec<_>>());
    held.insert(candidate(1));
    assert_eq!(held.take_children(BlockId([1; 32])).len(), 0);
    assert_eq!(held.take_children(world.genesis().id()).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn peers_are_served_from_the_store() {
    let world = World::new(1);
    let node = world.node(0).await;
    let (peer, asker) = (PeerId::from_bytes(&[1; 34]).unwrap(), PeerId::from_bytes(&[2; 34]).unwrap());
    let source = |authority| {
        let (store, rules) = (node.store.clone(), world.network.rules.clone());
        ChainSource::new(store, rules, world.clock.clone(), node.mailbox.watch(), authority)
    };
    let plain = source(None);
    assert_eq!(plain.status().unwrap().head, None, "genesis only");
    world.until(4, 100).await;
    let status = plain.status().unwrap();
    assert_eq!(status.head.unwrap().header.height, Height(4));
    assert_eq!((status.finalized, status.earliest), (Height(3), Height(1)));
    let headers = plain.headers(Height(2), 2).unwrap();
    assert_eq!(headers.iter().map(|h| h.header.height.0).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(plain.headers(Height(9), 2).unwrap(), []);
    let ids = [headers[0].certificate.block, BlockId([1; 32])];
    assert_eq!(plain.bodies(&ids, 1_000).unwrap().len(), 2);
    assert_eq!((plain.claim(asker, [0; 32]), plain.report([0; 32])), (Ok(None), Ok(None)));

    let source = source(node.signer.clone().map(|signer| (signer, peer)));
    let claim = Claim::decode(&source.claim(asker, [5; 32]).unwrap().unwrap()).unwrap();
    let parties = Parties { claimant: peer.as_bytes(), asker: asker.as_bytes(), nonce: &[5; 32] };
    let seat = claim.verify(&world.network.rules, &parties, world.clock.unix()).unwrap();
    assert_eq!(Some(seat), node.signer.as_ref().unwrap().seat(SetId(0)));
    let report = source.report([6; 32]).unwrap().unwrap();
    assert_eq!(report.verify(&world.network.rules, &[6; 32]), Ok(seat));
    assert_eq!((report.best.slot, report.best.block), (Slot(4), node.view().head.id));
    node.disk.fail_reads(true);
    assert_eq!(source.status(), Err(Unavailable));
    assert_eq!(source.report([6; 32]), Err(Unavailable));
}

#[tokio::test(start_paused = true)]
async fn a_report_speaks_of_certificates_whose_block_is_missing() {
    let world = World::new(2);
    let node = world.node(0).await;
    node.shut(true);
    world.until(3, 10).await;
    let parent = world.proposal(2, &world.genesis(), world.genesis().state_root).header;
    let header = world.proposal(3, &parent, world.genesis().state_root).header;
    node.hear_certificate(world.certificate(&header)).await;
    let authority = node.signer.clone().map(|signer| (signer, PeerId::from_bytes(&[1; 34]).unwrap()));
    let rules = world.network.rules.clone();
    let source =
        ChainSource::new(node.store.clone(), rules, world.clock.clone(), node.mailbox.watch(), authority);
    let best = source.report([0; 32]).unwrap().unwrap().best;
    assert_eq!((best.slot, best.block), (Slot(3), header.id()));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_open_fails_the_start_and_is_tried_again() {
    let world = World::new(1);
    let disk = MemoryDisk::new();
    let store: Arc<dyn Store> = Arc::new(disk.open(world.network.rules.genesis_id()).unwrap());
    disk.fail_commit(1, Fault::DiskFull);
    let node = world.start_on(None, &disk, store).await;
    assert_eq!(node.supervisor.status()[0].incarnation, 2);
    assert_eq!(node.view().head.height, Height(0));
}

#[test]
fn every_counter_has_a_name() {
    let mut registry = Registry::default();
    ChainMetrics::default().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for name in ["chain_head_height", "chain_blocks_produced_total", "chain_storage_failures_total"] {
        assert!(text.contains(name), "{name} in {text}");
    }
}
