//! What people and the chain ask of sync.

use std::collections::BTreeMap;

use alys_actor::{Context, Handler};
use alys_chain::BlockRef;
use alys_sync::{Event, Explain, GateReport, PartitionView, SyncStatus};

use alys_wire::PeerId;

use super::Seed;
use super::actor::SyncActor;
use super::ingress::{
    CanProduceBlocks, GetExplain, GetPartition, GetProvenHeads, GetSyncStatus, PauseSync, ResumeSync,
    StartSync, StopSync,
};
use super::refusals::Refused;

impl SyncActor {
    /// Gives a command to the machine. What the machine takes is remembered for the next incarnation.
    fn command(&mut self, ctx: &mut Context<Self>, event: Event, then: Seed) -> Result<(), Refused> {
        if self.fetch.is_some() || self.fetch_begins {
            return Err(Refused::State("the state of a final block is being fetched"));
        }
        self.refused = None;
        let before = std::mem::replace(&mut self.seed, then);
        self.step(ctx, event);
        match self.refused.take() {
            Some(reason) => {
                self.seed = before;
                Err(Refused::State(reason))
            }
            None => {
                // An order may be finished at once, and is then not remembered.
                ctx.checkpoint(self.seed);
                Ok(())
            }
        }
    }
}

impl SyncActor {
    /// Whether this block can be on the chain that is here. One read of the store, for a command that is given once in a while.
    fn check_checkpoint(&self, block: BlockRef) -> Result<(), Refused> {
        let BlockRef { height, slot, id } = block;
        // Clocks differ: a block of the next slot may exist already.
        if height.get() > slot.get() || slot > self.slot().saturating_add(1) {
            return Err(Refused::Impossible { height, slot });
        }
        match self.parts.store.canonical(height).map_err(|why| Refused::Store(why.to_string()))? {
            Some(ours) if ours != id => Err(Refused::Contradicted { height, ours, theirs: id }),
            _ => Ok(()),
        }
    }
}

impl Handler<StartSync> for SyncActor {
    async fn handle(&mut self, order: StartSync, ctx: &mut Context<Self>) -> Result<(), Refused> {
        let next = self.view.borrow().head.height.saturating_add(1);
        if let Some(from) = order.from_height.filter(|from| *from > next) {
            return Err(Refused::Hole { from, next });
        }
        order.checkpoint.map_or(Ok(()), |block| self.check_checkpoint(block))?;
        self.tick(ctx);
        let start = Event::Start(self.start_of(&order));
        self.command(ctx, start, Seed { order: Some(order), paused: false })
    }
}

impl Handler<StopSync> for SyncActor {
    async fn handle(&mut self, _: StopSync, ctx: &mut Context<Self>) -> Result<(), Refused> {
        self.command(ctx, Event::Stop, Seed::default())
    }
}

impl Handler<PauseSync> for SyncActor {
    async fn handle(&mut self, _: PauseSync, ctx: &mut Context<Self>) -> Result<(), Refused> {
        self.command(ctx, Event::Pause, Seed { paused: true, ..self.seed })
    }
}

impl Handler<ResumeSync> for SyncActor {
    async fn handle(&mut self, _: ResumeSync, ctx: &mut Context<Self>) -> Result<(), Refused> {
        self.command(ctx, Event::Resume, Seed { paused: false, ..self.seed })
    }
}

impl Handler<GetSyncStatus> for SyncActor {
    async fn handle(&mut self, _: GetSyncStatus, _: &mut Context<Self>) -> SyncStatus {
        self.shown(self.machine.status(self.now()))
    }
}

impl Handler<GetExplain> for SyncActor {
    async fn handle(&mut self, _: GetExplain, _: &mut Context<Self>) -> Explain {
        self.machine.explain(self.now())
    }
}

impl Handler<GetPartition> for SyncActor {
    async fn handle(&mut self, _: GetPartition, _: &mut Context<Self>) -> PartitionView {
        self.machine.partition(self.now())
    }
}

impl Handler<GetProvenHeads> for SyncActor {
    async fn handle(&mut self, _: GetProvenHeads, _: &mut Context<Self>) -> BTreeMap<PeerId, BlockRef> {
        self.machine.proven_heads().collect()
    }
}

impl Handler<CanProduceBlocks> for SyncActor {
    async fn handle(&mut self, ask: CanProduceBlocks, ctx: &mut Context<Self>) -> GateReport {
        // Whoever asks at the start of a slot may be faster than our own timer, and the slot may be the first of another set.
        self.look_at_set(ctx);
        let last_signed = self.view.borrow().last_signed;
        let report = self.machine.may_produce(self.now(), ask.slot, last_signed);
        self.parts.metrics.gate(&report);
        report
    }
}
