//! The chain as this node holds it: the store, the tree of blocks above finality, and the state at the head, changed together.
//!
//! - **Owns**: what is durable (I1), which blocks were executed, and the one way to change them: a session that ends in one atomic commit (I11).
//! - **In**: prepared blocks (body checked, senders recovered), verified certificates, verified approvals.
//! - **Out**: [`Effects`]: new head, new final block, certificates to forward, evidence.
//! - **On failure**: a [`ChainError`], and everything is as it was, in memory as well: what the store did not take is read back from it.
//!
//! The tree holds executed blocks only. So its head is always one whose state is known, and a certificate without its block is something to fetch,
//! not something to stand on.

mod block;
mod error;
mod import;
mod roots;
mod session;
mod view;
mod vouched;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alys_chain::consensus::{Anchor, SigningRecord, Tree};
use alys_chain::{
    Approval, BlockId, BlockRef, Body, Certificate, CertifiedHeader, Genesis, Hash, Header, Height, Lineage,
    Rules, Slot,
};
use alys_ledger::genesis::{LedgerRules, fee_address, genesis_state};
use alys_ledger::{AccountChange, BlockFacts, Executor, Overlay, Recovered, StateDiff};
use alys_ledger::{EmptyState, GenesisError, Room, Selection, Skip, ValueLedger};
use alys_storage::{Batch, BlockKey, Durability, Store, StoredHeader};

pub(super) use block::stored_hashes;
pub use block::{BadBody, PreparedBlock, VerifiedBlock};
pub use error::ChainError;
pub use session::Effects;
pub use view::StoredState;
pub use vouched::Vouched;

use session::Session;

use super::snapshot::Snapshots;

/// What is fixed for a network, and how its blocks are executed.
#[derive(Clone)]
pub struct Network {
    /// Who may propose and approve when.
    pub rules: Arc<Rules>,
    /// Chain id, gas, fees.
    pub ledger: LedgerRules,
    /// The accounts of genesis.
    pub genesis: Arc<StateDiff>,
    /// Executes blocks.
    pub executor: Arc<dyn Executor>,
    /// Follow headers and certificates only: no block is executed, no body kept, no state but that of genesis known.
    pub light: bool,
    /// The signatures that were found good lately.
    pub vouched: Arc<Vouched>,
}

impl Network {
    /// The network of a genesis, with the embedded ledger.
    ///
    /// # Errors
    /// When the allocations make no state.
    pub fn new(genesis: &Genesis) -> Result<Self, GenesisError> {
        let state = genesis_state(&genesis.allocations)?;
        Ok(Self {
            rules: Arc::new(Rules::new(genesis, state.root_after())),
            ledger: LedgerRules::of(genesis),
            genesis: Arc::new(state),
            executor: Arc::new(ValueLedger),
            light: false,
            vouched: Arc::default(),
        })
    }
}

/// What must be remembered of an executed block above finality.
pub(super) struct Executed {
    pub(super) height: Height,
    pub(super) parent: BlockId,
    pub(super) changes: Vec<AccountChange>,
    transactions: Vec<Hash>,
    /// The lineage of its children.
    children: Lineage,
}

/// The local chain. Synchronous: its calls read and write the store.
pub struct LocalChain {
    network: Network,
    executor: Arc<dyn Executor>,
    store: Arc<dyn Store>,
    tree: Tree,
    state: StoredState,
    head: BlockKey,
    pub(super) executed: BTreeMap<BlockId, Executed>,
    /// Where states are offered, if they are.
    pub(super) snapshots: Option<Snapshots>,
    /// How long the last commit took.
    committing: Duration,
}

/// How many blocks of an import are durable, and why the next one is not.
#[derive(Debug)]
pub struct ImportStopped {
    /// From the first on.
    pub imported: usize,
    /// What these brought about.
    pub effects: Effects,
    /// Why the next one was not taken.
    pub error: ChainError,
}

impl LocalChain {
    /// Opens the chain in the store, or puts genesis into an empty one.
    ///
    /// # Errors
    /// When the store fails, or what it holds does not fit together.
    pub fn open(network: Network, store: Arc<dyn Store>) -> Result<Self, ChainError> {
        let genesis = network.rules.genesis_id();
        if store.header(genesis)?.is_none() {
            put_genesis(&network, store.as_ref())?;
        }
        check_kind(&network, store.as_ref())?;
        let (tree, executed) = restore(&network, store.as_ref())?;
        let state = StoredState::load(store.clone())?;
        let head = store.head()?;
        if tree.head().id != head.id {
            return Err(ChainError::Inconsistent(format!(
                "the stored head is {}, the stored blocks lead to {}",
                head.id,
                tree.head().id
            )));
        }
        let executor = network.executor.clone();
        let committing = Duration::ZERO;
        Ok(Self { network, executor, store, tree, state, head, executed, snapshots: None, committing })
    }

    /// How long the store took for the last commit: what of an import the disk is to answer for.
    #[must_use]
    pub const fn committing(&self) -> Duration {
        self.committing
    }

    /// The durable head: the certified block with the highest slot.
    #[must_use]
    pub fn head(&self) -> BlockRef {
        self.tree.head()
    }

    /// The last final block.
    #[must_use]
    pub fn finalized(&self) -> BlockRef {
        self.tree.anchor().tip
    }

    /// The blocks above finality.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The network that this chain belongs to.
    #[must_use]
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// The store, for reading.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The accounts at the head.
    #[must_use]
    pub const fn state(&self) -> &StoredState {
        &self.state
    }

    /// Whether the block was executed and is durable here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn holds(&self, id: BlockId) -> Result<bool, ChainError> {
        Ok(self.executed.contains_key(&id) || self.store.header(id)?.is_some())
    }

    /// Which sets must approve a child of this block; `None` for a block that is not the final one or above it.
    #[must_use]
    pub fn children_lineage(&self, parent: BlockId) -> Option<Lineage> {
        let anchor = self.tree.anchor();
        if parent == anchor.tip.id {
            return Some(anchor.lineage);
        }
        self.executed.get(&parent).map(|executed| executed.children)
    }

    /// Executes certified blocks, each the child of the one before, and makes them durable in one commit. Blocks that are here count as imported.
    ///
    /// # Errors
    /// How far it came, and why no further. What came before is durable.
    pub fn import(&mut self, blocks: &[VerifiedBlock]) -> Result<Effects, Box<ImportStopped>> {
        let stopped = |imported, effects, error| Box::new(ImportStopped { imported, effects, error });
        let mut session = Session::new(self).map_err(|e| stopped(0, Effects::default(), e))?;
        let failure = import::import_all(&mut session, blocks);
        let effects = session.commit(Durability::Durable).map_err(|e| stopped(0, Effects::default(), e))?;
        match failure {
            None => Ok(effects),
            Some((imported, error)) => Err(stopped(imported, effects, error)),
        }
    }

    /// Executes a proposal on its certified parent and stores it. With a signing record the commit is durable, and the signature may leave after it.
    ///
    /// # Errors
    /// When the parent is unknown, the block invalid, or the store fails.
    pub fn propose(
        &mut self,
        block: &PreparedBlock,
        now: Slot,
        signing: Option<SigningRecord>,
    ) -> Result<Effects, ChainError> {
        let durability = if signing.is_some() { Durability::Durable } else { Durability::Buffered };
        self.change(durability, |session| {
            if !session.chain().executed.contains_key(&block.id) {
                session.execute(block)?;
            }
            let changed = session.chain().tree.insert_header(&block.header, now)?;
            session.absorb(changed)?;
            signing.into_iter().for_each(|record| session.record(record));
            Ok(())
        })
    }

    /// Makes a signing record durable, for a block that was executed before it.
    ///
    /// # Errors
    /// When the block is not here, or the store fails.
    pub fn record(&mut self, record: SigningRecord) -> Result<(), ChainError> {
        if !self.executed.contains_key(&record.block) {
            return Err(ChainError::NotExecuted(record.block));
        }
        let mut batch = Batch::new();
        batch.record_signing(record);
        self.store.commit(batch, Durability::Durable)?;
        Ok(())
    }

    /// The certificate of a block that is here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn certificate(&self, id: BlockId) -> Result<Option<Certificate>, ChainError> {
        if let Some(certificate) = self.tree.certificate(id) {
            return Ok(Some(*certificate));
        }
        Ok(self.store.header(id)?.and_then(|stored| stored.certificate))
    }

    /// Takes a verified certificate.
    ///
    /// # Errors
    /// When the tree refuses it, or the store fails.
    pub fn certify(&mut self, certificate: &Certificate) -> Result<Effects, ChainError> {
        self.change(Durability::Buffered, |session| {
            let changed = session.chain().tree.insert_certificate(certificate)?;
            session.absorb(changed)
        })
    }

    /// Takes a verified approval.
    ///
    /// # Errors
    /// When the tree refuses it, or the store fails.
    pub fn approve(&mut self, approval: &Approval, now: Slot) -> Result<Effects, ChainError> {
        self.change(Durability::Buffered, |session| {
            let changed = session.chain().tree.insert_approval(approval, now)?;
            session.absorb(changed)
        })
    }

    /// Makes a block of `slot` on the head from the candidates that fit, and says why the others do not.
    ///
    /// # Errors
    /// When the state does not answer.
    pub fn build(
        &self,
        slot: Slot,
        candidates: &[Recovered],
    ) -> Result<(PreparedBlock, Vec<(usize, Skip)>), ChainError> {
        let height = self.head.height.saturating_add(1);
        let facts = self.facts_of(height, slot);
        let Selection { taken, skipped, outcome } =
            self.executor.select(&self.state, &facts, Room::BODY, candidates)?;
        let transactions: Vec<Recovered> = taken.into_iter().map(|i| candidates[i].clone()).collect();
        let raw: Vec<_> = transactions.iter().map(Recovered::raw).collect();
        let body = Body::encode(&raw)?;
        let header = Header {
            height,
            slot,
            parent: self.head.id,
            body_root: body.root()?,
            state_root: outcome.state_root(),
            proposer: self.network.rules.schedule().proposer(slot),
        };
        Ok((PreparedBlock { id: header.id(), header, body, transactions }, skipped))
    }

    fn facts(&self, header: &Header) -> BlockFacts {
        self.facts_of(header.height, header.slot)
    }

    fn facts_of(&self, height: Height, slot: Slot) -> BlockFacts {
        let set = self.network.rules.schedule().set_at(slot);
        let key = set.key(set.proposer(slot)).expect("the proposer is a member of its set");
        self.network.ledger.block(height, fee_address(key.as_bytes()))
    }

    /// Runs a change to its commit, or leaves everything as it was.
    fn change(
        &mut self,
        durability: Durability,
        run: impl FnOnce(&mut Session<'_>) -> Result<(), ChainError>,
    ) -> Result<Effects, ChainError> {
        let mut session = Session::new(self)?;
        if let Err(error) = run(&mut session) {
            session.abandon();
            if error.is_ours() {
                self.reload()?;
            }
            return Err(error);
        }
        session.commit(durability)
    }

    /// The height of an executed block, or of the final one; zero for any other, so that a way to it is never found.
    fn height(&self, id: BlockId) -> Height {
        let anchor = self.tree.anchor().tip;
        let known = self.executed.get(&id).map(|executed| executed.height);
        known.or((id == anchor.id).then_some(anchor.height)).unwrap_or(Height::ZERO)
    }

    /// Reads everything back from the store, after it refused a change that the tree has seen already.
    pub(super) fn reload(&mut self) -> Result<(), ChainError> {
        // A clone: if the store fails now, the chain that is here goes on offering.
        let snapshots = self.snapshots.clone();
        *self = Self { snapshots, ..Self::open(self.network.clone(), self.store.clone())? };
        Ok(())
    }
}

/// The lowest height with a body of a chain without bodies.
const NO_BODIES: Height = Height(u64::MAX);

/// Whether the stored chain is of the kind that is wanted: one without state cannot go on executing, and one with a state is not thrown away.
fn check_kind(network: &Network, store: &dyn Store) -> Result<(), ChainError> {
    let is_light = store.earliest()? == NO_BODIES;
    let is_fresh = store.head()?.height == Height::ZERO;
    match (network.light, is_light) {
        (true, false) if is_fresh => {
            let mut batch = Batch::new();
            batch.set_earliest(NO_BODIES);
            store.commit(batch, Durability::Durable)?;
            Ok(())
        }
        (false, true) if is_fresh => {
            let mut batch = Batch::new();
            batch.set_earliest(Height(1));
            store.commit(batch, Durability::Durable)?;
            Ok(())
        }
        (true, false) => {
            Err(ChainError::OtherKind("it holds blocks and a state: start it without `--sync light`"))
        }
        (false, true) => Err(ChainError::OtherKind("it holds headers only: start it with `--sync light`")),
        _ => Ok(()),
    }
}

fn put_genesis(network: &Network, store: &dyn Store) -> Result<(), ChainError> {
    let header = *network.rules.genesis();
    let at = BlockKey::new(header.height, network.rules.genesis_id());
    let mut state = Overlay::new(EmptyState)?;
    state.apply(&network.genesis)?;
    if state.root() != header.state_root {
        return Err(ChainError::StateRoot { claimed: header.state_root, computed: state.root() });
    }
    let mut batch = Batch::new();
    batch.put_block(at, &header, Lineage::GENESIS, &Body::default());
    batch.make_canonical(at).set_head(at).set_final(at);
    view::write(&state, &mut batch);
    store.commit(batch, Durability::Durable)?;
    Ok(())
}

/// The tree and the executed blocks above the stored final block.
fn restore(network: &Network, store: &dyn Store) -> Result<(Tree, BTreeMap<BlockId, Executed>), ChainError> {
    let finalized = store.finalized()?;
    let anchor = store.header(finalized.id)?;
    let anchor = anchor.ok_or_else(|| ChainError::Inconsistent("the final block has no header".into()))?;
    let tip = BlockRef::new(finalized.id, &anchor.header);
    let lineage = children(&anchor);
    let schedule = Arc::new(network.rules.schedule().clone());
    let mut tree = Tree::new(Anchor { tip, lineage }, schedule);
    let mut executed = BTreeMap::new();
    for stored in store.above_final()? {
        let at = BlockKey::new(stored.header.height, stored.id);
        let Some(diff) = store.diff(at)? else {
            return Err(ChainError::Inconsistent(format!("block {} has no diff", stored.id)));
        };
        let body = store.body(stored.id)?.unwrap_or_default();
        executed.insert(
            stored.id,
            Executed {
                height: at.height,
                parent: stored.header.parent,
                changes: session::stored_changes(&diff)?,
                transactions: block::stored_hashes(&body)?,
                children: children(&stored),
            },
        );
        insert_stored(&mut tree, &stored)?;
    }
    Ok((tree, executed))
}

fn insert_stored(tree: &mut Tree, stored: &StoredHeader) -> Result<(), ChainError> {
    let header = stored.header;
    match &stored.certificate {
        Some(certificate) => {
            tree.insert_certified(&CertifiedHeader { header, certificate: *certificate })?;
        }
        // As if it were its slot: what was stored is not too old to be kept.
        None => drop(tree.insert_header(&header, header.slot)?),
    }
    Ok(())
}

/// The lineage of the children of a stored block.
fn children(stored: &StoredHeader) -> Lineage {
    let own = stored.lineage;
    if stored.header.height == Height::ZERO { own } else { own.advance(&stored.header) }
}
