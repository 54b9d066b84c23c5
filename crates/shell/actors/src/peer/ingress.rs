//! What can be said to the PeerActor, and the verbs that say it.

use std::sync::Arc;
use std::time::Duration;

use alys_actor::{Addr, AskError, Lane, Mailbox, MailboxConfig, Message, Overflow, SendError};
use alys_chain::AuthorityIndex;
use alys_peers::{Explanation, Observation, Offence, Operation, Ranked, Totals};
use alys_transport::{Direction, DisconnectReason};
use alys_wire::{Address, PeerId};
use bytes::Bytes;
use tokio::sync::watch;

use super::actor::PeerActor;
use crate::network::Present;

/// The peers that are connected or banned, by id, and how many there are of each kind. As of the last second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerTable {
    /// Everything that the book holds for and against each.
    pub peers: Vec<Explanation>,
    /// How many there are.
    pub totals: Totals,
    /// Whether most peers fail at once, so that we suspect ourselves and blame nobody.
    pub suspects_ourselves: bool,
}

/// The PeerActor, for everybody else. Cheap to clone; valid before its first incarnation and across all of them.
#[derive(Clone, Debug)]
pub struct PeerMailbox {
    addr: Addr<PeerActor>,
    table: watch::Receiver<Arc<PeerTable>>,
}

impl PeerMailbox {
    pub(super) fn new(mailbox: &Mailbox<PeerActor>, table: watch::Receiver<Arc<PeerTable>>) -> Self {
        Self { addr: mailbox.addr(), table }
    }

    /// Learns where a peer listens and dials it now, beside those that the book would dial; anyone who answers there if none is named.
    ///
    /// # Errors
    /// As all verbs: [`SendError`] when the message was not taken.
    pub fn connect_to_peer(&self, peer: Option<PeerId>, addresses: Vec<Address>) -> Result<(), SendError> {
        self.addr.try_tell(Order::Connect { peer, addresses })
    }

    /// Closes every connection to a peer. The book may dial it again later; to keep it away, ban it.
    ///
    /// # Errors
    /// See [`Self::connect_to_peer`].
    pub fn disconnect_peer(&self, peer: PeerId) -> Result<(), SendError> {
        self.addr.try_tell(Order::Disconnect { peer })
    }

    /// Bans a peer for a while, at most a week, whoever it is.
    ///
    /// # Errors
    /// See [`Self::connect_to_peer`].
    pub fn ban_peer(&self, peer: PeerId, period: Duration) -> Result<(), SendError> {
        self.addr.try_tell(Order::Ban { peer, period })
    }

    /// Lifts a ban and forgets the offences.
    ///
    /// # Errors
    /// See [`Self::connect_to_peer`].
    pub fn unban_peer(&self, peer: PeerId) -> Result<(), SendError> {
        self.addr.try_tell(Order::Unban { peer })
    }

    /// Treats a peer as trusted (kept connected, never banned for what it does), or as ordinary again.
    ///
    /// # Errors
    /// See [`Self::connect_to_peer`].
    pub fn trust_peer(&self, peer: PeerId, on: bool, addresses: Vec<Address>) -> Result<(), SendError> {
        self.addr.try_tell(Order::Trust { peer, on, addresses })
    }

    /// Reports what a peer did; the book judges.
    ///
    /// # Errors
    /// See [`Self::connect_to_peer`].
    pub fn observe(&self, peer: PeerId, what: Observation) -> Result<(), SendError> {
        match what {
            Observation::Offence(offence) => self.addr.try_tell(Offended { peer, offence }),
            what => self.addr.try_tell(UpdatePeerScore { peer, what }),
        }
    }

    /// All that is known of a peer; `None` if nothing is.
    ///
    /// # Errors
    /// When the actor does not answer in time.
    pub async fn get_peer_status(&self, peer: PeerId) -> Result<Option<Explanation>, AskError> {
        self.addr.ask(GetPeerStatus(peer)).await
    }

    /// The best connected peers for a kind of work, the best first.
    ///
    /// # Errors
    /// When the actor does not answer in time.
    pub async fn get_best_peers(&self, count: usize, operation: Operation) -> Result<Vec<Ranked>, AskError> {
        self.addr.ask(GetBestPeers { count, operation }).await
    }

    /// Everybody who is connected and may be given work.
    ///
    /// # Errors
    /// When the actor does not answer in time.
    pub async fn get_available_peers(&self) -> Result<Vec<Ranked>, AskError> {
        self.addr.ask(GetAvailablePeers).await
    }

    /// The whole book, in its own encoding: what a checkpoint keeps of it.
    ///
    /// # Errors
    /// When the actor does not answer in time.
    pub async fn get_states(&self) -> Result<Bytes, AskError> {
        self.addr.ask(GetStates).await
    }

    /// Takes from a book that a checkpoint has kept what is not known here, if this node has lost its own. Never waits.
    ///
    /// # Errors
    /// When the mailbox is full: the next start tries again.
    pub fn recall_states(&self, states: Bytes) -> Result<(), SendError> {
        self.addr.try_tell(RecallStates(states))
    }

    /// The connected and the banned, renewed each second.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<PeerTable>> {
        self.table.clone()
    }

    pub(crate) fn heard(&self, news: News) -> Result<(), SendError> {
        self.addr.try_tell(news)
    }

    pub(crate) fn present(&self, everybody: Vec<Present>) -> Result<(), SendError> {
        self.addr.try_tell(Everybody(everybody))
    }
}

/// The mailbox. A thousand connections may end at once, and none of these ends may be lost, so High is twice as deep as that.
pub(super) fn mailbox() -> Mailbox<PeerActor> {
    let mut config = MailboxConfig::default();
    config.lanes[1].messages = 2_048;
    Mailbox::new("peer", config)
}

/// What the operator wants.
#[derive(Clone, Debug)]
pub enum Order {
    /// See [`PeerMailbox::connect_to_peer`].
    Connect {
        /// Who is expected there.
        peer: Option<PeerId>,
        /// Where to try.
        addresses: Vec<Address>,
    },
    /// See [`PeerMailbox::disconnect_peer`].
    Disconnect {
        /// Whom.
        peer: PeerId,
    },
    /// See [`PeerMailbox::ban_peer`].
    Ban {
        /// Whom.
        peer: PeerId,
        /// How long.
        period: Duration,
    },
    /// See [`PeerMailbox::unban_peer`].
    Unban {
        /// Whom.
        peer: PeerId,
    },
    /// See [`PeerMailbox::trust_peer`].
    Trust {
        /// Whom.
        peer: PeerId,
        /// Trusted or ordinary.
        on: bool,
        /// Where it listens, if that is known.
        addresses: Vec<Address>,
    },
}

impl Message for Order {
    type Reply = ();
    const NAME: &'static str = "order";

    fn lane(&self) -> Lane {
        Lane::Control
    }

    fn overflow(&self) -> Overflow {
        Overflow::Reject
    }
}

/// What the network tells of connections.
#[derive(Clone, Debug)]
pub enum News {
    /// The first connection stands.
    Connected {
        /// Who.
        peer: PeerId,
        /// The address at the other end.
        address: Address,
        /// Who called.
        direction: Direction,
    },
    /// The last connection is gone.
    Disconnected {
        /// Who.
        peer: PeerId,
        /// Why.
        reason: DisconnectReason,
    },
    /// A dial came to nothing.
    DialFailed {
        /// Who was expected there.
        peer: Option<PeerId>,
        /// What was tried.
        addresses: Vec<Address>,
    },
    /// Somebody says that the peer listens there.
    Discovered {
        /// Who.
        peer: PeerId,
        /// Where.
        addresses: Vec<Address>,
    },
    /// The peer proved that it acts for an authority of the present set.
    ClaimVerified {
        /// Who.
        peer: PeerId,
        /// Which authority.
        authority: AuthorityIndex,
    },
    /// The authority set changed: no claim counts any more.
    FederationChanged,
}

impl Message for News {
    type Reply = ();
    const NAME: &'static str = "news";

    fn lane(&self) -> Lane {
        Lane::High
    }

    /// The network tells everything again when this happens, see [`Everybody`].
    fn overflow(&self) -> Overflow {
        Overflow::Reject
    }

    fn retry(&self) -> Option<Self> {
        Some(self.clone())
    }
}

/// Everybody who is connected; who is not among them is gone.
#[derive(Clone, Debug)]
pub struct Everybody(pub Vec<Present>);

impl Message for Everybody {
    type Reply = ();
    const NAME: &'static str = "everybody";

    fn lane(&self) -> Lane {
        Lane::High
    }

    fn overflow(&self) -> Overflow {
        Overflow::Reject
    }
}

/// What a peer did, apart from offences.
#[derive(Clone, Copy, Debug)]
pub struct UpdatePeerScore {
    /// Who.
    pub peer: PeerId,
    /// What.
    pub what: Observation,
}

impl Message for UpdatePeerScore {
    type Reply = ();
    const NAME: &'static str = "update peer score";

    /// Scores are averages: the newest observations are worth most, and some may be missing.
    fn overflow(&self) -> Overflow {
        Overflow::DropOldest
    }
}

/// A provable offence.
#[derive(Clone, Copy, Debug)]
pub struct Offended {
    /// Who.
    pub peer: PeerId,
    /// What.
    pub offence: Offence,
}

impl Message for Offended {
    type Reply = ();
    const NAME: &'static str = "offended";

    fn lane(&self) -> Lane {
        Lane::High
    }

    /// Whoever offends so often that some are lost is banned by the others.
    fn overflow(&self) -> Overflow {
        Overflow::DropOldest
    }
}

/// See [`PeerMailbox::get_peer_status`].
#[derive(Clone, Copy, Debug)]
pub struct GetPeerStatus(pub PeerId);

impl Message for GetPeerStatus {
    type Reply = Option<Explanation>;
    const NAME: &'static str = "get peer status";
}

/// See [`PeerMailbox::get_best_peers`].
#[derive(Clone, Copy, Debug)]
pub struct GetBestPeers {
    /// How many at most.
    pub count: usize,
    /// For what.
    pub operation: Operation,
}

impl Message for GetBestPeers {
    type Reply = Vec<Ranked>;
    const NAME: &'static str = "get best peers";
}

/// See [`PeerMailbox::get_available_peers`].
#[derive(Clone, Copy, Debug)]
pub struct GetAvailablePeers;

impl Message for GetAvailablePeers {
    type Reply = Vec<Ranked>;
    const NAME: &'static str = "get available peers";
}

/// See [`PeerMailbox::get_states`].
#[derive(Clone, Copy, Debug)]
pub struct GetStates;

impl Message for GetStates {
    type Reply = Bytes;
    const NAME: &'static str = "get states";
}

/// See [`PeerMailbox::recall_states`].
#[derive(Clone, Debug)]
pub struct RecallStates(pub Bytes);

impl Message for RecallStates {
    type Reply = ();
    const NAME: &'static str = "recall states";

    fn size(&self) -> usize {
        self.0.len()
    }
}

/// Each second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tick;

impl Message for Tick {
    type Reply = ();
    const NAME: &'static str = "tick";

    fn lane(&self) -> Lane {
        Lane::High
    }
}

/// A save of the book ended.
#[derive(Debug)]
pub(super) struct Saved(pub std::io::Result<()>);

impl Message for Saved {
    type Reply = ();
    const NAME: &'static str = "saved";
}
