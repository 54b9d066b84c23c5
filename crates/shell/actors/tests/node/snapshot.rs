//! Fresh nodes that begin with a state, and what servers do to them.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alys_actor::Randomness;
use alys_actors::chain::local::LocalChain;
use alys_actors::chain::snapshot::Backfilled;
use alys_actors::chain::{At, NotInstalled, ReadError, StorageState, begin_record};
use alys_actors::{Node, Parts};
use alys_chain::{BlockId, Body, CertifiedHeader, FinalityProof, Height, HeightRange, Slot};
use alys_ledger::{Address, U256};
use alys_storage::memory::Fault;
use alys_storage::{Batch, Durability, StateKey, Store};
use alys_sync::{Mode, Offence};
use alys_transport::{BlockSource, Unavailable};
use alys_wire::limits::{ACCOUNT_BYTES, NONCE_BYTES};
use alys_wire::{PeerId, Status};
use bytes::Bytes;

use crate::kit::{Place, SECOND, World, finalize, pass, view};

/// Whom the payments go to.
const PAID: Address = Address::repeat_byte(0xb0);

/// What a server does with its state.
#[derive(Clone)]
enum Lie {
    /// Changes an account.
    Account,
    /// Changes a sum.
    Sum,
    /// Claims another block's proof.
    Proof,
    /// Serves so many buckets more, and then none.
    After(Arc<AtomicUsize>),
    /// Of the oldest blocks, whose headers nobody asks for but who fetches the past.
    Past(Old),
}

/// What a server does with the oldest blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Old {
    /// Says that it has no headers.
    NoHeaders,
    /// Says that it has no bodies.
    NoBodies,
    /// Serves headers that are not linked.
    Links,
    /// Serves the certificates of other blocks.
    Certificates,
    /// Serves other bodies.
    Bodies,
}

/// Up to which height they are old.
const OLD: Height = Height(10);

/// Headers from the lowest height on, told in this way.
fn retold(old: Old, mut headers: Vec<CertifiedHeader>) -> Vec<CertifiedHeader> {
    match old {
        Old::NoHeaders => headers.clear(),
        Old::Links => headers[0].header.body_root.0[0] ^= 1,
        Old::Certificates => {
            let other = headers[1].certificate.quorum.signature;
            headers[0].certificate.quorum.signature = other;
        }
        Old::NoBodies | Old::Bodies => {}
    }
    headers
}

/// A source that lies, and counts the buckets that it was asked for.
struct Lying {
    inner: Arc<dyn BlockSource>,
    lie: Lie,
    asked: Arc<AtomicUsize>,
}

fn flipped(bytes: Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    bytes.into()
}

/// Other accounts than these; one where there are none.
fn changed(bucket: u8, accounts: Bytes) -> Bytes {
    if !accounts.is_empty() {
        return flipped(accounts);
    }
    let mut account = [0; ACCOUNT_BYTES];
    (account[0], account[20]) = (bucket, 1);
    account.to_vec().into()
}

impl BlockSource for Lying {
    fn status(&self) -> Result<Status, Unavailable> {
        self.inner.status()
    }

    fn headers(&self, from: Height, count: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
        let headers = self.inner.headers(from, count)?;
        match self.lie {
            Lie::Past(old) if from <= OLD && headers.len() > 1 => Ok(retold(old, headers)),
            _ => Ok(headers),
        }
    }

    fn bodies(&self, ids: &[BlockId], budget: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        let bodies = self.inner.bodies(ids, budget)?;
        let Lie::Past(old @ (Old::NoBodies | Old::Bodies)) = self.lie else { return Ok(bodies) };
        let oldest = self.inner.headers(Height(1), 10)?;
        if !oldest.iter().any(|header| ids.contains(&header.certificate.block)) {
            return Ok(bodies);
        }
        let retold = |body: Bytes| (old == Old::Bodies).then(|| flipped([&body[..], &[7]].concat().into()));
        Ok(bodies.into_iter().map(|body| body.and_then(retold)).collect())
    }

    fn claim(&self, asker: PeerId, nonce: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
        self.inner.claim(asker, nonce)
    }

    fn snapshots(&self) -> Result<Vec<FinalityProof>, Unavailable> {
        let proofs = self.inner.snapshots()?;
        if !matches!(self.lie, Lie::Proof) {
            return Ok(proofs);
        }
        let change = |proof: &FinalityProof| {
            let mut bytes = proof.encode();
            // The signature of the last certificate lies at the end of the first quorum: any byte of the header before it will do.
            let at = bytes.len() - CertifiedHeader::SIZE + 40;
            bytes[at] ^= 1;
            FinalityProof::decode(&bytes).unwrap()
        };
        Ok(proofs.iter().map(change).collect())
    }

    fn state_sums(&self, block: BlockId) -> Result<Option<Bytes>, Unavailable> {
        let sums = self.inner.state_sums(block)?;
        Ok(if matches!(self.lie, Lie::Sum) { sums.map(flipped) } else { sums })
    }

    fn accounts(
        &self,
        block: BlockId,
        bucket: u8,
        after: Option<[u8; 20]>,
        count: usize,
    ) -> Result<Option<Bytes>, Unavailable> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let accounts = self.inner.accounts(block, bucket, after, count)?;
        match &self.lie {
            Lie::Account => Ok(accounts.map(|accounts| changed(bucket, accounts))),
            Lie::After(left) => {
                let some = |left: usize| left.checked_sub(1);
                match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, some) {
                    Ok(_) => Ok(accounts),
                    Err(_) => Err(Unavailable),
                }
            }
            Lie::Sum | Lie::Proof | Lie::Past(_) => Ok(accounts),
        }
    }
}

/// A world whose nodes offer a state every ten blocks.
fn world(authorities: u8, seed: u64) -> World {
    let mut world = World::new(authorities, seed);
    world.snapshots_every = NonZeroU64::new(10).unwrap();
    world
}

/// Makes blocks in these slots, all approved, and lets their time pass.
async fn preload(world: &World, place: &Place, slots: impl IntoIterator<Item = u64>) {
    let genesis = world.network.rules.genesis_id();
    let store = Arc::new(place.disk.open(genesis).unwrap());
    begin_record(store.as_ref(), genesis).unwrap();
    let mut chain = LocalChain::open(world.network.clone(), store).unwrap();
    for slot in slots.into_iter().map(Slot) {
        let (block, _) = chain.build(slot, &[]).unwrap();
        chain.propose(&block, slot, None).unwrap();
        chain.certify(&world.certify(&block.header)).unwrap();
    }
    pass(2 * SECOND * u32::try_from(chain.head().slot.0).unwrap()).await;
}

/// The nodes of a federation, of which some lie; with accounts, and a state to offer.
async fn federation(world: &World, lies: &[Option<Lie>]) -> (Vec<Place>, Vec<Node>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let (mut places, mut nodes) = (Vec::new(), Vec::new());
    for (number, lie) in (0..).zip(lies) {
        let mut place = world.place(number);
        let mut parts = world.parts(&mut place);
        if let Some(lie) = lie.clone() {
            let asked = asked.clone();
            parts.connect = world
                .connect(number, World::peer(number), move |inner| Arc::new(Lying { inner, lie, asked }));
        }
        nodes.push(alys_actors::start(parts).unwrap());
        places.push(place);
    }
    finalize(&nodes, 2).await;
    nodes[0].chain.submit(world.payment(0, 0)).await.unwrap();
    finalize(&nodes, 25).await;
    (places, nodes, asked)
}

/// The parts of a fresh node that begins with a state.
fn newcomer(world: &World, place: &mut Place) -> Parts {
    let mut parts = world.parts(place);
    parts.base.settings.sync.from_state = true;
    parts
}

/// A running one, and its store.
async fn start_newcomer(world: &World, place: &mut Place) -> (Node, Arc<dyn Store>) {
    let parts = newcomer(world, place);
    let store = parts.base.store.clone();
    let node = alys_actors::start(parts).unwrap();
    node.running().await;
    (node, store)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..300 {
        if holds().await {
            return;
        }
        pass(SECOND).await;
    }
    panic!("{what} does not come true");
}

/// Waits until the node stands on a state, and says from which height on it has bodies then: it looks often, as the past comes quickly.
async fn installed(node: &Node, store: &Arc<dyn Store>) -> Height {
    for _ in 0..60_000 {
        if view(node).head.height > Height::ZERO {
            return store.earliest().unwrap();
        }
        pass(Duration::from_millis(5)).await;
    }
    panic!("no state is installed");
}

/// Waits until the node follows the others.
async fn synced(node: &Node, others: &[Node]) {
    until("synced", async || {
        let status = node.sync.get_status().await.unwrap();
        status.mode == Mode::Synced && view(node).head.height >= view(&others[0]).finalized.height
    })
    .await;
}

fn store_of(parts: &Parts) -> Arc<dyn Store> {
    parts.base.store.clone()
}

async fn offences(node: &Node, of: u8) -> u64 {
    let known = node.peers.get_peer_status(World::peer(of)).await.unwrap();
    known.map_or(0, |known| u64::from(known.offences))
}

#[tokio::test(start_paused = true)]
async fn a_fresh_node_begins_with_a_state_and_fetches_the_past_afterwards() {
    let world = world(3, 11);
    let (_places, nodes, _) = federation(&world, &[None, None, None]).await;
    let mut place = world.place(3);
    let (node, store) = start_newcomer(&world, &mut place).await;
    let began_at = installed(&node, &store).await;
    assert!(began_at > Height(20), "the block of height 20 or above, and no body yet: {began_at}");
    synced(&node, &nodes).await;
    assert_eq!(node.chain.account(PAID).await.unwrap().balance, U256::from(5));
    until("the past is here", async || store.earliest().unwrap() == Height(1)).await;
    for height in 1..=began_at.get() {
        let ours = node.chain.get_block(At::Height(Height(height))).await.unwrap().unwrap();
        let theirs = nodes[0].chain.get_block(At::Height(Height(height))).await.unwrap().unwrap();
        assert_eq!((ours.id, ours.body, ours.certificate.is_some()), (theirs.id, theirs.body, true));
        assert!(store.body(ours.id).unwrap().is_some());
    }
    // It offers states itself by now, of the same blocks as the others.
    let offered = |node: &Node| node.chain.snapshots().all()[0].block();
    pass(SECOND * 25).await;
    assert_eq!(offered(&node), offered(&nodes[0]));
    nodes[1].chain.submit(world.payment(1, 0)).await.unwrap();
    pass(SECOND * 10).await;
    assert_eq!(node.chain.account(PAID).await.unwrap().balance, U256::from(10), "it executes on it");
}

#[tokio::test(start_paused = true)]
async fn a_tampered_state_is_refused_its_server_blamed_and_another_used() {
    for (seed, lie) in [(12, Lie::Account), (13, Lie::Sum), (14, Lie::Proof)] {
        let world = world(3, seed);
        let (_places, nodes, _) = federation(&world, &[Some(lie), None, None]).await;
        let mut place = world.place(3);
        let node = alys_actors::start(newcomer(&world, &mut place)).unwrap();
        node.running().await;
        synced(&node, &nodes).await;
        assert_eq!(node.chain.account(PAID).await.unwrap().balance, U256::from(5));
        assert!(offences(&node, 0).await > 0, "seed {seed}: {:?} is provable", Offence::BadState);
        assert_eq!((offences(&node, 1).await, offences(&node, 2).await), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_vanishes_is_replaced() {
    let world = world(4, 15);
    let left = Arc::new(AtomicUsize::new(40));
    let lies = [Some(Lie::After(left.clone())), None, None, None];
    let (_places, mut nodes, _) = federation(&world, &lies).await;
    let mut place = world.place(4);
    let node = alys_actors::start(newcomer(&world, &mut place)).unwrap();
    node.running().await;
    nodes.remove(0).stop().await;
    synced(&node, &nodes).await;
    assert_eq!(offences(&node, 0).await, 0, "going is no offence");
}

#[tokio::test(start_paused = true)]
async fn a_killed_node_goes_on_with_the_buckets_that_are_durable() {
    let world = world(1, 16);
    let left = Arc::new(AtomicUsize::new(100));
    let (_places, nodes, asked) = federation(&world, &[Some(Lie::After(left.clone()))]).await;
    let mut place = world.place(1);
    let (node, store) = start_newcomer(&world, &mut place).await;
    let complete = async || store.staged().unwrap().map_or(0, |staged| staged.complete.len());
    until("a part is durable", async || complete().await == 100).await;
    assert_eq!(node.sync.get_status().await.unwrap().mode, Mode::Snapshot);
    assert!(!node.sync.can_produce(view(&node).slot).await.unwrap().open);
    // Not even an orderly end: the process is gone.
    drop(node);
    left.store(usize::MAX, Ordering::SeqCst);
    asked.store(0, Ordering::SeqCst);
    let node = alys_actors::start(newcomer(&world, &mut place)).unwrap();
    node.running().await;
    synced(&node, &nodes).await;
    assert_eq!(asked.load(Ordering::SeqCst), 156, "the rest and nothing else");
    assert_eq!(node.chain.account(PAID).await.unwrap().balance, U256::from(5));
}

#[tokio::test(start_paused = true)]
async fn a_light_node_follows_headers_and_knows_no_accounts() {
    let world = world(3, 17);
    let (_places, nodes, _) = federation(&world, &[None, None, None]).await;
    let mut place = world.place(3);
    let light = |place: &mut Place| {
        let mut parts = world.parts(place);
        parts.base.settings.sync.light = true;
        parts.base.network.light = true;
        parts
    };
    let parts = light(&mut place);
    let store = store_of(&parts);
    let node = alys_actors::start(parts).unwrap();
    node.running().await;
    synced(&node, &nodes).await;
    pass(SECOND * 20).await;
    assert!(view(&node).finalized.height >= Height(30), "it goes on: {:?}", view(&node));
    let headers =
        store.certified_headers(Height(1), alys_storage::Limit { count: 20, bytes: 1 << 20 }).unwrap();
    assert_eq!(headers.len(), 20, "it can serve them");
    assert!(store.body(headers[3].block.id).unwrap().is_none());
    let refused = node.chain.account(PAID).await.unwrap_err().to_string();
    assert!(refused.contains("headers only"), "{refused}");
    let refused = node.chain.submit(world.payment(1, 0)).await.unwrap_err().to_string();
    assert!(refused.contains("headers only"), "{refused}");
    drop(node);
    let node = alys_actors::start(light(&mut place)).unwrap();
    node.running().await;
    synced(&node, &nodes).await;
}

/// A newcomer of a single authority that stops serving behind these many buckets, when all of those are durable.
async fn halted(world: &World, buckets: usize) -> (Vec<Place>, Vec<Node>, Arc<AtomicUsize>, Place, Node) {
    let left = Arc::new(AtomicUsize::new(buckets));
    let (places, nodes, _) = federation(world, &[Some(Lie::After(left.clone()))]).await;
    let mut place = world.place(1);
    let parts = newcomer(world, &mut place);
    let store = store_of(&parts);
    let node = alys_actors::start(parts).unwrap();
    node.running().await;
    let complete = || store.staged().unwrap().map_or(0, |staged| staged.complete.len());
    until("a part is durable", async || complete() == buckets).await;
    (places, nodes, left, place, node)
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_at_a_bucket_and_at_the_installation_costs_time_only() {
    for (seed, nth) in [(21, 1), (22, 2)] {
        let world = world(1, seed);
        let (_places, nodes, left, place, node) = halted(&world, 255).await;
        place.disk.fail_commit(nth, Fault::DiskFull);
        left.store(usize::MAX, Ordering::SeqCst);
        synced(&node, &nodes).await;
        assert_eq!(offences(&node, 0).await, 0, "commit {nth}: nobody is blamed for our disk");
        assert_eq!(node.chain.account(PAID).await.unwrap().balance, U256::from(5));
    }
}

#[tokio::test(start_paused = true)]
async fn an_installation_whose_commit_is_uncertain_is_settled_by_the_next_start() {
    let world = world(1, 23);
    let (_places, nodes, left, mut place, node) = halted(&world, 255).await;
    place.disk.fail_commit(2, Fault::Io);
    left.store(usize::MAX, Ordering::SeqCst);
    until("the database is given up", async || view(&node).storage != StorageState::Working).await;
    pass(SECOND * 60).await;
    assert_eq!(node.sync.get_status().await.unwrap().mode, Mode::Snapshot);
    assert_eq!(view(&node).head.height, Height::ZERO);
    assert!(!node.sync.can_produce(view(&node).slot).await.unwrap().open);
    drop(node);
    let node = alys_actors::start(newcomer(&world, &mut place)).unwrap();
    node.running().await;
    assert!(view(&node).head.height > Height::ZERO, "the commit was there after all");
    synced(&node, &nodes).await;
}

/// Lets a bucket of the staged state have another sum.
fn damage(store: &dyn Store) {
    let mut batch = Batch::new();
    batch.stage_state(StateKey::Bucket(7), &[1; 2_048]);
    store.commit(batch, Durability::Durable).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_staged_state_with_another_root_is_fetched_anew() {
    let world = world(1, 24);
    let left = Arc::new(AtomicUsize::new(255));
    let (_places, nodes, asked) = federation(&world, &[Some(Lie::After(left.clone()))]).await;
    let mut place = world.place(1);
    let (node, store) = start_newcomer(&world, &mut place).await;
    let complete = || store.staged().unwrap().map_or(0, |staged| staged.complete.len());
    until("nearly everything is durable", async || complete() == 255).await;
    damage(store.as_ref());
    asked.store(0, Ordering::SeqCst);
    left.store(usize::MAX, Ordering::SeqCst);
    synced(&node, &nodes).await;
    assert!(asked.load(Ordering::SeqCst) >= 257, "the last one, then all of them again");
    assert_eq!(offences(&node, 0).await, 0);
    assert_eq!(node.chain.account(PAID).await.unwrap().balance, U256::from(5));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_part_is_found_at_the_start_and_nothing_of_it_is_used() {
    let world = world(1, 25);
    let (_places, nodes, left, mut place, node) = halted(&world, 100).await;
    drop(node);
    let parts = newcomer(&world, &mut place);
    damage(store_of(&parts).as_ref());
    left.store(usize::MAX, Ordering::SeqCst);
    let node = alys_actors::start(parts).unwrap();
    node.running().await;
    synced(&node, &nodes).await;
    assert_eq!(node.chain.account(PAID).await.unwrap().balance, U256::from(5));
}

#[tokio::test(start_paused = true)]
async fn a_state_that_is_replaced_while_it_is_fetched_is_given_up_for_the_newer_one() {
    let world = world(1, 26);
    let (_places, nodes, left, _place, node) = halted(&world, 100).await;
    let first = node.sync.get_status().await.unwrap().target.unwrap();
    finalize(&nodes, first.get() + 40).await;
    left.store(usize::MAX, Ordering::SeqCst);
    until("a state is installed", async || view(&node).head.height > Height::ZERO).await;
    assert!(view(&node).finalized.height > first, "not the one that it began with");
    synced(&node, &nodes).await;
    assert_eq!(node.chain.account(PAID).await.unwrap().balance, U256::from(5));
}

#[tokio::test(start_paused = true)]
async fn when_all_servers_are_gone_it_waits_for_one_to_come_back() {
    let world = world(1, 27);
    let (mut places, mut nodes, _left, _place, node) = halted(&world, 50).await;
    nodes.remove(0).stop().await;
    pass(SECOND * 120).await;
    assert_eq!(node.sync.get_status().await.unwrap().mode, Mode::Snapshot);
    assert!(!node.sync.can_produce(view(&node).slot).await.unwrap().open);
    nodes.push(world.start(&mut places[0]));
    synced(&node, &nodes).await;
    assert_eq!(node.chain.account(PAID).await.unwrap().balance, U256::from(5));
}

#[tokio::test(start_paused = true)]
async fn lies_about_the_past_are_blamed_and_gaps_are_not_and_the_past_comes_all_the_same() {
    let lies = [
        (Old::NoHeaders, false),
        (Old::NoBodies, false),
        (Old::Links, true),
        (Old::Certificates, true),
        (Old::Bodies, true),
    ];
    for (seed, (old, is_guilty)) in (30..).zip(lies) {
        let world = world(3, seed);
        let (_places, nodes, _) = federation(&world, &[Some(Lie::Past(old)), None, None]).await;
        let mut place = world.place(3);
        let parts = newcomer(&world, &mut place);
        let store = store_of(&parts);
        let node = alys_actors::start(parts).unwrap();
        node.running().await;
        synced(&node, &nodes).await;
        until("the past is here", async || store.earliest().unwrap() == Height(1)).await;
        if is_guilty {
            assert!(offences(&node, 0).await > 0, "{old:?}");
        } else {
            assert_eq!(offences(&node, 0).await, 0, "{old:?}");
        }
        assert_eq!((offences(&node, 1).await, offences(&node, 2).await), (0, 0), "{old:?}");
        let ours = node.chain.get_block(At::Height(OLD)).await.unwrap();
        assert_eq!(
            ours.unwrap().body,
            nodes[1].chain.get_block(At::Height(OLD)).await.unwrap().unwrap().body
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_held_is_said_to_be_so_and_its_header_is_shown() {
    let world = world(1, 28);
    let (_places, nodes, _) = federation(&world, &[None]).await;
    let mut place = world.place(1);
    let mut parts = newcomer(&world, &mut place);
    parts.base.settings.sync.backfill = false;
    let store = store_of(&parts);
    let node = alys_actors::start(parts).unwrap();
    node.running().await;
    synced(&node, &nodes).await;
    let earliest = store.earliest().unwrap();
    let below = Height(earliest.get() - 1);
    let refused = node.chain.get_block(At::Height(below)).await.unwrap_err();
    assert_eq!(refused, ReadError::NotHeld { height: below, earliest });
    assert!(refused.to_string().contains("is not held here"), "{refused}");
    let range = HeightRange::new(below, Height(below.get() + 2));
    assert_eq!(node.chain.get_blocks_by_range(range).await.unwrap_err(), refused);
    assert_eq!(node.chain.get_header(At::Height(below)).await.unwrap().unwrap().header.height, below);
    assert!(node.chain.get_block(At::Height(earliest)).await.unwrap().is_some());
    assert_eq!(node.chain.get_block(At::Height(Height(1))).await, Ok(None), "not even its header is known");
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_its_own_takes_no_state_and_no_blocks_elsewhere_and_is_none_the_worse() {
    let world = world(1, 29);
    let (_places, nodes, _) = federation(&world, &[None]).await;
    let offer = nodes[0].chain.snapshots().all()[0].clone();
    let mut rng = Randomness::seeded(1).stream("weights");
    let proven = offer.proof().verify(&world.network.rules, world.now(), &mut rng).unwrap();
    let refused = nodes[0].chain.install(proven).await.unwrap_err();
    assert!(matches!(refused, NotInstalled::TooLate(_)), "{refused}");
    let header = *offer.proof().subject();
    let block = Backfilled { header, lineage: proven.block.lineage, body: Body::default() };
    let refused = nodes[0].chain.backfill(vec![block]).await.unwrap_err();
    assert!(matches!(refused, alys_sync::Fault::Moment(_)), "{refused}");
    let further = view(&nodes[0]).finalized.height.get() + 5;
    finalize(&nodes, further).await;
}

#[tokio::test(start_paused = true)]
async fn the_past_comes_also_from_a_time_in_which_nothing_became_final() {
    let world = world(1, 40);
    let mut place = world.place(0);
    // More than one request for headers has no two of them in consecutive slots.
    let lonely = (10..).step_by(2).take(1_100);
    preload(&world, &place, (1..=8).chain(lonely).chain(3_000..3_012)).await;
    let nodes = [world.start(&mut place)];
    nodes[0].running().await;
    let mut place = world.place(1);
    let (node, store) = start_newcomer(&world, &mut place).await;
    assert!(installed(&node, &store).await > Height(1_100), "it began with a state");
    synced(&node, &nodes).await;
    until("the past is here", async || store.earliest().unwrap() == Height(1)).await;
    for height in [1, 8, 9, 600, 1_108, 1_109] {
        let at = At::Height(Height(height));
        let (ours, theirs) =
            (node.chain.get_block(at).await.unwrap(), nodes[0].chain.get_block(at).await.unwrap());
        assert_eq!(ours.unwrap(), theirs.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn on_a_chain_without_a_state_to_offer_it_begins_with_genesis() {
    let world = world(1, 41);
    let mut place = world.place(0);
    // Nothing is final, and the only authority is silent.
    preload(&world, &place, [1, 3]).await;
    place.number = 5;
    let nodes = [world.start(&mut place)];
    let mut place = world.place(1);
    let mut parts = newcomer(&world, &mut place);
    parts.base.settings.peers.bootnodes = vec![World::address(5).with_peer(World::peer(5))];
    let node = alys_actors::start(parts).unwrap();
    node.running().await;
    until("it has the head", async || view(&node).head == view(&nodes[0]).head).await;
    assert_eq!(view(&node).head.height, Height(2));
}
