//! Everybody we know of, bounded.
//!
//! Peers come into it by word of mouth, so an attacker can fill it. It therefore gives way in this order: peers that were never
//! connected, then those not seen for longest, those that offended last of all; never one that is connected, dialled or named
//! by the operator. Bans are kept elsewhere.

use std::collections::BTreeMap;

use alys_chain::{AuthorityIndex, Moment, UnixMillis};
use alys_wire::{Address, IpPrefix, PeerId};

use crate::dialing::Dialing;
use crate::event::Direction;
use crate::score::{Misbehaviour, Performance};

/// Addresses kept a peer: both transports over both versions of IP, twice. More would let one peer fill the book.
pub(crate) const MAX_ADDRESSES: usize = 8;

/// What a peer is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It proved that it acts for an authority of the present set.
    Federation(AuthorityIndex),
    /// The operator trusts it.
    Trusted,
    /// Everybody else.
    Full,
}

/// A live connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    pub prefix: Option<IpPrefix>,
    pub direction: Direction,
    pub since: Moment,
}

/// What we know of one peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// Where it is said to listen, the best first.
    pub addresses: Vec<Address>,
    pub authority: Option<AuthorityIndex>,
    pub trusted: bool,
    /// The operator named it as a place to begin.
    pub bootnode: bool,
    pub connection: Option<Connection>,
    /// When a connection to it last stood.
    pub last_seen: Option<UnixMillis>,
    pub dialing: Dialing,
    pub performance: Performance,
    pub misbehaviour: Misbehaviour,
}

impl Entry {
    pub fn class(&self) -> Class {
        match (self.authority, self.trusted) {
            (Some(authority), _) => Class::Federation(authority),
            (None, true) => Class::Trusted,
            (None, false) => Class::Full,
        }
    }

    /// Authorities and trusted peers: kept connected, and spared from bans.
    pub fn is_protected(&self) -> bool {
        self.class() != Class::Full
    }

    /// Protected peers and bootnodes: they never leave the book.
    pub fn is_named(&self) -> bool {
        self.is_protected() || self.bootnode
    }

    /// Adds addresses that this system can dial, without the peer's id and without doubles; true if any is new.
    pub fn learn(&mut self, addresses: &[Address]) -> bool {
        let before = self.addresses.len();
        for address in addresses {
            let (place, _) = address.split_peer();
            let room = self.addresses.len() < MAX_ADDRESSES;
            if room && place.port().is_some() && !self.addresses.contains(&place) {
                self.addresses.push(place);
            }
        }
        self.addresses.len() > before
    }

    /// Puts the address that just worked to the front.
    pub fn prefer(&mut self, address: &Address) {
        let (place, _) = address.split_peer();
        if place.port().is_none() {
            return;
        }
        self.addresses.retain(|known| *known != place);
        self.addresses.insert(0, place);
        self.addresses.truncate(MAX_ADDRESSES);
    }

    /// The neighbourhood that it is connected from, or else listens in.
    pub fn prefix(&self) -> Option<IpPrefix> {
        let connected = self.connection.as_ref().and_then(|connection| connection.prefix);
        connected.or_else(|| self.addresses.iter().find_map(Address::prefix))
    }
}

/// The peers, by id.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    entries: BTreeMap<PeerId, Entry>,
    limit: usize,
}

impl Book {
    pub const fn new(limit: usize) -> Self {
        Self { entries: BTreeMap::new(), limit }
    }

    pub fn get(&self, peer: PeerId) -> Option<&Entry> {
        self.entries.get(&peer)
    }

    pub fn get_mut(&mut self, peer: PeerId) -> Option<&mut Entry> {
        self.entries.get_mut(&peer)
    }

    pub fn iter(&self) -> impl Iterator<Item = (PeerId, &Entry)> {
        self.entries.iter().map(|(peer, entry)| (*peer, entry))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (PeerId, &mut Entry)> {
        self.entries.iter_mut().map(|(peer, entry)| (*peer, entry))
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn connected(&self) -> impl Iterator<Item = (PeerId, &Entry)> {
        self.iter().filter(|(_, entry)| entry.connection.is_some())
    }

    /// The entry of a peer that has to have one: it is connected, or the operator or a saved book named it. Others give way.
    pub fn insert(&mut self, peer: PeerId) -> &mut Entry {
        if !self.entries.contains_key(&peer) {
            while self.entries.len() >= self.limit && self.evict(true) {}
        }
        self.entries.entry(peer).or_default()
    }

    /// The entry of a peer that we only heard of; `None` if there is no room. Hearsay pushes out nothing but hearsay.
    pub fn hear_of(&mut self, peer: PeerId) -> Option<&mut Entry> {
        if !self.entries.contains_key(&peer) && self.entries.len() >= self.limit && !self.evict(false) {
            return None;
        }
        Some(self.entries.entry(peer).or_default())
    }

    /// Removes the peer that is missed least; one that was connected once only if `seen_too`.
    fn evict(&mut self, seen_too: bool) -> bool {
        let victim = self
            .iter()
            .filter(|(_, entry)| {
                entry.connection.is_none() && !entry.is_named() && !entry.dialing.is_running()
            })
            .filter(|(_, entry)| seen_too || entry.last_seen.is_none())
            .min_by_key(|(peer, entry)| {
                let offended = !entry.misbehaviour.is_clean();
                (offended, entry.last_seen, u32::MAX - entry.dialing.failures(), *peer)
            })
            .map(|(peer, _)| peer);
        victim.is_some_and(|peer| self.entries.remove(&peer).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> PeerId {
        PeerId::from_bytes(&[n]).unwrap()
    }

    fn address(text: &str) -> Address {
        Address(text.to_owned())
    }

    #[test]
    fn only_what_can_be_dialled_is_learnt_and_only_so_much() {
        let mut entry = Entry::default();
        assert!(!entry.learn(&[address("/memory/1"), address("nonsense")]));
        let with_id = address("/ip4/10.0.0.1/tcp/1").with_peer(peer(9));
        assert!(entry.learn(&[with_id.clone(), with_id]));
        assert_eq!(entry.addresses, [address("/ip4/10.0.0.1/tcp/1")], "once, and without the id");
        let many: Vec<_> = (0..99).map(|port| address(&format!("/ip4/10.0.0.2/tcp/{port}"))).collect();
        entry.learn(&many);
        assert_eq!(entry.addresses.len(), MAX_ADDRESSES);
    }

    #[test]
    fn what_worked_comes_first() {
        let mut entry = Entry::default();
        entry.learn(&[address("/ip4/10.0.0.1/tcp/1"), address("/ip4/10.0.0.1/tcp/2")]);
        entry.prefer(&address("/ip4/10.0.0.1/tcp/2"));
        entry.prefer(&address("odd"));
        assert_eq!(entry.addresses, [address("/ip4/10.0.0.1/tcp/2"), address("/ip4/10.0.0.1/tcp/1")]);
    }

    #[test]
    fn hearsay_pushes_out_nothing_but_hearsay() {
        let mut book = Book::new(3);
        book.insert(peer(1)).last_seen = Some(UnixMillis(5));
        book.insert(peer(2)).last_seen = Some(UnixMillis(9));
        assert!(book.hear_of(peer(3)).is_some());
        assert!(book.hear_of(peer(4)).is_some());
        assert!(book.get(peer(3)).is_none(), "the earlier hearsay gave way");
        book.get_mut(peer(4)).unwrap().last_seen = Some(UnixMillis(1));
        assert!(book.hear_of(peer(5)).is_none(), "no room");
    }

    #[test]
    fn whoever_connects_finds_room_and_the_longest_unseen_gives_way() {
        let mut book = Book::new(2);
        book.insert(peer(1)).last_seen = Some(UnixMillis(5));
        book.insert(peer(2)).last_seen = Some(UnixMillis(4));
        book.insert(peer(3));
        assert_eq!(book.iter().map(|(peer, _)| peer).collect::<Vec<_>>(), [peer(1), peer(3)]);
    }

    #[test]
    fn nobody_that_matters_gives_way() {
        let mut book = Book::new(4);
        book.insert(peer(1)).trusted = true;
        book.insert(peer(2)).authority = Some(AuthorityIndex(0));
        book.insert(peer(3)).connection =
            Some(Connection { prefix: None, direction: Direction::Inbound, since: Moment::START });
        book.insert(peer(4)).bootnode = true;
        assert!(book.hear_of(peer(5)).is_none());
        book.insert(peer(6));
        assert_eq!(book.len(), 5, "whoever connects has a place even so");
        book.get_mut(peer(3)).unwrap().connection = None;
        book.insert(peer(7));
        assert_eq!(
            book.iter().map(|(peer, _)| peer).collect::<Vec<_>>(),
            [1, 2, 4, 7].map(peer),
            "and the rest shrinks again"
        );
    }

    #[test]
    fn an_offender_is_remembered_longest() {
        let mut book = Book::new(2);
        book.insert(peer(1)).misbehaviour.add(Moment::START, crate::Offence::Malformed);
        book.insert(peer(2)).last_seen = Some(UnixMillis(9));
        book.insert(peer(3)).last_seen = Some(UnixMillis(10));
        assert!(book.get(peer(1)).is_some() && book.get(peer(2)).is_none());
    }
}
