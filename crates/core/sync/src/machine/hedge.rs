//! The head of the line, when its peer is late with it: a second peer is asked for the same bodies, and the first copy counts.

use core::time::Duration;

use alys_chain::{Height, HeightRange, Moment};
use alys_wire::PeerId;

use super::SyncMachine;
use crate::event::LeaseId;
use crate::gaps::HeightRanges;
use crate::lease::{BodyWork, Lease};
use crate::peers::Peer;
use crate::report::Report;
use crate::scheduler::{self, BODIES_PER_REQUEST, Offer};
use crate::terms::Reason;

/// The head is late after so many halves of the time that its peer's bandwidth and round trip allow: three, which is half of the time after which
/// the request is given up.
const LATE_HALVES: u32 = 3;
/// Before so much time has passed nothing is late: a lost packet costs a fifth of a second, a busy server a moment.
const LEAST_LATE: Duration = Duration::from_millis(250);

/// A request that holds the head of the line.
#[derive(Clone, Debug)]
struct Holder {
    head: Height,
    peer: PeerId,
    /// What it owes, from the head on.
    owes: HeightRanges,
    asked: Moment,
    /// When the head should have come.
    expected: Moment,
    /// When it is late.
    late: Moment,
}

impl SyncMachine {
    /// Asks a second peer for the head of the line and what follows it, if its peer is late with it and the importer will have nothing to do.
    pub(super) fn plan_hedge(&mut self, now: Moment) {
        if self.clock_stands() || !self.config.hedges {
            return;
        }
        let Some(holder) = self.late_holder().filter(|holder| holder.late <= now) else { return };
        let cost = self.bodies.expected_cost();
        let Some(offer) = self.second_offer(now, &holder) else { return };
        let wait = offer.link.expected(offer.owed.saturating_add(cost));
        if !self.importer_starves_within(now, wait) {
            return;
        }
        let allowed = self.hedging.left(self.owed_bodies()).min(self.budget.free().max(cost));
        let blocks = scheduler::chunk(self.config.batch, &offer.link, cost, allowed).min(holder.owes.len());
        let asked = holder.owes.lowest_heights(blocks);
        let reserved = cost.saturating_mul(blocks);
        let Some(last) = asked.last() else { return };
        if !self.reserve(reserved, Some(holder.head)) {
            return;
        }
        let work = self.body_work(asked, reserved, true);
        self.hedging.ask(work.wanted.keys().copied(), cost);
        self.report(Report::Hedged {
            heights: HeightRange::new(holder.head, last.saturating_add(1)),
            slow: holder.peer,
            held_for: now.since(holder.asked),
            expected: holder.expected.since(holder.asked),
            with: offer.peer,
        });
        self.ask_bodies(now, offer, work);
    }

    /// When the head of the line is late, if it is not yet.
    pub(super) fn head_is_late_at(&self, now: Moment) -> Option<Moment> {
        if !self.is_active() || self.clock_stands() || !self.config.hedges {
            return None;
        }
        self.late_holder().map(|holder| holder.late).filter(|&late| late > now)
    }

    /// The one request that owes the head of the line; `None` if nobody does, or two peers do.
    fn late_holder(&self) -> Option<Holder> {
        let head = self.head_of_line()?;
        let owing = |lease: &Lease| lease.bodies().is_some_and(|work| work.heights.contains(head));
        let mut owing = self.leases.iter().map(|(_, lease)| lease).filter(|lease| owing(lease));
        let lease = owing.next()?;
        if owing.next().is_some() {
            return None;
        }
        let link = self.peers.get(&lease.peer)?.link;
        let before = lease.ahead.saturating_add(lease.bytes);
        let takes = link.expected(before.saturating_add(self.bodies.expected_cost()));
        let patience = (takes.saturating_mul(LATE_HALVES) / 2).max(LEAST_LATE);
        let mut owed = lease.bodies()?.heights.clone();
        owed.remove(HeightRange::new(Height::ZERO, head));
        // What an earlier one has brought is not asked for again.
        let owed = self.bodies.missing(owed, &HeightRanges::EMPTY);
        let owes = owed.lowest_heights(BODIES_PER_REQUEST);
        Some(Holder {
            head,
            peer: lease.peer,
            owes,
            asked: lease.asked,
            expected: lease.asked.after(takes),
            late: lease.asked.after(patience),
        })
    }

    /// Who else would bring the head the earliest, by the rules for the head.
    fn second_offer(&self, now: Moment, holder: &Holder) -> Option<Offer> {
        let cost = self.bodies.expected_cost().saturating_mul(holder.owes.len());
        let others = self.body_offers(now, holder.head, true).filter(|offer| {
            offer.peer != holder.peer && self.peers.get(&offer.peer).is_some_and(Peer::may_be_second)
        });
        scheduler::earliest(others, cost)
    }

    /// Whether the importer will have imported all that is below the head before this time has passed.
    fn importer_starves_within(&self, now: Moment, wait: Duration) -> bool {
        let Some(head) = self.head_of_line() else { return false };
        let below = head.0.saturating_sub(self.skeleton.base().height.0).saturating_sub(1);
        let rate = self.rate.per_second(now, self.tip.head.height);
        u128::from(below).saturating_mul(1_000) <= u128::from(rate).saturating_mul(wait.as_millis())
    }

    /// Bytes of bodies that all peers together owe.
    pub(super) fn owed_bodies(&self) -> u64 {
        self.leases.iter().filter_map(|(_, lease)| lease.bodies()).map(|work| work.reserved).sum()
    }

    /// Ends the requests that would only bring what has come by another way. Nobody is blamed. One of which nothing has come yet runs to its own
    /// end: who answers nothing is told by that, whoever else was faster.
    pub(super) fn end_redundant(&mut self, now: Moment) {
        if !self.hedging.is_open() {
            return;
        }
        let redundant = |lease: &Lease| {
            lease.bodies().is_some_and(|work| {
                (lease.bytes > 0 || work.is_second)
                    && self.bodies.hold_all(&work.heights, self.skeleton.base().height)
            })
        };
        let ids: Vec<LeaseId> =
            self.leases.iter().filter(|(_, lease)| redundant(lease)).map(|(id, _)| id).collect();
        for id in ids {
            if let Some((lease, first)) = self.leases.get(id).and_then(|l| Some((l.clone(), l.first_byte?)))
                && let Some(peer) = self.peers.get_mut(&lease.peer)
            {
                peer.link.learn_bandwidth(lease.bytes, now.since(first));
                self.tell_terms(lease.peer, Reason::Bandwidth);
            }
            self.withdraw(id);
        }
    }

    /// What a lease still owes is owed by at most one peer from now on.
    pub(super) fn settle_hedges(&mut self, work: &BodyWork) {
        if self.hedging.is_open() {
            work.wanted.keys().for_each(|&id| self.hedging.settle(id));
        }
    }
}
