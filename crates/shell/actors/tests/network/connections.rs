//! Who is connected, who is dialled, who is kept away.

use std::sync::Arc;

use alys_peers::{BanReason, Class, Observation, Operation};
use alys_transport::{Answer, DisconnectReason, Outcome};
use alys_wire::{Address, Request};

use crate::kit::{Claims, SECOND, Told, World, eventually, pass};

#[tokio::test(start_paused = true)]
async fn two_nodes_find_each_other_and_everybody_is_told() {
    let mut world = World::new();
    let first = world.node().start().await;
    let second = world.node().knows(&first).start().await;
    second.meet(&first).await;

    assert_eq!(first.sync.told(), [Told::Connected(second.peer)]);
    assert_eq!(second.sync.told(), [Told::Connected(first.peer)]);
    let known = first.knows(second.peer).await;
    assert!(known.connected.is_some());
    assert!(known.addresses.contains(&second.address.split_peer().0), "learnt from what it says of itself");

    eventually!("the round trip is measured", first.knows(second.peer).await.rtt.is_some());
    let table = first.peers.watch();
    eventually!("the table shows it", table.borrow().peers.len() == 1);
    assert_eq!(table.borrow().totals.inbound, 1);
    let status = first.network.watch();
    eventually!("the status shows it", status.borrow().present.len() == 1);
    assert_eq!(status.borrow().listening, [first.address.split_peer().0]);
    assert_eq!(first.metrics.connected.get(), 1);

    let best = first.peers.get_best_peers(5, Operation::HeaderDownload).await.unwrap();
    assert_eq!(best.iter().map(|ranked| ranked.peer).collect::<Vec<_>>(), [second.peer]);
    assert_eq!(first.peers.get_available_peers().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn requests_pass_the_actor_by() {
    let mut world = World::new();
    let first = world.node().start().await;
    let second = world.node().knows(&first).start().await;
    second.meet(&first).await;

    let mut answers = second.network.requests().request(first.peer, Request::Status);
    assert_eq!(answers.recv().await, Some(Answer::End(Outcome::Unavailable)));
    let nobody = world.next_peer();
    let mut answers = second.network.requests().request(nobody, Request::Status);
    assert_eq!(answers.recv().await, Some(Answer::End(Outcome::Lost)));
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_did_reaches_its_scores() {
    let mut world = World::new();
    let first = world.node().start().await;
    let second = world.node().knows(&first).start().await;
    second.meet(&first).await;
    let served = Observation::Served { bytes: 10_000_000, first_byte: SECOND / 100, transfer: SECOND };
    second.peers.observe(first.peer, served).unwrap();
    assert!(second.knows(first.peer).await.bandwidth.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_banned_peer_is_gone_and_comes_back_when_the_ban_is_lifted() {
    let mut world = World::new();
    let first = world.node().start().await;
    let second = world.node().knows(&first).start().await;
    second.meet(&first).await;

    first.peers.ban_peer(second.peer, SECOND * 3_600).unwrap();
    eventually!("it is disconnected", first.present().await.is_empty());
    assert_eq!(first.sync.told().last(), Some(&Told::Disconnected(second.peer, DisconnectReason::Banned)));
    pass(SECOND * 60).await;
    assert!(first.present().await.is_empty(), "its calls are refused");
    let ban = first.knows(second.peer).await.ban.unwrap();
    assert_eq!(ban.1, BanReason::Operator);

    first.peers.unban_peer(second.peer).unwrap();
    second.meet(&first).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_address_is_dialled_ever_more_rarely() {
    let mut world = World::new();
    let nobody = world.next_peer();
    let dead = Address("/ip4/10.9.9.9/tcp/30300".to_owned()).with_peer(nobody);
    let node = world.node().bootnode(dead).start().await;
    let mut dials = Vec::new();
    for _ in 0..10 {
        let before = node.peer_metrics.dials.get();
        pass(SECOND * 120).await;
        dials.push(node.peer_metrics.dials.get() - before);
    }
    assert!(dials[0] > dials[1], "{dials:?}");
    assert!(dials[0] <= 10, "{dials:?}");
    assert!(dials.iter().sum::<u64>() > dials[0], "it is never given up: {dials:?}");
    assert_eq!(node.metrics.dial_failures.get(), node.peer_metrics.dials.get());
}

#[tokio::test(start_paused = true)]
async fn the_operator_connects_trusts_and_disconnects() {
    let mut world = World::new();
    let first = world.node().start().await;
    let second = world.node().start().await;
    second.peers.connect_to_peer(Some(first.peer), vec![first.address.clone()]).unwrap();
    second.meet(&first).await;

    second.peers.trust_peer(first.peer, true, Vec::new()).unwrap();
    assert_eq!(second.knows(first.peer).await.class, Class::Trusted);
    second.peers.disconnect_peer(first.peer).unwrap();
    eventually!("it is disconnected", second.present().await.is_empty());
    second.meet(&first).await;

    second.peers.trust_peer(first.peer, false, Vec::new()).unwrap();
    assert_eq!(second.knows(first.peer).await.class, Class::Full);
    let third = world.node().start().await;
    second.peers.connect_to_peer(None, vec![third.address.split_peer().0]).unwrap();
    second.meet(&third).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_trusted_from_the_start_is_dialled() {
    let mut world = World::new();
    let first = world.node().start().await;
    let second = world.node().trusts(first.peer, first.address.clone()).start().await;
    second.meet(&first).await;
    assert_eq!(second.knows(first.peer).await.class, Class::Trusted);
}

#[tokio::test(start_paused = true)]
async fn a_network_that_is_stopped_is_alone_until_it_is_started() {
    let mut world = World::new();
    let first = world.node().start().await;
    let second = world.node().knows(&first).start().await;
    second.meet(&first).await;

    first.network.stop().unwrap();
    eventually!("everybody is gone", first.present().await.is_empty());
    assert!(!first.network.get_network_status().await.unwrap().online);
    pass(SECOND * 30).await;
    assert!(first.identified().await.is_empty(), "whoever calls is hung up on");
    first.peers.connect_to_peer(Some(second.peer), vec![second.address.clone()]).unwrap();
    pass(SECOND * 5).await;
    assert!(first.identified().await.is_empty(), "nobody is dialled");

    first.network.start().unwrap();
    second.meet(&first).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_of_another_network_is_turned_away() {
    let mut world = World::new();
    let node = world.node().start().await;
    let mut config = world.config();
    config.genesis.0[0] ^= 1;
    let peer = world.next_peer();
    let foreign = world.stranger_on(peer, &config, Arc::new(Claims::default()));
    foreign.dial(&node);
    eventually!("it is noticed", node.metrics.foreign.get() == 1);
    eventually!("it is gone", node.present().await.is_empty());
    assert_eq!(node.sync.told(), [], "sync never hears of it");
    assert!(node.knows(peer).await.connected.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_sync_had_no_room_for_it_is_told_later() {
    let mut world = World::new();
    let first = world.node().start().await;
    *first.sync.full.lock().unwrap() = true;
    let second = world.node().knows(&first).start().await;
    second.meet(&first).await;
    pass(SECOND * 5).await;
    assert_eq!(first.sync.told(), []);
    assert!(first.metrics.unheard.get() > 0);

    *first.sync.full.lock().unwrap() = false;
    eventually!("it hears of the peer", first.sync.told() == [Told::Connected(second.peer)]);
    *first.sync.full.lock().unwrap() = true;
    world.net.crash(second.peer);
    eventually!("it is gone", first.present().await.is_empty());
    *first.sync.full.lock().unwrap() = false;
    eventually!("and of its end", matches!(first.sync.told()[..], [_, Told::Disconnected(..)]));
}
