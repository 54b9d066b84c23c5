//! Stories of the machine, event by event. The random ones are in `tests/sync_world.rs`.

use core::time::Duration;

use alys_chain::{AuthorityIndex, BlockRef, Certificate, Hash, Header, SetId, SetQuorum};
use alys_peers::{Observation, Offence};

use super::*;
use crate::blame::Fault;
use crate::event::{ArrivedBody, HeaderVerdict, ImportFailure, ImportTook, LeaseEnd};
use crate::status::WaitingFor;

const GENESIS: BlockRef = BlockRef::genesis(BlockId([0; 32]));

fn peer(n: u8) -> PeerId {
    PeerId::from_bytes(&[n]).unwrap()
}

fn child(parent: BlockRef, slot: u64, tag: u8) -> CertifiedHeader {
    let header = Header {
        height: parent.height.next().unwrap(),
        slot: Slot(slot),
        parent: parent.id,
        body_root: Hash([tag; 32]),
        state_root: Hash::default(),
        proposer: AuthorityIndex(0),
    };
    let quorum = SetQuorum { set: SetId(0), signers: 1, signature: [0; 48] };
    let certificate =
        Certificate { slot: header.slot, height: header.height, block: header.id(), quorum, joint: None };
    CertifiedHeader { header, certificate }
}

fn chain(base: BlockRef, slots: core::ops::RangeInclusive<u64>, tag: u8) -> Vec<CertifiedHeader> {
    let mut parent = base;
    slots
        .map(|slot| {
            let header = child(parent, slot, tag);
            parent = BlockRef::of(&header);
            header
        })
        .collect()
}

/// A machine with a clock, and the actions that it wants.
struct Story {
    machine: SyncMachine,
    now: Moment,
    slot: Slot,
    out: Vec<Action>,
}

impl Story {
    /// At slot 100, with this on disk, not started.
    fn at(tip: Tip) -> Self {
        let machine = SyncMachine::new(Config::default(), tip);
        let mut story =
            Self { machine, now: Moment(Duration::from_secs(1000)), slot: Slot(100), out: Vec::new() };
        story.send(Event::FederationChanged(Federation::new(5, true)));
        story.wait(0);
        story
    }

    fn started(tip: Tip) -> Self {
        let mut story = Self::at(tip);
        story.start(None);
        story
    }

    fn start(&mut self, until: Option<Height>) {
        let tip = self.machine.tip();
        self.send(Event::Start(Start { tip, until, checkpoint: None }));
    }

    fn send(&mut self, event: Event) {
        self.out = self.machine.step(self.now, event);
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now.after(Duration::from_millis(millis));
        self.send(Event::Tick { slot: self.slot });
    }

    fn connect(&mut self, n: u8, head: Option<CertifiedHeader>) {
        self.send(Event::PeerConnected { peer: peer(n) });
        self.send(Event::PeerStatus { peer: peer(n), head, earliest: Height(0) });
    }

    fn headers_asked(&self) -> Option<(LeaseId, PeerId, Height, u32)> {
        self.out.iter().find_map(|a| match a {
            Action::RequestHeaders { lease, peer, from, count, .. } => {
                Some((*lease, *peer, *from, count.get()))
            }
            _ => None,
        })
    }

    fn bodies_asked(&self) -> Option<(LeaseId, PeerId, Vec<BlockId>)> {
        self.out.iter().find_map(|a| match a {
            Action::RequestBodies { lease, peer, ids, .. } => Some((*lease, *peer, ids.clone())),
            _ => None,
        })
    }

    fn import(&self) -> Option<(BatchId, Vec<CertifiedHeader>)> {
        self.out.iter().find_map(|a| match a {
            Action::Import { batch, headers } => Some((*batch, headers.clone())),
            _ => None,
        })
    }

    fn observed(&self) -> Vec<(PeerId, Observation)> {
        let seen = |a: &Action| match a {
            Action::Observe { peer, what } => Some((*peer, *what)),
            _ => None,
        };
        self.out.iter().filter_map(seen).collect()
    }

    fn refused(&self) -> bool {
        self.out.iter().any(|a| matches!(a, Action::Report(Report::Refused { .. })))
    }

    fn mode(&self) -> Mode {
        self.machine.status(self.now).mode
    }

    fn waiting_for(&self) -> WaitingFor {
        self.machine.status(self.now).waiting_for
    }

    /// Answers the open header request with these headers, all good; the first `held` are on our disk.
    fn serve_headers(&mut self, headers: &[CertifiedHeader], held: usize) {
        let (lease, _, from, count) = self.headers_asked().expect("headers are asked for");
        let part: Vec<_> = headers
            .iter()
            .filter(|h| h.header.height >= from && h.header.height.0 < from.0 + u64::from(count))
            .copied()
            .collect();
        let valid = part.len();
        self.send(Event::HeadersArrived { lease, headers: part, bytes: 1000 });
        self.send(Event::HeadersVerified { lease, verdict: HeaderVerdict { valid, held, fault: None } });
    }

    /// Answers the open body request in full, and says that all bodies are good.
    fn serve_bodies(&mut self) {
        let (lease, _, ids) = self.bodies_asked().expect("bodies are asked for");
        let bodies = ids.into_iter().map(|id| ArrivedBody { id, bytes: 100 }).collect();
        self.send(Event::BodiesArrived { lease, bodies });
        let batch = self.out.iter().find_map(|a| match a {
            Action::VerifyBodies { batch, .. } => Some(*batch),
            _ => None,
        });
        self.send(Event::BodiesVerified { batch: batch.expect("they are verified"), faults: vec![] });
    }
}

fn tip(head: &CertifiedHeader, finalized: BlockRef) -> Tip {
    Tip { head: BlockRef::of(head), finalized }
}

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
fn a_disconnect_ends_leases_at_once_and_their_range_goes_elsewhere() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    story.serve_headers(&blocks, 0);
    let (lease, first, ids) = story.bodies_asked().unwrap();
    story.connect(2, blocks.last().copied());
    story.send(Event::PeerDisconnected { peer: first });
    assert!(story.out.contains(&Action::Cancel { lease }));
    let (_, second, again) = story.bodies_asked().unwrap();
    assert_eq!((second, again), (peer(2), ids));
    assert!(story.observed().is_empty(), "nobody is blamed");
}

#[test]
fn a_silent_peer_loses_its_lease_and_the_next_one_gets_the_range() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    let (lease, ..) = story.headers_asked().unwrap();
    story.connect(2, blocks.last().copied());
    let deadline = story.machine.next_deadline(story.now).unwrap();
    assert!(deadline.since(story.now) <= Duration::from_secs(10));
    story.now = deadline;
    story.wait(0);
    assert!(story.out.contains(&Action::Cancel { lease }));
    assert_eq!(story.observed(), [(peer(1), Observation::TimedOut)]);
    assert_eq!(story.headers_asked().map(|asked| asked.1), Some(peer(2)));
}

#[test]
fn on_a_dead_branch_it_steps_back_to_the_final_block_and_skips_what_is_held() {
    let trunk = chain(GENESIS, 81..=90, 1);
    let fork = BlockRef::of(&trunk[7]);
    let theirs: Vec<_> = trunk[..8].iter().copied().chain(chain(fork, 92..=99, 2)).collect();
    // Ours: 10 blocks, final is the sixth. Theirs leaves at the eighth.
    let ours = tip(&trunk[9], BlockRef::of(&trunk[5]));
    let mut story = Story::started(ours);
    story.connect(1, theirs.last().copied());
    let (lease, _, from, _) = story.headers_asked().unwrap();
    assert_eq!(from, Height(11));
    // They stand on a block that is not here, so that nobody could say what their certificates are worth.
    story.send(Event::HeadersArrived { lease, headers: theirs[10..].to_vec(), bytes: 1000 });
    let stepped = Report::SteppedBack { head: ours.head, finalized: ours.finalized };
    assert!(story.out.contains(&Action::Report(stepped)));
    assert_eq!(story.headers_asked().map(|asked| (asked.2, asked.3)), Some((Height(7), 10)));
    story.serve_headers(&theirs, 2);
    let (_, _, ids) = story.bodies_asked().unwrap();
    assert_eq!(ids[0], theirs[8].certificate.block, "the two that are held are not fetched");
    assert_eq!(ids.len(), 8);
    story.serve_bodies();
    let (batch, headers) = story.import().unwrap();
    assert_eq!(headers[0].header.height, Height(9));
    story.send(Event::Imported {
        batch,
        tip: tip(theirs.last().unwrap(), BlockRef::of(&theirs[14])),
        took: ImportTook::default(),
    });
    assert_eq!(story.mode(), Mode::Synced);
}

#[test]
fn a_shorter_branch_of_a_higher_slot_is_better() {
    let trunk = chain(GENESIS, 81..=90, 1);
    let theirs: Vec<_> =
        trunk[..6].iter().copied().chain(chain(BlockRef::of(&trunk[5]), 98..=99, 2)).collect();
    let ours = tip(&trunk[9], BlockRef::of(&trunk[4]));
    let mut story = Story::started(ours);
    story.connect(1, theirs.last().copied());
    assert_ne!(story.mode(), Mode::Synced);
    assert_eq!(story.headers_asked().map(|asked| (asked.2, asked.3)), Some((Height(6), 3)));
    story.serve_headers(&theirs, 1);
    story.serve_bodies();
    let (batch, headers) = story.import().unwrap();
    assert_eq!(headers.iter().map(|h| h.header.height.0).collect::<Vec<_>>(), [7, 8]);
    story.send(Event::Imported {
        batch,
        tip: tip(&theirs[7], BlockRef::of(&theirs[6])),
        took: ImportTook::default(),
    });
    assert_eq!(story.mode(), Mode::Synced);
}

#[test]
fn never_below_finality() {
    let ours = chain(GENESIS, 81..=90, 1);
    let theirs = chain(GENESIS, 90..=100, 2);
    let head = BlockRef::of(&ours[9]);
    let mut story = Story::started(Tip { head, finalized: head });
    story.connect(1, theirs.last().copied());
    story.serve_headers(&theirs, 0);
    assert!(story.out.contains(&Action::Report(Report::Unlinked { height: Height(11) })));
    assert!(!story.out.iter().any(|a| matches!(a, Action::Report(Report::SteppedBack { .. }))));
    assert!(story.bodies_asked().is_none() && story.headers_asked().is_none(), "the server rests");
    assert_eq!(story.observed(), [], "certified on both sides: nobody is blamed");
}

#[test]
fn the_checkpoint_forbids_other_chains() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::at(Tip::genesis(GENESIS.id));
    let checkpoint = Some(BlockRef { id: BlockId([9; 32]), ..BlockRef::of(&blocks[4]) });
    story.send(Event::Start(Start { tip: Tip::genesis(GENESIS.id), until: None, checkpoint }));
    story.connect(1, blocks.last().copied());
    story.serve_headers(&blocks, 0);
    story.wait(1_000);
    assert_eq!(story.bodies_asked().map(|asked| asked.2.len()), Some(4), "only what is below it");
}

#[test]
fn bad_headers_cost_their_server_and_the_good_ones_stay() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    let (lease, ..) = story.headers_asked().unwrap();
    story.send(Event::HeadersArrived { lease, headers: blocks, bytes: 1000 });
    let fault = Some(Fault::Peer(Offence::BadCertificate));
    story.send(Event::HeadersVerified { lease, verdict: HeaderVerdict { valid: 3, held: 0, fault } });
    assert_eq!(story.observed(), [(peer(1), Observation::Offence(Offence::BadCertificate))]);
    assert_eq!(story.waiting_for(), WaitingFor::Body { height: Height(1), peer: None });
    story.wait(1000);
    assert_eq!(story.headers_asked().map(|asked| asked.2), Some(Height(4)));
    assert_eq!(
        story.bodies_asked(),
        None,
        "whoever has served nothing good since gets one request at a time"
    );
}

#[test]
fn whoever_has_served_no_body_yet_gets_one_request_for_bodies_at_a_time_and_after_three_in_vain_no_more() {
    no_more_than_three(&LeaseEnd::Served, 5);
}

#[test]
fn whoever_is_busy_whenever_it_wants_to_be_asked_is_asked_no_more_after_the_third_time() {
    no_more_than_three(&LeaseEnd::Refused { retry_after: Duration::from_millis(500) }, 1);
}

#[test]
fn refusals_of_requests_that_were_out_together_count_once() {
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    let blocks = chain(GENESIS, 1..=90, 1);
    story.connect(1, blocks.last().copied());
    let refused = LeaseEnd::Refused { retry_after: Duration::from_secs(1) };
    for strikes in 1..=2 {
        let (lease, ..) = story.headers_asked().unwrap();
        let twin = story.machine.leases.get(lease).cloned().unwrap();
        let twin = story.machine.leases.grant(twin);
        story.wait(100);
        story.send(Event::LeaseEnded { lease, end: refused.clone() });
        story.send(Event::LeaseEnded { lease: twin, end: refused.clone() });
        assert_eq!(story.machine.peers[&peer(1)].strikes(), strikes);
        story.wait(1_000);
    }
}

/// A peer that serves headers, and whose requests for bodies all end like this; it is looked at for a while after its rest is over.
fn no_more_than_three(end: &LeaseEnd, looks: usize) {
    let blocks = chain(GENESIS, 1..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    story.serve_headers(&blocks, 0);
    let asked_of_it = |story: &Story| {
        let of_it = |action: &Action| match action {
            Action::RequestBodies { lease, peer: of, .. } if *of == peer(1) => Some(*lease),
            _ => None,
        };
        story.out.iter().filter_map(of_it).collect::<Vec<_>>()
    };
    let mut leases = 0;
    while leases < 3 {
        match asked_of_it(&story)[..] {
            [lease] => {
                leases += 1;
                story.send(Event::LeaseEnded { lease, end: end.clone() });
            }
            [] => story.wait(1_000),
            _ => panic!("two at once"),
        }
    }
    // Somebody better can serve from now on.
    story.connect(2, blocks.last().copied());
    let (lease, better, _) = story.bodies_asked().unwrap();
    assert_eq!(better, peer(2));
    for _ in 0..looks {
        story.send(Event::LeaseProgress { lease });
        story.wait(900);
        assert!(asked_of_it(&story).is_empty(), "it is asked no more");
    }
}

#[test]
fn headers_of_other_heights_were_not_asked_for() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    let (lease, ..) = story.headers_asked().unwrap();
    story.send(Event::HeadersArrived { lease, headers: blocks[1..].to_vec(), bytes: 1000 });
    assert_eq!(story.observed(), [(peer(1), Observation::Offence(Offence::Unrequested))]);
}

#[test]
fn an_empty_answer_means_nothing() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    let (lease, ..) = story.headers_asked().unwrap();
    story.send(Event::HeadersArrived { lease, headers: vec![], bytes: 0 });
    assert_eq!(story.observed(), [(peer(1), Observation::Late)]);
    assert_eq!(story.mode(), Mode::CatchingUp);
    story.wait(1000);
    let (lease, ..) = story.headers_asked().unwrap();
    story.send(Event::LeaseEnded { lease, end: LeaseEnd::Served });
    assert_eq!(story.observed(), [(peer(1), Observation::Late)]);
}

#[test]
fn each_end_of_a_lease_has_its_verdict() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let retry_after = Duration::from_secs(5);
    let moment = Fault::Moment("reset".to_owned());
    let ours = Fault::Ours("queue full".to_owned());
    let cases = [
        (LeaseEnd::Refused { retry_after }, Some(Observation::Refused { retry_after }), 5000),
        (LeaseEnd::TimedOut, Some(Observation::TimedOut), 1000),
        (LeaseEnd::Failed(moment), Some(Observation::Unreachable), 1000),
        (LeaseEnd::Failed(ours), None, 1000),
        (
            LeaseEnd::Failed(Fault::Peer(Offence::Malformed)),
            Some(Observation::Offence(Offence::Malformed)),
            1000,
        ),
    ];
    for (end, expected, rest) in cases {
        let mut story = Story::started(Tip::genesis(GENESIS.id));
        story.connect(1, blocks.last().copied());
        let (lease, ..) = story.headers_asked().unwrap();
        story.send(Event::LeaseEnded { lease, end });
        assert_eq!(story.observed(), expected.map(|what| (peer(1), what)).into_iter().collect::<Vec<_>>());
        story.wait(rest - 1);
        assert_eq!(story.headers_asked(), None);
        story.wait(1);
        assert!(story.headers_asked().is_some(), "{expected:?}");
    }
}

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

#[test]
fn gossip_may_be_faster() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    story.serve_headers(&blocks, 0);
    let (lease, _, ids) = story.bodies_asked().unwrap();
    story.send(Event::TipChanged(tip(&blocks[4], GENESIS)));
    let bodies = ids.iter().map(|&id| ArrivedBody { id, bytes: 100 }).collect();
    story.send(Event::BodiesArrived { lease, bodies });
    let let_go: Vec<_> = story.out.iter().filter(|a| matches!(a, Action::Release { .. })).collect();
    assert_eq!(let_go.len(), 5, "those that are durable already");
    story.send(Event::TipChanged(tip(&blocks[9], BlockRef::of(&blocks[8]))));
    assert_eq!(story.mode(), Mode::Synced);
    assert_eq!(story.machine.status(story.now).budget_used, 0);
    // Beyond what the skeleton knows, and on.
    let more = chain(BlockRef::of(&blocks[9]), 101..=101, 1);
    story.send(Event::TipChanged(tip(&more[0], BlockRef::of(&blocks[9]))));
    assert_eq!(story.machine.tip().head.height, Height(11));
}

#[test]
fn when_another_branch_became_final_the_skeleton_is_dropped() {
    let dead = chain(GENESIS, 91..=95, 2);
    let live = chain(GENESIS, 96..=98, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, dead.last().copied());
    story.serve_headers(&dead, 0);
    let (lease, ..) = story.bodies_asked().unwrap();
    story.send(Event::TipChanged(tip(&live[1], BlockRef::of(&live[0]))));
    assert!(story.out.contains(&Action::Cancel { lease }));
    assert_eq!(story.machine.status(story.now).budget_used, 0);
}

#[test]
fn a_synced_node_leaves_the_next_block_to_gossip_for_a_moment() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(tip(&blocks[8], BlockRef::of(&blocks[7])));
    story.connect(1, Some(blocks[8]));
    assert_eq!(story.mode(), Mode::Synced);
    story.send(Event::PeerStatus { peer: peer(1), head: Some(blocks[9]), earliest: Height(0) });
    assert_eq!((story.mode(), story.headers_asked()), (Mode::Synced, None));
    story.wait(2_999);
    assert_eq!(story.headers_asked(), None);
    story.wait(1);
    assert_eq!(story.headers_asked().map(|asked| asked.2), Some(Height(10)));
}

#[test]
fn at_genesis_a_quorum_that_has_nothing_opens_the_gate() {
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    for n in 0..3 {
        assert!(!story.machine.may_produce(story.now, story.slot, None).open);
        story.connect(n + 1, None);
        story.send(Event::PeerIdentified { peer: peer(n + 1), authority: Some(AuthorityIndex(n)) });
    }
    let gate = story.machine.may_produce(story.now, story.slot, None);
    assert!(gate.open, "{gate}");
    assert_eq!(story.mode(), Mode::Synced);
    story.send(Event::PeerIdentified { peer: peer(1), authority: None });
    assert!(!story.machine.may_produce(story.now, story.slot, None).open);
    story.send(Event::FederationChanged(Federation::new(1, true)));
    assert!(story.machine.may_produce(story.now, story.slot, None).open, "alone");
    story.wait(5_000);
    assert!(!story.out.iter().any(|a| matches!(a, Action::AskReports { .. })), "nobody to ask");
}

#[test]
fn signed_reports_and_signs_of_life_count_for_the_gate() {
    let blocks = chain(GENESIS, 1..=10, 1);
    let mut story = Story::started(tip(&blocks[9], BlockRef::of(&blocks[8])));
    story.wait(1000);
    let round = story.out.iter().find_map(|a| match a {
        Action::AskReports { round } => Some(*round),
        _ => None,
    });
    let round = round.expect("the head is 90 slots old: authorities are asked");
    for n in 0..3 {
        story.send(Event::AuthorityReport { round, authority: AuthorityIndex(n), slot: Slot(10) });
    }
    assert!(story.machine.may_produce(story.now, story.slot, None).open);
    let status = story.machine.status(story.now);
    assert_eq!((status.mode, status.eta), (Mode::Synced, None));
    story.wait(16_000);
    assert!(
        !story.machine.may_produce(story.now, story.slot, None).open,
        "reports and signs of life grow old"
    );
    story.send(Event::AuthorityHeard { authority: AuthorityIndex(0) });
    let gate = story.machine.may_produce(story.now, story.slot, None);
    assert!(gate.conditions.iter().any(|c| c.value == "1 other authorities heard lately"));
}

#[test]
fn a_head_beyond_the_clock_is_no_target_and_no_word_about_genesis() {
    let blocks = chain(GENESIS, 191..=200, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    story.send(Event::PeerIdentified { peer: peer(1), authority: Some(AuthorityIndex(1)) });
    let status = story.machine.status(story.now);
    assert_eq!((status.target, status.mode), (None, Mode::Discovering));
    assert_eq!(status.waiting_for, WaitingFor::Proof);
    story.send(Event::PeerStatus { peer: peer(9), head: None, earliest: Height(0) });
    assert_eq!(story.machine.status(story.now).peers, 1, "a status of a stranger is ignored");
}

#[test]
fn when_all_peers_fall_silent_we_suspect_ourselves_and_keep_the_target() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    (1..=3).for_each(|n| story.connect(n, blocks.last().copied()));
    let mut suspected = false;
    for _ in 0..120 {
        story.wait(500);
        suspected |= story.out.contains(&Action::Report(Report::SuspectOurselves { suspect: true }));
    }
    assert!(suspected && story.machine.status(story.now).suspects_ourselves);
    assert_eq!(story.machine.status(story.now).target, Some(Height(10)));
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
