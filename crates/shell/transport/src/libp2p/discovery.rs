//! Finding peers: the network's address book (Kademlia), and multicast in a local network (mDNS).
//!
//! The book holds only addresses that a peer of this network named itself over a connection to it. It says whom one could dial; who is
//! dialled is decided elsewhere.

use std::collections::BTreeMap;
use std::io;

use alys_chain::BlockId;
use alys_wire::protocol;
use libp2p::kad::store::MemoryStore;
use libp2p::kad::{self, BucketInserts, Mode, QueryResult};
use libp2p::{Multiaddr, PeerId, mdns};

use super::address;
use super::behaviour::stream_protocol;
use crate::api::Event;

/// How many addresses of one peer are passed on. A node has one or two, some more behind several interfaces.
pub(super) const MAX_ADDRESSES: usize = 16;

/// The address book of this network. Peers get into it by [`learn`] only.
pub(super) fn book(us: PeerId, genesis: BlockId) -> kad::Behaviour<MemoryStore> {
    let mut config = kad::Config::new(stream_protocol(protocol::discovery(genesis)));
    config.set_kbucket_inserts(BucketInserts::Manual).set_periodic_bootstrap_interval(None);
    let mut book = kad::Behaviour::with_config(us, MemoryStore::new(us), config);
    // Otherwise nobody is asked anything before an address of ours is confirmed from outside, which never happens in a small network.
    book.set_mode(Some(Mode::Server));
    book
}

/// Multicast in the local network.
pub(super) fn local(us: PeerId) -> io::Result<mdns::tokio::Behaviour> {
    mdns::tokio::Behaviour::new(mdns::Config::default(), us)
}

/// Enters what a connected peer of this network said of itself.
pub(super) fn learn(book: &mut kad::Behaviour<MemoryStore>, peer: &PeerId, addresses: &[Multiaddr]) {
    for address in addresses.iter().take(MAX_ADDRESSES) {
        book.add_address(peer, address.clone());
    }
}

/// Asks the network for peers near a random place.
pub(super) fn look_around(book: &mut kad::Behaviour<MemoryStore>) {
    book.get_closest_peers(PeerId::random());
}

/// The peers that an answer of the book names, ourselves excepted.
pub(super) fn found(event: kad::Event, us: &PeerId) -> Vec<Event> {
    let kad::Event::OutboundQueryProgressed { result: QueryResult::GetClosestPeers(result), .. } = event
    else {
        return Vec::new();
    };
    let peers = match result {
        Ok(found) => found.peers,
        Err(kad::GetClosestPeersError::Timeout { peers, .. }) => peers,
    };
    let others = peers.into_iter().filter(|peer| peer.peer_id != *us && !peer.addrs.is_empty());
    others.map(|peer| discovered(&peer.peer_id, &peer.addrs)).collect()
}

/// The peers that multicast found.
pub(super) fn found_nearby(event: mdns::Event) -> Vec<Event> {
    let mdns::Event::Discovered(found) = event else { return Vec::new() };
    let mut peers: BTreeMap<PeerId, Vec<Multiaddr>> = BTreeMap::new();
    for (peer, at) in found {
        peers.entry(peer).or_default().push(at);
    }
    peers.iter().map(|(peer, addresses)| discovered(peer, addresses)).collect()
}

fn discovered(peer: &PeerId, addresses: &[Multiaddr]) -> Event {
    let addresses = address::to_text(addresses.iter().take(MAX_ADDRESSES));
    Event::Discovered { peer: address::peer(peer), addresses }
}
