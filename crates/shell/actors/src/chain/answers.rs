//! What the chain answers, and why it does not.

use alys_actor::AskError;
use alys_chain::{BlockId, Body, Certificate, Header, Height};
use alys_ledger::U256;
use alys_sync::{Fault, GateReport, ImportTook, Tip};
use thiserror::Error;

/// A block as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// Its name.
    pub id: BlockId,
    /// Its header.
    pub header: Header,
    /// Its certificate; `None` for genesis and what is not certified yet.
    pub certificate: Option<Certificate>,
    /// Its body.
    pub body: Body,
}

/// What an address owns, at the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountState {
    /// In wei.
    pub balance: U256,
    /// How many transactions it has sent.
    pub nonce: u64,
    /// The nonce for its next transaction, with those in mind that wait here.
    pub next_nonce: u64,
}

/// An import is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// What is durable now.
    pub tip: Tip,
    /// Where the time went.
    pub took: ImportTook,
}

/// An import came to an end before its last block.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("imported {imported} blocks, then: {fault}")]
pub struct ImportError {
    /// How many blocks, from the first on, are durable.
    pub imported: usize,
    /// What is durable now.
    pub tip: Tip,
    /// Why no further, and whose fault it is.
    pub fault: Fault,
}

/// Why the chain does not stand on a fetched state.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotInstalled {
    /// It has final blocks of its own by now.
    #[error("{0}")]
    TooLate(String),
    /// What is staged is not the state of the block: it is to be fetched anew.
    #[error("{0}")]
    Wrong(String),
    /// It could not be done now.
    #[error("{0}")]
    Failed(Fault),
}

/// Why a submitted transaction is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// It is not valid: for ever, or at present.
    #[error("{0}")]
    Invalid(#[from] alys_ledger::Invalid),
    /// It waits here already.
    #[error("the transaction is already known")]
    Known,
    /// Another transaction of this sender and nonce waits.
    #[error("another transaction with nonce {nonce} of this sender waits already")]
    NonceTaken {
        /// The nonce.
        nonce: u64,
    },
    /// Its sender has too many transactions waiting, or its nonce is too far ahead.
    #[error(
        "nonce {nonce} is too far ahead: at most {limit} transactions of a sender wait, the next nonce is {next}"
    )]
    TooFarAhead {
        /// The nonce of the transaction.
        nonce: u64,
        /// The nonce of the account.
        next: u64,
        /// How many may wait.
        limit: u64,
    },
    /// Too many transactions wait.
    #[error("too many transactions wait already: try again later")]
    Full,
    /// The state does not answer.
    #[error("the state cannot be read now: {0}")]
    State(String),
    /// The chain does not answer.
    #[error("the chain does not answer: {0}")]
    Unanswered(#[from] AskError),
}

/// Why no block was produced.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotProduced {
    /// This node has no authority key.
    #[error("this node is no authority")]
    NoAuthority,
    /// The present slot is another authority's, or genesis lies ahead.
    #[error("not this authority's slot")]
    NotOurSlot,
    /// Sync says no, with its reasons.
    #[error("not synced: {0}")]
    Gate(GateReport),
    /// The consensus rule forbids it.
    #[error("the consensus rule forbids it: {0}")]
    Rule(#[from] alys_chain::consensus::Refusal),
    /// It failed on our side.
    #[error("{0}")]
    Failed(String),
    /// The chain does not answer.
    #[error("the chain does not answer: {0}")]
    Unanswered(#[from] AskError),
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// The chain does not answer.
    #[error("the chain does not answer: {0}")]
    Unanswered(#[from] AskError),
    /// The database does not.
    #[error("{0}")]
    Store(String),
    /// The block is known, its body is not here: it lies below the state that this node began from, or the node keeps headers only.
    #[error("the body of block {height} is not held here: bodies are held from block {earliest} on")]
    NotHeld {
        /// Which block.
        height: Height,
        /// The lowest height with a body.
        earliest: Height,
    },
    /// This node keeps no state.
    #[error("{0}")]
    NoState(&'static str),
}
