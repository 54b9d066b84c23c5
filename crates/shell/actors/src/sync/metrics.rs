//! What sync counts and shows.

use alys_sync::{Fault, GateReport, LeaseEnd, Observation, Report, SyncStatus};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ended {
    end: &'static str,
}

/// What a peer did.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Done {
    kind: &'static str,
}

/// A crossing of the gate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Crossed {
    to: &'static str,
}

/// A condition of the gate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfGate {
    condition: &'static str,
}

/// The figures of sync. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct SyncMetrics {
    /// The code of the mode.
    pub mode: Gauge,
    /// The durable height.
    pub height: Gauge,
    /// The height of the best proven target; the durable one while there is none.
    pub target: Gauge,
    /// Blocks that became durable a second, lately.
    pub rate: Gauge,
    /// Peers that may be asked.
    pub peers: Gauge,
    /// Requests in flight.
    pub requests: Gauge,
    /// Bytes of headers and bodies that are held or reserved.
    pub held: Gauge,
    /// Conditions of the gate, when it was last asked: 1 where one holds.
    pub conditions: Family<OfGate, Gauge>,
    /// Times that the gate opened or closed and stayed so.
    pub crossings: Family<Crossed, Counter>,
    /// Headers that were checked and good.
    pub headers_verified: Counter,
    /// Bodies that were checked and good.
    pub bodies_verified: Counter,
    /// Bytes of bodies that came.
    pub body_bytes: Counter,
    /// Bytes of bodies that came although they were here: of requests to a second peer.
    pub duplicate_bytes: Counter,
    /// Times that a second peer was asked for the head of the line.
    pub hedges: Counter,
    /// Requests that ended, by how they did.
    pub ended: Family<Ended, Counter>,
    /// What peers were seen to do.
    pub observed: Family<Done, Counter>,
    /// Imports that failed.
    pub import_failures: Counter,
    /// Times that sync stood still for a while.
    pub stalls: Counter,
    /// Checkpoints that were written.
    pub checkpoints: Counter,
    /// Checkpoints that could not be written.
    pub checkpoint_failures: Counter,
}

impl SyncMetrics {
    /// Shows them in a registry.
    pub fn register(&self, registry: &mut Registry) {
        let to = registry.sub_registry_with_prefix("sync");
        let codes = "Mode: 0 idle, 1 discovering, 2 skeleton, 3 bulk, 4 catching up, 5 synced, 6 failed";
        to.register("mode", codes, self.mode.clone());
        to.register("height", "Durable height", self.height.clone());
        to.register("target_height", "Height of the best proven target", self.target.clone());
        to.register("blocks_per_second", "Blocks that became durable a second, lately", self.rate.clone());
        to.register("peers", "Peers that may be asked", self.peers.clone());
        to.register("requests", "Requests in flight", self.requests.clone());
        to.register_with_unit("held", "Headers and bodies held or reserved", Unit::Bytes, self.held.clone());
        let conditions = "Conditions for producing when last asked: 1 where one holds";
        to.register("gate_condition", conditions, self.conditions.clone());
        let crossings = "Times that the gate opened or closed, and stayed so";
        to.register("gate_crossings", crossings, self.crossings.clone());
        to.register("headers_verified", "Headers checked and good", self.headers_verified.clone());
        to.register("bodies_verified", "Bodies checked and good", self.bodies_verified.clone());
        to.register_with_unit("bodies_received", "Bodies that came", Unit::Bytes, self.body_bytes.clone());
        let twice = "Bodies that came although they were here";
        to.register_with_unit("bodies_duplicate", twice, Unit::Bytes, self.duplicate_bytes.clone());
        let hedges = "Times that a second peer was asked for the head of the line";
        to.register("hedges", hedges, self.hedges.clone());
        to.register("requests_ended", "Requests, by how they ended", self.ended.clone());
        to.register("peers_observed", "What peers were seen to do", self.observed.clone());
        to.register("import_failures", "Imports that failed", self.import_failures.clone());
        to.register("stalls", "Times that no block became durable for a while", self.stalls.clone());
        to.register("checkpoints", "Checkpoints written", self.checkpoints.clone());
        let failures = "Checkpoints that could not be written";
        to.register("checkpoint_failures", failures, self.checkpoint_failures.clone());
    }

    /// How often the gate opened, or closed, and stayed so.
    #[must_use]
    pub fn crossed(&self, open: bool) -> u64 {
        self.crossings.get_or_create(&Crossed { to: if open { "open" } else { "closed" } }).get()
    }

    pub(super) fn show(&self, status: &SyncStatus) {
        self.mode.set(status.mode.code().into());
        self.height.set(gauge(status.height.get()));
        self.target.set(gauge(status.target.unwrap_or(status.height).get()));
        self.rate.set(gauge(status.blocks_per_second));
        self.peers.set(gauge(status.peers as u64));
        self.requests.set(gauge(status.leases as u64));
        self.held.set(gauge(status.budget_used));
    }

    pub(super) fn gate(&self, report: &GateReport) {
        for condition in &report.conditions {
            let label = OfGate { condition: condition.name.label() };
            self.conditions.get_or_create(&label).set(condition.holds.into());
        }
    }

    pub(super) fn headers(&self, count: usize) {
        self.headers_verified.inc_by(count as u64);
    }

    pub(super) fn bodies(&self, count: usize) {
        self.bodies_verified.inc_by(count as u64);
    }

    pub(super) fn received(&self, bytes: u64) {
        self.body_bytes.inc_by(bytes);
    }

    pub(super) fn came_twice(&self, bytes: u64) {
        self.duplicate_bytes.inc_by(bytes);
    }

    pub(super) fn ended(&self, end: &LeaseEnd) {
        let end = match end {
            LeaseEnd::Served => "served",
            LeaseEnd::Refused { .. } => "refused",
            LeaseEnd::TimedOut => "timed_out",
            LeaseEnd::Failed(Fault::Peer(_)) => "violated",
            LeaseEnd::Failed(Fault::Moment(_)) => "lost",
            LeaseEnd::Failed(Fault::Ours(_)) => "ours",
        };
        self.ended.get_or_create(&Ended { end }).inc();
    }

    pub(super) fn observed(&self, what: &Observation) {
        let kind = match what {
            Observation::Served { .. } => "served",
            Observation::Late => "late",
            Observation::TimedOut => "timed_out",
            Observation::Unreachable => "unreachable",
            Observation::Refused { .. } => "refused",
            Observation::RoundTrip(_) => "round_trip",
            Observation::Offence(_) => "offence",
        };
        self.observed.get_or_create(&Done { kind }).inc();
    }

    pub(super) fn reported(&self, report: &Report) {
        match report {
            Report::ImportFailing { .. } => drop(self.import_failures.inc()),
            Report::Stalled { .. } => drop(self.stalls.inc()),
            Report::Hedged { .. } => drop(self.hedges.inc()),
            Report::GateCrossed(crossing) => {
                let to = if crossing.open { "open" } else { "closed" };
                self.crossings.get_or_create(&Crossed { to }).inc();
            }
            _ => {}
        }
    }

    pub(super) fn checkpoint(&self, written: bool) {
        let counter = if written { &self.checkpoints } else { &self.checkpoint_failures };
        counter.inc();
    }
}

/// Heights and bytes are far below 2^63.
fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
