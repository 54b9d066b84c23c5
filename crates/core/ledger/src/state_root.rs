//! The state root: what a header says of all accounts, and proofs against it.
//!
//! An account belongs to the bucket of its address' first byte; each of the 256 buckets has a lattice hash; the root is the Merkle root
//! over the hashes of those. A change of an account costs two additions in one bucket, one leaf and eight inner nodes, however large the
//! state is.
//!
//! The first byte, not a hash of the address: addresses are hashes already, so buckets fill evenly, and whoever grinds addresses into one
//! bucket can do so through an unkeyed hash as well. In return a bucket is one contiguous range of the store's keys.
//!
//! - **Decides**: whether accounts make up a bucket of a state root.
//! - **In**: lattice hashes that changed; accounts in ascending order.
//! - **Out**: the root, a proof of a bucket, a verdict.
//! - **On failure**: a proof that does not fit is `false` or a named fault of who served it; nothing panics.

use std::sync::Arc;

use alloy_primitives::Address;
use alys_chain::Hash;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::lattice::LatticeHash;

/// How many buckets there are. Not more: a block that touches all of them rehashes all of them. Not fewer: each is a snapshot chunk, which has
/// 2.3 MB with ten million accounts.
pub const BUCKETS: usize = 256;

/// The way from a leaf to the root: log2 of [`BUCKETS`].
const DEPTH: usize = 8;

/// Keys of BLAKE3, so that no leaf is an inner node and neither is any other hash of the system.
const LEAF_KEY: [u8; 32] = *b"alys/state/leaf/1...............";
const NODE_KEY: [u8; 32] = *b"alys/state/node/1...............";

/// One of the 256 parts of the state: the first byte of its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bucket(pub u8);

impl Bucket {
    /// The bucket that an address belongs to.
    #[must_use]
    pub fn of(address: &Address) -> Self {
        Self(address.0[0])
    }

    /// All of them, ascending.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).map(Self)
    }

    /// Where its leaf stands in [`StateTree::nodes`].
    fn position(self) -> usize {
        BUCKETS + usize::from(self.0)
    }
}

/// The Merkle tree over the buckets with all its inner nodes: 16 KiB, shared until it changes, so a copy costs nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct StateTree {
    /// The root at 1, the children of `i` at `2i` and `2i + 1`, the leaves from 256 on; place 0 is not used.
    nodes: Arc<[Hash; 2 * BUCKETS]>,
}

impl StateTree {
    /// The tree of the given buckets; `bucket` is asked once for each, ascending.
    ///
    /// # Errors
    /// Whatever `bucket` fails with.
    pub fn build<E>(mut bucket: impl FnMut(Bucket) -> Result<Arc<LatticeHash>, E>) -> Result<Self, E> {
        let mut nodes = [Hash::default(); 2 * BUCKETS];
        for b in Bucket::all() {
            nodes[b.position()] = leaf(b, bucket(b)?.as_ref());
        }
        for i in (1..BUCKETS).rev() {
            nodes[i] = node(&nodes[2 * i], &nodes[2 * i + 1]);
        }
        Ok(Self { nodes: Arc::new(nodes) })
    }

    /// The state root.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.nodes[1]
    }

    /// The tree after these buckets changed. Without a change it is this very tree, and nothing is hashed.
    #[must_use]
    pub fn updated<'a>(&self, changed: impl IntoIterator<Item = (Bucket, &'a LatticeHash)>) -> Self {
        let mut changed = changed.into_iter().peekable();
        if changed.peek().is_none() {
            return self.clone();
        }
        let mut nodes = *self.nodes;
        let mut stale = [false; BUCKETS];
        for (bucket, lattice) in changed {
            nodes[bucket.position()] = leaf(bucket, lattice);
            stale[bucket.position() / 2] = true;
        }
        for i in (1..BUCKETS).rev() {
            if stale[i] {
                nodes[i] = node(&nodes[2 * i], &nodes[2 * i + 1]);
                stale[i / 2] = true;
            }
        }
        Self { nodes: Arc::new(nodes) }
    }

    /// What shows that a bucket belongs to the root.
    #[must_use]
    pub fn prove(&self, bucket: Bucket) -> BucketProof {
        let mut siblings = [Hash::default(); DEPTH];
        let mut i = bucket.position();
        for sibling in &mut siblings {
            *sibling = self.nodes[i ^ 1];
            i /= 2;
        }
        BucketProof { bucket, siblings }
    }
}

impl core::fmt::Debug for StateTree {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "StateTree({})", self.root())
    }
}

/// The way from one bucket to the state root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketProof {
    /// The bucket that it is about.
    pub bucket: Bucket,
    /// The other child at each step, from the leaf up.
    pub siblings: [Hash; DEPTH],
}

impl BucketProof {
    /// The size of the encoding in bytes.
    pub const SIZE: usize = 1 + 32 * DEPTH;

    /// Whether the state with this root has this lattice hash in this bucket.
    #[must_use]
    pub fn verify(&self, root: &Hash, lattice: &LatticeHash) -> bool {
        let mut hash = leaf(self.bucket, lattice);
        let mut i = self.bucket.position();
        for sibling in &self.siblings {
            hash = if i.is_multiple_of(2) { node(&hash, sibling) } else { node(sibling, &hash) };
            i /= 2;
        }
        hash == *root
    }

    /// The SSZ encoding: the bucket, then the siblings from the leaf up.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[0] = self.bucket.0;
        for (bytes, sibling) in out[1..].as_chunks_mut::<32>().0.iter_mut().zip(&self.siblings) {
            *bytes = sibling.0;
        }
        out
    }

    /// Reads the encoding; every value of the right size is a possible proof.
    #[must_use]
    pub fn decode(bytes: &[u8; Self::SIZE]) -> Self {
        let mut siblings = [Hash::default(); DEPTH];
        for (sibling, bytes) in siblings.iter_mut().zip(bytes[1..].as_chunks::<32>().0) {
            *sibling = Hash(*bytes);
        }
        Self { bucket: Bucket(bytes[0]), siblings }
    }
}

/// Why served accounts do not make up a bucket: the fault of who served them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BucketFault {
    /// An address that belongs elsewhere.
    #[error("{0} does not belong to the bucket")]
    WrongBucket(Address),
    /// The addresses must ascend strictly, so that none can come twice.
    #[error("{0} does not ascend")]
    NotAscending(Address),
    /// The empty account is never part of a state.
    #[error("{0} is empty")]
    Empty(Address),
    /// Accounts are missing, added or changed, or the proof is.
    #[error("the accounts and the proof do not lead to the state root")]
    WrongRoot,
}

/// Adds up a bucket from its accounts as they arrive, possibly over several messages, and compares it with a root at the end.
#[derive(Clone, Debug)]
pub struct BucketSum {
    bucket: Bucket,
    last: Option<Address>,
    lattice: LatticeHash,
}

impl BucketSum {
    /// Of no account yet.
    #[must_use]
    pub fn new(bucket: Bucket) -> Self {
        Self { bucket, last: None, lattice: LatticeHash::EMPTY }
    }

    /// Takes the next account.
    ///
    /// # Errors
    /// A [`BucketFault`] when the account cannot be the next one; the sum is unchanged.
    pub fn push(&mut self, address: &Address, account: &Account) -> Result<(), BucketFault> {
        if Bucket::of(address) != self.bucket {
            return Err(BucketFault::WrongBucket(*address));
        }
        if self.last.is_some_and(|last| last >= *address) {
            return Err(BucketFault::NotAscending(*address));
        }
        if account.is_empty() {
            return Err(BucketFault::Empty(*address));
        }
        self.last = Some(*address);
        self.lattice.add(address, account);
        Ok(())
    }

    /// The lattice hash of the accounts so far.
    #[must_use]
    pub fn into_sum(self) -> LatticeHash {
        self.lattice
    }

    /// Whether the accounts so far are the whole bucket of the state with this root. Gives its lattice hash.
    ///
    /// # Errors
    /// [`BucketFault::WrongRoot`] when they are not, or the proof is of another bucket.
    pub fn finish(self, proof: &BucketProof, root: &Hash) -> Result<LatticeHash, BucketFault> {
        if proof.bucket == self.bucket && proof.verify(root, &self.lattice) {
            Ok(self.lattice)
        } else {
            Err(BucketFault::WrongRoot)
        }
    }
}

/// The hash of a bucket. Its number is part of it, so equal buckets in different places differ.
fn leaf(bucket: Bucket, lattice: &LatticeHash) -> Hash {
    let mut hasher = blake3::Hasher::new_keyed(&LEAF_KEY);
    hasher.update(&[bucket.0]);
    hasher.update(&lattice.to_bytes());
    Hash(hasher.finalize().into())
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut both = [0; 64];
    both[..32].copy_from_slice(&left.0);
    both[32..].copy_from_slice(&right.0);
    Hash(blake3::keyed_hash(&NODE_KEY, &both).into())
}

#[cfg(test)]
mod tests;
