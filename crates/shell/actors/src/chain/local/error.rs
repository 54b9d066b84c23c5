//! Why the local chain did not take something, and whose fault that is.

use alys_chain::consensus::TreeRefusal;
use alys_chain::{BlockId, Hash, Height, Invalid};
use alys_ledger::{ExecError, StateError};
use alys_storage::StoreError;
use thiserror::Error;

/// Why a block, a certificate or an approval was not taken. Nothing has changed then.
#[derive(Debug, Error)]
pub enum ChainError {
    /// The block breaks a rule of the chain. Provable from its bytes.
    #[error("invalid block: {0}")]
    Invalid(#[from] Invalid),
    /// A transaction of the block is not valid in its place. Provable from its bytes and its parent's state.
    #[error("transaction {index} is invalid: {reason}")]
    Transaction {
        /// Its position in the block.
        index: usize,
        /// What is wrong with it.
        reason: alys_ledger::Invalid,
    },
    /// The header claims another state than execution leads to. Provable, unless a quorum approved it: then our own state is in doubt.
    #[error("wrong state root: the header says {claimed}, execution leads to {computed}")]
    StateRoot {
        /// What the header says.
        claimed: Hash,
        /// What execution leads to.
        computed: Hash,
    },
    /// The parent is not here, or is not above the final block any more. Nobody's fault.
    #[error("the parent {0} is not known here")]
    UnknownParent(BlockId),
    /// The block was not executed here, or is forgotten. Nobody's fault.
    #[error("the block {0} is not executed here")]
    NotExecuted(BlockId),
    /// The tree of blocks does not take it.
    #[error("{0}")]
    Refused(#[from] TreeRefusal),
    /// The state did not answer, or contradicts itself.
    #[error("{0}")]
    State(#[from] StateError),
    /// A fetched state comes too late: the chain has final blocks of its own. Nobody's fault.
    #[error("the chain has final blocks of its own, up to block {0}: it takes no state")]
    TakesNoState(Height),
    /// What is staged is not the state of the block. It is to be fetched again.
    #[error("what is staged is not the state of the block: {0}")]
    WrongState(String),
    /// Blocks of the past that do not end right below the lowest body that is here: others came before. Nobody's fault.
    #[error("bodies are here from block {0} on")]
    NotBelow(Height),
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The data directory was begun in another way.
    #[error("this data directory cannot be used like that: {0}, or sync into an empty one")]
    OtherKind(&'static str),
    /// What is stored does not fit together: the database is damaged, or was written by something else.
    #[error("the stored chain is inconsistent ({0}): move the data directory away and sync again")]
    Inconsistent(String),
}

impl ChainError {
    /// Whether the block's bytes prove the fault of who made it.
    #[must_use]
    pub const fn is_provable(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::Transaction { .. } | Self::StateRoot { .. })
    }

    /// Whether our own disk or state is in doubt.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::State(_) | Self::Store(_) | Self::OtherKind(_) | Self::Inconsistent(_))
    }

    /// Whether the same call may succeed later without a restart.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Store(error) => error.is_temporary(),
            Self::UnknownParent(_) | Self::NotBelow(_) => true,
            _ => false,
        }
    }
}

impl From<ExecError> for ChainError {
    fn from(error: ExecError) -> Self {
        match error {
            ExecError::Invalid { index, reason } => Self::Transaction { index, reason },
            ExecError::State(error) => Self::State(error),
        }
    }
}
