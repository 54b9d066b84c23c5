//! The state as execution sees it: whatever answers three questions, and an overlay of changes over it.
//!
//! A fork above finality is executed on a view: the stored state, with the blocks of the other branch undone (reversed diffs) and those of
//! this branch applied. The overlay keeps only the latest value of each account, so reading costs the same however many diffs it took.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use alloy_primitives::Address;
use alys_chain::Hash;

use crate::account::Account;
use crate::diff::{AccountChange, StateDiff};
use crate::error::StateError;
use crate::lattice::LatticeHash;
use crate::state_root::{Bucket, StateTree};

/// The accounts of a state: all that transactions ask for.
pub trait Accounts {
    /// The account of an address; `None` if it has none.
    ///
    /// # Errors
    /// [`StateError`] when the store fails.
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError>;
}

/// A state that can be read. Its answers belong together: the tree's leaves are the buckets, the buckets sum up the accounts.
pub trait StateView: Accounts {
    /// The lattice hash of a bucket.
    ///
    /// # Errors
    /// [`StateError`] when the store fails.
    fn bucket(&self, bucket: Bucket) -> Result<Arc<LatticeHash>, StateError>;

    /// The Merkle tree over all buckets; kept in memory, since making it costs 256 hashes of 2 KiB.
    ///
    /// # Errors
    /// [`StateError`] when the store fails.
    fn tree(&self) -> Result<StateTree, StateError>;
}

impl<V: Accounts + ?Sized> Accounts for &V {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        (**self).account(address)
    }
}

impl<V: StateView + ?Sized> StateView for &V {
    fn bucket(&self, bucket: Bucket) -> Result<Arc<LatticeHash>, StateError> {
        (**self).bucket(bucket)
    }

    fn tree(&self) -> Result<StateTree, StateError> {
        (**self).tree()
    }
}

impl<V: Accounts + ?Sized> Accounts for Arc<V> {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        (**self).account(address)
    }
}

impl<V: StateView + ?Sized> StateView for Arc<V> {
    fn bucket(&self, bucket: Bucket) -> Result<Arc<LatticeHash>, StateError> {
        (**self).bucket(bucket)
    }

    fn tree(&self) -> Result<StateTree, StateError> {
        (**self).tree()
    }
}

/// The tree of the state without accounts.
static EMPTY_TREE: LazyLock<StateTree> = LazyLock::new(|| {
    let lattice = Arc::new(LatticeHash::EMPTY);
    let Ok(tree) = StateTree::build(|_| Ok::<_, core::convert::Infallible>(lattice.clone()));
    tree
});

/// The state without accounts: what genesis starts from. An overlay over it is a whole state in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmptyState;

impl Accounts for EmptyState {
    fn account(&self, _: &Address) -> Result<Option<Account>, StateError> {
        Ok(None)
    }
}

impl StateView for EmptyState {
    fn bucket(&self, _: Bucket) -> Result<Arc<LatticeHash>, StateError> {
        Ok(Arc::new(LatticeHash::EMPTY))
    }

    fn tree(&self) -> Result<StateTree, StateError> {
        Ok(EMPTY_TREE.clone())
    }
}

/// A state and changes over it. Reading prefers the changes; the base below is never written.
#[derive(Clone, Debug)]
pub struct Overlay<V> {
    base: V,
    accounts: BTreeMap<Address, Option<Account>>,
    buckets: BTreeMap<Bucket, Arc<LatticeHash>>,
    tree: StateTree,
}

impl<V: StateView> Overlay<V> {
    /// The state of `base`, without changes yet.
    ///
    /// # Errors
    /// [`StateError`] when the base does not know its tree.
    pub fn new(base: V) -> Result<Self, StateError> {
        let tree = base.tree()?;
        Ok(Self { base, accounts: BTreeMap::new(), buckets: BTreeMap::new(), tree })
    }

    /// Goes from the diff's start to its end. To undo a block, apply the reverse of its diff.
    ///
    /// # Errors
    /// [`StateError::WrongParent`] when this is not the state that the diff starts from; then nothing changes.
    pub fn apply(&mut self, diff: &StateDiff) -> Result<(), StateError> {
        if self.root() != diff.root_before() {
            return Err(StateError::WrongParent { expected: diff.root_before(), found: self.root() });
        }
        self.accounts.extend(diff.accounts().iter().map(|change| (change.address, change.new)));
        self.buckets.extend(diff.buckets().iter().map(|(bucket, change)| (*bucket, change.new.clone())));
        self.tree = diff.tree_after().clone();
        Ok(())
    }

    /// The state root.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// What lies below.
    #[must_use]
    pub fn base(&self) -> &V {
        &self.base
    }

    /// The accounts that may differ from the base, addresses ascending, with their latest value; `None` where an account is gone. This
    /// is what a commit of all applied diffs writes.
    #[must_use]
    pub fn accounts(&self) -> &BTreeMap<Address, Option<Account>> {
        &self.accounts
    }

    /// The buckets that may differ from the base, ascending, with their latest lattice hash.
    #[must_use]
    pub fn buckets(&self) -> &BTreeMap<Bucket, Arc<LatticeHash>> {
        &self.buckets
    }
}

impl<V: StateView> Accounts for Overlay<V> {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        self.accounts.get(address).map_or_else(|| self.base.account(address), |account| Ok(*account))
    }
}

impl<V: StateView> StateView for Overlay<V> {
    fn bucket(&self, bucket: Bucket) -> Result<Arc<LatticeHash>, StateError> {
        self.buckets.get(&bucket).map_or_else(|| self.base.bucket(bucket), |lattice| Ok(lattice.clone()))
    }

    fn tree(&self) -> Result<StateTree, StateError> {
        Ok(self.tree.clone())
    }
}

/// Accounts as blocks leave them whose state roots are not known yet: what the next block is executed on while the roots are computed.
#[derive(Clone, Debug)]
pub struct Ahead<V> {
    base: V,
    accounts: BTreeMap<Address, Option<Account>>,
}

impl<V: StateView + Clone> Ahead<V> {
    /// The accounts of `state`.
    pub fn of(state: &Overlay<V>) -> Self {
        Self { base: state.base.clone(), accounts: state.accounts.clone() }
    }

    /// Goes on to the accounts after a block.
    pub fn advance(&mut self, changes: &[AccountChange]) {
        self.accounts.extend(changes.iter().map(|change| (change.address, change.new)));
    }
}

impl<V: Accounts> Accounts for Ahead<V> {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        self.accounts.get(address).map_or_else(|| self.base.account(address), |account| Ok(*account))
    }
}

#[cfg(test)]
mod tests;
