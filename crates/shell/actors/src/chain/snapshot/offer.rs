//! A state that is served: a view of the database at some head, and what must be undone in it to come back to the offered final block.
//!
//! The database holds the state of the head, never that of a final block; but the changes of the blocks between the two are at hand. So nothing is
//! copied: reads of the view pass through a few changed accounts. The sums of the buckets are computed when they are first asked for.

use core::num::NonZeroU64;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use alys_chain::{BlockId, FinalityProof, Height};
use alys_ledger::{Account, Address, Bucket, LatticeHash, StateError, StateTree};
use alys_storage::{Limit, Pinned, StateKey, StoreError};
use alys_wire::limits::{ACCOUNT_BYTES, STATE_SUMS_BYTES};
use bytes::Bytes;

/// Final blocks between offered states. At 2-second slots a state is offered for one to two times 33 minutes, in which some GB can be fetched; what the
/// database overwrites meanwhile is kept for that long. More often would leave less time, more rarely would keep more and leave more to execute.
pub const INTERVAL: NonZeroU64 = NonZeroU64::new(1_000).expect("1,000 is not zero");

/// States offered at a time: one that is being fetched does not vanish when a newer one appears.
const OFFERED: usize = 2;

/// A state that is offered.
pub struct Offer {
    proof: FinalityProof,
    pinned: Arc<dyn Pinned>,
    /// The accounts that the blocks above have changed, as they were at the offered block.
    before: BTreeMap<Address, Option<Account>>,
    sums: Mutex<Option<Bytes>>,
}

impl Offer {
    /// The state of the proven block: that of the view, with these accounts as they were.
    #[must_use]
    pub fn new(
        proof: FinalityProof,
        pinned: Arc<dyn Pinned>,
        before: BTreeMap<Address, Option<Account>>,
    ) -> Self {
        Self { proof, pinned, before, sums: Mutex::default() }
    }

    /// What shows that its block is final.
    #[must_use]
    pub const fn proof(&self) -> &FinalityProof {
        &self.proof
    }

    /// The block.
    #[must_use]
    pub fn block(&self) -> BlockId {
        self.proof.subject().certificate.block
    }

    /// Its height.
    #[must_use]
    pub fn height(&self) -> Height {
        self.proof.header().height
    }

    /// The lattice hashes of all buckets, one behind the other.
    ///
    /// # Errors
    /// When the store fails, or what it holds is not the state of the block.
    pub fn sums(&self) -> Result<Bytes, StateError> {
        let mut known = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sums) = known.as_ref() {
            return Ok(sums.clone());
        }
        let sums = self.compute_sums()?;
        *known = Some(sums.clone());
        Ok(sums)
    }

    fn compute_sums(&self) -> Result<Bytes, StateError> {
        let mut sums = Bucket::all().map(|bucket| self.sum(bucket)).collect::<Result<Vec<_>, _>>()?;
        for (address, before) in &self.before {
            let now = self.pinned.state(StateKey::Account(address.0.0)).map_err(|error| failed(&error))?;
            let sum = &mut sums[usize::from(Bucket::of(address).0)];
            if let Some(now) = now {
                sum.remove(address, &Account::decode(&now)?);
            }
            if let Some(before) = before {
                sum.add(address, before);
            }
        }
        let tree = StateTree::build(|b| Ok::<_, StateError>(Arc::new(sums[usize::from(b.0)].clone())))?;
        if tree.root() != self.proof.header().state_root {
            return Err(StateError::Corrupt("the offered state is not that of its block".into()));
        }
        let mut bytes = Vec::with_capacity(STATE_SUMS_BYTES);
        sums.iter().for_each(|sum| bytes.extend_from_slice(&sum.to_bytes()));
        Ok(bytes.into())
    }

    fn sum(&self, bucket: Bucket) -> Result<LatticeHash, StateError> {
        let stored = self.pinned.state(StateKey::Bucket(bucket.0)).map_err(|error| failed(&error))?;
        stored.map_or(Ok(LatticeHash::EMPTY), |bytes| {
            let bytes = bytes[..].try_into();
            bytes.map(LatticeHash::from_bytes).map_err(|_| StateError::Corrupt("a bucket sum".into()))
        })
    }

    /// At most `count` accounts of a bucket behind `after`, each with its address before it; fewer are the last.
    ///
    /// # Errors
    /// When the store fails.
    pub fn accounts(&self, bucket: u8, after: Option<[u8; 20]>, count: usize) -> Result<Bytes, StoreError> {
        // So many more rows are read that enough are left whatever was added since.
        let changed = self.before.range(range_of(bucket, after, None)).count();
        let limit = Limit { count: count.saturating_add(changed).max(1), bytes: usize::MAX };
        let rows = self.pinned.accounts(bucket, after, limit)?;
        let now = rows.iter().map(|row| (Address::from(row.address), &row.value));
        let mut merged: BTreeMap<Address, Option<Bytes>> =
            now.map(|(address, value)| (address, Some(value.clone()))).collect();
        // Behind the last row that was read nothing is known, unless the bucket has ended.
        let end =
            if rows.len() < limit.count { None } else { rows.last().map(|row| Address::from(row.address)) };
        for (address, before) in self.before.range(range_of(bucket, after, end)) {
            merged.insert(*address, before.map(|account| Bytes::copy_from_slice(&account.encode())));
        }
        let mut out = Vec::with_capacity(count.min(merged.len()) * ACCOUNT_BYTES);
        for (address, value) in merged.iter().filter_map(|(a, value)| Some((a, value.as_ref()?))).take(count)
        {
            out.extend_from_slice(address.as_slice());
            out.extend_from_slice(value);
        }
        Ok(out.into())
    }
}

/// The addresses of a bucket behind `after`, up to `end`.
fn range_of(bucket: u8, after: Option<[u8; 20]>, end: Option<Address>) -> (Bound<Address>, Bound<Address>) {
    let (mut first, mut last) = ([0; 20], [0xff; 20]);
    (first[0], last[0]) = (bucket, bucket);
    let start = after.map_or(Bound::Included(Address::from(first)), |after| Bound::Excluded(after.into()));
    (start, Bound::Included(end.unwrap_or(Address::from(last))))
}

fn failed(error: &StoreError) -> StateError {
    StateError::Storage(error.to_string().into())
}

/// The states that are offered now; shared by the chain, which offers them, and whoever serves.
#[derive(Clone)]
pub struct Snapshots {
    interval: NonZeroU64,
    offered: Arc<Mutex<VecDeque<Arc<Offer>>>>,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self::every(INTERVAL)
    }
}

impl Snapshots {
    /// One whenever finality passes a multiple of `interval`.
    #[must_use]
    pub fn every(interval: NonZeroU64) -> Self {
        Self { interval, offered: Arc::default() }
    }

    /// Whether the state after a block of this height is to be offered.
    #[must_use]
    pub fn is_due(&self, height: Height) -> bool {
        height > Height::ZERO && height.get().is_multiple_of(self.interval.get())
    }

    /// Offers one more state, and the oldest no more if there are too many.
    pub fn add(&self, offer: Offer) {
        let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        if offered.iter().any(|known| known.block() == offer.block()) {
            return;
        }
        tracing::info!(height = %offer.height(), "the state after this block is offered to fresh nodes");
        offered.push_front(Arc::new(offer));
        offered.truncate(OFFERED);
    }

    /// All of them, the newest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Offer>> {
        self.offered.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The one after this block.
    #[must_use]
    pub fn of(&self, block: BlockId) -> Option<Arc<Offer>> {
        self.all().into_iter().find(|offer| offer.block() == block)
    }
}
