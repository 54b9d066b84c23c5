//! Commands, from the first to the last, and what is left when one ends the work.

use super::*;

#[test]
fn from_nothing_to_synced() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let last = *blocks.last().unwrap();
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    assert_eq!((story.mode(), story.waiting_for()), (Mode::Discovering, WaitingFor::Peers));
    story.connect(1, Some(last));
    assert_eq!(story.mode(), Mode::CatchingUp);
    assert_eq!(story.waiting_for(), WaitingFor::Headers { from: Height(1), peer: Some(peer(1)) });
    story.serve_headers(&blocks, 0);
    assert_eq!(story.waiting_for(), WaitingFor::Body { height: Height(1), peer: Some(peer(1)) });
    story.serve_bodies();
    let (batch, headers) = story.import().unwrap();
    assert_eq!(headers, blocks);
    assert_eq!(story.waiting_for(), WaitingFor::Import);
    let tip = tip(&last, BlockRef::of(&blocks[8]));
    story.send(Event::Imported { batch, tip, took: ImportTook::default() });
    assert_eq!((story.mode(), story.waiting_for()), (Mode::Synced, WaitingFor::Nothing));
    assert_eq!(story.machine.status(story.now).budget_used, 0);
    assert!(story.out.iter().any(|a| matches!(a, Action::Release { ids } if ids.len() == 10)));
}

#[test]
fn commands_that_make_no_sense_are_refused() {
    let mut story = Story::at(Tip::genesis(GENESIS.id));
    for event in [Event::Stop, Event::Pause, Event::Resume] {
        story.send(event.clone());
        assert!(story.refused(), "{event:?}");
    }
    story.start(None);
    assert!(!story.refused());
    story.start(None);
    assert!(story.refused());
    story.send(Event::Resume);
    assert!(story.refused());
    let blocks = chain(GENESIS, 1..=5, 1);
    let mut story = Story::at(tip(&blocks[4], GENESIS));
    story.start(Some(Height(4)));
    assert!(story.refused() && story.mode() == Mode::Idle);
}

#[test]
fn pause_cancels_and_resume_goes_on() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    let (lease, ..) = story.headers_asked().unwrap();
    story.send(Event::Pause);
    assert!(story.out.contains(&Action::Cancel { lease }));
    assert_eq!(story.waiting_for(), WaitingFor::Resume);
    story.wait(1000);
    assert!(story.out.is_empty(), "nothing is asked while paused");
    let gate = story.machine.may_produce(story.now, story.slot, None);
    assert!(gate.missing().any(|c| c.value == "paused"));
    story.send(Event::Resume);
    assert!(story.headers_asked().is_some());
}

#[test]
fn stop_gives_everything_back_and_late_answers_find_nothing() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    story.serve_headers(&blocks, 0);
    let (lease, _, ids) = story.bodies_asked().unwrap();
    let body = ArrivedBody { id: ids[0], bytes: 100 };
    story.send(Event::BodiesArrived { lease, bodies: vec![body] });
    story.send(Event::Stop);
    assert!(story.out.contains(&Action::Cancel { lease }));
    assert!(story.out.contains(&Action::Release { ids: vec![ids[0]] }));
    let status = story.machine.status(story.now);
    assert_eq!((status.mode, status.budget_used, status.leases), (Mode::Idle, 0, 0));
    assert_eq!(status.waiting_for, WaitingFor::Start);

    story.send(Event::BodiesArrived { lease, bodies: vec![ArrivedBody { id: ids[1], bytes: 9 }] });
    assert_eq!(story.out, [Action::Release { ids: vec![ids[1]] }], "a late body is let go");
    let verdict = HeaderVerdict { valid: 10, held: 0, fault: None };
    story.send(Event::HeadersVerified { lease, verdict });
    story.send(Event::BodiesVerified { batch: BatchId(77), faults: vec![] });
    story.send(Event::LeaseEnded { lease, end: LeaseEnd::TimedOut });
    story.send(Event::LeaseProgress { lease });
    story.send(Event::HeadersArrived { lease, headers: blocks, bytes: 1 });
    assert!(story.out.is_empty());
}

#[test]
fn it_stops_by_itself_at_the_height_that_was_asked_for() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::at(Tip::genesis(GENESIS.id));
    story.start(Some(Height(4)));
    story.connect(1, blocks.last().copied());
    assert_eq!(story.headers_asked().map(|asked| asked.3), Some(4));
    story.serve_headers(&blocks, 0);
    story.serve_bodies();
    let (batch, headers) = story.import().unwrap();
    assert_eq!(headers.len(), 4);
    story.send(Event::Imported { batch, tip: tip(&blocks[3], GENESIS), took: ImportTook::default() });
    assert!(story.out.contains(&Action::Report(Report::Finished { at: Height(4) })));
    assert_eq!(story.mode(), Mode::Idle);
}

#[test]
fn the_rate_gives_an_estimate() {
    let blocks = chain(GENESIS, 1..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    story.wait(1000);
    story.send(Event::TipChanged(tip(&blocks[49], GENESIS)));
    story.wait(1000);
    let status = story.machine.status(story.now);
    assert_eq!(status.blocks_per_second, 25);
    assert_eq!(status.eta, Some(Duration::from_secs(2)));
}
