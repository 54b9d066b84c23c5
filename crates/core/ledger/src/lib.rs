//! What a block does to the accounts.
//!
//! - **Decides**: whether bytes are a transaction that this chain accepts and who sent it; what a list of transactions does to the
//!   accounts; the state root before and after; whether a list of accounts is what a state root commits to.
//! - **In**: encoded transactions, facts of the block, a [`StateView`] of the parent's accounts.
//! - **Out**: [`Recovered`] transactions, an [`Outcome`] (state root, diff, receipts, fees), proofs.
//! - **On failure**: [`Invalid`] is the fault of who signed or proposed, and provable from the bytes; [`StateError`] is ours: the
//!   store did not answer or holds nonsense, and no peer is to blame. Bytes from outside never panic.
//!
//! The way of a block: [`transaction::recover_each`] of its transactions (any number of threads), [`Executor::execute`] on a view of the
//! parent's state, compare [`Outcome::state_root`] with the header, [`Overlay::apply`] the diff (or its reverse, to undo it). Many blocks in a row can be
//! [run](Executor::run) on the [accounts](Ahead) that the one before leaves, while their state roots are still computed.
#![forbid(unsafe_code)]

pub mod account;
pub mod diff;
pub mod error;
pub mod execute;
mod gas;
pub mod genesis;
mod keccak;
pub mod lattice;
mod select;
pub mod state_root;
#[cfg(test)]
mod testing;
pub mod transaction;
#[cfg(target_arch = "x86_64")]
mod vectors;
pub mod view;
pub mod wallet;

pub use account::Account;
pub use alloy_primitives::{Address, U256};
pub use diff::{AccountChange, StateDiff, decode_changes, encode_changes, reverse_changes};
pub use error::{ExecError, GenesisError, Invalid, StateError};
pub use execute::{BlockFacts, Execution, Executor, Outcome, Receipt, ValueLedger};
pub use genesis::{BASE_FEE, LedgerRules, fee_address, genesis_state};
pub use lattice::LatticeHash;
pub use select::{Room, Selection, Skip};
pub use state_root::{Bucket, BucketFault, BucketProof, BucketSum, StateTree};
pub use transaction::{ChainId, Recovered, raw_transactions, recover, recover_each, recover_senders};
pub use view::{Accounts, Ahead, EmptyState, Overlay, StateView};
pub use wallet::{Transfer, Wallet};
