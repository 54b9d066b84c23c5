//! The staged state: proofs checked, sums compared with the state root, buckets with their sums, and everything that is proven made durable.
//!
//! All of it runs in the pool. A bucket is one commit; what was committed before a crash is there after it.

use core::convert::Infallible;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use alys_actor::{Clock, Pool, Priority, Stream};
use alys_chain::{BlockId, BlockRef, FinalityProof, Hash, ProofFault, ProvenFinal, Rules};
use alys_ledger::{Account, Address, Bucket, BucketSum, LatticeHash, StateTree};
use alys_storage::{Batch, Durability, StateKey, Store};
use alys_sync::{Fault, Offence};
use alys_wire::limits::ACCOUNT_BYTES;
use bytes::Bytes;

use super::super::Parts;

/// A state that a peer offers, its block proven to be final.
#[derive(Clone, Debug)]
pub(super) struct Offered {
    pub proof: FinalityProof,
    pub proven: ProvenFinal,
}

impl Offered {
    pub fn block(&self) -> BlockRef {
        BlockRef::new(self.proven.certificate.block, &self.proven.block.header)
    }
}

/// The block whose state is staged, and the sums of its buckets.
type Staged = (BlockId, Arc<[LatticeHash]>);

/// What the readers share. Cheap to clone.
#[derive(Clone)]
pub(super) struct Stage {
    rules: Arc<Rules>,
    clock: Clock,
    pool: Pool,
    store: Arc<dyn Store>,
    /// The block whose state is staged, and the sums of its buckets. Held while anything is written: a bucket of a state that was given up must not come
    /// behind the removal of its rows.
    staged: Arc<Mutex<Option<Staged>>>,
}

/// Whatever is wrong with what a peer served of a state.
const WRONG: Fault = Fault::Peer(Offence::BadState);

fn ours(error: impl ToString) -> Fault {
    Fault::Ours(error.to_string())
}

/// The sums of all buckets; `None` for other sizes.
fn split(sums: &[u8]) -> Option<Arc<[LatticeHash]>> {
    let (sums, rest) = sums.as_chunks::<{ LatticeHash::SIZE }>();
    (rest.is_empty() && sums.len() == 256).then(|| sums.iter().map(LatticeHash::from_bytes).collect())
}

/// The state root that these sums lead to.
fn root_of(sums: &[LatticeHash]) -> Hash {
    let sum = |bucket: Bucket| Ok::<_, Infallible>(Arc::new(sums[usize::from(bucket.0)].clone()));
    let Ok(tree) = StateTree::build(sum);
    tree.root()
}

impl Stage {
    pub fn new(parts: &Parts) -> Self {
        Self {
            rules: parts.rules.clone(),
            clock: parts.clock.clone(),
            pool: parts.pool.clone(),
            store: parts.store.clone(),
            staged: Arc::default(),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(Self) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let this = self.clone();
        self.pool.run(Priority::Normal, move || job(this)).await.map_err(ours)?
    }

    /// What was staged before the start, if it is of use. What is not is removed.
    pub async fn find(&self, rng: Stream) -> Option<(Offered, BTreeSet<u8>)> {
        let found = self.run(move |this| this.find_staged(rng)).await;
        found.unwrap_or_else(|fault| {
            tracing::warn!(%fault, "what was fetched of a state before cannot be used");
            None
        })
    }

    fn find_staged(&self, rng: Stream) -> Result<Option<(Offered, BTreeSet<u8>)>, Fault> {
        let Some(staged) = self.store.staged().map_err(ours)? else { return Ok(None) };
        let proof = FinalityProof::decode(&staged.snapshot).map_err(ours)?;
        let offered = self.check(proof, rng)?;
        let sums = self.stored_sums()?;
        if root_of(&sums) != offered.proven.block.header.state_root {
            return Err(ours("the sums of a staged state are not those of its block"));
        }
        *self.staged.lock().unwrap_or_else(PoisonError::into_inner) = Some((offered.block().id, sums));
        Ok(Some((offered, staged.complete.into_iter().collect())))
    }

    fn stored_sums(&self) -> Result<Arc<[LatticeHash]>, Fault> {
        let mut sums = Vec::new();
        for bucket in Bucket::all() {
            let sum = self.store.staged_state(StateKey::Bucket(bucket.0)).map_err(ours)?;
            sums.extend_from_slice(&sum.unwrap_or_default());
        }
        split(&sums).ok_or_else(|| ours("the sums of a staged state are incomplete"))
    }

    /// Verifies proofs of finality.
    pub async fn prove(&self, proofs: Vec<FinalityProof>, mut rng: Stream) -> Result<Vec<Offered>, Fault> {
        self.run(move |this| {
            let mut next = || rand_core::SeedableRng::from_rng(&mut rng);
            proofs.into_iter().map(|proof| this.check(proof, next())).collect()
        })
        .await
    }

    fn check(&self, proof: FinalityProof, mut rng: Stream) -> Result<Offered, Fault> {
        match proof.verify(&self.rules, self.clock.unix(), &mut rng) {
            Ok(proven) => Ok(Offered { proof, proven }),
            Err(ProofFault::Early(early)) => Err(Fault::Moment(early.to_string())),
            Err(ProofFault::Shape | ProofFault::Header(_)) => Err(WRONG),
        }
    }

    /// Compares sums with the state root, and begins to stage their state: what was staged of another one is removed.
    pub async fn begin(&self, offered: Offered, sums: Bytes) -> Result<(), Fault> {
        self.run(move |this| this.begin_staged(&offered, &sums)).await
    }

    fn begin_staged(&self, offered: &Offered, bytes: &Bytes) -> Result<(), Fault> {
        let sums = split(bytes).ok_or(WRONG)?;
        if root_of(&sums) != offered.proven.block.header.state_root {
            return Err(WRONG);
        }
        let mut staged = self.staged.lock().unwrap_or_else(PoisonError::into_inner);
        *staged = None;
        self.store.clear_staged().map_err(ours)?;
        let mut batch = Batch::new();
        batch.begin_staged(&offered.proof.encode());
        for (bucket, sum) in (0..=u8::MAX).zip(sums.iter()) {
            batch.stage_state(StateKey::Bucket(bucket), &sum.to_bytes());
        }
        self.store.commit(batch, Durability::Durable).map_err(ours)?;
        *staged = Some((offered.block().id, sums));
        Ok(())
    }

    /// Adds accounts to the sum of a bucket.
    pub async fn add(
        &self,
        mut sum: BucketSum,
        pieces: Vec<Bytes>,
    ) -> Result<(BucketSum, Vec<Bytes>), Fault> {
        self.run(move |_| {
            for account in pieces.iter().flat_map(|piece| piece.as_chunks::<ACCOUNT_BYTES>().0) {
                let (address, account) = account.split_at(20);
                let account = Account::decode(account).map_err(|_| WRONG)?;
                sum.push(&Address::from_slice(address), &account).map_err(|_| WRONG)?;
            }
            Ok((sum, pieces))
        })
        .await
    }

    /// Compares a whole bucket with its sum, and makes it durable.
    pub async fn complete(
        &self,
        (block, bucket): (BlockId, u8),
        sum: BucketSum,
        accounts: Vec<Bytes>,
    ) -> Result<(), Fault> {
        self.run(move |this| this.complete_bucket((block, bucket), sum, &accounts)).await
    }

    fn complete_bucket(
        &self,
        (block, bucket): (BlockId, u8),
        sum: BucketSum,
        accounts: &[Bytes],
    ) -> Result<(), Fault> {
        let staged = self.staged.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, sums) = staged.as_ref().ok_or_else(|| ours("no state is staged"))?;
        if *of != block {
            return Err(Fault::Moment("another state is staged by now".to_owned()));
        }
        if sum.into_sum() != sums[usize::from(bucket)] {
            return Err(WRONG);
        }
        let mut batch = Batch::new();
        for account in accounts.iter().flat_map(|piece| piece.as_chunks::<ACCOUNT_BYTES>().0) {
            if let Some((address, account)) = account.split_first_chunk() {
                batch.stage_state(StateKey::Account(*address), account);
            }
        }
        batch.complete_bucket(bucket);
        // A loss of power takes later buckets before earlier ones, and what it takes is asked for again.
        self.store.commit(batch, Durability::Buffered).map_err(ours)?;
        Ok(())
    }
}
