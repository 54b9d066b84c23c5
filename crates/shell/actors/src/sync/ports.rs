//! What sync needs of the rest of the node, as narrow as it can be, and how the mailboxes of the others fit.
//!
//! No port waits: what takes time gives a future, which the actor runs beside itself.

use alys_chain::{Certificate, Height, ProvenFinal, Slot};
use alys_peers::Observation;
use alys_sync::{Condition, ConditionName, Fault, GateReport};
use alys_transport::DisconnectReason;
use alys_wire::PeerId;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{broadcast, watch};

use super::ingress::SyncMailbox;
use crate::chain::local::VerifiedBlock;
use crate::chain::snapshot::Backfilled;
use crate::chain::{ChainEvent, ChainMailbox, ChainView, Gate, ImportError, Imported, NotInstalled};
use crate::network::{Listener, NetworkMailbox, SyncPort};
use crate::peer::PeerMailbox;

/// The local chain.
pub trait ChainPort: Send + Sync + 'static {
    /// The chain at a glance, now and whenever it changes.
    fn watch(&self) -> watch::Receiver<ChainView>;

    /// The news from now on.
    fn events(&self) -> broadcast::Receiver<ChainEvent>;

    /// Executes these blocks and makes them durable. Blocks that are durable already count as imported.
    fn import(&self, blocks: Vec<VerifiedBlock>) -> BoxFuture<'static, Result<Imported, ImportError>>;

    /// Stands on this block, whose state is staged.
    fn install(&self, proven: ProvenFinal) -> BoxFuture<'static, Result<Imported, NotInstalled>>;

    /// Stores blocks right below the lowest body that is here. Returns the lowest height with a body then.
    fn backfill(&self, blocks: Vec<Backfilled>) -> BoxFuture<'static, Result<Height, Fault>>;
}

impl ChainPort for ChainMailbox {
    fn watch(&self) -> watch::Receiver<ChainView> {
        Self::watch(self)
    }

    fn events(&self) -> broadcast::Receiver<ChainEvent> {
        Self::events(self)
    }

    fn import(&self, blocks: Vec<VerifiedBlock>) -> BoxFuture<'static, Result<Imported, ImportError>> {
        let chain = self.clone();
        async move { Self::import(&chain, blocks).await }.boxed()
    }

    fn install(&self, proven: ProvenFinal) -> BoxFuture<'static, Result<Imported, NotInstalled>> {
        let chain = self.clone();
        async move { Self::install(&chain, proven).await }.boxed()
    }

    fn backfill(&self, blocks: Vec<Backfilled>) -> BoxFuture<'static, Result<Height, Fault>> {
        let chain = self.clone();
        async move { Self::backfill(&chain, blocks).await }.boxed()
    }
}

/// The peer book.
pub trait PeerPort: Send + Sync + 'static {
    /// Tells it what was seen. Never waits.
    fn observe(&self, peer: PeerId, what: Observation);

    /// What this node thinks of its peers, in the book's own encoding, for a checkpoint; empty where it is not to be had.
    fn states(&self) -> BoxFuture<'static, Bytes> {
        std::future::ready(Bytes::new()).boxed()
    }

    /// What a checkpoint has kept of it, for a book that was lost. Never waits.
    fn recall(&self, states: Bytes);
}

impl PeerPort for PeerMailbox {
    fn observe(&self, peer: PeerId, what: Observation) {
        if let Err(why) = Self::observe(self, peer, what) {
            tracing::warn!(?peer, ?what, %why, "the peer book did not hear of this");
        }
    }

    fn states(&self) -> BoxFuture<'static, Bytes> {
        let book = self.clone();
        let states = async move {
            Self::get_states(&book).await.unwrap_or_else(|why| {
                tracing::warn!(%why, "the peer book does not answer: a checkpoint goes without it");
                Bytes::new()
            })
        };
        states.boxed()
    }

    fn recall(&self, states: Bytes) {
        if let Err(why) = self.recall_states(states) {
            tracing::warn!(%why, "the peer book did not hear what a checkpoint has kept");
        }
    }
}

/// The network.
pub trait NetworkPort: Send + Sync + 'static {
    /// Asks it to tell us of everybody who is connected: a new incarnation knows nobody. Never waits.
    fn introduce(&self);
}

impl NetworkPort for NetworkMailbox {
    fn introduce(&self) {
        if let Err(why) = Self::introduce(self, Listener::Sync) {
            tracing::warn!(%why, "the network did not hear that sync knows nobody");
        }
    }
}

impl SyncPort for SyncMailbox {
    fn peer_connected(&self, peer: PeerId) -> Result<(), alys_actor::SendError> {
        Self::peer_connected(self, peer)
    }

    fn peer_disconnected(&self, peer: PeerId, reason: DisconnectReason) -> Result<(), alys_actor::SendError> {
        Self::peer_disconnected(self, peer, reason)
    }

    fn authority_identified(
        &self,
        peer: PeerId,
        authority: Option<alys_chain::AuthorityIndex>,
    ) -> Result<(), alys_actor::SendError> {
        Self::authority_identified(self, peer, authority)
    }
}

impl Gate for SyncMailbox {
    fn ask(&self, slot: Slot) -> BoxFuture<'static, GateReport> {
        let sync = self.clone();
        async move { sync.can_produce(slot).await.unwrap_or_else(|why| closed(why.to_string())) }.boxed()
    }

    fn behind(&self, certificate: Certificate) {
        Self::behind(self, None, certificate.slot);
    }
}

/// The gate while nobody knows better.
fn closed(why: String) -> GateReport {
    let condition =
        Condition { name: ConditionName::Running, holds: false, value: why, required: "running".to_owned() };
    GateReport { open: false, conditions: vec![condition] }
}
