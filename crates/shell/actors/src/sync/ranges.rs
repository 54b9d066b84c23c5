//! Ranges of headers that were linked, and those that wait for the range below.
//!
//! - **Owns**: what must be known of a block to check its children, for as long as it is not durable; ranges that arrived before the one that they
//!   stand on. Headers are shared with the machine, not copied.
//! - **In**: linked ranges; again when their certificates were checked. **Out**: the parent of a range, or that it is not known.
//! - **On failure**: a range whose parent does not come in time, or turns out to be another, is given back. Nobody is to blame: one of two branches
//!   is dead.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use alys_chain::verify::Parent;
use alys_chain::{BlockId, CertifiedHeader, Height, Moment};
use alys_sync::LeaseId;

/// How long a range waits for the one below: the longest that a request for that one may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many linked ranges are remembered: the machine's skeleton of 8,192 headers is 16 full ones, and short answers make more.
const REMEMBERED: usize = 256;

#[derive(Debug)]
struct Range {
    parent: Parent,
    headers: Arc<[CertifiedHeader]>,
    valid: usize,
}

impl Range {
    fn headers(&self) -> &[CertifiedHeader] {
        self.headers.get(..self.valid).unwrap_or_default()
    }

    /// The block `id` of this range as a parent.
    fn parent(&self, id: BlockId) -> Option<Parent> {
        let end = self.headers().iter().position(|header| header.certificate.block == id)?;
        let mut parent = self.parent;
        for header in self.headers().get(..=end)? {
            parent = parent.child(header.header);
        }
        Some(parent)
    }

    /// The name of its block at this height.
    fn at(&self, height: Height) -> Option<BlockId> {
        let offset = usize::try_from(height.ahead_of(self.parent.header.height).checked_sub(1)?).ok()?;
        self.headers().get(offset).map(|header| header.certificate.block)
    }
}

/// A range that waits.
#[derive(Debug)]
struct Parked {
    headers: Arc<[CertifiedHeader]>,
    since: Moment,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Ranges {
    linked: BTreeMap<(Height, BlockId), Range>,
    parked: BTreeMap<LeaseId, Parked>,
}

/// What becomes of the ranges that waited.
#[derive(Debug, Default)]
pub(super) struct Woken {
    /// Their parents are known now.
    pub ready: Vec<(LeaseId, Arc<[CertifiedHeader]>)>,
    /// They stand on another branch.
    pub dead: Vec<LeaseId>,
}

impl Ranges {
    /// Remembers the first `valid` headers of a range, and no more of it than these.
    pub fn insert(&mut self, parent: Parent, headers: Arc<[CertifiedHeader]>, valid: usize) {
        let Some(first) = headers.first() else { return };
        let key = (first.header.height, first.certificate.block);
        if valid == 0 {
            self.linked.remove(&key);
            return;
        }
        self.linked.insert(key, Range { parent, headers, valid });
        if self.linked.len() > REMEMBERED {
            self.linked.pop_first();
        }
    }

    /// The block with this name, if a linked range holds it at this height.
    pub fn parent(&self, height: Height, id: BlockId) -> Option<Parent> {
        self.holding(height).find(|range| range.at(height) == Some(id))?.parent(id)
    }

    fn holding(&self, height: Height) -> impl Iterator<Item = &Range> {
        let below = self.linked.range(..=(height, BlockId([0xff; 32]))).rev().map(|(_, range)| range);
        below.filter(move |range| range.at(height).is_some())
    }

    /// Lets a range wait for the one below.
    pub fn park(&mut self, lease: LeaseId, headers: Arc<[CertifiedHeader]>, now: Moment) {
        self.parked.insert(lease, Parked { headers, since: now });
    }

    /// Takes out those whose parents are known now, or whose height below holds other blocks only.
    pub fn wake(&mut self) -> Woken {
        let mut woken = Woken::default();
        let all = std::mem::take(&mut self.parked);
        for (lease, parked) in all {
            let below = parked
                .headers
                .first()
                .and_then(|first| Some((first.header.height.prev()?, first.header.parent)));
            match below {
                Some((height, id)) if self.parent(height, id).is_some() => {
                    woken.ready.push((lease, parked.headers));
                }
                Some((height, _)) if self.holding(height).next().is_none() => {
                    self.parked.insert(lease, parked);
                }
                _ => woken.dead.push(lease),
            }
        }
        woken
    }

    /// Takes out those that have waited too long.
    pub fn expire(&mut self, now: Moment) -> Vec<LeaseId> {
        let stale: Vec<LeaseId> = self
            .parked
            .iter()
            .filter(|(_, parked)| now.since(parked.since) >= PATIENCE)
            .map(|(&lease, _)| lease)
            .collect();
        stale.iter().for_each(|lease| drop(self.parked.remove(lease)));
        stale
    }

    /// Forgets ranges that end at or below this height: their blocks are final in the store.
    pub fn settle(&mut self, finalized: Height) {
        self.linked
            .retain(|_, range| range.headers().last().is_some_and(|last| last.header.height > finalized));
    }
}
