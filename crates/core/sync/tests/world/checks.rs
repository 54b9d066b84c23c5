//! The shell's side, and what must hold at its door.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use alys_chain::{BlockId, CertifiedHeader};
use alys_sync::{BatchId, Event, LeaseId, SyncStatus};
use alys_wire::PeerId;

#[derive(Default)]
pub struct Shell {
    /// Open requests: whose, and which bodies they still owe.
    open: BTreeMap<LeaseId, (PeerId, BTreeSet<BlockId>)>,
    /// Those of them that ask for a status.
    statuses: BTreeMap<PeerId, LeaseId>,
    used: BTreeSet<LeaseId>,
    /// Bodies in memory, with their size.
    held: BTreeMap<BlockId, u64>,
    bad: BTreeSet<BlockId>,
    /// Whose bodies are not the blocks'.
    pub spoilers: BTreeSet<PeerId>,
    pub importing: Option<BatchId>,
    /// How often each body was asked for.
    pub asked: BTreeMap<BlockId, u32>,
}

impl Shell {
    pub fn open(&mut self, lease: LeaseId, peer: PeerId, ids: &[BlockId]) {
        assert!(self.used.insert(lease), "a lease id was used twice");
        for id in ids {
            let mut owing = self.open.values().filter(|(_, owed)| owed.contains(id));
            assert!(owing.all(|(other, _)| *other != peer), "{id} was asked of the same peer twice");
            let owing = self.open.values().filter(|(_, owed)| owed.contains(id)).count();
            assert!(owing < 2, "{id} was asked of a third peer");
            assert!(!self.held.contains_key(id), "{id} was asked for although it is held");
            *self.asked.entry(*id).or_default() += 1;
        }
        self.open.insert(lease, (peer, ids.iter().copied().collect()));
    }

    pub fn open_status(&mut self, lease: LeaseId, peer: PeerId) {
        self.open(lease, peer, &[]);
        self.statuses.insert(peer, lease);
    }

    pub fn cancel(&mut self, lease: LeaseId) {
        assert!(self.open.remove(&lease).is_some(), "cancelled a lease that has ended");
    }

    /// What a real shell does with an event on its way in: an answer to a request that was cancelled never arrives.
    pub fn incoming(&mut self, event: Event) -> Option<Event> {
        match &event {
            Event::HeadersArrived { lease, .. } | Event::LeaseEnded { lease, .. } => {
                self.open.remove(lease)?;
            }
            Event::LeaseProgress { lease } => {
                self.open.get(lease)?;
            }
            Event::BodiesArrived { lease, bodies } => {
                let (peer, owed) = self.open.get_mut(lease)?;
                for body in bodies {
                    owed.remove(&body.id);
                    // The first copy stays.
                    if let Entry::Vacant(place) = self.held.entry(body.id) {
                        place.insert(body.bytes);
                        if self.spoilers.contains(peer) {
                            self.bad.insert(body.id);
                        } else {
                            self.bad.remove(&body.id);
                        }
                    }
                }
                if owed.is_empty() {
                    self.open.remove(lease);
                }
            }
            Event::PeerStatus { peer, .. } => {
                let status = self.statuses.remove(peer)?;
                self.open.remove(&status)?;
            }
            Event::Imported { .. } | Event::ImportFailed { .. } => self.importing = None,
            _ => {}
        }
        Some(event)
    }

    pub fn is_bad(&self, id: BlockId) -> bool {
        self.bad.contains(&id)
    }

    pub fn assert_importable(&self, header: &CertifiedHeader) {
        let id = header.certificate.block;
        assert!(self.held.contains_key(&id), "imported without its body");
        assert!(!self.is_bad(id), "imported a bad body");
    }

    pub fn release(&mut self, ids: &[BlockId]) {
        ids.iter().for_each(|id| {
            self.held.remove(id);
        });
    }

    pub fn held_bytes(&self) -> u64 {
        self.held.values().sum()
    }

    /// The shell never holds more than the machine has accounted for.
    pub fn check(&self, status: &SyncStatus) {
        assert!(
            self.held_bytes() <= status.budget_used,
            "{} bytes held, {}",
            self.held_bytes(),
            status.budget_used
        );
        assert!(status.leases <= self.open.len(), "the machine waits for a lease that the shell has ended");
    }
}
