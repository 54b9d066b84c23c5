//! The peers that are connected: what each offers, and when it may be asked.

use core::time::Duration;
use std::collections::BTreeMap;

use alys_chain::{BlockRef, Moment};
use alys_wire::PeerId;

/// The rest after a failure; doubles with each one in a row.
const FIRST_REST: Duration = Duration::from_secs(1);

/// The longest rest: a server that recovered is tried again within a minute.
const LONGEST_REST: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Default)]
struct Server {
    offers: Vec<BlockRef>,
    /// When it was last asked for them.
    asked: Option<Moment>,
    rests_until: Moment,
    failures: u32,
    /// It has served wrong bytes.
    excluded: bool,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Servers(BTreeMap<PeerId, Server>);

impl Servers {
    /// A peer is there; what was held against it stays.
    pub fn connected(&mut self, peer: PeerId) {
        self.0.entry(peer).or_default();
    }

    /// Who served wrong bytes is remembered: coming back changes nothing.
    pub fn disconnected(&mut self, peer: PeerId) {
        match self.0.get_mut(&peer) {
            Some(server) if server.excluded => server.offers.clear(),
            _ => drop(self.0.remove(&peer)),
        }
    }

    pub fn offers(&mut self, peer: PeerId, blocks: Vec<BlockRef>) {
        if let Some(server) = self.0.get_mut(&peer).filter(|server| !server.excluded) {
            server.offers = blocks;
        }
    }

    /// It delivered.
    pub fn served(&mut self, peer: PeerId) {
        self.0.entry(peer).and_modify(|server| server.failures = 0);
    }

    /// It did not deliver, for whatever reason.
    pub fn failed(&mut self, now: Moment, peer: PeerId) {
        let Some(server) = self.0.get_mut(&peer) else { return };
        let rest = FIRST_REST.saturating_mul(1 << server.failures.min(6)).min(LONGEST_REST);
        server.failures = server.failures.saturating_add(1);
        server.rests_until = server.rests_until.max(now.after(rest));
    }

    /// It wants to be left alone.
    pub fn rest(&mut self, now: Moment, peer: PeerId, rest: Duration) {
        if let Some(server) = self.0.get_mut(&peer) {
            let rest = rest.clamp(Duration::from_millis(100), alys_wire::limits::MAX_RETRY_AFTER);
            server.rests_until = server.rests_until.max(now.after(rest));
        }
    }

    /// It is asked for nothing any more.
    pub fn exclude(&mut self, peer: PeerId) {
        let server = self.0.entry(peer).or_default();
        server.excluded = true;
        server.offers.clear();
    }

    /// It was asked for something.
    pub fn asked(&mut self, now: Moment, peer: PeerId, for_offers: bool) {
        if let Some(server) = self.0.get_mut(&peer).filter(|_| for_offers) {
            server.asked = Some(now);
        }
    }

    /// Who has not said for a while what it offers.
    pub fn to_be_asked(&self, now: Moment, every: Duration) -> Vec<PeerId> {
        let due = |server: &Server| server.asked.is_none_or(|asked| now.since(asked) >= every);
        let ready = |server: &Server| !server.excluded && server.rests_until <= now && due(server);
        self.0.iter().filter(|(_, server)| ready(server)).map(|(peer, _)| *peer).collect()
    }

    /// Who offers this state.
    pub fn offering(&self, block: &BlockRef) -> impl Iterator<Item = PeerId> {
        self.0.iter().filter(|(_, server)| server.offers.contains(block)).map(|(peer, _)| *peer)
    }

    /// Who offers this state and may be asked now, the most reliable first.
    pub fn ready(&self, now: Moment, block: &BlockRef) -> Vec<PeerId> {
        let ready = |server: &Server| server.rests_until <= now && server.offers.contains(block);
        let mut peers: Vec<(u32, PeerId)> = self
            .0
            .iter()
            .filter(|(_, server)| ready(server))
            .map(|(peer, server)| (server.failures, *peer))
            .collect();
        peers.sort_unstable();
        peers.into_iter().map(|(_, peer)| peer).collect()
    }

    /// Whether anybody offers anything.
    pub fn offer_anything(&self) -> bool {
        self.all_offers().next().is_some()
    }

    /// All offers of all peers.
    pub fn all_offers(&self) -> impl Iterator<Item = &BlockRef> {
        self.0.values().flat_map(|server| &server.offers)
    }
}
