//! Peers of every kind.

use std::time::Duration;

use alys_chain::{BlockId, CertifiedHeader, Height, Slot};
use alys_sync::{ArrivedBody, Event, LeaseEnd, LeaseId};
use alys_wire::PeerId;

use super::chain::child;
use super::{Dice, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Serves everything.
    Honest,
    /// Serves everything, and disappears now and then.
    Vanishing,
    /// Serves headers, and no body.
    Withholding,
    /// Takes requests and never answers.
    BlackHole,
    /// Its headers carry no quorum.
    BadCertificates,
    /// Its headers do not link.
    BadLinks,
    /// Its bodies are not the blocks'.
    BadBodies,
    /// Answers with one item, whatever was asked.
    Short,
    /// Sends a byte a second.
    Dripping,
    /// Shows a head of a far slot, and serves nothing.
    Boasting,
    /// Serves certified dead ends where it can.
    DeadEnds,
    /// Asks to come later, every other time.
    Refusing,
    /// Sends what nobody asked for.
    Unrequested,
}

pub struct Peer {
    pub kind: Kind,
    pub connected: bool,
    pub delay_ms: u64,
    /// Bytes a millisecond.
    pub speed: u64,
    /// When it has sent all that it was asked for before, in milliseconds.
    free_at: u64,
    asked: u64,
}

impl Peer {
    pub fn new(kind: Kind, dice: &mut Dice) -> Self {
        Self {
            kind,
            connected: true,
            delay_ms: 5 + dice.below(150),
            speed: 500 + dice.below(20_000),
            free_at: 0,
            asked: 0,
        }
    }

    pub fn vanishes(&self) -> bool {
        self.kind == Kind::Vanishing && self.connected
    }

    /// Milliseconds until `bytes` more have been sent.
    fn send(&mut self, now: u64, bytes: u64) -> u64 {
        let begin = self.free_at.max(now + self.delay_ms);
        self.free_at = begin + bytes / self.speed;
        self.free_at - now
    }
}

impl World {
    fn millis(&self) -> u64 {
        u64::try_from(self.now.0.as_millis()).unwrap()
    }

    fn peer(&mut self, id: PeerId) -> &mut Peer {
        self.peers.get_mut(&id).expect("asked a peer that exists")
    }

    fn answer_in(&mut self, peer: PeerId, bytes: u64) -> u64 {
        let now = self.millis();
        self.peer(peer).send(now, bytes)
    }

    fn end(&mut self, lease: LeaseId, peer: PeerId, end: LeaseEnd) {
        let at = self.answer_in(peer, 0) + 1;
        self.later_event(at, Event::LeaseEnded { lease, end });
    }

    /// Whether this kind treats the request in its own way; then it is done.
    fn misbehaves(&mut self, lease: LeaseId, peer: PeerId) -> bool {
        let asked = &mut self.peer(peer).asked;
        *asked += 1;
        let odd = *asked % 2 == 1;
        match self.peer(peer).kind {
            Kind::BlackHole => true,
            Kind::Boasting => {
                self.end(lease, peer, LeaseEnd::Served);
                true
            }
            Kind::Dripping => {
                (1..20).for_each(|n| self.later_event(n * 500, Event::LeaseProgress { lease }));
                true
            }
            Kind::Refusing if odd => {
                self.end(lease, peer, LeaseEnd::Refused { retry_after: Duration::from_millis(700) });
                true
            }
            _ => false,
        }
    }

    pub fn ask_status(&mut self, lease: LeaseId, peer: PeerId) {
        self.shell.open_status(lease, peer);
        let kind = self.peer(peer).kind;
        let tip = *self.chain.blocks.last().expect("the chain has blocks");
        let head = match kind {
            Kind::Boasting => {
                let mut far = child(self.chain.tip(), u64::MAX / 2, 1);
                far.header.height = Height(u64::MAX / 4);
                far.header.slot = Slot(u64::MAX / 2);
                far
            }
            Kind::DeadEnds => self.chain.dead_at(tip.header.height).copied().unwrap_or(tip),
            _ => tip,
        };
        let at = self.answer_in(peer, 400);
        self.later_event(at, Event::PeerStatus { peer, head: Some(head), earliest: Height(0) });
    }

    pub fn ask_headers(&mut self, lease: LeaseId, peer: PeerId, from: Height, count: u32) {
        self.shell.open(lease, peer, &[]);
        if self.misbehaves(lease, peer) {
            return;
        }
        let kind = self.peer(peer).kind;
        let most = if kind == Kind::Short { 1 } else { u64::from(count) };
        let mut headers: Vec<CertifiedHeader> =
            (from.0..from.0 + most).map_while(|h| self.chain.at(Height(h)).copied()).collect();
        self.distort(kind, &mut headers);
        let bytes = 300 * headers.len() as u64;
        let at = self.answer_in(peer, bytes);
        self.later_event(at, Event::HeadersArrived { lease, headers, bytes });
    }

    fn distort(&mut self, kind: Kind, headers: &mut Vec<CertifiedHeader>) {
        let middle = headers.len() / 2;
        match kind {
            Kind::BadCertificates if !headers.is_empty() => headers[middle].certificate.quorum.signers = 1,
            Kind::BadLinks if middle > 0 => headers[middle] = child(super::GENESIS, 1, 3),
            Kind::Unrequested if middle > 0 => headers.rotate_left(1),
            Kind::DeadEnds => {
                let dead = headers.iter().rposition(|h| self.chain.dead_at(h.header.height).is_some());
                if let Some(at) = dead {
                    headers[at] = *self.chain.dead_at(headers[at].header.height).unwrap();
                    headers.truncate(at + 1);
                }
            }
            _ => {}
        }
    }

    pub fn ask_bodies(&mut self, lease: LeaseId, peer: PeerId, ids: &[BlockId]) {
        self.shell.open(lease, peer, ids);
        if self.misbehaves(lease, peer) {
            return;
        }
        let kind = self.peer(peer).kind;
        let served = match kind {
            Kind::Withholding => 0,
            Kind::Short => 1,
            _ => ids.len(),
        };
        for id in ids.iter().take(served) {
            let bytes = self.size_of(*id);
            let at = self.answer_in(peer, bytes);
            let id = if kind == Kind::Unrequested { BlockId([0xEE; 32]) } else { *id };
            self.later_event(at, Event::BodiesArrived { lease, bodies: vec![ArrivedBody { id, bytes }] });
        }
        self.end(lease, peer, LeaseEnd::Served);
    }

    fn size_of(&self, id: BlockId) -> u64 {
        let height = self.chain.blocks.iter().find(|h| h.certificate.block == id).map(|h| h.header.height);
        height.map_or(100, |height| self.chain.size(height))
    }
}
