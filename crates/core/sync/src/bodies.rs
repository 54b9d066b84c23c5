//! The bodies that have arrived and are not durable yet.
//!
//! - **Owns**: for each held body: its size, who served it, how far it is. The bytes themselves are with the shell. Also which blocks are empty: what
//!   their bodies are is said by their headers, so nobody serves them.
//! - **In**: arrivals, verdicts. **Out**: what is missing, what to verify next, what can be imported.
//! - **On failure**: a body that is wrong, or not needed any more, is taken out, and is missing again if it is needed.

use std::collections::{BTreeMap, BTreeSet};

use alys_chain::{BlockId, Height, HeightRange};
use alys_wire::PeerId;

use crate::gaps::HeightRanges;

/// What a held body costs beyond its bytes: id, entries in maps, header.
pub const OVERHEAD_BYTES: u64 = 256;
/// Assumed before the first body: between small and large. If blocks are small, the first requests name few of them, which costs a round trip; if they were taken for
/// small and are large, the first requests would keep a slow peer busy for a minute.
const FIRST_AVERAGE: u64 = 32 << 10;
/// So many of the last bodies make the average, about: blocks of one time resemble each other.
const AVERAGED: u64 = 16;

/// A body with the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its block.
    pub id: BlockId,
    /// What it costs in the budget.
    pub cost: u64,
    /// Who served it.
    pub peer: PeerId,
    /// Whether it is verified.
    pub verified: bool,
}

/// The held bodies, by height.
#[derive(Clone, Debug)]
pub struct Bodies {
    held: BTreeMap<Height, Held>,
    empty: HeightRanges,
    /// Those that are held, and those of empty blocks.
    heights: HeightRanges,
    unverified: BTreeSet<Height>,
    average: u64,
    /// How many bodies the average rests on, at most [`AVERAGED`].
    averaged: u64,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            held: BTreeMap::new(),
            empty: HeightRanges::EMPTY,
            heights: HeightRanges::EMPTY,
            unverified: BTreeSet::new(),
            average: FIRST_AVERAGE,
            averaged: 0,
        }
    }
}

impl Bodies {
    /// The block at this height is empty.
    pub fn know_empty(&mut self, height: Height) {
        self.empty.insert_height(height);
        self.heights.insert_height(height);
    }

    /// Whether the block at this height is known to be empty.
    #[must_use]
    pub fn is_empty_at(&self, height: Height) -> bool {
        self.empty.contains(height)
    }

    /// Which of `wanted` are neither held nor in flight.
    #[must_use]
    pub fn missing(&self, wanted: impl Into<HeightRanges>, in_flight: &HeightRanges) -> HeightRanges {
        let mut missing = wanted.into();
        missing.subtract(&self.heights);
        missing.subtract(in_flight);
        missing
    }

    /// The lowest of `wanted` that is not held.
    #[must_use]
    pub fn lowest_missing(&self, wanted: HeightRange) -> Option<Height> {
        self.heights.first_absent(wanted)
    }

    /// Whether all of these that are above `base` are held.
    #[must_use]
    pub fn hold_all(&self, heights: &HeightRanges, base: Height) -> bool {
        let mut left = heights.clone();
        left.subtract(&self.heights);
        left.remove(HeightRange::new(Height::ZERO, base.saturating_add(1)));
        left.is_empty()
    }

    /// Whether the body of this block is held. It looks at all of them, so it is for what should not happen.
    #[must_use]
    pub fn holds(&self, id: BlockId) -> bool {
        self.held.values().any(|held| held.id == id)
    }

    /// The body held at `height`.
    #[must_use]
    pub fn get(&self, height: Height) -> Option<&Held> {
        self.held.get(&height)
    }

    /// What one more body is expected to cost.
    #[must_use]
    pub const fn expected_cost(&self) -> u64 {
        self.average.saturating_add(OVERHEAD_BYTES)
    }

    /// Learns the size of a body. The first one counts in full, later ones move the average.
    pub fn learn_size(&mut self, bytes: u64) {
        self.averaged = self.averaged.saturating_add(1).min(AVERAGED);
        let rest = self.average.saturating_mul(self.averaged.saturating_sub(1));
        self.average = rest.saturating_add(bytes) / self.averaged;
    }

    /// Takes a body in.
    pub fn arrive(&mut self, height: Height, held: Held) {
        self.held.insert(height, held);
        self.heights.insert_height(height);
        self.unverified.insert(height);
    }

    /// The lowest bodies below `end` that nobody verifies yet, at most `most`; from now on they are being verified.
    pub fn take_unverified(&mut self, most: usize, end: Height) -> Vec<(Height, BlockId)> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(height) = self.unverified.first().copied().filter(|height| *height < end)
        {
            self.unverified.remove(&height);
            taken.extend(self.held.get(&height).map(|held| (height, held.id)));
        }
        taken
    }

    /// The highest held body.
    #[must_use]
    pub fn highest(&self) -> Option<Height> {
        self.held.last_key_value().map(|(&height, _)| height)
    }

    /// The bodies of this peer that nobody verifies yet.
    #[must_use]
    pub fn waiting_of(&self, peer: PeerId) -> Vec<Height> {
        let is_theirs = |height: &Height| self.held.get(height).is_some_and(|held| held.peer == peer);
        self.unverified.iter().copied().filter(is_theirs).collect()
    }

    /// The verification of this body ended without a verdict: it waits for another.
    pub fn verify_again(&mut self, height: Height, id: BlockId) {
        if self.held.get(&height).is_some_and(|held| held.id == id && !held.verified) {
            self.unverified.insert(height);
        }
    }

    /// The body of this block is good.
    pub fn verified(&mut self, height: Height, id: BlockId) {
        if let Some(held) = self.held.get_mut(&height).filter(|held| held.id == id) {
            held.verified = true;
        }
    }

    /// The blocks from `from` on without a hole whose bodies are verified, or empty: at most `blocks` of them, and at most `bytes`, but always one.
    #[must_use]
    pub fn importable(&self, from: Height, blocks: usize, bytes: u64) -> Vec<Height> {
        let mut next = from;
        let mut left = bytes;
        let mut run = Vec::new();
        while run.len() < blocks
            && let Some(cost) = self.importable_cost(next)
            && (run.is_empty() || cost <= left)
        {
            run.push(next);
            left = left.saturating_sub(cost);
            next = next.saturating_add(1);
        }
        run
    }

    fn importable_cost(&self, height: Height) -> Option<u64> {
        let verified = self.held.get(&height).filter(|held| held.verified).map(|held| held.cost);
        verified.or_else(|| self.is_empty_at(height).then_some(0))
    }

    /// Takes one body out.
    pub fn remove(&mut self, height: Height) -> Option<Held> {
        let held = self.held.remove(&height)?;
        self.heights.remove_height(height);
        self.unverified.remove(&height);
        Some(held)
    }

    /// Takes out all bodies of these heights, and forgets which blocks were empty.
    pub fn remove_range(&mut self, range: HeightRange) -> Vec<Held> {
        if range.is_empty() {
            return Vec::new();
        }
        self.empty.remove(range);
        self.heights.remove(range);
        let heights: Vec<Height> =
            self.held.range(range.start..range.end).map(|(&height, _)| height).collect();
        heights.into_iter().filter_map(|height| self.remove(height)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(n: u8, bytes: u64) -> Held {
        let peer = PeerId::from_bytes(&[n]).unwrap();
        Held { id: BlockId([n; 32]), cost: bytes + OVERHEAD_BYTES, peer, verified: false }
    }

    fn holding(heights: &[u8]) -> Bodies {
        let mut bodies = Bodies::default();
        heights.iter().for_each(|&h| bodies.arrive(Height(u64::from(h)), held(h, 100)));
        bodies
    }

    fn verify_all(bodies: &mut Bodies) {
        for (height, id) in bodies.take_unverified(usize::MAX, Height(u64::MAX)) {
            bodies.verified(height, id);
        }
    }

    fn range(start: u64, end: u64) -> HeightRange {
        HeightRange::new(Height(start), Height(end))
    }

    #[test]
    fn missing_is_wanted_without_held_and_in_flight() {
        let bodies = holding(&[3, 4, 8]);
        let in_flight = range(5, 7).into();
        let missing: Vec<_> = bodies.missing(range(1, 10), &in_flight).iter().collect();
        assert_eq!(missing, [range(1, 3), range(7, 8), range(9, 10)]);
    }

    #[test]
    fn nobody_is_asked_for_empty_ones_and_they_are_imported_in_their_turn() {
        let mut bodies = holding(&[1]);
        verify_all(&mut bodies);
        for height in [2, 4, 5, 9] {
            bodies.know_empty(Height(height));
        }
        let missing = bodies.missing(range(1, 12), &range(8, 9).into());
        assert_eq!(missing.heights().map(|height| height.0).collect::<Vec<_>>(), [3, 6, 7, 10, 11]);
        assert_eq!(bodies.importable(Height(1), 9, 1).len(), 2);
        assert!(bodies.is_empty_at(Height(4)) && !bodies.is_empty_at(Height(3)));
        bodies.remove_range(range(4, 5));
        assert!(!bodies.is_empty_at(Height(4)) && bodies.is_empty_at(Height(5)));
        assert_eq!(bodies.lowest_missing(range(4, 6)), Some(Height(4)));
    }

    #[test]
    fn verification_takes_the_lowest_first_and_each_once() {
        let mut bodies = holding(&[5, 3, 4]);
        let batch = bodies.take_unverified(2, Height(9));
        assert_eq!(batch.iter().map(|b| b.0.0).collect::<Vec<_>>(), [3, 4]);
        assert!(bodies.take_unverified(9, Height(5)).is_empty(), "not so far ahead");
        assert_eq!(bodies.take_unverified(9, Height(9)).len(), 1);
        assert!(bodies.take_unverified(9, Height(9)).is_empty());
        bodies.verified(Height(3), BlockId([3; 32]));
        bodies.verify_again(Height(3), BlockId([3; 32]));
        bodies.verify_again(Height(4), BlockId([9; 32]));
        assert!(
            bodies.take_unverified(9, Height(9)).is_empty(),
            "verified ones and replaced ones do not wait"
        );
        bodies.verify_again(Height(4), BlockId([4; 32]));
        assert_eq!(bodies.take_unverified(9, Height(9)).len(), 1);
        bodies.verified(Height(4), BlockId([8; 32]));
        assert!(!bodies.get(Height(4)).unwrap().verified, "a verdict on another block");
    }

    #[test]
    fn an_import_batch_is_a_run_without_holes_within_its_limits() {
        let mut bodies = holding(&[1, 2, 3, 5]);
        assert!(bodies.importable(Height(1), 10, 10_000).is_empty(), "nothing is verified");
        verify_all(&mut bodies);
        let run = |blocks, bytes| bodies.importable(Height(1), blocks, bytes).len();
        assert_eq!((run(10, 10_000), run(2, 10_000)), (3, 2));
        assert_eq!((run(10, 712), run(10, 711), run(10, 0)), (2, 1, 1), "one always goes");
        assert!(bodies.importable(Height(4), 10, 10_000).is_empty());
    }

    #[test]
    fn what_is_taken_out_is_missing_again() {
        let mut bodies = holding(&[1, 2, 3]);
        assert_eq!(bodies.remove_range(range(2, 9)).len(), 2);
        assert!(bodies.remove_range(range(9, 2)).is_empty());
        assert_eq!(bodies.remove(Height(1)).map(|h| h.id), Some(BlockId([1; 32])));
        assert_eq!(bodies.remove(Height(1)), None);
        assert_eq!(bodies.missing(range(1, 4), &HeightRanges::EMPTY), range(1, 4).into());
        assert!(bodies.take_unverified(9, Height(9)).is_empty());
    }

    #[test]
    fn the_expected_cost_follows_what_arrives() {
        let mut bodies = Bodies::default();
        assert_eq!(bodies.expected_cost(), FIRST_AVERAGE + OVERHEAD_BYTES);
        bodies.learn_size(300);
        assert_eq!(bodies.expected_cost(), 300 + OVERHEAD_BYTES, "the first one counts in full");
        bodies.learn_size(500);
        assert_eq!(bodies.expected_cost(), 400 + OVERHEAD_BYTES);
        (0..200).for_each(|_| bodies.learn_size(100_000));
        assert!((95_000..=100_256).contains(&bodies.expected_cost()));
    }
}
