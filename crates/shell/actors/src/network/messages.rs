//! The messages of the NetworkActor: what each says, where it waits, and what happens when there is no room.

use std::sync::Arc;

use alys_actor::{Lane, Message, Overflow};
use alys_peers::Offence;
use alys_transport::{Event, Outcome, Verdict};
use alys_wire::{Address, GossipMessage, PeerId, Proposal, Topic};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::ingress::{Gossiped, Listener, NetworkStatus};

/// See [`NetworkMailbox::start`](super::NetworkMailbox::start).
#[derive(Clone, Copy, Debug)]
pub struct StartNetwork;

/// See [`NetworkMailbox::stop`](super::NetworkMailbox::stop).
#[derive(Clone, Copy, Debug)]
pub struct StopNetwork;

/// See [`NetworkMailbox::get_network_status`](super::NetworkMailbox::get_network_status).
#[derive(Clone, Copy, Debug)]
pub struct GetNetworkStatus;

/// Spreads a message of consensus: a proposal, an approval, a certificate.
#[derive(Clone, Debug)]
pub struct BroadcastBlock(pub GossipMessage);

/// See [`NetworkMailbox::broadcast_transaction`](super::NetworkMailbox::broadcast_transaction).
#[derive(Clone, Debug)]
pub struct BroadcastTransaction(pub Bytes);

/// See [`NetworkMailbox::validated`](super::NetworkMailbox::validated).
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
    /// See [`NetworkMailbox::dial`](super::NetworkMailbox::dial).
    Dial {
        /// Who is expected there.
        peer: Option<PeerId>,
        /// Where to try.
        addresses: Vec<Address>,
    },
    /// See [`NetworkMailbox::disconnect`](super::NetworkMailbox::disconnect).
    Disconnect {
        /// Whom.
        peer: PeerId,
        /// Why, for the log.
        why: &'static str,
    },
    /// See [`NetworkMailbox::ban`](super::NetworkMailbox::ban).
    Ban(PeerId),
    /// See [`NetworkMailbox::unban`](super::NetworkMailbox::unban).
    Unban(PeerId),
    /// See [`NetworkMailbox::explicit`](super::NetworkMailbox::explicit).
    Explicit {
        /// Whom.
        peer: PeerId,
        /// Explicit or ordinary.
        on: bool,
    },
}

/// See [`NetworkMailbox::introduce`](super::NetworkMailbox::introduce).
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
