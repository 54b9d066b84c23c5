//! Gossiped proposals, approvals and certificates: checked beside the actor, judged by it.

use alys_actor::{Context, Message, Priority};
use alys_chain::consensus::TreeRefusal;
use alys_chain::{Approval, BlockId, Certificate, Slot};
use alys_transport::Verdict;
use alys_wire::Proposal;

use super::actor::{ChainActor, Forward};
use super::inspect::{self, Candidate, Dismissal, Standing};
use super::local::{ChainError, Effects, LocalChain};
use super::parts::Shared;
use crate::network::Gossiped;

/// How many proposals are checked at a time: two of each authority of the largest set. Each has passed the free checks; one whose source
/// withholds the body keeps its place until the port gives up.
const MAX_CHECKING: usize = 32;

/// A proposal has been checked.
pub(super) struct Checked {
    pub gossiped: Gossiped,
    pub id: BlockId,
    pub candidate: Result<Candidate, Dismissal>,
}

impl Message for Checked {
    type Reply = ();
    const NAME: &'static str = "Checked";

    fn lane(&self) -> alys_actor::Lane {
        alys_actor::Lane::High
    }
}

impl ChainActor {
    /// Checks a proposal: what is free here, the rest beside the actor.
    pub(super) fn on_proposal(&mut self, gossiped: Gossiped, proposal: Proposal, ctx: &mut Context<Self>) {
        let rules = &self.shared.parts.network.rules;
        let id = proposal.approval.block;
        let screened = inspect::screen(rules, &proposal, self.shared.slots.slot()).and_then(|()| {
            if self.checking.len() < MAX_CHECKING && self.checking.insert(id) {
                Ok(())
            } else {
                Err(Dismissal::ignored("it, or too many others, are being checked"))
            }
        });
        if let Err(dismissal) = screened {
            return self.dismiss(gossiped, dismissal);
        }
        if self.shared.parts.network.light {
            self.checking.remove(&id);
            return self.dismiss(gossiped, Dismissal::ignored("headers are followed only"));
        }
        let shared = self.shared.clone();
        ctx.spawn(async move {
            let candidate = check(&shared, gossiped, proposal).await;
            Checked { gossiped, id, candidate }
        });
    }

    /// Takes a checked proposal into the chain.
    pub(super) async fn on_checked(&mut self, checked: Checked, ctx: &mut Context<Self>) {
        self.checking.remove(&checked.id);
        match checked.candidate {
            Err(dismissal) => self.dismiss(checked.gossiped, dismissal),
            Ok(candidate) => match self.adopt(candidate, ctx).await {
                Ok(()) => self.verdict(checked.gossiped, Verdict::Accept),
                Err(dismissal) => self.dismiss(checked.gossiped, dismissal),
            },
        }
    }

    /// Counts an approval, its block here or not.
    pub(super) async fn on_approval(
        &mut self,
        gossiped: Gossiped,
        approval: Approval,
        ctx: &mut Context<Self>,
    ) {
        let now = self.shared.slots.slot();
        let network = self.shared.parts.network.clone();
        let verified = self.compute(move || network.vouched.approval(&network.rules, &approval)).await;
        if let Err(invalid) = verified {
            let offence = alys_peers::Offence::BadCertificate;
            return self.dismiss(gossiped, Dismissal::guilty(offence, invalid));
        }
        self.heard(approval.seat(), approval.slot);
        match self.change(move |chain| chain.approve(&approval, now)).await {
            Ok(effects) => {
                self.verdict(gossiped, Verdict::Accept);
                self.absorb(effects, Forward::All);
                self.release(vec![approval.block], ctx).await;
            }
            Err(error) => {
                self.note_storage(Some(&error));
                self.dismiss(gossiped, inspect::dismissal_of(&error));
            }
        }
    }

    /// Takes a certificate, its block here or not.
    pub(super) async fn on_certificate(
        &mut self,
        gossiped: Gossiped,
        certificate: Certificate,
        ctx: &mut Context<Self>,
    ) {
        let now = self.shared.slots.slot();
        if certificate.slot.ahead_of(now) > 1 {
            return self.dismiss(gossiped, Dismissal::ignored("a certificate of the future"));
        }
        match self.change(move |chain| take_certificate(chain, &certificate)).await {
            Ok(taken) => {
                self.verdict(gossiped, taken.verdict);
                self.note_certificate(certificate.slot, certificate.block);
                self.absorb(taken.effects, Forward::Except(certificate));
                if taken.unknown {
                    self.shared.parts.gate.behind(certificate);
                }
                self.release(vec![certificate.block], ctx).await;
            }
            Err(TakeError::Dismissed(dismissal)) => self.dismiss(gossiped, dismissal),
            Err(TakeError::Conflict(why)) => {
                // A quorum has signed beside what a quorum had made final: nothing that this node could repair.
                tracing::error!(
                    ?certificate,
                    "a certificate conflicts with the final block: stop and find out why"
                );
                self.shared.metrics.conflicts.inc();
                self.dismiss(gossiped, Dismissal::ignored(why));
            }
            Err(TakeError::Storage(error)) => {
                self.note_storage(Some(&error));
                self.note_certificate(certificate.slot, certificate.block);
                if self.postponed.is_none_or(|other| other.slot < certificate.slot) {
                    self.postponed = Some(certificate);
                }
                self.verdict(gossiped, Verdict::Ignore);
            }
        }
    }

    /// Tries again the certificate that the disk had no room for; the highest one brings its ancestors along.
    pub(super) async fn retry_postponed(&mut self) {
        let Some(certificate) = self.postponed.take() else { return };
        match self.change(move |chain| chain.certify(&certificate)).await {
            Ok(effects) => {
                self.note_storage(None);
                self.absorb(effects, Forward::All);
            }
            Err(error) if error.is_temporary() => {
                self.note_storage(Some(&error));
                self.postponed = Some(certificate);
            }
            Err(error) => self.note_storage(Some(&error)),
        }
    }

    /// Notes a verified certificate for the view.
    pub(super) fn note_certificate(&self, slot: Slot, block: BlockId) {
        self.shared.view.send_if_modified(|view| {
            let higher = slot > view.highest_certified;
            if higher {
                (view.highest_certified, view.highest_block) = (slot, block);
            }
            higher
        });
    }

    pub(super) fn dismiss(&self, gossiped: Gossiped, dismissal: Dismissal) {
        let (verdict, offence, why) = match dismissal {
            Dismissal::Ignored(why) => (Verdict::Ignore, None, why),
            Dismissal::Guilty(offence, why) => (Verdict::Reject, Some(offence), why),
        };
        tracing::debug!(source = %gossiped.source, ?verdict, why, "gossip dismissed");
        self.shared.metrics.verdicts.get_or_create(&verdict.into()).inc();
        self.shared.parts.outlet.validated(gossiped, verdict, offence);
    }

    pub(super) fn verdict(&self, gossiped: Gossiped, verdict: Verdict) {
        self.shared.metrics.verdicts.get_or_create(&verdict.into()).inc();
        self.shared.parts.outlet.validated(gossiped, verdict, None);
    }
}

/// The costly checks of a proposal, with the body fetched in between if it did not come along. Nothing is fetched for wrong signatures.
async fn check(shared: &Shared, gossiped: Gossiped, mut proposal: Proposal) -> Result<Candidate, Dismissal> {
    let (heart, network) = (shared.heart.clone(), shared.parts.network.clone());
    let pool = &shared.parts.pool;
    let failed = |error| Dismissal::ignored(error);
    let first = move || {
        check_place(&heart, &proposal)?;
        let parent = heart.with(|chain| {
            let slot = proposal.parent_certificate.map_or(Slot::ZERO, |parent| parent.slot);
            Standing::of(chain, proposal.header.parent, slot)
        });
        inspect::check_signatures(&network, &proposal, parent)?;
        Ok((proposal, network.ledger.chain_id))
    };
    let (checked, chain) = pool.run(Priority::High, first).await.map_err(failed)??;
    proposal = checked;
    if proposal.body.is_none() {
        proposal.body = shared.parts.bodies.body(gossiped.source, proposal.approval.block).await;
    }
    let body = move || inspect::check_body(proposal, chain);
    pool.run(Priority::High, body).await.map_err(failed)?
}

/// Whether the block is news, and above the final one.
fn check_place(heart: &super::heart::Heart, proposal: &Proposal) -> Result<(), Dismissal> {
    let (id, slot) = (proposal.approval.block, proposal.header.slot);
    match heart.with(|chain| Standing::of(chain, id, slot)) {
        Standing::Unknown(_) => Ok(()),
        _ => Err(Dismissal::ignored("the block is known, or too old")),
    }
}

/// What became of a certificate.
struct Taken {
    effects: Effects,
    verdict: Verdict,
    /// Its block is not here.
    unknown: bool,
}

enum TakeError {
    Dismissed(Dismissal),
    Conflict(TreeRefusal),
    Storage(ChainError),
}

fn take_certificate(chain: &mut LocalChain, certificate: &Certificate) -> Result<Taken, TakeError> {
    let standing = Standing::of(chain, certificate.block, certificate.slot);
    if standing == Standing::Certified {
        return Err(TakeError::Dismissed(Dismissal::ignored("the block is certified")));
    }
    inspect::check_certificate(chain.network(), certificate, standing).map_err(TakeError::Dismissed)?;
    let effects = chain.certify(certificate).map_err(|error| match error {
        ChainError::Refused(why @ TreeRefusal::ConflictsWithFinal) => TakeError::Conflict(why),
        error if error.is_ours() => TakeError::Storage(error),
        error => TakeError::Dismissed(inspect::dismissal_of(&error)),
    })?;
    // Where the lineage is open, a valid certificate may still lack the quorum of a second set: others might blame us for forwarding it.
    let verdict = if standing == Standing::Unknown(None) { Verdict::Ignore } else { Verdict::Accept };
    Ok(Taken { effects, verdict, unknown: matches!(standing, Standing::Unknown(_)) })
}
