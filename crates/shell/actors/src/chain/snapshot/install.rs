//! What the local chain does with states: offering its own, standing on a fetched one.

use std::collections::BTreeMap;
use std::sync::Arc;

use alys_chain::{BlockId, BlockRef, Body, FinalityProof, Height, ProvenFinal};
use alys_ledger::{Account, Address, LatticeHash, StateTree};
use alys_storage::{Batch, BlockKey, Durability, Limit, StateKey};

use super::offer::{Offer, Snapshots};
use crate::chain::local::{ChainError, Effects, LocalChain};

/// How many headers below and above a block are looked through for its proof: as long as a proof may be, on each side.
const PROOF_REACH: usize = alys_chain::finality::MOST_HEADERS;

impl LocalChain {
    /// Offers states from now on: the one after the last final block at once, since none is left from before the start.
    ///
    /// # Errors
    /// When the store fails.
    pub fn offer_to(&mut self, snapshots: Snapshots) -> Result<(), ChainError> {
        let finalized = self.finalized();
        if finalized.height > Height::ZERO {
            self.offer(&snapshots, finalized.id, finalized.height)?;
        }
        self.snapshots = Some(snapshots);
        Ok(())
    }

    /// Offers the newest of these blocks, which became final, that is due. They are still among the executed ones, and the head's state is stored.
    ///
    /// # Errors
    /// When the store fails.
    pub(in crate::chain) fn offer_newest(&self, finals: &[BlockId]) -> Result<(), ChainError> {
        let Some(snapshots) = self.snapshots.clone() else { return Ok(()) };
        let known = finals.iter().filter_map(|id| Some((self.executed.get(id)?.height, *id)));
        match known.filter(|(height, _)| snapshots.is_due(*height)).max() {
            Some((height, id)) => self.offer(&snapshots, id, height),
            None => Ok(()),
        }
    }

    fn offer(&self, snapshots: &Snapshots, id: BlockId, height: Height) -> Result<(), ChainError> {
        let (Some(proof), Some(before)) = (self.prove_final(height)?, self.changed_since(id)) else {
            tracing::debug!(%height, "the state after this block has no short proof, and is not offered");
            return Ok(());
        };
        snapshots.add(Offer::new(proof, self.store().pin()?, before));
        Ok(())
    }

    fn prove_final(&self, height: Height) -> Result<Option<FinalityProof>, ChainError> {
        let from =
            Height(height.get().saturating_sub(PROOF_REACH as u64).max(1)).max(self.store().earliest()?);
        if from > height {
            return Ok(None);
        }
        let limit = Limit { count: 2 * PROOF_REACH, bytes: usize::MAX };
        let stored = self.store().certified_headers(from, limit)?;
        let headers = stored.iter().map(|row| alys_chain::CertifiedHeader::decode(&row.bytes));
        let headers = headers.collect::<Result<Vec<_>, _>>()?;
        let at = usize::try_from(height.get().saturating_sub(from.get())).unwrap_or(usize::MAX);
        Ok(FinalityProof::within(&headers, at))
    }

    /// The accounts that the blocks above this one have changed, as they were before.
    fn changed_since(&self, id: BlockId) -> Option<BTreeMap<Address, Option<Account>>> {
        let mut before = BTreeMap::new();
        let mut at = self.head().id;
        while at != id {
            let executed = self.executed.get(&at)?;
            // Going down, the lowest block has the last word.
            before.extend(executed.changes.iter().map(|change| (change.address, change.old)));
            at = executed.parent;
        }
        Some(before)
    }

    /// Stands on a proven block whose state is staged completely. One commit; the chain is a fresh one before, or nothing happens.
    ///
    /// # Errors
    /// [`ChainError::WrongState`] when the staged state is not the block's, [`ChainError::TakesNoState`] when the chain has gone on by itself; when
    /// the store fails.
    pub fn install(&mut self, proven: &ProvenFinal) -> Result<Effects, ChainError> {
        let header = proven.block.header;
        let tip = BlockRef::new(proven.certificate.block, &header);
        if self.store().head()?.id == tip.id {
            return self.stand_on(tip);
        }
        if self.finalized().height > Height::ZERO {
            self.store().clear_staged()?;
            return Err(ChainError::TakesNoState(self.finalized().height));
        }
        let computed = self.staged_root()?;
        if computed != header.state_root {
            let why = format!("the header says {}, the sums lead to {computed}", header.state_root);
            return Err(ChainError::WrongState(why));
        }
        let at = BlockKey::new(tip.height, tip.id);
        let mut batch = Batch::new();
        batch.put_block(at, &header, proven.block.lineage, &Body::default()).certify(&proven.certificate);
        batch.make_canonical(at).set_head(at).set_final(at);
        batch.set_earliest(tip.height.saturating_add(1)).adopt_staged();
        self.store().commit(batch, Durability::Durable)?;
        self.stand_on(tip)
    }

    /// Goes on from what was installed, also when a try before failed behind its commit.
    fn stand_on(&mut self, tip: BlockRef) -> Result<Effects, ChainError> {
        if self.head().id == tip.id {
            return Ok(Effects::default());
        }
        self.reload()?;
        if let Err(why) = self.store().clear_staged() {
            // Nothing reads them, and they are removed before anything else is staged.
            tracing::warn!(%why, "rows of the state before are left over");
        }
        Ok(Effects { head: Some(tip), finalized: Some(tip), ..Effects::default() })
    }

    fn staged_root(&self) -> Result<alys_chain::Hash, ChainError> {
        let tree = StateTree::build(|bucket| {
            let stored = self.store().staged_state(StateKey::Bucket(bucket.0))?.unwrap_or_default();
            let sum = stored[..].try_into().map(LatticeHash::from_bytes);
            sum.map(Arc::new).map_err(|_| ChainError::WrongState(format!("bucket {} has no sum", bucket.0)))
        });
        tree.map(|tree| tree.root())
    }
}
