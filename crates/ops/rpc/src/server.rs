//! The server: bounded, and only a translation between JSON and a [`NodeView`].

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use jsonrpsee::RpcModule;
use jsonrpsee::core::RpcResult;
use jsonrpsee::server::{BatchRequestConfig, ServerBuilder, ServerConfig, ServerHandle};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::types::error::INVALID_PARAMS_CODE;
use thiserror::Error;

use crate::api::{AlysApiServer, EthApiServer};
use crate::status::{CheckpointInfo, ExplainInfo, HeaderInfo, NodeStatus, PeerInfo, ProduceInfo, SyncDetail};
use crate::view::{NodeView, Refusal};

/// A transaction of 128 KiB is 256 KiB in hex; what comes around it is small.
const MAX_REQUEST_BYTES: u32 = 512 * 1024;
/// A thousand peers at 1 KiB each.
const MAX_RESPONSE_BYTES: u32 = 2 * 1024 * 1024;
/// People, dashboards and a few programs. More would take descriptors from the network.
const MAX_CONNECTIONS: u32 = 128;
/// As many calls as a page of a dashboard makes at once.
const MAX_BATCH: u32 = 32;
/// The code of a node that cannot answer now (Ethereum's "resource unavailable", EIP-1474).
const UNAVAILABLE_CODE: i32 = -32002;
/// The code of an order that is not taken (the first of those that JSON-RPC leaves to servers).
const REFUSED_CODE: i32 = -32000;
/// The code of a refused transaction (EIP-1474, "transaction rejected").
const REJECTED_CODE: i32 = -32003;

/// Why the server did not start.
#[derive(Debug, Error)]
#[error("cannot listen on {address} for RPC: {source}; choose another address with --rpc")]
pub struct ServerError {
    /// The address of the setting.
    pub address: SocketAddr,
    /// What the system said.
    pub source: std::io::Error,
}

/// A running server; it stops when this is dropped.
pub struct Server {
    address: SocketAddr,
    handle: ServerHandle,
}

impl Server {
    /// Starts to serve.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn start(address: SocketAddr, node: Arc<dyn NodeView>) -> Result<Self, ServerError> {
        let config = ServerConfig::builder()
            .max_request_body_size(MAX_REQUEST_BYTES)
            .max_response_body_size(MAX_RESPONSE_BYTES)
            .max_connections(MAX_CONNECTIONS)
            .set_batch_request_config(BatchRequestConfig::Limit(MAX_BATCH))
            .build();
        let failed = |source| ServerError { address, source };
        let server = ServerBuilder::with_config(config).build(address).await.map_err(failed)?;
        let bound = server.local_addr().map_err(failed)?;
        Ok(Self { address: bound, handle: server.start(methods(node, bound.ip().is_loopback())) })
    }

    /// Where it listens; the port is the real one even where 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops, and waits until the running calls are done.
    pub async fn stop(self) {
        // It fails only when the server has stopped already.
        let _ = self.handle.stop();
        self.handle.stopped().await;
    }
}

fn methods(node: Arc<dyn NodeView>, is_loopback: bool) -> RpcModule<Methods> {
    let methods = Methods { node, is_loopback };
    let mut module = AlysApiServer::into_rpc(methods.clone());
    module.merge(EthApiServer::into_rpc(methods)).expect("the namespaces differ");
    module
}

#[derive(Clone)]
struct Methods {
    node: Arc<dyn NodeView>,
    is_loopback: bool,
}

impl Methods {
    /// The node, for an order of its operator: who listens beyond this machine takes none, since anybody could give it.
    fn order(&self) -> RpcResult<&dyn NodeView> {
        if self.is_loopback {
            return Ok(self.node.as_ref());
        }
        let why = "orders are taken on a loopback address only: let rpc.listen be one";
        Err(refused(Refusal::Order(why.to_owned())))
    }
}

#[async_trait]
impl AlysApiServer for Methods {
    async fn status(&self) -> RpcResult<NodeStatus> {
        self.node.status().await.map_err(refused)
    }

    async fn peers(&self) -> RpcResult<Vec<PeerInfo>> {
        self.node.peers().await.map_err(refused)
    }

    async fn can_produce(&self) -> RpcResult<ProduceInfo> {
        self.node.can_produce().await.map_err(refused)
    }

    async fn sync_status(&self) -> RpcResult<SyncDetail> {
        self.node.sync_status().await.map_err(refused)
    }

    async fn sync_explain(&self) -> RpcResult<ExplainInfo> {
        self.node.sync_explain().await.map_err(refused)
    }

    async fn sync_pause(&self) -> RpcResult<()> {
        self.order()?.sync_pause().await.map_err(refused)
    }

    async fn sync_resume(&self) -> RpcResult<()> {
        self.order()?.sync_resume().await.map_err(refused)
    }

    async fn sync_target(&self, height: Option<u64>) -> RpcResult<()> {
        self.order()?.sync_target(height).await.map_err(refused)
    }

    async fn checkpoints(&self) -> RpcResult<Vec<CheckpointInfo>> {
        self.node.checkpoints().await.map_err(refused)
    }

    async fn create_checkpoint(&self) -> RpcResult<u64> {
        self.order()?.create_checkpoint().await.map_err(refused)
    }

    async fn header(&self, height: u64) -> RpcResult<Option<HeaderInfo>> {
        self.node.header(height).await.map_err(refused)
    }
}

#[async_trait]
impl EthApiServer for Methods {
    async fn chain_id(&self) -> RpcResult<String> {
        Ok(quantity(self.node.chain_id()))
    }

    async fn block_number(&self) -> RpcResult<String> {
        Ok(quantity(self.node.status().await.map_err(refused)?.head.height))
    }

    async fn balance(&self, address: String, block: Option<String>) -> RpcResult<String> {
        check_latest(block.as_deref())?;
        let balance = self.node.balance(parse_address(&address)?).await.map_err(refused)?;
        let digits = hex::encode(balance);
        let digits = digits.trim_start_matches('0');
        Ok(format!("0x{}", if digits.is_empty() { "0" } else { digits }))
    }

    async fn transaction_count(&self, address: String, block: Option<String>) -> RpcResult<String> {
        if block.as_deref() != Some("pending") {
            check_latest(block.as_deref())?;
        }
        Ok(quantity(self.node.transaction_count(parse_address(&address)?).await.map_err(refused)?))
    }

    async fn send_raw_transaction(&self, raw: String) -> RpcResult<String> {
        let bytes = hex::decode(raw.strip_prefix("0x").unwrap_or(&raw))
            .map_err(|_| invalid("the transaction is not a hex string"))?;
        let hash = self.node.submit(bytes).await.map_err(refused)?;
        Ok(format!("0x{}", hex::encode(hash)))
    }
}

fn quantity(number: u64) -> String {
    format!("{number:#x}")
}

fn parse_address(text: &str) -> RpcResult<[u8; 20]> {
    let mut address = [0; 20];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut address)
        .map_err(|_| invalid("an address has 40 hex digits"))?;
    Ok(address)
}

fn check_latest(block: Option<&str>) -> RpcResult<()> {
    match block {
        None | Some("latest") => Ok(()),
        Some(_) => Err(invalid("only the state of the block `latest` is kept")),
    }
}

fn invalid(why: &'static str) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(INVALID_PARAMS_CODE, why, None::<()>)
}

fn refused(refusal: Refusal) -> ErrorObjectOwned {
    let code = match refusal {
        Refusal::Unavailable(_) => UNAVAILABLE_CODE,
        Refusal::Order(_) => REFUSED_CODE,
        Refusal::Transaction(_) => REJECTED_CODE,
    };
    ErrorObjectOwned::owned(code, refusal.to_string(), None::<()>)
}

#[cfg(test)]
mod tests;
