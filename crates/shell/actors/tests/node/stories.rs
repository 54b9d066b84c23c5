//! What nodes do together.

use std::sync::Arc;

use alys_actor::ActorState;
use alys_actors::chain::At;
use alys_actors::{Node, StartError};
use alys_chain::{AuthorityIndex, Height};
use alys_wire::limits::INLINE_BODY_BYTES;

use crate::kit::{SECOND, World, finalize, pass, view};

#[tokio::test(start_paused = true)]
async fn four_authorities_make_final_blocks() {
    let world = World::new(4, 1);
    let (_places, nodes) = world.federation(4).await;
    finalize(&nodes, 20).await;
    for node in &nodes {
        let status = node.network.get_network_status().await.unwrap();
        assert_eq!(status.authorities(), 3, "each knows the three others: {status:?}");
        let table = node.actors();
        assert!(table.iter().all(|actor| actor.state == ActorState::Running && actor.incarnation == 1));
        assert_eq!(
            table.iter().map(|actor| actor.name).collect::<Vec<_>>(),
            ["chain", "peer", "network", "sync"]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_reaches_the_chain_of_everybody() {
    let world = World::new(4, 2);
    let (_places, nodes) = world.federation(4).await;
    finalize(&nodes, 2).await;
    nodes[0].chain.submit(world.payment(0, 0)).await.unwrap();
    pass(SECOND * 20).await;
    for node in &nodes {
        let paid = node.chain.account(alys_ledger::Address::repeat_byte(0xb0)).await.unwrap();
        assert_eq!(paid.balance, alys_ledger::U256::from(5));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_too_large_to_be_gossiped_is_fetched_in_time_for_its_slot() {
    let world = World::new(4, 10);
    let (_places, nodes) = world.federation(4).await;
    finalize(&nodes, 2).await;
    for nonce in 0..4 {
        nodes[0].chain.submit(world.payment(nonce, 50_000)).await.unwrap();
    }
    let before = view(&nodes[0]).head;
    pass(SECOND * 20).await;
    let mut largest = 0;
    for height in before.height.get()..=view(&nodes[1]).finalized.height.get() {
        let block = nodes[1].chain.get_block(At::Height(Height(height))).await.unwrap().unwrap();
        largest = largest.max(block.body.0.len());
        assert_eq!(
            block.header.slot.get() - height,
            before.slot.get() - before.height.get(),
            "no slot is lost"
        );
    }
    assert!(largest > INLINE_BODY_BYTES, "a block of {largest} bytes");
}

#[tokio::test(start_paused = true)]
async fn three_of_four_go_on_and_the_fourth_catches_up() {
    let world = World::new(4, 3);
    let (_places, mut nodes) = world.federation(3).await;
    finalize(&nodes, 10).await;
    let mut late = world.place(3);
    nodes.push(world.start(&mut late));
    finalize(&nodes, 25).await;
    let produced_before = view(&nodes[0]).head.height;
    pass(SECOND * 30).await;
    assert!(
        view(&nodes[0]).head.height.get() >= produced_before.get() + 12,
        "with all four no slot is left out"
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_node_follows() {
    let world = World::new(4, 4);
    let (_places, mut nodes) = world.federation(4).await;
    let mut place = world.place(9);
    nodes.push(world.start(&mut place));
    finalize(&nodes, 15).await;
    let status = nodes[4].network.get_network_status().await.unwrap();
    assert_eq!(status.authorities(), 4);
    let of_full = nodes[0].network.get_network_status().await.unwrap();
    let full = of_full.present.iter().find(|present| present.peer == World::peer(9)).unwrap();
    assert_eq!(full.authority, None);
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_is_stopped_and_started_again_signs_on() {
    let world = World::new(4, 5);
    let (mut places, mut nodes) = world.federation(4).await;
    finalize(&nodes, 5).await;
    nodes.remove(0).stop().await;
    pass(SECOND * 10).await;
    nodes.insert(0, world.start(&mut places[0]));
    let height = view(&nodes[1]).finalized.height.get();
    finalize(&nodes, height + 10).await;
    let present = nodes[1].network.get_network_status().await.unwrap().present;
    let back = present.iter().find(|present| present.peer == World::peer(0)).unwrap();
    assert_eq!(back.authority, Some(AuthorityIndex(0)));
}

#[tokio::test(start_paused = true)]
async fn every_actor_can_be_restarted_while_blocks_are_made() {
    let world = World::new(4, 6);
    let (_places, nodes) = world.federation(4).await;
    finalize(&nodes, 3).await;
    for name in ["chain", "peer", "network", "sync"] {
        nodes[0].supervisor().restart(name).await.unwrap();
        let height = view(&nodes[1]).finalized.height.get();
        finalize(&nodes, height + 5).await;
    }
    assert!(nodes[0].actors().iter().all(|actor| actor.incarnation == 2));
    let present = nodes[0].network.get_network_status().await.unwrap();
    assert_eq!(present.authorities(), 3);
}

#[test]
fn the_same_seed_is_the_same_run() {
    // Each in a runtime of its own, as timers are rounded to the millisecond since its start.
    let run = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let world = World::new(4, seed);
            let (_places, nodes) = world.federation(4).await;
            pass(SECOND * 61).await;
            let head = |node| (view(node).head, view(node).finalized);
            let table = |node: &Node| node.peers.watch().borrow().clone();
            nodes.iter().map(|node| (head(node), table(node))).collect::<Vec<_>>()
        })
    };
    let first = run(7);
    assert_eq!(first, run(7));
    assert_ne!(first, run(8));
}

#[tokio::test(start_paused = true)]
async fn a_transport_of_somebody_else_or_none_at_all_starts_nothing() {
    let world = World::new(1, 8);
    let mut parts = world.parts(&mut world.place(0));
    parts.base.local = World::peer(5);
    assert!(matches!(alys_actors::start(parts), Err(StartError::Identity { .. })));
    let mut parts = world.parts(&mut world.place(0));
    parts.connect = Box::new(|source| {
        assert_eq!(Arc::strong_count(&source), 1);
        Err("the port is taken".into())
    });
    let error = alys_actors::start(parts).err().unwrap();
    assert_eq!(error.to_string(), "the network cannot be reached: the port is taken");
}

#[tokio::test(start_paused = true)]
async fn all_metrics_are_shown_and_have_different_names() {
    let world = World::new(1, 9);
    let node = world.start(&mut world.place(0));
    node.running().await;
    pass(SECOND * 10).await;
    let mut registry = prometheus_client::registry::Registry::with_prefix("alys");
    node.register(&mut registry);
    let mut shown = String::new();
    prometheus_client::encoding::text::encode(&mut shown, &registry).unwrap();
    let mut names: Vec<_> = shown.lines().filter_map(|line| line.strip_prefix("# HELP ")).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "{shown}");
    assert!(shown.contains("alys_network_connected_peers 0"), "{shown}");
}
