//! May this authority sign? The one rule behind every approval, the proposer's own included.
//!
//! - **Decides**: whether a block may be approved now, and what the signing record is afterwards.
//! - **In**: the signing record (or the fact that it was lost), the proposal, the slot clock.
//! - **Out**: the new [`SigningRecord`]. It must be durable, together with the executed block, before the signature leaves the process.
//! - **On failure**: a [`Refusal`]; nothing has changed then. A refusal blames nobody: an honest proposer can be late or behind.

use core::time::Duration;

use thiserror::Error;

use crate::consensus::record::SigningRecord;
use crate::ids::{BlockId, Slot};

/// The share of a slot in which blocks are approved, as a fraction: the first two of three thirds. A block takes two hops before an approval
/// (the header spreads, the body is fetched) and the approval one hop after it. Later would leave the author of the next slot without the
/// certificate, or without the one that a lock rests on; earlier would turn down honest proposers on slow links.
pub const CUT_OFF: (u32, u32) = (2, 3);

/// Where the slot clock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotTime {
    /// The current slot.
    pub slot: Slot,
    /// How long it has lasted.
    pub elapsed: Duration,
    /// How long it lasts in all.
    pub length: Duration,
}

impl SlotTime {
    /// How long after its start the slot's blocks may still be approved.
    #[must_use]
    pub fn cut_off(&self) -> Duration {
        self.length.saturating_mul(CUT_OFF.0) / CUT_OFF.1
    }
}

/// What the rule looks at in a proposed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The slot of the block.
    pub slot: Slot,
    /// The block.
    pub block: BlockId,
    /// The slot of its parent, if this node holds the parent's certificate (or the parent is genesis).
    pub certified_parent: Option<Slot>,
}

/// Why an authority does not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Refusal {
    /// The record was lost, and no certificate of a slot after the restart has been seen.
    #[error("signing record lost; waiting for a certificate of a slot after {restart}")]
    RecordLost {
        /// The slot of the restart.
        restart: Slot,
    },
    /// Not the block's slot: it is over or has not begun.
    #[error("block of slot {block} in slot {now}")]
    NotItsSlot {
        /// The block's slot.
        block: Slot,
        /// The current slot.
        now: Slot,
    },
    /// The block's slot, but too late in it.
    #[error("past the slot's cut-off")]
    PastCutOff,
    /// A block of this slot, or of a later one, was signed before.
    #[error("already signed in slot {last}")]
    AlreadySigned {
        /// The last slot in which a block was approved.
        last: Slot,
    },
    /// The parent's certificate is not here.
    #[error("the parent is not certified")]
    ParentNotCertified,
    /// The parent is not older than the block.
    #[error("the parent's slot {parent} is not before the block's")]
    ParentNotEarlier {
        /// The parent's slot.
        parent: Slot,
    },
    /// The parent is older than the lock.
    #[error("the parent's slot {parent} is below the lock {lock}")]
    BelowLock {
        /// The parent's slot.
        parent: Slot,
        /// The lock.
        lock: Slot,
    },
}

/// Decides whether the owner of `record` may approve `proposal` now; the record that must be durable before it signs.
///
/// The block that the record names may be approved again in its slot: it is the same signature.
///
/// # Errors
/// The first clause of the rule that forbids it.
pub fn may_approve(
    record: &SigningRecord,
    proposal: &Proposal,
    now: SlotTime,
) -> Result<SigningRecord, Refusal> {
    within_the_slot(proposal.slot, now)?;
    if (proposal.slot, proposal.block) == (record.last, record.block) {
        return Ok(*record);
    }
    let parent = extends(record, proposal.slot, proposal.certified_parent)?;
    Ok(SigningRecord { last: proposal.slot, block: proposal.block, lock: record.lock.max(parent) })
}

/// Decides, before the block is built, whether the owner of `record` may propose in `slot` on a certified parent of slot `parent`. The built
/// block then passes [`may_approve`] like any other: its author signs under the same rule.
///
/// # Errors
/// The first clause of the rule that forbids it.
pub fn may_propose(record: &SigningRecord, slot: Slot, parent: Slot, now: SlotTime) -> Result<(), Refusal> {
    within_the_slot(slot, now)?;
    extends(record, slot, Some(parent)).map(|_| ())
}

/// The clauses on time: in the slot itself, before its cut-off.
fn within_the_slot(block: Slot, now: SlotTime) -> Result<(), Refusal> {
    if block != now.slot {
        return Err(Refusal::NotItsSlot { block, now: now.slot });
    }
    if now.elapsed >= now.cut_off() {
        return Err(Refusal::PastCutOff);
    }
    Ok(())
}

/// The clauses on what was signed before: a new slot, on a certified parent that is not below the lock. Returns the parent's slot.
fn extends(record: &SigningRecord, slot: Slot, certified_parent: Option<Slot>) -> Result<Slot, Refusal> {
    if slot <= record.last {
        return Err(Refusal::AlreadySigned { last: record.last });
    }
    let parent = certified_parent.ok_or(Refusal::ParentNotCertified)?;
    if parent >= slot {
        return Err(Refusal::ParentNotEarlier { parent });
    }
    if parent < record.lock {
        return Err(Refusal::BelowLock { parent, lock: record.lock });
    }
    Ok(parent)
}

/// What an authority knows of its own past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SigningState {
    /// The record, as it is on disk.
    Known(SigningRecord),
    /// The record is gone or damaged: what was signed up to the restart is unknown.
    Lost {
        /// The current slot when the process started.
        restart: Slot,
    },
}

impl SigningState {
    /// [`may_approve`] for an authority that may have lost its record: then it signs nothing.
    ///
    /// # Errors
    /// The first clause of the rule that forbids it.
    pub fn may_approve(&self, proposal: &Proposal, now: SlotTime) -> Result<SigningRecord, Refusal> {
        may_approve(self.record()?, proposal, now)
    }

    /// [`may_propose`] for an authority that may have lost its record: then it signs nothing.
    ///
    /// # Errors
    /// The first clause of the rule that forbids it.
    pub fn may_propose(&self, slot: Slot, parent: Slot, now: SlotTime) -> Result<(), Refusal> {
        may_propose(self.record()?, slot, parent, now)
    }

    /// A verified certificate of `block` in `slot` is here. Whoever lost its record and holds a certificate of a slot later than its restart
    /// locks on it, and may sign again: the network has moved past everything that it can have signed. Whoever has its record never locks on
    /// a certificate merely seen: one faulty member that shows them late would then stop finality.
    #[must_use]
    pub fn on_certificate(self, slot: Slot, block: BlockId) -> Self {
        match self {
            Self::Lost { restart } if slot > restart => {
                Self::Known(SigningRecord { last: slot, block, lock: slot })
            }
            other => other,
        }
    }

    /// The record, if there is one.
    ///
    /// # Errors
    /// [`Refusal::RecordLost`].
    pub fn record(&self) -> Result<&SigningRecord, Refusal> {
        match self {
            Self::Known(record) => Ok(record),
            Self::Lost { restart } => Err(Refusal::RecordLost { restart: *restart }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: BlockId = BlockId([1; 32]);
    const B: BlockId = BlockId([2; 32]);

    fn at(slot: u64, millis: u64) -> SlotTime {
        SlotTime {
            slot: Slot(slot),
            elapsed: Duration::from_millis(millis),
            length: Duration::from_millis(2000),
        }
    }

    fn block(slot: u64, block: BlockId, parent: u64) -> Proposal {
        Proposal { slot: Slot(slot), block, certified_parent: Some(Slot(parent)) }
    }

    fn record(last: u64, lock: u64) -> SigningRecord {
        SigningRecord { last: Slot(last), block: A, lock: Slot(lock) }
    }

    #[test]
    fn an_approval_moves_the_last_slot_and_locks_on_the_parent_not_on_the_block() {
        let new = may_approve(&record(5, 3), &block(7, B, 4), at(7, 0)).unwrap();
        assert_eq!(new, SigningRecord { last: Slot(7), block: B, lock: Slot(4) });
        let same_lock = may_approve(&record(5, 4), &block(7, B, 4), at(7, 0)).unwrap();
        assert_eq!(same_lock.lock, Slot(4));
    }

    #[test]
    fn only_in_the_slot_itself() {
        for now in [6, 8] {
            let refused = Err(Refusal::NotItsSlot { block: Slot(7), now: Slot(now) });
            assert_eq!(may_approve(&record(5, 3), &block(7, B, 4), at(now, 0)), refused);
            assert_eq!(may_propose(&record(5, 3), Slot(7), Slot(4), at(now, 0)).err(), refused.err());
        }
    }

    #[test]
    fn only_before_the_cut_off() {
        assert_eq!(at(7, 0).cut_off(), Duration::from_nanos(1_333_333_333));
        assert!(may_approve(&record(5, 3), &block(7, B, 4), at(7, 1333)).is_ok());
        assert_eq!(may_approve(&record(5, 3), &block(7, B, 4), at(7, 1334)), Err(Refusal::PastCutOff));
    }

    #[test]
    fn one_block_a_slot_and_never_an_older_slot() {
        let refused = Err(Refusal::AlreadySigned { last: Slot(7) });
        assert_eq!(may_approve(&record(7, 3), &block(7, B, 4), at(7, 0)), refused);
        assert_eq!(may_approve(&record(7, 3), &block(6, B, 4), at(6, 0)), refused);
        assert_eq!(may_propose(&record(7, 3), Slot(7), Slot(4), at(7, 0)).err(), refused.err());
    }

    #[test]
    fn the_same_block_may_be_signed_again_in_its_slot() {
        assert_eq!(may_approve(&record(7, 4), &block(7, A, 4), at(7, 0)), Ok(record(7, 4)));
        assert!(may_approve(&record(7, 4), &block(7, A, 4), at(8, 0)).is_err());
    }

    #[test]
    fn only_on_a_certified_parent_that_is_not_below_the_lock() {
        let uncertified = Proposal { certified_parent: None, ..block(7, B, 4) };
        assert_eq!(may_approve(&record(5, 3), &uncertified, at(7, 0)), Err(Refusal::ParentNotCertified));
        let below = Refusal::BelowLock { parent: Slot(2), lock: Slot(3) };
        assert_eq!(may_approve(&record(5, 3), &block(7, B, 2), at(7, 0)), Err(below));
        let later = Refusal::ParentNotEarlier { parent: Slot(7) };
        assert_eq!(may_approve(&record(5, 3), &block(7, B, 7), at(7, 0)), Err(later));
        assert!(may_approve(&record(5, 3), &block(7, B, 3), at(7, 0)).is_ok());
    }

    #[test]
    fn who_lost_the_record_waits_for_a_certificate_of_a_slot_after_the_restart() {
        let lost = SigningState::Lost { restart: Slot(10) };
        let refused = Err(Refusal::RecordLost { restart: Slot(10) });
        assert_eq!(lost.may_approve(&block(11, B, 9), at(11, 0)), refused);
        assert_eq!(lost.may_propose(Slot(11), Slot(9), at(11, 0)).err(), refused.err());
        assert_eq!(lost.on_certificate(Slot(10), A), lost);
        let back = lost.on_certificate(Slot(11), A);
        assert_eq!(back, SigningState::Known(record(11, 11)));
        assert!(back.may_approve(&block(12, B, 11), at(12, 0)).is_ok());
        assert!(back.may_propose(Slot(12), Slot(11), at(12, 0)).is_ok());
        assert!(back.may_propose(Slot(12), Slot(9), at(12, 0)).is_err());
    }

    #[test]
    fn a_certificate_merely_seen_moves_no_lock() {
        let known = SigningState::Known(record(5, 3));
        assert_eq!(known.on_certificate(Slot(9), B), known);
    }
}
