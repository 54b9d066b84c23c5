//! The actor: who handles what.

use std::collections::BTreeSet;
use std::panic::resume_unwind;

use alys_actor::{Actor, Context, Fault, Handler, Priority};

use alys_chain::{BlockId, BlockRef, Certificate, Hash, Height, Lineage, Required, Seat, Slot};
use alys_storage::StoredHeader;
use alys_sync::Fault as SyncFault;

use super::gossip::Checked;
use super::held::Held;

use super::answers::{AccountState, ImportError, Imported, NotInstalled, ReadError, Refused, StoredBlock};
use super::ingress::{
    Backfill, GetAccount, GetBlock, GetBlocksByRange, GetChainStatus, GetHeader, HasBlock, ImportBatch,
    ImportBlock, InstallState, NewApproval, NewCertificate, NewProposal, NewTransaction, ProduceBlock,
    SubmitTransaction,
};
use super::local::{ChainError, Effects, LocalChain};
use super::parts::Shared;
use super::producer::{AskAgain, Gated, SlotTick};
use super::queries;
use super::txpool::TxPool;
use super::view::{ChainEvent, ChainStatus, SignerState, StorageState};

/// How old a signature may be, in slots, to say that its author is alive: as long as the tree keeps approvals.
const HEARD_SLOTS: u64 = 32;

/// Which new certificates are ours to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forward {
    /// None: they are old.
    Nothing,
    /// All.
    All,
    /// All but this one: the network forwards it by itself.
    Except(Certificate),
}

impl Forward {
    fn includes(self, certificate: &Certificate) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Except(other) => other != *certificate,
        }
    }
}

/// The chain.
pub struct ChainActor {
    pub(super) shared: Shared,
    pub(super) transactions: TxPool,
    /// The head at which the waiting transactions were settled last.
    pub(super) settled_at: Option<BlockId>,
    pub(super) held: Held,
    /// The proposals that are being checked.
    pub(super) checking: BTreeSet<BlockId>,
    /// Executed blocks of the next slot, to be approved when it begins.
    pub(super) early: BTreeSet<(Slot, BlockId)>,
    /// The last slot that was begun.
    pub(super) begun: Option<Slot>,
    /// The certificate that the disk had no room for, the highest if there were several.
    pub(super) postponed: Option<Certificate>,
    pub(super) not_produced: Option<String>,
}

impl ChainActor {
    pub(super) fn new(shared: Shared) -> Self {
        Self {
            shared,
            transactions: TxPool::default(),
            settled_at: None,
            held: Held::default(),
            checking: BTreeSet::new(),
            early: BTreeSet::new(),
            begun: None,
            postponed: None,
            not_produced: None,
        }
    }

    /// Runs `job` in the pool. Its panic is the actor's: what it left half-way must not be used.
    pub(super) async fn compute<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        match self.shared.parts.pool.run(Priority::High, job).await {
            Ok(done) => done,
            Err(panicked) => resume_unwind(Box::new(panicked.to_string())),
        }
    }

    /// Changes the local chain, and shows what it has become.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut LocalChain) -> T + Send + 'static,
    ) -> T {
        let heart = self.shared.heart.clone();
        let (done, facts) = self.compute(move || heart.with(|chain| (work(chain), Facts::of(chain)))).await;
        self.show(facts);
        done
    }

    fn show(&self, facts: Facts) {
        let slot = self.shared.slots.slot();
        let set = self.shared.parts.network.rules.schedule().set_at(slot);
        let signer = self.shared.parts.signer.as_ref();
        let seat = |set| signer.and_then(|signer| signer.seat(set));
        let required = facts.lineage.required(self.shared.parts.network.rules.schedule(), slot);
        self.shared.view.send_if_modified(|view| {
            let before = view.clone();
            (view.head, view.finalized) = (facts.head, facts.finalized);
            view.head_certificate = facts.certificate;
            if facts.head.slot > view.highest_certified {
                (view.highest_certified, view.highest_block) = (facts.head.slot, facts.head.id);
            }
            (view.slot, view.set) = (slot, set.id());
            view.authorities = u8::try_from(set.len()).expect("a set has at most 15 members");
            view.authority = seat(set.id()).map(|seat| seat.authority);
            view.votes = Required::sets(&required).any(|set| seat(set).is_some());
            view.last_signed = signer.and_then(|signer| signer.last_signed());
            *view != before
        });
        let gauge = |height: alys_chain::Height| i64::try_from(height.0).unwrap_or(i64::MAX);
        self.shared.metrics.head.set(gauge(facts.head.height));
        self.shared.metrics.finalized.set(gauge(facts.finalized.height));
    }

    /// Tells everybody what a change has brought about.
    pub(super) fn absorb(&mut self, effects: Effects, forward: Forward) {
        let Effects { head, finalized, undone, certified, evidence } = effects;
        let tell = |event| drop(self.shared.events.send(event));
        for certificate in &certified {
            self.on_certified(certificate);
            if forward.includes(certificate) {
                self.shared.parts.outlet.certificate(*certificate);
            }
        }
        head.into_iter().for_each(|tip| tell(ChainEvent::NewHead(tip)));
        finalized.into_iter().for_each(|tip| tell(ChainEvent::Finalized(tip)));
        for evidence in evidence {
            tracing::error!(?evidence, "an authority has signed two blocks of one slot");
            self.shared.metrics.evidence.inc();
            tell(ChainEvent::Evidence(evidence));
        }
        self.shared.metrics.undone.inc_by(undone.len() as u64);
    }

    fn on_certified(&self, certificate: &Certificate) {
        let Certificate { slot, block, .. } = *certificate;
        if let Some(signer) = &self.shared.parts.signer {
            signer.on_certificate(slot, block);
        }
        self.note_certificate(slot, block);
        let quorums = std::iter::once(certificate.quorum).chain(certificate.joint);
        for quorum in quorums {
            let members = (0..u16::BITS).filter(|i| quorum.signers >> i & 1 == 1);
            let authorities = members.filter_map(|i| u8::try_from(i).ok()).map(alys_chain::AuthorityIndex);
            authorities.for_each(|authority| self.heard(Seat { set: quorum.set, authority }, slot));
        }
    }

    /// Notes a verified signature of an authority, if it is recent and not our own.
    pub(super) fn heard(&self, seat: Seat, slot: Slot) {
        let own = self.shared.parts.signer.as_ref().and_then(|signer| signer.seat(seat.set));
        if own == Some(seat) || self.shared.slots.slot().ahead_of(slot) > HEARD_SLOTS {
            return;
        }
        let Seat { set, authority } = seat;
        drop(self.shared.events.send(ChainEvent::AuthorityHeard { authority, set, slot }));
    }

    /// Notes whether the disk took what it was given.
    pub(super) fn note_storage(&self, error: Option<&ChainError>) {
        let now = match error {
            Some(error) if error.is_ours() && error.is_temporary() => {
                StorageState::Waiting(error.to_string())
            }
            Some(error) if error.is_ours() => StorageState::Failed(error.to_string()),
            // It has not come to the disk.
            Some(_) => return,
            None => StorageState::Working,
        };
        if now != StorageState::Working {
            self.shared.metrics.storage_failures.inc();
            tracing::warn!(%now, "the database did not take a change");
        }
        self.shared.view.send_if_modified(|view| {
            // Only a restart of the process mends a failed database.
            let changed = view.storage != now && !matches!(view.storage, StorageState::Failed(_));
            if changed {
                view.storage = now;
            }
            changed
        });
    }
}

/// What the view shows of the local chain.
struct Facts {
    head: BlockRef,
    finalized: BlockRef,
    certificate: Option<Certificate>,
    /// The lineage of a child of the head.
    lineage: Lineage,
}

impl Facts {
    fn of(chain: &LocalChain) -> Self {
        let head = chain.head();
        // A store that cannot be read shows itself elsewhere; the view then does without.
        let certificate = chain.certificate(head.id).ok().flatten();
        let lineage = chain.children_lineage(head.id).unwrap_or(Lineage::GENESIS);
        Self { head, finalized: chain.finalized(), certificate, lineage }
    }
}

impl Actor for ChainActor {
    type Seed = ();

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Fault> {
        let (heart, parts) = (self.shared.heart.clone(), self.shared.parts.clone());
        let snapshots = self.shared.snapshots.clone();
        self.compute(move || heart.open(parts.network, parts.store, snapshots)).await?;
        self.change(|_| ()).await;
        self.on_tick(ctx).await;
        Ok(())
    }
}

impl Handler<SlotTick> for ChainActor {
    async fn handle(&mut self, _tick: SlotTick, ctx: &mut Context<Self>) {
        self.on_tick(ctx).await;
    }
}

impl Handler<Gated> for ChainActor {
    async fn handle(&mut self, gated: Gated, ctx: &mut Context<Self>) {
        self.on_gated(gated, ctx).await;
    }
}

impl Handler<AskAgain> for ChainActor {
    async fn handle(&mut self, again: AskAgain, ctx: &mut Context<Self>) {
        self.on_ask_again(again, ctx);
    }
}

impl Handler<Checked> for ChainActor {
    async fn handle(&mut self, checked: Checked, ctx: &mut Context<Self>) {
        self.on_checked(checked, ctx).await;
    }
}

impl Handler<NewProposal> for ChainActor {
    async fn handle(&mut self, message: NewProposal, ctx: &mut Context<Self>) {
        self.on_proposal(message.gossiped, *message.proposal, ctx);
    }
}

impl Handler<NewApproval> for ChainActor {
    async fn handle(&mut self, message: NewApproval, ctx: &mut Context<Self>) {
        self.on_approval(message.gossiped, message.approval, ctx).await;
    }
}

impl Handler<NewCertificate> for ChainActor {
    async fn handle(&mut self, message: NewCertificate, ctx: &mut Context<Self>) {
        self.on_certificate(message.gossiped, message.certificate, ctx).await;
    }
}

impl Handler<NewTransaction> for ChainActor {
    async fn handle(&mut self, message: NewTransaction, _ctx: &mut Context<Self>) {
        self.on_transaction(message.gossiped, message.raw).await;
    }
}

impl Handler<SubmitTransaction> for ChainActor {
    async fn handle(
        &mut self,
        message: SubmitTransaction,
        _ctx: &mut Context<Self>,
    ) -> Result<Hash, Refused> {
        self.on_submit(message.raw).await
    }
}

impl Handler<ImportBatch> for ChainActor {
    async fn handle(
        &mut self,
        message: ImportBatch,
        ctx: &mut Context<Self>,
    ) -> Result<Imported, ImportError> {
        self.import(message.blocks, ctx).await
    }
}

impl Handler<ImportBlock> for ChainActor {
    async fn handle(
        &mut self,
        message: ImportBlock,
        ctx: &mut Context<Self>,
    ) -> Result<Imported, ImportError> {
        self.import_unverified(message.block, message.broadcast, ctx).await
    }
}

impl Handler<InstallState> for ChainActor {
    async fn handle(
        &mut self,
        message: InstallState,
        _ctx: &mut Context<Self>,
    ) -> Result<Imported, NotInstalled> {
        self.install(message.proven).await
    }
}

impl Handler<Backfill> for ChainActor {
    async fn handle(&mut self, message: Backfill, _ctx: &mut Context<Self>) -> Result<Height, SyncFault> {
        self.backfill(message.blocks).await
    }
}

impl Handler<ProduceBlock> for ChainActor {
    async fn handle(&mut self, message: ProduceBlock, ctx: &mut Context<Self>) {
        self.on_produce(message.answer, ctx);
    }
}

impl Handler<GetBlock> for ChainActor {
    async fn handle(
        &mut self,
        message: GetBlock,
        _ctx: &mut Context<Self>,
    ) -> Result<Option<StoredBlock>, ReadError> {
        let store = self.shared.parts.store.clone();
        self.compute(move || queries::block(store.as_ref(), message.at)).await
    }
}

impl Handler<GetHeader> for ChainActor {
    async fn handle(
        &mut self,
        message: GetHeader,
        _ctx: &mut Context<Self>,
    ) -> Result<Option<StoredHeader>, ReadError> {
        let store = self.shared.parts.store.clone();
        self.compute(move || queries::header(store.as_ref(), message.at)).await
    }
}

impl Handler<HasBlock> for ChainActor {
    async fn handle(&mut self, message: HasBlock, _ctx: &mut Context<Self>) -> Result<bool, ReadError> {
        let store = self.shared.parts.store.clone();
        let header = self.compute(move || store.header(message.id)).await?;
        Ok(header.is_some())
    }
}

impl Handler<GetBlocksByRange> for ChainActor {
    async fn handle(
        &mut self,
        message: GetBlocksByRange,
        _ctx: &mut Context<Self>,
    ) -> Result<Vec<StoredBlock>, ReadError> {
        let store = self.shared.parts.store.clone();
        self.compute(move || queries::range(store.as_ref(), message.range)).await
    }
}

impl Handler<GetAccount> for ChainActor {
    async fn handle(
        &mut self,
        message: GetAccount,
        _ctx: &mut Context<Self>,
    ) -> Result<AccountState, ReadError> {
        self.account(message.address).await
    }
}

impl Handler<GetChainStatus> for ChainActor {
    async fn handle(&mut self, _message: GetChainStatus, _ctx: &mut Context<Self>) -> ChainStatus {
        let tree = self.change(|chain| chain.tree().sizes()).await;
        ChainStatus {
            view: self.shared.view.borrow().clone(),
            signer: self.shared.parts.signer.as_ref().map_or(SignerState::None, |signer| signer.state()),
            not_produced: self.not_produced.clone(),
            held: self.held.len(),
            checking: self.checking.len(),
            tree,
            transaction_bytes: self.transactions.bytes(),
        }
    }
}
