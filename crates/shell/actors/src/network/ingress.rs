//! The mailbox of the NetworkActor, and the verbs of those who talk to it.

use alys_actor::{Addr, AskError, LaneLimit, Mailbox, MailboxConfig, SendError};
use alys_chain::{Approval, AuthorityIndex, Certificate};
use alys_peers::Offence;
use alys_transport::{Direction, MessageId, Verdict};
use alys_wire::{Address, GossipMessage, PeerId, Proposal};
use bytes::Bytes;
use tokio::sync::watch;

use super::actor::NetworkActor;
use super::messages::{
    BroadcastBlock, BroadcastTransaction, GetNetworkStatus, Happened, Introduce, StartNetwork, Steer,
    StopNetwork, Validated,
};
use super::requests::Requests;

/// A gossiped message, as a verdict names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gossiped {
    /// The message.
    pub id: MessageId,
    /// The connected peer that forwarded it (not who made it).
    pub source: PeerId,
}

/// Who is told again about everybody that is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The PeerActor.
    Peers,
    /// The SyncActor.
    Sync,
}

/// A peer that is connected now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Who.
    pub peer: PeerId,
    /// The address at the other end.
    pub address: Address,
    /// Who called.
    pub direction: Direction,
    /// Whether it has shown that it is of our network.
    pub identified: bool,
    /// The authority of the present set that it proved to act for.
    pub authority: Option<AuthorityIndex>,
}

/// The network at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkStatus {
    /// Who we are.
    pub local: PeerId,
    /// False after [`NetworkMailbox::stop`].
    pub online: bool,
    /// Where we can be reached, as far as this machine can tell.
    pub listening: Vec<Address>,
    /// Who is connected, by id.
    pub present: Vec<Present>,
}

impl NetworkStatus {
    /// The status of a network that has just been made.
    #[must_use]
    pub const fn new(local: PeerId) -> Self {
        Self { local, online: true, listening: Vec::new(), present: Vec::new() }
    }

    /// How many connected peers proved to act for an authority.
    #[must_use]
    pub fn authorities(&self) -> usize {
        self.present.iter().filter(|present| present.authority.is_some()).count()
    }
}

/// The NetworkActor, for everybody else. Cheap to clone; valid before its first incarnation and across all of them.
#[derive(Clone, Debug)]
pub struct NetworkMailbox {
    addr: Addr<NetworkActor>,
    requests: Requests,
    status: watch::Receiver<NetworkStatus>,
}

impl NetworkMailbox {
    pub(super) fn new(
        mailbox: &Mailbox<NetworkActor>,
        requests: Requests,
        status: watch::Receiver<NetworkStatus>,
    ) -> Self {
        Self { addr: mailbox.addr(), requests, status }
    }

    /// Takes part in the network again after [`Self::stop`].
    ///
    /// # Errors
    /// As all verbs: [`SendError`] when the message was not taken.
    pub fn start(&self) -> Result<(), SendError> {
        self.addr.try_tell(StartNetwork)
    }

    /// Hangs up on everybody, and on whoever calls, and dials nobody, until [`Self::start`]. The listening sockets stay open.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn stop(&self) -> Result<(), SendError> {
        self.addr.try_tell(StopNetwork)
    }

    /// The network now.
    ///
    /// # Errors
    /// When the actor does not answer in time.
    pub async fn get_network_status(&self) -> Result<NetworkStatus, AskError> {
        self.addr.ask(GetNetworkStatus).await
    }

    /// The network as of its last change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<NetworkStatus> {
        self.status.clone()
    }

    /// Who we are on this network.
    #[must_use]
    pub fn local_peer(&self) -> PeerId {
        self.requests.local_peer()
    }

    /// Spreads our own proposal. If too much waits, the oldest messages of ours go.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn broadcast_proposal(&self, proposal: Proposal) -> Result<(), SendError> {
        self.broadcast(GossipMessage::Proposal(Box::new(proposal)))
    }

    /// Spreads an approval.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn broadcast_approval(&self, approval: Approval) -> Result<(), SendError> {
        self.broadcast(GossipMessage::Approval(approval))
    }

    /// Spreads a certificate.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn broadcast_certificate(&self, certificate: Certificate) -> Result<(), SendError> {
        self.broadcast(GossipMessage::Certificate(certificate))
    }

    /// Spreads a transaction. If too much waits, the oldest transactions of ours go.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn broadcast_transaction(&self, transaction: Bytes) -> Result<(), SendError> {
        self.addr.try_tell(BroadcastTransaction(transaction))
    }

    fn broadcast(&self, message: GossipMessage) -> Result<(), SendError> {
        self.addr.try_tell(BroadcastBlock(message))
    }

    /// The verdict over a gossiped message, owed once for each. An offence is held against the peer that forwarded it.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn validated(
        &self,
        gossiped: Gossiped,
        verdict: Verdict,
        offence: Option<Offence>,
    ) -> Result<(), SendError> {
        self.addr.try_tell(Validated { gossiped, verdict, offence })
    }

    /// Connects; anyone who answers there will do if no peer is named.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn dial(&self, peer: Option<PeerId>, addresses: Vec<Address>) -> Result<(), SendError> {
        self.addr.try_tell(Steer::Dial { peer, addresses })
    }

    /// Closes every connection to the peer; `why` is for the log.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn disconnect(&self, peer: PeerId, why: &'static str) -> Result<(), SendError> {
        self.addr.try_tell(Steer::Disconnect { peer, why })
    }

    /// Disconnects the peer and refuses it until [`Self::unban`]. For how long is the peer book's business.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn ban(&self, peer: PeerId) -> Result<(), SendError> {
        self.addr.try_tell(Steer::Ban(peer))
    }

    /// Refuses the peer no longer.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn unban(&self, peer: PeerId) -> Result<(), SendError> {
        self.addr.try_tell(Steer::Unban(peer))
    }

    /// Makes the peer explicit in gossip and exempt from limits, or ordinary again.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn explicit(&self, peer: PeerId, on: bool) -> Result<(), SendError> {
        self.addr.try_tell(Steer::Explicit { peer, on })
    }

    /// Has `listener` told again who is connected: for an actor that was restarted and knows nobody. It hears of it in the order of events, so
    /// that nothing which it hears afterwards is older.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn introduce(&self, listener: Listener) -> Result<(), SendError> {
        self.addr.try_tell(Introduce(listener))
    }

    /// The way to ask peers without passing through this actor.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.requests.clone()
    }

    pub(super) async fn happened(&self, happened: Happened) -> Result<(), SendError> {
        self.addr.tell(happened).await
    }
}

/// At its start the peer book bans at once everybody on its list, which holds 4,096; dials and the like come on top.
const WISHES: usize = 8_192;

/// The mailbox. What waits in it comes from us, but for [`super::pump::WINDOW`] events of the transport.
pub(super) fn mailbox() -> Mailbox<NetworkActor> {
    let mut config = MailboxConfig::default();
    config.lanes[0] = LaneLimit { messages: WISHES, bytes: WISHES * size_of::<Steer>() };
    Mailbox::new("network", config)
}
