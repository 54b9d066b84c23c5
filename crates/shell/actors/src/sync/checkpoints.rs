//! Checkpoints: written as finality passes a multiple of the interval, found again after a start.
//!
//! - **Owns**: which one was written last, and whether one is being written or read. The disk is touched in the pool, never in a handler.
//! - **In**: the final height, commands. **Out**: files; what was found.
//! - **On failure**: it is logged, and the next one is tried when it is due. A damaged, foreign or premature one is passed over with its reason. The
//!   store is the truth, whatever a checkpoint says.

use core::num::NonZeroU64;

use alys_actor::{Context, Handler, Message, Priority};
use alys_chain::Height;
use alys_sync::{Event, SyncMachine};
use tokio::sync::oneshot;

use super::Parts;
use super::actor::SyncActor;
use super::desk::{CheckpointDesk, Recovered};
use super::ingress::{CreateCheckpoint, RecoverFromCheckpoint};
use super::refusals::CheckpointFailed;

/// When checkpoints are written.
pub(super) struct Keeper {
    interval: NonZeroU64,
    /// The height of the last one.
    last: Height,
    busy: bool,
    desk: Option<CheckpointDesk>,
}

impl Keeper {
    pub fn new(parts: &Parts) -> Self {
        let desk = parts.checkpoints.as_ref().map(|files| {
            let (store, rules) = (parts.store.clone(), parts.rules.clone());
            CheckpointDesk::new(files.clone(), store, rules, parts.config.checkpoints_kept)
        });
        Self { interval: parts.config.checkpoint_interval, last: Height::ZERO, busy: false, desk }
    }

    /// The height of the newest checkpoint that is due, if it is not written.
    fn due(&self, finalized: Height) -> Option<Height> {
        let newest = Height(finalized.get() - finalized.get() % self.interval);
        (newest > self.last).then_some(newest)
    }

    /// The way to the files, if nobody is at it.
    fn take(&mut self) -> Result<CheckpointDesk, CheckpointFailed> {
        let desk = self.desk.clone().ok_or(CheckpointFailed::Disabled)?;
        if std::mem::replace(&mut self.busy, true) { Err(CheckpointFailed::Busy) } else { Ok(desk) }
    }
}

type Reply<T> = Option<oneshot::Sender<Result<T, CheckpointFailed>>>;

/// A checkpoint was written, or could not be.
#[derive(Debug)]
pub(super) struct Written {
    result: Result<Height, CheckpointFailed>,
    reply: Reply<Height>,
}

/// The checkpoints were looked through.
#[derive(Debug)]
pub(super) struct Found {
    result: Result<Recovered, CheckpointFailed>,
    reply: Reply<Recovered>,
}

impl Message for Written {
    type Reply = ();
    const NAME: &'static str = "CheckpointWritten";
}

impl Message for Found {
    type Reply = ();
    const NAME: &'static str = "CheckpointFound";
}

impl SyncActor {
    /// Writes the newest checkpoint that is due. While blocks come faster than files are written the ones between are left out.
    pub(super) fn checkpoint_if_due(&mut self, ctx: &mut Context<Self>, finalized: Height) {
        if let Some(height) = self.keeper.due(finalized)
            && let Ok(desk) = self.keeper.take()
        {
            self.write_checkpoint(ctx, desk, height, None);
        }
    }

    fn write_checkpoint(
        &mut self,
        ctx: &mut Context<Self>,
        desk: CheckpointDesk,
        height: Height,
        reply: Reply<Height>,
    ) {
        let (peers, pool) = (self.parts.peers.states(), self.parts.pool.clone());
        ctx.spawn(async move {
            let peers = peers.await;
            let written = pool.run(Priority::Normal, move || desk.write(height, peers)).await;
            let result = written.unwrap_or_else(|panic| Err(CheckpointFailed::Ours(panic.to_string())));
            Written { result, reply }
        });
    }

    /// Looks for the newest one that fits, at the start.
    pub(super) fn look_for_checkpoint(&mut self, ctx: &mut Context<Self>) {
        if let Ok(desk) = self.keeper.take() {
            self.find_checkpoint(ctx, desk, None);
        }
    }

    fn find_checkpoint(&self, ctx: &mut Context<Self>, desk: CheckpointDesk, reply: Reply<Recovered>) {
        let pool = self.parts.pool.clone();
        ctx.spawn(async move {
            let found = pool.run(Priority::Normal, move || desk.find()).await;
            let result = found.unwrap_or_else(|panic| Err(CheckpointFailed::Ours(panic.to_string())));
            Found { result, reply }
        });
    }

    /// Begins anew from what is durable, with the same order and the same peers.
    pub(super) fn begin_anew(&mut self, ctx: &mut Context<Self>) {
        self.leases.values().for_each(alys_actor::TaskHandle::cancel);
        self.leases.clear();
        let tip = self.view.borrow().tip();
        self.machine = SyncMachine::new(self.parts.config.machine, tip);
        self.held = super::bodies::Held::default();
        self.ranges = super::ranges::Ranges::default();
        self.forget_set();
        self.tick(ctx);
        self.take_up_order(ctx);
        for (peer, authority) in self.peers.clone() {
            self.step(ctx, Event::PeerConnected { peer });
            self.step(ctx, Event::PeerIdentified { peer, authority });
        }
    }
}

impl Handler<CreateCheckpoint> for SyncActor {
    async fn handle(&mut self, message: CreateCheckpoint, ctx: &mut Context<Self>) {
        let height = self.view.borrow().finalized.height;
        match self.keeper.take() {
            Ok(desk) => self.write_checkpoint(ctx, desk, height, Some(message.reply)),
            // Whoever asked may be gone already.
            Err(why) => drop(message.reply.send(Err(why))),
        }
    }
}

impl Handler<RecoverFromCheckpoint> for SyncActor {
    async fn handle(&mut self, message: RecoverFromCheckpoint, ctx: &mut Context<Self>) {
        let status = self.machine.status(self.now());
        if status.mode.is_working() && !status.paused {
            message.reply.send(Err(CheckpointFailed::Syncing)).ok();
            return;
        }
        match self.keeper.take() {
            Ok(desk) => self.find_checkpoint(ctx, desk, Some(message.reply)),
            Err(why) => drop(message.reply.send(Err(why))),
        }
    }
}

impl Handler<Written> for SyncActor {
    async fn handle(&mut self, message: Written, _: &mut Context<Self>) {
        self.keeper.busy = false;
        match &message.result {
            Ok(height) => {
                self.keeper.last = self.keeper.last.max(*height);
                self.parts.metrics.checkpoint(true);
                tracing::debug!(%height, "checkpoint written");
            }
            Err(why) => {
                self.parts.metrics.checkpoint(false);
                tracing::warn!(%why, "no checkpoint written");
            }
        }
        message.reply.map(|reply| reply.send(message.result).ok());
    }
}

impl Handler<Found> for SyncActor {
    async fn handle(&mut self, message: Found, ctx: &mut Context<Self>) {
        self.keeper.busy = false;
        match &message.result {
            Ok(found) => {
                for (height, why) in &found.passed_over {
                    tracing::warn!(%height, %why, "checkpoint passed over");
                }
                self.keeper.last = self.keeper.last.max(found.height);
                tracing::info!(height = %found.height, block = %found.block, "checkpoint found");
                self.parts.peers.recall(found.peers.clone());
                if message.reply.is_some() {
                    self.begin_anew(ctx);
                }
            }
            Err(why) => tracing::info!(%why, "no checkpoint to go by"),
        }
        message.reply.map(|reply| reply.send(message.result).ok());
    }
}
