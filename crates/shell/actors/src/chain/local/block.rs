//! Blocks on their way in: checked against their header and decoded, once.

use alys_chain::{BlockId, Body, Certificate, Hash, Header, Invalid};
use alys_ledger::{ChainId, Recovered, recover};
use alys_storage::BlockKey;
use thiserror::Error;

/// A block whose body belongs to its header, with its transactions decoded and their senders recovered.
#[derive(Clone, Debug)]
pub struct PreparedBlock {
    /// The header.
    pub header: Header,
    /// The hash of the header.
    pub id: BlockId,
    /// The body as it came.
    pub body: Body,
    /// Its transactions.
    pub transactions: Vec<Recovered>,
}

/// Why a body is refused: provably the fault of who made or served it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadBody {
    /// It is malformed, or not the one that the header commits to.
    #[error("{0}")]
    Body(#[from] Invalid),
    /// A transaction that no block may hold.
    #[error("transaction {index}: {reason}")]
    Transaction {
        /// Its position.
        index: usize,
        /// What is wrong with it.
        reason: alys_ledger::Invalid,
    },
}

impl PreparedBlock {
    /// Checks the body against the header and decodes it. Pure and costly: 25 microseconds a transaction.
    ///
    /// # Errors
    /// [`BadBody`].
    pub fn check(header: Header, id: BlockId, body: Body, chain: ChainId) -> Result<Self, BadBody> {
        if body.0.is_empty() {
            // The common case of a young chain costs no hashing.
            let (expected, got) = (header.body_root, Body::empty_root());
            return if expected == got {
                Ok(Self { header, id, body, transactions: Vec::new() })
            } else {
                Err(Invalid::BodyRoot { expected, got }.into())
            };
        }
        let got = body.root()?;
        if got != header.body_root {
            return Err(Invalid::BodyRoot { expected: header.body_root, got }.into());
        }
        let mut transactions = Vec::new();
        for (index, raw) in body.transactions()?.enumerate() {
            let raw = body.0.slice_ref(raw);
            transactions.push(recover(&raw, chain).map_err(|reason| BadBody::Transaction { index, reason })?);
        }
        Ok(Self { header, id, body, transactions })
    }

    /// Where it stands.
    #[must_use]
    pub const fn at(&self) -> BlockKey {
        BlockKey::new(self.header.height, self.id)
    }

    /// The names of its transactions, in order.
    #[must_use]
    pub fn hashes(&self) -> Vec<Hash> {
        self.transactions.iter().map(Recovered::hash).collect()
    }
}

/// A prepared block with its verified certificate: what sync imports.
#[derive(Clone, Debug)]
pub struct VerifiedBlock {
    /// The block.
    pub block: PreparedBlock,
    /// Its certificate, verified.
    pub certificate: Certificate,
}

/// The names of the transactions of a stored body, without recovering their senders.
pub(super) fn stored_hashes(body: &Body) -> Result<Vec<Hash>, Invalid> {
    Ok(body.transactions()?.map(alys_ledger::transaction::name).collect())
}
