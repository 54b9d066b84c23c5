//! What a strategy sees: who could be asked, and which bodies nobody was asked for yet.

use std::collections::BTreeMap;

use alys_chain::HeightRange;
use alys_sync::HeightRanges;
use alys_wire::PeerId;

/// So many requests in a row that brought nothing bench a peer.
const STRIKES: u32 = 3;

/// What is known of a peer.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Requests for bodies in flight.
    busy: u32,
    /// Requests in a row that brought nothing.
    strikes: u32,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Board {
    peers: BTreeMap<PeerId, Known>,
    /// Heights whose bodies are neither here nor asked for, within the window.
    pub missing: HeightRanges,
}

impl Board {
    /// A peer is there.
    pub fn connect(&mut self, peer: PeerId) {
        self.peers.entry(peer).or_default();
    }

    /// A peer is gone.
    pub fn disconnect(&mut self, peer: PeerId) {
        self.peers.remove(&peer);
    }

    /// A peer has one more request for bodies.
    pub fn ask(&mut self, peer: PeerId, range: HeightRange) {
        self.missing.remove(range);
        if let Some(known) = self.peers.get_mut(&peer) {
            known.busy += 1;
        }
    }

    /// A peer has one request for bodies less.
    pub fn done(&mut self, peer: PeerId) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.busy = known.busy.saturating_sub(1);
        }
    }

    /// A request brought something, or nothing. When nobody is left that could be asked, everybody may try again.
    pub fn judge(&mut self, peer: PeerId, brought_something: bool) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.strikes = if brought_something { 0 } else { known.strikes + 1 };
        if self.usable().next().is_none() {
            self.peers.values_mut().for_each(|known| known.strikes = 0);
        }
    }

    /// Whoever is not benched.
    pub fn usable(&self) -> impl Iterator<Item = PeerId> {
        self.peers.iter().filter(|(_, known)| known.strikes < STRIKES).map(|(&peer, _)| peer)
    }

    /// Whoever is not benched and has no request for bodies.
    pub fn idle(&self) -> impl Iterator<Item = PeerId> {
        self.usable().filter(|peer| self.peers.get(peer).is_some_and(|known| known.busy == 0))
    }

    /// The next lowest missing heights, up to `size` for each of these peers.
    pub fn deal(&self, peers: impl Iterator<Item = PeerId>, size: u64) -> Vec<(PeerId, HeightRange)> {
        let mut missing = self.missing.clone();
        let deal = |peer| {
            let range = missing.lowest(size)?;
            missing.remove(range);
            Some((peer, range))
        };
        peers.map_while(deal).collect()
    }
}
