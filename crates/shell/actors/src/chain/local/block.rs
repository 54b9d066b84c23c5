//! Blocks on their way in: checked against their header and decoded, once.

use alys_chain::{BlockId, Body, Certificate, CertifiedHeader, Hash, Header, Invalid};
use alys_ledger::{ChainId, Recovered, recover_each};
use alys_storage::BlockKey;
use bytes::Bytes;
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
    /// A block of which only the header is known, or whose header says that it is empty.
    #[must_use]
    pub const fn of_header(of: &CertifiedHeader, body: Body) -> Self {
        Self { header: of.header, id: of.certificate.block, body, transactions: Vec::new() }
    }

    /// Checks the body against the header and decodes it. Pure and costly: 25 microseconds a transaction.
    ///
    /// # Errors
    /// [`BadBody`].
    pub fn check(header: Header, id: BlockId, body: Body, chain: ChainId) -> Result<Self, BadBody> {
        Self::check_each([(header, id, body)], chain).pop().expect("one block has one result")
    }

    /// Checks and decodes many: a result for each, in their order. Cheaper than one by one, as their transactions are hashed side by side.
    #[must_use]
    pub fn check_each(
        blocks: impl IntoIterator<Item = (Header, BlockId, Body)>,
        chain: ChainId,
    ) -> Vec<Result<Self, BadBody>> {
        let mut raw = Vec::new();
        let counted: Vec<_> = blocks
            .into_iter()
            .map(|(header, id, body)| {
                let count = transactions(&header, &body, &mut raw);
                (Self { header, id, body, transactions: Vec::new() }, count)
            })
            .collect();
        let mut recovered = recover_each(&raw, chain).into_iter();
        let decoded = counted.into_iter().map(|(block, count)| {
            let own: Vec<_> = recovered.by_ref().take(count?).collect();
            let valid = own
                .into_iter()
                .enumerate()
                .map(|(index, recovered)| recovered.map_err(|reason| BadBody::Transaction { index, reason }));
            Ok(Self { transactions: valid.collect::<Result<_, _>>()?, ..block })
        });
        decoded.collect()
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

/// Adds the transactions of a body to `all`, if it is the one that the header commits to, and says how many there are.
fn transactions(header: &Header, body: &Body, all: &mut Vec<Bytes>) -> Result<usize, Invalid> {
    // An empty body is the common case of a young chain, and costs no hashing.
    let got = if body.0.is_empty() { Body::empty_root() } else { body.root()? };
    if got != header.body_root {
        return Err(Invalid::BodyRoot { expected: header.body_root, got });
    }
    let before = all.len();
    all.extend(body.transactions()?.map(|raw| body.0.slice_ref(raw)));
    Ok(all.len() - before)
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
pub(in crate::chain) fn stored_hashes(body: &Body) -> Result<Vec<Hash>, Invalid> {
    Ok(body.transactions()?.map(alys_ledger::transaction::name).collect())
}
