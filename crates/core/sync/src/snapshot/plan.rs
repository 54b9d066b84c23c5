//! What is to be done next follows from what is known.

use core::time::Duration;
use std::collections::BTreeSet;

use alys_chain::Moment;
use alys_wire::PeerId;

use super::choice::choose;
use super::lease::Work;
use super::{Action, Report, SnapshotMachine, Target};
use crate::event::LeaseId;

/// Buckets in flight with one server: one on its way, one asked for behind it, so that its line is never idle.
pub(super) const PER_SERVER: usize = 2;

/// Buckets in flight altogether. Each is held in memory until its last account has proven it: with 10 million accounts 2.3 MB, so 37 MB.
const IN_FLIGHT: usize = 16;

/// How often a peer is asked what it offers, as long as a state is looked for or fetched.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// How long offers are collected after the first one, so that the choice is not that of the fastest peer.
const COLLECT: Duration = Duration::from_secs(2);

/// How long a state that was begun is looked for before another one is taken, after a restart, and when its servers are gone. As long as
/// it takes a peer to connect again and to be asked.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long nobody may have a state to offer before the node begins with genesis. Servers have one as soon as four blocks are final, so on a young chain that
/// is the better way, and on an old one the first peers may be light or fresh nodes: some rounds of asking, in which others connect.
const NOBODY: Duration = Duration::from_secs(60);

impl SnapshotMachine {
    /// Plans it.
    pub(super) fn plan(&mut self, now: Moment) {
        if self.is_pointless(now) {
            self.over = true;
            self.out.push(Action::Forgo);
            return;
        }
        self.ask_for_offers(now);
        self.give_up_what_is_gone(now);
        self.choose_target(now);
        let Some(target) = &self.target else { return };
        if !target.begun {
            self.ask_for_sums(now);
        } else if target.complete.len() == 256 {
            if !self.installing && now >= self.install_after {
                self.installing = true;
                self.out.push(Action::Install);
            }
        } else {
            self.ask_for_buckets(now);
        }
    }

    fn is_pointless(&self, now: Moment) -> bool {
        let nobody = self.target.is_none() && !self.servers.offer_anything();
        nobody && self.none_since.is_some_and(|since| now.since(since) >= NOBODY)
    }

    fn ask_for_offers(&mut self, now: Moment) {
        for peer in self.servers.to_be_asked(now, ASK_EVERY) {
            let lease = self.grant(now, peer, Work::Offers);
            self.out.push(Action::AskOffers { lease, peer });
        }
    }

    /// A state without a server is given up after a while, if there is another one.
    fn give_up_what_is_gone(&mut self, now: Moment) {
        let Some(target) = &mut self.target else { return };
        if self.servers.offering(&target.block).next().is_some()
            || self.installing
            || target.complete.len() == 256
        {
            target.seen = now;
        } else if now.since(target.seen) >= PATIENCE && self.servers.offer_anything() {
            let block = target.block;
            self.begin_anew(now);
            self.out.push(Action::Report(Report::GivenUp { block }));
        }
    }

    fn choose_target(&mut self, now: Moment) {
        let Some(first) = self.first_offer.filter(|_| self.target.is_none()) else { return };
        let asking = self.leases.any(Work::Offers);
        if asking && now.since(first) < COLLECT {
            return;
        }
        let Some((block, servers)) = choose(self.servers.all_offers()) else { return };
        self.target = Some(Target { block, begun: false, complete: BTreeSet::new(), seen: now });
        self.out.push(Action::Report(Report::Chosen { block, servers }));
    }

    fn ask_for_sums(&mut self, now: Moment) {
        let Some(block) = self.target.as_ref().map(|target| target.block) else { return };
        if self.leases.any(Work::Sums) {
            return;
        }
        if let Some(peer) = self.servers.ready(now, &block).first().copied() {
            let lease = self.grant(now, peer, Work::Sums);
            self.out.push(Action::AskSums { lease, peer, block });
        }
    }

    /// The lowest missing bucket to the server with the fewest in flight, as long as there is room.
    fn ask_for_buckets(&mut self, now: Moment) {
        let Some(target) = &self.target else { return };
        let block = target.block;
        let asked: BTreeSet<u8> = self.leases.buckets().collect();
        let missing: Vec<u8> =
            (0..=u8::MAX).filter(|b| !target.complete.contains(b) && !asked.contains(b)).collect();
        let room = IN_FLIGHT.saturating_sub(asked.len());
        let ready = self.servers.ready(now, &block);
        for bucket in missing.into_iter().take(room) {
            let load = |peer: &PeerId| self.leases.buckets_of(*peer);
            let Some(peer) = ready.iter().copied().filter(|p| load(p) < PER_SERVER).min_by_key(load) else {
                return;
            };
            let lease = self.grant(now, peer, Work::Bucket(bucket));
            self.out.push(Action::AskBucket { lease, peer, bucket });
        }
    }

    fn grant(&mut self, now: Moment, peer: PeerId, work: Work) -> LeaseId {
        let id = self.leases.grant(now, peer, work);
        self.servers.asked(now, peer, work == Work::Offers);
        id
    }
}
