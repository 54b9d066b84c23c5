//! Checkpoints: written as finality passes a multiple of the interval, found again after a start.
//!
//! - **Owns**: which one was written last, and whether one is being written or read. The disk is touched in the pool, never in a handler.
//! - **In**: the final height, commands. **Out**: files; what was found.
//! - **On failure**: it is logged, and the next one is tried when it is due. A damaged, foreign or premature one is passed over with its reason. The
//!   store is the truth, whatever a checkpoint says.

use core::num::NonZeroU64;
use std::sync::Arc;

use alys_actor::{Context, Handler, Message, Pool, Priority};
use alys_chain::checkpoint::{Checkpoint, Federation, StoreFacts};
use alys_chain::verify::Parent;
use alys_chain::{BlockId, Height, Rules};
use alys_storage::{Checkpoints, Store, StoredHeader};
use alys_sync::{Event, SyncMachine};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::Parts;
use super::actor::SyncActor;
use super::ingress::{CreateCheckpoint, RecoverFromCheckpoint};
use super::refusals::CheckpointFailed;

/// A checkpoint that fits the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Its height.
    pub height: Height,
    /// Its block.
    pub block: BlockId,
    /// What this node thought of its peers then, in the encoding of the peer book.
    pub peers: Bytes,
    /// The newer ones that were passed over, each with the reason.
    pub passed_over: Vec<(Height, String)>,
}

/// When checkpoints are written.
pub(super) struct Keeper {
    interval: NonZeroU64,
    /// The height of the last one.
    last: Height,
    busy: bool,
    desk: Option<Desk>,
}

/// What reading and writing them needs. Cheap to clone.
#[derive(Clone)]
struct Desk {
    files: Arc<Checkpoints>,
    store: Arc<dyn Store>,
    rules: Arc<Rules>,
    pool: Pool,
    kept: usize,
}

impl Keeper {
    pub fn new(parts: &Parts) -> Self {
        let desk = parts.checkpoints.as_ref().map(|files| Desk {
            files: files.clone(),
            store: parts.store.clone(),
            rules: parts.rules.clone(),
            pool: parts.pool.clone(),
            kept: parts.config.checkpoints_kept,
        });
        Self { interval: parts.config.checkpoint_interval, last: Height::ZERO, busy: false, desk }
    }

    /// The height of the newest checkpoint that is due, if it is not written.
    fn due(&self, finalized: Height) -> Option<Height> {
        let newest = Height(finalized.get() - finalized.get() % self.interval);
        (newest > self.last).then_some(newest)
    }

    /// The way to the files, if nobody is at it.
    fn take(&mut self) -> Result<Desk, CheckpointFailed> {
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
        desk: Desk,
        height: Height,
        reply: Reply<Height>,
    ) {
        let peers = self.parts.peers.states();
        ctx.spawn(async move {
            let pool = desk.pool.clone();
            let written = pool.run(Priority::Normal, move || desk.write(height, peers)).await;
            let result = written.unwrap_or_else(|panic| Err(CheckpointFailed::Ours(panic.to_string())));
            Written { result, reply }
        });
    }

    /// Looks for the newest one that fits, at the start.
    pub(super) fn look_for_checkpoint(&mut self, ctx: &mut Context<Self>) {
        if let Ok(desk) = self.keeper.take() {
            find_checkpoint(ctx, desk, None);
        }
    }

    /// Begins anew from what is durable, with the same order and the same peers.
    fn begin_anew(&mut self, ctx: &mut Context<Self>) {
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

fn find_checkpoint(ctx: &mut Context<SyncActor>, desk: Desk, reply: Reply<Recovered>) {
    ctx.spawn(async move {
        let pool = desk.pool.clone();
        let found = pool.run(Priority::Normal, move || desk.find()).await;
        let result = found.unwrap_or_else(|panic| Err(CheckpointFailed::Ours(panic.to_string())));
        Found { result, reply }
    });
}

impl Desk {
    fn write(&self, height: Height, peers: Bytes) -> Result<Height, CheckpointFailed> {
        let stored = self
            .canonical(height)?
            .ok_or_else(|| CheckpointFailed::Ours(format!("the store has no block at height {height}")))?;
        let checkpoint = Checkpoint {
            genesis: self.rules.genesis_id(),
            height,
            slot: stored.header.slot,
            block: stored.id,
            state_root: stored.header.state_root,
            certificate: stored.certificate,
            federation: self.federation(&stored),
            peers,
        };
        let bytes = checkpoint.encode().map_err(ours)?;
        self.files.save(height, &bytes, self.kept).map_err(ours)?;
        Ok(height)
    }

    fn federation(&self, stored: &StoredHeader) -> Federation {
        let at = Parent { header: stored.header, lineage: stored.lineage };
        let set = self.rules.schedule().set_at(stored.header.slot).id();
        Federation { set, lineage: at.child(stored.header).lineage }
    }

    fn canonical(&self, height: Height) -> Result<Option<StoredHeader>, CheckpointFailed> {
        match self.store.canonical(height).map_err(ours)? {
            Some(id) => self.store.header(id).map_err(ours),
            None => Ok(None),
        }
    }

    fn find(&self) -> Result<Recovered, CheckpointFailed> {
        let mut passed_over = Vec::new();
        for height in self.files.heights().map_err(ours)? {
            match self.load(height)? {
                Ok(checkpoint) => {
                    let Checkpoint { height, block, peers, .. } = checkpoint;
                    return Ok(Recovered { height, block, peers, passed_over });
                }
                Err(why) => passed_over.push((height, why)),
            }
        }
        let reasons: Vec<String> =
            passed_over.iter().map(|(height, why)| format!("{height}: {why}")).collect();
        let reasons = if reasons.is_empty() { "there is none".to_owned() } else { reasons.join("; ") };
        Err(CheckpointFailed::None(reasons))
    }

    /// The checkpoint of a height, or why it is passed over.
    fn load(&self, height: Height) -> Result<Result<Checkpoint, String>, CheckpointFailed> {
        let loaded = self.files.load(height).map_err(|error| error.to_string());
        let decoded = loaded.and_then(|bytes| Checkpoint::decode(&bytes).map_err(|error| error.to_string()));
        let checkpoint = match decoded {
            Ok(checkpoint) => checkpoint,
            Err(why) => return Ok(Err(why)),
        };
        let stored = self.canonical(checkpoint.height)?;
        let facts = StoreFacts {
            genesis: self.rules.genesis_id(),
            tip: self.store.head().map_err(ours)?.height,
            at_height: stored.map(|stored| (stored.id, stored.header.state_root)),
        };
        let fits = checkpoint.agrees_with(&facts).map_err(|error| error.to_string());
        let proven = fits.and_then(|()| self.prove(&checkpoint, stored));
        Ok(proven.map(|()| checkpoint))
    }

    /// Whether the quorum that was due has signed it.
    fn prove(&self, checkpoint: &Checkpoint, stored: Option<StoredHeader>) -> Result<(), String> {
        // Genesis has no certificate, and needs none.
        let Some((certificate, stored)) = checkpoint.certificate.as_ref().zip(stored) else { return Ok(()) };
        let required = stored.lineage.required(self.rules.schedule(), stored.header.slot);
        certificate.verify(&self.rules, required).map_err(|error| error.to_string())
    }
}

fn ours(error: impl ToString) -> CheckpointFailed {
    CheckpointFailed::Ours(error.to_string())
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
        match self.keeper.take() {
            Ok(desk) => find_checkpoint(ctx, desk, Some(message.reply)),
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
                if message.reply.is_some() {
                    self.begin_anew(ctx);
                }
            }
            Err(why) => tracing::info!(%why, "no checkpoint to go by"),
        }
        message.reply.map(|reply| reply.send(message.result).ok());
    }
}
