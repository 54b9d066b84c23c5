//! Approvals that wait: for their block, for a quorum, or for the second one that makes them evidence.
//!
//! Kept by slot, for the last [`SLOTS`] slots of the clock, at most [`PER_AUTHORITY`] of one authority for one slot. With two sets of 15
//! that is at most 34 x 2 x 15 x 2 = 2,040 approvals, about 300 KB.

use std::collections::BTreeMap;

use crate::certificate::Approval;
use crate::consensus::tree::changed::{Evidence, TreeRefusal};
use crate::ids::{AuthorityIndex, BlockId, Height, SetId, Slot};

/// How many slots an approval is kept after its own. Approvals are for the slot itself; some 32 (64 s at 2 s) bridge a broken connection. Not
/// more: later a block gets no quorum anyway, since approvals are given in the slot only.
pub(super) const SLOTS: u64 = 32;
/// How far ahead of the clock an approval or an uncertified block may be: clocks differ, by less than a slot.
pub(super) const AHEAD: u64 = 1;
/// Approvals kept of one authority for one slot: an honest one gives one; two different ones are evidence; a third says nothing new.
pub(super) const PER_AUTHORITY: usize = 2;

#[derive(Clone, Debug, Default)]
pub(super) struct Votes {
    by_slot: BTreeMap<Slot, BTreeMap<(SetId, AuthorityIndex), Vec<Approval>>>,
}

/// Whether `slot` is near enough to the clock for something that no quorum vouches for.
pub(super) fn in_window(slot: Slot, now: Slot) -> Result<(), TreeRefusal> {
    if slot.ahead_of(now) > AHEAD {
        return Err(TreeRefusal::Future);
    }
    if now.ahead_of(slot) > SLOTS {
        return Err(TreeRefusal::Stale);
    }
    Ok(())
}

impl Votes {
    /// Keeps a verified approval; evidence if it is the second of its authority for its slot. The same one again changes nothing.
    pub(super) fn insert(&mut self, approval: &Approval) -> Result<Option<Evidence>, TreeRefusal> {
        let author = (approval.set, approval.authority);
        let kept = self.by_slot.entry(approval.slot).or_default().entry(author).or_default();
        if kept.iter().any(|a| (a.block, a.height) == (approval.block, approval.height)) {
            return Ok(None);
        }
        if kept.len() >= PER_AUTHORITY {
            return Err(TreeRefusal::TooManyApprovals);
        }
        kept.push(*approval);
        let first = kept[0];
        Ok((first.block != approval.block).then_some(Evidence { first, second: *approval }))
    }

    /// The approvals of a block by members of `set`, by authority.
    pub(super) fn of(
        &self,
        (slot, height, block): (Slot, Height, BlockId),
        set: SetId,
    ) -> impl Iterator<Item = &Approval> {
        let members = (set, AuthorityIndex(0))..=(set, AuthorityIndex(u8::MAX));
        let kept = self.by_slot.get(&slot).into_iter().flat_map(move |votes| votes.range(members.clone()));
        kept.flat_map(|(_, votes)| votes).filter(move |a| (a.block, a.height) == (block, height))
    }

    /// Forgets the slots up to the final one.
    pub(super) fn forget_final(&mut self, last_final: Slot) {
        self.by_slot.retain(|slot, _| *slot > last_final);
    }

    /// Forgets the slots that are long over.
    pub(super) fn forget_before(&mut self, oldest: Slot) {
        self.by_slot = self.by_slot.split_off(&oldest);
    }

    /// How many approvals are kept.
    pub(super) fn len(&self) -> usize {
        self.by_slot.values().flat_map(BTreeMap::values).map(Vec::len).sum()
    }
}
