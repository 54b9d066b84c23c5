//! The verified headers above our durable chain.
//!
//! - **Owns**: the headers, from a durable base block upwards; how far they are linked to it.
//! - **In**: ranges whose links and certificates the shell has verified. Here ranges are joined, nothing else.
//! - **Out**: which headers are missing, which blocks may be fetched.
//! - **On failure**: two ranges that do not join are two branches, of which one is dead; nobody is to blame, since both are certified. A
//!   range with certified blocks in two consecutive slots is final up to the first of them (the consensus rule), so it stays,
//!   and what it does not stand on goes. Without such a pair on the upper side both go, down to what is final below.

use std::collections::BTreeMap;

use alys_chain::{BlockId, BlockRef, CertifiedHeader, Height, HeightRange};
use alys_wire::PeerId;

use crate::gaps::HeightRanges;

/// A verified header, and who served it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The header.
    pub header: CertifiedHeader,
    /// Who served it.
    pub peer: PeerId,
}

/// What joining found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// Nothing disagrees.
    Sound,
    /// The header at `height` names another parent than the block below it.
    Broken {
        /// Its height.
        height: Height,
        /// Whether the block below is the base itself.
        at_base: bool,
        /// Whether the upper side proves itself final.
        upper_is_final: bool,
    },
}

/// Headers above a durable block.
#[derive(Clone, Debug)]
pub struct Skeleton {
    base: BlockRef,
    entries: BTreeMap<Height, Entry>,
    linked: Height,
    have: HeightRanges,
}

impl Skeleton {
    /// No headers above `base`.
    #[must_use]
    pub const fn new(base: BlockRef) -> Self {
        Self { base, entries: BTreeMap::new(), linked: base.height, have: HeightRanges::EMPTY }
    }

    /// The durable block that it stands on.
    #[must_use]
    pub const fn base(&self) -> BlockRef {
        self.base
    }

    /// The height up to which headers are linked to the base.
    #[must_use]
    pub const fn linked(&self) -> Height {
        self.linked
    }

    /// The heights whose headers are linked to the base: their bodies may be fetched.
    #[must_use]
    pub const fn linked_range(&self) -> HeightRange {
        HeightRange::new(self.base.height.saturating_add(1), self.linked.saturating_add(1))
    }

    /// The highest height of any header here.
    #[must_use]
    pub fn top(&self) -> Height {
        self.entries.last_key_value().map_or(self.base.height, |(&height, _)| height)
    }

    /// How many headers are here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The header at `height`.
    #[must_use]
    pub fn get(&self, height: Height) -> Option<&Entry> {
        self.entries.get(&height)
    }

    /// The block at `height`, the base included.
    #[must_use]
    pub fn id_at(&self, height: Height) -> Option<BlockId> {
        if height == self.base.height {
            return Some(self.base.id);
        }
        self.entries.get(&height).map(|entry| entry.header.certificate.block)
    }

    /// Which headers are missing up to `top`.
    #[must_use]
    pub fn missing(&self, top: Height) -> HeightRanges {
        let above = self.base.height.saturating_add(1);
        let mut missing = HeightRanges::from(HeightRange::new(above, top.saturating_add(1)));
        missing.subtract(&self.have);
        missing
    }

    /// Adds verified headers; those at or below the base, or already here, are passed over.
    pub fn insert(&mut self, headers: &[CertifiedHeader], peer: PeerId) {
        for &header in headers.iter().filter(|h| h.header.height > self.base.height) {
            let height = header.header.height;
            self.entries.entry(height).or_insert(Entry { header, peer });
            self.have.insert_height(height);
        }
    }

    /// Links as far up as the headers agree.
    pub fn join(&mut self) -> Joint {
        while let Some(next) = self.linked.next()
            && let Some(entry) = self.entries.get(&next)
        {
            if Some(entry.header.header.parent) != self.id_at(self.linked) {
                let at_base = self.linked == self.base.height;
                let upper_is_final = self.first_final_from(next).is_some();
                return Joint::Broken { height: next, at_base, upper_is_final };
            }
            self.linked = next;
        }
        Joint::Sound
    }

    /// The block at this height became durable: the headers up to it are not needed any more.
    pub fn advance(&mut self, base: BlockRef) {
        let above = self.entries.split_off(&base.height.saturating_add(1));
        self.entries = above;
        self.have.remove(HeightRange::new(Height::ZERO, base.height.saturating_add(1)));
        self.base = base;
        self.linked = self.linked.max(base.height);
    }

    /// Starts again from a lower durable block; the headers stay, and are joined when those between have come.
    pub fn step_back(&mut self, base: BlockRef) {
        self.base = base;
        self.linked = base.height;
    }

    /// Drops the headers from `height` up to the next hole or break: a branch that leads nowhere. Returns their heights.
    pub fn drop_upper(&mut self, height: Height) -> HeightRange {
        let mut end = height;
        let mut below = None;
        while let Some(entry) = self.entries.get(&end)
            && below.is_none_or(|id| entry.header.header.parent == id)
        {
            below = Some(entry.header.certificate.block);
            end = end.saturating_add(1);
        }
        self.drop_range(HeightRange::new(height, end))
    }

    /// Drops the linked headers below `height` that are not proven final: a dead end, or what cannot be told from one. Returns
    /// their heights.
    pub fn drop_lower(&mut self, height: Height) -> HeightRange {
        let above_base = self.base.height.saturating_add(1);
        let start = self.last_final_below(height).map_or(above_base, |last| last.saturating_add(1));
        self.drop_range(HeightRange::new(start, height))
    }

    fn drop_range(&mut self, range: HeightRange) -> HeightRange {
        let above = self.entries.split_off(&range.end);
        self.entries.split_off(&range.start);
        self.entries.extend(above);
        self.have.remove(range);
        if let Some(below) = range.start.prev() {
            self.linked = self.linked.min(below).max(self.base.height);
        }
        range
    }

    /// Whether the blocks at `height` and right above it prove the lower one final.
    fn is_final(&self, height: Height) -> bool {
        let (Some(lower), Some(upper)) = (self.get(height), height.next().and_then(|next| self.get(next)))
        else {
            return false;
        };
        upper.header.header.parent == lower.header.certificate.block
            && lower.header.header.slot.next() == Some(upper.header.header.slot)
    }

    /// The first final block of the branch that begins at `height`.
    fn first_final_from(&self, height: Height) -> Option<Height> {
        let mut at = height;
        while let (Some(lower), Some(upper)) = (self.get(at), at.next().and_then(|next| self.get(next))) {
            if upper.header.header.parent != lower.header.certificate.block {
                return None;
            }
            if self.is_final(at) {
                return Some(at);
            }
            at = at.next()?;
        }
        None
    }

    /// The last linked block below `height` that is proven final by another one below `height`.
    fn last_final_below(&self, height: Height) -> Option<Height> {
        let range =
            self.base.height.saturating_add(1)..height.prev()?.max(self.base.height.saturating_add(1));
        self.entries.range(range).rev().map(|(&h, _)| h).find(|&h| self.is_final(h))
    }
}

#[cfg(test)]
#[path = "skeleton_tests.rs"]
mod tests;
