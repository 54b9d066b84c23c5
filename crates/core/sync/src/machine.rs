//! The machine: one door for everything that happens.
//!
//! - **Decides**: what is asked, verified, imported and reported next.
//! - **In**: [`Event`]s with the time. **Out**: [`Action`]s; status and gate on demand.
//! - **On failure**: see the parts. After each event the same three steps follow: what is overdue ends, the mode is decided
//!   anew from the facts, and whatever is free is planned. So no event has to know what comes next, and none can leave work behind.

mod bodies;
mod chain;
mod clock;
mod commands;
mod explain;
mod headers;
mod hedge;
mod leases;
mod peers;
mod plan;
mod tick;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use alys_chain::{BlockId, CertifiedHeader, Height, HeightRange, Moment, Slot};
use alys_wire::PeerId;

use crate::account::Account;
use crate::action::Action;
use crate::authorities::Authorities;
use crate::blame::Blame;
use crate::bodies::Bodies;
use crate::budget::{Budget, DEFAULT_BUDGET_BYTES};
use crate::event::{BatchId, Event, LeaseId, Start};
use crate::gate::{Federation, THRESHOLD_E4};
use crate::gate_watch::GateWatch;
use crate::hedge::Hedging;
use crate::import::Importer;
use crate::lease::Leases;
use crate::mode::Mode;
use crate::peers::Peers;
use crate::rate::Rate;
use crate::recorder::Recorder;
use crate::report::Report;
use crate::scheduler::{Batch, MAX_BODY_BYTES};
use crate::skeleton::Skeleton;
use crate::target::Targets;
use crate::tip::Tip;

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes of headers and bodies that may be in memory, in flight included. Raised to twice the greatest body, without which
    /// nothing could move.
    pub budget_bytes: u64,
    /// How much of the proven chain must be durable here before this node may produce, in ten-thousandths; at least
    /// [`THRESHOLD_E4`], which lower values count as.
    pub threshold_e4: u32,
    /// Whether a second peer is asked for the head of the line when the first one is late with it. Off only to measure what that gains.
    pub hedges: bool,
    /// How many bodies one request asks for.
    pub batch: Batch,
}

impl Default for Config {
    fn default() -> Self {
        let (budget_bytes, threshold_e4) = (DEFAULT_BUDGET_BYTES, THRESHOLD_E4);
        Self { budget_bytes, threshold_e4, hedges: true, batch: Batch::Adaptive }
    }
}

/// Headers that are being verified.
#[derive(Clone, Debug)]
struct Checking {
    peer: PeerId,
    headers: Arc<[CertifiedHeader]>,
    range: HeightRange,
    since: Moment,
}

/// Bodies that are being verified.
#[derive(Clone, Debug)]
struct Verifying {
    blocks: Vec<(Height, BlockId, PeerId)>,
    since: Moment,
}

/// When something moved last, when a standstill was last told, and when peers were last not what we waited for.
#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    progress: Moment,
    told: Moment,
    served: Moment,
}

/// What was given up by a step back: with the same head and target it is not repeated for a while without better reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SteppedBack {
    head: BlockId,
    target: Option<BlockId>,
}

/// Sync as a value: the same events at the same times lead to the same actions.
#[derive(Clone, Debug)]
pub struct SyncMachine {
    order: Option<Start>,
    paused: bool,
    mode: Mode,
    tip: Tip,
    clock: Slot,
    config: Config,
    federation: Federation,
    authorities: Authorities,
    peers: Peers,
    leases: Leases,
    targets: Targets,
    told_target: Option<BlockId>,
    skeleton: Skeleton,
    checking: BTreeMap<LeaseId, Checking>,
    bodies: Bodies,
    verifying: BTreeMap<BatchId, Verifying>,
    verify_after: Moment,
    importer: Importer,
    budget: Budget,
    hedging: Hedging,
    blame: Blame,
    watch: Watch,
    gate_watch: GateWatch,
    rate: Rate,
    lag_since: Option<Moment>,
    stepped_back: Option<(SteppedBack, Moment)>,
    account: Account,
    recorder: Recorder,
    /// Since when the importer is offline, if it is: the clock of the requests stands.
    stands_since: Option<Moment>,
    now: Moment,
    /// Who was last found to have served what no correct node serves, and when; also of peers that are gone since.
    offended: BTreeMap<PeerId, Moment>,
    /// Chunks of bodies that were asked for.
    chunks: u64,
    next_batch: u64,
    out: Vec<Action>,
}

impl SyncMachine {
    /// A machine that waits for [`Event::Start`]. `tip` is what is durable now.
    #[must_use]
    pub fn new(config: Config, tip: Tip) -> Self {
        let total = config.budget_bytes.max(2 * MAX_BODY_BYTES);
        let head_share = MAX_BODY_BYTES.saturating_add(crate::bodies::OVERHEAD_BYTES);
        Self {
            order: None,
            paused: false,
            mode: Mode::Idle,
            tip,
            clock: tip.head.slot,
            config,
            federation: Federation::default(),
            authorities: Authorities::default(),
            peers: Peers::new(),
            leases: Leases::default(),
            targets: Targets::default(),
            told_target: None,
            skeleton: Skeleton::new(tip.head),
            checking: BTreeMap::new(),
            bodies: Bodies::default(),
            verifying: BTreeMap::new(),
            verify_after: Moment::START,
            importer: Importer::default(),
            budget: Budget::new(total, head_share),
            hedging: Hedging::default(),
            blame: Blame::default(),
            watch: Watch::default(),
            gate_watch: GateWatch::default(),
            rate: Rate::default(),
            lag_since: None,
            stepped_back: None,
            account: Account::default(),
            recorder: Recorder::default(),
            stands_since: None,
            now: Moment::START,
            offended: BTreeMap::new(),
            chunks: 1,
            next_batch: 0,
            out: Vec::new(),
        }
    }

    /// Takes one event in; what is to be done comes out, in order.
    #[must_use]
    pub fn step(&mut self, now: Moment, event: Event) -> Vec<Action> {
        self.notice_absence(now);
        self.now = now;
        self.dispatch(now, event);
        self.settle(now);
        self.book(now);
        core::mem::take(&mut self.out)
    }

    fn dispatch(&mut self, now: Moment, event: Event) {
        match event {
            Event::Start(start) => self.on_start(now, start),
            Event::Stop => self.on_stop(),
            Event::Pause => self.on_pause(),
            Event::Resume => self.on_resume(now),
            Event::PeerConnected { peer } => self.on_peer_connected(now, peer),
            Event::PeerIdentified { peer, authority } => self.on_peer_identified(now, peer, authority),
            Event::PeerDisconnected { peer } => self.on_peer_disconnected(peer),
            Event::PeerStatus { peer, head, earliest } => self.on_peer_status(now, peer, head, earliest),
            Event::HeadersArrived { lease, headers, bytes } => {
                self.on_headers_arrived(now, lease, headers, bytes)
            }
            Event::BodiesArrived { lease, bodies } => self.on_bodies_arrived(now, lease, bodies),
            Event::LeaseProgress { lease } => self.on_lease_progress(now, lease),
            Event::LeaseEnded { lease, end } => self.on_lease_ended(now, lease, end),
            Event::HeadersVerified { lease, verdict } => self.on_headers_verified(now, lease, verdict),
            Event::BodiesVerified { batch, faults } => self.on_bodies_verified(now, batch, faults),
            Event::Imported { batch, tip, took } => self.on_imported(now, batch, (tip, took)),
            Event::ImportFailed { batch, failure } => self.on_import_failed(now, batch, failure),
            Event::TipChanged(tip) => self.on_tip_changed(now, tip),
            Event::FederationChanged(federation) => self.on_federation_changed(now, federation),
            Event::AuthorityHeard { authority } => self.authorities.hear(now, authority),
            Event::AuthorityReport { round, authority, slot } => {
                self.authorities.report(now, round, authority, slot)
            }
            Event::Tick { slot } => self.on_tick(now, slot),
        }
    }

    /// What follows every event.
    fn settle(&mut self, now: Moment) {
        self.watch_importer(now);
        self.expire_leases(now);
        self.finish_if_done();
        self.decide_mode(now);
        self.count_headers();
        self.plan(now);
        self.count_headers();
    }

    fn is_active(&self) -> bool {
        self.order.is_some() && !self.paused
    }

    fn act(&mut self, action: Action) {
        self.out.push(action);
    }

    fn report(&mut self, report: Report) {
        self.recorder.note(self.now, report.clone());
        self.out.push(Action::Report(report));
    }

    fn new_batch(&mut self) -> BatchId {
        let id = BatchId(self.next_batch);
        self.next_batch = self.next_batch.saturating_add(1);
        id
    }
}

#[cfg(test)]
mod tests;
