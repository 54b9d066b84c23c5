//! To whom the NetworkActor speaks, as narrowly as it needs them.
//!
//! None of these waits. What is refused has been lost for the receiver, and the NetworkActor answers for it: a gossiped message gets its verdict
//! at once (ignore), a connection event is told again by [`introduce`](super::NetworkMailbox::introduce).

use alys_actor::SendError;
use alys_chain::{Approval, AuthorityIndex, Certificate};
use alys_transport::DisconnectReason;
use alys_wire::{PeerId, Proposal};
use bytes::Bytes;

use super::ingress::Gossiped;

/// Where gossip goes. Whoever takes a message owes [`validated`](super::NetworkMailbox::validated) for it.
pub trait ChainPort: Send + Sync + 'static {
    /// A block that asks for approvals.
    ///
    /// # Errors
    /// When it was not taken; no verdict is owed then. So for all of these.
    fn proposal(&self, from: Gossiped, proposal: Proposal) -> Result<(), SendError>;

    /// One authority's approval.
    ///
    /// # Errors
    /// See [`Self::proposal`].
    fn approval(&self, from: Gossiped, approval: Approval) -> Result<(), SendError>;

    /// A certificate.
    ///
    /// # Errors
    /// See [`Self::proposal`].
    fn certificate(&self, from: Gossiped, certificate: Certificate) -> Result<(), SendError>;

    /// One transaction, encoded.
    ///
    /// # Errors
    /// See [`Self::proposal`].
    fn transaction(&self, from: Gossiped, transaction: Bytes) -> Result<(), SendError>;
}

/// Who can be asked for blocks. For one peer the order is: connected, then authority or not, then disconnected.
pub trait SyncPort: Send + Sync + 'static {
    /// The peer is connected and of our network: it can be asked.
    ///
    /// # Errors
    /// When it was not taken. So for all of these.
    fn peer_connected(&self, peer: PeerId) -> Result<(), SendError>;

    /// The peer is gone; every request to it has ended.
    ///
    /// # Errors
    /// See [`Self::peer_connected`].
    fn peer_disconnected(&self, peer: PeerId, reason: DisconnectReason) -> Result<(), SendError>;

    /// The peer proved that it acts for this authority of the present set; `None` when that no longer counts.
    ///
    /// # Errors
    /// See [`Self::peer_connected`].
    fn authority_identified(&self, peer: PeerId, authority: Option<AuthorityIndex>) -> Result<(), SendError>;
}
