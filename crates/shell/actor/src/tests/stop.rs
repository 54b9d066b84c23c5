//! Orders to stop, obeyed and not.

use std::sync::mpsc;

use tokio::time::{Instant, sleep};

use super::kit::*;
use crate::*;

#[tokio::test(start_paused = true)]
async fn a_stop_lets_the_current_message_end() {
    let solo = Solo::start(Spec::new("a")).await;
    solo.addr.try_tell(Sleep(secs(2))).unwrap();
    solo.addr.try_tell(write("never")).unwrap();
    tokio::task::yield_now().await;
    solo.supervisor.shutdown().await;
    assert_eq!(solo.diary.lines(), ["a 1 up", "slept", "a 1 down"]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_outlasts_the_kill_timeout_is_aborted() {
    let mut solo = Solo::start(Spec::new("a")).await;
    solo.addr.try_tell(Sleep(secs(60))).unwrap();
    tokio::task::yield_now().await;
    let begun = Instant::now();
    solo.supervisor.shutdown().await;
    assert_eq!(begun.elapsed(), secs(5));
    let (reason, message) = next_exit(&mut solo.events).await;
    assert_eq!((reason, message.map(|it| it.name)), (ExitReason::Killed, Some("sleep")));
    assert_eq!(solo.status().last_error.as_deref(), Some("killed"));
    assert_eq!(solo.diary.lines(), ["a 1 up"]);
}

#[tokio::test(start_paused = true)]
async fn stopping_is_bounded_even_if_the_actor_stops_itself() {
    let habits = Habits { stop_takes: secs(60), ..Habits::default() };
    let mut solo = Solo::start(Spec::new("a").habits(habits)).await;
    let begun = Instant::now();
    let fail = |_: &mut Obedient, ctx: &mut Context<Obedient>| ctx.stop(StopReason::Failed("enough".into()));
    solo.addr.ask(order(fail)).await.unwrap();
    assert_eq!(next_exit(&mut solo.events).await.0, ExitReason::Failed("enough".into()));
    assert_eq!(begun.elapsed(), secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_start_is_given_up_when_the_supervisor_stops() {
    let habits = Habits { start_takes: secs(20), ..Habits::default() };
    let mut solo = Solo::begin(Spec::new("a").habits(habits));
    sleep(secs(1)).await;
    assert_eq!(solo.status().state, ActorState::Starting);
    let begun = Instant::now();
    solo.supervisor.shutdown().await;
    assert_eq!(begun.elapsed(), secs(0));
    assert_eq!(next_exit(&mut solo.events).await.0, ExitReason::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn a_child_in_its_back_off_is_stopped_at_once() {
    let habits = Habits { start_fails: (1..9).collect(), ..Habits::default() };
    let solo = Solo::begin(Spec::new("a").habits(habits));
    sleep(millis(500)).await;
    assert_eq!(solo.status().state, ActorState::Waiting);
    let begun = Instant::now();
    solo.supervisor.shutdown().await;
    assert_eq!(begun.elapsed(), secs(0));
    assert_eq!(solo.status().state, ActorState::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_was_meant_for_a_crashed_incarnation_does_not_kill_the_next_one() {
    let mut solo = Solo::start(Spec::new("a")).await;
    solo.addr.try_tell(Panic).unwrap();
    assert_eq!(next_exit(&mut solo.events).await.0.label(), "panicked");
    solo.supervisor.running().await;
    sleep(secs(1)).await;
    // The order names incarnation 1, as it stood when it was given.
    solo.supervisor.restart_incarnation("a", 1).await.unwrap();
    sleep(secs(1)).await;
    assert_eq!(solo.status().incarnation, 2);
    assert_eq!(solo.diary.lines(), ["a 1 up", "a 2 up"]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_and_a_crash_at_once_are_one_restart() {
    let solo = Solo::start(Spec::new("a")).await;
    solo.addr.try_tell(Panic).unwrap();
    solo.supervisor.restart("a").await.unwrap();
    solo.supervisor.restart("a").await.unwrap();
    sleep(secs(1)).await;
    assert_eq!(solo.status().incarnation, 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_on_the_way_down_is_reported_and_the_stop_goes_on() {
    let mut solo = Solo::start(Spec::new("a")).await;
    let late = |_: &mut Obedient, ctx: &mut Context<Obedient>| {
        let stop = ctx.token();
        ctx.background(async move { stop.cancelled().await });
    };
    solo.addr.ask(order(late)).await.unwrap();
    solo.addr.try_tell(SleepThenPanic).unwrap();
    tokio::task::yield_now().await;
    solo.supervisor.shutdown().await;
    let (reason, message) = next_exit(&mut solo.events).await;
    assert_eq!(reason, ExitReason::Panicked("late".into()));
    assert_eq!(message.map(|it| it.name), Some("sleep then panic"));
    assert_eq!(solo.status().state, ActorState::Stopped);
}

struct SleepThenPanic;

impl Message for SleepThenPanic {
    type Reply = ();
    const NAME: &'static str = "sleep then panic";
}

impl Handler<SleepThenPanic> for Obedient {
    async fn handle(&mut self, _: SleepThenPanic, _: &mut Context<Self>) {
        sleep(secs(1)).await;
        std::panic::panic_any(String::from("late"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_supervisor_shuts_down_with_its_last_handle() {
    let Solo { addr, diary, supervisor, mut events } = Solo::start(Spec::new("a")).await;
    let clone = supervisor.clone();
    drop(supervisor);
    assert_eq!(addr.ask(write("alive")).await, Ok(1));
    drop(clone);
    next(&mut events, |event| matches!(event, Event::Stopped).then_some(())).await;
    assert_eq!(diary.lines(), ["a 1 up", "alive", "a 1 down"]);
}

/// A handler that blocks its thread cannot be aborted, only fenced off. This needs real threads, and no real time passes:
/// it is let go by the test.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_handler_that_blocks_its_thread_is_fenced_off_and_replaced() {
    let spec = Spec::new("a").policy(|policy| {
        policy.handler_limit = millis(400);
        policy.kill_timeout = millis(1);
    });
    let mut solo = Solo::start(spec).await;
    let (release, gate) = mpsc::channel::<()>();
    let block = move |actor: &mut Obedient, ctx: &mut Context<Obedient>| {
        gate.recv().ok();
        ctx.checkpoint(1_000);
        ctx.spawn(async { write("a ghost") });
        actor.diary.write("let go");
    };
    solo.addr.try_tell(order(block)).unwrap();
    next(&mut solo.events, |event| matches!(event, Event::Abandoned { .. }).then_some(())).await;
    assert_eq!(next_exit(&mut solo.events).await.0, ExitReason::Stuck);
    assert_eq!(solo.addr.ask(write("successor")).await, Ok(1));
    release.send(()).unwrap();
    while solo.diary.lines().last().unwrap() != "let go" {
        tokio::task::yield_now().await;
    }
    assert_eq!(solo.addr.ask(write("still there")).await, Ok(2), "the ghost has neither seed nor mailbox");
    assert_eq!(solo.diary.lines(), ["a 1 up", "a 2 up", "successor", "let go", "still there"]);
}
