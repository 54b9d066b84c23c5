//! Bodies arrive and are verified.

use alys_chain::{BlockId, Height, Moment};
use alys_peers::{Observation, Offence};

use super::SyncMachine;
use crate::blame::Fault;
use crate::bodies::{Held, OVERHEAD_BYTES};
use crate::event::{Action, ArrivedBody, BatchId, LeaseId};
use crate::lease::Work;
use crate::link::MAX_TIMEOUT;

use core::time::Duration;

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
    }

    /// Takes one body in, if it was asked for in this lease, is still needed, and fits.
    fn take_body(&mut self, now: Moment, id: LeaseId, body: ArrivedBody) {
        let cost = body.bytes.saturating_add(OVERHEAD_BYTES);
        let Some(lease) = self.leases.get_mut(id) else {
            return self.act(Action::Release { ids: vec![body.id] });
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
        self.bodies.learn_size(body.bytes);
        self.heard_from(now, peer);
        if height <= self.skeleton.base().height {
            return self.act(Action::Release { ids: vec![body.id] });
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
        self.act(Action::Release { ids: vec![block] });
        if let Some(lease) = self.take_lease(id) {
            self.act(Action::Cancel { lease: id });
            self.fail_peer(now, lease.peer, Observation::Offence(Offence::Unrequested));
        }
    }

    pub(super) fn on_bodies_verified(&mut self, now: Moment, batch: BatchId, faults: Vec<(BlockId, Fault)>) {
        let Some(verifying) = self.verifying.remove(&batch) else { return };
        for (height, id) in verifying.blocks {
            match faults.iter().find(|(block, _)| *block == id).map(|(_, fault)| fault) {
                None => self.bodies.verified(height, id),
                Some(Fault::Peer(offence)) => self.discard_body(now, height, id, *offence),
                Some(Fault::Moment(_) | Fault::Ours(_)) => {
                    self.bodies.verify_again(height, id);
                    self.verify_after = now.after(VERIFY_AGAIN_AFTER);
                }
            }
        }
    }

    /// The body is provably not the block's: it goes, its server is reported, another one is asked.
    pub(super) fn discard_body(&mut self, now: Moment, height: Height, id: BlockId, offence: Offence) {
        let Some(held) = self.bodies.get(height).copied().filter(|held| held.id == id) else { return };
        self.bodies.remove(height);
        self.budget.release(held.cost);
        self.act(Action::Release { ids: vec![id] });
        self.fail_peer(now, held.peer, Observation::Offence(offence));
    }

    /// The lowest linked height whose body is not held: everything waits for it.
    pub(super) fn head_of_line(&self) -> Option<Height> {
        self.bodies.missing(self.skeleton.linked_range(), &crate::gaps::HeightRanges::EMPTY).first()
    }
}
