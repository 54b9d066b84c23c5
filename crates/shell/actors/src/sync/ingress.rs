//! What can be said to sync: the messages, and the mailbox with its verbs.

use core::time::Duration;
use std::collections::BTreeMap;

use alys_actor::{Addr, AskError, Lane, Mailbox, MailboxConfig, Message, Overflow, SendError};
use alys_chain::{AuthorityIndex, BlockRef, CertifiedBlock, Height, Slot};
use alys_sync::{Explain, GateReport, Mode, PartitionView, SyncStatus, WaitingFor};
use alys_transport::DisconnectReason;
use alys_wire::PeerId;
use tokio::sync::{oneshot, watch};

use super::actor::SyncActor;
use super::desk::Recovered;
use super::refusals::{BatchImported, BatchRefused, CheckpointFailed, Refused};

/// The name of the actor in status, events and logs.
pub const NAME: &str = "sync";
/// How long a batch that is handed in may take: as long as an import may stall on a slow disk.
const BATCH_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a checkpoint may take to be written, or found and checked: the 30 s in which a node must have recovered.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(30);

/// How to catch up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartMode {
    /// Every block is fetched and executed.
    Full,
    /// The state of a final block is fetched, then the blocks above it. Only a fresh node can begin so.
    Snapshot,
    /// Headers and certificates are followed, nothing else. Only a node that was set up as a light one does.
    Light,
}

/// Begin to sync: from the durable head on, whatever that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartSync {
    /// Where the caller thinks that there is something to do. At or below the next height: the durable part is not fetched again.
    pub from_height: Option<Height>,
    /// Stop once this height is durable; `None` follows the network.
    pub target_height: Option<Height>,
    /// A block that is known from elsewhere to be on the chain: a chain that passes its height without it is not followed.
    pub checkpoint: Option<BlockRef>,
    /// How; `None` as the node is set up.
    pub mode: Option<StartMode>,
}

/// Stop, and give everything back.
#[derive(Clone, Copy, Debug)]
pub struct StopSync;

/// Ask for nothing and import nothing; keep what is there.
#[derive(Clone, Copy, Debug)]
pub struct PauseSync;

/// Go on.
#[derive(Clone, Copy, Debug)]
pub struct ResumeSync;

/// The state for people and programs.
#[derive(Clone, Copy, Debug)]
pub struct GetSyncStatus;

/// Why is the rate what it is?
#[derive(Clone, Copy, Debug)]
pub struct GetExplain;

/// Which side of a split is this node on?
#[derive(Clone, Copy, Debug)]
pub struct GetPartition;

/// The best block that each connected peer has proven, where it has proven any.
#[derive(Clone, Copy, Debug)]
pub struct GetProvenHeads;

/// May this node produce in this slot?
#[derive(Clone, Copy, Debug)]
pub struct CanProduceBlocks {
    /// The slot.
    pub slot: Slot,
}

/// Blocks that came by another way than sync's own requests.
#[derive(Debug)]
pub struct ProcessBlockBatch {
    /// Ascending, each the child of the one before, the first a child of a block that is here.
    pub blocks: Vec<CertifiedBlock>,
    /// Who sent them and answers for them; `None` for a file or ourselves.
    pub from_peer: Option<PeerId>,
    /// Told how it ended.
    pub(super) reply: oneshot::Sender<Result<BatchImported, BatchRefused>>,
}

/// Write a checkpoint of the last final block now.
#[derive(Debug)]
pub struct CreateCheckpoint {
    /// Told the height, or why there is none.
    pub(super) reply: oneshot::Sender<Result<Height, CheckpointFailed>>,
}

/// Find the newest checkpoint that fits the store, and begin anew from what is durable.
#[derive(Debug)]
pub struct RecoverFromCheckpoint {
    /// Told what was found, or why nothing was.
    pub(super) reply: oneshot::Sender<Result<Recovered, CheckpointFailed>>,
}

/// Somebody spoke of a peer's height: hearsay, which moves nothing. If the peer is connected its proof is asked for at once.
#[derive(Clone, Copy, Debug)]
pub struct PeerDiscovered {
    /// The peer.
    pub peer: PeerId,
    /// The height that it is said to have.
    pub reported_height: Option<Height>,
}

/// A connection to this peer is up, and it is of our network.
#[derive(Clone, Copy, Debug)]
pub struct PeerConnected {
    /// The peer.
    pub peer: PeerId,
}

/// The last connection to this peer is gone.
#[derive(Clone, Debug)]
pub struct PeerDisconnected {
    /// The peer.
    pub peer: PeerId,
    /// Why.
    pub reason: DisconnectReason,
}

/// The federation handshake proved which authority a peer is, or it no longer is one.
#[derive(Clone, Copy, Debug)]
pub struct AuthorityIdentified {
    /// The peer.
    pub peer: PeerId,
    /// Its place in the set of the present slot.
    pub authority: Option<AuthorityIndex>,
}

/// Something certified, or proposed, stands on a block that is not here.
#[derive(Clone, Copy, Debug)]
pub struct Behind {
    /// Who sent it, and is asked for its proof at once; where nobody is named, some peers are.
    pub source: Option<PeerId>,
    /// The slot of the block that is missing, or of the one that stands on it.
    pub slot: Slot,
}

/// How a message waits: its lane, and what happens when that is full.
macro_rules! message {
    ($message:ident, $reply:ty, $name:literal, $lane:ident, $overflow:ident) => {
        impl Message for $message {
            type Reply = $reply;
            const NAME: &'static str = $name;

            fn lane(&self) -> Lane {
                Lane::$lane
            }

            fn overflow(&self) -> Overflow {
                Overflow::$overflow
            }
        }
    };
}

message!(StartSync, Result<(), Refused>, "StartSync", Control, Wait);
message!(StopSync, Result<(), Refused>, "StopSync", Control, Wait);
message!(PauseSync, Result<(), Refused>, "PauseSync", Control, Wait);
message!(ResumeSync, Result<(), Refused>, "ResumeSync", Control, Wait);
message!(GetSyncStatus, SyncStatus, "GetSyncStatus", Control, Wait);
message!(GetExplain, Explain, "GetExplain", Control, Wait);
message!(GetPartition, PartitionView, "GetPartition", Control, Wait);
message!(GetProvenHeads, BTreeMap<PeerId, BlockRef>, "GetProvenHeads", Control, Wait);
message!(CanProduceBlocks, GateReport, "CanProduceBlocks", High, Wait);
message!(CreateCheckpoint, (), "CreateCheckpoint", Normal, Wait);
message!(RecoverFromCheckpoint, (), "RecoverFromCheckpoint", Normal, Wait);
// Of connections none may be lost: the sender is refused when the lane is full, and tells it again.
message!(PeerConnected, (), "PeerConnected", High, Wait);
message!(PeerDisconnected, (), "PeerDisconnected", High, Wait);
message!(AuthorityIdentified, (), "AuthorityIdentified", High, Wait);
// Of hints the newest are enough.
message!(PeerDiscovered, (), "PeerDiscovered", High, DropOldest);
message!(Behind, (), "Behind", High, DropOldest);

impl Message for ProcessBlockBatch {
    type Reply = ();
    const NAME: &'static str = "ProcessBlockBatch";

    fn size(&self) -> usize {
        let bodies: usize = self.blocks.iter().map(|block| block.block.body.0.len()).sum();
        bodies.saturating_add(self.blocks.len() * size_of::<CertifiedBlock>())
    }
}

/// The way to sync. Cheap to clone; exists before the actor and outlives its incarnations.
#[derive(Clone, Debug)]
pub struct SyncMailbox {
    addr: Addr<SyncActor>,
    status: watch::Receiver<SyncStatus>,
}

/// The actor's end of the mailbox.
pub struct Inbox {
    pub(super) mailbox: Mailbox<SyncActor>,
    pub(super) status: watch::Sender<SyncStatus>,
}

/// A mailbox for sync, before there is an actor to read it.
#[must_use]
pub fn mailbox(config: MailboxConfig) -> (SyncMailbox, Inbox) {
    let mailbox = Mailbox::new(NAME, config);
    let (sender, status) = watch::channel(nothing_yet());
    (SyncMailbox { addr: mailbox.addr(), status }, Inbox { mailbox, status: sender })
}

/// The status before the first incarnation.
const fn nothing_yet() -> SyncStatus {
    SyncStatus {
        mode: Mode::Idle,
        paused: false,
        height: Height::ZERO,
        target: None,
        blocks_per_second: 0,
        eta: None,
        peers: 0,
        leases: 0,
        budget_used: 0,
        budget_headers: 0,
        budget_total: 0,
        waiting_for: WaitingFor::Start,
        suspects_ourselves: false,
    }
}

impl SyncMailbox {
    /// Begins to sync from the durable head.
    ///
    /// # Errors
    /// When it runs already, or makes no sense.
    pub async fn start_sync(&self, start: StartSync) -> Result<(), Refused> {
        self.addr.ask(start).await?
    }

    /// Stops, and gives everything back.
    ///
    /// # Errors
    /// When it is not started.
    pub async fn stop_sync(&self) -> Result<(), Refused> {
        self.addr.ask(StopSync).await?
    }

    /// Asks for nothing and imports nothing until it is resumed.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn pause_sync(&self) -> Result<(), Refused> {
        self.addr.ask(PauseSync).await?
    }

    /// Goes on.
    ///
    /// # Errors
    /// When it is not paused.
    pub async fn resume_sync(&self) -> Result<(), Refused> {
        self.addr.ask(ResumeSync).await?
    }

    /// The state now.
    ///
    /// # Errors
    /// When the actor does not answer; [`SyncMailbox::watch`] still shows the last state.
    pub async fn get_status(&self) -> Result<SyncStatus, AskError> {
        self.addr.ask(GetSyncStatus).await
    }

    /// Why the rate is what it is: the limit, who holds the head, who was blamed for what.
    ///
    /// # Errors
    /// When the actor does not answer.
    pub async fn get_explain(&self) -> Result<Explain, AskError> {
        self.addr.ask(GetExplain).await
    }

    /// Which side of a split this node is on, and how the proven heads split.
    ///
    /// # Errors
    /// When the actor does not answer.
    pub async fn get_partition(&self) -> Result<PartitionView, AskError> {
        self.addr.ask(GetPartition).await
    }

    /// The best block that each connected peer has proven, where it has proven any: not what it says, but what it showed certified.
    ///
    /// # Errors
    /// When the actor does not answer.
    pub async fn get_proven_heads(&self) -> Result<BTreeMap<PeerId, BlockRef>, AskError> {
        self.addr.ask(GetProvenHeads).await
    }

    /// May this node produce in this slot? With every condition and its value.
    ///
    /// # Errors
    /// When the actor does not answer: then the answer is no.
    pub async fn can_produce(&self, slot: Slot) -> Result<GateReport, AskError> {
        self.addr.ask(CanProduceBlocks { slot }).await
    }

    /// Checks and imports blocks that came by another way.
    ///
    /// # Errors
    /// [`BatchRefused`] says whose fault it is.
    pub async fn process_block_batch(
        &self,
        blocks: Vec<CertifiedBlock>,
        from_peer: Option<PeerId>,
    ) -> Result<BatchImported, BatchRefused> {
        let (reply, answer) = oneshot::channel();
        let message = ProcessBlockBatch { blocks, from_peer, reply };
        self.addr.tell(message).await.map_err(AskError::from)?;
        answered(answer, BATCH_TIMEOUT).await?
    }

    /// Writes a checkpoint of the last final block, and returns its height.
    ///
    /// # Errors
    /// [`CheckpointFailed`].
    pub async fn create_checkpoint(&self) -> Result<Height, CheckpointFailed> {
        let (reply, answer) = oneshot::channel();
        self.addr.tell(CreateCheckpoint { reply }).await.map_err(AskError::from)?;
        answered(answer, CHECKPOINT_TIMEOUT).await?
    }

    /// Finds the newest checkpoint that fits the store, and lets sync begin anew from what is durable.
    ///
    /// # Errors
    /// [`CheckpointFailed`]; sync goes on as it was.
    pub async fn recover_from_checkpoint(&self) -> Result<Recovered, CheckpointFailed> {
        let (reply, answer) = oneshot::channel();
        self.addr.tell(RecoverFromCheckpoint { reply }).await.map_err(AskError::from)?;
        answered(answer, CHECKPOINT_TIMEOUT).await?
    }

    /// Somebody spoke of this peer's height. Never waits; a lost hint costs a second.
    pub fn peer_discovered(&self, peer: PeerId, reported_height: Option<Height>) {
        // Hearsay: the next poll finds the same.
        self.addr.try_tell(PeerDiscovered { peer, reported_height }).ok();
    }

    /// A peer of our network is connected. Never waits.
    ///
    /// # Errors
    /// When the lane is full, which takes a thousand of these.
    pub fn peer_connected(&self, peer: PeerId) -> Result<(), SendError> {
        self.addr.try_tell(PeerConnected { peer })
    }

    /// A peer is gone. Never waits.
    ///
    /// # Errors
    /// As [`SyncMailbox::peer_connected`].
    pub fn peer_disconnected(&self, peer: PeerId, reason: DisconnectReason) -> Result<(), SendError> {
        self.addr.try_tell(PeerDisconnected { peer, reason })
    }

    /// A peer proved which authority of the present set it is; `None` takes it back. Never waits.
    ///
    /// # Errors
    /// As [`SyncMailbox::peer_connected`].
    pub fn authority_identified(
        &self,
        peer: PeerId,
        authority: Option<AuthorityIndex>,
    ) -> Result<(), SendError> {
        self.addr.try_tell(AuthorityIdentified { peer, authority })
    }

    /// Something of this slot came, from `source` if that is known, that stands on a block which is not here. Never waits; a lost hint costs a
    /// second.
    pub fn behind(&self, source: Option<PeerId>, slot: Slot) {
        // The peers are polled as well.
        self.addr.try_tell(Behind { source, slot }).ok();
    }

    /// The state, whenever it changes. Shows the last one while the actor restarts.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<SyncStatus> {
        self.status.clone()
    }
}

/// An answer that comes behind the message's own: the work is done beside the actor.
async fn answered<T>(answer: oneshot::Receiver<T>, limit: Duration) -> Result<T, AskError> {
    let reply = tokio::time::timeout(limit, answer).await.map_err(|_| AskError::Timeout)?;
    // Dropped unsent where the incarnation ended before the work did.
    reply.map_err(|_| AskError::Crashed)
}
