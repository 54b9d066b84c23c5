//! The head of the line is late: a second peer is asked, the first copy counts, and nobody is blamed for the other.

use super::*;

/// A story in which the first peer was asked for all bodies of `blocks`, and a second one is there that has sent bodies before.
fn held_by_one(blocks: &[CertifiedHeader]) -> (Story, LeaseId) {
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    story.serve_headers(blocks, 0);
    let (lease, from, _) = story.bodies_asked().unwrap();
    assert_eq!(from, peer(1));
    story.connect(2, blocks.last().copied());
    assert_eq!(story.bodies_asked(), None);
    story.machine.peers.get_mut(&peer(2)).unwrap().has_served_bodies = true;
    story.machine.bodies.learn_size(4_096);
    (story, lease)
}

/// Waits until the machine wants its next tick because of the head, and then for that.
fn until_late(story: &mut Story) -> LeaseId {
    let late = story.machine.next_deadline(story.now).expect("there are deadlines");
    assert!(late.since(story.now) < Duration::from_millis(700), "the request itself has longer");
    story.now = late;
    story.wait(0);
    let (second, from, _) = story.bodies_asked().expect("another one is asked");
    assert_eq!(from, peer(2));
    second
}

fn arrived(ids: &[BlockId]) -> Vec<ArrivedBody> {
    ids.iter().map(|&id| ArrivedBody { id, bytes: 100 }).collect()
}

fn ids(blocks: &[CertifiedHeader]) -> Vec<BlockId> {
    blocks.iter().map(|block| block.certificate.block).collect()
}

#[test]
fn a_silent_holder_of_the_head_is_passed_by_and_still_judged_by_its_own_deadline() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let (mut story, first) = held_by_one(&blocks);
    let second = until_late(&mut story);
    assert!(story.out.iter().any(|a| matches!(
        a,
        Action::Report(Report::Hedged { heights, slow, with, .. })
            if heights.len() == 10 && *slow == peer(1) && *with == peer(2)
    )));
    let head = story.machine.explain(story.now).head.unwrap();
    assert_eq!((head.peer, head.hedged_with), (peer(1), Some(peer(2))));
    story.send(Event::BodiesArrived { lease: second, bodies: arrived(&ids(&blocks)) });
    assert!(!story.out.contains(&Action::Cancel { lease: first }), "it has shown nothing yet");
    let hedged = story.machine.explain(story.now).hedged;
    assert_eq!((hedged.requests, hedged.bodies, hedged.won, hedged.duplicate_bytes), (1, 10, 10, 0));
    story.wait(2_000);
    assert!(story.out.contains(&Action::Cancel { lease: first }));
    assert!(story.observed().contains(&(peer(1), Observation::TimedOut)));
    assert_eq!(story.machine.peers[&peer(1)].strikes(), 1);
}

#[test]
fn the_slower_copy_is_dropped_and_its_request_ended_without_blame() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let (mut story, first) = held_by_one(&blocks);
    let second = until_late(&mut story);
    let ids = ids(&blocks);
    story.send(Event::BodiesArrived { lease: second, bodies: arrived(&ids) });
    story.send(Event::BodiesArrived { lease: first, bodies: arrived(&ids[..2]) });
    assert!(story.out.contains(&Action::Cancel { lease: first }), "the rest is not waited for");
    assert!(!story.out.iter().any(|a| matches!(a, Action::Release { .. })), "the first copies stay");
    assert!(story.observed().is_empty());
    let hedged = story.machine.explain(story.now).hedged;
    assert_eq!(hedged.duplicate_bytes, 2 * (100 + crate::bodies::OVERHEAD_BYTES));
    let status = story.machine.status(story.now);
    let bodies = status.budget_used - status.budget_headers;
    assert_eq!(bodies, 10 * (100 + crate::bodies::OVERHEAD_BYTES), "each body is counted once");
}

#[test]
fn the_first_peer_may_still_win() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let (mut story, first) = held_by_one(&blocks);
    let second = until_late(&mut story);
    story.send(Event::BodiesArrived { lease: first, bodies: arrived(&ids(&blocks)) });
    assert!(story.out.contains(&Action::Cancel { lease: second }));
    assert_eq!(story.machine.explain(story.now).hedged.won, 0);
    assert_eq!(story.machine.status(story.now).leases, 0);
}

#[test]
fn a_copy_that_is_durable_by_now_is_let_go() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let (mut story, first) = held_by_one(&blocks);
    until_late(&mut story);
    story.send(Event::TipChanged(tip(&blocks[4], GENESIS)));
    let ids = ids(&blocks);
    story.send(Event::BodiesArrived { lease: first, bodies: arrived(&ids[..1]) });
    assert!(story.out.contains(&Action::Release { ids: vec![ids[0]] }));
}

#[test]
fn nobody_is_hedged_while_the_importer_has_work() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let (mut story, first) = held_by_one(&blocks);
    story.send(Event::BodiesArrived { lease: first, bodies: arrived(&ids(&blocks)[..3]) });
    story.wait(700);
    assert_eq!(story.bodies_asked(), None, "three blocks are there to be imported");
}

#[test]
fn nor_without_a_second_peer_that_sends_bodies_nor_where_it_is_switched_off() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let (mut story, _) = held_by_one(&blocks);
    let now = story.now;
    story.machine.peers.get_mut(&peer(2)).unwrap().strike(now, now, crate::peers::Kind::Bodies);
    story.wait(700);
    assert_eq!(story.bodies_asked(), None);
    let (mut story, _) = held_by_one(&blocks);
    story.machine.config.hedges = false;
    story.wait(700);
    assert_eq!(story.bodies_asked(), None);
    let (mut story, _) = held_by_one(&blocks);
    story.send(Event::PeerDisconnected { peer: peer(2) });
    story.wait(700);
    assert_eq!(story.bodies_asked(), None);
}
