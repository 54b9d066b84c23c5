//! What the shell of the node does: it holds bodies, verifies, imports, and lets go.

use core::time::Duration;

use alys_chain::{BlockId, BlockRef, CertifiedHeader};
use alys_sync::{ArrivedBody, BatchId, Event, Fault, HeaderVerdict, ImportTook, LeaseId, Offence, Tip};

use super::World;
use crate::scenario::Conduct;

impl World<'_> {
    pub(super) fn hold(&mut self, place: usize, body: ArrivedBody) {
        self.out.bytes += body.bytes;
        self.out.peers[place].bytes += body.bytes;
        let height = self.chain.height_of(body.id);
        let durable = height.is_some_and(|height| height <= self.tip.head.height);
        if durable || self.held.contains_key(&body.id) {
            self.out.duplicate_bytes += body.bytes;
            return;
        }
        let good = self.scenario.peers[place].conduct != Conduct::BadBodies;
        self.held.insert(body.id, (body.bytes, good));
        self.held_bytes += body.bytes;
        self.out.most_held = self.out.most_held.max(self.held_bytes);
    }

    pub(super) fn verify_headers(&mut self, lease: LeaseId, headers: &[CertifiedHeader]) {
        let place = self.asked.remove(&lease).map(|(place, _)| place);
        let bad = place.is_some_and(|place| self.scenario.peers[place].conduct == Conduct::BadApprovals);
        if let Some(place) = place {
            self.out.peers[place].ranges_verified += 1;
        }
        let (valid, fault) =
            if bad { (0, Some(Fault::Peer(Offence::BadCertificate))) } else { (headers.len(), None) };
        let when = self.workers.headers(self.now, headers.len());
        self.later(when, Event::HeadersVerified { lease, verdict: HeaderVerdict { valid, held: 0, fault } });
    }

    pub(super) fn verify_bodies(&mut self, batch: BatchId, headers: &[CertifiedHeader]) {
        let held =
            headers.iter().filter_map(|h| Some((h.certificate.block, *self.held.get(&h.certificate.block)?)));
        let held: Vec<(BlockId, (u64, bool))> = held.collect();
        assert_eq!(held.len(), headers.len(), "seed {}: a body to verify is not held", self.scenario.seed);
        let bytes = held.iter().map(|(_, (bytes, _))| bytes).sum();
        let bad = held.iter().filter(|(_, (_, good))| !good);
        let faults = bad.map(|&(id, _)| (id, Fault::Peer(Offence::BadBody))).collect();
        let when = self.workers.bodies(self.now, headers.len(), bytes);
        self.later(when, Event::BodiesVerified { batch, faults });
    }

    pub(super) fn imported(&mut self, batch: BatchId, headers: &[CertifiedHeader], took: Duration) {
        for header in headers {
            let block = BlockRef::of(header);
            let seed = self.scenario.seed;
            assert_eq!(header.header.parent, self.tip.head.id, "seed {seed}: imported out of order");
            let held = self.held.get(&block.id);
            assert!(held.is_none_or(|(_, good)| *good), "seed {seed}: a bad body was imported");
            self.tip = Tip { head: block, finalized: self.tip.head };
            self.out.blocks += 1;
        }
        let took = ImportTook { execute: took, commit: Duration::ZERO };
        self.send(Event::Imported { batch, tip: self.tip, took });
    }

    pub(super) fn release(&mut self, ids: &[BlockId]) {
        for (bytes, _) in ids.iter().filter_map(|id| self.held.remove(id)) {
            self.held_bytes -= bytes;
        }
    }
}
