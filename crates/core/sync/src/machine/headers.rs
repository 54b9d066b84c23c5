//! The skeleton grows: headers arrive, are verified, and are joined to what is there.

use core::time::Duration;
use std::sync::Arc;

use alys_chain::{BlockRef, Body, CertifiedHeader, Height, HeightRange, Moment};
use alys_peers::{Observation, Offence};
use alys_wire::PeerId;

use super::{Checking, SteppedBack, SyncMachine};
use crate::action::Action;
use crate::blame::Fault;
use crate::event::{HeaderVerdict, LeaseId};
use crate::lease::{Lease, Work};
use crate::peers::Kind;
use crate::report::{Proof, Report};
use crate::skeleton::{Entry, Joint};
use crate::target::Targets;

/// How often the same head is left for the same target: the headers above finality are few, but a peer could make us fetch them for ever.
const STEP_BACK_EVERY: Duration = Duration::from_secs(10);

impl SyncMachine {
    pub(super) fn on_headers_arrived(
        &mut self,
        now: Moment,
        id: LeaseId,
        headers: Vec<CertifiedHeader>,
        bytes: u64,
    ) {
        let Some(Work::Headers(asked)) = self.leases.get(id).map(|lease| lease.work.clone()) else { return };
        let Some(mut lease) = self.take_lease(id) else { return };
        lease.receive(now, bytes);
        self.heard_from(now, lease.peer);
        if !ascend_from(asked, &headers) {
            let proof = Proof { heights: Some(asked), block: None };
            return self.offend(now, lease.peer, Offence::Unrequested, proof);
        }
        self.judge_length(now, &lease, asked, &headers);
        if headers.is_empty() || (self.stands_beside(&headers) && self.step_back(now, false)) {
            return;
        }
        let (peer, headers): (PeerId, Arc<[CertifiedHeader]>) = (lease.peer, headers.into());
        self.checking.insert(id, Checking { peer, headers: headers.clone(), range: asked, since: now });
        self.act(Action::VerifyHeaders { lease: id, headers });
    }

    /// Whether these headers continue a block beside our durable one. Nobody can check them then: which sets must vouch for a block follows from
    /// its ancestry, and that of theirs is not here. So the way to it begins at the final block.
    fn stands_beside(&self, headers: &[CertifiedHeader]) -> bool {
        let base = self.skeleton.base();
        headers.first().is_some_and(|first| {
            Some(first.header.height) == base.height.next() && first.header.parent != base.id
        })
    }

    /// An answer is complete if it holds what was asked for, or reaches the head that the peer has proven.
    fn judge_length(&mut self, now: Moment, lease: &Lease, asked: HeightRange, headers: &[CertifiedHeader]) {
        let end = headers.last().map_or(asked.start, |last| last.header.height.saturating_add(1));
        let peer_ends =
            self.peers.get(&lease.peer).and_then(|peer| peer.head).map(|head| head.height.saturating_add(1));
        if end >= peer_ends.map_or(asked.end, |ends| asked.end.min(ends)) {
            self.peer_delivered(now, lease);
        } else {
            if headers.is_empty() {
                self.strike(now, lease, Kind::Headers);
            }
            self.fail_peer(now, lease.peer, Observation::Late);
        }
    }

    pub(super) fn on_headers_verified(&mut self, now: Moment, id: LeaseId, verdict: HeaderVerdict) {
        let Some(checking) = self.checking.remove(&id) else { return };
        let peer = checking.peer;
        match verdict.fault {
            Some(Fault::Peer(offence)) => {
                let bad = checking.headers.get(verdict.valid).map(|header| header.certificate.block);
                let proof = Proof { heights: Some(checking.range), block: bad };
                self.offend(now, peer, offence, proof);
            }
            Some(Fault::Moment(_) | Fault::Ours(_)) => self.rest_peer(now, peer),
            None => {
                if let Some(known) = self.peers.get_mut(&peer) {
                    known.has_served_headers = true;
                }
            }
        }
        let valid = checking.headers.get(..verdict.valid.min(checking.headers.len())).unwrap_or_default();
        let possible = self.possible(valid);
        if possible.len() < valid.len() {
            self.rest_peer(now, peer);
        }
        self.skeleton.insert(possible, peer);
        if let Some(last) = possible.last() {
            self.targets.prove(BlockRef::of(last));
            self.tell_target();
        }
        self.join(now);
        let held = verdict.held.min(possible.len()).checked_sub(1).and_then(|last| possible.get(last));
        if let Some(block) = held.map(BlockRef::of)
            && self.skeleton.linked() >= block.height
        {
            self.became_durable(now, block);
        }
    }

    /// The headers up to the first that the clock or the checkpoint forbids.
    fn possible<'a>(&self, headers: &'a [CertifiedHeader]) -> &'a [CertifiedHeader] {
        let checkpoint = self.order.and_then(|order| order.checkpoint);
        let is_possible = |header: &CertifiedHeader| {
            let block = BlockRef::of(header);
            let off_checkpoint = checkpoint.is_some_and(|c| c.height == block.height && c.id != block.id);
            Targets::is_possible(block, self.clock) && !off_checkpoint
        };
        let end = headers.iter().position(|header| !is_possible(header)).unwrap_or(headers.len());
        headers.get(..end).unwrap_or_default()
    }

    /// Links the skeleton as far as it goes, and clears what does not fit together.
    pub(super) fn join(&mut self, now: Moment) {
        let before = self.skeleton.linked();
        while let Joint::Broken { height, at_base, upper_is_final } = self.link() {
            self.report(Report::Unlinked { height });
            self.rest_server(now, height, !upper_is_final);
            if at_base {
                self.mend_at_base(now, height, upper_is_final);
            } else {
                self.mend(now, height, upper_is_final);
            }
        }
        if self.skeleton.linked() > before {
            self.watch.progress = now;
        }
    }

    /// Links as far as the headers agree, and looks which of these blocks are empty.
    fn link(&mut self) -> Joint {
        let before = self.skeleton.linked();
        let joint = self.skeleton.join();
        for height in (before.0..self.skeleton.linked().0).map(|below| Height(below).saturating_add(1)) {
            let is_empty = |entry: &Entry| entry.header.header.body_root == Body::empty_root();
            if self.skeleton.get(height).is_some_and(is_empty) && self.bodies.get(height).is_none() {
                self.bodies.know_empty(height);
            }
        }
        joint
    }

    /// Two ranges do not join: what is not proven final gives way.
    fn mend(&mut self, now: Moment, height: Height, upper_is_final: bool) {
        self.rest_server(now, height.prev().unwrap_or(height), true);
        if !upper_is_final {
            let gone = self.skeleton.drop_upper(height);
            self.forget(gone);
        }
        let gone = self.skeleton.drop_lower(height);
        self.forget(gone);
    }

    /// The range does not stand on our durable block: either we are on a dead branch above our final block, or it is.
    fn mend_at_base(&mut self, now: Moment, height: Height, upper_is_final: bool) {
        if !self.step_back(now, upper_is_final) {
            let gone = self.skeleton.drop_upper(height);
            self.forget(gone);
        }
    }

    /// Goes on from the final block, whose descendants are being looked for again. Without proof this is done now and then for a head and
    /// a target: whoever was asked last may have led us to the same dead end again. False if it was not done: never below the final block.
    pub(super) fn step_back(&mut self, now: Moment, proven: bool) -> bool {
        let (base, finalized) = (self.skeleton.base(), self.tip.finalized);
        let this =
            SteppedBack { head: self.tip.head.id, target: self.targets.best().map(|target| target.id) };
        let is_repeated =
            self.stepped_back.is_some_and(|(last, at)| last == this && now.since(at) < STEP_BACK_EVERY);
        if base.height <= finalized.height || (!proven && is_repeated) {
            return false;
        }
        self.stepped_back = Some((this, now));
        let stale = HeightRange::new(finalized.height.saturating_add(1), base.height.saturating_add(1));
        self.forget(stale);
        self.skeleton.step_back(finalized);
        self.watch.progress = now;
        self.report(Report::SteppedBack { head: self.tip.head, finalized });
        true
    }

    fn rest_server(&mut self, now: Moment, height: Height, is_suspect: bool) {
        if is_suspect && let Some(peer) = self.skeleton.get(height).map(|entry| entry.peer) {
            self.rest_peer(now, peer);
        }
    }

    /// What was done for these heights is void: their blocks are not on the chain.
    pub(super) fn forget(&mut self, range: HeightRange) {
        self.release_bodies(range);
        let touches =
            |lease: &Lease| lease.bodies().is_some_and(|work| work.heights.iter().any(|r| overlap(r, range)));
        let void: Vec<LeaseId> =
            self.leases.iter().filter(|(_, lease)| touches(lease)).map(|(id, _)| id).collect();
        void.into_iter().for_each(|id| self.withdraw(id));
    }
}

/// Whether these are headers of the range that was asked for: from its first height on, without a hole, and not beyond it.
fn ascend_from(asked: HeightRange, headers: &[CertifiedHeader]) -> bool {
    let expected = (asked.start.0..asked.end.0).map(Height);
    headers.len() as u64 <= asked.len()
        && headers.iter().zip(expected).all(|(h, height)| h.header.height == height)
}

fn overlap(a: HeightRange, b: HeightRange) -> bool {
    a.start < b.end && b.start < a.end
}
