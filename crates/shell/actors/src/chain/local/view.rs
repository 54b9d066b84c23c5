//! The accounts at the head, as the store holds them.

use std::sync::Arc;

use alys_ledger::{
    Account, Accounts, Address, Bucket, LatticeHash, Overlay, StateError, StateTree, StateView,
};
use alys_storage::{Batch, StateKey, Store};

/// The state of the head: accounts are read from the store, the 256 bucket sums (2 KiB each) and the tree over them are kept in memory.
#[derive(Clone)]
pub struct StoredState {
    store: Arc<dyn Store>,
    buckets: Arc<Vec<Arc<LatticeHash>>>,
    tree: StateTree,
}

impl StoredState {
    /// Reads the bucket sums and builds the tree.
    ///
    /// # Errors
    /// When the store fails or holds a sum of the wrong size.
    pub fn load(store: Arc<dyn Store>) -> Result<Self, StateError> {
        let empty = Arc::new(LatticeHash::default());
        let read = |bucket: Bucket| match store.state(StateKey::Bucket(bucket.0)) {
            Ok(None) => Ok(empty.clone()),
            Ok(Some(bytes)) => decode_bucket(&bytes).map(Arc::new),
            Err(error) => Err(failed(&error)),
        };
        let buckets = Bucket::all().map(read).collect::<Result<Vec<_>, _>>()?;
        let tree = StateTree::build(|bucket| Ok::<_, StateError>(buckets[usize::from(bucket.0)].clone()))?;
        Ok(Self { store, buckets: Arc::new(buckets), tree })
    }

    /// The state after a commit of what `changes` holds over this one.
    pub fn advanced(&self, changes: &Overlay<Self>) -> Self {
        let mut next = self.clone();
        if !changes.buckets().is_empty() {
            let buckets = Arc::make_mut(&mut next.buckets);
            changes.buckets().iter().for_each(|(bucket, sum)| buckets[usize::from(bucket.0)] = sum.clone());
        }
        next.tree = changes.tree().unwrap_or_else(|_| self.tree.clone());
        next
    }
}

impl Accounts for StoredState {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        let stored = self.store.state(account_key(address)).map_err(|error| failed(&error))?;
        stored.map(|bytes| Account::decode(&bytes)).transpose()
    }
}

impl StateView for StoredState {
    fn bucket(&self, bucket: Bucket) -> Result<Arc<LatticeHash>, StateError> {
        Ok(self.buckets[usize::from(bucket.0)].clone())
    }

    fn tree(&self) -> Result<StateTree, StateError> {
        Ok(self.tree.clone())
    }
}

/// Puts everything that `changes` holds over the stored state into a batch.
pub fn write<V: StateView>(changes: &Overlay<V>, batch: &mut Batch) {
    for (address, account) in changes.accounts() {
        match account {
            Some(account) => batch.put_state(account_key(address), &account.encode()),
            None => batch.remove_state(account_key(address)),
        };
    }
    for (bucket, sum) in changes.buckets() {
        batch.put_state(StateKey::Bucket(bucket.0), &sum.to_bytes());
    }
}

fn account_key(address: &Address) -> StateKey {
    StateKey::Account(address.0.0)
}

fn decode_bucket(bytes: &[u8]) -> Result<LatticeHash, StateError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| StateError::Corrupt(format!("a bucket sum of {} bytes", bytes.len())))?;
    Ok(LatticeHash::from_bytes(bytes))
}

fn failed(error: &alys_storage::StoreError) -> StateError {
    StateError::Storage(error.to_string().into())
}
