//! The machine: one door, one method an event. Judging is in [`crate::judge`], what can be asked of it in [`crate::view`].

use core::time::Duration;
use std::collections::BTreeMap;

use alys_chain::{AuthorityIndex, Moment, UnixMillis};
use alys_wire::{Address, PeerId};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use crate::bans::{Bans, MAX_BAN};
use crate::book::{Book, Class, Connection, Entry};
use crate::dialing::{self, Dialing, LONGEST_KNOWN_WAIT, STABLE_AFTER};
use crate::event::{Action, Direction, DisconnectReason, Event};
use crate::settings::Settings;
use crate::suspicion::Suspicion;

/// How often the book is saved while it changes. A crash loses no more than this of what was learnt.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);
/// How often it is saved while peers are banned. Not at once: an attacker with many identities must not make us write megabytes for each.
const BAN_SAVE_INTERVAL: Duration = Duration::from_secs(5);
/// After so many failed dials only the first address is kept (the one that worked last, if any did): hearsay must not crowd out the truth.
const DOUBTFUL_AFTER: u32 = 3;
/// A peer of another network is not dialled again for so long.
const FOREIGN_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// Decides whom to talk to. Deterministic: the same settings and events give the same actions.
#[derive(Debug)]
pub struct PeerMachine {
    pub(crate) settings: Settings,
    pub(crate) book: Book,
    pub(crate) bans: Bans,
    pub(crate) failures: Suspicion,
    pub(crate) offences: Suspicion,
    /// Bootnodes of which only the address is known.
    unnamed: Vec<(Address, Dialing)>,
    rng: ChaCha8Rng,
    pub(crate) changed: bool,
    pub(crate) bans_changed: bool,
    saved_at: Moment,
}

impl PeerMachine {
    /// A machine that knows nobody but the bootnodes.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let mut machine = Self {
            book: Book::new(settings.max_book),
            bans: Bans::default(),
            failures: Suspicion::default(),
            offences: Suspicion::default(),
            unnamed: Vec::new(),
            rng: ChaCha8Rng::seed_from_u64(settings.seed),
            changed: false,
            bans_changed: false,
            saved_at: Moment::START,
            settings,
        };
        for address in machine.settings.bootnodes.clone() {
            machine.add_bootnode(address);
        }
        machine
    }

    /// Takes what happened; gives what is to be done.
    pub fn step(&mut self, now: Moment, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        match event {
            Event::Started => self.on_started(now, &mut out),
            Event::Tick => self.on_tick(now, &mut out),
            Event::Connected { peer, address, direction } => {
                out.extend(self.on_connected(now, peer, &address, direction));
            }
            Event::Disconnected { peer, reason } => self.on_disconnected(now, peer, reason),
            Event::DialFailed { peer, addresses } => self.on_dial_failed(now, peer, &addresses),
            Event::Discovered { peer, addresses } => self.on_discovered(peer, &addresses),
            Event::Observed { peer, what } => self.on_observed(now, peer, what, &mut out),
            Event::ClaimVerified { peer, authority } => self.on_claim(peer, authority, &mut out),
            Event::FederationChanged => self.on_federation_changed(&mut out),
            Event::Ban { peer, period } => self.on_ban(now, peer, period, &mut out),
            Event::Unban { peer } => self.on_unban(peer, &mut out),
            Event::Trust { peer, on, addresses } => self.on_trust(peer, on, &addresses, &mut out),
        }
        out
    }

    /// The wall clock at this moment.
    pub(crate) fn wall(&self, now: Moment) -> UnixMillis {
        let since_start = u64::try_from(now.0.as_millis()).unwrap_or(u64::MAX);
        UnixMillis(self.settings.epoch.0.saturating_add(since_start))
    }

    fn add_bootnode(&mut self, address: Address) {
        match address.peer() {
            Some(peer) if peer == self.settings.local => {}
            Some(peer) => {
                let entry = self.book.insert(peer);
                entry.bootnode = true;
                entry.learn(&[address]);
            }
            None => self.unnamed.push((address, Dialing::default())),
        }
    }

    fn on_started(&mut self, now: Moment, out: &mut Vec<Action>) {
        let banned = self.bans.iter().filter(|(_, ban)| ban.active).map(|(peer, _)| Action::Ban { peer });
        out.extend(banned);
        self.on_tick(now, out);
    }

    fn on_tick(&mut self, now: Moment, out: &mut Vec<Action>) {
        out.extend(self.bans.expire(now).into_iter().map(|peer| Action::Unban { peer }));
        self.review_connections(now);
        self.dial(now, out);
        self.dial_unnamed(now, out);
        self.save(now, out);
    }

    /// Counts what has stood long enough as a success, and dials without a result as failed.
    fn review_connections(&mut self, now: Moment) {
        let Self { book, rng, unnamed, .. } = self;
        for (_, entry) in book.iter_mut() {
            let longest = dialing::longest_wait(entry);
            if entry.connection.as_ref().is_some_and(|c| now.since(c.since) >= STABLE_AFTER) {
                entry.dialing.proved();
            }
            if entry.dialing.is_lost(now) {
                entry.dialing.failed(now, longest, rng);
            }
        }
        for (_, dialing) in unnamed.iter_mut().filter(|(_, dialing)| dialing.is_lost(now)) {
            dialing.failed(now, LONGEST_KNOWN_WAIT, rng);
        }
    }

    fn dial(&mut self, now: Moment, out: &mut Vec<Action>) {
        let refused_prefixes = self.bans.refused_prefixes();
        let refused = |peer: PeerId, entry: &Entry| {
            let from_bad_place = || entry.prefix().is_some_and(|prefix| refused_prefixes.contains(&prefix));
            self.bans.of(peer).is_some() || is_stranger(entry) && from_bad_place()
        };
        for peer in dialing::choose(&self.book, now, self.settings.outbound, refused, &mut self.rng) {
            if let Some(entry) = self.book.get_mut(peer) {
                entry.dialing.start(now);
                out.push(Action::Dial { peer: Some(peer), addresses: entry.addresses.clone() });
            }
        }
    }

    /// Bootnodes without an id are dialled while we have too few connections.
    fn dial_unnamed(&mut self, now: Moment, out: &mut Vec<Action>) {
        if self.book.connected().count() >= self.settings.outbound {
            return;
        }
        for (address, dialing) in self.unnamed.iter_mut().filter(|(_, dialing)| dialing.is_due(now)) {
            dialing.start(now);
            out.push(Action::Dial { peer: None, addresses: vec![address.clone()] });
        }
    }

    fn on_connected(
        &mut self,
        now: Moment,
        peer: PeerId,
        address: &Address,
        direction: Direction,
    ) -> Option<Action> {
        if direction == Direction::Outbound {
            let (place, _) = address.split_peer();
            self.unnamed.retain(|(known, _)| *known != place);
        }
        if self.bans.of(peer).is_some() {
            return Some(Action::Ban { peer });
        }
        if peer == self.settings.local || self.refuses_stranger(peer, address) {
            return Some(Action::Disconnect { peer });
        }
        let seen = self.wall(now);
        let entry = self.book.insert(peer);
        entry.connection = Some(Connection { prefix: address.prefix(), direction, since: now });
        entry.last_seen = Some(seen);
        entry.dialing.succeeded();
        if direction == Direction::Outbound {
            entry.prefer(address);
        }
        self.changed = true;
        self.make_room()
    }

    fn refuses_stranger(&self, peer: PeerId, address: &Address) -> bool {
        let known = self.book.get(peer).is_some_and(|entry| !is_stranger(entry));
        !known && address.prefix().is_some_and(|prefix| self.bans.refused_prefixes().contains(&prefix))
    }

    /// Above the limit the newest inbound connection of the most crowded neighbourhood goes.
    fn make_room(&self) -> Option<Action> {
        let ordinary = || self.book.connected().filter(|(_, entry)| !entry.is_protected());
        if ordinary().count() <= self.settings.max_peers {
            return None;
        }
        let mut crowds = BTreeMap::new();
        for (_, entry) in ordinary() {
            *crowds.entry(entry.prefix()).or_insert(0) += 1;
        }
        let inbound = ordinary().filter_map(|(peer, entry)| {
            let connection =
                entry.connection.as_ref().filter(|connection| connection.direction == Direction::Inbound)?;
            Some((crowds.get(&entry.prefix()).copied(), connection.since, peer))
        });
        inbound.max().map(|(.., peer)| Action::Disconnect { peer })
    }

    fn on_disconnected(&mut self, now: Moment, peer: PeerId, reason: DisconnectReason) {
        let seen = self.wall(now);
        let Some(entry) = self.book.get_mut(peer) else { return };
        let Some(connection) = entry.connection.take() else { return };
        entry.last_seen = Some(seen);
        self.changed = true;
        let longest = dialing::longest_wait(entry);
        let stable = now.since(connection.since) >= STABLE_AFTER;
        match reason {
            DisconnectReason::Foreign => {
                entry.last_seen = None;
                entry.dialing.pause(now.after(FOREIGN_PAUSE));
            }
            DisconnectReason::Closed | DisconnectReason::Broken if stable => entry.dialing.proved(),
            _ => entry.dialing.failed(now, longest, &mut self.rng),
        }
        if reason == DisconnectReason::Broken {
            self.note_failure(now, peer);
        }
    }

    fn on_dial_failed(&mut self, now: Moment, peer: Option<PeerId>, addresses: &[Address]) {
        let Some(peer) = peer else {
            for (_, dialing) in self.unnamed.iter_mut().filter(|(place, _)| addresses.contains(place)) {
                dialing.failed(now, LONGEST_KNOWN_WAIT, &mut self.rng);
            }
            return;
        };
        let Some(entry) = self.book.get_mut(peer) else { return };
        let longest = dialing::longest_wait(entry);
        entry.dialing.failed(now, longest, &mut self.rng);
        if entry.dialing.failures() >= DOUBTFUL_AFTER && !entry.is_named() {
            entry.addresses.truncate(1);
        }
    }

    fn on_discovered(&mut self, peer: PeerId, addresses: &[Address]) {
        let dialable = addresses.iter().any(|address| address.port().is_some());
        if peer == self.settings.local || !dialable {
            return;
        }
        if let Some(entry) = self.book.hear_of(peer) {
            self.changed |= entry.learn(addresses);
        }
    }

    fn on_claim(&mut self, peer: PeerId, authority: AuthorityIndex, out: &mut Vec<Action>) {
        let Some(entry) = self.book.get_mut(peer) else { return };
        if entry.authority.replace(authority).is_none() {
            out.push(Action::Explicit { peer, on: true });
        }
    }

    fn on_federation_changed(&mut self, out: &mut Vec<Action>) {
        for (peer, entry) in self.book.iter_mut() {
            if entry.authority.take().is_some() {
                out.push(Action::Explicit { peer, on: false });
            }
        }
    }

    fn on_ban(&mut self, now: Moment, peer: PeerId, period: Duration, out: &mut Vec<Action>) {
        self.bans.order(now, peer, period.min(MAX_BAN));
        self.bans_changed = true;
        out.push(Action::Ban { peer });
    }

    fn on_unban(&mut self, peer: PeerId, out: &mut Vec<Action>) {
        if let Some(entry) = self.book.get_mut(peer) {
            entry.misbehaviour = Default::default();
        }
        if self.bans.lift(peer) {
            out.push(Action::Unban { peer });
        }
        self.bans_changed = true;
    }

    fn on_trust(&mut self, peer: PeerId, on: bool, addresses: &[Address], out: &mut Vec<Action>) {
        let known = self.book.get(peer).map(Entry::class);
        if peer == self.settings.local || !on && known != Some(Class::Trusted) {
            return;
        }
        let entry = self.book.insert(peer);
        entry.trusted = on;
        entry.learn(addresses);
        if on && self.bans.lift(peer) {
            out.push(Action::Unban { peer });
        }
    }

    /// Saves what changed, if it is time to.
    fn save(&mut self, now: Moment, out: &mut Vec<Action>) {
        let interval = if self.bans_changed { BAN_SAVE_INTERVAL } else { SAVE_INTERVAL };
        if !(self.changed || self.bans_changed) || now.since(self.saved_at) < interval {
            return;
        }
        (self.changed, self.bans_changed, self.saved_at) = (false, false, now);
        out.push(Action::Save(self.snapshot(now)));
    }
}

/// Whether we were never connected to it and nobody vouches for it.
fn is_stranger(entry: &Entry) -> bool {
    entry.last_seen.is_none() && !entry.is_named()
}
