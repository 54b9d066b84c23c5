//! The events of a run, in order of their time.

mod peers;
mod shell;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alys_chain::{BlockId, CertifiedHeader, Moment, Slot};
use alys_sync::{Action, BatchId, Config, Event, Federation, LeaseId, Observation, Start, SyncMachine, Tip};
use alys_wire::PeerId;

use crate::chain::{Chain, GENESIS};
use crate::dice::Dice;
use crate::line::{Line, Load};
use crate::outcome::{self, Outcome, PeerOutcome};
use crate::pipeline::{self, Workers};
use crate::scenario::Scenario;
use crate::scheduler::Scheduler;

/// Points of misbehaviour that ban, as in the peer book.
const BAN_POINTS: u32 = 100;
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
