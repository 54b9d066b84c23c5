//! What can be said to the NetworkActor, and the verbs that say it.

use std::sync::Arc;

use alys_actor::{Addr, AskError, Lane, LaneLimit, Mailbox, MailboxConfig, Message, Overflow, SendError};
use alys_chain::{Approval, AuthorityIndex, Certificate};
use alys_peers::Offence;
use alys_transport::{Direction, Event, MessageId, Outcome, Verdict};
use alys_wire::{Address, GossipMessage, PeerId, Proposal, Topic};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::actor::NetworkActor;
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

/// See [`NetworkMailbox::start`].
#[derive(Clone, Copy, Debug)]
pub struct StartNetwork;

/// See [`NetworkMailbox::stop`].
#[derive(Clone, Copy, Debug)]
pub struct StopNetwork;

/// See [`NetworkMailbox::get_network_status`].
#[derive(Clone, Copy, Debug)]
pub struct GetNetworkStatus;

/// Spreads a message of consensus: a proposal, an approval, a certificate.
#[derive(Clone, Debug)]
pub struct BroadcastBlock(pub GossipMessage);

/// See [`NetworkMailbox::broadcast_transaction`].
#[derive(Clone, Debug)]
pub struct BroadcastTransaction(pub Bytes);

/// See [`NetworkMailbox::validated`].
#[derive(Clone, Copy, Debug)]
pub struct Validated {
    /// The message.
    pub gossiped: Gossiped,
    /// What becomes of it.
    pub verdict: Verdict,
    /// What is held against the peer that forwarded it.
    pub offence: Option<Offence>,
}

/// What the peer book wants done.
#[derive(Clone, Debug)]
pub enum Steer {
    /// See [`NetworkMailbox::dial`].
    Dial {
        /// Who is expected there.
        peer: Option<PeerId>,
        /// Where to try.
        addresses: Vec<Address>,
    },
    /// See [`NetworkMailbox::disconnect`].
    Disconnect {
        /// Whom.
        peer: PeerId,
        /// Why, for the log.
        why: &'static str,
    },
    /// See [`NetworkMailbox::ban`].
    Ban(PeerId),
    /// See [`NetworkMailbox::unban`].
    Unban(PeerId),
    /// See [`NetworkMailbox::explicit`].
    Explicit {
        /// Whom.
        peer: PeerId,
        /// Explicit or ordinary.
        on: bool,
    },
}

/// See [`NetworkMailbox::introduce`].
#[derive(Clone, Copy, Debug)]
pub struct Introduce(pub Listener);

/// Something that the transport tells, with its place in the window of the pump.
#[derive(Clone, Debug)]
pub struct Happened {
    pub(super) event: Event,
    /// Given back when the event has been handled.
    pub(super) _place: Arc<OwnedSemaphorePermit>,
}

/// How the answer to a request for a claim ended.
pub(super) struct ClaimAnswered {
    pub(super) peer: PeerId,
    pub(super) judged: Judged,
}

/// What a peer's answer to the question for its claim is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It acts for this authority of the present set.
    Authority(alys_chain::Seat),
    /// It says that it acts for none, or speaks no such protocol.
    None,
    /// Its claim is wrong, whatever the clock.
    Wrong(alys_chain::Invalid),
    /// No answer of any worth: to be asked again.
    Again(Outcome),
    /// A right claim that is over by our clock, or for a set that is not the present one: to be asked again.
    Untimely,
}

/// The beginning of a slot, and at least once a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotTick;

impl Message for StartNetwork {
    type Reply = ();
    const NAME: &'static str = "start network";

    fn lane(&self) -> Lane {
        Lane::Control
    }

    fn overflow(&self) -> Overflow {
        Overflow::Reject
    }
}

impl Message for StopNetwork {
    type Reply = ();
    const NAME: &'static str = "stop network";

    fn lane(&self) -> Lane {
        Lane::Control
    }

    fn overflow(&self) -> Overflow {
        Overflow::Reject
    }
}

impl Message for GetNetworkStatus {
    type Reply = NetworkStatus;
    const NAME: &'static str = "get network status";

    fn lane(&self) -> Lane {
        Lane::Control
    }

    fn overflow(&self) -> Overflow {
        Overflow::Reject
    }
}

impl Message for Steer {
    type Reply = ();
    const NAME: &'static str = "steer";

    fn lane(&self) -> Lane {
        Lane::Control
    }

    fn overflow(&self) -> Overflow {
        Overflow::Reject
    }
}

impl Message for Introduce {
    type Reply = ();
    const NAME: &'static str = "introduce";

    fn lane(&self) -> Lane {
        Lane::High
    }

    fn overflow(&self) -> Overflow {
        Overflow::Reject
    }
}

impl Message for BroadcastBlock {
    type Reply = ();
    const NAME: &'static str = "broadcast block";

    fn lane(&self) -> Lane {
        Lane::High
    }

    fn overflow(&self) -> Overflow {
        // What is said of an older slot is worth less.
        Overflow::DropOldest
    }

    fn size(&self) -> usize {
        let body = match &self.0 {
            GossipMessage::Proposal(proposal) => proposal.body.as_ref().map_or(0, |body| body.0.len()),
            GossipMessage::Transaction(bytes) => bytes.len(),
            GossipMessage::Approval(_) | GossipMessage::Certificate(_) => 0,
        };
        size_of::<Proposal>() + body
    }
}

impl Message for BroadcastTransaction {
    type Reply = ();
    const NAME: &'static str = "broadcast transaction";

    fn lane(&self) -> Lane {
        Lane::Normal
    }

    fn overflow(&self) -> Overflow {
        Overflow::DropOldest
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.0.len()
    }
}

impl Message for Validated {
    type Reply = ();
    const NAME: &'static str = "validated";

    fn lane(&self) -> Lane {
        Lane::High
    }

    fn overflow(&self) -> Overflow {
        // An older verdict lets older gossip through.
        Overflow::DropOldest
    }
}

impl Message for Happened {
    type Reply = ();
    const NAME: &'static str = "happened";

    fn lane(&self) -> Lane {
        match &self.event {
            Event::Gossip { topic: Topic::Transactions, .. } => Lane::Normal,
            _ => Lane::High,
        }
    }

    fn size(&self) -> usize {
        let data = match &self.event {
            Event::Gossip { data, .. } => data.len(),
            _ => 0,
        };
        size_of::<Self>() + data
    }

    /// A lost connection event would leave a peer connected or gone for ever; gossip comes again.
    fn retry(&self) -> Option<Self> {
        (!matches!(self.event, Event::Gossip { .. })).then(|| self.clone())
    }
}

impl Message for ClaimAnswered {
    type Reply = ();
    const NAME: &'static str = "claim answered";

    fn lane(&self) -> Lane {
        Lane::High
    }
}

impl Message for SlotTick {
    type Reply = ();
    const NAME: &'static str = "slot tick";

    fn lane(&self) -> Lane {
        Lane::High
    }
}
