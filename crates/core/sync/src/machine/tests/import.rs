//! Verification and import that fail, or do not answer.

use alys_chain::Body;

use super::*;

/// A story in which all bodies of `blocks` are being imported.
fn importing(blocks: &[CertifiedHeader]) -> (Story, BatchId) {
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    story.serve_headers(blocks, 0);
    story.serve_bodies();
    let (batch, _) = story.import().unwrap();
    (story, batch)
}

#[test]
fn a_full_disk_blames_nobody_and_the_rest_is_tried_again() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let (mut story, mut batch) = importing(&blocks);
    let mut imported = 3;
    let mut pause = 500;
    for attempt in 1..=6 {
        let fault = Fault::Ours("the disk is full".to_owned());
        let failure = ImportFailure { imported, fault, tip: tip(&blocks[2], GENESIS) };
        story.send(Event::ImportFailed { batch, failure });
        assert!(story.observed().is_empty() && story.import().is_none());
        assert_eq!(story.waiting_for(), WaitingFor::Importer { reason: "the disk is full".to_owned() });
        assert_eq!(story.mode(), if attempt < 6 { Mode::CatchingUp } else { Mode::Failed });
        story.wait(pause);
        let (again, headers) = story.import().expect("it is tried again");
        assert_eq!(headers, blocks[3..], "the same blocks");
        (batch, imported) = (again, 0);
        pause = (pause * 2).min(10_000);
    }
    let gate = story.machine.may_produce(story.now, story.slot, None);
    assert!(gate.missing().any(|c| c.name == crate::gate::ConditionName::Import));
    assert!(gate.missing().any(|c| c.value == "failed"));
    story.send(Event::Imported { batch, tip: tip(&blocks[9], GENESIS), took: ImportTook::default() });
    assert!(story.out.contains(&Action::Report(Report::ImportRecovered { attempts: 6 })));
    assert_ne!(story.mode(), Mode::Failed);
}

#[test]
fn a_disk_that_has_room_again_shows_it_also_by_blocks_that_gossip_brought() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let (mut story, batch) = importing(&blocks);
    let fault = Fault::Moment("the disk is full".to_owned());
    story.send(Event::ImportFailed {
        batch,
        failure: ImportFailure { imported: 0, fault, tip: Tip::genesis(GENESIS.id) },
    });
    let closed = |story: &Story| {
        let gate = story.machine.may_produce(story.now, story.slot, None);
        gate.missing().any(|c| c.name == crate::gate::ConditionName::Import)
    };
    assert!(closed(&story));
    story.send(Event::TipChanged(tip(&blocks[9], BlockRef::of(&blocks[8]))));
    assert!(story.out.contains(&Action::Report(Report::ImportRecovered { attempts: 1 })));
    assert!(!closed(&story), "there is nothing left to import, so it could never be shown otherwise");
}

#[test]
fn a_body_that_the_importer_proves_wrong_is_fetched_from_another() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let (mut story, batch) = importing(&blocks);
    story.connect(2, blocks.last().copied());
    let failure =
        ImportFailure { imported: 2, fault: Fault::Peer(Offence::BadBody), tip: tip(&blocks[1], GENESIS) };
    story.send(Event::ImportFailed { batch, failure });
    assert_eq!(story.observed(), [(peer(1), Observation::Offence(Offence::BadBody))]);
    let (_, from, ids) = story.bodies_asked().unwrap();
    assert_eq!((from, ids), (peer(2), vec![blocks[2].certificate.block]));
}

#[test]
fn a_verdict_that_never_comes_is_asked_for_again() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    let (lease, ..) = story.headers_asked().unwrap();
    story.send(Event::HeadersArrived { lease, headers: blocks.clone(), bytes: 1000 });
    assert_eq!(story.waiting_for(), WaitingFor::Verification);
    (0..30).for_each(|_| story.wait(1_000));
    story.serve_headers(&blocks, 0);
    let (lease, _, ids) = story.bodies_asked().unwrap();
    let count = ids.len();
    let bodies = ids.into_iter().map(|id| ArrivedBody { id, bytes: 100 }).collect();
    story.send(Event::BodiesArrived { lease, bodies });
    assert_eq!(story.waiting_for(), WaitingFor::Verification);
    (0..30).for_each(|_| story.wait(1_000));
    let verify = |a: &Action| matches!(a, Action::VerifyBodies { headers, .. } if headers.len() == count);
    assert!(story.out.iter().any(verify));
}

#[test]
fn bodies_that_we_could_not_verify_are_verified_again() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    story.serve_headers(&blocks, 0);
    let (lease, _, ids) = story.bodies_asked().unwrap();
    let first = ids[0];
    let bodies = ids.into_iter().map(|id| ArrivedBody { id, bytes: 100 }).collect();
    story.send(Event::BodiesArrived { lease, bodies });
    let batch = BatchId(0);
    let faults = vec![(first, Fault::Ours("a worker died".to_owned()))];
    story.send(Event::BodiesVerified { batch, faults });
    assert!(story.observed().is_empty());
    story.wait(1000);
    let verify = |a: &Action| matches!(a, Action::VerifyBodies { headers, .. } if headers.len() == 1);
    assert!(story.out.iter().any(verify));
}

/// The blocks at these heights are empty: for the machine a block is what its certificate names.
fn emptied(mut blocks: Vec<CertifiedHeader>, heights: &[u64]) -> Vec<CertifiedHeader> {
    for block in blocks.iter_mut().filter(|block| heights.contains(&block.header.height.0)) {
        block.header.body_root = Body::empty_root();
    }
    blocks
}

fn heights(headers: &[CertifiedHeader]) -> Vec<u64> {
    headers.iter().map(|header| header.header.height.0).collect()
}

#[test]
fn nobody_is_asked_for_the_bodies_of_empty_blocks() {
    let blocks = emptied(chain(GENESIS, 91..=100, 1), &[1, 2, 3, 5, 6, 9, 10]);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    story.serve_headers(&blocks, 0);
    let (batch, first) = story.import().expect("the first three are all that they will be");
    assert_eq!(heights(&first), [1, 2, 3]);
    let (lease, _, ids) = story.bodies_asked().unwrap();
    let id = |height: usize| blocks[height - 1].certificate.block;
    assert_eq!(ids, [id(4), id(7), id(8)], "one request, whatever is between them");
    let bodies = [4, 7, 8].map(|height| ArrivedBody { id: id(height), bytes: 100 }).to_vec();
    story.send(Event::BodiesArrived { lease, bodies });
    story.send(Event::BodiesVerified { batch: BatchId(1), faults: vec![] });
    story.send(Event::Imported { batch, tip: tip(&blocks[2], GENESIS), took: ImportTook::default() });
    let (_, rest) = story.import().unwrap();
    assert_eq!(heights(&rest), [4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(story.waiting_for(), WaitingFor::Import);
}

#[test]
fn empty_blocks_of_a_dead_branch_are_forgotten_with_it() {
    let (dead, live) = (emptied(chain(GENESIS, 81..=84, 1), &[1, 2, 3, 4]), chain(GENESIS, 91..=100, 2));
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, dead.last().copied());
    story.serve_headers(&dead, 0);
    let (batch, _) = story.import().unwrap();
    let fault = Fault::Moment("it stops here".to_owned());
    story.send(Event::ImportFailed {
        batch,
        failure: ImportFailure { imported: 0, fault, tip: Tip::genesis(GENESIS.id) },
    });
    story.send(Event::Stop);
    story.send(Event::PeerDisconnected { peer: peer(1) });
    story.start(None);
    story.connect(2, live.last().copied());
    story.serve_headers(&live, 0);
    let (_, _, ids) = story.bodies_asked().expect("these are not empty");
    assert_eq!(ids.len(), live.len());
}

#[test]
fn large_bodies_are_verified_some_megabytes_at_a_time_and_not_far_ahead_of_the_import() {
    let blocks = chain(GENESIS, 1..=60, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    story.serve_headers(&blocks, 0);
    let mut imported = 0;
    let mut actions = std::collections::VecDeque::from(std::mem::take(&mut story.out));
    while let Some(action) = actions.pop_front() {
        match action {
            Action::RequestBodies { lease, ids, .. } => {
                let bodies = ids.into_iter().map(|id| ArrivedBody { id, bytes: 1 << 20 }).collect();
                story.send(Event::BodiesArrived { lease, bodies });
            }
            Action::VerifyBodies { batch, headers } => {
                assert!(headers.len() <= 4, "{} MiB at once", headers.len());
                assert!(headers.last().unwrap().header.height.0 <= imported + 33);
                story.send(Event::BodiesVerified { batch, faults: vec![] });
            }
            Action::Import { batch, headers } => {
                imported += headers.len() as u64;
                let tip = tip(headers.last().unwrap(), GENESIS);
                story.send(Event::Imported { batch, tip, took: ImportTook::default() });
            }
            _ => continue,
        }
        actions.extend(std::mem::take(&mut story.out));
    }
    assert_eq!(imported, blocks.len() as u64);
}

#[test]
fn the_skeleton_runs_twice_as_far_ahead_as_bodies_and_in_whole_requests() {
    let blocks = emptied(chain(GENESIS, 1..=3_000, 1), &(1..=64).collect::<Vec<_>>());
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.slot = Slot(4_000);
    story.wait(0);
    story.connect(1, blocks.get(63).copied());
    story.serve_headers(&blocks, 0);
    let (batch, first) = story.import().unwrap();
    let took = ImportTook { execute: Duration::from_secs(1), ..ImportTook::default() };
    story.send(Event::Imported { batch, tip: tip(first.last().unwrap(), GENESIS), took });
    story.send(Event::PeerStatus { peer: peer(1), head: blocks.last().copied(), earliest: Height(0) });
    let mut asked = Vec::new();
    let mut actions = std::collections::VecDeque::from(std::mem::take(&mut story.out));
    while let Some(action) = actions.pop_front() {
        let Action::RequestHeaders { lease, from, count, .. } = action else { continue };
        asked.push((from.0, count.get()));
        let asked_for = from.0..from.0 + u64::from(count.get());
        let headers = blocks.iter().filter(|block| asked_for.contains(&block.header.height.0)).copied();
        let headers: Vec<_> = headers.collect();
        let verdict = HeaderVerdict { valid: headers.len(), held: 0, fault: None };
        story.send(Event::HeadersArrived { lease, headers, bytes: 1_000 });
        actions.extend(std::mem::take(&mut story.out));
        story.send(Event::HeadersVerified { lease, verdict });
        actions.extend(std::mem::take(&mut story.out));
    }
    assert_eq!(
        asked,
        [(65, 512), (577, 512), (1_089, 512), (1_601, 512), (2_113, 448)],
        "up to 64 and twice 1,024, and on"
    );
}
