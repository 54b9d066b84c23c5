//! The true chain of a world, and its dead ends.

use alys_chain::{BlockRef, CertifiedHeader, Height};

use super::Dice;
pub use super::blocks::{GENESIS, child};

/// Blocks from height 1 on; now and then a slot is skipped, and some heights have a dead sibling: certified, never built on.
pub struct Chain {
    pub blocks: Vec<CertifiedHeader>,
    pub dead: Vec<Option<CertifiedHeader>>,
    pub sizes: Vec<u64>,
}

impl Chain {
    pub fn grown(blocks: u64, largest_body: u64, dice: &mut Dice) -> Self {
        let mut chain = Self { blocks: Vec::new(), dead: Vec::new(), sizes: Vec::new() };
        for _ in 0..blocks {
            let skip = u64::from(dice.one_in(5));
            chain.grow(chain.tip().slot.0 + 1 + skip, largest_body, dice);
        }
        chain
    }

    /// One more block. Where a slot was skipped, a dead block may stand in it.
    pub fn grow(&mut self, slot: u64, largest_body: u64, dice: &mut Dice) {
        let tip = self.tip();
        let dead = (slot > tip.slot.0 + 1 && dice.one_in(2)).then(|| child(tip, slot - 1, 9));
        self.dead.push(dead);
        self.blocks.push(child(tip, slot, 1));
        self.sizes.push(dice.below(largest_body + 1));
    }

    pub fn tip(&self) -> BlockRef {
        self.blocks.last().map_or(GENESIS, BlockRef::of)
    }

    /// The highest block with a child in the very next slot.
    pub fn finalized(&self, head: Height) -> BlockRef {
        let upto = usize::try_from(head.0).unwrap().min(self.blocks.len());
        let pair = |w: &&[CertifiedHeader]| w[1].header.slot.0 == w[0].header.slot.0 + 1;
        self.blocks[..upto].windows(2).rev().find(pair).map_or(GENESIS, |w| BlockRef::of(&w[0]))
    }

    pub fn at(&self, height: Height) -> Option<&CertifiedHeader> {
        self.blocks.get(usize::try_from(height.0.checked_sub(1)?).ok()?)
    }

    pub fn dead_at(&self, height: Height) -> Option<&CertifiedHeader> {
        self.dead.get(usize::try_from(height.0.checked_sub(1)?).ok()?)?.as_ref()
    }

    pub fn size(&self, height: Height) -> u64 {
        self.sizes.get(usize::try_from(height.0 - 1).unwrap()).copied().unwrap_or(100)
    }
}
