//! Our own blocks and approvals: the slot timer, the gate, the signature.

use std::time::Duration;

use alys_actor::{Context, Lane, Message};
use alys_chain::consensus::Refusal;
use alys_chain::{Approval, BlockId, BlockRef, Certificate, Slot};
use alys_ledger::Recovered;
use alys_sync::GateReport;
use alys_wire::Proposal;
use tokio::sync::oneshot;

use super::actor::{ChainActor, Forward};
use super::answers::NotProduced;
use super::local::{ChainError, Effects, LocalChain, PreparedBlock};
use super::signer::{Ballot, SignError, Signer};
use super::slots::SlotClock;
use super::view::{ChainEvent, StorageState};

/// A look at the slot clock.
pub(super) struct SlotTick;

impl Message for SlotTick {
    type Reply = ();
    const NAME: &'static str = "SlotTick";

    fn lane(&self) -> Lane {
        Lane::High
    }
}

/// What the gate was asked for.
pub(super) enum Purpose {
    /// A block of our own, and who else wants to know.
    Produce(Option<oneshot::Sender<Result<BlockRef, NotProduced>>>),
    /// An approval of this block.
    Approve(BlockId),
}

/// The gate has answered.
pub(super) struct Gated {
    slot: Slot,
    purpose: Purpose,
    report: GateReport,
}

impl Message for Gated {
    type Reply = ();
    const NAME: &'static str = "Gated";

    fn lane(&self) -> Lane {
        Lane::High
    }
}

/// A gate that was closed is asked again while the slot lasts: it may have opened a moment after the slot began, and the next turn is a whole
/// round away. Not more often, as each answer is work for sync; not less, or the cut-off comes first.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// It is time to ask the gate again.
pub(super) struct AskAgain {
    slot: Slot,
    purpose: Purpose,
}

impl Message for AskAgain {
    type Reply = ();
    const NAME: &'static str = "AskAgain";

    fn lane(&self) -> Lane {
        Lane::High
    }
}

impl ChainActor {
    /// Looks at the clock, and begins the slot if it is a new one.
    pub(super) async fn on_tick(&mut self, ctx: &mut Context<Self>) {
        ctx.after(self.shared.slots.wait(), SlotTick);
        let Some(now) = self.shared.slots.now() else { return };
        if self.begun.is_some_and(|begun| now.slot <= begun) {
            return;
        }
        self.begun = Some(now.slot);
        // The gate looks at the view, which must speak of this slot.
        self.change(|_| ()).await;
        if self.shared.parts.signer.as_ref().is_some_and(|signer| signer.is_proposer(now.slot)) {
            self.ask(now.slot, Purpose::Produce(None), ctx);
        }
        self.early = self.early.split_off(&(now.slot, BlockId([0; 32])));
        let due: Vec<BlockId> =
            self.early.iter().take_while(|(slot, _)| *slot == now.slot).map(|(_, id)| *id).collect();
        due.into_iter().for_each(|id| self.ask(now.slot, Purpose::Approve(id), ctx));
        self.retry_postponed().await;
        self.retry_held(now.slot, ctx).await;
        self.settle_transactions().await;
    }

    /// Produces on demand.
    pub(super) fn on_produce(
        &mut self,
        answer: oneshot::Sender<Result<BlockRef, NotProduced>>,
        ctx: &mut Context<Self>,
    ) {
        let Some(signer) = &self.shared.parts.signer else {
            answer.send(Err(NotProduced::NoAuthority)).ok();
            return;
        };
        match self.shared.slots.now() {
            Some(now) if signer.is_proposer(now.slot) => {
                self.ask(now.slot, Purpose::Produce(Some(answer)), ctx);
            }
            _ => drop(answer.send(Err(NotProduced::NotOurSlot))),
        }
    }

    /// An executed block of `slot` asks for our approval, now or when its slot begins.
    pub(super) fn consider(&mut self, id: BlockId, slot: Slot, ctx: &mut Context<Self>) {
        if self.shared.parts.signer.is_none() {
            return;
        }
        let now = self.shared.slots.slot();
        if slot == now {
            self.ask(slot, Purpose::Approve(id), ctx);
        } else if slot > now {
            // The tree takes a few blocks a slot, and of the next slot only.
            self.early.insert((slot, id));
        }
    }

    fn ask(&self, slot: Slot, purpose: Purpose, ctx: &mut Context<Self>) {
        let report = self.shared.parts.gate.ask(slot);
        ctx.spawn(async move { Gated { slot, purpose, report: report.await } });
    }

    /// Does what the gate was asked for, if it is open.
    pub(super) async fn on_gated(&mut self, gated: Gated, ctx: &mut Context<Self>) {
        let Gated { slot, purpose, report } = gated;
        let waits = matches!(purpose, Purpose::Produce(None) | Purpose::Approve(_));
        if !report.open && waits && self.lasts(slot) {
            ctx.after(ASK_AGAIN, AskAgain { slot, purpose });
            return;
        }
        match purpose {
            Purpose::Produce(answer) => {
                let outcome =
                    if report.open { self.produce(slot, ctx).await } else { Err(NotProduced::Gate(report)) };
                self.note_production(slot, &outcome);
                if let Some(answer) = answer {
                    answer.send(outcome).ok();
                }
            }
            Purpose::Approve(id) if report.open => self.approve(id, slot).await,
            Purpose::Approve(id) => tracing::debug!(block = %id, %report, "not approved"),
        }
    }

    /// Asks the gate again, if it still matters.
    pub(super) fn on_ask_again(&self, again: AskAgain, ctx: &mut Context<Self>) {
        self.ask(again.slot, again.purpose, ctx);
    }

    /// Whether the slot runs, with time left to ask again before its cut-off.
    fn lasts(&self, slot: Slot) -> bool {
        let now = self.shared.slots.now();
        now.is_some_and(|now| now.slot == slot && now.elapsed + ASK_AGAIN < now.cut_off())
    }

    fn note_production(&mut self, slot: Slot, outcome: &Result<BlockRef, NotProduced>) {
        match outcome {
            Ok(block) => {
                tracing::info!(%slot, height = %block.height, block = %block.id, "produced");
                self.not_produced = None;
                self.shared.metrics.produced.inc();
            }
            Err(why) => {
                tracing::info!(%slot, %why, "not produced");
                self.not_produced = Some(why.to_string());
                self.shared.metrics.missed.inc();
            }
        }
    }

    async fn produce(&mut self, slot: Slot, ctx: &mut Context<Self>) -> Result<BlockRef, NotProduced> {
        let Some(signer) = self.shared.parts.signer.clone() else { return Err(NotProduced::NoAuthority) };
        self.storage_works()?;
        let candidates = self.transactions.candidates();
        let slots = self.shared.slots.clone();
        let made = self.change(move |chain| make(chain, &signer, &slots, (slot, &candidates))).await;
        let made = made.map_err(|error| self.not_signed(error))?;
        self.note_storage(made.storage.as_ref());
        let header = made.block.header;
        let block = BlockRef { slot, height: header.height, id: made.block.id };
        let outlet = self.shared.parts.outlet.clone();
        let (own, other) = made.approvals;
        // Said before it is done: whoever traces the process sees the disk's answer above this line.
        tracing::debug!(%slot, block = %block.id, "signature leaves");
        outlet.proposal(Proposal::new(header, made.parent, own, made.block.body));
        other.into_iter().for_each(|approval| outlet.approval(approval));
        self.shared.view.send_modify(|view| view.produced += 1);
        drop(self.shared.events.send(ChainEvent::Produced(block)));
        self.absorb(made.effects, Forward::All);
        self.release(vec![block.id], ctx).await;
        Ok(block)
    }

    async fn approve(&mut self, id: BlockId, slot: Slot) {
        let Some(signer) = self.shared.parts.signer.clone() else { return };
        if self.storage_works().is_err() {
            return;
        }
        let slots = self.shared.slots.clone();
        match self.change(move |chain| cast(chain, &signer, &slots, id)).await {
            Ok(cast) => {
                self.note_storage(cast.storage.as_ref());
                self.shared.metrics.approved.inc();
                tracing::debug!(%slot, block = %id, "signature leaves");
                cast.approvals.into_iter().for_each(|approval| self.shared.parts.outlet.approval(approval));
                self.absorb(cast.effects, Forward::All);
            }
            Err(error) => {
                let why = self.not_signed(error);
                tracing::debug!(block = %id, %slot, %why, "not approved");
            }
        }
    }

    fn storage_works(&self) -> Result<(), NotProduced> {
        match &self.shared.view.borrow().storage {
            StorageState::Failed(why) => Err(NotProduced::Failed(why.clone())),
            _ => Ok(()),
        }
    }

    fn not_signed(&self, error: SignError<ChainError>) -> NotProduced {
        match error {
            SignError::Refused(why) => NotProduced::Rule(why),
            SignError::NoVote => NotProduced::NotOurSlot,
            SignError::Commit(error) => {
                self.note_storage(Some(&error));
                NotProduced::Failed(error.to_string())
            }
        }
    }
}

/// A block of our own, signed; its record is durable.
struct Made {
    block: PreparedBlock,
    parent: Option<Certificate>,
    /// The one as its author, and those of our other seats.
    approvals: (Approval, Vec<Approval>),
    effects: Effects,
    storage: Option<ChainError>,
}

/// Builds a block on the head, signs it under the record, and counts our own approvals.
fn make(
    chain: &mut LocalChain,
    signer: &Signer,
    slots: &SlotClock,
    (slot, candidates): (Slot, &[Recovered]),
) -> Result<Made, SignError<ChainError>> {
    let head = chain.head();
    let before = slots.now().ok_or(SignError::NoVote)?;
    signer.may_propose(slot, head.slot, before).map_err(SignError::Refused)?;
    let (block, _) = chain.build(slot, candidates).map_err(SignError::Commit)?;
    let parent = chain.certificate(head.id).map_err(SignError::Commit)?;
    let missing = || SignError::Commit(ChainError::UnknownParent(head.id));
    let required = chain.tree().required_on(head.id, slot).ok_or_else(missing)?;
    let ballot = Ballot { header: block.header, certified_parent: Some(head.slot), required };
    // Building takes time: the rule is asked again, at the time of the signature.
    let now = slots.now().ok_or(SignError::NoVote)?;
    let mut effects = Effects::default();
    let mut approvals = signer.approve(&ballot, now, |record| {
        chain.propose(&block, now.slot, Some(record)).map(|done| effects.merge(done))
    })?;
    let storage = count(chain, &approvals, now.slot, &mut effects);
    // The slot's own set comes first, and the author is a member of it.
    let own = approvals.remove(0);
    Ok(Made { block, parent, approvals: (own, approvals), effects, storage })
}

/// Approvals of ours; their record is durable.
struct Cast {
    approvals: Vec<Approval>,
    effects: Effects,
    storage: Option<ChainError>,
}

/// Approves an executed block under the record.
fn cast(
    chain: &mut LocalChain,
    signer: &Signer,
    slots: &SlotClock,
    id: BlockId,
) -> Result<Cast, SignError<ChainError>> {
    let gone = || SignError::Commit(ChainError::NotExecuted(id));
    let header = *chain.tree().header(id).ok_or_else(gone)?;
    let required = chain.tree().required(id).ok_or_else(gone)?;
    let certified_parent = chain.tree().certified_slot(header.parent);
    let ballot = Ballot { header, certified_parent, required };
    let now =
        slots.now().ok_or(SignError::Refused(Refusal::NotItsSlot { block: header.slot, now: Slot::ZERO }))?;
    let approvals = signer.approve(&ballot, now, |record| chain.record(record))?;
    let mut effects = Effects::default();
    let storage = count(chain, &approvals, now.slot, &mut effects);
    Ok(Cast { approvals, effects, storage })
}

/// Counts our own approvals; nobody here has to check them again. They are signed and on record: if the disk does not take what follows from
/// them, they go out all the same, and the others' certificate brings it back.
fn count(
    chain: &mut LocalChain,
    approvals: &[Approval],
    now: Slot,
    effects: &mut Effects,
) -> Option<ChainError> {
    for approval in approvals {
        let known = chain.network().vouched.signed(approval);
        debug_assert_eq!(known, Ok(()), "a signature of ours is a point");
        match chain.approve(approval, now) {
            Ok(done) => effects.merge(done),
            Err(error) => {
                tracing::warn!(%error, "our own approval was not counted");
                return Some(error);
            }
        }
    }
    None
}
