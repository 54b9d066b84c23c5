//! What becomes durable, by our imports or by gossip, and what does not.

use alys_chain::{BlockRef, Height, HeightRange, Moment};

use super::SyncMachine;
use crate::blame::Fault;
use crate::event::{BatchId, ImportFailure, ImportTook};
use crate::report::Report;
use crate::skeleton::Skeleton;
use crate::tip::Tip;

impl SyncMachine {
    pub(super) fn on_imported(&mut self, now: Moment, batch: BatchId, (tip, took): (Tip, ImportTook)) {
        if let Some(blocks) = self.importer.finish(batch, took.execute) {
            self.import_works();
            self.account.imported(now, took.execute, took.commit);
            self.batch_became_durable(now, &blocks);
        }
        self.set_tip(now, tip);
    }

    pub(super) fn on_import_failed(&mut self, now: Moment, batch: BatchId, failure: ImportFailure) {
        if let Some(blocks) = self.importer.end(batch) {
            let done = failure.imported.min(blocks.len());
            self.batch_became_durable(now, blocks.get(..done).unwrap_or_default());
            match (failure.fault, blocks.get(done)) {
                (Fault::Peer(offence), Some(block)) => {
                    self.discard_body(now, block.height, block.id, offence)
                }
                (fault, _) => self.import_fails(now, &fault),
            }
        }
        self.set_tip(now, failure.tip);
    }

    fn import_fails(&mut self, now: Moment, fault: &Fault) {
        let failing = self.importer.fail(now, fault);
        let report = Report::ImportFailing {
            reason: failing.reason.clone(),
            attempts: failing.attempts,
            retry_at: failing.retry_at,
        };
        self.report(report);
    }

    fn import_works(&mut self) {
        if let Some(attempts) = self.importer.succeed() {
            self.report(Report::ImportRecovered { attempts });
        }
    }

    pub(super) fn on_tip_changed(&mut self, now: Moment, tip: Tip) {
        // The chain takes blocks, by whatever way they come: there may be none left for an import to show it.
        if tip.head.slot > self.tip.head.slot {
            self.import_works();
        }
        self.set_tip(now, tip);
    }

    fn batch_became_durable(&mut self, now: Moment, blocks: &[BlockRef]) {
        if let Some(&last) = blocks.last()
            && self.skeleton.id_at(last.height) == Some(last.id)
        {
            self.became_durable(now, last);
        }
    }

    /// This block of the skeleton is durable, with all below it.
    pub(super) fn became_durable(&mut self, now: Moment, block: BlockRef) {
        if block.height <= self.skeleton.base().height {
            return;
        }
        self.skeleton.advance(block);
        self.release_bodies(HeightRange::new(Height::ZERO, block.height.saturating_add(1)));
        self.watch.progress = now;
    }

    /// The durable chain is this now; the skeleton follows.
    pub(super) fn set_tip(&mut self, now: Moment, tip: Tip) {
        let moved = tip.head != self.tip.head;
        self.tip = tip;
        let (head, finalized) = (tip.head, tip.finalized);
        if self.skeleton.base().height < finalized.height && !self.passes(finalized) {
            // What we follow does not contain our final block, or we cannot tell.
            self.restart_skeleton(head);
        } else if self.passes(head) {
            self.became_durable(now, head);
        } else if moved && head.height > self.skeleton.top() {
            self.restart_skeleton(head);
        }
        if self.passes(finalized) {
            self.became_durable(now, finalized);
        }
        self.join(now);
    }

    /// Whether the linked skeleton contains this block.
    fn passes(&self, block: BlockRef) -> bool {
        block.height <= self.skeleton.linked() && self.skeleton.id_at(block.height) == Some(block.id)
    }

    /// Begins again from this durable block; what was done above another one is void.
    fn restart_skeleton(&mut self, base: BlockRef) {
        self.forget(HeightRange::new(Height::ZERO, Height(u64::MAX)));
        self.skeleton = Skeleton::new(base);
    }
}
