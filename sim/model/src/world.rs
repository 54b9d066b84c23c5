//! The events of a run, in order of their time.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alys_chain::{BlockId, BlockRef, CertifiedHeader, Height, Moment, Slot};
use alys_sync::{
    Action, ArrivedBody, BatchId, Config, Event, Fault, Federation, HeaderVerdict, ImportTook, LeaseEnd,
    LeaseId, Observation, Offence, Start, SyncMachine, Tip,
};
use alys_wire::PeerId;

use crate::chain::{Chain, GENESIS, child};
use crate::dice::Dice;
use crate::line::{HEADER_BYTES, Line, Load, STATUS_BYTES};
use crate::outcome::{self, Outcome, PeerOutcome};
use crate::pipeline::{self, Workers};
use crate::scenario::{Conduct, Scenario};
use crate::scheduler::Scheduler;

/// Points of misbehaviour that ban, as in the peer book.
const BAN_POINTS: u32 = 100;
/// How often a dripping peer sends its byte.
const DRIP_EVERY: Duration = Duration::from_secs(1);
/// A request without what it names, in bytes.
const REQUEST_BYTES: u64 = 64;
/// A block id in a request, in bytes.
const ID_BYTES: u64 = 32;
/// The slot length of the chain.
const SLOT: u64 = 2;

/// Plays a scenario with the sync of this project.
#[must_use]
pub fn play(scenario: &Scenario) -> Outcome {
    let config = Config { budget_bytes: scenario.budget_bytes, ..Config::default() };
    play_with(scenario, &mut SyncMachine::new(config, Tip::genesis(GENESIS.id)))
}

/// Plays a scenario with any scheduler.
#[must_use]
pub fn play_with(scenario: &Scenario, scheduler: &mut dyn Scheduler) -> Outcome {
    let mut world = World::new(scenario, scheduler);
    world.start();
    while !world.is_done() && world.now.0 < scenario.give_up_after && world.turn() {}
    world.outcome()
}

enum Happening {
    Event(Box<Event>),
    /// A request reaches its peer.
    Asked(usize, LeaseId, Load, Duration),
    /// A cancellation does.
    Dropped(usize, LeaseId),
    /// A line is free for its next piece.
    Free(usize),
    Imported(BatchId, Vec<CertifiedHeader>, Duration),
    Tick,
}

struct World<'a> {
    scenario: &'a Scenario,
    scheduler: &'a mut dyn Scheduler,
    now: Moment,
    dice: Dice,
    chain: Chain,
    names: Vec<PeerId>,
    places: BTreeMap<PeerId, usize>,
    lines: Vec<Line>,
    queue: BTreeMap<(Moment, u64), Happening>,
    sequence: u64,
    open: BTreeMap<LeaseId, usize>,
    /// Who was asked for each range of headers that is not verified yet, and the bytes of it.
    asked: BTreeMap<LeaseId, (usize, u64)>,
    statuses: BTreeMap<usize, LeaseId>,
    fruitful: BTreeSet<LeaseId>,
    held: BTreeMap<BlockId, (u64, bool)>,
    held_bytes: u64,
    workers: Workers,
    tip: Tip,
    out: Outcome,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, scheduler: &'a mut dyn Scheduler) -> Self {
        let names = outcome::names(scenario.peers.len());
        let out = Outcome {
            done: false,
            took: Duration::ZERO,
            blocks: 0,
            bytes: 0,
            duplicate_bytes: 0,
            overhead_bytes: 0,
            most_held: 0,
            peers: vec![PeerOutcome::default(); scenario.peers.len()],
            reports: Vec::new(),
        };
        Self {
            scenario,
            scheduler,
            now: Moment::START,
            dice: Dice(scenario.seed),
            chain: Chain::grown(scenario.blocks),
            places: outcome::places(&names),
            names,
            lines: scenario.peers.iter().map(|peer| Line::new(peer.bandwidth)).collect(),
            queue: BTreeMap::new(),
            sequence: 0,
            open: BTreeMap::new(),
            asked: BTreeMap::new(),
            statuses: BTreeMap::new(),
            fruitful: BTreeSet::new(),
            held: BTreeMap::new(),
            held_bytes: 0,
            workers: Workers::default(),
            tip: Tip::genesis(GENESIS.id),
            out,
        }
    }

    fn slot(&self) -> Slot {
        Slot(self.scenario.blocks + 1 + self.now.0.as_secs() / SLOT)
    }

    fn is_done(&self) -> bool {
        self.tip.head == self.chain.tip()
    }

    fn start(&mut self) {
        self.send(Event::FederationChanged(Federation::new(5, false)));
        let slot = self.slot();
        self.send(Event::Tick { slot });
        self.send(Event::Start(Start { tip: self.tip, until: None, checkpoint: None }));
        for peer in self.names.clone() {
            self.send(Event::PeerConnected { peer });
        }
        self.at(self.now.after(Duration::from_secs(1)), Happening::Tick);
    }

    fn at(&mut self, when: Moment, what: Happening) {
        self.sequence += 1;
        self.queue.insert((when, self.sequence), what);
    }

    /// Lets the next thing happen; false if there is none.
    fn turn(&mut self) -> bool {
        let Some(at) = self.queue.first_key_value().map(|(&(at, _), _)| at) else { return false };
        if let Some(deadline) = self.scheduler.next_deadline(self.now).filter(|&d| d < at) {
            // A timer fires a moment after it was set, as timers do.
            self.now = deadline.max(self.now.after(Duration::from_millis(1))).min(at);
            let slot = self.slot();
            self.send(Event::Tick { slot });
            return true;
        }
        let Some(((at, _), what)) = self.queue.pop_first() else { return false };
        self.now = at;
        self.happen(what);
        true
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Event(event) => self.send(*event),
            Happening::Asked(place, lease, load, stalls) => {
                if self.open.contains_key(&lease) {
                    self.lines[place].push(lease, load, stalls);
                    self.go_on(place);
                }
            }
            Happening::Dropped(place, lease) => self.lines[place].cancel(lease),
            Happening::Free(place) => {
                self.lines[place].busy = false;
                self.go_on(place);
            }
            Happening::Imported(batch, headers, took) => self.imported(batch, &headers, took),
            Happening::Tick => {
                let slot = self.slot();
                self.send(Event::Tick { slot });
                self.at(self.now.after(Duration::from_secs(1)), Happening::Tick);
            }
        }
    }

    /// Sends the next piece of a line.
    fn go_on(&mut self, place: usize) {
        if self.lines[place].busy {
            return;
        }
        let Some(piece) = self.lines[place].next() else { return };
        self.lines[place].busy = true;
        let left = self.now.after(piece.takes);
        let there = left.after(self.scenario.peers[place].rtt / 2);
        self.at(left, Happening::Free(place));
        let lease = piece.lease;
        if let Some(headers) = piece.headers {
            let bytes = HEADER_BYTES * headers.len() as u64;
            self.out.overhead_bytes += bytes;
            return self.later(there, Event::HeadersArrived { lease, headers, bytes });
        }
        if let Some(Load::Status(head)) = piece.status {
            let peer = self.names[place];
            let head = head.map(|head| *head);
            return self.later(there, Event::PeerStatus { peer, head, earliest: Height::ZERO });
        }
        let bodies: Vec<ArrivedBody> =
            piece.bodies.into_iter().map(|(id, bytes)| ArrivedBody { id, bytes }).collect();
        let event = if bodies.is_empty() {
            Event::LeaseProgress { lease }
        } else {
            Event::BodiesArrived { lease, bodies }
        };
        self.later(there, event);
        if piece.ends {
            self.later(there, Event::LeaseEnded { lease, end: LeaseEnd::Served });
        }
    }

    fn later(&mut self, when: Moment, event: Event) {
        self.at(when, Happening::Event(Box::new(event)));
    }

    /// One event in, and what the shell does with the actions that come out.
    fn send(&mut self, event: Event) {
        let Some(event) = self.incoming(event) else { return };
        let mut actions: VecDeque<Action> = self.scheduler.step(self.now, event).into();
        while let Some(action) = actions.pop_front() {
            actions.extend(self.take(action));
        }
        self.check();
    }

    /// What was cancelled never arrives; what arrives is held.
    fn incoming(&mut self, event: Event) -> Option<Event> {
        match &event {
            Event::HeadersArrived { lease, headers, .. } => {
                self.open.remove(lease)?;
                if !headers.is_empty() {
                    self.fruitful.insert(*lease);
                }
            }
            Event::LeaseEnded { lease, .. } => {
                let place = self.open.remove(lease)?;
                self.note_end(place, *lease);
            }
            Event::LeaseProgress { lease } => {
                self.open.get(lease)?;
            }
            Event::BodiesArrived { lease, bodies } => {
                let place = *self.open.get(lease)?;
                self.fruitful.insert(*lease);
                for body in bodies {
                    self.hold(place, *body);
                }
            }
            Event::PeerStatus { peer, .. } => {
                let lease = self.statuses.remove(self.places.get(peer)?)?;
                self.open.remove(&lease)?;
            }
            _ => {}
        }
        Some(event)
    }

    fn hold(&mut self, place: usize, body: ArrivedBody) {
        self.out.bytes += body.bytes;
        self.out.peers[place].bytes += body.bytes;
        let height = self.chain.height_of(body.id);
        let durable = height.is_some_and(|height| height <= self.tip.head.height);
        if durable || self.held.contains_key(&body.id) {
            self.out.duplicate_bytes += body.bytes;
            return;
        }
        let good = self.scenario.peers[place].conduct != Conduct::BadBodies;
        self.held.insert(body.id, (body.bytes, good));
        self.held_bytes += body.bytes;
        self.out.most_held = self.out.most_held.max(self.held_bytes);
    }

    fn take(&mut self, action: Action) -> Vec<Action> {
        match action {
            Action::RequestStatus { lease, peer, .. } => self.ask_status(lease, peer),
            Action::RequestHeaders { lease, peer, from, count, .. } => {
                let headers = self.chain.range(from, u64::from(count.get()));
                self.ask(lease, peer, Load::Headers(headers));
            }
            Action::RequestBodies { lease, peer, ids, .. } => {
                let bytes = self.scenario.body_bytes;
                self.out.overhead_bytes += ID_BYTES * ids.len() as u64;
                self.ask(lease, peer, Load::Bodies(ids.into_iter().map(|id| (id, bytes)).collect()));
            }
            Action::Cancel { lease } => {
                if let Some(place) = self.open.remove(&lease) {
                    self.note_end(place, lease);
                    let there = self.now.after(self.scenario.peers[place].rtt / 2);
                    self.at(there, Happening::Dropped(place, lease));
                }
            }
            Action::VerifyHeaders { lease, headers } => self.verify_headers(lease, &headers),
            Action::VerifyBodies { batch, headers } => self.verify_bodies(batch, &headers),
            Action::Import { batch, headers } => {
                let took = pipeline::import_time(headers.len(), self.scenario.import_rate);
                self.at(self.now.after(took), Happening::Imported(batch, headers, took));
            }
            Action::Release { ids } => self.release(&ids),
            Action::Observe { peer, what } => return self.observe(peer, what),
            Action::AskReports { .. } => {}
            Action::Report(report) => self.out.reports.push(report),
        }
        Vec::new()
    }

    fn note_end(&mut self, place: usize, lease: LeaseId) {
        if !self.fruitful.remove(&lease) {
            self.out.peers[place].fruitless += 1;
        }
    }

    fn ask_status(&mut self, lease: LeaseId, peer: PeerId) {
        let Some(&place) = self.places.get(&peer) else { return };
        self.out.overhead_bytes += REQUEST_BYTES + STATUS_BYTES;
        self.open.insert(lease, place);
        self.statuses.insert(place, lease);
        let model = self.scenario.peers[place];
        let head = match model.conduct {
            Conduct::Boasting => {
                let mut far = child(self.chain.tip(), u64::MAX);
                far.header.height = Height(u64::MAX);
                far.certificate.height = Height(u64::MAX);
                Some(far)
            }
            _ => self.chain.head(),
        };
        let there = self.now.after(model.rtt / 2);
        self.at(there, Happening::Asked(place, lease, Load::Status(head.map(Box::new)), Duration::ZERO));
    }

    fn ask(&mut self, lease: LeaseId, peer: PeerId, load: Load) {
        let Some(&place) = self.places.get(&peer) else { return };
        assert!(
            self.open.insert(lease, place).is_none(),
            "seed {}: a lease is used twice",
            self.scenario.seed
        );
        self.out.peers[place].leases += 1;
        self.out.overhead_bytes += REQUEST_BYTES;
        if let Load::Headers(headers) = &load {
            self.asked.insert(lease, (place, HEADER_BYTES * headers.len() as u64));
        }
        let model = self.scenario.peers[place];
        let there = self.now.after(model.rtt / 2);
        let stalls = self.dice.permille(self.scenario.stalled_permille);
        match (model.conduct, &load) {
            (Conduct::BlackHole | Conduct::Boasting, _) => {}
            (Conduct::Withholding, Load::Bodies(_)) => {
                self.at(there, Happening::Asked(place, lease, Load::Bodies(VecDeque::new()), Duration::ZERO));
            }
            (Conduct::Dripping, Load::Bodies(_)) => {
                // A body never gets complete at this rate; what the shell sees of it is that bytes come.
                for n in 1..=10 {
                    let event = Event::LeaseProgress { lease };
                    self.later(there.after(DRIP_EVERY * n).after(model.rtt / 2), event);
                }
            }
            _ if stalls && self.scenario.stalled_for.is_none() => {}
            (_, Load::Bodies(_)) if stalls => {
                let time = self.scenario.stalled_for.unwrap_or_default();
                self.at(there, Happening::Asked(place, lease, load, time));
            }
            _ => self.at(there, Happening::Asked(place, lease, load, Duration::ZERO)),
        }
    }

    fn verify_headers(&mut self, lease: LeaseId, headers: &[CertifiedHeader]) {
        let place = self.asked.remove(&lease).map(|(place, _)| place);
        let bad = place.is_some_and(|place| self.scenario.peers[place].conduct == Conduct::BadApprovals);
        if let Some(place) = place {
            self.out.peers[place].ranges_verified += 1;
        }
        let (valid, fault) =
            if bad { (0, Some(Fault::Peer(Offence::BadCertificate))) } else { (headers.len(), None) };
        let when = self.workers.headers(self.now, headers.len());
        self.later(when, Event::HeadersVerified { lease, verdict: HeaderVerdict { valid, held: 0, fault } });
    }

    fn verify_bodies(&mut self, batch: BatchId, headers: &[CertifiedHeader]) {
        let held =
            headers.iter().filter_map(|h| Some((h.certificate.block, *self.held.get(&h.certificate.block)?)));
        let held: Vec<(BlockId, (u64, bool))> = held.collect();
        assert_eq!(held.len(), headers.len(), "seed {}: a body to verify is not held", self.scenario.seed);
        let bytes = held.iter().map(|(_, (bytes, _))| bytes).sum();
        let bad = held.iter().filter(|(_, (_, good))| !good);
        let faults = bad.map(|&(id, _)| (id, Fault::Peer(Offence::BadBody))).collect();
        let when = self.workers.bodies(self.now, headers.len(), bytes);
        self.later(when, Event::BodiesVerified { batch, faults });
    }

    fn imported(&mut self, batch: BatchId, headers: &[CertifiedHeader], took: Duration) {
        for header in headers {
            let block = BlockRef::of(header);
            let seed = self.scenario.seed;
            assert_eq!(header.header.parent, self.tip.head.id, "seed {seed}: imported out of order");
            let held = self.held.get(&block.id);
            assert!(held.is_none_or(|(_, good)| *good), "seed {seed}: a bad body was imported");
            self.tip = Tip { head: block, finalized: self.tip.head };
            self.out.blocks += 1;
        }
        let took = ImportTook { execute: took, commit: Duration::ZERO };
        self.send(Event::Imported { batch, tip: self.tip, took });
    }

    fn release(&mut self, ids: &[BlockId]) {
        for (bytes, _) in ids.iter().filter_map(|id| self.held.remove(id)) {
            self.held_bytes -= bytes;
        }
    }

    /// The peer book: provable offences ban, and a banned peer is gone.
    fn observe(&mut self, peer: PeerId, what: Observation) -> Vec<Action> {
        let (Some(&place), Observation::Offence(offence)) = (self.places.get(&peer), what) else {
            return Vec::new();
        };
        let seen = &mut self.out.peers[place];
        seen.offences.push(offence);
        let points: u32 = seen.offences.iter().map(|offence| offence.points()).sum();
        if points < BAN_POINTS || seen.banned_at.is_some() {
            return Vec::new();
        }
        seen.banned_at = Some(self.now.0);
        self.open.retain(|_, &mut at| at != place);
        self.scheduler.step(self.now, Event::PeerDisconnected { peer })
    }

    /// The budget holds at every instant.
    fn check(&self) {
        if let Some((used, total)) = self.scheduler.budget(self.now) {
            let seed = self.scenario.seed;
            assert!(used <= total, "seed {seed}: {used} bytes reserved of {total}");
            let on_the_way = self.asked.iter().filter(|(lease, _)| self.open.contains_key(lease));
            let held = self.held_bytes + on_the_way.map(|(_, &(_, bytes))| bytes).sum::<u64>();
            assert!(
                held <= used,
                "seed {seed}: {held} bytes held or on their way as headers, {used} reserved"
            );
        }
    }

    fn outcome(mut self) -> Outcome {
        self.out.done = self.is_done();
        self.out.took = self.now.0;
        self.out
    }
}
