//! How leases end. There is one way out for all of them, so that bytes and ranges always come back.

use alys_chain::Moment;
use alys_peers::Observation;
use alys_wire::PeerId;

use super::SyncMachine;
use crate::action::Action;
use crate::blame::Fault;
use crate::event::{LeaseEnd, LeaseId};
use crate::lease::{Lease, Work};
use crate::peers::{Kind, Peer};
use crate::report::{Proof, Report};
use crate::scheduler::MAX_BODY_BYTES;
use crate::terms::Reason;

use core::time::Duration;

/// A server may end an answer here; a shorter one of this size is complete in its way.
const FULL_ANSWER_BYTES: u64 = crate::link::MAX_CHUNK_BYTES - MAX_BODY_BYTES;

impl SyncMachine {
    pub(super) fn on_lease_progress(&mut self, now: Moment, lease: LeaseId) {
        if let Some(lease) = self.leases.get_mut(lease) {
            lease.receive(now, 0);
            let peer = lease.peer;
            self.heard_from(now, peer);
        }
    }

    pub(super) fn on_lease_ended(&mut self, now: Moment, id: LeaseId, end: LeaseEnd) {
        let Some(lease) = self.take_lease(id) else { return };
        match end {
            LeaseEnd::Served => self.lease_served(now, &lease),
            LeaseEnd::Refused { retry_after } => {
                self.refused(now, &lease);
                if let Some(peer) = self.peers.get_mut(&lease.peer) {
                    peer.defer(now, retry_after);
                }
                self.observe(now, lease.peer, Observation::Refused { retry_after });
            }
            LeaseEnd::TimedOut => self.lease_timed_out(now, &lease),
            LeaseEnd::Failed(Fault::Peer(offence)) => {
                self.offend(now, lease.peer, offence, Proof { heights: lease.heights(), block: None });
            }
            LeaseEnd::Failed(Fault::Moment(_)) => self.fail_peer(now, lease.peer, Observation::Unreachable),
            LeaseEnd::Failed(Fault::Ours(_)) => self.rest_peer(now, lease.peer),
        }
    }

    /// A busy peer is no bad one, but whoever is busy again each time that it wanted to be asked brings nothing. Of requests that were out together one
    /// counts. Once that has set it back, it rests as long as one that fails, whatever it wants.
    fn refused(&mut self, now: Moment, lease: &Lease) {
        let Some(peer) = self.peers.get_mut(&lease.peer) else { return };
        let is_another_time = peer.refused.is_none_or(|before| lease.asked >= before);
        peer.refused = Some(now);
        if is_another_time && let Some(kind) = lease.kind() {
            self.strike(now, lease, kind);
            if self.peers.get(&lease.peer).is_some_and(|peer| peer.rank(now) > 0) {
                self.rest_peer(now, lease.peer);
            }
        }
    }

    /// Ends what is overdue. While the importer is offline nothing is.
    pub(super) fn expire_leases(&mut self, now: Moment) {
        if self.clock_stands() {
            return;
        }
        let overdue: Vec<LeaseId> =
            self.leases.iter().filter(|(_, lease)| self.expiry(lease) <= now).map(|(id, _)| id).collect();
        for id in overdue {
            if let Some(lease) = self.take_lease(id) {
                self.act(Action::Cancel { lease: id });
                self.lease_timed_out(now, &lease);
            }
        }
    }

    /// When this lease ends if nothing comes.
    pub(super) fn expiry(&self, lease: &Lease) -> Moment {
        let Some(peer) = self.peers.get(&lease.peer) else { return lease.expires(Moment::START) };
        lease.expires(peer.last_byte).min(self.drips_at(lease, peer))
    }

    /// When this lease ends since its peer sends less than the slowest useful rate. What came is kept, the rest goes elsewhere.
    fn drips_at(&self, lease: &Lease, peer: &Peer) -> Moment {
        match lease.work {
            Work::Bodies(_) => peer.drips_at(lease.asked, self.bodies.expected_cost()),
            // Their bytes are seen at the end only; their deadline is short.
            Work::Headers(_) | Work::Status => lease.deadline,
        }
    }

    /// Ends a lease from our side; nobody is blamed.
    pub(super) fn withdraw(&mut self, id: LeaseId) {
        if self.take_lease(id).is_some() {
            self.act(Action::Cancel { lease: id });
        }
    }

    /// Takes the lease out; what it had reserved is free again, what it still owed is missing again.
    pub(super) fn take_lease(&mut self, id: LeaseId) -> Option<Lease> {
        let lease = self.leases.end(id)?;
        if let Work::Bodies(work) = &lease.work {
            self.budget.release(work.reserved);
            self.settle_hedges(work);
        }
        Some(lease)
    }

    /// The answer ended. A short one means nothing about the chain: the rest is asked of another.
    pub(super) fn lease_served(&mut self, now: Moment, lease: &Lease) {
        let complete = match &lease.work {
            Work::Status => return,
            Work::Headers(_) => false,
            Work::Bodies(work) => work.wanted.is_empty() || lease.bytes >= FULL_ANSWER_BYTES,
        };
        if complete {
            self.peer_delivered(now, lease);
        } else {
            if let Some(kind) = lease.kind().filter(|_| lease.bytes == 0) {
                self.strike(now, lease, kind);
            }
            self.fail_peer(now, lease.peer, Observation::Late);
        }
    }

    /// A request of this kind brought nothing. While most peers fail the reason is likelier ours, and nobody is set back.
    pub(super) fn strike(&mut self, now: Moment, lease: &Lease, kind: Kind) {
        if self.blame.suspects_ourselves() {
            return;
        }
        let peer = lease.peer;
        let strikes = self.peers.get_mut(&peer).and_then(|known| known.strike(now, lease.asked, kind));
        if let Some(strikes) = strikes {
            self.report(Report::SetBack { peer, strikes });
        }
    }

    pub(super) fn learn_rtt(&mut self, peer: PeerId, first_byte: Duration) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.link.learn_rtt(first_byte);
        }
        self.tell_terms(peer, Reason::RoundTrip);
    }

    /// Tells people when a peer is asked by other terms than before.
    pub(super) fn tell_terms(&mut self, peer: PeerId, reason: Reason) {
        if let Some((from, to)) = self.peers.get_mut(&peer).and_then(Peer::tell_terms) {
            self.report(Report::Tuned { peer, from, to, reason });
        }
    }

    /// A complete answer: the link is measured, the peer is as good as new.
    pub(super) fn peer_delivered(&mut self, now: Moment, lease: &Lease) {
        let first = lease.first_byte.unwrap_or(now);
        let (first_byte, transfer) = (first.since(lease.asked), now.since(first));
        if let Some(peer) = self.peers.get_mut(&lease.peer) {
            peer.succeed();
            peer.delivered = now;
            lease.kind().into_iter().for_each(|kind| peer.clear(kind));
            peer.link.learn_bandwidth(lease.bytes, transfer);
        }
        self.tell_terms(lease.peer, Reason::Bandwidth);
        if lease.alone {
            self.learn_rtt(lease.peer, first_byte);
        }
        self.observe(now, lease.peer, Observation::Served { bytes: lease.bytes, first_byte, transfer });
    }

    fn lease_timed_out(&mut self, now: Moment, lease: &Lease) {
        let Some(peer) = self.peers.get(&lease.peer) else { return };
        let drips = lease.bodies().is_some() && self.drips_at(lease, peer) <= now;
        let is_silent = now.since(lease.asked.max(peer.last_byte)) >= lease.silence;
        let Some(peer) = self.peers.get_mut(&lease.peer) else { return };
        // A peer that falls silent ends all that it was asked for, at once: that is one thing to learn, not as many as there were requests.
        let is_news = peer.fall_silent(now, lease.asked);
        match lease.first_byte.filter(|_| lease.is_flowing()) {
            Some(first) => peer.link.learn_bandwidth(lease.bytes, now.since(first)),
            // A line that stands still is not a slow one.
            None if is_news && !is_silent => peer.link.learn_timeout(),
            None => {}
        }
        // Whose other answers came meanwhile is well: this one was lost.
        let is_well = peer.delivered > lease.asked;
        self.tell_terms(lease.peer, Reason::TimedOut);
        if (drips || !lease.is_flowing())
            && let Some(kind) = lease.kind()
        {
            self.strike(now, lease, kind);
        }
        if !is_well {
            self.rest_peer(now, lease.peer);
        }
        if is_news {
            self.observe(now, lease.peer, Observation::TimedOut);
        }
    }

    /// The peer did not deliver: it rests, and the book hears of it.
    pub(super) fn fail_peer(&mut self, now: Moment, peer: PeerId, what: Observation) {
        self.rest_peer(now, peer);
        self.observe(now, peer, what);
    }

    /// The peer rests; nobody is to blame.
    pub(super) fn rest_peer(&mut self, now: Moment, peer: PeerId) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.fail(now);
        }
    }

    /// A byte came from this peer.
    pub(super) fn heard_from(&mut self, now: Moment, peer: PeerId) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.last_byte = now;
        }
    }
}
