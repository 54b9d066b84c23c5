//! Blocks that came by another way than sync's own requests: from a file, or from a peer that pushed them.
//!
//! They go through the same checks; sync's own work goes on beside it and sees the result as a change of the chain.

use std::sync::Arc;

use alys_actor::{Context, Handler, Message, Stream};
use alys_chain::{CertifiedBlock, CertifiedHeader, UnixMillis};
use alys_sync::{Fault, HeaderVerdict, Observation, Offence};
use alys_wire::PeerId;
use rand_core::SeedableRng;

use super::actor::SyncActor;
use super::ingress::ProcessBlockBatch;
use super::ports::ChainPort;
use super::refusals::{BatchImported, BatchRefused};
use super::verify::Verifier;
use crate::chain::local::VerifiedBlock;

/// The work on a batch is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchDone {
    /// What the sender is to blame for.
    guilty: Option<(PeerId, Offence)>,
}

impl Message for BatchDone {
    type Reply = ();
    const NAME: &'static str = "BatchDone";
}

impl Handler<ProcessBlockBatch> for SyncActor {
    async fn handle(&mut self, message: ProcessBlockBatch, ctx: &mut Context<Self>) {
        let ProcessBlockBatch { blocks, from_peer, reply } = message;
        if self.machine.status(self.now()).paused {
            reply.send(Err(BatchRefused::Paused)).ok();
            return;
        }
        if self.batch_runs {
            // Whoever asked may be gone already.
            reply.send(Err(BatchRefused::Busy)).ok();
            return;
        }
        self.batch_runs = true;
        let (verifier, chain, now) =
            (self.verifier.clone(), self.parts.chain.clone(), self.parts.clock.unix());
        let rng = Stream::from_rng(&mut self.rng);
        ctx.spawn(async move {
            let result = process(&verifier, chain.as_ref(), blocks, (now, rng)).await;
            let guilty = match &result {
                Err(BatchRefused::Invalid { offence, .. }) => from_peer.map(|peer| (peer, *offence)),
                _ => None,
            };
            reply.send(result).ok();
            BatchDone { guilty }
        });
    }
}

impl Handler<BatchDone> for SyncActor {
    async fn handle(&mut self, message: BatchDone, _: &mut Context<Self>) {
        self.batch_runs = false;
        if let Some((peer, offence)) = message.guilty {
            self.observe(peer, Observation::Offence(offence));
        }
    }
}

async fn process(
    verifier: &Verifier,
    chain: &dyn ChainPort,
    blocks: Vec<CertifiedBlock>,
    (now, rng): (UnixMillis, Stream),
) -> Result<BatchImported, BatchRefused> {
    if blocks.is_empty() {
        return Ok(BatchImported { imported: 0, head: chain.watch().borrow().head });
    }
    let (headers, bodies): (Vec<CertifiedHeader>, Vec<_>) = blocks
        .into_iter()
        .map(|CertifiedBlock { block, certificate }| {
            (CertifiedHeader { header: block.header, certificate }, block.body)
        })
        .unzip();
    let headers: Arc<[CertifiedHeader]> = headers.into();
    let checked = verifier.headers(headers.clone(), now, rng).await.map_err(failed)?;
    let HeaderVerdict { valid, fault, .. } = checked.ok_or(BatchRefused::Unknown)?;
    match fault {
        Some(Fault::Peer(offence)) => return Err(BatchRefused::Invalid { index: valid, offence }),
        Some(Fault::Ours(why)) => return Err(BatchRefused::Failed { imported: 0, why }),
        // Early: what comes before it is good.
        Some(Fault::Moment(_)) | None => {}
    }
    let blocks = headers.iter().copied().zip(bodies).take(valid).collect();
    let verified = verified(verifier, blocks).await?;
    match chain.import(verified).await {
        Ok(imported) => Ok(BatchImported { imported: valid, head: imported.tip.head }),
        Err(error) => Err(BatchRefused::Failed { imported: error.imported, why: error.fault.to_string() }),
    }
}

async fn verified(
    verifier: &Verifier,
    blocks: Vec<(CertifiedHeader, alys_chain::Body)>,
) -> Result<Vec<VerifiedBlock>, BatchRefused> {
    let checked = verifier.bodies(blocks).await;
    let mut verified = Vec::with_capacity(checked.len());
    for (index, (header, checked)) in checked.into_iter().enumerate() {
        match checked {
            Ok(block) => verified.push(VerifiedBlock { block, certificate: header.certificate }),
            Err(Fault::Peer(offence)) => return Err(BatchRefused::Invalid { index, offence }),
            Err(fault) => return Err(failed(fault)),
        }
    }
    Ok(verified)
}

fn failed(fault: Fault) -> BatchRefused {
    BatchRefused::Failed { imported: 0, why: fault.to_string() }
}
