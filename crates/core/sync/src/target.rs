//! Where to: the best block that anybody has proven.
//!
//! - **Decides**: the target: the certified header with the highest slot that a peer has shown, within the slot clock.
//! - **In**: verified certified headers. Heights that are merely claimed do not exist here. **Out**: the target.
//! - **On failure**: a target that nobody serves the way to is set aside for a while, and the next best counts.

use core::time::Duration;
use std::collections::BTreeMap;

use alys_chain::{BlockId, BlockRef, Moment, Slot};
use alys_wire::PeerId;

/// How long a target that nobody served is set aside. Long enough that the next best is reached first; short enough to see
/// it again after a partition heals.
const SET_ASIDE_FOR: Duration = Duration::from_secs(120);
/// How many targets can be set aside at once. More are never proven in that time but by a quorum that certifies and withholds.
const SET_ASIDE_MOST: usize = 64;

/// What was proven, and by whom it was shown.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    shown: BTreeMap<PeerId, BlockRef>,
    /// The best one of all, which outlives the connection that showed it.
    kept: Option<BlockRef>,
    set_aside: BTreeMap<BlockId, Moment>,
}

impl Targets {
    /// Whether a certified block can exist at this time: its slot has begun, or begins within one slot (clocks differ), and its
    /// height is not above its slot.
    #[must_use]
    pub fn is_possible(block: BlockRef, clock: Slot) -> bool {
        block.slot <= clock.saturating_add(1) && block.height.0 <= block.slot.0
    }

    /// Notes the best block that `peer` has proven. False if it is impossible by the clock; it is ignored then.
    pub fn show(&mut self, peer: PeerId, block: Option<BlockRef>, clock: Slot) -> bool {
        let Some(block) = block else {
            self.shown.remove(&peer);
            return true;
        };
        if !Self::is_possible(block, clock) {
            return false;
        }
        self.shown.insert(peer, block);
        self.prove(block);
        true
    }

    /// Notes a block that was proven in another way, such as the last of a verified range.
    pub fn prove(&mut self, block: BlockRef) {
        let better = self.kept.is_none_or(|kept| kept.slot < block.slot);
        if better && !self.set_aside.contains_key(&block.id) {
            self.kept = Some(block);
        }
    }

    /// Forgets what `peer` showed, but for the best block of all.
    pub fn forget(&mut self, peer: PeerId) {
        self.shown.remove(&peer);
    }

    /// The best block that is not set aside.
    #[must_use]
    pub fn best(&self) -> Option<BlockRef> {
        let aside = |block: &&BlockRef| !self.set_aside.contains_key(&block.id);
        self.shown.values().chain(&self.kept).filter(aside).max().copied()
    }

    /// Sets the best block aside, since nobody serves the way to it.
    pub fn set_best_aside(&mut self, now: Moment) -> Option<BlockRef> {
        let best = self.best()?;
        if self.set_aside.len() >= SET_ASIDE_MOST {
            self.set_aside.pop_first();
        }
        self.set_aside.insert(best.id, now.after(SET_ASIDE_FOR));
        self.kept = None;
        self.kept = self.best();
        Some(best)
    }

    /// Ends the time of those that were set aside long enough.
    pub fn refresh(&mut self, now: Moment) {
        self.set_aside.retain(|_, &mut until| until > now);
    }
}

#[cfg(test)]
mod tests {
    use alys_chain::Height;

    use super::*;

    fn peer(n: u8) -> PeerId {
        PeerId::from_bytes(&[n]).unwrap()
    }

    fn block(height: u64, slot: u64) -> BlockRef {
        BlockRef { slot: Slot(slot), height: Height(height), id: BlockId([u8::try_from(slot).unwrap(); 32]) }
    }

    const NOW: Slot = Slot(100);

    #[test]
    fn the_highest_slot_counts_not_the_height() {
        let mut targets = Targets::default();
        assert_eq!(targets.best(), None);
        assert!(targets.show(peer(1), Some(block(60, 90)), NOW));
        assert!(targets.show(peer(2), Some(block(50, 95)), NOW));
        assert_eq!(targets.best(), Some(block(50, 95)));
    }

    #[test]
    fn what_the_clock_forbids_is_ignored() {
        let mut targets = Targets::default();
        assert!(targets.show(peer(1), Some(block(60, 101)), NOW), "clocks differ by a slot");
        assert!(!targets.show(peer(2), Some(block(60, 102)), NOW));
        assert!(!targets.show(peer(3), Some(block(91, 90)), NOW), "more blocks than slots");
        assert!(targets.show(peer(3), Some(block(90, 90)), NOW));
        assert_eq!(targets.best(), Some(block(60, 101)));
    }

    #[test]
    fn the_best_one_outlives_its_peer() {
        let mut targets = Targets::default();
        targets.show(peer(1), Some(block(60, 95)), NOW);
        targets.show(peer(2), Some(block(50, 90)), NOW);
        targets.forget(peer(1));
        assert_eq!(targets.best(), Some(block(60, 95)));
        targets.show(peer(2), None, NOW);
        assert_eq!(targets.best(), Some(block(60, 95)));
    }

    #[test]
    fn a_target_that_nobody_serves_makes_room_for_the_next_best_and_returns_later() {
        let mut targets = Targets::default();
        targets.show(peer(1), Some(block(60, 95)), NOW);
        targets.show(peer(2), Some(block(50, 90)), NOW);
        assert_eq!(targets.set_best_aside(Moment::START), Some(block(60, 95)));
        assert_eq!(targets.best(), Some(block(50, 90)));
        targets.show(peer(1), Some(block(60, 95)), NOW);
        assert_eq!(targets.best(), Some(block(50, 90)), "shown again, still set aside");
        targets.refresh(Moment::START.after(SET_ASIDE_FOR));
        assert_eq!(targets.best(), Some(block(60, 95)));
        assert_eq!(Targets::default().set_best_aside(Moment::START), None);
    }

    #[test]
    fn only_so_many_are_remembered_as_set_aside() {
        let mut targets = Targets::default();
        for slot in 1..=100 {
            targets.prove(block(1, slot));
            assert_eq!(targets.set_best_aside(Moment::START), Some(block(1, slot)));
            assert!(targets.set_aside.len() <= SET_ASIDE_MOST);
        }
    }
}
