//! Stories of the machine, event by event. The random ones are in `tests/sync_world.rs`.

mod branches;
mod clock;
mod commands;
mod gate;
mod hedge;
mod import;
mod leases;

use core::time::Duration;

use alys_chain::{AuthorityIndex, BlockRef};
use alys_peers::{Observation, Offence};

use super::*;
use crate::blame::Fault;
use crate::blocks::{GENESIS, chain, peer};
use crate::event::{ArrivedBody, HeaderVerdict, ImportFailure, ImportTook, LeaseEnd};
use crate::status::WaitingFor;

/// A machine with a clock, and the actions that it wants.
struct Story {
    machine: SyncMachine,
    now: Moment,
    slot: Slot,
    out: Vec<Action>,
}

impl Story {
    /// At slot 100, with this on disk, not started.
    fn at(tip: Tip) -> Self {
        let machine = SyncMachine::new(Config::default(), tip);
        let mut story =
            Self { machine, now: Moment(Duration::from_secs(1000)), slot: Slot(100), out: Vec::new() };
        story.send(Event::FederationChanged(Federation::new(5, true)));
        story.wait(0);
        story
    }

    fn started(tip: Tip) -> Self {
        let mut story = Self::at(tip);
        story.start(None);
        story
    }

    fn start(&mut self, until: Option<Height>) {
        let tip = self.machine.tip();
        self.send(Event::Start(Start { tip, until, checkpoint: None }));
    }

    fn send(&mut self, event: Event) {
        self.out = self.machine.step(self.now, event);
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now.after(Duration::from_millis(millis));
        self.send(Event::Tick { slot: self.slot });
    }

    fn connect(&mut self, n: u8, head: Option<CertifiedHeader>) {
        self.send(Event::PeerConnected { peer: peer(n) });
        self.send(Event::PeerStatus { peer: peer(n), head, earliest: Height(0) });
    }

    fn headers_asked(&self) -> Option<(LeaseId, PeerId, Height, u32)> {
        self.out.iter().find_map(|a| match a {
            Action::RequestHeaders { lease, peer, from, count, .. } => {
                Some((*lease, *peer, *from, count.get()))
            }
            _ => None,
        })
    }

    fn bodies_asked(&self) -> Option<(LeaseId, PeerId, Vec<BlockId>)> {
        self.out.iter().find_map(|a| match a {
            Action::RequestBodies { lease, peer, ids, .. } => Some((*lease, *peer, ids.clone())),
            _ => None,
        })
    }

    fn import(&self) -> Option<(BatchId, Vec<CertifiedHeader>)> {
        self.out.iter().find_map(|a| match a {
            Action::Import { batch, headers } => Some((*batch, headers.clone())),
            _ => None,
        })
    }

    fn observed(&self) -> Vec<(PeerId, Observation)> {
        let seen = |a: &Action| match a {
            Action::Observe { peer, what } => Some((*peer, *what)),
            _ => None,
        };
        self.out.iter().filter_map(seen).collect()
    }

    fn refused(&self) -> bool {
        self.out.iter().any(|a| matches!(a, Action::Report(Report::Refused { .. })))
    }

    fn mode(&self) -> Mode {
        self.machine.status(self.now).mode
    }

    fn waiting_for(&self) -> WaitingFor {
        self.machine.status(self.now).waiting_for
    }

    /// Answers the open header request with these headers, all good; the first `held` are on our disk.
    fn serve_headers(&mut self, headers: &[CertifiedHeader], held: usize) {
        let (lease, _, from, count) = self.headers_asked().expect("headers are asked for");
        let part: Vec<_> = headers
            .iter()
            .filter(|h| h.header.height >= from && h.header.height.0 < from.0 + u64::from(count))
            .copied()
            .collect();
        let valid = part.len();
        self.send(Event::HeadersArrived { lease, headers: part, bytes: 1000 });
        self.send(Event::HeadersVerified { lease, verdict: HeaderVerdict { valid, held, fault: None } });
    }

    /// Answers the open body request in full, and says that all bodies are good.
    fn serve_bodies(&mut self) {
        let (lease, _, ids) = self.bodies_asked().expect("bodies are asked for");
        let bodies = ids.into_iter().map(|id| ArrivedBody { id, bytes: 100 }).collect();
        self.send(Event::BodiesArrived { lease, bodies });
        let batch = self.out.iter().find_map(|a| match a {
            Action::VerifyBodies { batch, .. } => Some(*batch),
            _ => None,
        });
        self.send(Event::BodiesVerified { batch: batch.expect("they are verified"), faults: vec![] });
    }
}

fn tip(head: &CertifiedHeader, finalized: BlockRef) -> Tip {
    Tip { head: BlockRef::of(head), finalized }
}
