//! What one block changes, in both directions.
//!
//! - **Owns**: the changed accounts with their old and new values, the changed lattice hashes, the trees before and after.
//! - **In**: the changes and a view of the state that they start from.
//! - **Out**: a [`StateDiff`] that a view applies, and its reverse, that undoes it. Only the account changes are worth storing: the
//!   rest is computed from them ([`encode_changes`], [`decode_changes`], [`StateDiff::new`]).
//! - **On failure**: [`StateError`], ours.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::Address;
use alys_chain::Hash;

use crate::account::Account;
use crate::error::StateError;
use crate::lattice::LatticeHash;
use crate::state_root::{Bucket, StateTree};
use crate::view::StateView;

/// One account before and after; `None` where it does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountChange {
    /// Whose account.
    pub address: Address,
    /// Its value before.
    pub old: Option<Account>,
    /// Its value after.
    pub new: Option<Account>,
}

/// One bucket before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketChange {
    /// Its lattice hash before.
    pub old: Arc<LatticeHash>,
    /// Its lattice hash after.
    pub new: Arc<LatticeHash>,
}

/// The way from one state to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDiff {
    accounts: Vec<AccountChange>,
    buckets: BTreeMap<Bucket, BucketChange>,
    before: StateTree,
    after: StateTree,
}

impl StateDiff {
    /// What these changes do to the state of `view`. Changes that change nothing are left out; the others cost one or two lattice
    /// additions each, and one leaf for each bucket touched.
    ///
    /// The old values are not compared with the view. Whoever took them from a store compares [`root_after`](Self::root_after) with the header
    /// that it should lead to: a wrong old value gives another root.
    ///
    /// # Errors
    /// [`StateError`] when the view does not answer, or the addresses do not ascend strictly.
    pub fn new(view: &dyn StateView, mut changes: Vec<AccountChange>) -> Result<Self, StateError> {
        if !changes.is_sorted_by(|a, b| a.address < b.address) {
            return Err(StateError::Corrupt("the changes of a diff do not ascend".into()));
        }
        changes.retain(|change| change.old != change.new);
        let mut buckets = BTreeMap::new();
        for group in changes.chunk_by(|a, b| Bucket::of(&a.address) == Bucket::of(&b.address)) {
            let bucket = Bucket::of(&group[0].address);
            buckets.insert(bucket, change_bucket(view.bucket(bucket)?, group));
        }
        let before = view.tree()?;
        let after = before.updated(buckets.iter().map(|(bucket, change)| (*bucket, change.new.as_ref())));
        Ok(Self { accounts: changes, buckets, before, after })
    }

    /// The way back.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let buckets = self.buckets.iter();
        Self {
            accounts: reverse_changes(&self.accounts),
            buckets: buckets
                .map(|(b, c)| (*b, BucketChange { old: c.new.clone(), new: c.old.clone() }))
                .collect(),
            before: self.after.clone(),
            after: self.before.clone(),
        }
    }

    /// The accounts that change, addresses ascending.
    #[must_use]
    pub fn accounts(&self) -> &[AccountChange] {
        &self.accounts
    }

    /// The accounts that change, addresses ascending, without the rest.
    #[must_use]
    pub fn into_accounts(self) -> Vec<AccountChange> {
        self.accounts
    }

    /// The buckets that change, ascending.
    #[must_use]
    pub fn buckets(&self) -> &BTreeMap<Bucket, BucketChange> {
        &self.buckets
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// The state root that it starts from.
    #[must_use]
    pub fn root_before(&self) -> Hash {
        self.before.root()
    }

    /// The state root that it leads to.
    #[must_use]
    pub fn root_after(&self) -> Hash {
        self.after.root()
    }

    /// The tree that it leads to.
    #[must_use]
    pub fn tree_after(&self) -> &StateTree {
        &self.after
    }
}

fn change_bucket(old: Arc<LatticeHash>, changes: &[AccountChange]) -> BucketChange {
    let mut new = old.as_ref().clone();
    for change in changes {
        if let Some(account) = &change.old {
            new.remove(&change.address, account);
        }
        if let Some(account) = &change.new {
            new.add(&change.address, account);
        }
    }
    BucketChange { old, new: Arc::new(new) }
}

/// Old and new values exchanged.
#[must_use]
pub fn reverse_changes(changes: &[AccountChange]) -> Vec<AccountChange> {
    changes.iter().map(|c| AccountChange { address: c.address, old: c.new, new: c.old }).collect()
}

/// Which sides of an encoded change are there.
const HAS_OLD: u8 = 1;
const HAS_NEW: u8 = 2;

/// The changes as bytes, to be stored with their block: for each the address, one byte that says which values follow (1: old, 2: new),
/// and these in their canonical encoding.
#[must_use]
pub fn encode_changes(changes: &[AccountChange]) -> Vec<u8> {
    let mut out = Vec::with_capacity(changes.len() * (20 + 1 + 2 * Account::SIZE));
    for change in changes {
        out.extend_from_slice(change.address.as_slice());
        let old = change.old.map_or(0, |_| HAS_OLD);
        let new = change.new.map_or(0, |_| HAS_NEW);
        out.push(old | new);
        for account in change.old.iter().chain(&change.new) {
            out.extend_from_slice(&account.encode());
        }
    }
    out
}

/// Reads what [`encode_changes`] wrote.
///
/// # Errors
/// [`StateError::Corrupt`] when it is something else.
pub fn decode_changes(mut bytes: &[u8]) -> Result<Vec<AccountChange>, StateError> {
    let mut changes = Vec::new();
    while !bytes.is_empty() {
        let head = take(&mut bytes, 21)?;
        let (address, sides) = (Address::from_slice(&head[..20]), head[20]);
        if sides & !(HAS_OLD | HAS_NEW) != 0 {
            return Err(StateError::Corrupt(format!("a stored change has the sides {sides}")));
        }
        let old = decode_side(&mut bytes, sides & HAS_OLD != 0)?;
        let new = decode_side(&mut bytes, sides & HAS_NEW != 0)?;
        changes.push(AccountChange { address, old, new });
    }
    Ok(changes)
}

fn decode_side(bytes: &mut &[u8], there: bool) -> Result<Option<Account>, StateError> {
    there.then(|| Account::decode(take(bytes, Account::SIZE)?)).transpose()
}

fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Result<&'a [u8], StateError> {
    let (head, rest) =
        bytes.split_at_checked(n).ok_or_else(|| StateError::Corrupt("a stored change is cut off".into()))?;
    *bytes = rest;
    Ok(head)
}

#[cfg(test)]
mod tests;
