//! Checked proposals on their way into the chain, and what follows from it for those that wait.

use std::collections::VecDeque;

use alys_actor::Context;
use alys_chain::{BlockId, Slot};

use super::actor::{ChainActor, Forward};
use super::inspect::{Candidate, Dismissal, dismissal_of};
use super::local::{ChainError, Effects, LocalChain};

impl ChainActor {
    /// Executes a candidate, then all that waited for it. What waits for its own parent, or for the disk, is kept.
    pub(super) async fn adopt(
        &mut self,
        candidate: Candidate,
        ctx: &mut Context<Self>,
    ) -> Result<(), Dismissal> {
        let id = candidate.block.id;
        self.try_adopt(candidate, ctx).await?;
        self.release(vec![id], ctx).await;
        Ok(())
    }

    /// Goes on with the proposals that waited for these blocks, and with those that wait for them in turn.
    pub(super) async fn release(&mut self, parents: Vec<BlockId>, ctx: &mut Context<Self>) {
        let mut parents = VecDeque::from(parents);
        while let Some(parent) = parents.pop_front() {
            for child in self.held.take_children(parent) {
                let id = child.block.id;
                match self.try_adopt(child, ctx).await {
                    Ok(()) => parents.push_back(id),
                    Err(why) => tracing::debug!(block = %id, ?why, "held proposal not adopted"),
                }
            }
        }
        self.shared.metrics.held.set(i64::try_from(self.held.len()).unwrap_or(i64::MAX));
    }

    /// Tries all that wait again, and forgets what has waited for too long.
    pub(super) async fn retry_held(&mut self, now: Slot, ctx: &mut Context<Self>) {
        self.held.forget_old(now);
        for candidate in self.held.take_all() {
            // What still has to wait is kept again.
            self.try_adopt(candidate, ctx).await.ok();
        }
        self.shared.metrics.held.set(i64::try_from(self.held.len()).unwrap_or(i64::MAX));
    }

    async fn try_adopt(&mut self, candidate: Candidate, ctx: &mut Context<Self>) -> Result<(), Dismissal> {
        let now = self.shared.slots.slot();
        let (id, slot) = (candidate.block.id, candidate.block.header.slot);
        let (candidate, effects, taken) = self.change(move |chain| take(chain, candidate, now)).await;
        self.absorb(effects, Forward::All);
        self.note_storage(taken.as_ref().err());
        if let Some(parent) = candidate.parent {
            self.note_certificate(parent.slot, parent.block);
        }
        self.heard(candidate.approval.seat(), slot);
        match taken {
            Ok(()) => {
                self.consider(id, slot, ctx);
                Ok(())
            }
            Err(error) => {
                let dismissal = dismissal_of(&error);
                if error.is_temporary() {
                    self.hold(candidate, &error);
                }
                Err(dismissal)
            }
        }
    }

    fn hold(&mut self, candidate: Candidate, error: &ChainError) {
        if matches!(error, ChainError::UnknownParent(_))
            && let Some(parent) = candidate.parent
        {
            self.shared.parts.gate.behind(parent);
        }
        self.held.insert(candidate);
    }
}

/// The parent's certificate, the block, its author's approval: what was taken counts, even if the next is not.
fn take(
    chain: &mut LocalChain,
    candidate: Candidate,
    now: Slot,
) -> (Candidate, Effects, Result<(), ChainError>) {
    let mut effects = Effects::default();
    let taken = take_in_order(chain, &candidate, now, &mut effects);
    (candidate, effects, taken)
}

fn take_in_order(
    chain: &mut LocalChain,
    candidate: &Candidate,
    now: Slot,
    effects: &mut Effects,
) -> Result<(), ChainError> {
    if let Some(parent) = candidate.parent.filter(|parent| !chain.tree().is_certified(parent.block)) {
        match chain.certify(&parent) {
            Ok(done) => effects.merge(done),
            // It was verified against what the tree knew a moment ago; execution finds out what that means for the block.
            Err(ChainError::Refused(why)) => tracing::debug!(%why, "the parent's certificate was not taken"),
            Err(error) => return Err(error),
        }
    }
    effects.merge(chain.propose(&candidate.block, now, None)?);
    match chain.approve(&candidate.approval, now) {
        Ok(done) => effects.merge(done),
        Err(ChainError::Refused(why)) => tracing::debug!(%why, "the author's approval was not counted"),
        Err(error) => return Err(error),
    }
    Ok(())
}
