//! One change of the local chain: everything that it does ends in one commit, or is undone.

use std::collections::BTreeSet;

use alys_chain::consensus::{Changed, Evidence, NewlyCertified, Proof, Route, SigningRecord};
use alys_chain::{Approval, BlockId, BlockRef, Body, Certificate, Hash, Header, Lineage, Required, Tally};
use alys_ledger::diff::{decode_changes, encode_changes, reverse_changes};
use alys_ledger::{AccountChange, Overlay, StateDiff};
use alys_storage::{Batch, BlockKey, Durability, Location};
use tokio::time::Instant;

use super::block::{PreparedBlock, VerifiedBlock};
use super::error::ChainError;
use super::roots::{advance, run_ahead};
use super::view::{self, StoredState};
use super::{Executed, LocalChain, Network};

/// What a change of the local chain brought about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The new head, if it moved.
    pub head: Option<BlockRef>,
    /// The new final block, if it moved.
    pub finalized: Option<BlockRef>,
    /// Blocks that left the canonical chain.
    pub undone: Vec<BlockId>,
    /// Certificates that are new here, ours to forward.
    pub certified: Vec<Certificate>,
    /// Authorities that contradicted themselves.
    pub evidence: Vec<Evidence>,
}

impl Effects {
    /// Adds what a later change brought about.
    pub fn merge(&mut self, later: Self) {
        self.head = later.head.or(self.head);
        self.finalized = later.finalized.or(self.finalized);
        self.undone.extend(later.undone);
        self.certified.extend(later.certified);
        self.evidence.extend(later.evidence);
    }
}

/// The state after some block, and the batch that leads there.
pub(super) struct Session<'a> {
    chain: &'a mut LocalChain,
    overlay: Overlay<StoredState>,
    at: BlockId,
    batch: Batch,
    /// Executed in this session: their diffs are stored if they are still above finality in the end.
    fresh: Vec<BlockId>,
    /// Became final in this session: forgotten after the commit, since the way to the head may lead over them.
    finals: Vec<BlockId>,
    effects: Effects,
}

impl<'a> Session<'a> {
    /// Starts at the durable head.
    pub fn new(chain: &'a mut LocalChain) -> Result<Self, ChainError> {
        let overlay = Overlay::new(chain.state.clone())?;
        let at = chain.head.id;
        let (batch, fresh, finals) = (Batch::new(), Vec::new(), Vec::new());
        Ok(Self { chain, overlay, at, batch, fresh, finals, effects: Effects::default() })
    }

    /// Executes a block on its parent and puts it into the batch. It belongs into the tree next.
    pub fn execute(&mut self, block: &PreparedBlock) -> Result<(), ChainError> {
        let parent = block.header.parent;
        let lineage = self.chain.children_lineage(parent).ok_or(ChainError::UnknownParent(parent))?;
        if self.chain.network.light {
            self.follow(block, lineage);
            return Ok(());
        }
        self.go_to(parent)?;
        let facts = self.chain.facts(&block.header);
        let run = self.chain.executor.run(&self.overlay, &facts, &block.transactions)?;
        let changes = advance(&mut self.overlay, block.header.state_root, run.changes)?;
        self.keep(block, lineage, changes);
        Ok(())
    }

    /// Executes blocks as [`execute`](Self::execute) does, each the child of the one before and the first a child of the block that the session is
    /// at. The state roots are computed in a thread of their own, as no transaction depends on them. How many were executed, and why no more.
    pub fn execute_run(&mut self, blocks: &[VerifiedBlock]) -> (usize, Option<ChainError>) {
        let Some(mut lineage) = self.chain.children_lineage(self.at) else {
            return (0, Some(ChainError::UnknownParent(self.at)));
        };
        let (done, stopped) = run_ahead(self.chain, &mut self.overlay, blocks);
        let count = done.len();
        for (VerifiedBlock { block, .. }, changes) in blocks.iter().zip(done) {
            self.keep(block, lineage, changes);
            lineage = lineage.advance(&block.header);
        }
        (count, stopped)
    }

    /// How many of these blocks make a chain on the block that the session is at, and are new here.
    pub fn run_length(&self, blocks: &[VerifiedBlock]) -> usize {
        let mut parent = self.at;
        let follows = |VerifiedBlock { block, .. }: &&VerifiedBlock| {
            let follows = block.header.parent == parent && !self.chain.executed.contains_key(&block.id);
            parent = block.id;
            follows
        };
        blocks.iter().take_while(follows).count()
    }

    /// Keeps an executed block, which the session is at now.
    fn keep(&mut self, block: &PreparedBlock, lineage: Lineage, changes: Vec<AccountChange>) {
        let executed = Executed {
            height: block.header.height,
            parent: block.header.parent,
            changes,
            transactions: block.hashes(),
            children: lineage.advance(&block.header),
        };
        self.batch.put_block(block.at(), &block.header, lineage, &block.body);
        self.chain.executed.insert(block.id, executed);
        self.fresh.push(block.id);
        self.at = block.id;
    }

    /// Puts the header of a block into the batch: what it does to the accounts is not known here.
    fn follow(&mut self, block: &PreparedBlock, lineage: alys_chain::Lineage) {
        let executed = Executed {
            height: block.header.height,
            parent: block.header.parent,
            changes: Vec::new(),
            transactions: Vec::new(),
            children: lineage.advance(&block.header),
        };
        self.batch.put_block(block.at(), &block.header, lineage, &Body::default());
        self.chain.executed.insert(block.id, executed);
        self.fresh.push(block.id);
    }

    /// Takes over what the tree says.
    pub fn absorb(&mut self, changed: Changed) -> Result<(), ChainError> {
        for fresh in changed.certified {
            self.certify(&fresh)?;
        }
        if let Some(route) = changed.head {
            self.redirect(&route)?;
        }
        if let Some(finalized) = changed.finalized {
            let tip = finalized.anchor.tip;
            self.batch.set_final(BlockKey::new(tip.height, tip.id));
            self.effects.finalized = Some(tip);
            self.finals.extend(finalized.blocks);
        }
        self.effects.evidence.extend(changed.evidence);
        Ok(())
    }

    /// Puts a signature on record, in the same commit.
    pub fn record(&mut self, record: SigningRecord) {
        self.batch.record_signing(record);
    }

    /// The tree, to insert facts. What it answers goes to [`Session::absorb`].
    pub fn chain(&mut self) -> &mut LocalChain {
        self.chain
    }

    /// Gives up: the executed blocks that the tree did not take are forgotten.
    pub fn abandon(self) {
        let Self { chain, fresh, .. } = self;
        for id in fresh.iter().filter(|id| chain.tree.header(**id).is_none()) {
            chain.executed.remove(id);
        }
    }

    /// Writes everything at once; on failure everything is as before.
    pub fn commit(mut self, durability: Durability) -> Result<Effects, ChainError> {
        let head = self.chain.tree.head();
        let written = self.write(head, durability);
        let Self { chain, overlay, effects, finals, .. } = self;
        if let Err(error) = written {
            chain.reload()?;
            return Err(error);
        }
        chain.state = chain.state.advanced(&overlay);
        chain.head = BlockKey::new(head.height, head.id);
        if effects.finalized.is_some() {
            if let Err(error) = chain.offer_newest(&finals) {
                // What was committed is; fresh nodes ask others.
                tracing::warn!(%error, "no state can be offered");
            }
            let tree = &chain.tree;
            chain.executed.retain(|id, _| tree.header(*id).is_some());
        }
        Ok(effects)
    }

    fn write(&mut self, head: BlockRef, durability: Durability) -> Result<(), ChainError> {
        self.go_to(head.id)?;
        self.forget_refused();
        view::write(&self.overlay, &mut self.batch);
        if head.id != self.chain.head.id {
            self.batch.set_head(BlockKey::new(head.height, head.id));
            self.effects.head = Some(head);
        }
        if self.effects.finalized.is_some() {
            self.forget_settled();
        }
        for id in self.fresh.iter().filter(|id| self.chain.tree.header(**id).is_some()) {
            let executed = &self.chain.executed[id];
            self.batch.put_diff(BlockKey::new(executed.height, *id), &encode_changes(&executed.changes));
        }
        if !self.batch.is_empty() {
            let began = Instant::now();
            self.chain.store.commit(std::mem::take(&mut self.batch), durability)?;
            self.chain.committing = began.elapsed();
        }
        Ok(())
    }

    /// What was executed and the tree did not take is not stored.
    fn forget_refused(&mut self) {
        let finals: BTreeSet<_> = self.finals.iter().collect();
        let kept = |id: &BlockId| self.chain.tree.header(*id).is_some() || finals.contains(id);
        let (kept, refused): (Vec<_>, Vec<_>) = std::mem::take(&mut self.fresh).into_iter().partition(kept);
        self.fresh = kept;
        for id in refused {
            if let Some(executed) = self.chain.executed.remove(&id) {
                self.batch.remove_block(BlockKey::new(executed.height, id));
            }
        }
    }

    /// After finality has moved: final blocks need no diff any more, and what the tree has forgotten beside them is removed.
    fn forget_settled(&mut self) {
        let finals: BTreeSet<_> = self.finals.iter().collect();
        // Of these none was ever stored.
        let fresh: BTreeSet<_> = self.fresh.iter().collect();
        for (id, executed) in &self.chain.executed {
            let at = BlockKey::new(executed.height, *id);
            if finals.contains(id) {
                if !fresh.contains(id) {
                    self.batch.remove_diff(at);
                }
            } else if self.chain.tree.header(*id).is_none() {
                self.batch.remove_block(at);
            }
        }
    }

    /// Undoes and applies blocks until the state is the one after `target`. The way is found over the executed blocks, not in the tree: that
    /// one has forgotten what became final in this session.
    fn go_to(&mut self, target: BlockId) -> Result<(), ChainError> {
        let (mut from, mut to, mut apply) = (self.at, target, Vec::new());
        while from != to {
            let (down, up) = (self.chain.height(from), self.chain.height(to));
            if down >= up {
                let executed = self.executed(from)?;
                let (changes, parent) = (reverse_changes(&executed.changes), executed.parent);
                self.step(changes)?;
                from = parent;
                self.at = from;
            } else {
                apply.push(to);
                to = self.executed(to)?.parent;
            }
        }
        for id in apply.into_iter().rev() {
            let changes = self.executed(id)?.changes.clone();
            self.step(changes)?;
            self.at = id;
        }
        Ok(())
    }

    fn step(&mut self, changes: Vec<AccountChange>) -> Result<(), ChainError> {
        let diff = StateDiff::new(&self.overlay, changes)?;
        Ok(self.overlay.apply(&diff)?)
    }

    fn executed(&self, id: BlockId) -> Result<&Executed, ChainError> {
        self.chain.executed.get(&id).ok_or(ChainError::UnknownParent(id))
    }

    /// Stores the certificate of a block; one that came together from single approvals is assembled first. The tree may have forgotten the
    /// block already: the step that certifies it can make it final.
    fn certify(&mut self, fresh: &NewlyCertified) -> Result<(), ChainError> {
        let certificate = match &fresh.proof {
            Proof::Certificate(certificate) => *certificate,
            Proof::Approvals(approvals) => {
                let made = self.assemble(&fresh.header, approvals)?;
                if self.chain.tree.is_certified(fresh.block) {
                    self.chain.tree.insert_certificate(&made)?;
                }
                made
            }
        };
        self.batch.certify(&certificate);
        self.effects.certified.push(certificate);
        Ok(())
    }

    /// The certificate of these approvals, by the slot's own set, and by the old one where its approvals are among them.
    fn assemble(&self, header: &Header, approvals: &[Approval]) -> Result<Certificate, ChainError> {
        let Network { rules, vouched, .. } = &self.chain.network;
        let own = rules.schedule().set_at(header.slot).id();
        let old = approvals.iter().map(|approval| approval.set).find(|set| *set != own);
        let wrong = |why: &dyn core::fmt::Display| {
            ChainError::Inconsistent(format!("approvals of the certified block {}: {why}", header.id()))
        };
        let mut tally = Tally::of(header);
        for approval in approvals {
            let signature = vouched.approval(rules, approval).map_err(|invalid| wrong(&invalid))?;
            tally.insert(approval, signature).map_err(|invalid| wrong(&invalid))?;
        }
        let certificate = tally.certificate(rules.schedule(), Required { own, old });
        certificate.ok_or_else(|| wrong(&"they are no quorum"))
    }

    /// The canonical chain follows the head.
    fn redirect(&mut self, route: &Route) -> Result<(), ChainError> {
        for id in &route.undo {
            let at = self.locate(*id)?;
            self.batch.clear_canonical(at.height);
            for hash in self.transactions(*id) {
                self.batch.unindex_transaction(hash);
            }
            self.effects.undone.push(*id);
        }
        for id in &route.apply {
            let at = self.locate(*id)?;
            self.batch.make_canonical(at);
            for (position, hash) in (0..).zip(self.transactions(*id)) {
                self.batch.index_transaction(hash, Location { height: at.height, position });
            }
        }
        Ok(())
    }

    fn transactions(&self, id: BlockId) -> Vec<Hash> {
        self.chain.executed.get(&id).map(|executed| executed.transactions.clone()).unwrap_or_default()
    }

    fn locate(&self, id: BlockId) -> Result<BlockKey, ChainError> {
        Ok(BlockKey::new(self.executed(id)?.height, id))
    }
}

/// What a stored diff says.
pub(super) fn stored_changes(bytes: &[u8]) -> Result<Vec<AccountChange>, ChainError> {
    Ok(decode_changes(bytes)?)
}
