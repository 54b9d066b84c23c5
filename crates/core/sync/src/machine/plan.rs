//! What is done next, for as long as there is room: import, verify, then ask.

use core::time::Duration;
use std::collections::BTreeMap;

use alys_chain::{BlockRef, Height, HeightRange, Moment};
use alys_wire::PeerId;

use super::{SyncMachine, Verifying};
use crate::action::Action;
use crate::bodies::OVERHEAD_BYTES;
use crate::gaps::HeightRanges;
use crate::lease::{BodyWork, Lease, Work};
use crate::link::MAX_TIMEOUT;
use crate::peers::{Kind, Peer};
use crate::scheduler::{
    self, BODIES_PER_REQUEST, EXPLORE_EVERY, HEADER_BYTES, HEADER_LEASES, HEADERS_PER_REQUEST,
    MAX_BODY_BYTES, Offer, SKELETON_AHEAD,
};

/// How many blocks one verification takes: the batch for which the approval check is at its best.
const VERIFY_BLOCKS: usize = 256;
/// So many verifications have about as many bytes as one import: with all that one verification has, the import begins when it ends.
const VERIFICATIONS_AN_IMPORT: u64 = 2;
/// About so many imports are verified ahead of what is durable. A verified body takes several times its bytes, as its transactions are decoded. With two
/// the disk, which begins with a body when it is verified, is too late now and then.
const IMPORTS_AHEAD: u64 = 4;
/// How many verifications may be out: as many as the cores of a small machine. While all are out, what arrives waits and makes
/// the next batch larger.
const VERIFY_BATCHES: usize = 4;
/// What a header costs in memory: itself, its certificate, its place in maps here and in the shell.
const HEADER_COST: u64 = 1_024;
/// The skeleton takes at most this part of the budget.
const HEADERS_SHARE: u64 = 8;
/// So many requests for bodies fit the budget at least, however fast a peer is: one that got all of it would have nobody beside it.
const LEAST_REQUESTS: u64 = 8;
/// How long a synced node that sees a better block waits for gossip to bring it: one slot of 2 s, and a second for the way.
const GOSSIP_GRACE: Duration = Duration::from_secs(3);

impl SyncMachine {
    pub(super) fn plan(&mut self, now: Moment) {
        if !self.is_active() {
            return;
        }
        self.plan_import(now);
        self.plan_verification(now);
        if self.wants_blocks(now) {
            self.plan_headers(now);
            self.plan_bodies(now);
            self.plan_hedge(now);
        }
    }

    /// Whether there is a better block than our head that sync has to fetch.
    pub(super) fn wants_blocks(&self, now: Moment) -> bool {
        let ahead = self.targets.best().is_some_and(|target| target.slot > self.tip.head.slot);
        let waits_for_gossip = self.lag_since.is_some_and(|since| now.since(since) < GOSSIP_GRACE);
        ahead && !waits_for_gossip
    }

    fn plan_import(&mut self, now: Moment) {
        if !self.importer.is_free(now) {
            return;
        }
        let from = self.skeleton.base().height.saturating_add(1);
        let heights = self.bodies.importable(from, self.importer.batch_blocks(), self.importer.batch_bytes());
        let headers: Vec<_> =
            heights.iter().filter_map(|&h| self.skeleton.get(h)).map(|entry| entry.header).collect();
        if headers.is_empty() {
            return;
        }
        let batch = self.new_batch();
        let bytes = heights.iter().filter_map(|&height| self.bodies.get(height)).map(|held| held.cost).sum();
        self.importer.begin(now, batch, headers.iter().map(BlockRef::of).collect(), bytes);
        self.act(Action::Import { batch, headers });
    }

    fn plan_verification(&mut self, now: Moment) {
        let fitting = |bytes: u64| (bytes / self.bodies.expected_cost()).max(1);
        let import = self.importer.batch_bytes();
        let most = fitting(import / VERIFICATIONS_AN_IMPORT);
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(VERIFY_BLOCKS);
        let ahead = fitting(import.saturating_mul(IMPORTS_AHEAD));
        let end = self.skeleton.base().height.saturating_add(ahead.saturating_add(1));
        while self.verifying.len() < VERIFY_BATCHES && now >= self.verify_after {
            let blocks = self.bodies.take_unverified(most, end);
            let headers: Vec<_> =
                blocks.iter().filter_map(|&(h, _)| self.skeleton.get(h)).map(|entry| entry.header).collect();
            if headers.is_empty() {
                return;
            }
            let served = |(h, id)| Some((h, id, self.bodies.get(h)?.peer));
            let blocks = blocks.into_iter().filter_map(served).collect();
            let batch = self.new_batch();
            self.verifying.insert(batch, Verifying { blocks, since: now });
            self.act(Action::VerifyBodies { batch, headers });
        }
    }

    /// The highest height that is wanted.
    fn wanted_top(&self) -> Height {
        let target = self.targets.best().map_or(Height::ZERO, |target| target.height);
        self.order.and_then(|order| order.until).map_or(target, |until| until.min(target))
    }

    fn plan_headers(&mut self, now: Moment) {
        let top = self.wanted_top();
        if top <= self.skeleton.base().height {
            // The better block is not above our head: it is on another branch.
            self.step_back(now, false);
        }
        let mut missing = self.skeleton.missing(top.min(self.skeleton_top()));
        missing.subtract(&self.leases.headers_in_flight());
        self.checking.values().for_each(|checking| missing.remove(checking.range));
        while let Some(range) = missing.lowest(u64::from(HEADERS_PER_REQUEST))
            && let Some(peer) = self.header_peer(now, range.start)
        {
            if self.budget.free() < HEADER_COST.saturating_mul(range.len()) {
                return;
            }
            self.ask_headers(now, peer, range);
            self.count_headers();
            missing.remove(range);
        }
    }

    /// Books what headers cost: those in flight, those that are being verified, and the skeleton.
    pub(super) fn count_headers(&mut self) {
        let checking = self.checking.values().map(|checking| checking.headers.len()).sum::<usize>();
        let here = self.skeleton.len().saturating_add(checking) as u64;
        let all = here.saturating_add(self.leases.headers_owed());
        self.budget.set_headers(all.saturating_mul(HEADER_COST));
    }

    /// Who is asked for headers from this height on: first those who have shown the target, then by speed.
    fn header_peer(&self, now: Moment, from: Height) -> Option<PeerId> {
        let mut busy: BTreeMap<PeerId, usize> = BTreeMap::new();
        let headers = self.leases.iter().filter(|(_, lease)| matches!(lease.work, Work::Headers(_)));
        headers.for_each(|(_, lease)| *busy.entry(lease.peer).or_default() += 1);
        // What waits for its verdict counts for those whose verdicts nobody has seen.
        for checking in self.checking.values().filter(|checking| !self.has_served_headers(checking.peer)) {
            *busy.entry(checking.peer).or_default() += 1;
        }
        // What has arrived above the lowest missing range cannot be judged without it: its server may have to bring that one as well.
        let extra = usize::from(self.skeleton.linked().next() == Some(from));
        if busy.values().sum::<usize>() >= HEADER_LEASES + extra {
            return None;
        }
        let slot = self.targets.best()?.slot;
        let reaching = || self.peers.iter().filter(|(_, peer)| peer.reaches(from));
        // Whoever rests keeps nobody from being asked.
        let ready = reaching().filter(|(_, peer)| peer.is_ready(now));
        let rank = ready.map(|(_, peer)| peer.rank(now)).min()?;
        let has_room = |id: &PeerId, peer: &Peer| {
            let most = scheduler::header_leases(&peer.link, peer.has_served_headers);
            busy.get(id).is_none_or(|&leases| leases < most + extra)
        };
        let able = reaching().filter(|(id, peer)| {
            peer.is_ready(now)
                && peer.rank(now) == rank
                && has_room(id, peer)
                && !self.is_on_trial(**id, peer, Kind::Headers)
        });
        let (shown, others): (Vec<_>, Vec<_>) =
            able.partition(|(_, peer)| peer.head.is_some_and(|head| head.slot >= slot));
        let pool = if shown.is_empty() { others } else { shown };
        let offers = pool.into_iter().map(|(&id, peer)| Offer {
            peer: id,
            link: peer.link,
            owed: self.leases.owed_by(id),
        });
        scheduler::earliest(offers, HEADER_BYTES.saturating_mul(u64::from(HEADERS_PER_REQUEST)))
            .map(|offer| offer.peer)
    }

    fn has_served_headers(&self, peer: PeerId) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.has_served_headers)
    }

    /// How far the skeleton may run ahead: twice as far as bodies are fetched, but a part of the budget is enough for its headers, whatever the budget is.
    pub(super) fn skeleton_ahead(&self) -> u64 {
        let fit = self.budget.total() / HEADERS_SHARE / HEADER_COST;
        let bodies = self.importer.blocks_ahead();
        SKELETON_AHEAD.min(fit).min(bodies.saturating_mul(2)).max(u64::from(HEADERS_PER_REQUEST))
    }

    /// Up to where headers are asked for: as far as the skeleton may run ahead, and on to where a whole request ends. Small ones would cost as many
    /// verifications as large ones.
    fn skeleton_top(&self) -> Height {
        let Height(top) = self.skeleton.base().height.saturating_add(self.skeleton_ahead());
        Height(top.checked_next_multiple_of(u64::from(HEADERS_PER_REQUEST)).unwrap_or(top))
    }

    fn ask_headers(&mut self, now: Moment, peer: PeerId, range: HeightRange) {
        let Some((link, count)) = self.peers.get(&peer).map(|p| p.link).zip(scheduler::header_count(range))
        else {
            return;
        };
        let owed = self.leases.owed_by(peer);
        let bytes = HEADER_BYTES.saturating_mul(range.len()).saturating_add(owed);
        let deadline = now.after(link.timeout(bytes));
        let mut lease = Lease::new(peer, Work::Headers(range), now, deadline, link.silence());
        lease.alone = self.leases.of_peer(peer).next().is_none();
        let lease = self.leases.grant(lease);
        self.act(Action::RequestHeaders { lease, peer, from: range.start, count, deadline });
    }

    fn plan_bodies(&mut self, now: Moment) {
        let has_room = |(&id, peer): (&PeerId, &Peer)| peer.is_ready(now) && self.room_at(id, peer, false);
        if !self.peers.iter().any(has_room) && !self.head_is_missing() {
            return;
        }
        let in_flight = self.leases.bodies_in_flight();
        let mut missing = self.bodies.missing(self.worth_having(), &in_flight);
        while let Some(first) = missing.first() {
            let is_head = self.head_of_line() == Some(first);
            let Some(asked) = self.ask_for_bodies(now, &missing, first, is_head) else { return };
            missing.subtract(&asked);
        }
    }

    /// The linked heights, as far as the importer comes in some seconds.
    fn worth_having(&self) -> HeightRange {
        let linked = self.skeleton.linked_range();
        let top = self.skeleton.base().height.saturating_add(self.importer.blocks_ahead());
        HeightRange::new(linked.start, linked.end.min(top.saturating_add(1)))
    }

    /// Whether the block that everything waits for is neither held nor in flight.
    fn head_is_missing(&self) -> bool {
        self.head_of_line().is_some_and(|head| !self.leases.bodies_in_flight().contains(head))
    }

    /// Whether a peer that may serve nothing of this kind has a request out that may come to nothing as well: it gets the next one when that has, so that
    /// whoever serves nothing costs no more requests than set it back. What it is known to serve goes on beside that.
    fn is_on_trial(&self, id: PeerId, peer: &Peer, kind: Kind) -> bool {
        let is_doubtful = |lease: &Lease| lease.kind().is_some_and(|kind| peer.is_doubtful(kind));
        peer.is_doubtful(kind) && self.leases.of_peer(id).any(|(_, lease)| is_doubtful(lease))
    }

    /// Whether this peer may have one more request. The head of the line may go beyond the limit by one, at a peer that has served bodies.
    fn room_at(&self, id: PeerId, peer: &Peer, is_head: bool) -> bool {
        let leases = self.leases.of_peer(id).filter(|(_, lease)| lease.bodies().is_some()).count();
        if !peer.has_served_bodies || peer.is_struck(Kind::Bodies) {
            return leases == 0 && !self.is_on_trial(id, peer, Kind::Bodies);
        }
        scheduler::has_room(&self.offer(id, peer), leases, is_head)
    }

    fn offer(&self, id: PeerId, peer: &Peer) -> Offer {
        Offer { peer: id, link: peer.link, owed: self.leases.owed_by(id) }
    }

    /// Asks for the lowest of `missing`, from `first` on; which, or `None` if nobody can be asked, or there is no room.
    fn ask_for_bodies(
        &mut self,
        now: Moment,
        missing: &HeightRanges,
        first: Height,
        is_head: bool,
    ) -> Option<HeightRanges> {
        let run = missing.lowest_heights(BODIES_PER_REQUEST);
        let cost = self.bodies.expected_cost();
        let offer = self.body_offer(now, first, cost.saturating_mul(run.len()), is_head)?;
        let share = self.budget.total() / LEAST_REQUESTS;
        let most = scheduler::chunk(self.config.batch, &offer.link, cost, share).max(1).min(run.len());
        let fit = self.budget.free() / cost;
        let mut blocks = if is_head { most.min(fit) } else { scheduler::at_least_half(most, fit) };
        let mut reserve = cost.saturating_mul(blocks);
        if blocks == 0 {
            if !is_head {
                return None;
            }
            // Only the head of the line may go beyond: one block, for which there is always room once the head is imported.
            (blocks, reserve) = (1, MAX_BODY_BYTES.saturating_add(OVERHEAD_BYTES));
        }
        if !self.reserve(reserve, is_head.then_some(first)) {
            return None;
        }
        let asked = run.lowest_heights(blocks);
        let work = self.body_work(asked.clone(), reserve, false);
        self.ask_bodies(now, offer, work);
        Some(asked)
    }

    /// Reserves bytes. For the head, which everything above waits for, the highest held bodies make room: they may have used its share, when each of
    /// them was the head itself.
    pub(super) fn reserve(&mut self, bytes: u64, head: Option<Height>) -> bool {
        while !self.budget.reserve(bytes, head.is_some()) {
            let above = self.bodies.highest().filter(|&highest| head.is_some_and(|head| highest > head));
            let Some(height) = above else { return false };
            self.take_out(height);
        }
        true
    }

    /// Who finishes so many bytes of bodies from this height on the earliest; now and then, but never for the head, who is known least.
    fn body_offer(&self, now: Moment, from: Height, bytes: u64, is_head: bool) -> Option<Offer> {
        let offers = self.body_offers(now, from, is_head);
        if !is_head && self.chunks.is_multiple_of(EXPLORE_EVERY) {
            return scheduler::least_known(offers);
        }
        scheduler::earliest(offers, bytes)
    }

    /// Who may be asked for bodies from this height on, and has room: those that are not set back further than others, and, but for the head, those that
    /// have served some.
    pub(super) fn body_offers(
        &self,
        now: Moment,
        from: Height,
        is_head: bool,
    ) -> impl Iterator<Item = Offer> + '_ {
        let having = move || self.peers.iter().filter(move |(_, peer)| peer.has_body(from));
        // Whoever rests keeps nobody from being asked.
        let rank = having().filter(|(_, peer)| peer.is_ready(now)).map(|(_, peer)| peer.rank(now)).min();
        let able = having().filter(move |&(&id, peer)| {
            // Who has served bodies is set back for the head alone: it had a bad moment, and rests for it.
            let is_trusted = Some(peer.rank(now)) == rank || (!is_head && peer.has_served_bodies);
            peer.is_ready(now) && is_trusted && self.room_at(id, peer, is_head)
        });
        able.map(|(&id, peer)| self.offer(id, peer))
    }

    /// The request for the bodies of these heights, for which so many bytes are reserved.
    pub(super) fn body_work(&self, heights: HeightRanges, reserved: u64, is_second: bool) -> BodyWork {
        let id_of = |height: Height| Some((self.skeleton.id_at(height)?, height));
        BodyWork { wanted: heights.heights().filter_map(id_of).collect(), heights, reserved, is_second }
    }

    pub(super) fn ask_bodies(&mut self, now: Moment, offer: Offer, work: BodyWork) {
        let Offer { peer, link, owed } = offer;
        self.chunks = self.chunks.wrapping_add(1);
        let ids: Vec<_> = work.heights.heights().filter_map(|height| self.skeleton.id_at(height)).collect();
        let deadline = now.after(link.timeout(owed.saturating_add(work.reserved)));
        let mut lease = Lease::new(peer, Work::Bodies(work), now, deadline, link.silence());
        lease.alone = self.leases.of_peer(peer).next().is_none();
        lease.ahead = owed;
        let lease = self.leases.grant(lease);
        self.act(Action::RequestBodies { lease, peer, ids, deadline: now.after(MAX_TIMEOUT) });
    }
}
