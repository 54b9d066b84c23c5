//! The peers that are connected, as far as sync has to know them: what they can serve, and whether they may be asked now.
//!
//! - **Owns**: for the time of a connection: proven head, link estimate, back-off.
//! - **In**: statuses, ends of leases. **Out**: who may be asked for what.
//! - **On failure**: a peer that does not deliver rests, longer each time, and starts anew with one full answer. Scores and
//!   bans are the peer book's.

use core::time::Duration;
use std::collections::BTreeMap;

use alys_chain::{AuthorityIndex, BlockRef, Height, Moment};
use alys_wire::PeerId;

use crate::link::{LEAST_BANDWIDTH, Link};
use crate::terms::Terms;

/// The first rest after a failure; doubles with each one in a row. Long enough that the range goes elsewhere first.
const FIRST_REST: Duration = Duration::from_secs(1);
/// The longest rest: a peer that recovered is tried again within a minute.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// The longest rest that a peer may ask for.
const LONGEST_RETRY: Duration = alys_wire::limits::MAX_RETRY_AFTER;
/// The shortest rest that a peer may ask for: less would be a busy loop.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);

/// So many requests that brought nothing, and none of their kind that brought something since, set a peer back: it is asked only for what nobody better can serve.
const STRIKES: u32 = 3;
/// Strikes count for so long: an outage that is over excuses nobody at once, and condemns nobody for ever.
const STRIKES_FOR: Duration = Duration::from_secs(300);
/// For so long those of a peer that has served bodies: it is worth a try that may cost a request. Otherwise, where many stall now and then, one that
/// did not yet would serve everything alone.
const STRIKES_OF_A_SERVER_FOR: Duration = Duration::from_secs(30);

/// So long a peer that owes bodies may send less than the slowest useful rate allows: a connection that recovers from losses needs a second or two.
const DRIP_FOR: Duration = Duration::from_secs(3);
/// What it has to send in that time.
const DRIP_BYTES: u64 = LEAST_BANDWIDTH * DRIP_FOR.as_secs();

/// What a peer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Headers.
    Headers,
    /// Bodies.
    Bodies,
}

/// One connected peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Which authority it is, if it proved to be one.
    pub authority: Option<AuthorityIndex>,
    /// The best block that it has proven; `None` before that, and while it has genesis only.
    pub head: Option<BlockRef>,
    /// The lowest height whose body it can serve.
    pub earliest: Height,
    /// When it last told its status.
    pub status_at: Option<Moment>,
    /// When it was last asked for it.
    pub asked_at: Option<Moment>,
    /// How fast it is.
    pub link: Link,
    /// The terms that were told last; `None` before the first change.
    pub told: Option<Terms>,
    /// When its last byte came.
    pub last_byte: Moment,
    /// Whether a range of its headers was found good.
    pub has_served_headers: bool,
    /// Whether a body of it was found good.
    pub has_served_bodies: bool,
    /// When it last refused a request.
    pub refused: Option<Moment>,
    /// When it last delivered an answer.
    pub delivered: Moment,
    /// Since when it has to send, and what came since: a window that begins anew whenever enough came.
    sending: Moment,
    sent: u64,
    failures: u32,
    fruitless: [u32; 2],
    struck: Moment,
    /// When a request last ended by time.
    silent: Option<Moment>,
    rests_until: Moment,
}

impl Peer {
    /// Whether it may be asked now.
    #[must_use]
    pub fn is_ready(&self, now: Moment) -> bool {
        self.rests_until <= now
    }

    /// When it may be asked again.
    #[must_use]
    pub const fn rests_until(&self) -> Moment {
        self.rests_until
    }

    /// How many requests came to nothing since one of their kind brought something.
    #[must_use]
    pub fn strikes(&self) -> u32 {
        self.fruitless.into_iter().fold(0, u32::saturating_add)
    }

    /// Whether its last request of this kind brought nothing.
    #[must_use]
    pub const fn is_struck(&self, kind: Kind) -> bool {
        self.fruitless[kind as usize] > 0
    }

    /// Whether a request of this kind may well come to nothing: the peer has never served anything good, its last one of this kind came to nothing, or none of
    /// this kind was ever good and one of the other came to nothing.
    #[must_use]
    pub fn is_doubtful(&self, kind: Kind) -> bool {
        let served = [self.has_served_headers, self.has_served_bodies];
        let is_new = served == [false; 2];
        is_new || self.is_struck(kind) || (self.strikes() > 0 && !served[kind as usize])
    }

    /// How far it is set back: only those with the lowest rank of all that can serve are asked.
    #[must_use]
    pub fn rank(&self, now: Moment) -> u32 {
        if self.strikes_are_old(now) {
            return 0;
        }
        self.strikes().saturating_sub(STRIKES - 1)
    }

    fn strikes_are_old(&self, now: Moment) -> bool {
        let count_for = if self.has_served_bodies { STRIKES_OF_A_SERVER_FOR } else { STRIKES_FOR };
        now.since(self.struck) >= count_for
    }

    /// A request that was made at `asked` ended by time. Whether that is news: those that were out when another one ended like that are the same
    /// silence.
    pub fn fall_silent(&mut self, now: Moment, asked: Moment) -> bool {
        let is_news = self.silent.is_none_or(|before| asked >= before);
        if is_news {
            self.silent = Some(now);
        }
        is_news
    }

    /// A request of this kind, made at `asked`, brought nothing. Returns how many did so since one of their kind brought something, if that sets it
    /// back. Those that were out when another one ended like that are the same silence, and count once.
    pub fn strike(&mut self, now: Moment, asked: Moment, kind: Kind) -> Option<u32> {
        if self.strikes() > 0 && asked < self.struck {
            return None;
        }
        if self.strikes_are_old(now) {
            self.fruitless = [0; 2];
        }
        self.struck = now;
        let count = &mut self.fruitless[kind as usize];
        *count = count.saturating_add(1);
        Some(self.strikes()).filter(|&strikes| strikes >= STRIKES)
    }

    /// Whether it serves bodies, and its last request for them brought some. Only then it is asked for what another one is late with: such a request is
    /// often ended before it could come to nothing, so that who withholds would not be told by it.
    #[must_use]
    pub const fn may_be_second(&self) -> bool {
        self.has_served_bodies && self.fruitless[Kind::Bodies as usize] == 0
    }

    /// A request of this kind brought what it was to bring.
    pub const fn clear(&mut self, kind: Kind) {
        self.fruitless[kind as usize] = 0;
    }

    /// It has something to send from now on.
    const fn begin_sending(&mut self, now: Moment) {
        (self.sending, self.sent) = (now, 0);
    }

    /// Bytes of bodies came.
    pub fn receive(&mut self, now: Moment, bytes: u64) {
        self.last_byte = now;
        self.sent = self.sent.saturating_add(bytes);
        if self.sent >= DRIP_BYTES {
            self.begin_sending(now);
        }
    }

    /// When a request for bodies that was made at `asked` is over, since its peer drips: it sends less than the slowest useful rate. A single body of
    /// `cost` bytes may take as long as ever.
    #[must_use]
    pub fn drips_at(&self, asked: Moment, cost: u64) -> Moment {
        self.sending.max(asked).after(DRIP_FOR.max(self.link.timeout(cost)))
    }

    /// Nobody was there for so long to see what it sends.
    pub fn postpone(&mut self, away: Duration) {
        self.last_byte = self.last_byte.after(away);
        self.sending = self.sending.after(away);
    }

    /// Silence and slowness count anew.
    pub const fn go_on(&mut self, now: Moment) {
        self.last_byte = now;
        self.begin_sending(now);
    }

    /// Whether it has proven a chain that reaches `height`.
    #[must_use]
    pub fn reaches(&self, height: Height) -> bool {
        self.head.is_some_and(|head| head.height >= height)
    }

    /// Whether it can have the body of `height`.
    #[must_use]
    pub fn has_body(&self, height: Height) -> bool {
        self.reaches(height) && self.earliest <= height
    }

    /// The terms before and now, if they are worth telling; then they are told.
    pub fn tell_terms(&mut self) -> Option<(Terms, Terms)> {
        let now = Terms::of(&self.link);
        let before = self.told.unwrap_or_else(|| Terms::of(&Link::default()));
        now.differ(&before).then(|| {
            self.told = Some(now);
            (before, now)
        })
    }

    /// It did not deliver: it rests, longer each time. What else fails while it rests was asked before: one stall of a line with eight requests is one
    /// failure, and not a rest of a minute.
    pub fn fail(&mut self, now: Moment) {
        if !self.is_ready(now) {
            return;
        }
        let rest = FIRST_REST.saturating_mul(1 << self.failures.min(6)).min(LONGEST_REST);
        self.failures = self.failures.saturating_add(1);
        self.rests_until = now.after(rest);
    }

    /// It delivered in full.
    pub const fn succeed(&mut self) {
        self.failures = 0;
    }

    /// It asked us to come later.
    pub fn defer(&mut self, now: Moment, retry_after: Duration) {
        let rest = retry_after.clamp(SHORTEST_RETRY, LONGEST_RETRY);
        self.rests_until = self.rests_until.max(now.after(rest));
    }
}

/// The connected peers, by id.
pub type Peers = BTreeMap<PeerId, Peer>;

#[cfg(test)]
mod tests {
    use alys_chain::{BlockId, Slot};

    use super::*;

    const fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    #[test]
    fn requests_that_fail_together_are_one_failure() {
        let mut peer = Peer::default();
        (0..8).for_each(|n| peer.fail(at(n)));
        assert_eq!(peer.rests_until(), at(0).after(FIRST_REST));
        peer.fail(peer.rests_until());
        assert_eq!(peer.rests_until().since(at(1_000)), FIRST_REST * 2, "the next one is the second");
    }

    #[test]
    fn a_peer_that_fails_rests_longer_each_time_until_it_delivers() {
        let mut peer = Peer::default();
        assert!(peer.is_ready(at(0)));
        let rests = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000];
        let mut now = at(0);
        for rest in rests {
            peer.fail(now);
            assert_eq!(peer.rests_until().since(now), Duration::from_millis(rest));
            assert!(!peer.is_ready(now));
            now = peer.rests_until();
            assert!(peer.is_ready(now));
        }
        peer.succeed();
        peer.fail(now);
        assert_eq!(peer.rests_until().since(now), FIRST_REST);
    }

    #[test]
    fn three_fruitless_requests_of_a_kind_set_a_peer_back_until_one_brings_something_or_time_passes() {
        let mut peer = Peer::default();
        assert_eq!(
            (peer.strike(at(0), at(0), Kind::Bodies), peer.strike(at(1), at(1), Kind::Bodies)),
            (None, None)
        );
        peer.clear(Kind::Headers);
        assert_eq!(peer.rank(at(1)), 0);
        assert_eq!(peer.strike(at(2), at(2), Kind::Bodies), Some(3), "good headers excuse no missing bodies");
        assert_eq!((peer.rank(at(2)), peer.strikes()), (1, 3));
        assert_eq!(peer.strike(at(3), at(3), Kind::Bodies), Some(4));
        assert_eq!(peer.rank(at(3)), 2);
        assert_eq!(peer.rank(at(300_003)), 0, "long ago");
        assert_eq!(peer.strike(at(300_003), at(300_003), Kind::Bodies), None, "and it begins anew");
        peer.clear(Kind::Bodies);
        assert_eq!(peer.strikes(), 0);
    }

    #[test]
    fn requests_that_end_by_one_silence_are_one_news() {
        let mut peer = Peer::default();
        assert!(peer.fall_silent(at(2_000), at(0)));
        assert!(!peer.fall_silent(at(2_000), at(500)) && !peer.fall_silent(at(2_300), at(1_900)));
        assert!(peer.fall_silent(at(4_000), at(3_000)), "asked again, and silent again");
    }

    #[test]
    fn one_silence_is_one_strike_however_many_requests_it_ends() {
        let mut peer = Peer::default();
        assert_eq!(peer.strike(at(2_000), at(0), Kind::Bodies), None);
        for asked in [100, 500, 1_900] {
            assert_eq!(peer.strike(at(2_000 + asked), at(asked), Kind::Bodies), None);
        }
        assert_eq!((peer.strikes(), peer.rank(at(4_000))), (1, 0));
        assert_eq!(peer.strike(at(5_000), at(3_000), Kind::Bodies), None);
        assert_eq!(peer.strike(at(9_000), at(6_000), Kind::Bodies), Some(3), "it is silent still");
        assert_eq!(peer.rank(at(100_000)), 1);
        peer.has_served_bodies = true;
        assert_eq!(
            [peer.rank(at(38_999)), peer.rank(at(39_000))],
            [1, 0],
            "a server is tried again before long"
        );
    }

    #[test]
    fn who_sends_less_than_the_slowest_useful_rate_drips() {
        let mut peer = Peer::default();
        peer.link.learn_rtt(Duration::from_millis(10));
        assert_eq!(peer.drips_at(at(1_000), 1_000), at(4_000), "three seconds from the request");
        peer.receive(at(3_000), DRIP_BYTES - 1);
        assert_eq!(peer.drips_at(at(1_000), 1_000), at(4_000), "not enough");
        peer.receive(at(3_500), 1);
        assert_eq!(peer.drips_at(at(1_000), 1_000), at(6_500), "enough: it begins anew");
        assert_eq!(peer.drips_at(at(4_000), 1_000), at(7_000));
        assert_eq!(peer.drips_at(at(4_000), 2_000_000), at(10_030), "one great body takes its time");
        peer.postpone(Duration::from_secs(2));
        assert_eq!(peer.drips_at(at(1_000), 1_000), at(8_500));
        peer.go_on(at(9_000));
        assert_eq!((peer.drips_at(at(1_000), 1_000), peer.last_byte), (at(12_000), at(9_000)));
    }

    #[test]
    fn who_is_good_for_one_kind_is_not_doubted_for_a_strike_of_the_other() {
        let doubts = |peer: &Peer| [peer.is_doubtful(Kind::Headers), peer.is_doubtful(Kind::Bodies)];
        let mut peer = Peer::default();
        assert_eq!(doubts(&peer), [true, true], "nobody knows it");
        peer.has_served_headers = true;
        assert_eq!(doubts(&peer), [false, false], "nothing speaks against it");
        peer.strike(at(2), at(2), Kind::Headers);
        assert_eq!(doubts(&peer), [true, true], "no body of it was ever good");
        peer.has_served_bodies = true;
        assert_eq!(doubts(&peer), [true, false]);
        peer.strike(at(4), at(4), Kind::Bodies);
        peer.clear(Kind::Headers);
        assert_eq!(doubts(&peer), [false, true]);
    }

    #[test]
    fn only_who_serves_bodies_is_asked_for_what_another_one_is_late_with() {
        let mut peer = Peer::default();
        assert!(!peer.may_be_second());
        peer.has_served_bodies = true;
        peer.strike(at(2), at(2), Kind::Headers);
        assert!(peer.may_be_second());
        peer.strike(at(2), at(2), Kind::Bodies);
        assert!(!peer.may_be_second());
        peer.clear(Kind::Bodies);
        assert!(peer.may_be_second());
    }

    #[test]
    fn retry_after_is_kept_within_bounds_and_is_no_failure() {
        let mut peer = Peer::default();
        peer.defer(at(0), Duration::ZERO);
        assert_eq!(peer.rests_until(), at(100));
        peer.defer(at(0), Duration::from_secs(3600));
        assert_eq!(peer.rests_until(), at(60_000));
        peer.defer(at(0), Duration::from_secs(1));
        assert_eq!(peer.rests_until(), at(60_000), "a shorter wish does not shorten a rest");
        peer.fail(at(60_000));
        assert_eq!(peer.rests_until(), at(61_000), "the first failure");
    }

    #[test]
    fn what_it_can_serve_is_bounded_by_proof_and_pruning() {
        let mut peer = Peer::default();
        assert!(!peer.reaches(Height(1)));
        peer.head = Some(BlockRef { slot: Slot(9), height: Height(7), id: BlockId::default() });
        peer.earliest = Height(5);
        assert!(peer.reaches(Height(7)) && !peer.reaches(Height(8)));
        assert!(peer.has_body(Height(5)) && !peer.has_body(Height(4)) && !peer.has_body(Height(8)));
    }
}
