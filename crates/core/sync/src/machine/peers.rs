//! Peers come, prove their heads, and go.

use alys_chain::{AuthorityIndex, BlockRef, CertifiedHeader, Height, Moment};
use alys_peers::Observation;
use alys_wire::PeerId;

use super::SyncMachine;
use crate::action::Action;
use crate::gate::Federation;
use crate::lease::{Lease, Work};
use crate::link::MAX_TIMEOUT;
use crate::mode::Mode;
use crate::report::Report;
use crate::target::Targets;

use core::time::Duration;

/// How often a peer is asked for its status while we are not synced: the target moves by a block each slot.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// How often once we are: gossip brings the news; the poll only finds what gossip lost.
const STATUS_EVERY_SYNCED: Duration = Duration::from_secs(5);
/// How many peers are asked in one tick, so that a thousand peers are no burst.
const STATUSES_A_TICK: usize = 16;

impl SyncMachine {
    pub(super) fn on_peer_connected(&mut self, now: Moment, peer: PeerId) {
        self.peers.entry(peer).or_default();
        if self.is_active() {
            self.ask_status(now, peer);
        }
    }

    pub(super) fn on_peer_identified(
        &mut self,
        now: Moment,
        peer: PeerId,
        authority: Option<AuthorityIndex>,
    ) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.authority = authority;
            if let Some(authority) = authority {
                self.authorities.hear(now, authority);
            }
        }
    }

    pub(super) fn on_peer_disconnected(&mut self, peer: PeerId) {
        self.peers.remove(&peer);
        self.targets.forget(peer);
        let ids: Vec<_> = self.leases.of_peer(peer).map(|(id, _)| id).collect();
        ids.into_iter().for_each(|id| self.withdraw(id));
    }

    pub(super) fn on_peer_status(
        &mut self,
        now: Moment,
        peer: PeerId,
        head: Option<CertifiedHeader>,
        earliest: Height,
    ) {
        self.end_status_lease(now, peer);
        let shown = head.as_ref().map(BlockRef::of);
        let possible = shown.is_none_or(|block| Targets::is_possible(block, self.clock));
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if let Some(authority) = known.authority {
            self.authorities.hear(now, authority);
        }
        if possible {
            known.status_at = Some(now);
            known.head = shown;
            known.earliest = earliest;
            self.targets.show(peer, shown, self.clock);
            self.tell_target();
        }
    }

    /// An answered status measures the round trip, if the peer had nothing else to send.
    fn end_status_lease(&mut self, now: Moment, peer: PeerId) {
        let status =
            self.leases.of_peer(peer).find(|(_, lease)| lease.work == Work::Status).map(|(id, _)| id);
        let Some(lease) = status.and_then(|id| self.leases.end(id)) else { return };
        let before = self.blame.suspects_ourselves();
        self.blame.our_side_works(now);
        self.tell_suspicion(before);
        if let Some(known) = self.peers.get_mut(&peer) {
            known.last_byte = now;
        }
        if lease.alone {
            self.learn_rtt(peer, now.since(lease.asked));
        }
    }

    pub(super) fn on_federation_changed(&mut self, now: Moment, federation: Federation) {
        // Also where the new set is as large as the old one: its places mean other authorities.
        self.federation = federation;
        self.authorities.reset();
        self.note_cut(now);
    }

    /// Tells people when the target is another one.
    pub(super) fn tell_target(&mut self) {
        if let Some(target) = self.targets.best()
            && self.told_target != Some(target.id)
        {
            self.told_target = Some(target.id);
            self.report(Report::TargetChanged { target });
        }
    }

    /// Asks every peer for its status, at most so many at once.
    pub(super) fn ask_statuses(&mut self, now: Moment) {
        let every = if self.mode == Mode::Synced { STATUS_EVERY_SYNCED } else { STATUS_EVERY };
        let is_due = |asked: Option<Moment>| asked.is_none_or(|asked| now.since(asked) >= every);
        let mut due: Vec<(Option<Moment>, PeerId)> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.is_ready(now) && is_due(peer.asked_at))
            .map(|(&id, peer)| (peer.asked_at, id))
            .collect();
        due.sort_unstable();
        due.into_iter().take(STATUSES_A_TICK).for_each(|(_, peer)| self.ask_status(now, peer));
    }

    fn ask_status(&mut self, now: Moment, peer: PeerId) {
        if self.leases.of_peer(peer).any(|(_, lease)| lease.work == Work::Status) {
            return;
        }
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.asked_at = Some(now);
        // A status may wait behind a whole range of bodies: its patience is the longest.
        let deadline = now.after(MAX_TIMEOUT);
        let mut lease = Lease::new(peer, Work::Status, now, deadline, MAX_TIMEOUT);
        lease.alone = self.leases.of_peer(peer).next().is_none();
        let lease = self.leases.grant(lease);
        self.act(Action::RequestStatus { lease, peer, deadline });
    }

    /// Tells the peer book what was seen.
    pub(super) fn observe(&mut self, now: Moment, peer: PeerId, what: Observation) {
        let before = self.blame.suspects_ourselves();
        self.blame.note(now, peer, what, self.peers.len());
        self.tell_suspicion(before);
        self.act(Action::Observe { peer, what });
    }

    pub(super) fn tell_suspicion(&mut self, before: bool) {
        let suspect = self.blame.suspects_ourselves();
        if suspect != before {
            self.report(Report::SuspectOurselves { suspect });
        }
    }
}
