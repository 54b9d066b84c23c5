//! Sync as an actor: what [`SyncMachine`](alys_sync::SyncMachine) decides, it does.
//!
//! - **Owns**: the machine, the requests in flight, the bodies that are held until the machine releases them, the headers that were verified.
//!   All of it is rebuilt after a crash: what was reached is what is durable (I1).
//! - **In**: commands; connections and proven authorities from the network; the chain's view and events; answers of peers, which tasks of the
//!   incarnation read straight from the transport; verdicts of the CPU pool; the clock.
//! - **Out**: requests to peers, verified blocks to the chain, observations to the peer book, [`SyncStatus`](alys_sync::SyncStatus), the
//!   [`GateReport`](alys_sync::GateReport), checkpoints.
//! - **On failure**: a peer's provable fault goes to the peer book and another peer is asked; a worker's panic costs its batch the time; a failed
//!   import is tried again by the machine. After a crash the next incarnation repeats the last command from the durable tip.

mod actor;
mod alarm;
mod batch;
mod bodies;
mod checkpoints;
mod commands;
mod desk;
mod dump;
mod headers;
mod import;
mod ingress;
mod leases;
mod metrics;
mod news;
mod peers;
mod ports;
mod ranges;
mod refusals;
mod reports;
mod snapshot;
mod verify;

use core::num::{NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::sync::Arc;

use alys_actor::{ChildSpec, Clock, Pool, Randomness};
use alys_chain::{PublicKey, Rules, checkpoint};
use alys_ledger::ChainId;
use alys_storage::{Checkpoints, Store};

pub use actor::SyncActor;
pub use desk::{CheckpointDesk, Examined, Recovered};
pub use ingress::{
    AuthorityIdentified, Behind, CanProduceBlocks, CreateCheckpoint, GetExplain, GetPartition,
    GetProvenHeads, GetSyncStatus, Inbox, PauseSync, PeerConnected, PeerDisconnected, PeerDiscovered,
    ProcessBlockBatch, RecoverFromCheckpoint, ResumeSync, StartMode, StartSync, StopSync, SyncMailbox,
    mailbox,
};
pub use metrics::SyncMetrics;
pub use ports::{ChainPort, NetworkPort, PeerPort};
pub use refusals::{BatchImported, BatchRefused, CheckpointFailed, Refused};

use crate::network::Requests;

/// What the operator may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What the machine may hold.
    pub machine: alys_sync::Config,
    /// Into how many parts a batch is cut for the CPU pool: its threads. More only make the batches smaller, which costs certificates their
    /// common sum.
    pub workers: NonZeroUsize,
    /// Final blocks between checkpoints.
    pub checkpoint_interval: NonZeroU64,
    /// Checkpoints kept.
    pub checkpoints_kept: usize,
    /// Begin without being told.
    pub auto_start: bool,
    /// A fresh node begins with the state of a final block, instead of executing all blocks up to it.
    pub from_state: bool,
    /// Follow headers and certificates only: no body is asked for, none is checked.
    pub light: bool,
    /// Fetch the blocks below such a state afterwards.
    pub backfill: bool,
}

impl Default for Config {
    /// Four workers: the smallest machine that the figures are promised for.
    fn default() -> Self {
        Self {
            machine: alys_sync::Config::default(),
            workers: const { NonZeroUsize::new(4).expect("4 is not zero") },
            checkpoint_interval: checkpoint::INTERVAL,
            checkpoints_kept: checkpoint::KEPT,
            auto_start: true,
            from_state: false,
            light: false,
            backfill: true,
        }
    }
}

/// Everything that differs between a node, a simulated node and a test. All incarnations share it.
#[derive(Clone)]
pub struct Parts {
    /// What may be set.
    pub config: Config,
    /// The network's rules.
    pub rules: Arc<Rules>,
    /// The chain id of its transactions.
    pub chain_id: ChainId,
    /// The database, for reading.
    pub store: Arc<dyn Store>,
    /// The chain.
    pub chain: Arc<dyn ChainPort>,
    /// The peer book.
    pub peers: Arc<dyn PeerPort>,
    /// The network, to be introduced to its peers.
    pub network: Arc<dyn NetworkPort>,
    /// How peers are asked.
    pub requests: Requests,
    /// Tells the time.
    pub clock: Clock,
    /// Where signatures and bodies are checked.
    pub pool: Pool,
    /// Weights of batches, nonces of reports.
    pub randomness: Randomness,
    /// Our authority key, if we have one.
    pub authority: Option<PublicKey>,
    /// Where checkpoints are kept; `None` keeps none.
    pub checkpoints: Option<Arc<Checkpoints>>,
    /// Where the flight recorder goes when an incarnation crashes; `None` keeps it to itself.
    pub flight_recorder: Option<Arc<Path>>,
    /// What is counted.
    pub metrics: SyncMetrics,
}

/// What the next incarnation goes on with: the last command. Everything else is on disk or is asked for again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seed {
    order: Option<StartSync>,
    paused: bool,
}

impl Inbox {
    /// The supervisor's child that serves this mailbox.
    #[must_use]
    pub fn child(self, parts: Parts) -> ChildSpec {
        let order = parts.config.auto_start.then(StartSync::default);
        let status = Arc::new(self.status);
        ChildSpec::new(self.mailbox, Seed { order, paused: false }, move |seed| {
            SyncActor::new(parts.clone(), seed, status.clone())
        })
    }
}

#[cfg(test)]
mod tests;
