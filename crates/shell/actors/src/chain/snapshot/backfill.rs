//! Blocks below a chain that was begun from a state: stored, not executed.

use alys_chain::{Body, CertifiedHeader, Height, Lineage};
use alys_storage::{Batch, BlockKey, Durability, Location};

use crate::chain::local::{ChainError, LocalChain, stored_hashes};

/// A block of the past, its links and its certificate verified, its body that of its header.
#[derive(Clone, Debug)]
pub struct Backfilled {
    /// Header and certificate.
    pub header: CertifiedHeader,
    /// Its own lineage.
    pub lineage: Lineage,
    /// Its body.
    pub body: Body,
}

impl LocalChain {
    /// Stores blocks that end right below the lowest body that is here, ascending. Returns the lowest height with a body then.
    ///
    /// # Errors
    /// [`ChainError::NotBelow`] when they end elsewhere; when the store fails.
    pub fn backfill(&mut self, blocks: &[Backfilled]) -> Result<Height, ChainError> {
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
            return Ok(self.store().earliest()?);
        };
        let earliest = self.store().earliest()?;
        if last.header.header.height.next() != Some(earliest) {
            return Err(ChainError::NotBelow(earliest));
        }
        let mut batch = Batch::new();
        for Backfilled { header: CertifiedHeader { header, certificate }, lineage, body } in blocks {
            let at = BlockKey::new(header.height, certificate.block);
            batch.put_block(at, header, *lineage, body).certify(certificate).make_canonical(at);
            for (position, hash) in (0..).zip(stored_hashes(body)?) {
                batch.index_transaction(hash, Location { height: at.height, position });
            }
        }
        batch.set_earliest(first.header.header.height);
        self.store().commit(batch, Durability::Buffered)?;
        Ok(first.header.header.height)
    }
}
