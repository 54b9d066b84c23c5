//! Checkpoints are written on the way, found again, and passed over when they do not fit.

use std::sync::Arc;

use alys_chain::checkpoint::Checkpoint;
use alys_chain::{BlockId, Height};
use alys_storage::{Checkpoints, MemoryDisk, Store};
use bytes::Bytes;

use super::history::{BLOCKS, HISTORY, Served};
use super::world::{STATES, Setting, World};
use crate::sync::{CheckpointDesk, CheckpointFailed};

fn setting(directory: &tempfile::TempDir, disk: &MemoryDisk) -> Setting {
    let checkpoints = Some(Arc::new(Checkpoints::open(directory.path()).unwrap()));
    Setting { checkpoints, disk: disk.clone(), ..Setting::default() }
}

#[tokio::test(start_paused = true)]
async fn they_are_written_on_the_way_and_found_again() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::new());
    let mut world = World::new(setting(&directory, &disk)).await;
    let busy = world.sync.create_checkpoint().await.unwrap_err();
    assert_eq!(busy, CheckpointFailed::Busy, "it is looking for one, as at every start");
    world.passes(1).await;
    let failed = world.sync.recover_from_checkpoint().await.unwrap_err();
    assert_eq!(failed, CheckpointFailed::None("there is none".to_owned()));
    world.peer(Served::honest(BLOCKS)).await;
    world.reaches(BLOCKS).await;
    world.passes(2).await;
    let files = Checkpoints::open(directory.path()).unwrap();
    let newest = files.heights().unwrap()[0];
    assert_eq!(newest, Height(600), "the last multiple of a hundred that is final");
    assert!(world.metrics.checkpoints.get() >= 1);

    let by_hand = world.sync.create_checkpoint().await.unwrap();
    assert_eq!(by_hand, Height(BLOCKS - 1), "the last final block");
    let found = world.sync.recover_from_checkpoint().await.unwrap();
    assert_eq!((found.height, found.passed_over), (by_hand, Vec::new()));
    assert_eq!(&found.peers[..], STATES, "with what the peer book holds");
    world.passes(3).await;
    assert_eq!(world.status().peers, 1, "the peers are known to the new beginning");
    assert_eq!(world.status().height, Height(BLOCKS));

    // And at the next start the peer book is told of what was kept.
    let again = World::new(setting(&directory, &disk)).await;
    assert!(again.book.recalled().is_empty());
    again.passes(1).await;
    assert_eq!(again.book.recalled(), [STATES]);
}

#[tokio::test(start_paused = true)]
async fn damaged_ones_and_those_ahead_of_the_store_are_passed_over_with_the_reason() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::new());
    let mut world = World::new(setting(&directory, &disk)).await;
    world.peer(Served::honest(BLOCKS)).await;
    world.reaches(BLOCKS).await;
    world.passes(2).await;
    let files = Checkpoints::open(directory.path()).unwrap();
    let good = files.heights().unwrap()[0];
    files.save(Height(650), b"no checkpoint at all", 10).unwrap();
    let mut cut = files.load(good).unwrap();
    cut.pop();
    files.save(Height(660), &cut, 10).unwrap();
    let found = world.sync.recover_from_checkpoint().await.unwrap();
    assert_eq!(found.height, good);
    let reasons: Vec<_> = found.passed_over.iter().map(|(height, why)| format!("{height}: {why}")).collect();
    assert_eq!(reasons, ["660: damaged checkpoint: length", "650: not a checkpoint"]);

    let empty = World::new(setting(&directory, &MemoryDisk::new())).await;
    empty.passes(1).await;
    let failed = empty.sync.recover_from_checkpoint().await.unwrap_err().to_string();
    assert!(failed.contains("is ahead of the store, which ends at 0"), "{failed}");
}

fn reasons(passed_over: &[(Height, String)]) -> Vec<String> {
    passed_over.iter().map(|(height, why)| format!("{height}: {why}")).collect()
}

/// The same checkpoint, of another network.
fn foreign(payload: &[u8]) -> Vec<u8> {
    let checkpoint = Checkpoint::decode(payload).unwrap();
    Checkpoint { genesis: BlockId([9; 32]), ..checkpoint }.encode().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_start_passes_over_what_is_truncated_altered_foreign_or_ahead_and_takes_the_next() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::new());
    let mut world = World::new(setting(&directory, &disk)).await;
    world.peer(Served::honest(BLOCKS)).await;
    world.reaches(BLOCKS).await;
    world.passes(2).await;
    let files = Arc::new(Checkpoints::open(directory.path()).unwrap());
    let good = files.heights().unwrap()[0];
    let (payload, raw) = (files.load(good).unwrap(), std::fs::read(files.path(good)).unwrap());

    std::fs::write(files.path(Height(900)), &raw[..raw.len() / 2]).unwrap();
    let mut flipped = raw.clone();
    flipped[raw.len() / 2] ^= 1;
    std::fs::write(files.path(Height(800)), &flipped).unwrap();
    files.save(Height(700), &foreign(&payload), 99).unwrap();
    let rules = HISTORY.network.rules.clone();
    let desk = CheckpointDesk::new(files.clone(), world.store.clone(), rules.clone(), 10);
    let found = desk.find().unwrap();
    assert_eq!(found.height, good);
    let told = reasons(&found.passed_over);
    assert!(told[0].starts_with("900: ") && told[1].starts_with("800: "), "{told:?}");
    assert!(told[2].contains("checkpoint of network 0x0909"), "{told:?}");
    let listed: Vec<bool> = desk.list().unwrap().iter().map(|file| file.verdict.is_ok()).collect();
    assert_eq!(listed[..4], [false, false, false, true]);

    let empty: Arc<dyn Store> = Arc::new(MemoryDisk::new().open(rules.genesis_id()).unwrap());
    let premature = CheckpointDesk::new(files.clone(), empty, rules, 10).look_at(good).unwrap();
    assert!(premature.verdict.unwrap_err().contains("is ahead of the store"));
    assert!(matches!(desk.look_at(Height(1)), Err(CheckpointFailed::None(_))));
    assert_eq!(desk.write(Height(0), Bytes::new()), Err(CheckpointFailed::NothingFinal));
    assert!(matches!(desk.write(Height(BLOCKS + 1), Bytes::new()), Err(CheckpointFailed::Ours(_))));
}

#[tokio::test(start_paused = true)]
async fn one_goes_out_whole_and_comes_in_only_where_it_fits() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::new());
    let mut world = World::new(setting(&directory, &disk)).await;
    world.peer(Served::honest(BLOCKS)).await;
    world.reaches(BLOCKS).await;
    world.passes(2).await;
    let (files, rules) =
        (Arc::new(Checkpoints::open(directory.path()).unwrap()), HISTORY.network.rules.clone());
    let desk = CheckpointDesk::new(files.clone(), world.store.clone(), rules.clone(), 10);
    let good = files.heights().unwrap()[0];
    let out = directory.path().join("out");
    desk.export(good, &out).unwrap();
    assert!(matches!(desk.export(good, &out), Err(CheckpointFailed::Ours(_))), "nothing is overwritten");

    let elsewhere = tempfile::tempdir().unwrap();
    let theirs = Arc::new(Checkpoints::open(elsewhere.path()).unwrap());
    let there = CheckpointDesk::new(theirs.clone(), world.store.clone(), rules.clone(), 10);
    assert_eq!(there.import(&out).unwrap().height, good);
    assert_eq!(there.find().unwrap().height, good);

    files.save(Height(700), &foreign(&files.load(good).unwrap()), 99).unwrap();
    let refused = there.import(&files.path(Height(700))).unwrap_err();
    assert!(refused.to_string().contains("of network"), "{refused}");
    assert!(matches!(desk.export(Height(700), &directory.path().join("no")), Err(CheckpointFailed::None(_))));
    std::fs::write(&out, b"nothing of the kind").unwrap();
    assert!(matches!(there.import(&out), Err(CheckpointFailed::None(_))));
}

#[tokio::test(start_paused = true)]
async fn a_node_without_a_place_for_them_says_so() {
    let world = World::new(Setting::default()).await;
    assert_eq!(world.sync.create_checkpoint().await, Err(CheckpointFailed::Disabled));
    assert_eq!(world.sync.recover_from_checkpoint().await, Err(CheckpointFailed::Disabled));
}
