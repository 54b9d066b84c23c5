//! What is asked, and how it ends.

use core::time::Duration;
use std::sync::atomic::Ordering;

use alys_chain::{BlockId, Body, CertifiedHeader, Height};
use alys_transport::{Answer, Command, Fault, Outcome, ServingLimits};
use alys_wire::{PeerId, Request};
use bytes::Bytes;

use crate::chain::{Chain, report};
use crate::world::{Node, World, patiently, read};

fn headers(pieces: Vec<Answer>) -> Vec<CertifiedHeader> {
    pieces
        .into_iter()
        .flat_map(|piece| match piece {
            Answer::Headers(headers) => headers,
            other => panic!("not headers: {other:?}"),
        })
        .collect()
}

fn bodies(pieces: Vec<Answer>) -> Vec<(BlockId, Option<Body>)> {
    pieces
        .into_iter()
        .flat_map(|piece| match piece {
            Answer::Bodies(bodies) => bodies,
            other => panic!("not bodies: {other:?}"),
        })
        .collect()
}

fn ask_headers(from: u64, count: u32) -> Request {
    Request::Headers { from: Height(from), count }
}

pub async fn a_peer_serves_its_chain(mut world: World) {
    let (mut node, server) = world.pair(Chain::new(300, 3000)).await;

    let (pieces, outcome) = node.answer(server.peer, Request::Status).await;
    let [Answer::Status(status)] = &pieces[..] else { panic!("{pieces:?}") };
    assert_eq!((status.head, outcome), (server.chain.headers_from(300, 1).pop(), Outcome::Done));

    let (pieces, outcome) = node.answer(server.peer, ask_headers(10, 200)).await;
    assert_eq!((headers(pieces), outcome), (server.chain.headers_from(10, 200), Outcome::Done));

    let (pieces, outcome) = node.answer(server.peer, ask_headers(290, 100)).await;
    assert_eq!((headers(pieces).len(), outcome), (11, Outcome::Done), "a short answer is no failure");

    let mut ids = server.chain.ids();
    ids.insert(5, BlockId([0xee; 32]));
    let wanted: Vec<_> = ids.iter().map(|id| (*id, server.chain.body(id).map(Body))).collect();
    let (pieces, outcome) = node.answer(server.peer, Request::Bodies { ids }).await;
    assert_eq!((bodies(pieces), outcome), (wanted, Outcome::Done));

    let (pieces, outcome) = node.answer(server.peer, Request::Claim { nonce: [5; 32] }).await;
    let claim = Bytes::from([node.peer.as_bytes(), &[5; 32]].concat());
    assert_eq!((pieces, outcome), (vec![Answer::Claim(claim)], Outcome::Done));

    let (pieces, outcome) = node.answer(server.peer, Request::Report { nonce: [6; 32] }).await;
    let head = server.chain.headers_from(300, 1)[0];
    assert_eq!((pieces, outcome), (vec![Answer::Report(report(&head, [6; 32]))], Outcome::Done));

    // Both directions serve; this one has no chain and no key.
    let mut server = server;
    let (pieces, outcome) = server.answer(node.peer, ask_headers(1, 10)).await;
    assert_eq!((pieces, outcome), (vec![], Outcome::Done));
    let (_, outcome) = server.answer(node.peer, Request::Claim { nonce: [5; 32] }).await;
    assert_eq!(outcome, Outcome::Unavailable);
    let (_, outcome) = server.answer(node.peer, Request::Report { nonce: [5; 32] }).await;
    assert_eq!(outcome, Outcome::Unavailable);
}

pub async fn requests_are_answered_in_order_without_waiting_for_each_other(mut world: World) {
    let (mut node, server) = world.pair(Chain::new(100, 50_000)).await;
    let ids = server.chain.ids();
    let ranges: Vec<_> = ids.chunks(20).map(<[BlockId]>::to_vec).collect();
    let asked: Vec<_> = ranges
        .iter()
        .map(|ids| node.ask(server.peer, Request::Bodies { ids: ids.clone() }, 64 << 20).1)
        .collect();
    for (ids, answer) in ranges.iter().zip(asked) {
        let (pieces, outcome) = read(answer).await;
        let got: Vec<_> = bodies(pieces).into_iter().map(|(id, _)| id).collect();
        assert_eq!((&got, outcome), (ids, Outcome::Done));
    }
}

/// Bodies that are far more than any window on the way: 30 MiB, of which one answer may hold 16.
fn large() -> Chain {
    Chain::new(30, 1 << 20)
}

fn everything(of: &Node) -> Request {
    Request::Bodies { ids: of.chain.ids() }
}

/// Waits until the server reads nothing for the node that has asked it before: another one is served all the time.
async fn at_rest(other: &mut Node, server: &Node) {
    let (mut still, mut before) = (0, 0);
    while still < 20 {
        let (pieces, _) = other.answer(server.peer, ask_headers(1, 30)).await;
        assert_eq!(headers(pieces).len(), 30);
        let now = server.chain.bytes_read.load(Ordering::SeqCst);
        still = if now == before { still + 1 } else { 0 };
        before = now;
    }
}

pub async fn a_slow_reader_stops_the_server(mut world: World) {
    let (mut node, mut server) = world.pair(large()).await;
    let mut other = world.node().await;
    other.meet(&mut server).await;
    let mut answers: Vec<_> = (0..4).map(|_| node.ask(server.peer, everything(&server), 1 << 20).1).collect();
    patiently("the first piece", answers[0].recv()).await.unwrap();
    at_rest(&mut other, &server).await;
    // The window of the stream holds one answer of 16 MiB. The server reads one chunk ahead, and the buffers of both systems hold some; it must not
    // have read for all four.
    let read_ahead = server.chain.bytes_read.load(Ordering::SeqCst);
    assert!(read_ahead < 40 << 20, "{read_ahead} bytes read for a reader who took one piece");
    for (i, answer) in answers.into_iter().enumerate() {
        let (pieces, outcome) = read(answer).await;
        let bodies_left = if i == 0 { 15 } else { 16 };
        assert_eq!((bodies(pieces).len(), outcome), (bodies_left, Outcome::Done), "16 MiB an answer");
    }
}

pub async fn a_cancelled_request_ends_and_the_next_one_is_served(mut world: World) {
    let (mut node, server) = world.pair(large()).await;
    let (id, mut answer) = node.ask(server.peer, everything(&server), 1 << 20);
    patiently("the first piece", answer.recv()).await.unwrap();
    node.tell(Command::Cancel { peer: server.peer, id });
    assert_eq!(read(answer).await.1, Outcome::Cancelled);
    let (pieces, outcome) = node.answer(server.peer, ask_headers(1, 30)).await;
    assert_eq!((headers(pieces).len(), outcome), (30, Outcome::Done));

    // One that waits behind another is cancelled as well, and one that is over is passed over.
    let (_, first) = node.ask(server.peer, everything(&server), 1 << 20);
    let (id, second) = node.ask(server.peer, everything(&server), 1 << 20);
    node.tell(Command::Cancel { peer: server.peer, id });
    assert_eq!(read(second).await, (vec![], Outcome::Cancelled));
    node.tell(Command::Cancel { peer: server.peer, id });
    assert_eq!(read(first).await.1, Outcome::Done);
}

pub async fn an_abandoned_answer_does_not_block_the_next_one(mut world: World) {
    let (mut node, server) = world.pair(large()).await;
    let (_, mut answer) = node.ask(server.peer, everything(&server), 1 << 20);
    patiently("the first piece", answer.recv()).await.unwrap();
    drop(answer);
    let (pieces, outcome) = node.answer(server.peer, ask_headers(1, 30)).await;
    assert_eq!((headers(pieces).len(), outcome), (30, Outcome::Done));
}

pub async fn a_lost_connection_ends_requests_at_once(mut world: World) {
    for asker_leaves in [true, false] {
        let (mut node, mut server) = world.pair(large()).await;
        let (_, mut running) = node.ask(server.peer, everything(&server), 1 << 20);
        let (_, waiting) = node.ask(server.peer, everything(&server), 1 << 20);
        patiently("the first piece", running.recv()).await.unwrap();
        let (leaver, other) = if asker_leaves { (&mut node, &server) } else { (&mut server, &node) };
        leaver.tell(Command::Disconnect { peer: other.peer });
        let outcome = read(running).await.1;
        assert_eq!((outcome.fault(), outcome), (Some(Fault::Moment), Outcome::Lost));
        assert_eq!(read(waiting).await.1, Outcome::Lost);
    }
}

pub async fn nobody_to_ask_ends_at_once(mut world: World) {
    let mut node = world.node().await;
    let nobody = PeerId::from_bytes(&[3; 10]).unwrap();
    assert_eq!(node.answer(nobody, Request::Status).await, (vec![], Outcome::Lost));
    let stranger = world.node().await.peer;
    assert_eq!(node.answer(stranger, Request::Status).await, (vec![], Outcome::Lost));
    node.tell(Command::Stop);
    patiently("the end", async { while node.events.recv().await.is_some() {} }).await;
    assert_eq!(node.answer(stranger, Request::Status).await, (vec![], Outcome::Overloaded));
}

fn stingy() -> ServingLimits {
    ServingLimits { requests_per_second: 1, requests_burst: 2, ..ServingLimits::default() }
}

pub async fn too_many_requests_are_refused_with_a_time_to_retry(mut world: World) {
    let mut server = world.node_with(|config| config.serving = stingy(), Chain::new(10, 10)).await;
    let mut node = world.node().await;
    node.meet(&mut server).await;
    let mut refused = None;
    // A slow machine may get one or two more in between.
    for _ in 0..20 {
        match node.answer(server.peer, Request::Status).await.1 {
            Outcome::Done => {}
            other => {
                refused = Some(other);
                break;
            }
        }
    }
    let Some(Outcome::Refused { retry_after }) = refused else { panic!("{refused:?}") };
    assert!(retry_after > Duration::ZERO && retry_after <= Duration::from_secs(2), "{retry_after:?}");

    // Connecting again brings no new allowance.
    node.tell(Command::Disconnect { peer: server.peer });
    node.gone(server.peer).await;
    server.gone(node.peer).await;
    node.meet(&mut server).await;
    let outcomes = [
        node.answer(server.peer, Request::Status).await.1,
        node.answer(server.peer, Request::Status).await.1,
        node.answer(server.peer, Request::Status).await.1,
    ];
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Outcome::Refused { .. })), "{outcomes:?}");
}

pub async fn an_explicit_peer_is_not_throttled(mut world: World) {
    let mut server = world.node_with(|config| config.serving = stingy(), Chain::new(10, 10)).await;
    let mut node = world.node().await;
    server.tell(Command::Explicit { peer: node.peer, on: true });
    node.meet(&mut server).await;
    for _ in 0..20 {
        assert_eq!(node.answer(server.peer, Request::Status).await.1, Outcome::Done);
    }
    server.tell(Command::Explicit { peer: node.peer, on: false });
    let mut outcome = Outcome::Done;
    for _ in 0..20 {
        if outcome == Outcome::Done {
            outcome = node.answer(server.peer, Request::Status).await.1;
        }
    }
    assert!(matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
}

pub async fn a_store_that_cannot_be_read_blames_nobody(mut world: World) {
    let (mut node, server) = world.pair(Chain::new(10, 10)).await;
    server.chain.broken.store(true, Ordering::SeqCst);
    for request in [Request::Status, ask_headers(1, 5), everything(&server)] {
        let (pieces, outcome) = node.answer(server.peer, request).await;
        assert_eq!((pieces, outcome.fault(), outcome), (vec![], Some(Fault::Moment), Outcome::Unavailable));
    }
    server.chain.broken.store(false, Ordering::SeqCst);
    assert_eq!(node.answer(server.peer, Request::Status).await.1, Outcome::Done);
}

pub async fn more_unanswered_requests_than_allowed_are_not_sent(mut world: World) {
    let (mut node, server) = world.pair(large()).await;
    let asked: Vec<_> = (0..80).map(|_| node.ask(server.peer, everything(&server), 1 << 20).1).collect();
    let mut overloaded = 0;
    for answer in asked.into_iter().rev() {
        // The first of them has everything to read; those at the end were never sent.
        let mut answer = answer;
        if let Some(Answer::End(Outcome::Overloaded)) = answer.try_recv() {
            overloaded += 1;
        } else if overloaded < 16 {
            let end = patiently("a refusal", answer.recv()).await;
            assert_eq!(end, Some(Answer::End(Outcome::Overloaded)));
            overloaded += 1;
        }
    }
    assert_eq!(overloaded, 16);
    assert_eq!(Outcome::Overloaded.fault(), Some(Fault::Ours));
}
