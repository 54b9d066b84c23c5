//! Verified blocks on their way to the chain.

use alys_actor::{Context, Handler, Message};
use alys_chain::{Body, CertifiedHeader};
use alys_sync::{BatchId, Event, Fault, ImportFailure, Tip};

use super::actor::SyncActor;
use super::bodies::{Kept, lost_a_body};
use super::verify::Verifier;
use crate::chain::local::{PreparedBlock, VerifiedBlock};
use crate::chain::{ImportError, Imported};

/// An import ended.
#[derive(Debug)]
pub(super) struct ImportEnded {
    batch: BatchId,
    result: Result<Imported, ImportEnd>,
}

/// Why an import did not come to its end.
#[derive(Debug)]
enum ImportEnd {
    /// The chain did not take all of it.
    Chain(ImportError),
    /// It was not handed over: a body could not be decoded again.
    Unprepared(Fault),
}

impl Message for ImportEnded {
    type Reply = ();
    const NAME: &'static str = "ImportEnded";
}

impl SyncActor {
    pub(super) fn import(&mut self, ctx: &mut Context<Self>, batch: BatchId, headers: Vec<CertifiedHeader>) {
        let mut kept = |header: CertifiedHeader| {
            // The machine asks nobody for these.
            if header.header.body_root == Body::empty_root() {
                return Some((header, Kept::Prepared(PreparedBlock::of_header(&header, Body::default()))));
            }
            Some((header, self.held.hand_over(header.certificate.block)?))
        };
        let Some(blocks) = headers.into_iter().map(&mut kept).collect::<Option<Vec<_>>>() else {
            return lost_a_body(ctx);
        };
        let (verifier, chain) = (self.verifier.clone(), self.parts.chain.clone());
        ctx.spawn(async move {
            let result = match ready(&verifier, blocks).await {
                Ok(blocks) => chain.import(blocks).await.map_err(ImportEnd::Chain),
                Err(fault) => Err(ImportEnd::Unprepared(fault)),
            };
            ImportEnded { batch, result }
        });
    }

    /// The better of what an answer says and what the chain shows by now.
    fn newest(&self, tip: Tip) -> Tip {
        let shown = self.view.borrow().tip();
        if shown.head.slot > tip.head.slot { shown } else { tip }
    }
}

/// Decodes again what an earlier try has taken with it. Nothing to do but after a failed import.
async fn ready(
    verifier: &Verifier,
    blocks: Vec<(CertifiedHeader, Kept)>,
) -> Result<Vec<VerifiedBlock>, Fault> {
    let mut verified = Vec::with_capacity(blocks.len());
    for (header, kept) in blocks {
        let block = match kept {
            Kept::Prepared(block) => block,
            Kept::Raw(body) => {
                let mut again = verifier.bodies(vec![(header, body)]).await;
                let lost = || Fault::Ours("a check had no result".to_owned());
                again.pop().ok_or_else(lost)?.1?
            }
        };
        verified.push(VerifiedBlock { block, certificate: header.certificate });
    }
    Ok(verified)
}

impl Handler<ImportEnded> for SyncActor {
    async fn handle(&mut self, message: ImportEnded, ctx: &mut Context<Self>) {
        let ImportEnded { batch, result } = message;
        let shown = self.view.borrow().tip();
        let event = match result {
            Ok(Imported { tip, took }) => Event::Imported { batch, tip: self.newest(tip), took },
            Err(ImportEnd::Chain(ImportError { imported, tip, fault })) => {
                let failure = ImportFailure { imported, fault, tip: self.newest(tip) };
                Event::ImportFailed { batch, failure }
            }
            Err(ImportEnd::Unprepared(fault)) => {
                let failure = ImportFailure { imported: 0, fault, tip: shown };
                Event::ImportFailed { batch, failure }
            }
        };
        self.step(ctx, event);
        let finalized = self.machine.tip().finalized.height;
        self.ranges.settle(finalized);
        self.checkpoint_if_due(ctx, finalized);
    }
}
