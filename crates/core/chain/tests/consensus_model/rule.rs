//! The rule that the models run: the crate's own code, with clauses that a test may take away.
//!
//! A clause is taken away by lying to the real code (or by changing its answer), never by a second implementation: with nothing taken away every
//! method only delegates.

use alys_chain::consensus::{Proposal, Refusal, SigningRecord, SigningState, SlotTime, finalizes, vote};
use alys_chain::{BlockId, Quorum, Slot};

/// One clause of the consensus rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clause {
    /// An authority approves only a slot above its last one.
    AboveLast,
    /// ... and not before the block's slot.
    NotEarly,
    /// ... and not after the block's slot.
    NotLate,
    /// ... and only before the slot's cut-off.
    CutOff,
    /// ... and only on a certified parent.
    CertifiedParent,
    /// ... and only on a parent that is not below the lock.
    Lock,
    /// The lock is the parent's slot, not the block's own.
    LockOnParent,
    /// The lock never moves by a certificate merely seen.
    LockByApprovalOnly,
    /// It takes ceil(2n/3) approvals, not one fewer.
    Quorum,
    /// After a change of the set both sets must approve.
    BothSets,
    /// Only a child in the very next slot makes a block final.
    VeryNextSlot,
    /// The record is durable before the signature leaves.
    DurableFirst,
    /// Who lost the record does not sign as if it had never signed.
    LostIsNotNew,
    /// Who lost the record waits for a certificate of a slot later than its restart, not for any.
    AfterRestart,
    /// ... and locks on it.
    LockOnReturn,
    /// The author proposes on the certified block with the highest slot that it holds.
    HighestParent,
    /// New certificates are forwarded at once.
    Forward,
}

/// The rule without some of its clauses.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    off: &'static [Clause],
}

impl Rule {
    pub const WHOLE: Self = Self { off: &[] };

    pub const fn without(off: &'static [Clause]) -> Self {
        Self { off }
    }

    pub fn is_whole(&self) -> bool {
        self.off.is_empty()
    }

    pub fn has(&self, clause: Clause) -> bool {
        !self.off.contains(&clause)
    }

    /// `parent` is the slot of the block's parent; the proposal says whether it is certified.
    pub fn approve(
        &self,
        state: &SigningState,
        mut proposal: Proposal,
        parent: Slot,
        mut now: SlotTime,
    ) -> Result<SigningRecord, Refusal> {
        let known = *state.record()?;
        let mut record = known;
        if !self.has(Clause::NotEarly) {
            now.slot = now.slot.max(proposal.slot);
        }
        if !self.has(Clause::NotLate) {
            now.slot = now.slot.min(proposal.slot);
        }
        if !self.has(Clause::CutOff) {
            now.elapsed = core::time::Duration::ZERO;
        }
        if !self.has(Clause::CertifiedParent) {
            proposal.certified_parent = Some(parent);
        }
        if !self.has(Clause::AboveLast) {
            record = SigningRecord { last: Slot::ZERO, block: BlockId::default(), ..record };
        }
        if !self.has(Clause::Lock) {
            record.lock = Slot::ZERO;
        }
        let mut new = vote::may_approve(&record, &proposal, now)?;
        if !self.has(Clause::LockOnParent) {
            new.lock = proposal.slot;
        }
        new.last = new.last.max(known.last);
        Ok(new)
    }

    pub fn on_certificate(&self, state: SigningState, slot: Slot, block: BlockId) -> SigningState {
        let lied = match state {
            SigningState::Lost { .. } if !self.has(Clause::AfterRestart) => {
                SigningState::Lost { restart: Slot::ZERO }
            }
            other => other,
        };
        match (state, lied.on_certificate(slot, block)) {
            (SigningState::Lost { .. }, SigningState::Known(mut record))
                if !self.has(Clause::LockOnReturn) =>
            {
                record = SigningRecord { lock: Slot::ZERO, ..record };
                // Without the lock the return is no approval of that slot either: only what was signed before the restart is excluded.
                if let SigningState::Lost { restart } = state {
                    record.last = restart;
                }
                SigningState::Known(record)
            }
            (SigningState::Lost { .. }, SigningState::Lost { .. }) => state,
            (SigningState::Known(_), SigningState::Known(mut record))
                if !self.has(Clause::LockByApprovalOnly) =>
            {
                record.lock = record.lock.max(slot);
                SigningState::Known(record)
            }
            (_, new) => new,
        }
    }

    /// The state after a restart whose record is gone.
    pub fn lost(&self, restart: Slot, genesis: BlockId) -> SigningState {
        if self.has(Clause::LostIsNotNew) {
            SigningState::Lost { restart }
        } else {
            SigningState::Known(SigningRecord::unused(genesis))
        }
    }

    pub fn finalizes(&self, parent: Slot, child: Slot) -> bool {
        finalizes(parent, child) || (!self.has(Clause::VeryNextSlot) && parent < child)
    }

    /// How many approvals of `n` make a certificate.
    pub fn quorum(&self, n: usize) -> usize {
        Quorum::of(n).get() - usize::from(!self.has(Clause::Quorum))
    }
}
