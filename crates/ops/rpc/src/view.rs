//! What the server asks of a node. The wiring implements it over the actors' mailboxes.

use async_trait::async_trait;
use thiserror::Error;

use crate::status::{CheckpointInfo, ExplainInfo, HeaderInfo, NodeStatus, PeerInfo, ProduceInfo, SyncDetail};

/// Why a node does not answer, or does not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It cannot answer now: an actor is restarting or overloaded. Ask again.
    #[error("not available now: {0}")]
    Unavailable(String),
    /// An order that makes no sense now, or is not taken from here.
    #[error("{0}")]
    Order(String),
    /// A transaction that it does not take, and why.
    #[error("transaction refused: {0}")]
    Transaction(String),
}

/// The reading side of a node, its one door for transactions, and the orders of its operator.
#[async_trait]
pub trait NodeView: Send + Sync + 'static {
    /// The node at this moment.
    async fn status(&self) -> Result<NodeStatus, Refusal>;

    /// The connected peers.
    async fn peers(&self) -> Result<Vec<PeerInfo>, Refusal>;

    /// The production gate for the present slot.
    async fn can_produce(&self) -> Result<ProduceInfo, Refusal>;

    /// Sync in depth.
    async fn sync_status(&self) -> Result<SyncDetail, Refusal>;

    /// Why the rate of sync is what it is.
    async fn sync_explain(&self) -> Result<ExplainInfo, Refusal>;

    /// Pauses sync.
    async fn sync_pause(&self) -> Result<(), Refusal>;

    /// Resumes sync.
    async fn sync_resume(&self) -> Result<(), Refusal>;

    /// Lets sync stop by itself at this height; without one it follows the network.
    async fn sync_target(&self, height: Option<u64>) -> Result<(), Refusal>;

    /// The checkpoint files, the newest first.
    async fn checkpoints(&self) -> Result<Vec<CheckpointInfo>, Refusal>;

    /// Writes a checkpoint of the last final block; its height.
    async fn create_checkpoint(&self) -> Result<u64, Refusal>;

    /// The block of the canonical chain at a height.
    async fn header(&self, height: u64) -> Result<Option<HeaderInfo>, Refusal>;

    /// The chain id of transactions.
    fn chain_id(&self) -> u64;

    /// The balance of an address at the head, big-endian.
    async fn balance(&self, address: [u8; 20]) -> Result<[u8; 32], Refusal>;

    /// The nonce of an address at the head, counting its transactions that wait.
    async fn transaction_count(&self, address: [u8; 20]) -> Result<u64, Refusal>;

    /// Takes a signed transaction into the pool and spreads it; its hash.
    async fn submit(&self, raw: Vec<u8>) -> Result<[u8; 32], Refusal>;
}
