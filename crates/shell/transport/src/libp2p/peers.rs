//! Who is connected, who is being dialled, and why somebody left.

use core::time::Duration;
use std::collections::BTreeMap;

use alys_wire::Address;
use libp2p::PeerId;
use libp2p::swarm::ConnectionId;
use tokio::time::Instant;

use super::address;
use crate::api::{DialError, DisconnectReason};

/// After so many pings without an answer, one behind the other, a connection is given up. One may be behind a great deal of data.
const MAX_LOST_PINGS: u32 = 2;

/// How long a connected peer may take to name itself. libp2p asks at once and waits 60 s by itself; an answer behind 16 MiB on a line of
/// 1 MB/s takes 16 s.
const NAME_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Peer {
    since: Instant,
    named: bool,
    /// Why we are closing, if we are.
    leaving: Option<DisconnectReason>,
    lost_pings: u32,
}

/// A dial of ours that has not ended.
#[derive(Debug)]
pub(super) struct Dial {
    pub peer: Option<PeerId>,
    pub addresses: Vec<Address>,
}

/// The state that the driver keeps of peers.
#[derive(Debug, Default)]
pub(super) struct Peers {
    connected: BTreeMap<PeerId, Peer>,
    dials: BTreeMap<ConnectionId, Dial>,
}

impl Peers {
    pub fn connected(&mut self, peer: PeerId, now: Instant) {
        self.connected.insert(peer, Peer { since: now, named: false, leaving: None, lost_pings: 0 });
    }

    /// The peer said who it is, and is of our network.
    pub fn named(&mut self, peer: &PeerId) {
        if let Some(peer) = self.connected.get_mut(peer) {
            peer.named = true;
        }
    }

    /// Those that had their time to say who they are, and did not.
    pub fn unnamed(&self, now: Instant) -> Vec<PeerId> {
        let overdue = |peer: &Peer| !peer.named && now.saturating_duration_since(peer.since) >= NAME_WITHIN;
        self.connected.iter().filter(|(_, peer)| overdue(peer)).map(|(id, _)| *id).collect()
    }

    pub fn is_connected(&self, peer: &PeerId) -> bool {
        self.connected.contains_key(peer)
    }

    /// Notes why we are about to close the connections to the peer; the first reason counts. Whether it is connected.
    pub fn leave(&mut self, peer: &PeerId, reason: DisconnectReason) -> bool {
        let Some(peer) = self.connected.get_mut(peer) else { return false };
        peer.leaving.get_or_insert(reason);
        true
    }

    /// The last connection is gone; why, as far as we know, or as the connection says.
    pub fn disconnected(&mut self, peer: &PeerId, cause: Option<String>) -> DisconnectReason {
        let ours = self.connected.remove(peer).and_then(|peer| peer.leaving);
        ours.unwrap_or_else(|| cause.map_or(DisconnectReason::Closed, DisconnectReason::Broken))
    }

    pub fn ping_answered(&mut self, peer: &PeerId) {
        if let Some(peer) = self.connected.get_mut(peer) {
            peer.lost_pings = 0;
        }
    }

    /// Counts a lost ping; whether the peer is to be given up.
    pub fn ping_lost(&mut self, peer: &PeerId) -> bool {
        self.connected.get_mut(peer).is_some_and(|peer| {
            peer.lost_pings += 1;
            peer.lost_pings >= MAX_LOST_PINGS
        })
    }

    pub fn dialling(&mut self, connection: ConnectionId, dial: Dial) {
        self.dials.insert(connection, dial);
    }

    /// The dial of ours that this connection or failure ends; none if it was not ours.
    pub fn dialled(&mut self, connection: &ConnectionId) -> Option<Dial> {
        self.dials.remove(connection)
    }
}

/// What ended a connection, if it was not simply closed. libp2p tells a farewell from a failure by its text only.
pub(super) fn cause(of: Option<&libp2p::swarm::ConnectionError>) -> Option<String> {
    let text = root(of?);
    let farewell = text == "connection is closed" || text.contains("closed by peer");
    (!farewell).then_some(text)
}

/// What a failed dial means.
pub(super) fn dial_error(of: &libp2p::swarm::DialError) -> DialError {
    use libp2p::swarm::DialError as Theirs;
    match of {
        // We never dial without an address, but libp2p takes out those on which we listen ourselves.
        Theirs::LocalPeerId { .. } | Theirs::NoAddresses => DialError::Ourselves,
        Theirs::DialPeerConditionFalse(_) => DialError::Already,
        Theirs::Aborted => DialError::Unreachable("aborted".to_owned()),
        Theirs::WrongPeerId { obtained, .. } => DialError::WrongPeer { found: address::peer(obtained) },
        Theirs::Denied { cause } => denied(cause),
        Theirs::Transport(errors) => {
            let texts: Vec<_> = errors.iter().map(|(at, error)| format!("{at}: {}", root(error))).collect();
            DialError::Unreachable(texts.join("; "))
        }
    }
}

fn denied(cause: &libp2p::swarm::ConnectionDenied) -> DialError {
    let chain =
        std::iter::successors(Some(cause as &(dyn std::error::Error + 'static)), |error| error.source());
    let last = chain.last().map(ToString::to_string).unwrap_or_default();
    let blocked =
        std::error::Error::source(cause).is_some_and(|cause| cause.is::<libp2p::allow_block_list::Blocked>());
    if blocked { DialError::Banned } else { DialError::Full(last) }
}

/// The innermost cause: what the system said.
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_to_leave_is_the_one_that_is_told() {
        let mut peers = Peers::default();
        let peer = PeerId::random();
        assert!(!peers.leave(&peer, DisconnectReason::Asked), "not connected");
        peers.connected(peer, Instant::now());
        assert!(peers.leave(&peer, DisconnectReason::Foreign));
        assert!(peers.leave(&peer, DisconnectReason::Banned));
        assert_eq!(peers.disconnected(&peer, Some("reset".to_owned())), DisconnectReason::Foreign);
        assert!(!peers.is_connected(&peer));
    }

    #[test]
    fn without_a_reason_of_ours_the_connection_tells_why() {
        let mut peers = Peers::default();
        let peer = PeerId::random();
        peers.connected(peer, Instant::now());
        assert_eq!(
            peers.disconnected(&peer, Some("reset".to_owned())),
            DisconnectReason::Broken("reset".to_owned())
        );
        peers.connected(peer, Instant::now());
        assert_eq!(peers.disconnected(&peer, None), DisconnectReason::Closed);
    }

    #[test]
    fn who_does_not_name_itself_in_time_is_found() {
        let mut peers = Peers::default();
        let (silent, polite, now) = (PeerId::random(), PeerId::random(), Instant::now());
        peers.connected(silent, now);
        peers.connected(polite, now);
        peers.named(&polite);
        peers.named(&PeerId::random());
        assert!(peers.unnamed(now + NAME_WITHIN - Duration::from_millis(1)).is_empty());
        assert_eq!(peers.unnamed(now + NAME_WITHIN), [silent]);
    }

    #[test]
    fn a_single_lost_ping_is_forgiven() {
        let mut peers = Peers::default();
        let peer = PeerId::random();
        assert!(!peers.ping_lost(&peer), "not connected");
        peers.connected(peer, Instant::now());
        assert!(!peers.ping_lost(&peer));
        peers.ping_answered(&peer);
        assert!(!peers.ping_lost(&peer));
        assert!(peers.ping_lost(&peer));
    }
}
