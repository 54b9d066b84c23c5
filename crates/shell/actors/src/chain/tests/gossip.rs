//! What is heard: who is believed, who is blamed, what waits.

use alys_chain::schedule::{Authority, Period, Schedule};
use alys_chain::{AuthorityIndex, BlockId, Body, Hash, Header, Height, SetId, Slot};
use alys_peers::Offence;
use alys_storage::memory::MemoryDisk;
use alys_transport::Verdict;
use alys_wire::Proposal;

use super::world::*;
use crate::chain::*;

const ACCEPT: (Verdict, Option<Offence>) = (Verdict::Accept, None);
const IGNORE: (Verdict, Option<Offence>) = (Verdict::Ignore, None);

const fn reject(offence: Offence) -> (Verdict, Option<Offence>) {
    (Verdict::Reject, Some(offence))
}

/// A node that signs nothing, in slot 1.
async fn observer(world: &World) -> Node {
    let node = world.start(None, &MemoryDisk::new(), true).await;
    world.until(1, 10).await;
    node
}

/// An empty, valid block of slot 1.
fn first(world: &World) -> Proposal {
    world.proposal(1, &world.genesis(), world.genesis().state_root)
}

/// The same proposal for a changed header, signed by its author.
fn changed(world: &World, change: impl Fn(&mut Header)) -> Proposal {
    let mut header = first(world).header;
    change(&mut header);
    let author = usize::from(world.network.rules.schedule().proposer(header.slot).0);
    Proposal { header, approval: world.approval(&header, author), ..first(world) }
}

#[tokio::test(start_paused = true)]
async fn approvals_may_come_before_their_block() {
    let world = World::new(4);
    let node = observer(&world).await;
    let block = first(&world);
    for authority in [0, 2] {
        assert_eq!(node.hear_approval(world.approval(&block.header, authority)).await, ACCEPT);
    }
    assert_eq!(node.view().head.height, Height(0));
    assert_eq!(node.hear(block.clone()).await, ACCEPT);
    assert_eq!(node.view().head.id, block.header.id(), "with the author's, they are three of four");
    assert_eq!(node.port.certificates.lock().unwrap().len(), 1, "the certificate is ours to publish");
    assert_eq!(node.hear(block).await, IGNORE, "it is known");
}

#[tokio::test(start_paused = true)]
async fn who_forwards_what_no_honest_node_forwards_is_told_so() {
    let world = World::new(4);
    let node = observer(&world).await;
    let genesis = world.genesis();
    let stranger = Proposal { approval: world.approval(&first(&world).header, 2), ..first(&world) };
    let forged = {
        let mut proposal = first(&world);
        proposal.approval.signature = world.approval(&genesis, 1).signature;
        proposal
    };
    let orphan = changed(&world, |h| h.parent = BlockId([3; 32]));
    let other_body = Proposal { body: Some(Body::encode(&[world.pay(0, 0)]).unwrap()), ..first(&world) };
    let garbage = Body::encode(&[b"garbage"]).unwrap();
    let bad_transaction = {
        let header = Header { body_root: garbage.root().unwrap(), ..first(&world).header };
        world.propose(header, &genesis, garbage)
    };
    let gap = Body::encode(&[world.pay(1, 0)]).unwrap();
    let bad_nonce = {
        let header = Header { body_root: gap.root().unwrap(), ..first(&world).header };
        world.propose(header, &genesis, gap)
    };
    let cases = [
        ("author", changed(&world, |h| h.proposer = AuthorityIndex(2)), Offence::BadHeader),
        ("height", changed(&world, |h| h.height = Height(2)), Offence::BadHeader),
        ("parent without certificate", orphan, Offence::BadHeader),
        ("another's approval", stranger, Offence::BadCertificate),
        ("forged approval", forged, Offence::BadCertificate),
        ("another body", other_body, Offence::BadBody),
        ("garbage in the body", bad_transaction, Offence::BadHeader),
        ("a nonce gap", bad_nonce, Offence::BadHeader),
        ("state root", changed(&world, |h| h.state_root = Hash([9; 32])), Offence::BadHeader),
    ];
    for (what, proposal, offence) in cases {
        assert_eq!(node.hear(proposal).await, reject(offence), "{what}");
    }
    assert_eq!(node.mailbox.status().await.unwrap().checking, 0);
    assert_eq!(node.hear(first(&world)).await, ACCEPT, "and nothing of it stuck");
}

#[tokio::test(start_paused = true)]
async fn another_time_is_nobodys_fault() {
    let world = World::new(4);
    let node = observer(&world).await;
    let genesis = world.genesis();
    assert_eq!(node.hear(world.proposal(3, &genesis, genesis.state_root)).await, IGNORE);
    assert_eq!(node.hear_approval(world.approval(&Header { slot: Slot(9), ..genesis }, 1)).await, IGNORE);
    let ahead = world.proposal(9, &genesis, genesis.state_root).header;
    assert_eq!(node.hear_certificate(world.certificate(&ahead)).await, IGNORE);
    world.until(4, 10).await;
    assert_eq!(node.hear(first(&world)).await, IGNORE, "too late");
    let late = world.proposal(3, &genesis, genesis.state_root);
    assert_eq!(node.hear(late).await, ACCEPT, "late, but its certificate may come");
}

#[tokio::test(start_paused = true)]
async fn wrong_signatures_are_told_and_right_ones_count_once() {
    let world = World::new(4);
    let node = observer(&world).await;
    let block = first(&world);
    let wrong = alys_chain::Approval { authority: AuthorityIndex(3), ..world.approval(&block.header, 0) };
    assert_eq!(node.hear_approval(wrong).await, reject(Offence::BadCertificate));
    let good = world.certificate(&block.header);
    let mut wrong = good;
    wrong.quorum.signers = 0b1011;
    assert_eq!(node.hear_certificate(wrong).await, reject(Offence::BadCertificate));
    assert_eq!(node.hear(block.clone()).await, ACCEPT);
    assert_eq!(node.hear_certificate(wrong).await, reject(Offence::BadCertificate));
    assert_eq!(node.hear_certificate(good).await, ACCEPT);
    assert_eq!(node.view().head.id, block.header.id());
    assert_eq!(node.port.certificates.lock().unwrap().len(), 0, "the network forwards it by itself");
    assert_eq!(node.hear_certificate(good).await, IGNORE);
    assert_eq!(node.hear_certificate(wrong).await, IGNORE, "not worth a pairing");
}

#[tokio::test(start_paused = true)]
async fn a_certificate_may_come_before_its_block() {
    let world = World::new(4);
    let node = observer(&world).await;
    let block = first(&world);
    let certificate = world.certificate(&block.header);
    assert_eq!(node.hear_certificate(certificate).await, ACCEPT);
    assert_eq!(*node.port.behind.lock().unwrap(), [certificate], "sync is told");
    assert_eq!((node.view().head.height, node.view().highest_certified), (Height(0), Slot(1)));
    assert_eq!(node.hear(block.clone()).await, ACCEPT);
    assert_eq!(node.view().head.id, block.header.id());
}

#[tokio::test(start_paused = true)]
async fn a_proposal_waits_for_its_parent_and_sync_is_told() {
    let world = World::new(4);
    let node = observer(&world).await;
    world.until(3, 10).await;
    let root = world.genesis().state_root;
    let first = world.proposal(1, &world.genesis(), root);
    let second = world.proposal(2, &first.header, root);
    let third = world.proposal(3, &second.header, root);
    assert_eq!(node.hear(third.clone()).await, IGNORE);
    assert_eq!(node.port.behind.lock().unwrap()[0], world.certificate(&second.header));
    assert_eq!(node.mailbox.status().await.unwrap().held, 1);
    assert_eq!(node.hear(second.clone()).await, IGNORE);
    assert_eq!(node.hear(first).await, ACCEPT);
    let status = node.mailbox.status().await.unwrap();
    assert_eq!((status.held, status.view.head.id), (0, second.header.id()));
    assert!(node.mailbox.has_block(third.header.id()).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_forgotten_when_its_time_is_over() {
    let world = World::new(4);
    let node = observer(&world).await;
    world.until(3, 10).await;
    let root = world.genesis().state_root;
    let unknown = world.proposal(2, &world.genesis(), root);
    assert_eq!(node.hear(world.proposal(3, &unknown.header, root)).await, IGNORE);
    world.until(7, 100).await;
    assert_eq!(node.mailbox.status().await.unwrap().held, 1);
    world.until(8, 100).await;
    assert_eq!(node.mailbox.status().await.unwrap().held, 0);
}

#[tokio::test(start_paused = true)]
async fn a_fetched_body_is_checked_like_any_other() {
    let world = World::new(4);
    let node = observer(&world).await;
    let body = Body::encode(&[world.send(0, 0, vec![1; 70_000].into())]).unwrap();
    let header = Header { body_root: body.root().unwrap(), ..first(&world).header };
    let proposal = world.propose(header, &world.genesis(), body.clone());
    assert!(proposal.body.is_none());
    assert_eq!(node.hear(proposal.clone()).await, IGNORE, "withheld: nobody can prove that");
    node.port.bodies.lock().unwrap().push((header.id(), Body::encode(&[world.pay(0, 0)]).unwrap()));
    assert_eq!(node.hear(proposal.clone()).await, reject(Offence::BadBody));
    node.port.bodies.lock().unwrap()[0].1 = body;
    // The header lies about the state, which only the execution of the whole body shows.
    assert_eq!(node.hear(proposal).await, reject(Offence::BadHeader));
}

#[tokio::test(start_paused = true)]
async fn only_what_bytes_prove_of_a_transaction_is_held_against_anybody() {
    let world = World::new(4);
    let node = observer(&world).await;
    assert_eq!(node.hear_transaction(world.pay(0, 0)).await, ACCEPT);
    assert_eq!(node.hear_transaction(world.pay(0, 0)).await, IGNORE, "it waits already");
    assert_eq!(node.hear_transaction(world.pay(0, 1)).await, IGNORE, "its nonce is taken");
    assert_eq!(node.hear_transaction(world.pay(64, 0)).await, IGNORE, "too far ahead");
    assert_eq!(node.hear_transaction(b"garbage"[..].into()).await, reject(Offence::BadTransaction));
    assert_eq!(node.view().transactions, 1);
    let status = node.mailbox.status().await.unwrap();
    assert_eq!(status.transaction_bytes, world.pay(0, 0).len());
    let refused = node.mailbox.submit(world.pay(0, 0)).await.unwrap_err();
    assert_eq!(refused, Refused::Known);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_whose_sets_are_open_is_used_but_not_forwarded() {
    let keys = keys(4);
    let authorities = |who: [usize; 3]| who.iter().map(|i| Authority::of(&keys[*i])).collect::<Vec<_>>();
    let period = |from, who| Period { from_slot: Slot(from), slot_ms: 2_000, authorities: authorities(who) };
    let schedule = Schedule::new(vec![period(0, [0, 1, 2]), period(2, [1, 2, 3])]).unwrap();
    let world = World::with(keys.clone(), schedule);
    let node = observer(&world).await;
    world.until(3, 10).await;
    let header = world.proposal(3, &world.genesis(), Hash([1; 32])).header;
    // A quorum of the new set alone: whether the old one had to vouch as well depends on ancestors that are not here.
    let rules = &world.network.rules;
    let mut tally = alys_chain::Tally::of(&header);
    for key in &keys[1..] {
        let seat = rules.schedule().seats_of(&key.public_key()).find(|seat| seat.set == SetId(1)).unwrap();
        let approval = alys_chain::Approval::sign(rules.domain(), &header, seat, key);
        tally.add(rules, &approval).unwrap();
    }
    let required = alys_chain::Required { own: SetId(1), old: None };
    let certificate = tally.certificate(rules.schedule(), required).unwrap();
    assert_eq!(node.hear_certificate(certificate).await, IGNORE);
    assert_eq!(node.view().highest_certified, Slot(3));
    let joint = alys_chain::Certificate { joint: Some(certificate.quorum), ..certificate };
    assert_eq!(node.hear_certificate(joint).await, reject(Offence::BadCertificate));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_beside_the_final_chain_raises_the_alarm() {
    let world = World::new(4);
    let node = observer(&world).await;
    let root = world.genesis().state_root;
    let first = first(&world);
    let second = world.proposal(2, &first.header, root);
    world.until(3, 10).await;
    for proposal in [&first, &second] {
        assert_eq!(node.hear(proposal.clone()).await, ACCEPT);
        assert_eq!(node.hear_certificate(world.certificate(&proposal.header)).await, ACCEPT);
    }
    assert_eq!(node.view().finalized.height, Height(1));
    let beside = world.proposal(3, &world.genesis(), root).header;
    assert_eq!(node.hear_certificate(world.certificate(&beside)).await, IGNORE);
    assert_eq!(node.mailbox.metrics().conflicts.get(), 1);
    assert_eq!(node.hear_certificate(world.certificate(&Header { slot: Slot(1), ..beside })).await, IGNORE);
    assert_eq!(node.mailbox.metrics().conflicts.get(), 1, "at or below the final slot it is old news");
}

#[tokio::test(start_paused = true)]
async fn votes_that_nobody_needs_any_more_are_ignored() {
    let world = World::new(4);
    let node = observer(&world).await;
    let root = world.genesis().state_root;
    let first = first(&world);
    let second = world.proposal(2, &first.header, root);
    world.until(3, 10).await;
    for proposal in [&first, &second] {
        assert_eq!(node.hear(proposal.clone()).await, ACCEPT);
        node.hear_certificate(world.certificate(&proposal.header)).await;
    }
    assert_eq!(node.hear_approval(world.approval(&first.header, 3)).await, IGNORE);
    assert_eq!(node.hear_certificate(world.certificate(&first.header)).await, IGNORE);
    assert_eq!(node.hear(first).await, IGNORE);
}
