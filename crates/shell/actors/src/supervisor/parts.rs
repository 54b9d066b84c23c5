//! What a node is made of.

use std::path::Path;
use std::sync::Arc;

use alys_actor::{Clock, Fault, Pool, Randomness};
use alys_chain::SecretKey;
use alys_storage::{Checkpoints, Store, StoreError};
use alys_transport::{BlockSource, Events, Transport};
use alys_wire::PeerId;
use thiserror::Error;

use crate::chain::Signer;
use crate::chain::local::Network;
use crate::peer::Book;
use crate::{chain, peer, sync};

/// The settings of the actors.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The chain's.
    pub chain: chain::Config,
    /// The peer book's.
    pub peers: peer::Config,
    /// Sync's.
    pub sync: sync::Config,
}

/// Makes the transport, which serves peers from this source. Called once, at the start.
pub type Connect =
    Box<dyn FnOnce(Arc<dyn BlockSource>) -> Result<(Arc<dyn Transport>, Events), Fault> + Send>;

/// Everything that differs between a node, a simulated node and a test.
pub struct Parts {
    /// What several actors need.
    pub base: Base,
    /// Makes the transport.
    pub connect: Connect,
    /// The key of the authority that this node is, if it is one. The record of what it signed is in the store (of a new key from
    /// [`begin_record`](crate::chain::begin_record)); else it signs nothing until it holds a certificate of a slot after this start.
    pub authority: Option<SecretKey>,
}

/// What several actors need.
#[derive(Clone)]
pub struct Base {
    /// The settings.
    pub settings: Settings,
    /// The network and its rules.
    pub network: Network,
    /// The database, open.
    pub store: Arc<dyn Store>,
    /// Where checkpoints are kept, if anywhere.
    pub checkpoints: Option<Arc<Checkpoints>>,
    /// Where sync leaves its flight recorder when it crashes, if anywhere.
    pub flight_recorder: Option<Arc<Path>>,
    /// Where the peer book is kept.
    pub book: Book,
    /// Who we are on the network: whom the transport is going to be.
    pub local: PeerId,
    /// Tells the time.
    pub clock: Clock,
    /// Where costly work runs.
    pub pool: Pool,
    /// Where chance comes from.
    pub randomness: Randomness,
}

impl Base {
    /// The one signer of this process.
    pub(super) fn signer(&self, key: SecretKey) -> Result<Arc<Signer>, StoreError> {
        let rules = self.network.rules.clone();
        let now = rules.slot_at(self.clock.unix()).unwrap_or_default();
        Signer::open(rules, key, self.store.as_ref(), now).map(Arc::new)
    }
}

/// Why a node could not be started. Ours, in every case.
#[derive(Debug, Error)]
pub enum StartError {
    /// The record of what was signed cannot be read.
    #[error("the signing record cannot be read: {0}")]
    Record(#[from] StoreError),
    /// The transport could not be made.
    #[error("the network cannot be reached: {0}")]
    Transport(Fault),
    /// The transport is somebody else.
    #[error("the transport is {got}, not {expected}")]
    Identity {
        /// Who it was to be.
        expected: PeerId,
        /// Who it is.
        got: PeerId,
    },
}
