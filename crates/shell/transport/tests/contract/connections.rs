//! Who meets whom, and who leaves.

use core::time::Duration;

use alys_chain::BlockId;
use alys_transport::{Command, ConnectionLimits, DialError, Direction, DisconnectReason, Event, Fault};
use alys_wire::{Address, PeerId};

use crate::chain::Chain;
use crate::world::{GENESIS, Node, World, patiently};

pub async fn two_nodes_meet_and_name_themselves(mut world: World) {
    let (mut caller, mut called) = (world.node().await, world.node().await);
    caller.dial(&called);
    let (first, second) = (caller.peer, called.peer);
    for (node, other, expected) in
        [(&mut caller, second, Direction::Outbound), (&mut called, first, Direction::Inbound)]
    {
        let direction = node
            .until("connected", |event| match event {
                Event::Connected { peer, direction, .. } if peer == other => Some(direction),
                _ => None,
            })
            .await;
        assert_eq!(direction, expected);
    }
    // Its name and a first round trip, in either order.
    let (mut named, mut measured) = (None, false);
    let (agent, protocol, addresses) = caller
        .until("identified and measured", |event| {
            match event {
                Event::Identified { agent, protocol, addresses, .. } => {
                    named = Some((agent, protocol, addresses))
                }
                Event::Rtt { peer, .. } => measured |= peer == second,
                _ => {}
            }
            named.take_if(|_| measured)
        })
        .await;
    assert!(agent.starts_with("alys/"), "{agent}");
    assert_eq!(protocol, alys_wire::protocol::identify(GENESIS));
    assert!(addresses.contains(&called.address), "{addresses:?}");
}

pub async fn whoever_leaves_knows_why(mut world: World) {
    let (mut stays, mut leaves) = world.pair(Chain::default()).await;
    leaves.tell(Command::Disconnect { peer: stays.peer });
    assert_eq!(leaves.gone(stays.peer).await, DisconnectReason::Asked);
    assert_eq!(stays.gone(leaves.peer).await, DisconnectReason::Closed);
    stays.meet(&mut leaves).await;
}

async fn failure(node: &mut Node) -> (Option<PeerId>, Vec<Address>, DialError) {
    node.until("a failed dial", |event| match event {
        Event::DialFailed { peer, addresses, error } => Some((peer, addresses, error)),
        _ => None,
    })
    .await
}

pub async fn a_dial_that_fails_says_why(mut world: World) {
    let (mut node, other, stranger) = (world.node().await, world.node().await, world.node().await);

    node.tell(Command::Dial { peer: Some(stranger.peer), addresses: vec![other.address.clone()] });
    let (peer, addresses, error) = failure(&mut node).await;
    assert_eq!((peer, addresses), (Some(stranger.peer), vec![other.address.clone()]));
    assert_eq!(error, DialError::WrongPeer { found: other.peer });

    node.tell(Command::Dial { peer: Some(stranger.peer), addresses: vec![] });
    assert_eq!(failure(&mut node).await.2, DialError::NoAddress);
    node.tell(Command::Dial { peer: None, addresses: vec![Address("nowhere".to_owned())] });
    assert_eq!(failure(&mut node).await.2, DialError::NoAddress);

    node.tell(Command::Dial { peer: None, addresses: vec![node.address.clone()] });
    let (_, _, error) = failure(&mut node).await;
    assert_eq!((error.fault(), error), (Fault::Ours, DialError::Ourselves));

    let nobody = Address("/ip4/127.0.0.1/tcp/1".to_owned());
    node.tell(Command::Dial { peer: None, addresses: vec![nobody] });
    let (_, _, error) = failure(&mut node).await;
    assert!(matches!(error, DialError::Unreachable(_)), "{error:?}");
    assert_eq!(error.fault(), Fault::Moment);
}

pub async fn a_second_dial_to_a_connected_peer_is_not_needed(mut world: World) {
    let (mut node, other) = world.pair(Chain::default()).await;
    node.dial(&other);
    assert_eq!(failure(&mut node).await.2, DialError::Already);
}

pub async fn a_node_of_another_network_is_refused_with_both_hashes(mut world: World) {
    let other_genesis = BlockId([0xbb; 32]);
    let mut node = world.node().await;
    let mut foreigner = world.node_with(|config| config.genesis = other_genesis, Chain::default()).await;
    node.dial(&foreigner);
    let (first, second) = (node.peer, foreigner.peer);
    for (us, them, ours, theirs) in
        [(&mut node, second, GENESIS, other_genesis), (&mut foreigner, first, other_genesis, GENESIS)]
    {
        let mut named = false;
        let reason = us
            .until("refused", |event| match event {
                Event::Foreign { peer, ours: a, theirs: b } => {
                    assert_eq!((peer, a, b), (them, ours, Some(theirs)));
                    named = true;
                    None
                }
                Event::Disconnected { peer, reason } if peer == them => Some(reason),
                Event::Identified { .. } => panic!("a foreigner is not identified"),
                _ => None,
            })
            .await;
        // The one may leave before the other has heard where it comes from.
        assert_eq!(named, reason == DisconnectReason::Foreign, "{reason:?}");
    }
}

pub async fn a_ban_disconnects_and_keeps_out_until_it_is_lifted(mut world: World) {
    let (mut node, mut offender) = world.pair(Chain::default()).await;
    node.tell(Command::Ban { peer: offender.peer });
    assert_eq!(node.gone(offender.peer).await, DisconnectReason::Banned);
    offender.gone(node.peer).await;

    node.dial(&offender);
    assert_eq!(failure(&mut node).await.2, DialError::Banned);
    offender.dial(&node);
    let us = node.peer;
    offender
        .until("kept out", |event| match event {
            Event::Disconnected { peer, .. } if peer == us => Some(()),
            Event::DialFailed { .. } => Some(()),
            Event::Identified { .. } => panic!("it is banned"),
            _ => None,
        })
        .await;

    node.tell(Command::Unban { peer: offender.peer });
    node.meet(&mut offender).await;
}

pub async fn a_full_node_takes_explicit_peers_only(mut world: World) {
    let few = ConnectionLimits { established: 1, inbound: 1, pending_inbound: 10 };
    let mut full = world.node_with(|config| config.connections = few, Chain::default()).await;
    let (mut first, mut second) = (world.node().await, world.node().await);
    first.meet(&mut full).await;
    second.dial(&full);
    let us = full.peer;
    second
        .until("turned away", |event| match event {
            Event::Disconnected { peer, .. } if peer == us => Some(()),
            Event::DialFailed { .. } => Some(()),
            Event::Identified { .. } => panic!("there was no room"),
            _ => None,
        })
        .await;
    full.dial(&second);
    let error = failure(&mut full).await.2;
    assert!(matches!(error, DialError::Full(_)), "{error:?}");

    full.tell(Command::Explicit { peer: second.peer, on: true });
    // Commands are taken in their order: once this dial has failed, the one before it holds.
    let third = world.node().await;
    full.dial(&third);
    assert!(matches!(failure(&mut full).await.2, DialError::Full(_)));
    second.meet(&mut full).await;
}

pub async fn a_stopped_node_is_gone_and_its_events_end(mut world: World) {
    let (mut node, mut other) = world.pair(Chain::default()).await;
    node.tell(Command::Stop);
    patiently("the end of the events", async { while node.events.recv().await.is_some() {} }).await;
    other.gone(node.peer).await;
    assert!(node.transport.send(Command::Stop).is_err());

    let (node, mut other) = world.pair(Chain::default()).await;
    let peer = node.peer;
    drop(node);
    other.gone(peer).await;
}

pub async fn peers_of_peers_are_discovered(mut world: World) {
    let often = |config: &mut alys_transport::Config| config.discovery = Some(Duration::from_millis(200));
    let mut hub = world.node_with(often, Chain::default()).await;
    let mut left = world.node_with(often, Chain::default()).await;
    let mut right = world.node_with(often, Chain::default()).await;
    left.meet(&mut hub).await;
    right.meet(&mut hub).await;
    let (peer, address) = (right.peer, right.address.clone());
    left.until("discovered", |event| match event {
        Event::Discovered { peer: found, addresses } if found == peer && addresses.contains(&address) => {
            Some(())
        }
        _ => None,
    })
    .await;
}
