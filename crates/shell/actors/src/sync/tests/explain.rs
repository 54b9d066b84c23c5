//! What limits the rate, staged: the real actor names it.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use alys_sync::{Limit, WaitingFor};
use alys_transport::Transport;
use alys_transport::simulated::Link;

use super::history::{BLOCKS, Served};
use super::world::{Pace, Setting, World};

const MS: Duration = Duration::from_millis(1);

/// The limit that is named most often while blocks are fetched, for so many tenths of a second at most.
async fn named(world: &World, tenths: u32) -> Option<Limit> {
    let mut named: BTreeMap<String, (u32, Limit)> = BTreeMap::new();
    for _ in 0..tenths {
        tokio::time::sleep(100 * MS).await;
        let explain = world.sync.get_explain().await.unwrap();
        if explain.mode.is_working() {
            named.entry(explain.limit.to_string()).or_insert((0, explain.limit)).0 += 1;
        }
    }
    named.into_values().max_by_key(|(times, _)| *times).map(|(_, limit)| limit)
}

/// Four peers with everything, and an importer of this pace.
async fn with_pace(pace: Pace) -> World {
    let mut world = World::new(Setting::default()).await;
    *world.chain.pace.lock().unwrap() = pace;
    for _ in 0..4 {
        world.peer(Served::honest(BLOCKS)).await;
    }
    world
}

#[tokio::test(start_paused = true)]
async fn a_slow_disk_is_named() {
    let world = with_pace(Pace { commit: 20 * MS, execute: MS, ..Pace::default() }).await;
    assert_eq!(named(&world, 100).await, Some(Limit::Disk));
    world.reaches(BLOCKS).await;
}

#[tokio::test(start_paused = true)]
async fn slow_execution_is_named() {
    let world = with_pace(Pace { execute: 20 * MS, commit: MS, ..Pace::default() }).await;
    assert_eq!(named(&world, 100).await, Some(Limit::Execute));
}

#[tokio::test(start_paused = true)]
async fn an_importer_that_is_held_back_is_named() {
    let world = with_pace(Pace { elsewhere: 20 * MS, execute: MS, ..Pace::default() }).await;
    assert_eq!(named(&world, 100).await, Some(Limit::CappedImporter));
}

#[tokio::test(start_paused = true)]
async fn too_few_peers_are_named() {
    let mut world = World::new(Setting::default()).await;
    world.network.set_links(Link { latency: 300 * MS, bandwidth: Some(40_000), ..Link::default() });
    world.peer(Served::honest(BLOCKS)).await;
    assert_eq!(named(&world, 50).await, Some(Limit::TooFewPeers));
    let explain = world.sync.get_explain().await.unwrap();
    assert_eq!(explain.peers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_at_the_head_is_named() {
    let mut world = World::new(Setting::default()).await;
    world.network.set_links(Link { latency: 1_500 * MS, ..Link::default() });
    let slow = world.peer(Served::honest(BLOCKS)).await;
    let waits = |world: &World| matches!(world.status().waiting_for, WaitingFor::Body { peer: Some(peer), .. } if peer == slow);
    world.until("the slow one to hold the head", waits).await;
    world.network.set_links(Link::default());
    let line = Link { latency: 1_500 * MS, ..Link::default() };
    world.network.set_link(world.node.local_peer(), slow, line);
    for _ in 0..3 {
        world.peer(Served::honest(BLOCKS)).await;
    }
    assert_eq!(named(&world, 10).await, Some(Limit::SlowPeerAtHead));
    let explain = world.sync.get_explain().await.unwrap();
    assert_eq!(explain.slowest.map(|slowest| slowest.peer), Some(slow));
}

#[tokio::test(start_paused = true)]
async fn a_crash_leaves_the_flight_recorder_and_an_orderly_stop_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recorder.json");
    let setting = || Setting { flight_recorder: Some(path.clone().into()), ..Setting::default() };
    let world = World::new(setting()).await;
    world.supervisor.shutdown().await;
    assert!(!path.exists(), "it was told to stop");

    let mut world = World::new(setting()).await;
    world.chain.crash.store(true, Ordering::Relaxed);
    world.peer(Served::honest(BLOCKS)).await;
    world.reaches(BLOCKS).await;
    let left = std::fs::read_to_string(&path).unwrap();
    assert!(left.contains("\"recorder\"") && left.contains("\"mode_changed\""), "{left}");
}
