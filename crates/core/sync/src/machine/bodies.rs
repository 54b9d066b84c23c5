//! Bodies arrive and are verified.

use alys_chain::{BlockId, Height, HeightRange, Moment};
use alys_peers::{Observation, Offence};
use alys_wire::PeerId;

use super::SyncMachine;
use super::tick::VERIFY_PATIENCE;
use crate::action::Action;
use crate::blame::Fault;
use crate::bodies::{Held, OVERHEAD_BYTES};
use crate::event::{ArrivedBody, BatchId, LeaseId};
use crate::lease::Work;
use crate::link::MAX_TIMEOUT;
use crate::report::{Proof, Report};

use core::time::Duration;
use std::collections::BTreeMap;

/// How many offenders of the last half minute are remembered: more only lets one lot be reported twice.
const OFFENDERS: usize = 256;
/// The pause before bodies are verified again when that failed by a fault of ours or of the moment.
const VERIFY_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl SyncMachine {
    pub(super) fn on_bodies_arrived(&mut self, now: Moment, id: LeaseId, bodies: Vec<ArrivedBody>) {
        for body in bodies {
            self.take_body(now, id, body);
        }
        let done =
            self.leases.get(id).and_then(|lease| lease.bodies()).is_some_and(|work| work.wanted.is_empty());
        if done && let Some(lease) = self.take_lease(id) {
            self.lease_served(now, &lease);
        }
        self.end_redundant(now);
    }

    /// Takes one body in, if it was asked for in this lease, is still needed, and fits.
    fn take_body(&mut self, now: Moment, id: LeaseId, body: ArrivedBody) {
        let cost = body.bytes.saturating_add(OVERHEAD_BYTES);
        let Some(lease) = self.leases.get_mut(id) else {
            if !self.bodies.holds(body.id) {
                self.act(Action::Release { ids: vec![body.id] });
            }
            return;
        };
        lease.receive(now, cost);
        let peer = lease.peer;
        let Work::Bodies(work) = &mut lease.work else {
            return self.refuse_body(now, id, body.id);
        };
        let Some(height) = work.wanted.remove(&body.id) else {
            return self.refuse_body(now, id, body.id);
        };
        work.heights.remove_height(height);
        let is_second = work.is_second;
        self.bodies.learn_size(body.bytes);
        if let Some(known) = self.peers.get_mut(&peer) {
            known.receive(now, cost);
        }
        if height <= self.skeleton.base().height {
            self.hedging.duplicate(body.id, cost);
            return self.act(Action::Release { ids: vec![body.id] });
        }
        if self.bodies.get(height).is_some_and(|held| held.id == body.id) {
            // The shell keeps the first copy.
            return self.hedging.duplicate(body.id, cost);
        }
        if !self.pay(id, height, cost) {
            // More than we have room for: what came before is kept, the rest is asked for when there is room.
            self.act(Action::Release { ids: vec![body.id] });
            if self
                .leases
                .get(id)
                .and_then(|lease| lease.bodies())
                .is_some_and(|work| !work.wanted.is_empty())
            {
                self.withdraw(id);
            }
            return;
        }
        self.bodies.arrive(height, Held { id: body.id, cost, peer, verified: false });
        self.hedging.receive(cost, is_second);
        self.extend(now, id);
    }

    /// Pays for a body: from what its lease has reserved, and beyond that from the budget.
    fn pay(&mut self, id: LeaseId, height: Height, cost: u64) -> bool {
        let is_head = self.head_of_line() == Some(height);
        let Some(Work::Bodies(work)) = self.leases.get_mut(id).map(|lease| &mut lease.work) else {
            return false;
        };
        let beyond = cost.saturating_sub(work.reserved);
        if beyond > 0 && !self.budget.reserve(beyond, is_head) {
            return false;
        }
        work.reserved = work.reserved.saturating_sub(cost);
        true
    }

    /// While bodies come, a lease is judged by the size that they turn out to have, not by the size that was guessed.
    fn extend(&mut self, now: Moment, id: LeaseId) {
        let cost = self.bodies.expected_cost();
        let Some(lease) = self.leases.get_mut(id) else { return };
        let Work::Bodies(work) = &lease.work else { return };
        let Some(peer) = self.peers.get(&lease.peer) else { return };
        let left = cost.saturating_mul(work.wanted.len() as u64);
        let latest = lease.asked.after(MAX_TIMEOUT);
        lease.deadline = lease.deadline.max(now.after(peer.link.timeout(left)).min(latest));
    }

    /// Nobody asked for this: provable by what was asked and what came.
    fn refuse_body(&mut self, now: Moment, id: LeaseId, block: BlockId) {
        // What another one has served stays: it was first.
        if !self.bodies.holds(block) {
            self.act(Action::Release { ids: vec![block] });
        }
        if let Some(lease) = self.take_lease(id) {
            self.act(Action::Cancel { lease: id });
            let proof = Proof { block: Some(block), ..Proof::default() };
            self.offend(now, lease.peer, Offence::Unrequested, proof);
        }
    }

    pub(super) fn on_bodies_verified(&mut self, now: Moment, batch: BatchId, faults: Vec<(BlockId, Fault)>) {
        let Some(verifying) = self.verifying.remove(&batch) else { return };
        let faults: BTreeMap<BlockId, Fault> = faults.into_iter().collect();
        let mut guilty = BTreeMap::new();
        for (height, id, peer) in verifying.blocks {
            match faults.get(&id) {
                None => {
                    self.bodies.verified(height, id);
                    self.has_served_a_body(peer);
                }
                Some(Fault::Peer(offence)) => {
                    // What another one has served since is not what was found bad.
                    if self.bodies.get(height).is_some_and(|held| held.id == id && held.peer == peer) {
                        self.take_out(height);
                        guilty.entry(peer).or_insert((*offence, height, id));
                    }
                }
                Some(Fault::Moment(_) | Fault::Ours(_)) => {
                    self.bodies.verify_again(height, id);
                    self.verify_after = now.after(VERIFY_AGAIN_AFTER);
                }
            }
        }
        for (peer, (offence, height, id)) in guilty {
            // One lot is one offence, in however many batches it is checked.
            let is_told = self.offended.get(&peer).is_some_and(|&at| at > verifying.since);
            if !is_told {
                self.offend(now, peer, offence, proof_of(height, id));
            }
        }
    }

    fn has_served_a_body(&mut self, peer: PeerId) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.has_served_bodies = true;
        }
    }

    pub(super) fn take_out(&mut self, height: Height) {
        if let Some(held) = self.bodies.remove(height) {
            self.budget.release(held.cost);
            self.act(Action::Release { ids: vec![held.id] });
        }
    }

    /// The peer did what no correct node does: it is reported, and what else it has served or was asked for is not waited for, nor checked.
    pub(super) fn offend(&mut self, now: Moment, peer: PeerId, offence: Offence, proof: Proof) {
        let leases: Vec<LeaseId> = self.leases.of_peer(peer).map(|(id, _)| id).collect();
        leases.into_iter().for_each(|id| self.withdraw(id));
        self.checking.retain(|_, checking| checking.peer != peer);
        self.bodies.waiting_of(peer).into_iter().for_each(|height| self.take_out(height));
        self.remember_offence(now, peer);
        if let Some(known) = self.peers.get_mut(&peer) {
            (known.has_served_headers, known.has_served_bodies) = (false, false);
        }
        self.report(Report::Blamed { peer, offence, proof });
        self.fail_peer(now, peer, Observation::Offence(offence));
    }

    fn remember_offence(&mut self, now: Moment, peer: PeerId) {
        self.offended.retain(|_, &mut at| now.since(at) < VERIFY_PATIENCE);
        if self.offended.len() < OFFENDERS {
            self.offended.insert(peer, now);
        }
    }

    /// The body is provably not the block's: it goes, its server is reported, another one is asked.
    pub(super) fn discard_body(&mut self, now: Moment, height: Height, id: BlockId, offence: Offence) {
        let Some(held) = self.bodies.get(height).copied().filter(|held| held.id == id) else { return };
        self.take_out(height);
        self.offend(now, held.peer, offence, proof_of(height, id));
    }

    /// The lowest linked height whose body is not held: everything waits for it.
    pub(super) fn head_of_line(&self) -> Option<Height> {
        self.bodies.lowest_missing(self.skeleton.linked_range())
    }
}

/// A body that is not the block's is proof by itself.
const fn proof_of(height: Height, id: BlockId) -> Proof {
    Proof { heights: Some(HeightRange::new(height, height.saturating_add(1))), block: Some(id) }
}
