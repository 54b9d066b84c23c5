//! The verbs and the news of a network: what can be asked of a transport, and what it tells.

use core::fmt;

use alys_chain::BlockId;
use alys_wire::{Address, PeerId, Request, Topic};
use bytes::Bytes;
use core::time::Duration;
use thiserror::Error;

use crate::answers::{AnswerSink, Fault, Violation};
use crate::traffic::Traffic;

/// The handle of a running network. The events come out of the [`Events`](crate::Events) that were given beside it.
///
/// The transport stops when the handle is dropped, or on [`Command::Stop`].
pub trait Transport: Send + Sync + 'static {
    /// Who we are on this network.
    fn local_peer(&self) -> PeerId;

    /// Takes the command, or refuses it at once; never waits.
    ///
    /// # Errors
    /// [`Overloaded`] when too many commands (or too many bytes to publish) wait already, or the transport has stopped. A refused
    /// [`Command::Request`] ends its answers with [`Outcome::Overloaded`](crate::Outcome::Overloaded).
    fn send(&self, command: Command) -> Result<(), Overloaded>;

    /// The bytes on the line since the start. A simulated line counts none.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}

/// The command queue is full, or the transport has stopped: try again, or let it be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the transport takes no more commands")]
pub struct Overloaded;

/// What can be asked of the transport.
#[derive(Debug)]
pub enum Command {
    /// Connect. Ends in [`Event::Connected`] or [`Event::DialFailed`].
    Dial {
        /// Who is expected there; anyone if `None`.
        peer: Option<PeerId>,
        /// Where to try.
        addresses: Vec<Address>,
    },
    /// Close every connection to the peer.
    Disconnect {
        /// Whom to leave.
        peer: PeerId,
    },
    /// Spread a message that we made or vouch for.
    Publish {
        /// Under which topic.
        topic: Topic,
        /// The encoded message.
        data: Bytes,
    },
    /// The verdict over a message that came in an [`Event::Gossip`]; owed for each of them.
    Validated {
        /// The message.
        id: MessageId,
        /// The peer that it came from.
        source: PeerId,
        /// Forward it, punish for it, or neither.
        verdict: Verdict,
    },
    /// Ask a connected peer. The answer comes through `answers`, frame by frame, and ends exactly once with an
    /// [`Outcome`](crate::Outcome); dropping the reading half cancels the request.
    Request {
        /// The caller's name for it, unique among the running requests to this peer.
        id: u64,
        /// Whom to ask.
        peer: PeerId,
        /// What to ask.
        request: Request,
        /// Where the answer goes; its window bounds the memory, and a slow reader stops the stream.
        answers: AnswerSink,
    },
    /// End a request with [`Outcome::Cancelled`](crate::Outcome::Cancelled); nothing happens if it has ended already.
    Cancel {
        /// Whom we asked.
        peer: PeerId,
        /// The name given with the request.
        id: u64,
    },
    /// Disconnect the peer, refuse its connections and ignore its gossip from now on. How long is the caller's business.
    Ban {
        /// The offender.
        peer: PeerId,
    },
    /// Lift a ban.
    Unban {
        /// The peer.
        peer: PeerId,
    },
    /// Make the peer explicit (gossip goes to it always, whatever the mesh; connection limits do not count it; serving does not
    /// throttle it) or ordinary again. Both sides must do so. For authorities.
    Explicit {
        /// The peer.
        peer: PeerId,
        /// Explicit or ordinary.
        on: bool,
    },
    /// Close everything; the events end.
    Stop,
}

/// What the transport tells.
///
/// For one peer the order is: `Connected`, then anything else, then `Disconnected`; each connection phase has exactly one of both. Only
/// `Discovered` and `DialFailed` speak of peers that are not connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// We can be reached here, as far as this machine can tell.
    Listening {
        /// Where.
        address: Address,
    },
    /// The first connection to the peer stands and its identity is proven. Whether it is of our network is not known before
    /// [`Event::Identified`].
    Connected {
        /// Who.
        peer: PeerId,
        /// The address at the other end; for an inbound connection not one to dial.
        address: Address,
        /// Who called.
        direction: Direction,
    },
    /// The last connection to the peer is gone; every request to it ends now.
    Disconnected {
        /// Who.
        peer: PeerId,
        /// Why.
        reason: DisconnectReason,
    },
    /// A [`Command::Dial`] came to nothing.
    DialFailed {
        /// Who was expected.
        peer: Option<PeerId>,
        /// What was tried.
        addresses: Vec<Address>,
        /// Why.
        error: DialError,
    },
    /// Somebody told us of this peer: a hint, without proof.
    Discovered {
        /// Who.
        peer: PeerId,
        /// Where it is said to listen.
        addresses: Vec<Address>,
    },
    /// The peer named itself, and is of our network. May come again when its addresses change.
    Identified {
        /// Who.
        peer: PeerId,
        /// Its software and version, as it says.
        agent: String,
        /// The protocol version that it speaks.
        protocol: String,
        /// Where it says that it listens.
        addresses: Vec<Address>,
    },
    /// The peer is of another network and is being disconnected.
    Foreign {
        /// Who.
        peer: PeerId,
        /// The id of our genesis.
        ours: BlockId,
        /// The id of its genesis; `None` if it is no node of this kind at all.
        theirs: Option<BlockId>,
    },
    /// The peer asked in a way that no correct implementation does; the stream was closed.
    Offended {
        /// Who.
        peer: PeerId,
        /// What it did.
        violation: Violation,
    },
    /// A round trip on the wire, measured.
    Rtt {
        /// To whom.
        peer: PeerId,
        /// How long.
        rtt: Duration,
    },
    /// A message, waiting for a [`Command::Validated`]. It came whole and within its size limit; nothing else is known of it.
    Gossip {
        /// Its name in the verdict.
        id: MessageId,
        /// The connected peer that forwarded it (not who made it).
        source: PeerId,
        /// Its topic.
        topic: Topic,
        /// The encoded message.
        data: Bytes,
    },
}

/// The name of a gossiped message: SHA-256 over its content, so that equal messages of different peers are one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 32]);

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}{:02x}", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

/// What becomes of a gossiped message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forward it.
    Accept,
    /// Drop it and hold it against the sender: only for what the sender can be blamed for.
    Reject,
    /// Drop it, and blame nobody.
    Ignore,
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The peer.
    Inbound,
    /// We.
    Outbound,
}

/// Why a peer is no longer connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// We were told to.
    Asked,
    /// We banned it.
    Banned,
    /// It is of another network.
    Foreign,
    /// The other side closed.
    Closed,
    /// It answered no pings.
    Unresponsive,
    /// The connection broke.
    Broken(String),
}

/// Why a dial came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DialError {
    /// Nobody answered at any of the addresses.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// Somebody else answered.
    #[error("found {found} there")]
    WrongPeer {
        /// Who answered.
        found: PeerId,
    },
    /// No address, or none that this transport can dial.
    #[error("no usable address")]
    NoAddress,
    /// The peer is connected, or is being dialled already.
    #[error("already connected or being dialled")]
    Already,
    /// It is ourselves.
    #[error("that is this node itself")]
    Ourselves,
    /// We banned it.
    #[error("banned")]
    Banned,
    /// Our connection limits are reached.
    #[error("connection limit reached: {0}")]
    Full(String),
}

impl DialError {
    /// Whose fault it is. An unreachable address is the moment's: the peer did not necessarily give it.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Unreachable(_) | Self::WrongPeer { .. } => Fault::Moment,
            Self::NoAddress | Self::Already | Self::Ourselves | Self::Banned | Self::Full(_) => Fault::Ours,
        }
    }
}
