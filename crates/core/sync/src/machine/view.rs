//! What can be read from the machine at any time: status, gate, next deadline.

use core::time::Duration;
use std::collections::BTreeSet;

use alys_chain::{AuthorityIndex, BlockRef, Height, Moment, Slot};
use alys_wire::PeerId;

use super::SyncMachine;
use crate::authorities::HEARD_FOR;
use crate::gate::{self, Activity, Evidence, GateInput, GateReport};
use crate::lease::Work;
use crate::partition::PartitionView;
use crate::status::{SyncStatus, WaitingFor};
use crate::tip::Tip;

impl SyncMachine {
    /// What is durable, as far as the machine knows.
    #[must_use]
    pub const fn tip(&self) -> Tip {
        self.tip
    }

    /// May this node produce in `slot`, having signed for `last_signed` last?
    #[must_use]
    pub fn may_produce(&self, now: Moment, slot: Slot, last_signed: Option<Slot>) -> GateReport {
        gate::decide(&self.gate_input(now, slot, last_signed))
    }

    /// The best block that each connected peer has proven, where it has proven any.
    pub fn proven_heads(&self) -> impl Iterator<Item = (PeerId, BlockRef)> + '_ {
        self.peers.iter().filter_map(|(&id, peer)| Some((id, peer.head?)))
    }

    /// Which side of a split this node is on, and how the proven heads split.
    #[must_use]
    pub fn partition(&self, now: Moment) -> PartitionView {
        let proven = self.peers.values().filter_map(|peer| Some((peer.head?, peer.authority)));
        PartitionView::new(self.federation, self.authorities.heard(now), proven)
    }

    /// When the machine wants its next [`Tick`](crate::Event::Tick) at the latest; `None` if the one of each second will do.
    #[must_use]
    pub fn next_deadline(&self, now: Moment) -> Option<Moment> {
        let running = self.leases.iter().filter(|_| !self.clock_stands());
        let leases = running.map(|(_, lease)| self.expiry(lease));
        let retry = self.importer.failing().map(|failing| failing.retry_at);
        let rests = self.peers.values().map(crate::peers::Peer::rests_until);
        let late = self.head_is_late_at(now);
        leases.chain(rests.chain(retry).chain(late).filter(|&at| at > now)).min()
    }

    /// The state for people and programs.
    #[must_use]
    pub fn status(&self, now: Moment) -> SyncStatus {
        let height = self.tip.head.height;
        let target = self.targets.best().map(|target| target.height);
        let blocks_per_second = self.rate.per_second(now, height);
        let left = target.map_or(0, |target| target.ahead_of(height));
        let has_eta = left > 0 && blocks_per_second > 0;
        let eta = has_eta.then(|| Duration::from_secs(left.div_ceil(blocks_per_second.max(1))));
        SyncStatus {
            mode: self.mode,
            paused: self.paused,
            height,
            target,
            blocks_per_second,
            eta,
            peers: self.peers.len(),
            leases: self.leases.len(),
            budget_used: self.budget.used(),
            budget_headers: self.budget.headers(),
            budget_total: self.budget.total(),
            waiting_for: self.waiting_for(now),
            suspects_ourselves: self.blame.suspects_ourselves(),
        }
    }

    pub(super) fn gate_input(&self, now: Moment, slot: Slot, last_signed: Option<Slot>) -> GateInput {
        let heard = self.authorities.heard(now);
        let connected: BTreeSet<AuthorityIndex> =
            self.peers.values().filter_map(|peer| peer.authority).collect();
        let mut agreeing = self.authorities.agreeing(now, self.tip.head.slot);
        if self.tip.head.slot == Slot::ZERO {
            agreeing.extend(self.authorities_at_genesis(now));
        }
        GateInput {
            slot,
            last_signed,
            threshold_e4: self.config.threshold_e4,
            activity: self.activity(),
            head: self.tip.head,
            target: self.targets.best(),
            import_failing: self.importer.failing().map(|failing| failing.reason.clone()),
            federation: self.federation,
            reachable: count(&heard.union(&connected).copied().collect()),
            heard: count(&heard),
            cut_off: self.authorities.cut_off(now, slot),
            agreeing: count(&agreeing),
        }
    }

    /// Authorities that said lately, on a connection on which they proved who they are, that they have no block yet.
    fn authorities_at_genesis(&self, now: Moment) -> impl Iterator<Item = AuthorityIndex> + '_ {
        let is_recent = move |at: Option<Moment>| at.is_some_and(|at| now.since(at) < HEARD_FOR);
        let at_genesis =
            self.peers.values().filter(move |peer| peer.head.is_none() && is_recent(peer.status_at));
        at_genesis.filter_map(|peer| peer.authority)
    }

    fn activity(&self) -> Activity {
        match (self.order.is_some(), self.paused, self.importer.is_broken()) {
            (false, _, _) => Activity::Stopped,
            (true, true, _) => Activity::Paused,
            (true, false, true) => Activity::Failed,
            (true, false, false) => Activity::Running,
        }
    }

    /// Why nothing more happens at the moment.
    pub(super) fn waiting_for(&self, now: Moment) -> WaitingFor {
        if self.order.is_none() {
            return WaitingFor::Start;
        }
        if self.paused {
            return WaitingFor::Resume;
        }
        if let Some(failing) = self.importer.failing() {
            return WaitingFor::Importer { reason: failing.reason.clone() };
        }
        if self.wants_blocks(now) {
            return self.waiting_for_block();
        }
        let known = self.gate_input(now, self.clock, None).evidence() != Evidence::None;
        match (known, self.peers.is_empty()) {
            (true, _) => WaitingFor::Nothing,
            (false, true) => WaitingFor::Peers,
            (false, false) => WaitingFor::Proof,
        }
    }

    /// Where the next block to import is.
    pub(super) fn waiting_for_block(&self) -> WaitingFor {
        let next = self.skeleton.base().height.saturating_add(1);
        if self.importer.is_busy() {
            return WaitingFor::Import;
        }
        if self.bodies.is_empty_at(next) {
            return WaitingFor::Import;
        }
        if let Some(held) = self.bodies.get(next) {
            return if held.verified { WaitingFor::Import } else { WaitingFor::Verification };
        }
        if self.peers.is_empty() {
            return WaitingFor::Peers;
        }
        if self.skeleton.linked() >= next {
            let owes = |work: &Work| matches!(work, Work::Bodies(bodies) if bodies.heights.contains(next));
            return WaitingFor::Body { height: next, peer: self.asked_for(owes) };
        }
        if self.checking.values().any(|checking| checking.range.contains(next)) {
            return WaitingFor::Verification;
        }
        WaitingFor::Headers { from: next, peer: self.asked_for_header(next) }
    }

    fn asked_for_header(&self, height: Height) -> Option<PeerId> {
        self.asked_for(|work| matches!(work, Work::Headers(range) if range.contains(height)))
    }

    fn asked_for(&self, owes: impl Fn(&Work) -> bool) -> Option<PeerId> {
        self.leases.iter().find(|(_, lease)| owes(&lease.work)).map(|(_, lease)| lease.peer)
    }
}

/// At most 15 authorities; more than 255 would be a bug, and count as 255.
fn count(set: &BTreeSet<AuthorityIndex>) -> u8 {
    u8::try_from(set.len()).unwrap_or(u8::MAX)
}
