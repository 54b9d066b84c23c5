//! The chain as an actor.
//!
//! - **Owns**: the [`LocalChain`](local::LocalChain) (store, tree of blocks above finality, state), the transactions that wait, the proposals
//!   that wait for their parents, the slot timer. Beside it, longer than any incarnation: the one [`Signer`] of the process.
//! - **In**: gossiped proposals, approvals, certificates and transactions; verified blocks from sync; questions; the slot clock.
//! - **Out**: verdicts on gossip; our own proposals, approvals and certificates; hints to sync; [`ChainView`] and [`ChainEvent`]s.
//! - **On failure**: provable faults are told to whoever forwarded them, a full disk waits for room and tries again, a failed one ends signing
//!   and importing until a restart of the process. After a panic the next incarnation reads everything back from the store.

mod actor;
mod adopt;
mod answers;
mod gossip;
mod heart;
mod held;
mod import;
mod ingress;
mod inspect;
pub mod local;
mod metrics;
mod parts;
mod ports;
mod producer;
mod queries;
mod signer;
mod slots;
pub mod snapshot;
mod source;
mod transactions;
mod txpool;
mod view;

#[cfg(test)]
mod tests;

pub use actor::ChainActor;
pub use answers::{
    AccountState, ImportError, Imported, NotInstalled, NotProduced, ReadError, Refused, StoredBlock,
};
pub use ingress::{
    At, Backfill, ChainMailbox, GetAccount, GetBlock, GetBlocksByRange, GetChainStatus, GetHeader, HasBlock,
    ImportBatch, ImportBlock, InstallState, MAX_RANGE_BLOCKS, NewApproval, NewCertificate, NewProposal,
    NewTransaction, ProduceBlock, SubmitTransaction,
};
pub use metrics::ChainMetrics;
pub use parts::{ChainInbox, Config, Parts, mailbox};
pub use ports::{Bodies, Gate, Outlet};
pub use signer::{Ballot, SignError, Signer, begin_record};
pub use source::ChainSource;
pub use view::{ChainEvent, ChainStatus, ChainView, SignerState, StorageState};
