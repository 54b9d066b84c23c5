//! Checking what peers served, on the CPU pool: headers in ranges, bodies in batches, the heads of statuses.
//!
//! The certificates of a range are checked as one batch, since the more there are the less each costs; the other workers have the ranges behind it.
//! Bodies are cut into as many parts as there are workers. A batch never mixes peers, and a worker's panic costs it the time, nothing else: the
//! fault is ours, and the machine tries again.

use std::ops::Range;
use std::sync::Arc;

use alys_actor::{Pool, Priority, Stream};
use alys_chain::batch::{self, Entry, Search};
use alys_chain::verify::{self, Parent};
use alys_chain::{BlockId, Body, CertifiedHeader, Invalid, Linked, RangeFault, Required, Rules, UnixMillis};
use alys_ledger::ChainId;
use alys_storage::{Store, StoreError};
use alys_sync::{Fault, HeaderVerdict, Offence};
use futures::future::join_all;

use super::Parts;
use crate::chain::local::{BadBody, PreparedBlock};

/// The least bytes of bodies in a part: some tens of transactions, half a millisecond, so that the way to a worker and back is lost in it.
const LEAST_BODY_BYTES: usize = 8 << 10;
/// The least large bodies in a part: as many messages are hashed side by side for the price of one. Batches of a few bodies that were cut finer
/// cost four times as much.
const LEAST_BODIES: usize = 4;
/// What a body costs to check beside its bytes, in bytes.
const BODY_OVERHEAD: usize = 32;

/// Everything that checking needs. Cheap to clone.
#[derive(Clone)]
pub(super) struct Verifier {
    rules: Arc<Rules>,
    chain_id: ChainId,
    store: Arc<dyn Store>,
    pool: Pool,
    workers: usize,
    light: bool,
}

/// A range on its parent, its links checked: all that must be known to check the ranges behind it. Whatever its certificates are worth, those of
/// its descendants can be checked, as a quorum that approves a block approves its ancestors' headers with it.
#[derive(Debug)]
pub(super) struct OnParent {
    pub parent: Parent,
    linked: Arc<Linked>,
    held: usize,
    fault: Option<Fault>,
}

impl OnParent {
    /// How many of its headers, from the first on, are linked.
    pub fn count(&self) -> usize {
        self.linked.outcome.count
    }
}

impl Verifier {
    pub fn new(parts: &Parts) -> Self {
        Self {
            rules: parts.rules.clone(),
            chain_id: parts.chain_id,
            store: parts.store.clone(),
            pool: parts.pool.clone(),
            workers: parts.config.workers.get(),
            light: parts.config.light,
        }
    }

    /// Checks a range on the stored block that it names; `None` where that one is not here.
    pub async fn headers(
        &self,
        headers: Arc<[CertifiedHeader]>,
        now: UnixMillis,
        rng: Stream,
    ) -> Result<Option<HeaderVerdict>, Fault> {
        match self.links(None, headers.clone(), now).await? {
            None => Ok(None),
            Some(on) => self.approvals(on, headers, rng).await.map(Some),
        }
    }

    /// Checks the links of a range on `parent`, or on the stored block that it names; `None` where that one is not known here (yet).
    pub async fn links(
        &self,
        parent: Option<Parent>,
        headers: Arc<[CertifiedHeader]>,
        now: UnixMillis,
    ) -> Result<Option<OnParent>, Fault> {
        let this = self.clone();
        let linked = self.pool.run(Priority::Normal, move || this.link(parent, &headers, now)).await;
        linked.map_err(ours)?
    }

    /// Checks the certificates of a range whose links are checked.
    pub async fn approvals(
        &self,
        on: OnParent,
        headers: Arc<[CertifiedHeader]>,
        rng: Stream,
    ) -> Result<HeaderVerdict, Fault> {
        let OnParent { linked, held, fault, .. } = on;
        let count = linked.outcome.count;
        let wrong = self.certificates(&headers, linked, rng).await?;
        Ok(match wrong {
            None => HeaderVerdict { valid: count, held: held.min(count), fault },
            Some((valid, invalid)) => {
                let fault = Some(Fault::Peer(offence(&invalid)));
                HeaderVerdict { valid, held: held.min(valid), fault }
            }
        })
    }

    fn link(
        &self,
        parent: Option<Parent>,
        headers: &[CertifiedHeader],
        now: UnixMillis,
    ) -> Result<Option<OnParent>, Fault> {
        let Some(first) = headers.first() else { return Ok(None) };
        let parent = match parent {
            Some(parent) => Some(parent),
            None => self.stored_parent(first.header.parent).map_err(ours)?,
        };
        let Some(parent) = parent else { return Ok(None) };
        let (linked, fault) = self.link_as_far_as_it_goes(&parent, headers, now);
        let linked_headers = headers.get(..linked.outcome.count).unwrap_or_default();
        let held = self.held(linked_headers).map_err(ours)?;
        Ok(Some(OnParent { parent, linked: Arc::new(linked), held, fault }))
    }

    /// The links up to the first that is wrong or early, and what is wrong with that one.
    fn link_as_far_as_it_goes(
        &self,
        parent: &Parent,
        headers: &[CertifiedHeader],
        now: UnixMillis,
    ) -> (Linked, Option<Fault>) {
        match verify::link_range(&self.rules, parent, headers, now) {
            Ok(linked) => {
                let early = linked.outcome.early.map(|early| Fault::Moment(early.to_string()));
                (linked, early)
            }
            Err(RangeFault { index, invalid }) => {
                let good = headers.get(..index).unwrap_or_default();
                let (linked, early) = self.link_as_far_as_it_goes(parent, good, now);
                // One that is early ends the range before the wrong one does.
                (linked, early.or(Some(Fault::Peer(offence(&invalid)))))
            }
        }
    }

    fn stored_parent(&self, id: BlockId) -> Result<Option<Parent>, StoreError> {
        let stored = self.store.header(id)?;
        Ok(stored.map(|stored| Parent { header: stored.header, lineage: stored.lineage }))
    }

    /// How many of these, from the first on, are durable here and certified.
    fn held(&self, headers: &[CertifiedHeader]) -> Result<usize, StoreError> {
        for (i, header) in headers.iter().enumerate() {
            let stored = self.store.header(header.certificate.block)?;
            if stored.is_none_or(|stored| stored.certificate.is_none()) {
                return Ok(i);
            }
        }
        Ok(headers.len())
    }

    /// The first wrong certificate of a linked range. The weights are drawn after the range is fixed.
    async fn certificates(
        &self,
        headers: &Arc<[CertifiedHeader]>,
        linked: Arc<Linked>,
        mut rng: Stream,
    ) -> Result<Option<(usize, Invalid)>, Fault> {
        let (rules, headers) = (self.rules.clone(), headers.clone());
        let first = self.pool.run(Priority::Low, move || {
            let entries: Vec<Entry<'_>> = linked.entries(&headers).collect();
            batch::verify(&rules, &entries, Search::First, &mut rng).faults.pop_first()
        });
        first.await.map_err(ours)
    }

    /// Checks that these bodies are their blocks', decodes them, and has the disk begin with them. In the order that they came in.
    pub async fn bodies(
        &self,
        blocks: Vec<(CertifiedHeader, Body)>,
    ) -> Vec<(CertifiedHeader, Result<PreparedBlock, Fault>)> {
        if self.light {
            return blocks
                .into_iter()
                .map(|(header, body)| (header, Ok(PreparedBlock::of_header(&header, body))))
                .collect();
        }
        let sizes: Vec<usize> = blocks.iter().map(|(_, body)| body.0.len()).collect();
        let parts = parts_by_bytes(&sizes, self.workers);
        let blocks: Arc<[(CertifiedHeader, Body)]> = blocks.into();
        let jobs = parts.into_iter().map(|part| {
            let (mine, chain_id) = (blocks.clone(), self.chain_id);
            let headers = blocks.clone();
            let job = self.pool.run(Priority::Normal, {
                let part = part.clone();
                move || check(&mine[part], chain_id)
            });
            async move {
                let checked = job
                    .await
                    .unwrap_or_else(|error| part.clone().map(|_| Err(ours(error.clone()))).collect());
                let headers = headers[part].iter().map(|(header, _)| *header);
                headers.zip(checked).collect::<Vec<_>>()
            }
        });
        let checked: Vec<_> = join_all(jobs).await.into_iter().flatten().collect();
        // They will be imported, but for what is not verified yet: the disk begins while that is executed which is below them.
        let good = checked.iter().filter_map(|(_, checked)| checked.as_ref().ok());
        self.store.write_ahead(good.map(|block| (block.at(), block.body.clone())).collect());
        checked
    }

    /// Whether a quorum approved the head that a peer shows.
    ///
    /// Its ancestry is not known, so neither is whether the quorum of an older set is due beside that of the slot's own; it is checked where it is
    /// there. The skeleton decides that when it comes to this block, before anything is stored.
    pub async fn head(&self, head: CertifiedHeader) -> Result<(), Fault> {
        let this = self.clone();
        self.pool.run(Priority::Normal, move || this.check_head(&head)).await.map_err(ours)?
    }

    fn check_head(&self, head: &CertifiedHeader) -> Result<(), Fault> {
        let peers = |invalid: Invalid| Fault::Peer(offence(&invalid));
        let CertifiedHeader { header, certificate } = head;
        verify::check_header(&self.rules, header).map_err(peers)?;
        certificate.check_subject(header).map_err(peers)?;
        let stored = self.store.header(certificate.block).map_err(ours)?;
        if stored.is_some_and(|stored| stored.certificate.is_some()) {
            // That it is certified is known here; polls of a synced network cost no pairing.
            return Ok(());
        }
        let own = self.rules.schedule().set_at(header.slot).id();
        let joint = certificate.joint.as_ref().map(|joint| joint.set);
        // A set that comes later never vouches: then the quorum is checked as one that is not due, which is refused.
        let required = Required { own, old: joint.filter(|old| *old < own) };
        certificate.verify(&self.rules, required).map_err(peers)
    }
}

fn check(blocks: &[(CertifiedHeader, Body)], chain_id: ChainId) -> Vec<Result<PreparedBlock, Fault>> {
    let parts = blocks.iter().map(|(header, body)| (header.header, header.certificate.block, body.clone()));
    let checked = PreparedBlock::check_each(parts, chain_id).into_iter();
    checked.zip(blocks).map(|(checked, (header, _))| checked.map_err(|bad| fault(header, &bad))).collect()
}

fn fault(header: &CertifiedHeader, bad: &BadBody) -> Fault {
    match bad {
        BadBody::Body(_) => Fault::Peer(Offence::BadBody),
        // It is the body that a quorum has approved, whoever served it: the doubt is about us.
        BadBody::Transaction { .. } => Fault::Ours(format!("block {}: {bad}", header.header.height)),
    }
}

/// What a peer did that served this.
pub(super) const fn offence(invalid: &Invalid) -> Offence {
    match invalid {
        Invalid::Subject { .. }
        | Invalid::Place { .. }
        | Invalid::Set { .. }
        | Invalid::Authority { .. }
        | Invalid::Signers { .. }
        | Invalid::NoQuorum { .. }
        | Invalid::Joint { .. }
        | Invalid::Signature { .. }
        | Invalid::UnknownSet { .. }
        | Invalid::Point { .. } => Offence::BadCertificate,
        _ => Offence::BadHeader,
    }
}

fn ours(error: impl ToString) -> Fault {
    Fault::Ours(error.to_string())
}

/// Cuts bodies of these sizes into at most about `most` parts of nearly the same work.
fn parts_by_bytes(sizes: &[usize], most: usize) -> Vec<Range<usize>> {
    let cost = |size: &usize| size.saturating_add(BODY_OVERHEAD);
    let total: usize = sizes.iter().map(cost).sum();
    let largest = sizes.iter().map(cost).max().unwrap_or_default();
    // The last body of a part brings it there: it need not fit.
    let least = LEAST_BODY_BYTES.max(largest.saturating_mul(LEAST_BODIES - 1).saturating_add(1));
    let share = total.div_ceil(most.max(1)).max(least);
    let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (i, size) in sizes.iter().enumerate() {
        bytes += cost(size);
        if bytes >= share {
            parts.push(start..i + 1);
            (start, bytes) = (i + 1, 0);
        }
    }
    if start < sizes.len() {
        parts.push(start..sizes.len());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_bodies_cover_everything_and_are_not_too_small() {
        assert_eq!(parts_by_bytes(&[0; 40], 4), vec![0..40], "nothing to win");
        assert_eq!(parts_by_bytes(&[100_000; 40], 4), [0..10, 10..20, 20..30, 30..40]);
        assert_eq!(parts_by_bytes(&[100_000; 6], 4), [0..4, 4..6], "four that are hashed side by side");
        assert_eq!(parts_by_bytes(&[100, 100_000, 100, 100], 4), vec![0..4], "with one large one");
        assert!(parts_by_bytes(&[], 4).is_empty());
    }
}
