//! Gossip: to the chain, and its verdicts back.

use std::sync::Arc;

use alys_chain::{Body, Certificate, SetId, SetQuorum};
use alys_peers::{BanReason, Offence};
use alys_transport::Verdict;
use alys_wire::{GossipMessage, Proposal, Topic};
use bytes::Bytes;

use crate::kit::{Claims, Habit, Node, SECOND, World, approval, eventually, header, pass};

/// Three nodes in a row: what the last one hears has passed the one in the middle.
async fn row(world: &mut World) -> (Node, Node, Node) {
    let middle = world.node().start().await;
    let first = world.node().knows(&middle).start().await;
    let last = world.node().knows(&middle).start().await;
    first.meet(&middle).await;
    last.meet(&middle).await;
    (first, middle, last)
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_message_comes_to_every_chain() {
    let mut world = World::new();
    let (first, middle, last) = row(&mut world).await;
    let approval = approval(&world, 1);
    let certificate = certificate(&approval);
    let proposal = Proposal::new(header(2), Some(certificate), approval, Body::default());
    first.network.broadcast_proposal(proposal.clone()).unwrap();
    first.network.broadcast_approval(approval).unwrap();
    first.network.broadcast_certificate(certificate).unwrap();
    first.network.broadcast_transaction(Bytes::from_static(b"pay bob")).unwrap();

    eventually!("all have arrived", last.chain.heard().len() == 4);
    let heard = last.chain.heard();
    assert!(heard.contains(&GossipMessage::Proposal(Box::new(proposal))));
    assert!(heard.contains(&GossipMessage::Approval(approval)));
    assert!(heard.contains(&GossipMessage::Certificate(certificate)));
    assert!(heard.contains(&GossipMessage::Transaction(Bytes::from_static(b"pay bob"))));
    assert_eq!(middle.chain.heard().len(), 4);
    assert_eq!(first.chain.heard(), [], "nobody hears his own words");
}

fn certificate(approval: &alys_chain::Approval) -> Certificate {
    let own = SetQuorum { set: SetId(0), signers: 1, signature: approval.signature };
    Certificate {
        slot: approval.slot,
        height: approval.height,
        block: approval.block,
        quorum: own,
        joint: None,
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_accepted_goes_no_further() {
    let mut world = World::new();
    let (first, middle, last) = row(&mut world).await;
    middle.chain.habit(Habit::Judge(Verdict::Ignore, None));
    first.network.broadcast_approval(approval(&world, 1)).unwrap();
    eventually!("it arrives", middle.chain.heard().len() == 1);
    pass(SECOND * 5).await;
    assert_eq!(last.chain.heard(), []);

    middle.chain.habit(Habit::HaveNoRoom);
    first.network.broadcast_approval(approval(&world, 2)).unwrap();
    pass(SECOND * 5).await;
    assert_eq!(last.chain.heard(), [], "nobody vouches for what nobody has read");
    assert_eq!(middle.knows(first.peer).await.offences, 0, "and nobody is blamed for it");

    middle.chain.habit(Habit::Judge(Verdict::Accept, None));
    first.network.broadcast_approval(approval(&world, 3)).unwrap();
    eventually!("it passes", last.chain.heard().len() == 1);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_held_against_the_peer_that_forwarded() {
    let mut world = World::new();
    let (first, middle, last) = row(&mut world).await;
    middle.chain.habit(Habit::Judge(Verdict::Reject, Some(Offence::BadCertificate)));
    first.network.broadcast_approval(approval(&world, 1)).unwrap();
    eventually!("it is noted", middle.knows(first.peer).await.offences == 1);
    pass(SECOND * 5).await;
    assert_eq!(last.chain.heard(), []);
}

#[tokio::test(start_paused = true)]
async fn who_sends_garbage_is_banned_after_the_third() {
    let mut world = World::new();
    let node = world.node().start().await;
    // With honest peers beside, so that the node does not suspect itself.
    let others = [world.node().knows(&node).start().await, world.node().knows(&node).start().await];
    let villain = world.stranger(Arc::new(Claims::default()));
    villain.dial(&node);
    eventually!("it is in", node.identified().await.contains(&villain.peer));
    for (n, topic) in [(1, Topic::Approvals), (2, Topic::Blocks), (3, Topic::Certificates)] {
        assert!(node.knows(villain.peer).await.ban.is_none());
        villain.publish(topic, topic.label().as_bytes());
        eventually!("it is noticed", node.peer_metrics.offences.get() == n);
    }
    eventually!("it is gone", !node.identified().await.contains(&villain.peer));
    let known = node.knows(villain.peer).await;
    assert_eq!(known.ban.unwrap().1, BanReason::Offence(Offence::Malformed));
    assert_eq!(node.chain.heard(), []);
    assert!(others.iter().all(|other| other.chain.heard().is_empty()));
}

#[tokio::test(start_paused = true)]
async fn the_counters_have_names_and_tell() {
    let mut world = World::new();
    let (first, middle, _last) = row(&mut world).await;
    first.network.broadcast_transaction(Bytes::from_static(b"pay bob")).unwrap();
    eventually!("it arrives", !middle.chain.heard().is_empty());
    pass(SECOND).await;
    let mut registry = prometheus_client::registry::Registry::default();
    middle.metrics.register(&mut registry);
    middle.peer_metrics.register(&mut registry);
    let mut shown = String::new();
    prometheus_client::encoding::text::encode(&mut shown, &registry).unwrap();
    for line in [
        "network_gossip_received_total{topic=\"transactions\"} 1",
        "network_gossip_verdicts_total{verdict=\"accept\"} 1",
        "network_connected_peers 2",
        "peers_connected_inbound 2",
    ] {
        assert!(shown.contains(line), "{line} is missing in\n{shown}");
    }
}
