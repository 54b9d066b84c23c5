//! The methods. Quantities and bytes of the `eth_` methods are Ethereum's hex strings (`0x1`, `0xab..`), heights and slots of ours are numbers.

use jsonrpsee::core::RpcResult;
use jsonrpsee::proc_macros::rpc;

use crate::status::{CheckpointInfo, ExplainInfo, HeaderInfo, NodeStatus, PeerInfo, ProduceInfo, SyncDetail};

/// Our own methods.
#[rpc(server, client, namespace = "alys")]
pub trait AlysApi {
    /// The node at this moment.
    #[method(name = "status")]
    async fn status(&self) -> RpcResult<NodeStatus>;

    /// The connected peers.
    #[method(name = "peers")]
    async fn peers(&self) -> RpcResult<Vec<PeerInfo>>;

    /// The production gate, condition by condition.
    #[method(name = "canProduce")]
    async fn can_produce(&self) -> RpcResult<ProduceInfo>;

    /// Sync in depth: progress, gate, partition.
    #[method(name = "syncStatus")]
    async fn sync_status(&self) -> RpcResult<SyncDetail>;

    /// Why the rate of sync is what it is.
    #[method(name = "syncExplain")]
    async fn sync_explain(&self) -> RpcResult<ExplainInfo>;

    /// Pauses sync. As all orders: only where the server listens on loopback.
    #[method(name = "syncPause")]
    async fn sync_pause(&self) -> RpcResult<()>;

    /// Resumes sync.
    #[method(name = "syncResume")]
    async fn sync_resume(&self) -> RpcResult<()>;

    /// Lets sync stop by itself at a height; null follows the network.
    #[method(name = "syncTarget")]
    async fn sync_target(&self, height: Option<u64>) -> RpcResult<()>;

    /// The checkpoint files, the newest first, each held against the store.
    #[method(name = "checkpoints")]
    async fn checkpoints(&self) -> RpcResult<Vec<CheckpointInfo>>;

    /// Writes a checkpoint of the last final block; its height. An order.
    #[method(name = "createCheckpoint")]
    async fn create_checkpoint(&self) -> RpcResult<u64>;

    /// The block of the canonical chain at a height; null if there is none.
    #[method(name = "header")]
    async fn header(&self, height: u64) -> RpcResult<Option<HeaderInfo>>;
}

/// The methods that Ethereum's tools know (Ethereum JSON-RPC specification). The block argument is accepted and must be `latest` or absent: the
/// state of other blocks is not kept.
#[rpc(server, client, namespace = "eth")]
pub trait EthApi {
    /// The chain id of transactions.
    #[method(name = "chainId")]
    async fn chain_id(&self) -> RpcResult<String>;

    /// The height of the head.
    #[method(name = "blockNumber")]
    async fn block_number(&self) -> RpcResult<String>;

    /// The balance of an address in wei.
    #[method(name = "getBalance")]
    async fn balance(&self, address: String, block: Option<String>) -> RpcResult<String>;

    /// How many transactions an address has sent.
    #[method(name = "getTransactionCount")]
    async fn transaction_count(&self, address: String, block: Option<String>) -> RpcResult<String>;

    /// Takes a signed transaction; its hash.
    #[method(name = "sendRawTransaction")]
    async fn send_raw_transaction(&self, raw: String) -> RpcResult<String>;
}
