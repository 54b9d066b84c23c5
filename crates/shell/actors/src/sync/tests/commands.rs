//! What is refused in which state, and with which words: a table of states and messages.

use std::sync::Arc;

use alys_chain::{BlockId, BlockRef, Height, Slot};
use alys_storage::Checkpoints;
use alys_sync::{Fault, Mode};

use super::history::{HISTORY, Lie, Served};
use super::world::{Setting, World};
use crate::sync::{StartMode, StartSync, SyncMailbox};

/// How high the peers of these stories are: enough for every state.
const TOP: u64 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Stopped,
    Discovering,
    Syncing,
    Synced,
    Paused,
    Failed,
}

#[derive(Clone, Copy, Debug)]
enum Say {
    Start,
    StartAboveTheHead,
    StartTowardsWhatIsHere,
    StartWithABlockThatIsNotOurs,
    StartWithABlockOfTheFuture,
    StartIn(StartMode),
    Pause,
    Resume,
    Stop,
    Create,
    Recover,
    Batch,
}

const DONE: &str = "";

/// Each state, what is said in it, and what the answer begins with.
const TABLE: &[(State, &[(Say, &str)])] = &[
    (
        State::Stopped,
        &[
            (Say::Pause, "sync is not started"),
            (Say::Resume, "sync is not started"),
            (Say::Stop, "sync is not started"),
            (Say::StartAboveTheHead, "cannot begin at height 99: the next block here is 21"),
            (Say::StartTowardsWhatIsHere, "the height to stop at is below the durable head"),
            (Say::StartWithABlockThatIsNotOurs, "the store has block "),
            (Say::StartWithABlockOfTheFuture, "no block can have height 5 and slot 999999 by now"),
            (Say::StartIn(StartMode::Snapshot), "only a fresh node can begin with a state"),
            (Say::StartIn(StartMode::Light), "this node executes blocks"),
            (Say::Create, DONE),
            (Say::Recover, DONE),
            (Say::Batch, DONE),
            (Say::StartIn(StartMode::Full), DONE),
        ],
    ),
    (
        State::Discovering,
        &[
            (Say::Start, "sync runs already"),
            (Say::StartIn(StartMode::Snapshot), "sync runs already"),
            (Say::Resume, "sync is not paused"),
            (Say::Create, "no block but genesis is final"),
            (Say::Recover, "no usable checkpoint: there is none"),
            (Say::Batch, DONE),
            (Say::Pause, DONE),
        ],
    ),
    (
        State::Syncing,
        &[
            (Say::Start, "sync runs already"),
            (Say::Resume, "sync is not paused"),
            (Say::Create, "no block but genesis is final"),
            (Say::Recover, "sync is at work: pause or stop it first"),
            (Say::Batch, DONE),
            (Say::Stop, DONE),
        ],
    ),
    (
        State::Synced,
        &[
            (Say::Start, "sync runs already"),
            (Say::Resume, "sync is not paused"),
            (Say::Create, DONE),
            (Say::Recover, DONE),
            (Say::Batch, DONE),
            (Say::Stop, DONE),
        ],
    ),
    (
        State::Paused,
        &[
            (Say::Start, "sync is paused: resume it, or stop it first"),
            (Say::Pause, "sync is paused already"),
            (Say::Batch, "sync is paused: it imports nothing until it is resumed"),
            (Say::Create, DONE),
            (Say::Recover, DONE),
            (Say::Resume, DONE),
        ],
    ),
    (
        State::Failed,
        &[
            (Say::Start, "sync runs already"),
            (Say::Resume, "sync is not paused"),
            (Say::Create, "no block but genesis is final"),
            (Say::Recover, "no usable checkpoint: there is none"),
            (Say::Stop, DONE),
        ],
    ),
];

/// A node in this state.
async fn world_in(state: State, directory: &tempfile::TempDir) -> World {
    let checkpoints = Some(Arc::new(Checkpoints::open(directory.path()).unwrap()));
    let mut world = World::new(Setting { checkpoints, slot: TOP, ..Setting::default() }).await;
    world.passes(1).await;
    match state {
        State::Discovering => {}
        State::Syncing => {
            world.peer(Served::lying(TOP, Lie::Bodies(1))).await;
            world.until("work", |world| world.status().mode.is_working()).await;
        }
        State::Failed => {
            let broken = || Fault::Ours("disk".to_owned());
            world.chain.failures.lock().unwrap().extend((0..200).map(|_| broken()));
            world.peer(Served::honest(TOP)).await;
            world.until("failure", |world| world.status().mode == Mode::Failed).await;
        }
        State::Synced | State::Paused | State::Stopped => {
            world.peer(Served::honest(TOP)).await;
            world.until("the top", |world| world.status().mode == Mode::Synced).await;
        }
    }
    match state {
        State::Stopped => world.sync.stop_sync().await.unwrap(),
        State::Paused => world.sync.pause_sync().await.unwrap(),
        _ => {}
    }
    world
}

async fn say(sync: &SyncMailbox, what: Say) -> Result<(), String> {
    let start = StartSync::default();
    let named = |height: u64, slot: u64, id| BlockRef { height: Height(height), slot: Slot(slot), id };
    let start = match what {
        Say::Start => start,
        Say::StartAboveTheHead => StartSync { from_height: Some(Height(99)), ..start },
        Say::StartTowardsWhatIsHere => StartSync { target_height: Some(Height(TOP - 1)), ..start },
        Say::StartWithABlockThatIsNotOurs => {
            StartSync { checkpoint: Some(named(5, 5, BlockId([9; 32]))), ..start }
        }
        Say::StartWithABlockOfTheFuture => {
            StartSync { checkpoint: Some(named(5, 999_999, BlockId([9; 32]))), ..start }
        }
        Say::StartIn(mode) => StartSync { mode: Some(mode), ..start },
        Say::Pause => return sync.pause_sync().await.map_err(|why| why.to_string()),
        Say::Resume => return sync.resume_sync().await.map_err(|why| why.to_string()),
        Say::Stop => return sync.stop_sync().await.map_err(|why| why.to_string()),
        Say::Create => return sync.create_checkpoint().await.map(drop).map_err(|why| why.to_string()),
        Say::Recover => return sync.recover_from_checkpoint().await.map(drop).map_err(|why| why.to_string()),
        Say::Batch => {
            let batch = sync.process_block_batch(vec![HISTORY.block(1)], None).await;
            return batch.map(drop).map_err(|why| why.to_string());
        }
    };
    sync.start_sync(start).await.map_err(|why| why.to_string())
}

async fn row(state: State) {
    let directory = tempfile::tempdir().unwrap();
    let world = world_in(state, &directory).await;
    let (_, rows) = TABLE.iter().find(|(of, _)| *of == state).unwrap();
    for &(what, answer) in *rows {
        let before = world.status().mode;
        let said = say(&world.sync, what).await;
        match said {
            Ok(()) => assert_eq!(answer, DONE, "{state:?}: {what:?} was done"),
            Err(why) => {
                assert!(!answer.is_empty() && why.starts_with(answer), "{state:?}: {what:?}: {why}");
                assert_eq!(
                    world.status().mode,
                    before,
                    "{state:?}: {what:?} was refused, and changed something"
                );
            }
        }
        let shown = world.sync.get_status().await.unwrap();
        let gate = world.sync.can_produce(world.slot()).await.unwrap();
        assert!(!gate.open, "{state:?}: no authority: {shown:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_sync_takes_no_order_but_to_start_and_only_one_that_fits_the_store() {
    row(State::Stopped).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_looks_for_peers_is_started_and_has_nothing_to_write_down() {
    row(State::Discovering).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_fetches_blocks_is_not_made_to_begin_anew() {
    row(State::Syncing).await;
}

#[tokio::test(start_paused = true)]
async fn a_synced_one_can_be_checkpointed_and_stopped() {
    row(State::Synced).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_one_imports_nothing_until_it_is_resumed() {
    row(State::Paused).await;
}

#[tokio::test(start_paused = true)]
async fn one_whose_importer_fails_can_still_be_told_to_stop() {
    row(State::Failed).await;
}

/// A node that was not told to begin.
async fn waiting(light: bool) -> World {
    let mut setting = Setting::default();
    setting.config.auto_start = false;
    setting.config.light = light;
    World::new(setting).await
}

#[tokio::test(start_paused = true)]
async fn a_light_node_executes_nothing_whatever_it_is_told() {
    let world = waiting(true).await;
    for mode in [StartMode::Full, StartMode::Snapshot] {
        let why = say(&world.sync, Say::StartIn(mode)).await.unwrap_err();
        assert!(why.starts_with("this node is light"), "{why}");
    }
    say(&world.sync, Say::StartIn(StartMode::Light)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_order_can_begin_with_a_state_but_then_names_nothing_below_it() {
    let world = waiting(false).await;
    let order = StartSync { mode: Some(StartMode::Snapshot), ..StartSync::default() };
    let bound = StartSync { target_height: Some(Height(9)), ..order };
    let why = world.sync.start_sync(bound).await.unwrap_err().to_string();
    assert!(why.starts_with("what lies below a fetched state is not looked at"), "{why}");
    world.sync.start_sync(order).await.unwrap();
    let why = world.sync.start_sync(order).await.unwrap_err().to_string();
    assert_eq!(why, "the state of a final block is being fetched");
}
