//! Which authority sets must vouch for a block.
//!
//! After a change of the set, a certificate needs the quorums of the old and of the new set until a block of the new time is final in the
//! block's own ancestry: before that, the old set could still certify another branch. A block is final once its child in the very next slot
//! is certified, and a block in the ancestry is certified, so the ancestry alone decides. A [`Lineage`] is all that must be kept of it.
//!
//! - **Owns**: the slot of the last block that is final in the ancestry. **In**: headers, one by one. **Out**: the sets that must vouch.

use crate::error::Invalid;
use crate::header::Header;
use crate::ids::{SetId, Slot};
use crate::read::Reader;
use crate::schedule::Schedule;

/// What a block's ancestry says about its certificate. The children of one block share theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lineage {
    final_slot: Slot,
    parent_slot: Slot,
}

impl Lineage {
    /// The lineage of genesis and of its children: genesis is final.
    pub const GENESIS: Self = Self { final_slot: Slot::ZERO, parent_slot: Slot::ZERO };

    /// The size of the encoding in bytes.
    pub const SIZE: usize = 16;

    /// The lineage of a child of `parent`, when `self` is the parent's own. That the child exists means that the parent is certified, which
    /// makes the grandparent final if the two are in consecutive slots.
    #[must_use]
    pub fn advance(&self, parent: &Header) -> Self {
        let made_final = self.parent_slot.next() == Some(parent.slot);
        let final_slot = if made_final { self.parent_slot } else { self.final_slot };
        Self { final_slot, parent_slot: parent.slot }
    }

    /// The slot of the last block that is final by the ancestry alone.
    #[must_use]
    pub const fn final_slot(&self) -> Slot {
        self.final_slot
    }

    /// Which sets must vouch for a block of this lineage in `slot`.
    #[must_use]
    pub fn required(&self, schedule: &Schedule, slot: Slot) -> Required {
        let (own, settled) = (schedule.set_at(slot).id(), schedule.set_at(self.final_slot).id());
        Required { own, old: (settled != own).then_some(settled) }
    }

    /// Final slot and parent's slot, little-endian.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[..8].copy_from_slice(&self.final_slot.0.to_le_bytes());
        out[8..].copy_from_slice(&self.parent_slot.0.to_le_bytes());
        out
    }

    /// What [`Lineage::encode`] wrote.
    ///
    /// # Errors
    /// [`Invalid::Length`], or [`Invalid::Malformed`] when the final block is above the parent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        let mut from = Reader::sized("lineage", bytes, Self::SIZE)?;
        let (final_slot, parent_slot) = (Slot(from.u64()?), Slot(from.u64()?));
        if final_slot > parent_slot {
            return Err(Invalid::Malformed { what: "lineage", why: "the final block is above the parent" });
        }
        Ok(Self { final_slot, parent_slot })
    }
}

/// The sets whose quorums a certificate must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Required {
    /// The set of the block's slot.
    pub own: SetId,
    /// The set of the last final block, if it is another one.
    pub old: Option<SetId>,
}

impl Required {
    /// Whether an approval of this set counts.
    #[must_use]
    pub fn includes(&self, set: SetId) -> bool {
        self.own == set || self.old == Some(set)
    }

    /// The sets, the slot's own first.
    pub fn sets(&self) -> impl Iterator<Item = SetId> {
        core::iter::once(self.own).chain(self.old)
    }
}

#[cfg(test)]
mod tests;
