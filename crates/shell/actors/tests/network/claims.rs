//! Which peers act for an authority.

use std::sync::Arc;

use alys_chain::{
    AuthorityIndex, BlockId, CertifiedHeader, Claim, Height, Parties, Seat, SecretKey, SetId, UnixMillis,
};
use alys_peers::Class;
use alys_transport::{BlockSource, Unavailable};
use alys_wire::{PeerId, Status};
use bytes::Bytes;

use crate::kit::{GENESIS_TIME, SECOND, Told, World, eventually, pass};

#[tokio::test(start_paused = true)]
async fn authorities_know_each_other_on_both_sides_until_their_set_ends() {
    // Slot 30 begins after a minute.
    let mut world = World::changing_at(30);
    let first = world.node().authority(0).start().await;
    let second = world.node().authority(1).knows(&first).start().await;
    let third = world.node().authority(2).knows(&first).start().await;
    let full = world.node().knows(&first).start().await;
    for node in [&second, &third, &full] {
        node.meet(&first).await;
    }

    eventually!("first knows", first.authority_of(second.peer).await == Some(AuthorityIndex(1)));
    eventually!("second knows", second.authority_of(first.peer).await == Some(AuthorityIndex(0)));
    eventually!("full knows", full.authority_of(first.peer).await == Some(AuthorityIndex(0)));
    assert_eq!(first.authority_of(third.peer).await, None, "its turn comes later");
    assert_eq!(first.authority_of(full.peer).await, None);
    assert_eq!(first.knows(second.peer).await.class, Class::Federation(AuthorityIndex(1)));
    let told = [Told::Connected(first.peer), Told::Authority(first.peer, Some(AuthorityIndex(0)))];
    assert_eq!(second.sync.told(), told);
    eventually!("it is shown", first.network.watch().borrow().authorities() == 1);

    pass(SECOND * 60).await;
    eventually!("the third is one now", first.authority_of(third.peer).await == Some(AuthorityIndex(1)));
    eventually!("the second is none", first.authority_of(second.peer).await.is_none());
    assert_eq!(first.knows(second.peer).await.class, Class::Full);
    assert!(first.sync.told().contains(&Told::Authority(second.peer, None)));
    assert!(first.sync.told().contains(&Told::Authority(third.peer, Some(AuthorityIndex(1)))));
    eventually!("the first still is", third.authority_of(first.peer).await == Some(AuthorityIndex(0)));
}

/// Says whatever it likes.
struct Liar<F>(F);

impl<F> BlockSource for Liar<F>
where
    F: Fn(PeerId, [u8; 32]) -> Option<Bytes> + Send + Sync + 'static,
{
    fn status(&self) -> Result<Status, Unavailable> {
        Err(Unavailable)
    }

    fn headers(&self, _: Height, _: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
        Err(Unavailable)
    }

    fn bodies(&self, _: &[BlockId], _: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        Err(Unavailable)
    }

    fn claim(&self, asker: PeerId, nonce: [u8; 32]) -> Result<Option<Bytes>, Unavailable> {
        Ok((self.0)(asker, nonce))
    }
}

/// A claim of the holder of `seed` to the second seat of a set, made by `claimant`.
fn claim(
    world: &World,
    seed: u8,
    set: SetId,
    claimant: PeerId,
    until: UnixMillis,
) -> impl Fn(PeerId, [u8; 32]) -> Option<Bytes> + Send + Sync + 'static {
    let rules = world.rules.clone();
    move |asker, nonce| {
        let key = SecretKey::from_seed(&[seed; 32]);
        let parties = Parties { claimant: claimant.as_bytes(), asker: asker.as_bytes(), nonce: &nonce };
        let seat = Seat { set, authority: AuthorityIndex(1) };
        Some(Bytes::copy_from_slice(&Claim::sign(rules.domain(), &parties, seat, until, &key).encode()))
    }
}

const LATER: UnixMillis = UnixMillis(GENESIS_TIME.0 + 3_600_000);

#[tokio::test(start_paused = true)]
async fn a_claim_with_a_wrong_signature_is_an_offence() {
    let mut world = World::new();
    let node = world.node().start().await;
    let peer = world.next_peer();
    let lie = Liar(claim(&world, 77, SetId(0), peer, LATER));
    let villain = world.stranger_on(peer, &world.config(), Arc::new(lie));
    villain.dial(&node);
    eventually!("it is noticed", node.metrics.wrong_claims.get() == 1);
    assert_eq!(node.knows(peer).await.offences, 1);
    assert_eq!(node.authority_of(peer).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_borrowed_claim_and_one_of_wrong_length_prove_nothing() {
    let mut world = World::new();
    let node = world.node().start().await;
    let (peer, other) = (world.next_peer(), world.next_peer());
    let borrowed = Liar(claim(&world, 2, SetId(0), other, LATER));
    let villain = world.stranger_on(peer, &world.config(), Arc::new(borrowed));
    villain.dial(&node);
    eventually!("it is noticed", node.metrics.wrong_claims.get() == 1);

    let short = Liar(|_, _| Some(Bytes::from_static(b"I am the second")));
    let villain = world.stranger(Arc::new(short));
    villain.dial(&node);
    eventually!("that as well", node.metrics.wrong_claims.get() == 2);
}

#[tokio::test(start_paused = true)]
async fn a_right_claim_at_the_wrong_time_is_nobodys_fault_and_asked_for_again() {
    let mut world = World::changing_at(30);
    let node = world.node().start().await;
    let (early, late) = (world.next_peer(), world.next_peer());
    let of_next_set = Liar(claim(&world, 3, SetId(1), early, LATER));
    let expired = Liar(claim(&world, 2, SetId(0), late, UnixMillis(GENESIS_TIME.0 - 1)));
    let early_bird = world.stranger_on(early, &world.config(), Arc::new(of_next_set));
    let latecomer = world.stranger_on(late, &world.config(), Arc::new(expired));
    early_bird.dial(&node);
    latecomer.dial(&node);
    pass(SECOND * 30).await;
    for peer in [early, late] {
        assert_eq!(node.authority_of(peer).await, None);
        assert_eq!(node.knows(peer).await.offences, 0);
    }
    pass(SECOND * 35).await;
    eventually!("its time has come", node.authority_of(early).await == Some(AuthorityIndex(1)));
    assert_eq!(node.authority_of(late).await, None);
}

#[tokio::test(start_paused = true)]
async fn one_that_claims_nothing_is_asked_again_now_and_then() {
    let mut world = World::new();
    let node = world.node().start().await;
    let peer = world.next_peer();
    let asked = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counter = asked.clone();
    let right = claim(&world, 2, SetId(0), peer, LATER);
    let slow = Liar(move |asker, nonce| {
        let before = counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if before < 2 { None } else { right(asker, nonce) }
    });
    let authority = world.stranger_on(peer, &world.config(), Arc::new(slow));
    authority.dial(&node);
    pass(SECOND * 100).await;
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2);
    eventually!("it has its key", node.authority_of(peer).await == Some(AuthorityIndex(1)));
}
