//! A typed client: for the command line, the devnet and tests.

use std::net::SocketAddr;
use std::time::Duration;

use jsonrpsee::core::client::Error;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use thiserror::Error as ThisError;

use crate::api::{AlysApiClient, EthApiClient};
use crate::status::{CheckpointInfo, ExplainInfo, HeaderInfo, NodeStatus, PeerInfo, ProduceInfo, SyncDetail};

/// A node on this machine answers in milliseconds; one that does not within this time is stuck or gone.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, ThisError)]
pub enum ClientError {
    /// Nobody answers there.
    #[error("no node answers at {address} ({reason}): is it running, and is this its RPC address?")]
    Unreachable {
        /// Where.
        address: SocketAddr,
        /// What happened.
        reason: String,
    },
    /// The node refused.
    #[error("{0}")]
    Refused(String),
}

/// A connection to a node's RPC.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    http: HttpClient,
}

impl Client {
    /// A client of the node at this address; connects with the first call.
    ///
    /// # Panics
    /// Never: an address always makes a URL.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        let url = format!("http://{address}");
        let http = HttpClientBuilder::default().request_timeout(TIMEOUT).build(url);
        Self { address, http: http.expect("an address makes a URL") }
    }

    /// See [`AlysApiClient::status`].
    ///
    /// # Errors
    /// [`ClientError`], as with every call below.
    pub async fn status(&self) -> Result<NodeStatus, ClientError> {
        AlysApiClient::status(&self.http).await.map_err(|e| self.failed(e))
    }

    /// The connected peers.
    ///
    /// # Errors
    /// As for [`Client::status`].
    pub async fn peers(&self) -> Result<Vec<PeerInfo>, ClientError> {
        AlysApiClient::peers(&self.http).await.map_err(|e| self.failed(e))
    }

    /// The production gate.
    ///
    /// # Errors
    /// As for [`Client::status`].
    pub async fn can_produce(&self) -> Result<ProduceInfo, ClientError> {
        AlysApiClient::can_produce(&self.http).await.map_err(|e| self.failed(e))
    }

    /// Sync in depth.
    ///
    /// # Errors
    /// As for [`Client::status`].
    pub async fn sync_status(&self) -> Result<SyncDetail, ClientError> {
        AlysApiClient::sync_status(&self.http).await.map_err(|e| self.failed(e))
    }

    /// Why the rate of sync is what it is.
    ///
    /// # Errors
    /// As for [`Client::status`].
    pub async fn sync_explain(&self) -> Result<ExplainInfo, ClientError> {
        AlysApiClient::sync_explain(&self.http).await.map_err(|e| self.failed(e))
    }

    /// Pauses sync.
    ///
    /// # Errors
    /// As for [`Client::status`].
    pub async fn sync_pause(&self) -> Result<(), ClientError> {
        AlysApiClient::sync_pause(&self.http).await.map_err(|e| self.failed(e))
    }

    /// Resumes sync.
    ///
    /// # Errors
    /// As for [`Client::status`].
    pub async fn sync_resume(&self) -> Result<(), ClientError> {
        AlysApiClient::sync_resume(&self.http).await.map_err(|e| self.failed(e))
    }

    /// Lets sync stop at a height; without one it follows the network.
    ///
    /// # Errors
    /// As for [`Client::status`].
    pub async fn sync_target(&self, height: Option<u64>) -> Result<(), ClientError> {
        AlysApiClient::sync_target(&self.http, height).await.map_err(|e| self.failed(e))
    }

    /// The checkpoint files.
    ///
    /// # Errors
    /// As for [`Client::status`].
    pub async fn checkpoints(&self) -> Result<Vec<CheckpointInfo>, ClientError> {
        AlysApiClient::checkpoints(&self.http).await.map_err(|e| self.failed(e))
    }

    /// Writes a checkpoint; its height.
    ///
    /// # Errors
    /// As for [`Client::status`].
    pub async fn create_checkpoint(&self) -> Result<u64, ClientError> {
        AlysApiClient::create_checkpoint(&self.http).await.map_err(|e| self.failed(e))
    }

    /// The canonical block at a height.
    ///
    /// # Errors
    /// As for [`Client::status`].
    pub async fn header(&self, height: u64) -> Result<Option<HeaderInfo>, ClientError> {
        AlysApiClient::header(&self.http, height).await.map_err(|e| self.failed(e))
    }

    /// How many transactions an address has sent, those that wait included.
    ///
    /// # Errors
    /// As for [`Client::status`].
    pub async fn transaction_count(&self, address: [u8; 20]) -> Result<u64, ClientError> {
        let address = format!("0x{}", hex::encode(address));
        let count =
            EthApiClient::transaction_count(&self.http, address, None).await.map_err(|e| self.failed(e))?;
        let digits = count.strip_prefix("0x").unwrap_or(&count);
        u64::from_str_radix(digits, 16).map_err(|_| ClientError::Refused(format!("not a quantity: {count}")))
    }

    /// Sends a signed transaction; its hash.
    ///
    /// # Errors
    /// As for [`Client::status`]; a refused transaction says why.
    pub async fn send_raw_transaction(&self, raw: &[u8]) -> Result<String, ClientError> {
        let raw = format!("0x{}", hex::encode(raw));
        EthApiClient::send_raw_transaction(&self.http, raw).await.map_err(|e| self.failed(e))
    }

    fn failed(&self, error: Error) -> ClientError {
        match error {
            Error::Call(object) => ClientError::Refused(object.message().to_owned()),
            other => ClientError::Unreachable { address: self.address, reason: other.to_string() },
        }
    }
}
