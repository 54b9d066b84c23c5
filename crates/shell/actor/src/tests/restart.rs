//! Crashes and what follows them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::kit::*;
use crate::*;

fn restarting(event: &Event) -> Option<Duration> {
    match event {
        Event::Restarting { after, .. } => Some(*after),
        _ => None,
    }
}

fn escalated(event: &Event) -> Option<ExitReason> {
    match event {
        Event::Escalated { reason, .. } => Some(reason.clone()),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_may_be_retried_survives_one_crash() {
    let mut solo = Solo::start(Spec::new("a")).await;
    assert_eq!(solo.addr.ask(PanicTwice::times(1)).await, Ok("survived"));
    let (_, message) = next_exit(&mut solo.events).await;
    assert_eq!(message.map(|it| it.fate), Some(Fate::Redelivered));
    assert_eq!(solo.status().mailbox.quarantined, 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_crashes_its_handler_twice_is_quarantined_and_the_rest_goes_on() {
    let mut solo = Solo::start(Spec::new("a")).await;
    let ask = solo.addr.ask(PanicTwice::times(9));
    let behind = async { solo.addr.ask(write("behind")).await };
    let (answer, count) = tokio::join!(ask, behind);
    assert_eq!((answer, count), (Err(AskError::Quarantined), Ok(1)));
    let mut fates = Vec::new();
    for _ in 0..2 {
        fates.push(next_exit(&mut solo.events).await.1.map(|it| it.fate));
    }
    assert_eq!(fates, [Some(Fate::Redelivered), Some(Fate::Quarantined)]);
    assert_eq!(solo.status().mailbox.quarantined, 1);
}

#[tokio::test(start_paused = true)]
async fn an_asker_hears_that_the_handler_crashed() {
    let solo = Solo::start(Spec::new("a")).await;
    assert_eq!(solo.addr.ask(Panic).await, Err(AskError::Crashed));
}

#[tokio::test(start_paused = true)]
async fn the_back_off_grows_until_the_child_is_given_up() {
    let mut solo = Solo::start(Spec::new("a")).await;
    solo.addr.try_tell(write("kept")).unwrap();
    for _ in 0..11 {
        solo.addr.try_tell(Panic).unwrap();
    }
    solo.addr.try_tell(write("queued")).unwrap();
    for full in [0, 50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
        let pause = next(&mut solo.events, restarting).await;
        assert!(pause <= millis(full) && pause >= millis(full) * 3 / 4, "{pause:?} for {full} ms");
    }
    let reason = next(&mut solo.events, escalated).await;
    assert_eq!(reason, ExitReason::Panicked("told to panic".into()));
    let status = solo.status();
    assert_eq!((status.state, status.incarnation), (ActorState::Failed, 11));
    assert_eq!(status.restarts, BTreeMap::from([("panicked", 10)]));
    assert_eq!(status.mailbox.messages(), 1, "what was queued is kept");
    assert_eq!(solo.addr.ask(write("shut")).await, Err(AskError::Closed));

    solo.supervisor.restart("a").await.unwrap();
    next(&mut solo.events, |event| matches!(event, Event::Started { .. }).then_some(())).await;
    assert_eq!(solo.addr.ask(write("open")).await, Ok(3), "and handled when somebody brings the child back");
}

#[tokio::test(start_paused = true)]
async fn crashes_far_apart_are_borne_for_ever() {
    let mut solo = Solo::start(Spec::new("a")).await;
    for _ in 0..30 {
        solo.addr.try_tell(Panic).unwrap();
        assert_eq!(next(&mut solo.events, restarting).await, Duration::ZERO);
        sleep(secs(61)).await;
    }
    assert_eq!(solo.status().restarts["panicked"], 30);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_panics_or_hangs_is_a_crash() {
    let habits = Habits { start_panics: vec![1], start_fails: vec![2], ..Habits::default() };
    let mut solo = Solo::begin(Spec::new("a").habits(habits));
    assert_eq!(solo.addr.ask(write("patient")).await, Ok(1));
    let panicked = ExitReason::Panicked("told to panic at the start".into());
    assert_eq!(next_exit(&mut solo.events).await, (panicked, None));
    assert_eq!(
        next_exit(&mut solo.events).await,
        (ExitReason::StartFailed("told to fail at the start".into()), None)
    );
    assert_eq!(solo.status().incarnation, 3);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_takes_too_long_is_cut_short() {
    let habits = Habits { start_takes: secs(60), ..Habits::default() };
    let spec = Spec::new("a").habits(habits).policy(|policy| {
        policy.start_timeout = secs(3);
        policy.intensity.restarts = 1;
    });
    let mut solo = Solo::begin(spec);
    let begun = Instant::now();
    assert_eq!(next_exit(&mut solo.events).await.0, ExitReason::StartTimeout);
    assert_eq!(begun.elapsed(), secs(3));
    assert_eq!(next(&mut solo.events, escalated).await, ExitReason::StartTimeout);
    assert_eq!(begun.elapsed(), secs(6));
    solo.supervisor.running().await;
    assert_eq!(
        solo.status().state,
        ActorState::Failed,
        "given up counts as started, so that the embedder can decide"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stuck_handler_is_reported_then_aborted() {
    let mut solo = Solo::start(Spec::new("a")).await;
    let asker = tokio::spawn({
        let addr = solo.addr.clone();
        async move { addr.ask_within(Sleep(secs(3_600)), secs(60)).await }
    });
    tokio::task::yield_now().await;
    solo.addr.try_tell(write("behind")).unwrap();
    let stuck = |event: &Event| match event {
        Event::Stuck { message, since, .. } => Some((*message, *since)),
        _ => None,
    };
    let (message, since) = next(&mut solo.events, stuck).await;
    assert_eq!(message, "sleep");
    assert!(since >= secs(10) && since <= millis(10_500), "{since:?}");
    let (reason, crashed) = next_exit(&mut solo.events).await;
    assert_eq!((reason, crashed.map(|it| it.fate)), (ExitReason::Stuck, Some(Fate::Lost)));
    assert_eq!(asker.await.unwrap(), Err(AskError::Crashed));
    sleep(secs(1)).await;
    assert_eq!(solo.diary.lines(), ["a 1 up", "a 2 up", "behind"]);
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_told_of_once_until_it_is_gone() {
    let mut solo = Solo::start(Spec::new("a")).await;
    let backlog = |event: &Event| match event {
        Event::Backlog { messages, .. } => Some(*messages),
        _ => None,
    };
    for _ in 0..2 {
        solo.addr.try_tell(Sleep(secs(8))).unwrap();
        tokio::task::yield_now().await;
        solo.addr.try_tell(write("late")).unwrap();
        sleep(secs(10)).await;
    }
    assert_eq!(next(&mut solo.events, backlog).await, 1);
    assert_eq!(next(&mut solo.events, backlog).await, 1);
    assert!(solo.events.try_recv().is_err());
}

struct Three {
    diary: Diary,
    addrs: [Addr<Obedient>; 3],
    supervisor: SupervisorHandle,
}

/// Three children; a crash of the elder takes the younger ones with it.
async fn three(change: impl Fn(Spec) -> Spec) -> Three {
    let diary = Diary::default();
    let specs = ["a", "b", "c"].map(|name| {
        let rest = if name == "c" { Strategy::OneForOne } else { Strategy::RestForOne };
        change(Spec::new(name).policy(|policy| policy.strategy = rest)).build(&diary)
    });
    let mut supervisor = Supervisor::new(&Randomness::seeded(1));
    let addrs = specs.map(|(child, addr)| {
        let empty = Supervisor::new(&Randomness::seeded(1));
        supervisor = std::mem::replace(&mut supervisor, empty).child(child);
        addr
    });
    let supervisor = supervisor.start();
    supervisor.running().await;
    assert_eq!(diary.take(), ["a 1 up", "b 1 up", "c 1 up"]);
    Three { diary, addrs, supervisor }
}

#[tokio::test(start_paused = true)]
async fn children_start_in_order_and_stop_in_reverse() {
    let slow = Habits { start_takes: secs(1), stop_takes: secs(1), ..Habits::default() };
    let three = three(|spec| spec.habits(slow.clone())).await;
    let mut events = three.supervisor.events();
    three.supervisor.shutdown().await;
    assert_eq!(three.diary.take(), ["c 1 down", "b 1 down", "a 1 down"]);
    next(&mut events, |event| matches!(event, Event::Stopped).then_some(())).await;
    assert!(three.supervisor.status().iter().all(|child| child.state == ActorState::Stopped));
    three.supervisor.shutdown().await;
    three.supervisor.restart("a").await.unwrap();
    assert_eq!(three.supervisor.restart("z").await, Err(UnknownActor("z".into())));
}

#[tokio::test(start_paused = true)]
async fn a_younger_child_crashes_alone() {
    let three = three(|spec| spec).await;
    three.addrs[2].try_tell(Panic).unwrap();
    sleep(secs(1)).await;
    assert_eq!(three.diary.take(), ["c 2 up"]);
}

#[tokio::test(start_paused = true)]
async fn those_that_live_on_an_elders_state_are_restarted_after_it_in_order() {
    let three = three(|spec| spec).await;
    three.addrs[2].try_tell(write("for c")).unwrap();
    three.addrs[0].try_tell(Panic).unwrap();
    sleep(secs(1)).await;
    assert_eq!(three.diary.take(), ["for c", "c 1 down", "b 1 down", "a 2 up", "b 2 up", "c 2 up"]);
    let restarts: Vec<_> = three.supervisor.status().into_iter().map(|child| child.restarts).collect();
    let once = |reason| BTreeMap::from([(reason, 1)]);
    assert_eq!(restarts, [once("panicked"), once("elder"), once("elder")]);
}

#[tokio::test(start_paused = true)]
async fn a_requested_restart_takes_the_younger_along() {
    let three = three(|spec| spec).await;
    three.supervisor.restart("b").await.unwrap();
    sleep(secs(1)).await;
    assert_eq!(three.diary.take(), ["c 1 down", "b 1 down", "b 2 up", "c 2 up"]);
    assert_eq!(three.supervisor.status()[1].restarts, BTreeMap::from([("requested", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_crash_during_a_restart_only_widens_it() {
    let slow = Habits { stop_takes: secs(2), ..Habits::default() };
    let three = three(|spec| spec.habits(slow.clone())).await;
    three.addrs[1].try_tell(Panic).unwrap();
    sleep(secs(1)).await;
    // c is stopping for b's sake when a crashes as well.
    three.addrs[0].try_tell(Panic).unwrap();
    sleep(secs(10)).await;
    assert_eq!(three.diary.take(), ["c 1 down", "a 2 up", "b 2 up", "c 2 up"], "each was restarted once");
}

#[tokio::test(start_paused = true)]
async fn a_crash_while_waiting_to_be_stopped_is_the_same_restart() {
    let slow = Habits { stop_takes: secs(2), ..Habits::default() };
    let three = three(|spec| spec.habits(slow.clone())).await;
    three.addrs[0].try_tell(Panic).unwrap();
    sleep(secs(1)).await;
    // c is stopping, b waits for its turn, and does not live to see it.
    three.addrs[1].try_tell(Panic).unwrap();
    sleep(secs(10)).await;
    assert_eq!(three.diary.take(), ["c 1 down", "a 2 up", "b 2 up", "c 2 up"]);
}

#[tokio::test(start_paused = true)]
async fn the_younger_wait_for_an_elder_that_cannot_start() {
    let fails = Habits { start_fails: vec![2, 3, 4], ..Habits::default() };
    let habits = move |spec: Spec| if spec.name == "a" { spec.habits(fails.clone()) } else { spec };
    let three = three(habits).await;
    three.addrs[0].try_tell(Panic).unwrap();
    sleep(secs(10)).await;
    assert_eq!(three.diary.take(), ["c 1 down", "b 1 down", "a 5 up", "b 2 up", "c 2 up"]);
}

#[tokio::test(start_paused = true)]
async fn the_younger_stay_down_while_the_elder_is_given_up() {
    let fails = Habits { start_fails: vec![2], ..Habits::default() };
    let change = move |spec: Spec| {
        let only = |policy: &mut ChildPolicy| policy.intensity.restarts = 1;
        if spec.name == "a" { spec.habits(fails.clone()).policy(only) } else { spec }
    };
    let three = three(change).await;
    three.addrs[0].try_tell(Panic).unwrap();
    sleep(secs(10)).await;
    let states: Vec<_> = three.supervisor.status().into_iter().map(|child| child.state.label()).collect();
    assert_eq!(states, ["failed", "waiting", "waiting"]);
    assert_eq!(three.diary.take(), ["c 1 down", "b 1 down"]);
    three.supervisor.restart("a").await.unwrap();
    sleep(secs(1)).await;
    assert_eq!(three.diary.take(), ["a 3 up", "b 2 up", "c 2 up"]);
}
