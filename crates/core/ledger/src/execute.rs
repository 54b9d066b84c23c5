//! Execution: what a list of transactions does to a state.
//!
//! - **Decides**: whether each transaction is valid in its place, and what it changes.
//! - **In**: a view of the parent's state, facts of the block, recovered transactions.
//! - **Out**: an [`Outcome`]: state root, diff, receipts, fees. The view is only read.
//! - **On failure**: [`ExecError::Invalid`] (the proposer's) or [`ExecError::State`] (ours).
//!
//! The embedded ledger moves value and nothing else. A valid transaction uses exactly its intrinsic gas, at the effective price of EIP-1559
//! over a base fee that never changes; nothing is burnt. All fees of a block go to its proposer, at the end of the block, so they
//! cannot be spent within it. The sum of all balances never changes.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use alys_chain::{Hash, Height};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::diff::{AccountChange, StateDiff};
use crate::error::{ExecError, Invalid, StateError};
use crate::select::{Room, Selection, select};
use crate::transaction::Recovered;
use crate::view::{Accounts, StateView};

/// What execution must know of a block beside its transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockFacts {
    /// Its height.
    pub height: Height,
    /// Who receives its fees: the proposer's [`fee_address`](crate::genesis::fee_address).
    pub fee_recipient: Address,
    /// The most gas that its transactions may use.
    pub gas_limit: u64,
    /// The least price of gas, in wei per gas.
    pub base_fee: u128,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The transaction.
    pub transaction: Hash,
    /// Whether it did what it was for. Always so in the embedded ledger, where a transaction that could fail is invalid.
    pub success: bool,
    /// Who sent it.
    pub from: Address,
    /// Who received its value.
    pub to: Address,
    /// The gas that it used.
    pub gas_used: u64,
    /// The gas that the block used up to here, itself included.
    pub cumulative_gas_used: u64,
    /// What it paid, in wei per gas.
    pub effective_gas_price: u128,
}

/// What the transactions of a block did to the accounts, before it is known which state root that makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The accounts that were read, addresses ascending.
    pub changes: Vec<AccountChange>,
    /// One for each transaction, in their order.
    pub receipts: Vec<Receipt>,
    /// The gas used by all.
    pub gas_used: u64,
    /// What the proposer received, in wei.
    pub fees: U256,
}

impl Execution {
    /// With the way that it leads from the state in which it was executed.
    ///
    /// # Errors
    /// [`StateError`] when the state does not answer.
    pub fn in_state(self, parent: &dyn StateView) -> Result<Outcome, StateError> {
        let Self { changes, receipts, gas_used, fees } = self;
        Ok(Outcome { diff: StateDiff::new(parent, changes)?, receipts, gas_used, fees })
    }
}

/// What a block did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What changed, and the state before and after.
    pub diff: StateDiff,
    /// One for each transaction, in their order.
    pub receipts: Vec<Receipt>,
    /// The gas used by all.
    pub gas_used: u64,
    /// What the proposer received, in wei.
    pub fees: U256,
}

impl Outcome {
    /// The state root after the block: what its header must say.
    #[must_use]
    pub fn state_root(&self) -> Hash {
        self.diff.root_after()
    }
}

/// Executes blocks. The embedded [`ValueLedger`] is the default; another chain brings its own.
pub trait Executor: Send + Sync {
    /// What these transactions, in this order, do to the parent's accounts.
    ///
    /// # Errors
    /// [`ExecError::Invalid`] for the first transaction that is not valid in its place, [`ExecError::State`] when the state does not answer.
    fn run(
        &self,
        parent: &dyn Accounts,
        block: &BlockFacts,
        transactions: &[Recovered],
    ) -> Result<Execution, ExecError>;

    /// What these transactions, in this order, do to the parent's state: [`run`](Self::run), and the state root.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    fn execute(
        &self,
        parent: &dyn StateView,
        block: &BlockFacts,
        transactions: &[Recovered],
    ) -> Result<Outcome, ExecError> {
        Ok(self.run(parent, block, transactions)?.in_state(parent)?)
    }

    /// Takes valid transactions for a new block, greedily and in the order of the candidates, as long as there is room, and says why it left
    /// out the others. Those of one sender should come in the order of their nonces.
    ///
    /// # Errors
    /// [`StateError`] when the state does not answer; an invalid candidate is skipped.
    fn select(
        &self,
        parent: &dyn StateView,
        block: &BlockFacts,
        room: Room,
        candidates: &[Recovered],
    ) -> Result<Selection, StateError>;
}

/// The embedded ledger: value transfers with nonces and fees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueLedger;

impl Executor for ValueLedger {
    fn run(
        &self,
        parent: &dyn Accounts,
        block: &BlockFacts,
        transactions: &[Recovered],
    ) -> Result<Execution, ExecError> {
        let mut pending = Pending::new(parent, *block);
        for (index, tx) in transactions.iter().enumerate() {
            pending.run(tx).map_err(|refused| match refused {
                Refused::Invalid(reason) => ExecError::Invalid { index, reason },
                Refused::State(error) => ExecError::State(error),
            })?;
        }
        Ok(pending.finish()?)
    }

    fn select(
        &self,
        parent: &dyn StateView,
        block: &BlockFacts,
        room: Room,
        candidates: &[Recovered],
    ) -> Result<Selection, StateError> {
        select(parent, *block, room, candidates)
    }
}

/// Why a transaction did not run; nothing changed then.
pub(crate) enum Refused {
    Invalid(Invalid),
    State(StateError),
}

impl From<Invalid> for Refused {
    fn from(reason: Invalid) -> Self {
        Self::Invalid(reason)
    }
}

impl From<StateError> for Refused {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// An account that was read: as it was in the parent's state, and as it is now.
struct Touched {
    old: Account,
    now: Account,
}

/// A block while it is executed.
pub(crate) struct Pending<'a> {
    parent: &'a dyn Accounts,
    block: BlockFacts,
    accounts: BTreeMap<Address, Touched>,
    receipts: Vec<Receipt>,
    gas_used: u64,
    fees: U256,
}

impl<'a> Pending<'a> {
    pub(crate) fn new(parent: &'a dyn Accounts, block: BlockFacts) -> Self {
        Self { parent, block, accounts: BTreeMap::new(), receipts: Vec::new(), gas_used: 0, fees: U256::ZERO }
    }

    /// Runs the next transaction, wholly or not at all.
    pub(crate) fn run(&mut self, tx: &Recovered) -> Result<(), Refused> {
        let left = self.gas_left();
        if tx.gas_limit() > left {
            return Err(Invalid::BlockGas { limit: tx.gas_limit(), left }.into());
        }
        let base = self.block.base_fee;
        let price = tx.effective_gas_price(base).ok_or(Invalid::FeeBelowBase { max: tx.max_fee(), base })?;
        let sender = self.account(tx.sender())?;
        check_sender(tx, sender)?;
        let fee = U256::from(tx.intrinsic_gas()) * U256::from(price);
        sender.nonce += 1;
        sender.balance -= tx.value() + fee;
        self.credit(tx.recipient(), tx.value())?;
        self.fees += fee;
        self.gas_used += tx.intrinsic_gas();
        self.receipts.push(self.receipt(tx, price));
        Ok(())
    }

    /// The gas that the block has left.
    pub(crate) fn gas_left(&self) -> u64 {
        self.block.gas_limit.saturating_sub(self.gas_used)
    }

    /// Pays the proposer and adds everything up.
    pub(crate) fn finish(mut self) -> Result<Execution, StateError> {
        self.credit(self.block.fee_recipient, self.fees)?;
        let changes = self.accounts.iter().map(|(address, touched)| AccountChange {
            address: *address,
            old: touched.old.stored(),
            new: touched.now.stored(),
        });
        let changes = changes.collect();
        Ok(Execution { changes, receipts: self.receipts, gas_used: self.gas_used, fees: self.fees })
    }

    fn account(&mut self, address: Address) -> Result<&mut Account, StateError> {
        use std::collections::btree_map::Entry;
        let touched = match self.accounts.entry(address) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let old = self.parent.account(&address)?.unwrap_or_default();
                entry.insert(Touched { old, now: old })
            }
        };
        Ok(&mut touched.now)
    }

    /// An account that gets nothing is not even read, so that none comes into being by it.
    fn credit(&mut self, address: Address, value: U256) -> Result<(), StateError> {
        if value.is_zero() {
            return Ok(());
        }
        let account = self.account(address)?;
        account.balance = account
            .balance
            .checked_add(value)
            .ok_or_else(|| StateError::Corrupt(format!("{address} would own more than there is")))?;
        Ok(())
    }

    fn receipt(&self, tx: &Recovered, price: u128) -> Receipt {
        Receipt {
            transaction: tx.hash(),
            success: true,
            from: tx.sender(),
            to: tx.recipient(),
            gas_used: tx.intrinsic_gas(),
            cumulative_gas_used: self.gas_used,
            effective_gas_price: price,
        }
    }
}

/// The sender's nonce is next, and it can pay the most that the transaction could cost (EIP-1559).
fn check_sender(tx: &Recovered, sender: &Account) -> Result<(), Invalid> {
    let (nonce, next) = (tx.nonce(), sender.nonce);
    match nonce.cmp(&next) {
        core::cmp::Ordering::Less => return Err(Invalid::NonceTooLow { sender: tx.sender(), nonce, next }),
        core::cmp::Ordering::Greater => {
            return Err(Invalid::NonceTooHigh { sender: tx.sender(), nonce, next });
        }
        core::cmp::Ordering::Equal => {}
    }
    // 64 bits times 128 bits always fit; the sum may not.
    let gas = U256::from(tx.gas_limit()) * U256::from(tx.max_fee());
    let cost = gas.checked_add(tx.value());
    if cost.is_none_or(|cost| sender.balance < cost) {
        let cost = cost.unwrap_or(U256::MAX);
        return Err(Invalid::Unaffordable { sender: tx.sender(), balance: sender.balance, cost });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
