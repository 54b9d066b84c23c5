//! What people and the chain ask of sync.

use std::collections::BTreeMap;

use alys_actor::{Context, Handler};
use alys_chain::{BlockRef, Height};
use alys_sync::{Event, Explain, GateReport, PartitionView, SyncStatus};

use alys_wire::PeerId;

use super::Seed;
use super::actor::SyncActor;
use super::ingress::{
    CanProduceBlocks, GetExplain, GetPartition, GetProvenHeads, GetSyncStatus, PauseSync, ResumeSync,
    StartMode, StartSync, StopSync,
};
use super::refusals::Refused;

const FETCHING: &str = "the state of a final block is being fetched";

impl SyncActor {
    /// Gives a command to the machine. What the machine takes is remembered for the next incarnation.
    fn command(&mut self, ctx: &mut Context<Self>, event: Event, then: Seed) -> Result<(), Refused> {
        if self.fetch.is_some() || self.fetch_begins {
            return Err(Refused::State(FETCHING));
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

/// Why an order cannot be followed in its mode.
const EXECUTES: &str =
    "this node executes blocks: a light one is set up with `--sync light` and a data directory of its own";
const HOLDS_HEADERS: &str = "this node is light: it holds headers only, and is set up anew to execute blocks";
const NOT_FRESH: &str = "only a fresh node can begin with a state: there are blocks here";
const BELOW_A_STATE: &str = "what lies below a fetched state is not looked at: name no height to stop at and no block to pass with it";

impl SyncActor {
    /// Whether this node can catch up in this way.
    fn check_mode(&self, order: &StartSync) -> Result<(), Refused> {
        let Some(mode) = order.mode else { return Ok(()) };
        let is_fresh = self.view.borrow().head.height == Height::ZERO;
        let is_bound = order.target_height.is_some() || order.checkpoint.is_some();
        let reason = match (mode, self.parts.config.light) {
            (StartMode::Light, false) => EXECUTES,
            (StartMode::Full | StartMode::Snapshot, true) => HOLDS_HEADERS,
            (StartMode::Snapshot, false) if !is_fresh => NOT_FRESH,
            (StartMode::Snapshot, false) if is_bound => BELOW_A_STATE,
            _ => return Ok(()),
        };
        Err(Refused::State(reason))
    }

    /// Whether this order begins with a state: as it says, or else as the node is set up.
    pub(super) fn begins_with_a_state(&self, order: &StartSync) -> bool {
        let is_fresh = self.view.borrow().head.height == Height::ZERO;
        let as_set_up = self.parts.config.from_state && !self.forgoes_state;
        let wants = order.mode.map_or(as_set_up, |mode| mode == StartMode::Snapshot);
        is_fresh && wants
    }

    /// Takes up an order that begins with a state. The machine gets it when the state is here.
    fn fetch_first(&mut self, ctx: &mut Context<Self>, order: StartSync) -> Result<(), Refused> {
        let is_fetching = self.fetch.is_some() || self.fetch_begins;
        if is_fetching || self.seed.order.is_some() {
            // The machine runs, and says so.
            return self.command(ctx, Event::Start(self.start_of(&order)), self.seed);
        }
        // Nobody offered one before; now it is asked for again.
        self.forgoes_state = false;
        self.seed = Seed { order: Some(order), paused: false };
        self.begin_with_a_state(ctx);
        ctx.checkpoint(self.seed);
        Ok(())
    }

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
        self.check_mode(&order)?;
        order.checkpoint.map_or(Ok(()), |block| self.check_checkpoint(block))?;
        if self.begins_with_a_state(&order) {
            return self.fetch_first(ctx, order);
        }
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
