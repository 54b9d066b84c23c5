//! What a crash costs: nothing that is connected.

use std::sync::Arc;

use alys_actors::network::Listener;
use alys_chain::AuthorityIndex;
use alys_peers::Class;
use alys_transport::Event;
use alys_transport::simulated::Link;

use crate::kit::{Claims, Habit, SECOND, Told, World, approval, eventually, pass};

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_network_actor_closes_no_connection() {
    let mut world = World::new();
    let first = world.node().authority(0).start().await;
    let second = world.node().authority(1).knows(&first).start().await;
    second.meet(&first).await;
    eventually!("first knows", first.authority_of(second.peer).await.is_some());
    eventually!("second knows", second.authority_of(first.peer).await.is_some());

    first.chain.habit(Habit::PanicOnce);
    second.network.broadcast_approval(approval(&world, 1)).unwrap();
    eventually!("it is restarted", first.actor("network").incarnation == 2);
    second.network.broadcast_approval(approval(&world, 2)).unwrap();
    eventually!("the next message arrives", first.chain.heard().len() == 1);
    assert_eq!(first.authority_of(second.peer).await, Some(AuthorityIndex(1)), "claims stand as well");
    let told = second.sync.told();
    assert!(!told.iter().any(|told| matches!(told, Told::Disconnected(..))), "{told:?}");
    assert_eq!(first.sync.told().len(), 2, "nobody is told twice: {:?}", first.sync.told());
}

#[tokio::test(start_paused = true)]
async fn events_during_a_restart_wait_for_the_next_incarnation() {
    let mut world = World::new();
    let first = world.node().start().await;
    let second = world.node().knows(&first).start().await;
    second.meet(&first).await;
    // The second restart waits some 50 ms; the peer goes and another comes meanwhile.
    first.supervisor.restart("network").await.unwrap();
    first.chain.habit(Habit::PanicOnce);
    second.network.broadcast_approval(approval(&world, 1)).unwrap();
    eventually!("it is restarted", first.actor("network").incarnation >= 3);
    let mut stranger = world.stranger(Arc::new(Claims::default()));
    stranger.dial(&first);
    world.net.crash(second.peer);
    eventually!("one came, one went", first.identified().await == [stranger.peer]);
    pass(SECOND * 3).await;
    while let Some(event) = stranger.events.try_recv() {
        assert!(!matches!(event, Event::Disconnected { .. }), "{event:?}");
    }
    assert!(first.knows(second.peer).await.connected.is_none());
    assert!(first.knows(stranger.peer).await.connected.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_question_that_was_open_at_a_crash_is_asked_again() {
    let mut world = World::new();
    world.net.set_links(Link { latency: SECOND, ..Link::default() });
    let first = world.node().start().await;
    let second = world.node().authority(1).knows(&first).start().await;
    eventually!("connected", first.present().await.len() == 1);
    eventually!("identified", first.identified().await.len() == 1);
    assert_eq!(first.authority_of(second.peer).await, None, "the answer is on its way");
    first.supervisor.restart("network").await.unwrap();
    eventually!("it is answered", first.authority_of(second.peer).await == Some(AuthorityIndex(1)));
}

#[tokio::test(start_paused = true)]
async fn a_restarted_peer_actor_learns_who_is_connected() {
    let mut world = World::new();
    let first = world.node().authority(0).start().await;
    let second = world.node().authority(1).knows(&first).start().await;
    second.meet(&first).await;
    eventually!("first knows", first.authority_of(second.peer).await.is_some());
    first.peers.trust_peer(second.peer, true, Vec::new()).unwrap();
    assert!(first.peers.get_peer_status(second.peer).await.unwrap().is_some());

    first.supervisor.restart("peer").await.unwrap();
    eventually!("it is restarted", first.actor("peer").incarnation == 2);
    let class = Class::Federation(AuthorityIndex(1));
    eventually!("it knows", first.knows(second.peer).await.class == class);
    assert!(first.knows(second.peer).await.connected.is_some());
    first.peers.disconnect_peer(second.peer).unwrap();
    eventually!("still trusted, it is dialled again", first.identified().await == [second.peer]);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_sync_can_have_itself_introduced() {
    let mut world = World::new();
    let first = world.node().start().await;
    let second = world.node().authority(1).knows(&first).start().await;
    eventually!("known", first.authority_of(second.peer).await.is_some());
    let before = first.sync.told();
    first.network.introduce(Listener::Sync).unwrap();
    eventually!("told again", first.sync.told() == [before.clone(), before.clone()].concat());
}
