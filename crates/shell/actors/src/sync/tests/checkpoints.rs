//! Checkpoints are written on the way, found again, and passed over when they do not fit.

use std::sync::Arc;

use alys_chain::Height;
use alys_storage::{Checkpoints, MemoryDisk};

use super::history::{BLOCKS, Served};
use super::world::{Setting, World};
use crate::sync::CheckpointFailed;

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
    world.passes(3).await;
    assert_eq!(world.status().peers, 1, "the peers are known to the new beginning");
    assert_eq!(world.status().height, Height(BLOCKS));
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

#[tokio::test(start_paused = true)]
async fn a_node_without_a_place_for_them_says_so() {
    let world = World::new(Setting::default()).await;
    assert_eq!(world.sync.create_checkpoint().await, Err(CheckpointFailed::Disabled));
    assert_eq!(world.sync.recover_from_checkpoint().await, Err(CheckpointFailed::Disabled));
}
