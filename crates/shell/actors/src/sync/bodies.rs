//! The bodies that are held for the machine, and their check.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use alys_actor::{Context, Handler, Message, StopReason};
use alys_chain::{BlockId, Body, CertifiedHeader};
use alys_sync::{BatchId, Event, Fault};

use super::actor::SyncActor;
use super::news::size;
use crate::chain::local::PreparedBlock;

/// A body, and whether it was checked.
#[derive(Debug)]
pub(super) enum Kept {
    /// As it came.
    Raw(Body),
    /// Checked and decoded.
    Prepared(PreparedBlock),
}

/// The bodies between their arrival and their release, by block. The machine counts their bytes.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<BlockId, Kept>);

impl Held {
    /// Takes bodies in. Of one that is here the first copy stays: it may be checked already, and who served it answers for it. Returns the bytes
    /// that came twice.
    pub fn take(&mut self, bodies: Vec<(BlockId, Body)>) -> u64 {
        let mut twice = 0;
        for (id, body) in bodies {
            match self.0.entry(id) {
                Entry::Vacant(place) => drop(place.insert(Kept::Raw(body))),
                Entry::Occupied(_) => twice += size(&body),
            }
        }
        twice
    }

    /// Lets bodies go. Unknown ones are fine.
    pub fn release(&mut self, ids: &[BlockId]) {
        ids.iter().for_each(|id| drop(self.0.remove(id)));
    }

    /// The body, without its decoded form.
    fn raw(&self, id: BlockId) -> Option<Body> {
        self.0.get(&id).map(|kept| match kept {
            Kept::Raw(body) => body.clone(),
            Kept::Prepared(block) => block.body.clone(),
        })
    }

    /// Keeps the checked form, if the body is still wanted.
    fn prepare(&mut self, block: PreparedBlock) {
        if let Some(kept) = self.0.get_mut(&block.id) {
            *kept = Kept::Prepared(block);
        }
    }

    /// Hands the body over for an import. The raw form stays, for another try.
    pub fn hand_over(&mut self, id: BlockId) -> Option<Kept> {
        let kept = self.0.get_mut(&id)?;
        let raw = match kept {
            Kept::Raw(body) => body.clone(),
            Kept::Prepared(block) => block.body.clone(),
        };
        Some(std::mem::replace(kept, Kept::Raw(raw)))
    }
}

/// Bodies were checked.
#[derive(Debug)]
pub(super) struct BodiesChecked {
    batch: BatchId,
    blocks: Vec<(CertifiedHeader, Result<PreparedBlock, Fault>)>,
}

impl Message for BodiesChecked {
    type Reply = ();
    const NAME: &'static str = "BodiesChecked";
}

impl SyncActor {
    pub(super) fn verify_bodies(
        &mut self,
        ctx: &mut Context<Self>,
        batch: BatchId,
        headers: Vec<CertifiedHeader>,
    ) {
        let with_body = |header: CertifiedHeader| Some((header, self.held.raw(header.certificate.block)?));
        let Some(blocks) = headers.into_iter().map(with_body).collect::<Option<Vec<_>>>() else {
            return lost_a_body(ctx);
        };
        let verifier = self.verifier.clone();
        ctx.spawn(async move { BodiesChecked { batch, blocks: verifier.bodies(blocks).await } });
    }
}

/// The machine counts on a body that is not here. Nothing but a new beginning from the durable tip puts that right.
pub(super) fn lost_a_body(ctx: &mut Context<SyncActor>) {
    ctx.stop(StopReason::Failed("a body that the machine counts on is not held".to_owned()));
}

impl Handler<BodiesChecked> for SyncActor {
    async fn handle(&mut self, message: BodiesChecked, ctx: &mut Context<Self>) {
        let BodiesChecked { batch, blocks } = message;
        let (mut faults, total) = (Vec::new(), blocks.len());
        for (header, checked) in blocks {
            match checked {
                Ok(block) => self.held.prepare(block),
                Err(fault) => faults.push((header.certificate.block, fault)),
            }
        }
        self.parts.metrics.bodies(total - faults.len());
        self.step(ctx, Event::BodiesVerified { batch, faults });
    }
}
