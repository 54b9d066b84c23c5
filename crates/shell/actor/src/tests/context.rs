//! Tasks, timers, streams, and what ends with an incarnation.

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::kit::*;
use crate::*;

#[tokio::test(start_paused = true)]
async fn the_output_of_a_task_comes_back_as_a_message() {
    let solo = Solo::start(Spec::new("a")).await;
    let begin = |_: &mut Obedient, ctx: &mut Context<Obedient>| {
        ctx.spawn(async {
            sleep(secs(1)).await;
            write("result")
        });
        ctx.background(async { sleep(secs(2)).await });
        assert_eq!(ctx.tasks(), 2);
    };
    solo.addr.ask(order(begin)).await.unwrap();
    assert_eq!(solo.addr.ask(write("meanwhile")).await, Ok(1));
    sleep(secs(3)).await;
    assert_eq!(solo.diary.lines()[1..], ["meanwhile", "result"]);
    let count =
        |actor: &mut Obedient, ctx: &mut Context<Obedient>| actor.diary.write(ctx.tasks().to_string());
    solo.addr.ask(order(count)).await.unwrap();
    assert_eq!(solo.diary.lines().last().unwrap(), "0", "ended tasks are forgotten");
}

#[tokio::test(start_paused = true)]
async fn tasks_timers_and_their_messages_end_with_their_incarnation() {
    let mut solo = Solo::start(Spec::new("a")).await;
    let begin = |actor: &mut Obedient, ctx: &mut Context<Obedient>| {
        let diary = actor.diary.clone();
        ctx.background(async move {
            sleep(secs(1)).await;
            diary.write("a ghost");
        });
        ctx.after(secs(1), write("a late ghost"));
        ctx.every(secs(1), || write("a ghost again and again"));
        ctx.attach(Lane::Normal, futures::stream::iter([write("a queued ghost")]));
    };
    solo.addr.try_tell(order(begin)).unwrap();
    solo.addr.try_tell(Sleep(millis(500))).unwrap();
    solo.addr.try_tell(Panic).unwrap();
    sleep(millis(400)).await;
    assert_eq!(solo.status().mailbox.messages(), 2, "the attached message waits behind the panic");
    assert_eq!(next_exit(&mut solo.events).await.0.label(), "panicked");
    sleep(secs(5)).await;
    assert_eq!(solo.diary.lines(), ["a 1 up", "slept", "a 2 up"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_takes_its_incarnation_down_and_no_message_with_it() {
    let mut solo = Solo::start(Spec::new("a")).await;
    let begin = |_: &mut Obedient, ctx: &mut Context<Obedient>| {
        ctx.background(async { panic!("in a task") });
    };
    solo.addr.ask(order(begin)).await.unwrap();
    let (reason, message) = next_exit(&mut solo.events).await;
    assert_eq!((reason, message), (ExitReason::Panicked("in a task".into()), None));
    assert_eq!(solo.addr.ask(write("after")).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn ticks_never_pile_up_behind_a_slow_handler() {
    let solo = Solo::start(Spec::new("a")).await;
    let begin = |_: &mut Obedient, ctx: &mut Context<Obedient>| {
        ctx.every(secs(1), || write("tick"));
    };
    solo.addr.ask(order(begin)).await.unwrap();
    sleep(millis(2_500)).await;
    assert_eq!(solo.diary.take()[1..], ["tick", "tick"]);
    solo.addr.try_tell(Sleep(secs(8))).unwrap();
    sleep(millis(7_500)).await;
    assert_eq!(solo.status().mailbox.messages(), 1, "one tick waits, not seven");
    sleep(millis(1_200)).await;
    assert_eq!(
        solo.diary.lines(),
        ["slept", "tick", "tick"],
        "the one that waited, then the next one on time"
    );
}

#[tokio::test(start_paused = true)]
async fn a_period_of_zero_is_a_millisecond() {
    let solo = Solo::start(Spec::new("a")).await;
    let begin = |_: &mut Obedient, ctx: &mut Context<Obedient>| {
        ctx.every(millis(0), || write("tick"));
    };
    solo.addr.ask(order(begin)).await.unwrap();
    sleep(millis(10)).await;
    assert!((9..=10).contains(&solo.diary.lines()[1..].len()));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_timer_says_nothing_more_even_if_its_message_waits() {
    let solo = Solo::start(Spec::new("a")).await;
    let (tell, handles) = std::sync::mpsc::channel();
    let begin = move |_: &mut Obedient, ctx: &mut Context<Obedient>| {
        tell.send(ctx.after(secs(1), write("due"))).unwrap();
        tell.send(ctx.after(secs(5), write("not due"))).unwrap();
        ctx.after(secs(1), write("wanted"));
    };
    solo.addr.ask(order(begin)).await.unwrap();
    solo.addr.try_tell(Sleep(secs(2))).unwrap();
    sleep(millis(1_500)).await;
    handles.iter().for_each(|handle| handle.cancel());
    sleep(secs(9)).await;
    assert_eq!(solo.diary.lines()[1..], ["slept", "wanted"]);
    assert_eq!(solo.status().mailbox.skipped, 1);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_is_read_no_faster_than_the_actor_works() {
    let solo = Solo::start(Spec::new("a")).await;
    let (feed, source) = mpsc::channel(200);
    for _ in 0..100 {
        feed.try_send(write("fed")).unwrap();
    }
    let begin = |_: &mut Obedient, ctx: &mut Context<Obedient>| {
        ctx.attach_receiver(Lane::High, source);
    };
    solo.addr.try_tell(order(begin)).unwrap();
    solo.addr.try_tell(Sleep(secs(1))).unwrap();
    solo.addr.try_tell(write("told")).unwrap();
    sleep(millis(500)).await;
    assert_eq!(feed.capacity(), 200 - 100 + 32, "the window is full");
    assert_eq!(solo.status().mailbox.lanes[Lane::High as usize].messages, 32);
    sleep(secs(1)).await;
    assert_eq!(solo.diary.lines()[1..].len(), 102);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_stream_is_a_message_if_it_is_chained() {
    let solo = Solo::start(Spec::new("a")).await;
    let begin = |_: &mut Obedient, ctx: &mut Context<Obedient>| {
        let end = futures::stream::iter([write("end")]);
        ctx.attach(Lane::Normal, futures::stream::iter([write("x"), write("y")]).chain(end));
    };
    solo.addr.ask(order(begin)).await.unwrap();
    sleep(secs(1)).await;
    assert_eq!(solo.diary.lines()[1..], ["x", "y", "end"]);
}

#[tokio::test(start_paused = true)]
async fn an_attached_message_that_fits_no_lane_is_dropped_and_the_stream_goes_on() {
    let solo = Solo::start(Spec::new("a").room(5)).await;
    let begin = |_: &mut Obedient, ctx: &mut Context<Obedient>| {
        ctx.attach(Lane::Normal, futures::stream::iter([write("huge").size(20_000), write("small")]));
    };
    solo.addr.ask(order(begin)).await.unwrap();
    sleep(secs(1)).await;
    assert_eq!(solo.diary.lines()[1..], ["small"]);
}

#[tokio::test(start_paused = true)]
async fn an_actor_may_end_itself_for_good_or_to_be_restarted() {
    let mut solo = Solo::start(Spec::new("a")).await;
    let fail = |_: &mut Obedient, ctx: &mut Context<Obedient>| ctx.stop(StopReason::Failed("no disk".into()));
    solo.addr.ask(order(fail)).await.unwrap();
    assert_eq!(next_exit(&mut solo.events).await, (ExitReason::Failed("no disk".into()), None));
    assert_eq!(solo.addr.ask(write("again")).await, Ok(1));
    let finish = |_: &mut Obedient, ctx: &mut Context<Obedient>| {
        ctx.stop(StopReason::Finished);
        ctx.stop(StopReason::Failed("the first word counts".into()));
    };
    solo.addr.ask(order(finish)).await.unwrap();
    assert_eq!(next_exit(&mut solo.events).await, (ExitReason::Finished, None));
    assert_eq!(solo.addr.ask(write("too late")).await, Err(AskError::Closed));
    let status = solo.status();
    assert_eq!((status.state, status.last_error), (ActorState::Finished, Some("failed: no disk".into())));
    assert_eq!(solo.diary.lines(), ["a 1 up", "a 1 down", "a 2 up", "again", "a 2 down"]);
    solo.supervisor.restart("a").await.unwrap();
    solo.supervisor.shutdown().await;
    assert_eq!(solo.status().state, ActorState::Finished, "what is finished stays so");
}

#[tokio::test(start_paused = true)]
async fn handlers_can_watch_for_the_stop_and_cannot_cause_it() {
    let solo = Solo::start(Spec::new("a")).await;
    let (tell, tokens) = std::sync::mpsc::channel();
    let begin = move |_: &mut Obedient, ctx: &mut Context<Obedient>| tell.send(ctx.token()).unwrap();
    solo.addr.ask(order(begin)).await.unwrap();
    let token = tokens.recv().unwrap();
    let copy = token.child_token();
    copy.cancel();
    assert!(!token.is_cancelled());
    assert_eq!(solo.addr.ask(write("alive")).await, Ok(1));
    solo.supervisor.shutdown().await;
    assert!(token.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_busy_actor_lets_others_run() {
    let solo = Solo::start(Spec::new("a")).await;
    let begun = Instant::now();
    for _ in 0..1_000 {
        solo.addr.try_tell(write("work")).unwrap();
    }
    tokio::task::yield_now().await;
    assert!(solo.diary.lines().len() < 500, "it gave way after its share");
    assert_eq!(begun.elapsed(), millis(0));
}
