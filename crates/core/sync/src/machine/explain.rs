//! Why the rate is what it is: what is booked after each step, and what is told of it on demand.

use alys_chain::Moment;
use alys_wire::PeerId;

use super::SyncMachine;
use crate::account::Stage;
use crate::advice;
use crate::explain::{BudgetUse, Explain, Head, PeerLine, Tuning, Waited};
use crate::lease::Work;
use crate::limit::{self, Facts, Limit};
use crate::peers::Peer;
use crate::scheduler::BODY_LEASES_PER_PEER;
use crate::status::WaitingFor;
use crate::terms::Terms;

impl SyncMachine {
    /// Books the time since the last step to the stage that it left behind.
    pub(super) fn book(&mut self, now: Moment) {
        let stage = self.stage(now);
        self.account.turn(now, stage);
    }

    /// What the importer does or waits for.
    fn stage(&self, now: Moment) -> Stage {
        if !self.is_active() || self.importer.failing().is_some() {
            return Stage::Idle;
        }
        if self.importer.is_busy() {
            return Stage::Import;
        }
        if !self.wants_blocks(now) {
            return Stage::Idle;
        }
        match self.waiting_for_block() {
            WaitingFor::Headers { peer, .. } | WaitingFor::Body { peer, .. } => Stage::Network(peer),
            WaitingFor::Peers => Stage::Network(None),
            WaitingFor::Import => Stage::Import,
            _ => Stage::Verify,
        }
    }

    /// Why the rate is what it is.
    #[must_use]
    pub fn explain(&self, now: Moment) -> Explain {
        let status = self.status(now);
        let limit = self.limit();
        let facts = advice::Facts {
            limit,
            budget_short: self.is_budget_short(),
            suspects_ourselves: self.blame.suspects_ourselves(),
        };
        let slowest = self.account.slowest();
        Explain {
            mode: status.mode,
            height: status.height,
            target: status.target,
            blocks_per_second: status.blocks_per_second,
            waiting_for: status.waiting_for,
            limit,
            spent: self.account.spent(),
            slowest: slowest.map(|(peer, waited)| Waited { peer, waited }),
            head: self.head_in_flight(now),
            peers: self.peers.iter().map(|(&id, peer)| self.peer_line(now, id, peer)).collect(),
            budget: BudgetUse {
                used: status.budget_used,
                headers: status.budget_headers,
                total: status.budget_total,
            },
            hedged: self.hedging.sums(self.owed_bodies()),
            tuning: self.tuning(),
            recommendations: advice::advise(&facts),
            recorder: self.recorder.entries().cloned().collect(),
        }
    }

    /// Whether the budget keeps lines idle: it is full, or smaller than what all lines together should have in flight.
    fn is_budget_short(&self) -> bool {
        let lines: u64 = self.peers.values().map(|peer| peer.link.window()).sum();
        self.budget.free() < self.bodies.expected_cost() || self.budget.total() < lines
    }

    /// What limits the rate, over the last seconds.
    #[must_use]
    pub fn limit(&self) -> Limit {
        let next = self.skeleton.base().height.saturating_add(1);
        let able = self.peers.values().filter(|peer| peer.has_body(next)).count();
        let (spent, untold) = (self.account.spent(), self.account.untold());
        limit::decide(&Facts { spent, untold, slowest: self.account.slowest(), able })
    }

    fn head_in_flight(&self, now: Moment) -> Option<Head> {
        let height = self.head_of_line()?;
        let mut owing =
            self.leases.iter().map(|(_, lease)| lease).filter(
                |lease| matches!(&lease.work, Work::Bodies(bodies) if bodies.heights.contains(height)),
            );
        let first = owing.next()?;
        let hedged_with = owing.next().map(|lease| lease.peer);
        Some(Head { height, peer: first.peer, held_for: now.since(first.asked), hedged_with })
    }

    fn peer_line(&self, now: Moment, id: PeerId, peer: &Peer) -> PeerLine {
        PeerLine {
            peer: id,
            authority: peer.authority,
            proven: peer.head.map(|head| head.height),
            bandwidth: peer.link.bandwidth(),
            rtt: peer.link.rtt(),
            samples: peer.link.samples(),
            terms: Terms::of(&peer.link),
            leases: self.leases.of_peer(id).count(),
            owed: self.leases.owed_by(id),
            strikes: peer.strikes(),
            rests_for: peer.rests_until().since(now),
        }
    }

    fn tuning(&self) -> Tuning {
        use crate::link::{CHUNK_TIME, LEAST_BANDWIDTH, MAX_CHUNK_BYTES, MAX_TIMEOUT, MIN_TIMEOUT, PATIENCE};
        let skeleton_ahead = self.skeleton_ahead();
        Tuning {
            chunk_time: CHUNK_TIME,
            most_chunk_bytes: MAX_CHUNK_BYTES,
            most_in_flight: BODY_LEASES_PER_PEER,
            patience: PATIENCE,
            timeouts: (MIN_TIMEOUT, MAX_TIMEOUT),
            least_bandwidth: LEAST_BANDWIDTH,
            skeleton_ahead,
            bodies_ahead: skeleton_ahead.min(self.importer.blocks_ahead()),
        }
    }
}
