//! The actor: who handles what.

use std::panic::resume_unwind;

use alys_actor::{Actor, Context, Fault, Handler, Priority};
use alys_chain::Hash;
use alys_chain::consensus::Tip;
use alys_sync::BlockRef;
use alys_transport::Verdict;

use super::ingress::{
    AccountState, GetAccount, GetBlock, GetBlocksByRange, GetChainStatus, HasBlock, ImportBatch, ImportBlock,
    ImportError, Imported, NewApproval, NewCertificate, NewProposal, NewTransaction, NotProduced,
    ProduceBlock, ReadError, Refused, StoredBlock, SubmitTransaction,
};
use super::local::{ChainError, Effects, LocalChain};
use super::parts::Shared;
use super::queries;
use super::view::{ChainEvent, ChainStatus, SignerState, StorageState};

/// Which new certificates are ours to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forward {
    /// None: they are old.
    Nothing,
}

/// The chain.
pub struct ChainActor {
    pub(super) shared: Shared,
}

impl ChainActor {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared }
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
        self.shared.view.send_if_modified(|view| {
            let before = view.clone();
            (view.head, view.finalized) = (facts.head, facts.finalized);
            view.head_certificate = facts.certificate;
            view.highest_certified = view.highest_certified.max(facts.head.slot);
            (view.slot, view.set) = (slot, set.id());
            view.authorities = u8::try_from(set.len()).expect("a set has at most 15 members");
            *view != before
        });
    }

    /// Tells everybody what a change has brought about.
    pub(super) fn absorb(&mut self, effects: Effects, _forward: Forward) {
        let Effects { head, finalized, evidence, .. } = effects;
        let tell = |event| drop(self.shared.events.send(event));
        head.into_iter().for_each(|tip| tell(ChainEvent::NewHead(block_ref(tip))));
        finalized.into_iter().for_each(|tip| tell(ChainEvent::Finalized(block_ref(tip))));
        evidence.into_iter().for_each(|evidence| tell(ChainEvent::Evidence(evidence)));
    }

    /// Notes whether the disk took what it was given.
    pub(super) fn note_storage(&self, error: Option<&ChainError>) {
        let now = match error {
            Some(error) if error.is_ours() && error.is_temporary() => {
                StorageState::Waiting(error.to_string())
            }
            Some(error) if error.is_ours() => StorageState::Failed(error.to_string()),
            _ => StorageState::Working,
        };
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
    certificate: Option<alys_chain::Certificate>,
}

impl Facts {
    fn of(chain: &LocalChain) -> Self {
        let head = chain.head();
        let stored = || chain.store().header(head.block).ok().flatten().and_then(|s| s.certificate);
        let certificate = chain.tree().certificate(head.block).copied().or_else(stored);
        Self { head: block_ref(head), finalized: block_ref(chain.finalized()), certificate }
    }
}

/// The same block, as sync names it.
pub(super) const fn block_ref(tip: Tip) -> BlockRef {
    BlockRef { slot: tip.slot, height: tip.height, id: tip.block }
}

impl Actor for ChainActor {
    type Seed = ();

    async fn started(&mut self, _ctx: &mut Context<Self>) -> Result<(), Fault> {
        let (heart, parts) = (self.shared.heart.clone(), self.shared.parts.clone());
        self.compute(move || heart.open(parts.network, parts.store)).await?;
        self.change(|_| ()).await;
        Ok(())
    }
}

impl Handler<NewProposal> for ChainActor {
    async fn handle(&mut self, message: NewProposal, _ctx: &mut Context<Self>) {
        self.shared.parts.outlet.validated(message.gossiped, Verdict::Ignore, None);
    }
}

impl Handler<NewApproval> for ChainActor {
    async fn handle(&mut self, message: NewApproval, _ctx: &mut Context<Self>) {
        self.shared.parts.outlet.validated(message.gossiped, Verdict::Ignore, None);
    }
}

impl Handler<NewCertificate> for ChainActor {
    async fn handle(&mut self, message: NewCertificate, _ctx: &mut Context<Self>) {
        self.shared.parts.outlet.validated(message.gossiped, Verdict::Ignore, None);
    }
}

impl Handler<NewTransaction> for ChainActor {
    async fn handle(&mut self, message: NewTransaction, _ctx: &mut Context<Self>) {
        self.shared.parts.outlet.validated(message.gossiped, Verdict::Ignore, None);
    }
}

impl Handler<SubmitTransaction> for ChainActor {
    async fn handle(
        &mut self,
        _message: SubmitTransaction,
        _ctx: &mut Context<Self>,
    ) -> Result<Hash, Refused> {
        Err(Refused::Full)
    }
}

impl Handler<ImportBatch> for ChainActor {
    async fn handle(
        &mut self,
        message: ImportBatch,
        _ctx: &mut Context<Self>,
    ) -> Result<Imported, ImportError> {
        self.import(message.blocks).await
    }
}

impl Handler<ImportBlock> for ChainActor {
    async fn handle(
        &mut self,
        message: ImportBlock,
        _ctx: &mut Context<Self>,
    ) -> Result<Imported, ImportError> {
        self.import_unverified(message.block, message.broadcast).await
    }
}

impl Handler<ProduceBlock> for ChainActor {
    async fn handle(&mut self, message: ProduceBlock, _ctx: &mut Context<Self>) {
        message.answer.send(Err(NotProduced::NoAuthority)).ok();
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
        _message: GetAccount,
        _ctx: &mut Context<Self>,
    ) -> Result<AccountState, ReadError> {
        Ok(AccountState::default())
    }
}

impl Handler<GetChainStatus> for ChainActor {
    async fn handle(&mut self, _message: GetChainStatus, _ctx: &mut Context<Self>) -> ChainStatus {
        let tree = self.change(|chain| chain.tree().sizes()).await;
        ChainStatus {
            view: self.shared.view.borrow().clone(),
            signer: SignerState::None,
            not_produced: None,
            held: 0,
            checking: 0,
            tree,
            transaction_bytes: 0,
        }
    }
}
