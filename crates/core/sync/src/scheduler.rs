//! Who is asked, and for how much. Pure arithmetic over link estimates.

use core::num::NonZeroU32;

use alys_chain::HeightRange;
use alys_wire::{PeerId, limits};

use crate::link::Link;

/// How many headers one request asks for: as many as the wire allows.
pub const HEADERS_PER_REQUEST: u32 = limits::MAX_HEADERS_PER_REQUEST;
/// What a header with its certificate costs on the wire, about.
pub const HEADER_BYTES: u64 = 300;
/// How many peers are asked for headers at once. Headers are a hundredth of the bytes: two or three peers keep ahead of
/// the bodies, and each more is another branch to join.
pub const HEADER_LEASES: usize = 3;
/// How far the skeleton runs ahead of what is durable: some seconds of the fastest import, 3 MB of headers.
pub const SKELETON_AHEAD: u64 = 8192;
/// How many bodies one request names: as many as the wire allows. Small blocks are limited by this, large ones by the chunk's bytes.
pub const BODIES_PER_REQUEST: u64 = limits::MAX_BODIES_PER_REQUEST as u64;
/// Requests for bodies in flight with one peer: the second one hides the round trip. More would only queue there.
pub const BODY_LEASES_PER_PEER: usize = 2;
/// The greatest body: what the head of the line may cost. The chain's limit.
pub const MAX_BODY_BYTES: u64 = limits::MAX_BODY_BYTES as u64;

/// A peer that could be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Which.
    pub peer: PeerId,
    /// How fast it is.
    pub link: Link,
    /// Bytes that it has to send before.
    pub owed: u64,
}

/// The offer that finishes `bytes` more the earliest; among equals the lowest id.
pub fn earliest(offers: impl Iterator<Item = Offer>, bytes: u64) -> Option<Offer> {
    offers.min_by_key(|offer| (offer.link.expected(offer.owed.saturating_add(bytes)), offer.peer))
}

/// How many requests for bodies a peer may have in flight: one until it was measured.
#[must_use]
pub const fn body_leases(link: &Link) -> usize {
    if link.is_measured() { BODY_LEASES_PER_PEER } else { 1 }
}

/// How many bodies of this expected cost to ask for at once, within `free` bytes of budget.
#[must_use]
pub fn chunk(link: &Link, cost: u64, free: u64) -> u64 {
    let cost = cost.max(1);
    let by_speed = (link.chunk_bytes() / cost).max(1);
    by_speed.min(free / cost).min(BODIES_PER_REQUEST)
}

/// How many headers to ask for of this range; `None` if it is empty.
#[must_use]
pub fn header_count(range: HeightRange) -> Option<NonZeroU32> {
    let most = u64::from(HEADERS_PER_REQUEST);
    u32::try_from(range.len().min(most)).ok().and_then(NonZeroU32::new)
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use alys_chain::Height;

    use super::*;

    fn peer(n: u8) -> PeerId {
        PeerId::from_bytes(&[n]).unwrap()
    }

    fn link(bandwidth: u64, rtt_ms: u64) -> Link {
        let mut link = Link::default();
        link.learn_rtt(Duration::from_millis(rtt_ms));
        for _ in 0..8 {
            link.learn_bandwidth(bandwidth, Duration::from_secs(1));
        }
        link
    }

    #[test]
    fn the_lowest_range_goes_to_who_finishes_it_earliest() {
        let near = Offer { peer: peer(1), link: link(1_000_000, 10), owed: 0 };
        let fast = Offer { peer: peer(2), link: link(10_000_000, 200), owed: 0 };
        let pick = |near, fast, bytes| earliest([near, fast].into_iter(), bytes).map(|o| o.peer);
        assert_eq!(pick(near, fast, 1_000), Some(peer(1)), "10 ms of round trip win");
        assert_eq!(pick(near, fast, 1_000_000), Some(peer(2)), "bandwidth wins");
        let busy = Offer { owed: 5_000_000, ..near };
        assert_eq!(pick(busy, fast, 1_000), Some(peer(2)), "a queue counts");
        assert_eq!(pick(near, Offer { peer: peer(0), ..near }, 1), Some(peer(0)));
        assert_eq!(earliest(core::iter::empty(), 1), None);
    }

    #[test]
    fn chunks_follow_speed_size_and_budget() {
        let fast = link(10_000_000, 10);
        assert_eq!(chunk(&fast, 100_000, u64::MAX), 35);
        assert_eq!(chunk(&fast, 100_000, 1_000_000), 10);
        assert_eq!(chunk(&fast, 300, u64::MAX), BODIES_PER_REQUEST);
        assert_eq!(chunk(&fast, 100_000_000, u64::MAX), 1, "one block at least");
        assert_eq!(chunk(&fast, 100_000, 99_999), 0, "but not beyond the budget");
        assert_eq!(chunk(&fast, 0, 5), 5);
    }

    #[test]
    fn one_request_until_measured_then_two() {
        assert_eq!(body_leases(&Link::default()), 1);
        assert_eq!(body_leases(&link(1, 1)), 2);
    }

    #[test]
    fn headers_are_asked_for_in_ranges_of_512() {
        let count = |n: u64| header_count(HeightRange::new(Height(1), Height(1 + n))).map(NonZeroU32::get);
        assert_eq!((count(0), count(1), count(512), count(9_999)), (None, Some(1), Some(512), Some(512)));
    }
}
