//! What peers are served from.

use alys_chain::{BlockId, CertifiedHeader, FinalityProof, Height, Report};
use alys_wire::limits::NONCE_BYTES;
use alys_wire::{PeerId, Status};
use bytes::Bytes;
use thiserror::Error;

/// The chain as stored, for serving: synchronous reads that return the stored bytes. Called from a blocking thread, by many at once.
pub trait BlockSource: Send + Sync + 'static {
    /// What we say of ourselves.
    ///
    /// # Errors
    /// [`Unavailable`] when the store cannot be read now.
    fn status(&self) -> Result<Status, Unavailable>;

    /// The certified headers of our certified chain from this height on, ascending and without gaps, at most `count`. Empty if there
    /// is none.
    ///
    /// # Errors
    /// [`Unavailable`] when the store cannot be read now.
    fn headers(&self, from: Height, count: u32) -> Result<Vec<CertifiedHeader>, Unavailable>;

    /// The bodies of these blocks as stored, in this order, `None` for one that we lack; from the first on as many as fit into `budget`
    /// bytes, but at least one. The caller asks again for the rest, so that memory stays within the budget.
    ///
    /// # Errors
    /// [`Unavailable`] when the store cannot be read now.
    fn bodies(&self, ids: &[BlockId], budget: usize) -> Result<Vec<Option<Bytes>>, Unavailable>;

    /// The encoded claim that binds our peer id to our authority key, for this asker over this nonce; `None` if we are no authority.
    ///
    /// # Errors
    /// [`Unavailable`] when nothing can be signed now.
    fn claim(&self, asker: PeerId, nonce: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable>;

    /// Our signed report on the best certified block that we know, over this nonce; `None` (what a node without an authority's key says) if
    /// we are no authority.
    ///
    /// # Errors
    /// [`Unavailable`] when nothing can be signed now.
    fn report(&self, _nonce: [u8; NONCE_BYTES]) -> Result<Option<Report>, Unavailable> {
        Ok(None)
    }

    /// The states that we offer, each by the proof that its block is final, the newest first; at most
    /// [`MAX_SNAPSHOTS`](alys_wire::limits::MAX_SNAPSHOTS). None is what a node without a state says.
    ///
    /// # Errors
    /// [`Unavailable`] when the store cannot be read now.
    fn snapshots(&self) -> Result<Vec<FinalityProof>, Unavailable> {
        Ok(Vec::new())
    }

    /// The lattice hashes of all buckets of the offered state after this block, bucket after bucket; `None` if we do not offer it (any more).
    ///
    /// # Errors
    /// [`Unavailable`] when the store cannot be read now.
    fn state_sums(&self, _block: BlockId) -> Result<Option<Bytes>, Unavailable> {
        Ok(None)
    }

    /// The accounts of a bucket of the offered state after this block, addresses ascending, those behind `after` (from the first if `None`), at
    /// most `count`: address and account of each, one behind the other. Fewer than `count` are the last. `None` if we do not offer the state (any
    /// more).
    ///
    /// # Errors
    /// [`Unavailable`] when the store cannot be read now.
    fn accounts(
        &self,
        _block: BlockId,
        _bucket: u8,
        _after: Option<[u8; 20]>,
        _count: usize,
    ) -> Result<Option<Bytes>, Unavailable> {
        Ok(None)
    }
}

/// The store cannot be read now; the request is refused without blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the store cannot be read now")]
pub struct Unavailable;
