//! The door of the machine: what comes in, what goes out.

use core::fmt;
use core::time::Duration;

use alys_chain::AuthorityIndex;
use alys_wire::{Address, PeerId};

use crate::observation::Observation;

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The peer.
    Inbound,
    /// We.
    Outbound,
}

/// Why a peer is no longer connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// We wanted it.
    Asked,
    /// The other side closed.
    Closed,
    /// The connection broke, or the peer no longer answered.
    Broken,
    /// It belongs to another network.
    Foreign,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The transport listens: dialing may begin.
    Started,
    /// Each second.
    Tick,
    /// The first connection to this peer stands.
    Connected {
        /// Who.
        peer: PeerId,
        /// The address at the other end.
        address: Address,
        /// Who called.
        direction: Direction,
    },
    /// The last connection to this peer is gone.
    Disconnected {
        /// Who.
        peer: PeerId,
        /// Why.
        reason: DisconnectReason,
    },
    /// An [`Action::Dial`] came to nothing.
    DialFailed {
        /// Who was expected there, as in the action.
        peer: Option<PeerId>,
        /// What was tried, as in the action.
        addresses: Vec<Address>,
    },
    /// Somebody (the peer itself or a third party) says that it listens there.
    Discovered {
        /// Who.
        peer: PeerId,
        /// Where.
        addresses: Vec<Address>,
    },
    /// A peer did something.
    Observed {
        /// Who.
        peer: PeerId,
        /// What.
        what: Observation,
    },
    /// The federation handshake proved that this peer acts for an authority of the present set.
    ClaimVerified {
        /// Who.
        peer: PeerId,
        /// Which authority.
        authority: AuthorityIndex,
    },
    /// The authority set changed: every claim is to be made anew.
    FederationChanged,
    /// Command: ban, whatever the score. Authorities and trusted peers too: the operator knows better.
    Ban {
        /// Whom.
        peer: PeerId,
        /// How long; at most [`MAX_BAN`](crate::bans::MAX_BAN).
        period: Duration,
    },
    /// Command: lift the ban and forget the offences.
    Unban {
        /// Whom.
        peer: PeerId,
    },
    /// Command: treat as trusted (kept connected, never banned for what it does) or as ordinary again.
    Trust {
        /// Whom.
        peer: PeerId,
        /// Trusted or ordinary.
        on: bool,
        /// Where it listens, if that is known.
        addresses: Vec<Address>,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect. Ends in [`Event::Connected`] or [`Event::DialFailed`].
    Dial {
        /// Who is expected there; anyone if `None` (a bootnode without an id).
        peer: Option<PeerId>,
        /// Where to try.
        addresses: Vec<Address>,
    },
    /// Close all connections to the peer.
    Disconnect {
        /// Whom.
        peer: PeerId,
    },
    /// Close all connections to the peer, and refuse it from now on, in gossip as well.
    Ban {
        /// Whom.
        peer: PeerId,
    },
    /// Refuse it no longer.
    Unban {
        /// Whom.
        peer: PeerId,
    },
    /// Make the peer explicit in gossip and exempt from limits, or ordinary again.
    Explicit {
        /// Whom.
        peer: PeerId,
        /// Explicit or ordinary.
        on: bool,
    },
    /// Write this to disk, in place of the last one.
    Save(Vec<u8>),
}

impl fmt::Display for Action {
    /// In a line, for logs: what is long is counted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Save(bytes) => write!(f, "Save({} bytes)", bytes.len()),
            other => write!(f, "{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_to_be_saved_is_not_printed() {
        assert_eq!(Action::Save(vec![0; 1_000]).to_string(), "Save(1000 bytes)");
        let peer = PeerId::from_bytes(&[1]).unwrap();
        assert_eq!(Action::Ban { peer }.to_string(), format!("Ban {{ peer: {peer:?} }}"));
    }
}
