//! What peers are served from: the store, and the signer for claims.

use std::sync::Arc;

use alys_actor::Clock;
use alys_chain::report::Best;
use alys_chain::{
    BlockId, CertifiedHeader, Claim, FinalityProof, Height, Parties, Report, Rules, Seat, UnixMillis,
};
use alys_storage::{Limit, Store, StoreError};
use alys_transport::{BlockSource, Unavailable};
use alys_wire::limits::NONCE_BYTES;
use alys_wire::{PeerId, Status};
use bytes::Bytes;
use tokio::sync::watch;

use super::signer::Signer;
use super::snapshot::Snapshots;
use super::view::ChainView;

/// How long a claim holds, in milliseconds. Longer than the handshake that it is made for, clocks included; shorter than anything that it
/// could be kept for.
const CLAIM_MS: u64 = 60_000;

/// Serves the chain as it is stored.
pub struct ChainSource {
    store: Arc<dyn Store>,
    rules: Arc<Rules>,
    clock: Clock,
    view: watch::Receiver<ChainView>,
    authority: Option<(Arc<Signer>, PeerId)>,
    snapshots: Snapshots,
}

impl ChainSource {
    /// Serves `store`; an authority, with its peer id, also claims its seat.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        rules: Arc<Rules>,
        clock: Clock,
        view: watch::Receiver<ChainView>,
        authority: Option<(Arc<Signer>, PeerId)>,
    ) -> Self {
        Self { store, rules, clock, view, authority, snapshots: Snapshots::default() }
    }

    /// Serves these states as well.
    #[must_use]
    pub fn with_snapshots(self, snapshots: Snapshots) -> Self {
        Self { snapshots, ..self }
    }

    /// Our seat in the set of the present slot, with what we sign as.
    fn seat(&self) -> Option<(&Signer, PeerId, Seat, UnixMillis)> {
        let (signer, own) = self.authority.as_ref()?;
        let now = self.clock.unix();
        let slot = self.rules.slot_at(now).unwrap_or_default();
        let seat = signer.seat(self.rules.schedule().set_at(slot).id())?;
        Some((signer, *own, seat, now))
    }

    fn head(&self) -> Result<Option<CertifiedHeader>, StoreError> {
        let stored = self.store.header(self.store.head()?.id)?;
        Ok(stored
            .and_then(|s| s.certificate.map(|certificate| CertifiedHeader { header: s.header, certificate })))
    }
}

impl BlockSource for ChainSource {
    fn status(&self) -> Result<Status, Unavailable> {
        let head = self.head().map_err(unavailable)?;
        let finalized = self.store.finalized().map_err(unavailable)?.height;
        let earliest = self.store.earliest().map_err(unavailable)?;
        Ok(Status { head, finalized, earliest })
    }

    fn headers(&self, from: Height, count: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let limit = Limit { count, bytes: count.saturating_mul(CertifiedHeader::SIZE) };
        let stored = self.store.certified_headers(from, limit).map_err(unavailable)?;
        let decode = |bytes: Bytes| CertifiedHeader::decode(&bytes);
        stored.into_iter().map(|s| decode(s.bytes)).collect::<Result<_, _>>().map_err(|error| {
            tracing::error!(%error, "a stored header does not decode");
            Unavailable
        })
    }

    fn bodies(&self, ids: &[BlockId], budget: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        self.store.bodies(ids, Limit { count: ids.len(), bytes: budget }).map_err(unavailable)
    }

    fn claim(&self, asker: PeerId, nonce: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
        let Some((signer, own, seat, now)) = self.seat() else { return Ok(None) };
        let parties = Parties { claimant: own.as_bytes(), asker: asker.as_bytes(), nonce: &nonce };
        let until = UnixMillis(now.0.saturating_add(CLAIM_MS));
        let claim = signer.with_key(|key| Claim::sign(self.rules.domain(), &parties, seat, until, key));
        Ok(Some(Bytes::copy_from_slice(&claim.encode())))
    }

    fn report(&self, nonce: [u8; NONCE_BYTES]) -> Result<Option<Report>, Unavailable> {
        let Some((signer, _, seat, _)) = self.seat() else { return Ok(None) };
        // The view knows certificates of blocks that are not here, the store what was there before this process.
        let stored = self
            .head()
            .map_err(unavailable)?
            .map(|head| Best { slot: head.header.slot, block: head.certificate.block });
        let seen = {
            let view = self.view.borrow();
            Best { slot: view.highest_certified, block: view.highest_block }
        };
        let best = stored.filter(|stored| stored.slot >= seen.slot).unwrap_or(seen);
        Ok(Some(signer.with_key(|key| Report::sign(self.rules.domain(), &nonce, seat, best, key))))
    }

    fn snapshots(&self) -> Result<Vec<FinalityProof>, Unavailable> {
        Ok(self.snapshots.all().iter().map(|offer| offer.proof().clone()).collect())
    }

    fn state_sums(&self, block: BlockId) -> Result<Option<Bytes>, Unavailable> {
        let sums = self.snapshots.of(block).map(|offer| offer.sums()).transpose();
        sums.map_err(|error| {
            tracing::error!(%error, "an offered state cannot be served");
            Unavailable
        })
    }

    fn accounts(
        &self,
        block: BlockId,
        bucket: u8,
        after: Option<[u8; 20]>,
        count: usize,
    ) -> Result<Option<Bytes>, Unavailable> {
        let page = self.snapshots.of(block).map(|offer| offer.accounts(bucket, after, count)).transpose();
        page.map_err(unavailable)
    }
}

fn unavailable(error: StoreError) -> Unavailable {
    tracing::warn!(%error, "cannot serve");
    Unavailable
}
