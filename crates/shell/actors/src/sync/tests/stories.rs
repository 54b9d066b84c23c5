//! How a node comes to the head of the chain, whoever is around it.

use std::sync::atomic::Ordering;

use alys_sync::{Fault, Mode, Offence};
use alys_transport::Transport;

use super::history::{BLOCKS, HISTORY, Lie, Served};
use super::world::{Setting, World};
use crate::sync::{Refused, StartSync};

#[tokio::test(start_paused = true)]
async fn a_fresh_node_syncs_from_three_peers_at_once() {
    let mut world = World::new(Setting::default()).await;
    world.sync.pause_sync().await.unwrap();
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(world.peer(Served::honest(BLOCKS)).await);
    }
    world.sync.resume_sync().await.unwrap();
    world.reaches(BLOCKS).await;
    assert_eq!(world.heads(), Some(HISTORY.header(BLOCKS).certificate.block));
    world.until("synced", |world| world.status().mode == Mode::Synced).await;
    for peer in peers {
        assert!(world.served(peer) > 0, "everybody was asked");
        assert_eq!(world.offences(peer), []);
    }
    let status = world.sync.get_status().await.unwrap();
    assert_eq!((status.height.get(), status.peers), (BLOCKS, 3));
    assert_eq!(world.metrics.headers_verified.get(), BLOCKS);
    assert_eq!(
        world.metrics.bodies_verified.get(),
        BLOCKS / 10,
        "the others are empty, and known by their headers"
    );
    assert_eq!(world.metrics.height.get(), i64::try_from(BLOCKS).unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_is_the_same_run() {
    let run = || async {
        let mut world = World::new(Setting::default()).await;
        for _ in 0..2 {
            world.peer(Served::honest(BLOCKS)).await;
        }
        world.reaches(BLOCKS).await;
        let imports = world.chain.imports.lock().unwrap().clone();
        (world.clock.moment(), imports)
    };
    assert_eq!(run().await, run().await);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes_in_the_middle_is_replaced() {
    let mut world = World::new(Setting::default()).await;
    let gone = world.peer(Served::honest(BLOCKS)).await;
    world.until("requests", |world| world.status().leases > 1).await;
    world.network.crash(gone);
    world.peer(Served::honest(BLOCKS)).await;
    world.reaches(BLOCKS).await;
    assert_eq!(world.offences(gone), [], "to go is no offence");
}

#[tokio::test(start_paused = true)]
async fn a_head_without_a_quorum_moves_nothing_and_is_reported() {
    let mut world = World::new(Setting::default()).await;
    let liar = world.peer(Served::lying(BLOCKS - 1, Lie::Height)).await;
    world.passes(3).await;
    assert_eq!(world.status().target, None);
    assert!(world.offences(liar).contains(&Offence::BadCertificate));
    world.peer(Served::honest(BLOCKS - 1)).await;
    world.reaches(BLOCKS - 1).await;
}

#[tokio::test(start_paused = true)]
async fn bad_certificates_are_found_reported_and_fetched_elsewhere() {
    let mut world = World::new(Setting::default()).await;
    let liar = world.peer(Served::lying(BLOCKS, Lie::Certificates(300))).await;
    world.until("an offence", |world| !world.offences(liar).is_empty()).await;
    assert_eq!(world.offences(liar)[0], Offence::BadCertificate);
    let honest = world.peer(Served::honest(BLOCKS)).await;
    world.reaches(BLOCKS).await;
    assert_eq!(world.offences(honest), []);
}

#[tokio::test(start_paused = true)]
async fn bad_bodies_are_found_reported_and_fetched_elsewhere() {
    let mut world = World::new(Setting::default()).await;
    let liar = world.peer(Served::lying(BLOCKS, Lie::Bodies(20))).await;
    world.until("an offence", |world| !world.offences(liar).is_empty()).await;
    assert_eq!(world.offences(liar)[0], Offence::BadBody);
    let honest = world.peer(Served::honest(BLOCKS)).await;
    world.reaches(BLOCKS).await;
    assert_eq!(world.offences(honest), []);
}

#[tokio::test(start_paused = true)]
async fn paused_nothing_moves_and_resumed_it_goes_on() {
    let mut world = World::new(Setting::default()).await;
    world.sync.pause_sync().await.unwrap();
    world.peer(Served::honest(BLOCKS)).await;
    world.passes(10).await;
    assert_eq!(world.height(), 0);
    let status = world.status();
    assert!(status.paused && status.leases == 0);
    assert!(matches!(world.sync.pause_sync().await, Err(Refused::State(_))));
    world.sync.resume_sync().await.unwrap();
    assert!(matches!(world.sync.resume_sync().await, Err(Refused::State(_))));
    world.reaches(BLOCKS).await;
}

#[tokio::test(start_paused = true)]
async fn commands_that_make_no_sense_are_refused_with_the_reason() {
    let mut setting = Setting::default();
    setting.config.auto_start = false;
    let mut world = World::new(setting).await;
    world.peer(Served::honest(BLOCKS)).await;
    world.passes(3).await;
    assert_eq!(world.height(), 0, "nobody told it to start");
    let why = world.sync.stop_sync().await.unwrap_err().to_string();
    assert_eq!(why, "sync is not started");
    let hole = StartSync { from_height: Some(5.into()), ..StartSync::default() };
    let why = world.sync.start_sync(hole).await.unwrap_err().to_string();
    assert_eq!(why, "cannot begin at height 5: the next block here is 1");

    let until = StartSync { target_height: Some(100.into()), ..StartSync::default() };
    world.sync.start_sync(until).await.unwrap();
    let again = world.sync.start_sync(StartSync::default()).await.unwrap_err();
    assert_eq!(again.to_string(), "sync runs already: stop it first");
    world.reaches(100).await;
    world.passes(5).await;
    assert_eq!((world.height(), world.status().mode), (100, Mode::Idle), "as far as it was told");

    world.sync.start_sync(StartSync::default()).await.unwrap();
    world.until("blocks", |world| world.height() > 150).await;
    world.sync.stop_sync().await.unwrap();
    assert_eq!(world.status().mode, Mode::Idle);
}

#[tokio::test(start_paused = true)]
async fn after_a_panic_it_goes_on_from_what_is_durable() {
    let mut world = World::new(Setting::default()).await;
    world.chain.crash.store(true, Ordering::Relaxed);
    world.peer(Served::honest(BLOCKS)).await;
    world.reaches(1).await;
    assert!(world.height() < BLOCKS, "it has something left to do");
    world.reaches(BLOCKS).await;
    let status = &world.supervisor.status()[0];
    assert_eq!(status.incarnation, 2, "{:?}", status.last_error);
    assert_eq!(world.status().peers, 1, "the network introduced its peers again");
    let imported: usize = world.chain.imports.lock().unwrap().iter().sum();
    assert!(imported as u64 <= BLOCKS + 256, "what was durable is not done again");
}

#[tokio::test(start_paused = true)]
async fn a_workers_panic_costs_its_batch_the_time_and_nothing_else() {
    let mut world = World::new(Setting::default()).await;
    let peer = world.peer(Served::honest(BLOCKS)).await;
    // Whatever comes first, and whatever is tried after that: heads, links, certificates, bodies.
    for _ in 0..2 {
        world.panics.store(3, Ordering::Relaxed);
        world.until("the panics", |world| world.panics.load(Ordering::Relaxed) == 0).await;
    }
    assert!(world.height() < BLOCKS, "it has something left to do");
    world.reaches(BLOCKS).await;
    assert_eq!(world.offences(peer), []);
    let status = &world.supervisor.status()[0];
    assert_eq!(status.incarnation, 1, "{:?}", status.last_error);
}

#[tokio::test(start_paused = true)]
async fn a_pause_outlives_a_crash() {
    let mut world = World::new(Setting::default()).await;
    world.peer(Served::honest(BLOCKS)).await;
    world.sync.pause_sync().await.unwrap();
    let before = world.height();
    world.supervisor.restart("sync").await.unwrap();
    world.passes(10).await;
    assert!(world.status().paused);
    assert!(world.height() <= before + 256, "what was handed over is finished, no more");
    world.sync.resume_sync().await.unwrap();
    world.reaches(BLOCKS).await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_import_is_tried_again_and_nobody_is_blamed() {
    let mut world = World::new(Setting::default()).await;
    *world.chain.failures.lock().unwrap() =
        vec![Fault::Ours("disk".to_owned()), Fault::Moment("disk full".to_owned())];
    let peer = world.peer(Served::honest(BLOCKS)).await;
    world.reaches(BLOCKS).await;
    assert_eq!(world.offences(peer), []);
    assert_eq!(world.metrics.import_failures.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_head_is_fetched_at_once_when_somebody_is_behind() {
    let mut world = World::new(Setting::default()).await;
    let served = std::sync::Arc::new(Served::honest(BLOCKS - 5));
    let peer = world.shared_peer(served.clone()).await;
    world.reaches(BLOCKS - 5).await;
    world.until("synced", |world| world.status().mode == Mode::Synced).await;
    *served.height.lock().unwrap() = BLOCKS;
    world.sync.behind(None, alys_chain::Slot(BLOCKS));
    world.sync.peer_discovered(peer, Some(BLOCKS.into()));
    world.sync.behind(Some(world.node.local_peer()), alys_chain::Slot(BLOCKS));
    world.reaches(BLOCKS).await;
}

#[tokio::test(start_paused = true)]
async fn while_our_own_disk_does_not_answer_nobody_is_blamed() {
    let setting = Setting::default();
    let disk = setting.disk.clone();
    let mut world = World::new(setting).await;
    disk.fail_reads(true);
    let peer = world.peer(Served::honest(BLOCKS)).await;
    world.passes(5).await;
    assert_eq!((world.height(), world.status().target), (0, None));
    disk.fail_reads(false);
    world.reaches(BLOCKS).await;
    assert_eq!(world.offences(peer), []);
}

#[tokio::test(start_paused = true)]
async fn a_peer_at_genesis_and_one_that_knows_less_are_of_no_use_and_no_harm() {
    let mut world = World::new(Setting::default()).await;
    world.peer(Served::honest(0)).await;
    world.peer(Served::honest(100)).await;
    world.reaches(100).await;
    world.peer(Served::honest(BLOCKS)).await;
    world.reaches(BLOCKS).await;
    let text = {
        let mut registry = prometheus_client::registry::Registry::default();
        world.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    };
    assert!(text.contains(&format!("sync_height {BLOCKS}")), "{text}");
    assert!(text.contains(&format!("sync_bodies_verified_total {}", BLOCKS / 10)), "{text}");
}
