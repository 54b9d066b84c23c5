//! Connections: dialled, identified, pinged, closed, broken, given up.

use core::time::Duration;

use alys_wire::{Address, PeerId, protocol};
use tokio::time::Instant;

use super::hub::{Action, Dial, Hub, Peer};
use super::links::chance;
use crate::api::{DialError, Direction, DisconnectReason, Event};

/// How often a round trip is measured.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// After how long a silent link is noticed: two pings that time out, as over sockets.
const SILENCE: Duration = Duration::from_secs(50);
/// How long a dial over a link that is down takes to fail.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// The size of a handshake's messages in bytes, for links of little bandwidth.
const HANDSHAKE_BYTES: usize = 1500;
/// How many peers one look around names, as in Kademlia.
const FOUND: usize = 20;

impl Hub {
    pub fn dial(&mut self, me: PeerId, peer: Option<PeerId>, addresses: Vec<Address>) {
        let usable: Vec<_> =
            addresses.iter().filter(|at| at.transport().is_some()).map(|at| at.split_peer().0).collect();
        let refused = self.refused(me, peer).or_else(|| usable.is_empty().then_some(DialError::NoAddress));
        if let Some(error) = refused {
            self.tell(me, Event::DialFailed { peer, addresses, error });
            return;
        }
        // To a known peer there is one dial, to the first address where somebody is; to unknown ones there is one each.
        let found =
            usable.iter().find(|at| self.places.get(*at).is_some_and(|to| self.nodes.contains_key(to)));
        let tried = match peer {
            Some(_) => vec![found.or(usable.first()).cloned().unwrap_or_else(|| Address(String::new()))],
            None => usable,
        };
        for to in tried {
            let dial = Dial { peer, addresses: addresses.clone(), to };
            self.set_out(me, dial);
        }
    }

    /// Why we do not even try.
    fn refused(&self, me: PeerId, peer: Option<PeerId>) -> Option<DialError> {
        let (node, peer) = (self.nodes.get(&me)?, peer?);
        if peer == me {
            return Some(DialError::Ourselves);
        }
        if node.banned.contains(&peer) {
            return Some(DialError::Banned);
        }
        node.peers.contains_key(&peer).then_some(DialError::Already)
    }

    fn set_out(&mut self, from: PeerId, dial: Dial) {
        let to = self.places.get(&dial.to).copied().filter(|to| self.nodes.contains_key(to));
        match to {
            Some(to) if !self.links.is_down(from, to) => {
                // Three messages before both sides know each other.
                let way = self.arrival(from, to, HANDSHAKE_BYTES) - Instant::now();
                self.later(Instant::now() + way * 3, Action::Arrive { from, dial });
            }
            Some(_) => self.fail_later(from, dial, DIAL_TIMEOUT, "timeout"),
            None => self.fail_later(from, dial, self.links.default.latency * 2, "connection refused"),
        }
    }

    fn fail_later(&mut self, from: PeerId, dial: Dial, after: Duration, why: &str) {
        let error = DialError::Unreachable(format!("{}: {why}", dial.to));
        self.later(Instant::now() + after, Action::FailDial { from, dial, error });
    }

    pub fn fail_dial(&mut self, from: PeerId, dial: Dial, error: DialError) {
        self.tell(from, Event::DialFailed { peer: dial.peer, addresses: dial.addresses, error });
    }

    /// The handshake is through.
    pub fn arrive(&mut self, from: PeerId, dial: Dial) {
        let to = self.places.get(&dial.to).copied().filter(|to| self.nodes.contains_key(to));
        let Some(to) = to.filter(|&to| !self.links.is_down(from, to)) else {
            let error = DialError::Unreachable(format!("{}: reset", dial.to));
            return self.fail_dial(from, dial, error);
        };
        if dial.peer.is_some_and(|expected| expected != to) {
            return self.fail_dial(from, dial, DialError::WrongPeer { found: to });
        }
        if let Some(error) = self.refused(from, Some(to)).or_else(|| self.full(from, to, false)) {
            return self.fail_dial(from, dial, error);
        }
        self.establish(from, to);
    }

    fn full(&self, me: PeerId, other: PeerId, inbound: bool) -> Option<DialError> {
        let node = self.nodes.get(&me)?;
        let counted = || node.peers.iter().filter(|(peer, _)| !node.explicit.contains(peer));
        let all = counted().count();
        let from_outside = counted().filter(|(_, peer)| peer.inbound).count();
        let full = all >= node.limits.established as usize
            || inbound && from_outside >= node.limits.inbound as usize;
        (full && !node.explicit.contains(&other)).then(|| DialError::Full("too many connections".to_owned()))
    }

    fn establish(&mut self, from: PeerId, to: PeerId) {
        let serial = self.number();
        let kept_out = self.nodes.get(&to).is_some_and(|node| node.banned.contains(&from))
            || self.full(to, from, true).is_some();
        self.connected(from, to, serial, Direction::Outbound);
        if kept_out {
            // The dialler is through with its handshake before it hears that it is not wanted.
            let at = self.arrival(to, from, 0);
            let reason = DisconnectReason::Closed;
            return self.later(at, Action::Close { at: from, about: to, serial, reason });
        }
        self.connected(to, from, serial, Direction::Inbound);
        for (at, about) in [(from, to), (to, from)] {
            let arrives = self.arrival(about, at, HANDSHAKE_BYTES);
            self.later(arrives, Action::Identify { at, about, serial });
            self.later(arrives, Action::Ping { at, about, serial });
        }
        if let Some(lifetime) = self.links.of(from, to).lifetime {
            let at = Instant::now() + chance(&mut self.rng, lifetime * 2);
            self.later(at, Action::Break { a: from, b: to, serial });
        }
    }

    fn connected(&mut self, at: PeerId, about: PeerId, serial: u64, direction: Direction) {
        let Some(address) = self.nodes.get(&about).map(|node| node.address.clone()) else { return };
        let Some(node) = self.nodes.get_mut(&at) else { return };
        let inbound = direction == Direction::Inbound;
        let before = node.peers.insert(about, Peer { serial, inbound, known: false, stream: None });
        if before.is_some() {
            // Still connected in our view: the news that the other side had left was on its way.
            self.tell(at, Event::Disconnected { peer: about, reason: DisconnectReason::Closed });
        }
        self.tell(at, Event::Connected { peer: about, address, direction });
    }

    /// Our end of this connection.
    pub fn peer_mut(&mut self, at: PeerId, about: PeerId, serial: u64) -> Option<&mut Peer> {
        self.nodes.get_mut(&at)?.peers.get_mut(&about).filter(|peer| peer.serial == serial)
    }

    fn serial(&self, at: PeerId, about: PeerId) -> Option<u64> {
        Some(self.nodes.get(&at)?.peers.get(&about)?.serial)
    }

    pub fn identify(&mut self, at: PeerId, about: PeerId, serial: u64) {
        let Some(other) = self.nodes.get(&about) else { return };
        let (theirs, agent, address) = (other.genesis, other.agent.clone(), other.address.clone());
        let Some(ours) = self.nodes.get(&at).map(|node| node.genesis) else { return };
        let Some(peer) = self.peer_mut(at, about, serial) else { return };
        if ours == theirs {
            peer.known = true;
            let (protocol, addresses) = (protocol::identify(theirs), vec![address]);
            return self.tell(at, Event::Identified { peer: about, agent, protocol, addresses });
        }
        self.tell(at, Event::Foreign { peer: about, ours, theirs: Some(theirs) });
        self.disconnect(at, about, DisconnectReason::Foreign);
    }

    pub fn ping(&mut self, at: PeerId, about: PeerId, serial: u64) {
        if self.peer_mut(at, about, serial).is_none() {
            return;
        }
        if !self.links.is_down(at, about) {
            let link = self.links.of(at, about);
            let rtt =
                link.latency * 2 + chance(&mut self.rng, link.jitter) + chance(&mut self.rng, link.jitter);
            self.tell(at, Event::Rtt { peer: about, rtt });
        }
        self.later(Instant::now() + PING_INTERVAL, Action::Ping { at, about, serial });
    }

    /// Leaves on purpose: the other side hears of it.
    pub fn disconnect(&mut self, me: PeerId, peer: PeerId, reason: DisconnectReason) {
        let Some(serial) = self.serial(me, peer) else { return };
        self.close(me, peer, serial, reason);
        self.close_later(peer, me, serial, DisconnectReason::Closed);
    }

    fn close_later(&mut self, at: PeerId, about: PeerId, serial: u64, reason: DisconnectReason) {
        let when = self.arrival(about, at, 0);
        self.later(when, Action::Close { at, about, serial, reason });
    }

    /// Our end is gone.
    pub fn close(&mut self, at: PeerId, about: PeerId, serial: u64, reason: DisconnectReason) {
        if self.peer_mut(at, about, serial).is_some() {
            // With it its stream, and what was asked on it.
            self.with(at, |node| drop(node.peers.remove(&about)));
            self.tell(at, Event::Disconnected { peer: about, reason });
        }
    }

    pub fn broken(&mut self, a: PeerId, b: PeerId, serial: u64) {
        for (at, about) in [(a, b), (b, a)] {
            self.close(at, about, serial, DisconnectReason::Broken("connection reset".to_owned()));
        }
    }

    pub fn break_connection(&mut self, a: PeerId, b: PeerId) {
        if let Some(serial) = self.serial(a, b) {
            self.broken(a, b, serial);
        }
    }

    pub fn ban(&mut self, me: PeerId, peer: PeerId) {
        self.disconnect(me, peer, DisconnectReason::Banned);
        self.with(me, |node| {
            node.banned.insert(peer);
        });
    }

    /// Goes with a goodbye.
    pub fn stop(&mut self, me: PeerId) {
        self.go(me, &DisconnectReason::Closed);
    }

    /// Goes without one; the system tells the peers.
    pub fn crash(&mut self, me: PeerId) {
        self.go(me, &DisconnectReason::Broken("connection reset".to_owned()));
    }

    fn go(&mut self, me: PeerId, reason: &DisconnectReason) {
        let Some(node) = self.nodes.remove(&me) else { return };
        for (&peer, end) in &node.peers {
            self.close_later(peer, me, end.serial, reason.clone());
        }
    }

    /// Links went up or down. Connections over those that are down will be given up, unless they come up before.
    pub fn links_changed(&mut self) {
        let mut silent = Vec::new();
        for (&at, node) in &self.nodes {
            let ends = node.peers.iter().filter(|(about, _)| self.links.is_down(at, **about));
            silent.extend(ends.map(|(&about, end)| (at, about, end.serial)));
        }
        for (at, about, serial) in silent {
            self.later(Instant::now() + SILENCE, Action::GiveUp { at, about, serial });
        }
        self.opened.notify_waiters();
    }

    pub fn give_up(&mut self, at: PeerId, about: PeerId, serial: u64) {
        if self.links.is_down(at, about) {
            self.close(at, about, serial, DisconnectReason::Unresponsive);
        }
    }

    /// Tells a node of the peers of its peers.
    pub fn look_around(&mut self, at: PeerId, incarnation: u64) {
        if !self.is_running(at, incarnation) {
            return;
        }
        for peer in self.peers_of_peers(at) {
            if let Some(address) = self.nodes.get(&peer).map(|node| node.address.clone()) {
                self.tell(at, Event::Discovered { peer, addresses: vec![address] });
            }
        }
        if let Some(every) = self.nodes.get(&at).and_then(|node| node.discovery) {
            self.later(Instant::now() + every, Action::LookAround { at, incarnation });
        }
    }

    fn peers_of_peers(&self, me: PeerId) -> Vec<PeerId> {
        let known = |of: &PeerId| {
            let peers = self.nodes.get(of).into_iter().flat_map(|node| &node.peers);
            peers.filter(|(_, end)| end.known).map(|(&peer, _)| peer).collect::<Vec<_>>()
        };
        let mut found: Vec<_> =
            known(&me).iter().filter(|peer| !self.links.is_down(me, **peer)).flat_map(known).collect();
        found.retain(|&peer| peer != me);
        found.sort_unstable();
        found.dedup();
        found.truncate(FOUND);
        found
    }
}
