//! What can go wrong, by whose fault it is.

use alloy_primitives::{Address, U256};
use alys_chain::Hash;

/// Why a transaction is not valid: the fault of who signed it, or, in a block, of who proposed it. Everything down to
/// [`Signature`](Invalid::Signature) is provable from the transaction alone; the rest depends on the state before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Checked before anything is decoded.
    #[error("the transaction has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Not RLP, not the fields of its type, or not the one canonical encoding of them.
    #[error("malformed transaction: {0}")]
    Malformed(String),
    /// A type of EIP-2718 that this chain does not know, or does not want (3: blobs, 4: set code).
    #[error("transactions of type {0} are not accepted here, only the types 0, 1 and 2 are")]
    UnsupportedType(u8),
    /// A transaction without a recipient would create a contract.
    #[error("contract creation is not supported on this chain: it transfers value only, so name a recipient")]
    CreatesContract,
    /// Signed before EIP-155, so it could be replayed on any chain.
    #[error("the signature is not bound to a chain id (EIP-155)")]
    NoChainId,
    /// Signed for another chain.
    #[error("the transaction is for chain {theirs}, this is chain {ours}")]
    WrongChain {
        /// The chain that it was signed for.
        theirs: u64,
        /// This chain.
        ours: u64,
    },
    /// The gas limit does not cover what the transaction costs before anything would run.
    #[error("the gas limit {limit} is below the intrinsic gas {needed}")]
    GasBelowIntrinsic {
        /// The gas limit of the transaction.
        limit: u64,
        /// What it costs.
        needed: u64,
    },
    /// EIP-1559: the tip cannot be more than the whole.
    #[error("the priority fee {priority} is above the maximum fee {max} (both wei per gas)")]
    PriorityAboveMaxFee {
        /// Maximum priority fee, wei per gas.
        priority: u128,
        /// Maximum fee, wei per gas.
        max: u128,
    },
    /// EIP-2681: the last nonce is never used, so that a nonce plus one always exists.
    #[error("the nonce is the greatest integer (EIP-2681)")]
    NonceAtMaximum,
    /// EIP-2: of the two valid values of `s` only the lower one counts, so that nobody can change a transaction's hash.
    #[error("the signature's s is in the upper half of the curve order (EIP-2)")]
    HighS,
    /// No public key belongs to this signature.
    #[error("no sender can be recovered from the signature")]
    Signature,

    /// Already used.
    #[error("nonce {nonce} of {sender} is used, the next one is {next}")]
    NonceTooLow {
        /// Who sent it.
        sender: Address,
        /// The nonce of the transaction.
        nonce: u64,
        /// The nonce of the account.
        next: u64,
    },
    /// One before it is missing. Not wrong for ever: it can become valid.
    #[error("nonce {nonce} of {sender} is ahead, the next one is {next}")]
    NonceTooHigh {
        /// Who sent it.
        sender: Address,
        /// The nonce of the transaction.
        nonce: u64,
        /// The nonce of the account.
        next: u64,
    },
    /// The sender cannot pay value + gas limit x maximum fee (EIP-1559).
    #[error("{sender} has {balance} wei and needs up to {cost}")]
    Unaffordable {
        /// Who sent it.
        sender: Address,
        /// What it has, wei.
        balance: U256,
        /// What it could have to pay, wei; the greatest integer if it is more than that.
        cost: U256,
    },
    /// Below the price of gas in this block.
    #[error("the maximum fee {max} is below the base fee {base} (both wei per gas)")]
    FeeBelowBase {
        /// Maximum fee of the transaction, wei per gas.
        max: u128,
        /// Base fee of the block, wei per gas.
        base: u128,
    },
    /// Does not fit into what the transactions before it left of the block's gas.
    #[error("the gas limit {limit} is above the {left} that are left in the block")]
    BlockGas {
        /// Gas limit of the transaction.
        limit: u64,
        /// Gas left in the block.
        left: u64,
    },
}

/// A state that does not answer or contradicts itself: our fault, never a peer's.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The store failed; the same block may well succeed later.
    #[error("reading the state failed")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was read cannot be: escalate.
    #[error("the state is damaged: {0}")]
    Corrupt(String),
    /// A diff was applied to a state that it does not start from.
    #[error("the diff starts from state {expected}, this is state {found}")]
    WrongParent {
        /// The state root that the diff starts from.
        expected: Hash,
        /// The state root of the view.
        found: Hash,
    },
}

/// Why a block was not executed.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The proposer's fault: this block is invalid on every node, for ever.
    #[error("transaction {index} is invalid: {reason}")]
    Invalid {
        /// Its position in the block.
        index: usize,
        /// What is wrong with it.
        #[source]
        reason: Invalid,
    },
    /// Ours: says nothing about the block.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why a genesis allocation is refused.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// All balances together must fit into 256 bits; then no balance can ever overflow.
    #[error("the balances of genesis add up to more than 256 bits hold")]
    TooMuchValue,
    /// Executing nothing on nothing failed.
    #[error(transparent)]
    State(#[from] StateError),
}
