//! The local chain under a lock that outlives incarnations.
//!
//! Work in the CPU pool outlives an aborted actor. With the lock in common, what it still commits is done before the next incarnation reads the
//! store, and two local chains never write to one store.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alys_storage::Store;

use super::local::{ChainError, LocalChain, Network};
use super::snapshot::Snapshots;

/// The local chain; empty until it is opened.
#[derive(Clone, Default)]
pub struct Heart(Arc<Mutex<Option<LocalChain>>>);

impl Heart {
    /// Reads everything from the store, whatever was there before.
    ///
    /// # Errors
    /// When the store fails or does not fit together; the heart is empty then.
    pub fn open(
        &self,
        network: Network,
        store: Arc<dyn Store>,
        snapshots: Snapshots,
    ) -> Result<(), ChainError> {
        let mut chain = self.lock();
        *chain = None;
        let mut opened = LocalChain::open(network, store)?;
        opened.offer_to(snapshots)?;
        *chain = Some(opened);
        Ok(())
    }

    /// Runs `work` on the chain. It reads and writes the disk: call it where that is allowed.
    pub fn with<T>(&self, work: impl FnOnce(&mut LocalChain) -> T) -> T {
        let mut chain = self.lock();
        work(chain.as_mut().expect("an incarnation opens the chain before it takes its first message"))
    }

    /// A panic under the lock ends the incarnation, and the next one opens the chain anew: what it left half-way is never used.
    fn lock(&self) -> MutexGuard<'_, Option<LocalChain>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
