//! What has happened changes what is known.

use core::time::Duration;

use alys_chain::{BlockRef, Moment};
use alys_peers::Observation;
use alys_wire::PeerId;

use super::lease::{Lease, Work};
use super::{Action, Event, SnapshotMachine};
use crate::blame::Fault;
use crate::event::{LeaseEnd, LeaseId};

/// How long after an installation that failed the same is tried again. A full disk is a person's business, and a try reads 256 sums: sooner would only
/// fill the log, later would be noticed.
const INSTALL_REST: Duration = Duration::from_secs(5);

impl SnapshotMachine {
    /// Takes it in. What follows from it is planned afterwards.
    pub(super) fn on(&mut self, now: Moment, event: Event) {
        match event {
            Event::PeerConnected { peer } => self.servers.connected(peer),
            Event::PeerDisconnected { peer } => self.on_disconnected(peer),
            Event::Offered { lease, blocks } => self.on_offered(now, lease, blocks),
            Event::SumsStored { lease } => self.on_sums(now, lease),
            Event::BucketStored { lease } => self.on_bucket(now, lease),
            Event::Progress { lease } => self.leases.progress(now, lease),
            Event::Ended { lease, end } => self.on_ended(now, lease, end),
            Event::Installed => self.over = true,
            Event::InstallFailed => self.on_install_failed(now),
            Event::StagedWrong => self.begin_anew(now),
            Event::Tick => self.expire(now),
        }
    }

    fn on_disconnected(&mut self, peer: PeerId) {
        self.servers.disconnected(peer);
        self.leases.of_peer(peer).into_iter().for_each(|lease| self.cancel(lease));
    }

    fn on_offered(&mut self, now: Moment, lease: LeaseId, blocks: Vec<BlockRef>) {
        let Some(ended) = self.leases.end(lease) else { return };
        if blocks.is_empty() {
            self.none_since.get_or_insert(now);
        } else {
            self.none_since = None;
            self.first_offer.get_or_insert(now);
        }
        self.servers.offers(ended.peer, blocks);
    }

    fn on_sums(&mut self, now: Moment, lease: LeaseId) {
        let Some(ended) = self.leases.end(lease) else { return };
        self.servers.served(ended.peer);
        if let Some(target) = &mut self.target {
            (target.begun, target.seen) = (true, now);
        }
    }

    fn on_bucket(&mut self, now: Moment, lease: LeaseId) {
        let Some(Lease { peer, work: Work::Bucket(bucket), .. }) = self.leases.end(lease) else { return };
        self.servers.served(peer);
        if let Some(target) = &mut self.target {
            target.complete.insert(bucket);
            target.seen = now;
        }
    }

    fn on_ended(&mut self, now: Moment, lease: LeaseId, end: LeaseEnd) {
        let Some(ended) = self.leases.end(lease) else { return };
        let peer = ended.peer;
        let what = match end {
            // It said that it has it, and does not: it is asked again what it offers.
            LeaseEnd::Served => {
                self.servers.offers(peer, Vec::new());
                Observation::Late
            }
            LeaseEnd::Refused { retry_after } => {
                self.servers.rest(now, peer, retry_after);
                return self.observe(peer, Observation::Refused { retry_after });
            }
            LeaseEnd::TimedOut => Observation::TimedOut,
            LeaseEnd::Failed(Fault::Moment(_)) => Observation::Unreachable,
            // Our own disk or pool: nobody is blamed, and the same is tried again after a while.
            LeaseEnd::Failed(Fault::Ours(_)) => return self.servers.failed(now, peer),
            LeaseEnd::Failed(Fault::Peer(offence)) => {
                self.servers.exclude(peer);
                return self.observe(peer, Observation::Offence(offence));
            }
        };
        self.servers.failed(now, peer);
        self.observe(peer, what);
    }

    fn on_install_failed(&mut self, now: Moment) {
        self.installing = false;
        self.install_after = now.after(INSTALL_REST);
    }

    /// The state is looked for again, as if none had been chosen.
    pub(super) fn begin_anew(&mut self, now: Moment) {
        self.target = None;
        self.installing = false;
        self.first_offer = Some(now);
        self.leases.working().into_iter().for_each(|lease| self.cancel(lease));
    }

    /// Gives up what is silent, or takes too long.
    fn expire(&mut self, now: Moment) {
        for (id, peer) in self.leases.late(now) {
            self.cancel(id);
            self.servers.failed(now, peer);
            self.observe(peer, Observation::TimedOut);
        }
    }

    fn cancel(&mut self, lease: LeaseId) {
        if self.leases.end(lease).is_some() {
            self.out.push(Action::Cancel { lease });
        }
    }

    fn observe(&mut self, peer: PeerId, what: Observation) {
        self.out.push(Action::Observe { peer, what });
    }
}
