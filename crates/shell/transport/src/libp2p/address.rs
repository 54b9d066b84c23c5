//! Names and addresses, from the form of this project into that of libp2p and back.

use alys_wire::{Address, PeerId};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId as Libp2pPeer};

/// Our name for a peer of libp2p.
pub(super) fn peer(of: &Libp2pPeer) -> PeerId {
    PeerId::from_bytes(&of.to_bytes())
        .expect("a peer id has at most 44 bytes, libp2p limits the multihash to 64 with small codes only")
}

/// libp2p's name for a peer; `None` if these bytes are no multihash that names a peer.
pub(super) fn to_libp2p(of: PeerId) -> Option<Libp2pPeer> {
    Libp2pPeer::from_bytes(of.as_bytes()).ok()
}

/// The text of an address, without the peer's name at its end: that travels beside it.
pub(super) fn address(of: &Multiaddr) -> Address {
    let mut bare = of.clone();
    if matches!(bare.iter().last(), Some(Protocol::P2p(_))) {
        bare.pop();
    }
    Address(bare.to_string())
}

/// The address in a text, without the peer's name at its end.
pub(super) fn parse(of: &Address) -> Option<Multiaddr> {
    let mut parsed: Multiaddr = of.0.parse().ok()?;
    if matches!(parsed.iter().last(), Some(Protocol::P2p(_))) {
        parsed.pop();
    }
    (!parsed.is_empty()).then_some(parsed)
}

/// Those that can be parsed, in order.
pub(super) fn parse_all(addresses: &[Address]) -> Vec<Multiaddr> {
    addresses.iter().filter_map(parse).collect()
}

/// All of them as text.
pub(super) fn to_text<'a>(addresses: impl IntoIterator<Item = &'a Multiaddr>) -> Vec<Address> {
    addresses.into_iter().map(address).collect()
}
