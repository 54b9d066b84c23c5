//! The clock of the requests stands while the importer is offline, and for the time in which nobody ran us.

use super::*;

/// A story in which one block is imported and the other bodies are with a peer.
fn importing_one(blocks: &[CertifiedHeader]) -> (Story, LeaseId, BatchId) {
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    story.serve_headers(blocks, 0);
    let (lease, _, ids) = story.bodies_asked().unwrap();
    story.send(Event::BodiesArrived { lease, bodies: vec![ArrivedBody { id: ids[0], bytes: 100 }] });
    story.send(Event::BodiesVerified { batch: BatchId(0), faults: vec![] });
    let (batch, headers) = story.import().unwrap();
    assert_eq!(headers.len(), 1);
    (story, lease, batch)
}

fn ticks(story: &mut Story, seconds: u64) -> Vec<Action> {
    (0..seconds)
        .flat_map(|_| {
            story.wait(1_000);
            story.out.clone()
        })
        .collect()
}

#[test]
fn while_the_importer_is_offline_no_request_times_out_and_nobody_is_blamed() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let (mut story, lease, batch) = importing_one(&blocks);
    let fault = Fault::Moment("the chain restarts".to_owned());
    let failure = ImportFailure { imported: 0, fault, tip: Tip::genesis(GENESIS.id) };
    story.send(Event::ImportFailed { batch, failure: failure.clone() });
    let mut seen = Vec::new();
    for _ in 0..30 {
        seen.extend(ticks(&mut story, 1));
        if let Some((batch, _)) = story.import() {
            story.send(Event::ImportFailed { batch, failure: failure.clone() });
            seen.extend(story.out.clone());
        }
    }
    assert!(!seen.contains(&Action::Cancel { lease }), "thirty seconds, and its deadline is two");
    assert!(!seen.iter().any(|a| matches!(a, Action::Observe { .. })));
    assert!(seen.iter().any(|a| matches!(
        a,
        Action::Report(Report::Stalled { waiting_for: WaitingFor::Importer { .. }, .. })
    )));
    assert!(!seen.iter().any(|a| matches!(a, Action::Report(Report::TargetDropped { .. }))));
    // It comes back, and the peer has the rest of its time.
    let batch = loop {
        if let Some((batch, _)) = story.import() {
            break batch;
        }
        story.wait(1_000);
    };
    story.send(Event::Imported { batch, tip: tip(&blocks[0], GENESIS), took: ImportTook::default() });
    assert!(!story.out.contains(&Action::Cancel { lease }));
    let seen = ticks(&mut story, 10);
    assert!(seen.contains(&Action::Cancel { lease }));
    assert!(seen.contains(&Action::Observe { peer: peer(1), what: Observation::TimedOut }));
}

#[test]
fn a_disk_that_stands_still_is_told_and_held_against_nobody() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let (mut story, _, batch) = importing_one(&blocks);
    let mut seen = ticks(&mut story, 10);
    seen.clear();
    story.connect(2, blocks.last().copied());
    seen.extend(ticks(&mut story, 60));
    assert!(!seen.iter().any(|a| matches!(a, Action::Observe { .. })));
    assert!(!seen.iter().any(|a| matches!(a, Action::Report(Report::TargetDropped { .. }))));
    let told =
        |a: &Action| matches!(a, Action::Report(Report::Stalled { waiting_for: WaitingFor::Import, .. }));
    assert!(seen.iter().any(told), "people are told that the import is waited for");
    assert_eq!(story.waiting_for(), WaitingFor::Import);
    story.send(Event::Imported { batch, tip: tip(&blocks[0], GENESIS), took: ImportTook::default() });
    assert!(!story.machine.clock_stands());
}

#[test]
fn a_process_that_was_stopped_finds_its_requests_as_it_left_them() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    let (lease, ..) = story.headers_asked().unwrap();
    story.wait(300_000);
    assert!(!story.out.contains(&Action::Cancel { lease }));
    assert!(story.out.contains(&Action::Report(Report::WasAway { away: Duration::from_secs(300) })));
    assert!(story.observed().is_empty());
    // What came meanwhile is taken, and measures nothing that it should not.
    story.send(Event::HeadersArrived { lease, headers: blocks, bytes: 1_000 });
    assert!(story.machine.peers[&peer(1)].link.rtt() < Duration::from_secs(1));
    assert!(story.out.iter().any(|a| matches!(a, Action::VerifyHeaders { .. })));
}

#[test]
fn after_it_the_same_silence_counts_as_ever() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    let (lease, ..) = story.headers_asked().unwrap();
    story.wait(300_000);
    let seen = ticks(&mut story, 3);
    assert!(seen.contains(&Action::Cancel { lease }));
    assert!(seen.contains(&Action::Observe { peer: peer(1), what: Observation::TimedOut }));
}

#[test]
fn an_absence_while_the_importer_is_offline_counts_once() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let (mut story, lease, batch) = importing_one(&blocks);
    let left = |story: &Story| story.machine.leases.get(lease).unwrap().deadline.since(story.now);
    story.wait(500);
    let fault = Fault::Moment("the chain restarts".to_owned());
    let before = left(&story);
    story.send(Event::ImportFailed {
        batch,
        failure: ImportFailure { imported: 0, fault, tip: Tip::genesis(GENESIS.id) },
    });
    story.wait(300_000);
    let (batch, _) = story.import().expect("it is tried again");
    story.send(Event::Imported { batch, tip: tip(&blocks[0], GENESIS), took: ImportTook::default() });
    assert!(!story.machine.clock_stands());
    assert_eq!(left(&story), before, "the rest of its time, and nothing besides");
}
