//! Whom to dial, and when again.

use core::time::Duration;
use std::collections::BTreeMap;

use alys_chain::Moment;
use alys_wire::{IpPrefix, PeerId};
use rand_core::Rng;

use crate::book::{Book, Entry};
use crate::event::Direction;

/// The wait after the first failure. Not shorter: a peer that restarts needs a second or two. Not longer: so does a federation's slot.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait for a peer that we know by hearsay only: it may never have existed.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// The longest wait for a peer that was connected once, and for a bootnode: a partition should be over within a minute after its cause.
pub(crate) const LONGEST_KNOWN_WAIT: Duration = Duration::from_secs(30);
/// The longest wait for an authority or a trusted peer: the chain needs them back within some slots.
const LONGEST_PROTECTED_WAIT: Duration = Duration::from_secs(15);
/// A dial without a result for so long counts as failed: twice what a transport needs to time out.
const DIAL_LOST: Duration = Duration::from_secs(60);
/// A connection that stood for less than this counts as a failure, or a peer that hangs up at once would be dialled each second.
pub(crate) const STABLE_AFTER: Duration = Duration::from_secs(10);
/// Ordinary outbound connections into one neighbourhood: whoever owns a subnet must not own our view of the chain.
const OUTBOUND_PER_PREFIX: usize = 2;
/// Dials at the same time: a burst would look like a scan, and fill the connection limits of a home router.
const MAX_DIALS: usize = 16;

/// Where we stand with dialing one peer or place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dialing {
    failures: u32,
    not_before: Moment,
    running_since: Option<Moment>,
}

impl Dialing {
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    pub const fn not_before(&self) -> Moment {
        self.not_before
    }

    pub const fn is_running(&self) -> bool {
        self.running_since.is_some()
    }

    /// Whether it may be dialled now.
    pub fn is_due(&self, now: Moment) -> bool {
        !self.is_running() && self.not_before <= now
    }

    pub fn start(&mut self, now: Moment) {
        self.running_since = Some(now);
    }

    /// Whether its result is overdue.
    pub fn is_lost(&self, now: Moment) -> bool {
        self.running_since.is_some_and(|since| now.since(since) >= DIAL_LOST)
    }

    pub fn succeeded(&mut self) {
        self.running_since = None;
    }

    /// The connection stood long enough: the failures before it are history.
    pub fn proved(&mut self) {
        self.failures = 0;
    }

    /// Backs off: twice as long each time, half of it by chance, so that nodes that lost each other do not return in step.
    pub fn failed(&mut self, now: Moment, longest: Duration, rng: &mut impl Rng) {
        let doubled = FIRST_WAIT.saturating_mul(1 << self.failures.min(16)).min(longest);
        let half = u64::try_from(doubled.as_millis() / 2).unwrap_or(u64::MAX);
        let jitter = rng.next_u64() % half.max(1);
        self.failures = self.failures.saturating_add(1);
        self.running_since = None;
        self.not_before = now.after(doubled / 2).after(Duration::from_millis(jitter));
    }

    /// Not again before `later`.
    pub fn pause(&mut self, later: Moment) {
        self.running_since = None;
        self.not_before = later;
    }
}

/// The longest wait before this peer is dialled again.
pub(crate) fn longest_wait(entry: &Entry) -> Duration {
    match entry {
        _ if entry.is_protected() => LONGEST_PROTECTED_WAIT,
        _ if entry.bootnode || entry.last_seen.is_some() => LONGEST_KNOWN_WAIT,
        _ => LONGEST_WAIT,
    }
}

/// Whom to dial now: every authority and trusted peer that is not connected, and ordinary ones up to `outbound` connections.
pub(crate) fn choose(
    book: &Book,
    now: Moment,
    outbound: usize,
    refused: impl Fn(PeerId, &Entry) -> bool,
    rng: &mut impl Rng,
) -> Vec<PeerId> {
    let mut room =
        MAX_DIALS.saturating_sub(book.iter().filter(|(_, entry)| entry.dialing.is_running()).count());
    let idle = |entry: &Entry| {
        entry.connection.is_none() && entry.dialing.is_due(now) && !entry.addresses.is_empty()
    };
    let due = || book.iter().filter(|(peer, entry)| idle(entry) && !refused(*peer, entry));

    let mut chosen: Vec<PeerId> =
        due().filter(|(_, entry)| entry.is_protected()).map(|(peer, _)| peer).take(room).collect();
    room -= chosen.len();

    let mut taken = outbound_prefixes(book);
    let mut wanted = outbound.saturating_sub(taken.values().sum()).min(room);
    if wanted == 0 {
        return chosen;
    }
    // Those that worked before come first, then by lot: what an attacker whispers to us last must not be what we dial next.
    let mut ordinary: Vec<_> = due()
        .filter(|(_, entry)| !entry.is_protected())
        .map(|(peer, entry)| {
            ((entry.dialing.failures(), entry.last_seen.is_none(), rng.next_u64()), peer, entry)
        })
        .collect();
    ordinary.sort_unstable_by_key(|(rank, peer, _)| (*rank, *peer));
    for (_, peer, entry) in ordinary {
        if wanted == 0 {
            break;
        }
        let place = quota_key(entry);
        let crowd = taken.entry(place).or_default();
        if *crowd < OUTBOUND_PER_PREFIX || place.is_none() {
            *crowd += 1;
            wanted -= 1;
            chosen.push(peer);
        }
    }
    chosen
}

/// The neighbourhood that counts for the quota; none for this machine itself and for names.
fn quota_key(entry: &Entry) -> Option<IpPrefix> {
    entry.prefix().filter(|prefix| !prefix.is_loopback())
}

/// Ordinary outbound connections, standing or being made, by neighbourhood.
fn outbound_prefixes(book: &Book) -> BTreeMap<Option<IpPrefix>, usize> {
    let mut taken = BTreeMap::new();
    for (_, entry) in book.iter().filter(|(_, entry)| !entry.is_protected()) {
        let outbound = entry.connection.as_ref().is_some_and(|c| c.direction == Direction::Outbound);
        if outbound || entry.dialing.is_running() {
            *taken.entry(quota_key(entry)).or_default() += 1;
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use alys_chain::UnixMillis;
    use alys_wire::Address;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::book::Connection;

    fn peer(n: u8) -> PeerId {
        PeerId::from_bytes(&[n]).unwrap()
    }

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(1)
    }

    /// A book with peer `n` at the n-th of these addresses.
    fn book(hosts: &[&str]) -> Book {
        let mut book = Book::new(100);
        for (n, host) in (1..).zip(hosts) {
            let entry = book.insert(peer(n));
            entry.addresses = vec![Address(format!("/ip4/{host}/tcp/1"))];
        }
        book
    }

    fn chosen(book: &Book, outbound: usize) -> Vec<PeerId> {
        choose(book, Moment::START, outbound, |_, _| false, &mut rng())
    }

    #[test]
    fn as_many_as_are_wanted() {
        let book = book(&["10.0.1.1", "10.0.2.1", "10.0.3.1"]);
        assert_eq!(chosen(&book, 2).len(), 2);
        assert_eq!(chosen(&book, 9).len(), 3);
        assert!(chosen(&book, 0).is_empty());
    }

    #[test]
    fn two_into_one_neighbourhood_but_any_number_on_this_machine() {
        assert_eq!(chosen(&book(&["10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.4"]), 9).len(), 2);
        assert_eq!(chosen(&book(&["127.0.0.1", "127.0.0.1", "127.0.0.1"]), 9).len(), 3);
    }

    #[test]
    fn connections_that_stand_or_are_being_made_count() {
        let mut book = book(&["10.0.1.1", "10.0.2.1", "10.0.3.1"]);
        let connection = Connection { prefix: None, direction: Direction::Outbound, since: Moment::START };
        book.get_mut(peer(1)).unwrap().connection = Some(connection);
        book.get_mut(peer(2)).unwrap().dialing.start(Moment::START);
        assert_eq!(chosen(&book, 3), [peer(3)]);
        assert!(chosen(&book, 2).is_empty());
    }

    #[test]
    fn protected_peers_are_dialled_beyond_the_quota() {
        let mut book = book(&["10.0.1.1", "10.0.1.2", "10.0.1.3"]);
        book.get_mut(peer(2)).unwrap().trusted = true;
        assert_eq!(chosen(&book, 0), [peer(2)]);
    }

    #[test]
    fn who_worked_before_comes_first() {
        let mut book = book(&["10.0.1.1", "10.0.2.1", "10.0.3.1", "10.0.4.1"]);
        book.get_mut(peer(3)).unwrap().last_seen = Some(UnixMillis(1));
        assert_eq!(chosen(&book, 1), [peer(3)]);
    }

    #[test]
    fn who_is_refused_backing_off_or_without_address_is_not_dialled() {
        let mut book = book(&["10.0.1.1", "10.0.2.1", "10.0.3.1"]);
        book.get_mut(peer(1)).unwrap().addresses.clear();
        book.get_mut(peer(2)).unwrap().dialing.failed(Moment::START, LONGEST_WAIT, &mut rng());
        assert!(choose(&book, Moment::START, 9, |who, _| who == peer(3), &mut rng()).is_empty());
    }

    #[test]
    fn not_all_at_once() {
        let hosts: Vec<String> = (0..40).map(|n| format!("10.0.{n}.1")).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        assert_eq!(chosen(&book(&hosts), 40).len(), MAX_DIALS);
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let (mut dialing, mut rng) = (Dialing::default(), rng());
        let mut previous = Duration::ZERO;
        for n in 0..40u32 {
            dialing.failed(Moment::START, LONGEST_WAIT, &mut rng);
            let wait = dialing.not_before().since(Moment::START);
            let full = FIRST_WAIT.saturating_mul(1 << n.min(16)).min(LONGEST_WAIT);
            assert!(wait >= full / 2 && wait <= full, "{n}: {wait:?}");
            assert!(wait * 2 >= previous, "{n}: {wait:?} after {previous:?}");
            previous = wait;
        }
    }

    #[test]
    fn a_dial_without_result_is_lost_after_a_minute() {
        let mut dialing = Dialing::default();
        dialing.start(Moment::START);
        assert!(!dialing.is_lost(Moment(Duration::from_secs(59))));
        assert!(dialing.is_lost(Moment(Duration::from_secs(60))));
    }
}
