//! The peers: what they answer, and when it leaves their lines.

use core::time::Duration;
use std::collections::VecDeque;

use alys_chain::Height;
use alys_sync::{ArrivedBody, Event, LeaseEnd, LeaseId};
use alys_wire::PeerId;

use super::{Happening, REQUEST_BYTES, World};
use crate::chain::child;
use crate::line::{HEADER_BYTES, Load, STATUS_BYTES};
use crate::scenario::Conduct;

/// How often a dripping peer sends its byte.
const DRIP_EVERY: Duration = Duration::from_secs(1);

impl World<'_> {
    /// Sends the next piece of a line.
    pub(super) fn go_on(&mut self, place: usize) {
        if self.lines[place].busy {
            return;
        }
        let Some(piece) = self.lines[place].next() else { return };
        self.lines[place].busy = true;
        let left = self.now.after(piece.takes);
        let there = left.after(self.scenario.peers[place].rtt / 2);
        self.at(left, Happening::Free(place));
        let lease = piece.lease;
        if let Some(headers) = piece.headers {
            let bytes = HEADER_BYTES * headers.len() as u64;
            self.out.overhead_bytes += bytes;
            return self.later(there, Event::HeadersArrived { lease, headers, bytes });
        }
        if let Some(Load::Status(head)) = piece.status {
            let peer = self.names[place];
            let head = head.map(|head| *head);
            return self.later(there, Event::PeerStatus { peer, head, earliest: Height::ZERO });
        }
        let bodies: Vec<ArrivedBody> =
            piece.bodies.into_iter().map(|(id, bytes)| ArrivedBody { id, bytes }).collect();
        let event = if bodies.is_empty() {
            Event::LeaseProgress { lease }
        } else {
            Event::BodiesArrived { lease, bodies }
        };
        self.later(there, event);
        if piece.ends {
            self.later(there, Event::LeaseEnded { lease, end: LeaseEnd::Served });
        }
    }

    pub(super) fn ask_status(&mut self, lease: LeaseId, peer: PeerId) {
        let Some(&place) = self.places.get(&peer) else { return };
        self.out.overhead_bytes += REQUEST_BYTES + STATUS_BYTES;
        self.open.insert(lease, place);
        self.statuses.insert(place, lease);
        let model = self.scenario.peers[place];
        let head = match model.conduct {
            Conduct::Boasting => {
                let mut far = child(self.chain.tip(), u64::MAX);
                far.header.height = Height(u64::MAX);
                far.certificate.height = Height(u64::MAX);
                Some(far)
            }
            _ => self.chain.head(),
        };
        let there = self.now.after(model.rtt / 2);
        self.at(there, Happening::Asked(place, lease, Load::Status(head.map(Box::new)), Duration::ZERO));
    }

    pub(super) fn ask(&mut self, lease: LeaseId, peer: PeerId, load: Load) {
        let Some(&place) = self.places.get(&peer) else { return };
        assert!(
            self.open.insert(lease, place).is_none(),
            "seed {}: a lease is used twice",
            self.scenario.seed
        );
        self.out.peers[place].leases += 1;
        self.out.overhead_bytes += REQUEST_BYTES;
        if let Load::Headers(headers) = &load {
            self.asked.insert(lease, (place, HEADER_BYTES * headers.len() as u64));
        }
        let model = self.scenario.peers[place];
        let there = self.now.after(model.rtt / 2);
        let stalls = self.dice.permille(self.scenario.stalled_permille);
        match (model.conduct, &load) {
            (Conduct::BlackHole | Conduct::Boasting, _) => {}
            (Conduct::Withholding, Load::Bodies(_)) => {
                self.at(there, Happening::Asked(place, lease, Load::Bodies(VecDeque::new()), Duration::ZERO));
            }
            (Conduct::Dripping, Load::Bodies(_)) => {
                // A body never gets complete at this rate; what the shell sees of it is that bytes come.
                for n in 1..=10 {
                    let event = Event::LeaseProgress { lease };
                    self.later(there.after(DRIP_EVERY * n).after(model.rtt / 2), event);
                }
            }
            _ if stalls && self.scenario.stalled_for.is_none() => {}
            (_, Load::Bodies(_)) if stalls => {
                let time = self.scenario.stalled_for.unwrap_or_default();
                self.at(there, Happening::Asked(place, lease, load, time));
            }
            _ => self.at(there, Happening::Asked(place, lease, load, Duration::ZERO)),
        }
    }
}
