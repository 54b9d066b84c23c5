//! Proposals that wait for their parent, or for room on the disk.
//!
//! Bounded; when it is full the lowest slot goes, as it is the likeliest to come with sync. Their signatures and bodies are checked already, so
//! only an authority can fill it.

use std::collections::BTreeMap;

use alys_chain::{BlockId, Slot};

use super::inspect::Candidate;

/// How many wait at most: one of each of the 15 authorities of a round, and one.
pub const MAX_HELD: usize = 16;
/// How many bytes they may have: eight of the largest bodies.
const MAX_BYTES: usize = 16 << 20;
/// How many slots they wait. Approvals are for their slot only; later a certificate brings the block back by sync.
pub const MAX_AGE: u64 = 4;

/// The proposals that wait, by slot and name.
#[derive(Default)]
pub struct Held(BTreeMap<(Slot, BlockId), Candidate>);

impl Held {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Keeps one.
    pub fn insert(&mut self, candidate: Candidate) {
        self.0.insert((candidate.block.header.slot, candidate.block.id), candidate);
        while self.len() > MAX_HELD || self.bytes() > MAX_BYTES {
            self.0.pop_first();
        }
    }

    /// Takes out those that wait for this parent.
    pub fn take_children(&mut self, parent: BlockId) -> Vec<Candidate> {
        self.0.extract_if(.., |_, held| held.block.header.parent == parent).map(|(_, held)| held).collect()
    }

    /// Takes out all, the lowest slot first.
    pub fn take_all(&mut self) -> Vec<Candidate> {
        std::mem::take(&mut self.0).into_values().collect()
    }

    /// Forgets those of slots that are over for too long.
    pub fn forget_old(&mut self, now: Slot) {
        self.0.retain(|(slot, _), _| now.ahead_of(*slot) <= MAX_AGE);
    }

    fn bytes(&self) -> usize {
        self.0.values().map(|held| held.block.body.0.len()).sum()
    }
}
