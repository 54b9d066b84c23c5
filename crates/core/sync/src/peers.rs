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

use crate::link::Link;

/// The first rest after a failure; doubles with each one in a row. Long enough that the range goes elsewhere first.
const FIRST_REST: Duration = Duration::from_secs(1);
/// The longest rest: a peer that recovered is tried again within a minute.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// The longest rest that a peer may ask for.
const LONGEST_RETRY: Duration = alys_wire::limits::MAX_RETRY_AFTER;
/// The shortest rest that a peer may ask for: less would be a busy loop.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);

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
    /// When its last byte came.
    pub last_byte: Moment,
    failures: u32,
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

    /// How many requests in a row came to nothing.
    #[must_use]
    pub const fn strikes(&self) -> u32 {
        self.failures
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

    /// It did not deliver: it rests, longer each time.
    pub fn fail(&mut self, now: Moment) {
        let rest = FIRST_REST.saturating_mul(1 << self.failures.min(6)).min(LONGEST_REST);
        self.failures = self.failures.saturating_add(1);
        self.rests_until = self.rests_until.max(now.after(rest));
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
