//! A small simulated world around one `SyncMachine`: peers of every kind, a network with delays, a verifier, an importer that
//! sometimes fails. Virtual time, one seed. Every action is checked against the invariants when it is taken.
#![allow(dead_code, reason = "each test uses the part of the world that it needs")]

#[path = "../blocks/mod.rs"]
mod blocks;
pub mod chain;
mod checks;
mod peer;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alys_chain::{AuthorityIndex, BlockId, BlockRef, CertifiedHeader, Height, Moment, Slot};
use alys_sync::gate::Federation;
use alys_sync::{
    Action, BatchId, Config, Event, Fault, HeaderVerdict, ImportFailure, ImportTook, LeaseId, Mode,
    Observation, Offence, Report, Start, SyncMachine, Tip,
};
use alys_wire::PeerId;

use chain::{Chain, GENESIS};
pub use peer::{Kind, Peer};

/// SplitMix64: small, seeded, the same everywhere.
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

pub struct Setup {
    pub seed: u64,
    pub blocks: u64,
    pub largest_body: u64,
    pub budget: u64,
    pub slot_ms: u64,
    /// One import in so many fails by the moment's fault or by ours; 0: none does.
    pub imports_fail: u64,
    /// Whether the chain goes on growing.
    pub grows: bool,
    pub peers: Vec<Kind>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            seed: 1,
            blocks: 1500,
            largest_body: 4_000,
            budget: 64 << 20,
            slot_ms: 2_000,
            imports_fail: 0,
            grows: false,
            peers: vec![Kind::Honest, Kind::Honest],
        }
    }
}

/// Something that will happen.
pub enum Happening {
    Event(Box<Event>),
    Tick,
    Slot,
    Reconnect(PeerId),
}

pub struct World {
    pub now: Moment,
    pub setup: Setup,
    pub dice: Dice,
    pub chain: Chain,
    pub peers: BTreeMap<PeerId, Peer>,
    pub machine: SyncMachine,
    queue: BTreeMap<(Moment, u64), Happening>,
    sequence: u64,
    /// What is durable: our own disk.
    pub durable: BTreeMap<BlockId, BlockRef>,
    pub tip: Tip,
    pub shell: checks::Shell,
    pub reports: Vec<Report>,
    pub observed: Vec<(PeerId, Observation)>,
    /// A hash over all actions in order.
    pub trace: u64,
    /// The genesis slot's distance from the start of the run.
    first_slot: u64,
}

impl World {
    pub fn new(setup: Setup) -> Self {
        let mut dice = Dice(setup.seed);
        let chain = Chain::grown(setup.blocks, setup.largest_body, &mut dice);
        let tip = Tip::genesis(GENESIS.id);
        let machine = SyncMachine::new(Config { budget_bytes: setup.budget, ..Config::default() }, tip);
        let first_slot = chain.tip().slot.0 + 1;
        let mut world = Self {
            now: Moment::START,
            dice,
            chain,
            peers: BTreeMap::new(),
            machine,
            queue: BTreeMap::new(),
            sequence: 0,
            durable: BTreeMap::from([(GENESIS.id, GENESIS)]),
            tip,
            shell: checks::Shell::default(),
            reports: Vec::new(),
            observed: Vec::new(),
            trace: 0,
            first_slot,
            setup,
        };
        let kinds = world.setup.peers.clone();
        for (n, kind) in kinds.into_iter().enumerate() {
            let id = PeerId::from_bytes(&[7, u8::try_from(n).unwrap()]).unwrap();
            let peer = Peer::new(kind, &mut world.dice);
            world.peers.insert(id, peer);
            if kind == Kind::BadBodies {
                world.shell.spoilers.insert(id);
            }
        }
        world
    }

    pub fn slot(&self) -> Slot {
        Slot(self.first_slot + u64::try_from(self.now.0.as_millis()).unwrap() / self.setup.slot_ms)
    }

    /// Connects everybody and starts.
    pub fn start(&mut self) {
        self.send(Event::FederationChanged(Federation::new(5, true)));
        let slot = self.slot();
        self.send(Event::Tick { slot });
        let order = Start { tip: self.tip, until: None, checkpoint: None };
        self.send(Event::Start(order));
        let ids: Vec<PeerId> = self.peers.keys().copied().collect();
        for (n, peer) in ids.into_iter().enumerate() {
            self.send(Event::PeerConnected { peer });
            let authority = Some(AuthorityIndex(u8::try_from(n).unwrap())).filter(|a| a.0 < 4);
            self.send(Event::PeerIdentified { peer, authority });
        }
        self.later(1_000, Happening::Tick);
        self.later(self.setup.slot_ms, Happening::Slot);
    }

    pub fn later(&mut self, millis: u64, what: Happening) {
        self.sequence += 1;
        self.queue.insert((self.now.after(Duration::from_millis(millis)), self.sequence), what);
    }

    pub fn later_event(&mut self, millis: u64, event: Event) {
        self.later(millis, Happening::Event(Box::new(event)));
    }

    /// Runs until the condition holds; false if it does not within `secs` of virtual time.
    pub fn run_until(&mut self, secs: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now.after(Duration::from_secs(secs));
        while !done(self) {
            let Some(((at, _), what)) = self.queue.pop_first() else { return false };
            if at > end {
                return false;
            }
            self.wake_until(at);
            self.now = at;
            self.happen(what);
        }
        true
    }

    pub fn is_synced(&self) -> bool {
        self.machine.status(self.now).mode == Mode::Synced && self.has_arrived()
    }

    /// At the tip. Whether that counts as synced depends on the age of the tip as well.
    pub fn has_arrived(&self) -> bool {
        self.tip.head == self.chain.tip()
    }

    /// The machine's own deadlines come before what happens next.
    fn wake_until(&mut self, at: Moment) {
        while let Some(deadline) = self.machine.next_deadline(self.now).filter(|&d| d > self.now && d < at) {
            self.now = deadline;
            let slot = self.slot();
            self.send(Event::Tick { slot });
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Event(event) => self.send(*event),
            Happening::Tick => {
                let slot = self.slot();
                self.send(Event::Tick { slot });
                self.vanish_sometimes();
                self.later(1_000, Happening::Tick);
            }
            Happening::Slot => {
                if self.setup.grows {
                    let slot = self.slot().0;
                    self.chain.grow(slot, self.setup.largest_body, &mut self.dice);
                }
                let slot = self.slot();
                self.send(Event::Tick { slot });
                self.later(self.setup.slot_ms, Happening::Slot);
            }
            Happening::Reconnect(peer) => {
                self.peers.get_mut(&peer).unwrap().connected = true;
                self.send(Event::PeerConnected { peer });
            }
        }
    }

    /// Peers of the vanishing kind go without a word, and come back later.
    fn vanish_sometimes(&mut self) {
        let ids: Vec<PeerId> = self.peers.iter().filter(|(_, p)| p.vanishes()).map(|(&id, _)| id).collect();
        for peer in ids {
            if self.dice.one_in(3) {
                self.peers.get_mut(&peer).unwrap().connected = false;
                self.send(Event::PeerDisconnected { peer });
                let back = 500 + self.dice.below(4_000);
                self.later(back, Happening::Reconnect(peer));
            }
        }
    }

    /// One event in, and whatever the shell does with the actions that come out.
    pub fn send(&mut self, event: Event) {
        let Some(event) = self.shell.incoming(event) else { return };
        let actions = self.machine.step(self.now, event);
        for action in actions {
            self.note(&action);
            self.take(action);
        }
        self.check();
    }

    fn note(&mut self, action: &Action) {
        for byte in format!("{:?}{action:?}", self.now).bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::RequestStatus { lease, peer, .. } => self.ask_status(lease, peer),
            Action::RequestHeaders { lease, peer, from, count, .. } => {
                self.ask_headers(lease, peer, from, count.get())
            }
            Action::RequestBodies { lease, peer, ids, .. } => self.ask_bodies(lease, peer, &ids),
            Action::Cancel { lease } => self.shell.cancel(lease),
            Action::VerifyHeaders { lease, headers } => self.verify_headers(lease, &headers),
            Action::VerifyBodies { batch, headers } => self.verify_bodies(batch, &headers),
            Action::Import { batch, headers } => self.import(batch, &headers),
            Action::Release { ids } => self.shell.release(&ids),
            Action::Observe { peer, what } => self.observed.push((peer, what)),
            Action::AskReports { round } => self.ask_reports(round),
            Action::Report(report) => self.reports.push(report),
        }
    }

    /// Those that answer at all sign the truth: the slot of the best certified block.
    fn ask_reports(&mut self, round: u64) {
        let slot = self.chain.tip().slot;
        let honest =
            |p: &&Peer| p.connected && matches!(p.kind, Kind::Honest | Kind::Vanishing | Kind::Refusing);
        let places: Vec<usize> = self
            .peers
            .values()
            .enumerate()
            .filter(|(_, p)| honest(p))
            .map(|(n, _)| n)
            .filter(|&n| n < 4)
            .collect();
        for n in places {
            let authority = AuthorityIndex(u8::try_from(n).unwrap());
            self.later_event(40, Event::AuthorityReport { round, authority, slot });
        }
    }

    fn verify_headers(&mut self, lease: LeaseId, headers: &[CertifiedHeader]) {
        let is_real =
            |h: &CertifiedHeader| h.certificate.block == h.header.id() && h.certificate.quorum.signers == 15;
        let real = headers.iter().position(|h| !is_real(h)).unwrap_or(headers.len());
        let broken = headers.windows(2).position(|w| w[1].header.parent != w[0].certificate.block);
        let valid = real.min(broken.map_or(headers.len(), |at| at + 1));
        let offence = if real <= valid { Offence::BadCertificate } else { Offence::BadHeader };
        let fault = (valid < headers.len()).then_some(Fault::Peer(offence));
        let held = headers.iter().take_while(|h| self.durable.contains_key(&h.certificate.block)).count();
        let verdict = HeaderVerdict { valid, held, fault };
        self.later_event(5, Event::HeadersVerified { lease, verdict });
    }

    fn verify_bodies(&mut self, batch: BatchId, headers: &[CertifiedHeader]) {
        let faults = headers
            .iter()
            .map(|h| h.certificate.block)
            .filter(|id| self.shell.is_bad(*id))
            .map(|id| (id, Fault::Peer(Offence::BadBody)))
            .collect();
        self.later_event(3, Event::BodiesVerified { batch, faults });
    }

    /// Every block must stand on a durable one; what is durable already counts as imported.
    fn import(&mut self, batch: BatchId, headers: &[CertifiedHeader]) {
        assert!(self.shell.importing.replace(batch).is_none(), "two imports at once");
        let fails = self.setup.imports_fail > 0 && self.dice.one_in(self.setup.imports_fail);
        let good = if fails {
            usize::try_from(self.dice.below(headers.len() as u64)).unwrap()
        } else {
            headers.len()
        };
        for header in &headers[..good] {
            self.shell.assert_importable(header);
            assert!(self.durable.contains_key(&header.header.parent), "imported out of order: {header:?}");
            let block = BlockRef::of(header);
            self.durable.insert(block.id, block);
            if block.slot > self.tip.head.slot {
                self.tip.head = block;
            }
        }
        let finalized = self.chain.finalized(self.tip.head.height);
        if self.durable.contains_key(&finalized.id) && finalized.height > self.tip.finalized.height {
            self.tip.finalized = finalized;
        }
        let tip = self.tip;
        let event = if fails {
            let text = "the disk is full".to_owned();
            let fault = if self.dice.one_in(2) { Fault::Ours(text) } else { Fault::Moment(text) };
            Event::ImportFailed { batch, failure: ImportFailure { imported: good, fault, tip } }
        } else {
            Event::Imported { batch, tip, took: ImportTook::default() }
        };
        self.later_event(10, event);
    }

    /// How often each peer was reported for an offence.
    pub fn offences(&self) -> BTreeMap<PeerId, usize> {
        let mut count = BTreeMap::new();
        for (peer, what) in &self.observed {
            if matches!(what, Observation::Offence(_)) {
                *count.entry(*peer).or_default() += 1;
            }
        }
        count
    }

    pub fn peers_of(&self, kind: Kind) -> BTreeSet<PeerId> {
        self.peers.iter().filter(|(_, p)| p.kind == kind).map(|(&id, _)| id).collect()
    }

    /// The heights that the machine may believe in: certified blocks, by the clock.
    fn check(&mut self) {
        let status = self.machine.status(self.now);
        assert!(status.budget_used <= status.budget_total, "budget exceeded");
        self.shell.check(&status);
        if let Some(target) = status.target {
            assert!(
                target <= self.chain.tip().height.max(Height(self.chain.blocks.len() as u64)),
                "unproven target"
            );
        }
        assert!(self.machine.tip().head.slot <= self.tip.head.slot);
    }
}
