//! Lanes, overflow, asks.

use super::kit::*;
use crate::*;

#[tokio::test(start_paused = true)]
async fn an_actor_answers_and_remembers() {
    let solo = Solo::start(Spec::new("a")).await;
    assert_eq!(solo.addr.ask(write("one")).await, Ok(1));
    assert_eq!(solo.addr.ask(write("two")).await, Ok(2));
    assert_eq!(solo.diary.lines(), ["a 1 up", "one", "two"]);
    solo.supervisor.shutdown().await;
    assert_eq!(solo.addr.ask(write("three")).await, Err(AskError::Closed));
}

#[tokio::test(start_paused = true)]
async fn messages_sent_before_the_actor_exists_wait_for_it() {
    let diary = Diary::default();
    let (child, addr) = Spec::new("a").build(&diary);
    addr.try_tell(write("early")).unwrap();
    let supervisor = Supervisor::new(&Randomness::seeded(1)).child(child).start();
    assert_eq!(addr.ask(write("late")).await, Ok(2));
    assert_eq!(diary.lines(), ["a 1 up", "early", "late"]);
    supervisor.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_keeps_the_address_and_the_queue() {
    let mut solo = Solo::start(Spec::new("a")).await;
    solo.addr.try_tell(write("before")).unwrap();
    solo.addr.try_tell(Panic).unwrap();
    solo.addr.try_tell(write("behind")).unwrap();
    assert_eq!(solo.addr.ask(write("last")).await, Ok(3), "the seed survived, the queue as well");
    assert_eq!(solo.diary.lines(), ["a 1 up", "before", "a 2 up", "behind", "last"]);
    let (reason, message) = next_exit(&mut solo.events).await;
    assert_eq!(reason, ExitReason::Panicked("told to panic".into()));
    let crashed = message.expect("the message is named");
    assert_eq!((crashed.name, crashed.fate), ("panic", Fate::Lost));
}

/// Keeps the actor busy for a second, so that what follows queues up.
async fn busy(solo: &Solo) {
    solo.addr.try_tell(Sleep(secs(1))).unwrap();
    tokio::task::yield_now().await;
    assert_eq!(solo.status().mailbox.messages(), 0, "it is at work");
}

#[tokio::test(start_paused = true)]
async fn urgent_lanes_go_first_and_none_starves() {
    let solo = Solo::start(Spec::new("a")).await;
    busy(&solo).await;
    for _ in 0..2 {
        solo.addr.try_tell(write("normal")).unwrap();
    }
    for _ in 0..12 {
        solo.addr.try_tell(write("high").lane(Lane::High)).unwrap();
    }
    solo.addr.try_tell(write("control").lane(Lane::Control)).unwrap();
    let waiting = solo.status().mailbox;
    assert_eq!(waiting.lanes.map(|lane| lane.messages), [1, 12, 2]);
    assert_eq!(waiting.lanes.map(|lane| lane.bytes), [1, 12, 2]);
    assert_eq!(solo.addr.ask(write("last")).await, Ok(16));
    // The sleep had Normal's turn in the first round.
    let rounds =
        [["control"].as_slice(), &["high"; 4], &["high"; 4], &["normal"], &["high"; 4], &["normal", "last"]];
    assert_eq!(solo.diary.lines()[2..], rounds.concat());
}

#[tokio::test(start_paused = true)]
async fn senders_wait_for_room_in_their_order() {
    let solo = Solo::start(Spec::new("a").room(1)).await;
    busy(&solo).await;
    let names = ["one", "two", "three", "four"];
    let tells = names.map(|name| {
        let addr = solo.addr.clone();
        tokio::spawn(async move { addr.tell(write(name)).await })
    });
    tokio::task::yield_now().await;
    assert_eq!(solo.addr.try_tell(write("barging in")), Err(SendError::Full));
    assert_eq!(solo.addr.try_tell(write("huge").size(10_001)), Err(SendError::TooLarge));
    for tell in tells {
        assert_eq!(tell.await.unwrap(), Ok(()));
    }
    assert_eq!(solo.addr.ask(write("five")).await, Ok(5));
    assert_eq!(solo.diary.lines()[2..], ["one", "two", "three", "four", "five"]);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_gives_up_its_place_lets_the_next_one_in() {
    let solo = Solo::start(Spec::new("a").room(1)).await;
    busy(&solo).await;
    solo.addr.try_tell(write("one")).unwrap();
    let [gone, patient] = ["gone", "patient"].map(|name| {
        let addr = solo.addr.clone();
        tokio::spawn(async move { addr.tell(write(name)).await })
    });
    tokio::task::yield_now().await;
    gone.abort();
    assert_eq!(patient.await.unwrap(), Ok(()));
    assert_eq!(solo.addr.ask(write("last")).await, Ok(3));
    assert_eq!(solo.diary.lines()[2..], ["one", "patient", "last"]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_sender_hears_that_the_mailbox_has_closed() {
    let solo = Solo::start(Spec::new("a").room(1)).await;
    busy(&solo).await;
    solo.addr.try_tell(write("one")).unwrap();
    let waiting = ["two", "three"].map(|name| {
        let addr = solo.addr.clone();
        tokio::spawn(async move { addr.tell(write(name)).await })
    });
    tokio::task::yield_now().await;
    solo.supervisor.shutdown().await;
    for tell in waiting {
        assert_eq!(tell.await.unwrap(), Err(SendError::Closed));
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_lane_rejects_displaces_or_coalesces() {
    let solo = Solo::start(Spec::new("a").room(2)).await;
    busy(&solo).await;
    let displaced = tokio::spawn({
        let addr = solo.addr.clone();
        async move { addr.ask(write("old")).await }
    });
    tokio::task::yield_now().await;
    solo.addr.try_tell(write("first").overflow(Overflow::Coalesce(1))).unwrap();
    assert_eq!(solo.addr.try_tell(write("no").overflow(Overflow::Reject)), Err(SendError::Full));
    assert_eq!(solo.addr.tell(write("no").overflow(Overflow::Reject)).await, Err(SendError::Full));
    solo.addr.try_tell(write("second").overflow(Overflow::Coalesce(1))).unwrap();
    solo.addr.try_tell(write("new").overflow(Overflow::DropOldest)).unwrap();
    assert_eq!(displaced.await.unwrap(), Err(AskError::Displaced));
    assert_eq!(solo.addr.ask(write("last")).await, Ok(3));
    assert_eq!(solo.diary.lines()[2..], ["second", "new", "last"]);
    let seen = solo.status().mailbox;
    assert_eq!((seen.displaced, seen.refused, seen.delivered), (2, 2, 4));
}

#[tokio::test(start_paused = true)]
async fn an_ask_ends_in_time_and_is_skipped_when_its_turn_comes() {
    let solo = Solo::start(Spec::new("a")).await;
    busy(&solo).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(solo.addr.ask_within(write("late"), millis(300)).await, Err(AskError::Timeout));
    assert_eq!(begun.elapsed(), millis(300));
    assert_eq!(solo.addr.ask(write("in time")).await, Ok(1));
    assert_eq!(solo.diary.lines()[1..], ["slept", "in time"]);
    let seen = solo.status().mailbox;
    assert_eq!((seen.skipped, seen.longest_wait), (1, secs(1)));
}

#[tokio::test(start_paused = true)]
async fn the_default_timeout_holds_and_an_answer_is_as_late_as_its_handler() {
    let solo = Solo::start(Spec::new("a")).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(solo.addr.ask(Sleep(secs(6))).await, Err(AskError::Timeout));
    assert_eq!(begun.elapsed(), secs(5));
}

#[tokio::test(start_paused = true)]
async fn an_ask_waits_for_room_within_its_timeout() {
    let solo = Solo::start(Spec::new("a").room(1)).await;
    busy(&solo).await;
    solo.addr.try_tell(write("one")).unwrap();
    assert_eq!(solo.addr.ask_within(write("no room"), millis(300)).await, Err(AskError::Timeout));
    assert_eq!(solo.addr.ask_within(write("room"), secs(3)).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_ask_is_skipped() {
    let solo = Solo::start(Spec::new("a")).await;
    busy(&solo).await;
    let asker = tokio::spawn({
        let addr = solo.addr.clone();
        async move { addr.ask(write("abandoned")).await }
    });
    tokio::task::yield_now().await;
    asker.abort();
    assert_eq!(solo.addr.ask(write("wanted")).await, Ok(1));
    assert_eq!(solo.status().mailbox.skipped, 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_carries_its_correlation() {
    let solo = Solo::start(Spec::new("a")).await;
    let note = |actor: &mut Obedient, ctx: &mut Context<Obedient>| {
        actor.diary.write(ctx.correlation().map_or("none".into(), |it| it.to_string()));
    };
    solo.addr.ask(order(note)).await.unwrap();
    solo.addr.ask(order(note)).await.unwrap();
    let chain = Correlation { mailbox: "elsewhere", number: 7 };
    solo.addr.correlated(chain).clone().ask(order(note)).await.unwrap();
    assert_eq!(solo.diary.lines()[1..], ["a#0", "a#1", "elsewhere#7"]);
    assert_eq!(format!("{:?}", solo.addr), "Addr(a)");
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_without_an_actor_closes_with_its_receiving_end() {
    let mailbox = Mailbox::<Obedient>::new("a", MailboxConfig::default());
    let addr = mailbox.addr();
    let ask = addr.ask(write("one"));
    let close = async {
        tokio::task::yield_now().await;
        drop(mailbox);
    };
    let (answer, ()) = tokio::join!(ask, close);
    assert_eq!(answer, Err(AskError::Closed));
    assert_eq!(addr.try_tell(write("two")), Err(SendError::Closed));
}

#[test]
fn every_refusal_of_a_message_is_a_refusal_of_an_ask() {
    let words = |why: SendError| (why.to_string(), AskError::from(why).to_string());
    for why in [SendError::Full, SendError::TooLarge, SendError::Closed] {
        let (tell, ask) = words(why);
        assert_eq!(tell, ask);
    }
}
