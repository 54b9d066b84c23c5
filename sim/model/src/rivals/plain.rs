//! What the rivals have in common: headers first come, first served; blocks imported in order; flat timeouts.
//!
//! - **Decides**: nothing about bodies: that is its [`Strategy`]'s. **In** and **out**: as the machine of this project.
//! - **On failure**: a request that has not ended in time is cancelled, and what it owed is missing again.

use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alys_chain::{BlockId, CertifiedHeader, Height, HeightRange, Moment};
use alys_sync::{Action, ArrivedBody, BatchId, Event, Fault, HeightRanges, LeaseId, Observation};
use alys_wire::{PeerId, limits};

use super::Board;
use crate::Scheduler;

/// How long a request for bodies may take: the longest patience of ours.
const BODIES_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one for headers may take: the answer waits behind a batch of bodies at the slowest peer.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests for headers in flight with a peer: headers are not what is compared, so that nobody waits for a round trip.
const HEADER_REQUESTS: usize = 4;
/// How far bodies are fetched ahead of what is durable: as far as our skeleton goes.
const WINDOW: u64 = 32_768;
/// Blocks that are verified, and imported, together.
const GROUP: usize = 256;

/// Who gets which bodies.
pub trait Strategy {
    /// What to ask for now: missing heights, each once.
    fn plan(&mut self, board: &Board) -> Vec<(PeerId, HeightRange)>;
}

struct Lease {
    peer: PeerId,
    deadline: Moment,
    work: Work,
    brought_something: bool,
}

enum Work {
    Headers(HeightRange),
    Bodies(BTreeMap<BlockId, Height>),
}

/// See the [module](self).
pub struct Plain<S> {
    strategy: S,
    board: Board,
    target: Height,
    headers: BTreeMap<Height, CertifiedHeader>,
    /// The heights whose headers are not to be asked for: here, asked for, or being checked.
    covered: HeightRanges,
    checking: BTreeMap<LeaseId, (PeerId, Vec<CertifiedHeader>, HeightRange)>,
    leases: BTreeMap<LeaseId, Lease>,
    /// Bodies that are here: who served them, and whether they are verified.
    held: BTreeMap<Height, (PeerId, bool)>,
    to_verify: BTreeSet<Height>,
    verifying: BTreeMap<BatchId, Vec<Height>>,
    importing: bool,
    durable: Height,
    /// Up to where heights were put on the board.
    offered: Height,
    next: u64,
    out: Vec<Action>,
}

impl<S: Strategy> Plain<S> {
    /// One that holds genesis.
    pub fn new(strategy: S) -> Self {
        Self {
            strategy,
            board: Board::default(),
            target: Height::ZERO,
            headers: BTreeMap::new(),
            covered: HeightRanges::EMPTY,
            checking: BTreeMap::new(),
            leases: BTreeMap::new(),
            held: BTreeMap::new(),
            to_verify: BTreeSet::new(),
            verifying: BTreeMap::new(),
            importing: false,
            durable: Height::ZERO,
            offered: Height::ZERO,
            next: 0,
            out: Vec::new(),
        }
    }

    const fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn lease(&mut self, peer: PeerId, deadline: Moment, work: Work) -> LeaseId {
        let lease = LeaseId(self.number());
        self.leases.insert(lease, Lease { peer, deadline, work, brought_something: false });
        lease
    }

    fn on(&mut self, now: Moment, event: Event) {
        match event {
            Event::PeerConnected { peer } => {
                self.board.connect(peer);
                let lease = LeaseId(self.number());
                self.out.push(Action::RequestStatus { lease, peer, deadline: now.after(BODIES_TIMEOUT) });
            }
            Event::PeerDisconnected { peer } => {
                self.board.disconnect(peer);
                let of_peer = self.leases.iter().filter(|(_, lease)| lease.peer == peer).map(|(&id, _)| id);
                of_peer.collect::<Vec<_>>().into_iter().for_each(|lease| self.end(lease));
            }
            // No height is above the slot of its block, and a claim that it is is nothing to follow.
            Event::PeerStatus { head: Some(head), .. } if head.header.height.0 < u64::MAX => {
                self.target = self.target.max(head.header.height);
            }
            Event::HeadersArrived { lease, headers, .. } => self.headers_arrived(lease, headers),
            Event::HeadersVerified { lease, verdict } => {
                let Some((peer, headers, asked)) = self.checking.remove(&lease) else { return };
                let valid = headers.get(..verdict.valid).unwrap_or_default();
                self.covered
                    .remove(HeightRange::new(asked.start.saturating_add(valid.len() as u64), asked.end));
                self.headers.extend(valid.iter().map(|header| (header.header.height, *header)));
                if let Some(Fault::Peer(offence)) = verdict.fault {
                    self.out.push(Action::Observe { peer, what: Observation::Offence(offence) });
                }
            }
            Event::BodiesArrived { lease, bodies } => self.bodies_arrived(lease, &bodies),
            Event::LeaseEnded { lease, .. } => self.end(lease),
            Event::BodiesVerified { batch, faults } => self.bodies_verified(batch, &faults),
            Event::Imported { tip, .. } => {
                self.importing = false;
                self.durable = tip.head.height;
                self.headers = self.headers.split_off(&self.durable.saturating_add(1));
            }
            _ => {}
        }
    }

    fn headers_arrived(&mut self, id: LeaseId, headers: Vec<CertifiedHeader>) {
        let Some(lease) = self.leases.remove(&id) else { return };
        self.board.judge(lease.peer, !headers.is_empty());
        if let Work::Headers(asked) = lease.work {
            self.checking.insert(id, (lease.peer, headers.clone(), asked));
        }
        self.out.push(Action::VerifyHeaders { lease: id, headers: Arc::from(headers) });
    }

    fn bodies_arrived(&mut self, id: LeaseId, bodies: &[ArrivedBody]) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        lease.brought_something = true;
        let Work::Bodies(owed) = &mut lease.work else { return };
        for height in bodies.iter().filter_map(|body| owed.remove(&body.id)) {
            self.held.insert(height, (lease.peer, false));
            self.to_verify.insert(height);
        }
    }

    /// What a request still owed is missing again.
    fn end(&mut self, id: LeaseId) {
        let Some(lease) = self.leases.remove(&id) else { return };
        self.board.judge(lease.peer, lease.brought_something);
        match lease.work {
            Work::Headers(range) => self.covered.remove(range),
            Work::Bodies(owed) => {
                owed.into_values().for_each(|height| self.board.missing.insert_height(height));
                self.board.done(lease.peer);
            }
        }
    }

    fn bodies_verified(&mut self, batch: BatchId, faults: &[(BlockId, Fault)]) {
        for height in self.verifying.remove(&batch).unwrap_or_default() {
            let id = self.headers.get(&height).map(|header| header.certificate.block);
            let fault = faults.iter().find(|(bad, _)| Some(*bad) == id);
            match (fault, self.held.get_mut(&height)) {
                (None, Some(held)) => held.1 = true,
                (Some((bad, Fault::Peer(offence))), Some(&mut (peer, _))) => {
                    self.held.remove(&height);
                    self.board.missing.insert_height(height);
                    self.out.push(Action::Release { ids: vec![*bad] });
                    self.out.push(Action::Observe { peer, what: Observation::Offence(*offence) });
                }
                _ => {}
            }
        }
    }

    fn work(&mut self, now: Moment) {
        let late = self.leases.iter().filter(|(_, lease)| lease.deadline <= now).map(|(&id, _)| id);
        for lease in late.collect::<Vec<_>>() {
            self.out.push(Action::Cancel { lease });
            self.end(lease);
        }
        self.ask_headers(now);
        self.offer();
        self.ask_bodies(now);
        self.verify();
        self.import();
    }

    /// The lowest missing headers within the window, of whoever has the fewest requests for headers.
    fn ask_headers(&mut self, now: Moment) {
        let last = self.target.min(self.durable.saturating_add(WINDOW));
        let window = HeightRange::new(self.durable.saturating_add(1), last.saturating_add(1));
        let mut missing = HeightRanges::from(window);
        missing.subtract(&self.covered);
        while let Some(range) = missing.lowest(u64::from(limits::MAX_HEADERS_PER_REQUEST)) {
            let Some(peer) = self.header_peer() else { return };
            let Some(count) = u32::try_from(range.len()).ok().and_then(NonZeroU32::new) else { return };
            missing.remove(range);
            self.covered.insert(range);
            let deadline = now.after(HEADERS_TIMEOUT);
            let lease = self.lease(peer, deadline, Work::Headers(range));
            self.out.push(Action::RequestHeaders { lease, peer, from: range.start, count, deadline });
        }
    }

    fn header_peer(&self) -> Option<PeerId> {
        let headers = |peer: PeerId| {
            let is_one = |lease: &&Lease| lease.peer == peer && matches!(lease.work, Work::Headers(_));
            self.leases.values().filter(is_one).count()
        };
        let offers = self.board.usable().map(|peer| (headers(peer), peer));
        offers.filter(|(busy, _)| *busy < HEADER_REQUESTS).min().map(|(_, peer)| peer)
    }

    /// Puts what is new within the window on the board.
    fn offer(&mut self) {
        let end = self.durable.saturating_add(WINDOW);
        let from = self.offered.saturating_add(1);
        while self.offered < end && self.headers.contains_key(&self.offered.saturating_add(1)) {
            self.offered = self.offered.saturating_add(1);
        }
        self.board.missing.insert(HeightRange::new(from, self.offered.saturating_add(1)));
    }

    fn ask_bodies(&mut self, now: Moment) {
        for (peer, range) in self.strategy.plan(&self.board) {
            let headers = self.headers.range(range.start..range.end);
            let owed: BTreeMap<BlockId, Height> =
                headers.clone().map(|(&height, header)| (header.certificate.block, height)).collect();
            let ids = headers.map(|(_, header)| header.certificate.block).collect();
            self.board.ask(peer, range);
            let deadline = now.after(BODIES_TIMEOUT);
            let lease = self.lease(peer, deadline, Work::Bodies(owed));
            self.out.push(Action::RequestBodies { lease, peer, ids, deadline });
        }
    }

    fn verify(&mut self) {
        while !self.to_verify.is_empty() {
            let group: Vec<Height> = core::iter::from_fn(|| self.to_verify.pop_first()).take(GROUP).collect();
            let headers = group.iter().filter_map(|height| self.headers.get(height).copied()).collect();
            let batch = BatchId(self.number());
            self.verifying.insert(batch, group);
            self.out.push(Action::VerifyBodies { batch, headers });
        }
    }

    fn import(&mut self) {
        if self.importing {
            return;
        }
        let from = self.durable.saturating_add(1);
        let run = (from.0..).map(Height).zip(self.held.range(from..));
        let ready = run.take_while(|(next, (height, (_, verified)))| next == *height && *verified);
        let group: Vec<Height> = ready.map(|(height, _)| height).take(GROUP).collect();
        let Some(&last) = group.last() else { return };
        let headers: Vec<CertifiedHeader> =
            group.iter().filter_map(|height| self.headers.get(height).copied()).collect();
        self.held = self.held.split_off(&last.saturating_add(1));
        let ids = headers.iter().map(|header| header.certificate.block).collect();
        self.importing = true;
        let batch = BatchId(self.number());
        self.out.push(Action::Import { batch, headers });
        self.out.push(Action::Release { ids });
    }
}

impl<S: Strategy> Scheduler for Plain<S> {
    fn step(&mut self, now: Moment, event: Event) -> Vec<Action> {
        self.on(now, event);
        self.work(now);
        core::mem::take(&mut self.out)
    }

    fn next_deadline(&self, now: Moment) -> Option<Moment> {
        self.leases.values().map(|lease| lease.deadline).filter(|&at| at > now).min()
    }

    fn budget(&self, _: Moment) -> Option<(u64, u64)> {
        None
    }
}
