//! Fresh nodes that begin with a state, and what servers do to them.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alys_actors::chain::At;
use alys_actors::{Node, Parts};
use alys_chain::{BlockId, CertifiedHeader, FinalityProof, Height};
use alys_ledger::{Address, U256};
use alys_storage::Store;
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
        self.inner.headers(from, count)
    }

    fn bodies(&self, ids: &[BlockId], budget: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        self.inner.bodies(ids, budget)
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
            Lie::Sum | Lie::Proof => Ok(accounts),
        }
    }
}

/// A world whose nodes offer a state every ten blocks.
fn world(authorities: u8, seed: u64) -> World {
    let mut world = World::new(authorities, seed);
    world.snapshots_every = NonZeroU64::new(10).unwrap();
    world
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

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..300 {
        if holds().await {
            return;
        }
        pass(SECOND).await;
    }
    panic!("{what} does not come true");
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
    let parts = newcomer(&world, &mut place);
    let store = store_of(&parts);
    let node = alys_actors::start(parts).unwrap();
    node.running().await;
    until("a state is installed", async || view(&node).head.height > Height::ZERO).await;
    let began_at = store.earliest().unwrap();
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
    let parts = newcomer(&world, &mut place);
    let store = store_of(&parts);
    let node = alys_actors::start(parts).unwrap();
    node.running().await;
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
