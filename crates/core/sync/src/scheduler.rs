//! Who is asked, and for how much. Pure arithmetic over link estimates.

use core::num::NonZeroU32;

use alys_chain::HeightRange;
use alys_wire::{PeerId, limits};

use crate::link::Link;

/// How many headers one request asks for: as many as the wire allows.
pub const HEADERS_PER_REQUEST: u32 = limits::MAX_HEADERS_PER_REQUEST;
/// What a header with its certificate costs on the wire, about.
pub const HEADER_BYTES: u64 = 300;
/// How many ranges of headers are in flight at once, of all peers: at 250 ms of round trip 16 ranges fetch 30,000 headers a second. More would
/// only make the skeleton wide and full of holes.
pub const HEADER_LEASES: usize = 16;
/// How many of them one peer may have once it has served a good one. Until then it has one, so that a forger costs one verification.
const HEADER_LEASES_PER_PEER: usize = 12;
/// How far the skeleton runs ahead of what is durable at most: a second and a half of the fastest import, or six seconds of one of 5,000 blocks a second, in which
/// a lost request is noticed and repeated; 10 MB of headers.
pub const SKELETON_AHEAD: u64 = 32_768;
/// Every so many-th chunk goes to the peer that is known least, so that one that has become fast is noticed: 3 percent.
pub const EXPLORE_EVERY: u64 = 32;
/// How many bodies one request names: as many as the wire allows. Small blocks are limited by this, large ones by the chunk's bytes.
pub const BODIES_PER_REQUEST: u64 = limits::MAX_BODIES_PER_REQUEST as u64;
/// Requests for bodies in flight with one peer at most. Two chunks hide the round trip; small blocks need more requests for as many bytes, since one
/// names at most [`BODIES_PER_REQUEST`].
pub const BODY_LEASES_PER_PEER: usize = 8;
/// The greatest body: what the head of the line may cost. The chain's limit.
pub const MAX_BODY_BYTES: u64 = limits::MAX_BODY_BYTES as u64;

/// How many bodies one request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Batch {
    /// As many as the peer sends in a third of a second or so, whatever that is at the moment.
    #[default]
    Adaptive,
    /// This many of every peer, within the limits of the wire and the budget: what other systems do. Only to measure what the other gains.
    Fixed(NonZeroU32),
}

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

/// The offer that finishes its part of `bytes` more the earliest; among equals the lowest id. Nobody is given more than a chunk.
pub fn earliest(offers: impl Iterator<Item = Offer>, bytes: u64) -> Option<Offer> {
    let part = |offer: &Offer| bytes.min(offer.link.chunk_bytes());
    offers.min_by_key(|offer| (offer.link.expected(offer.owed.saturating_add(part(offer))), offer.peer))
}

/// The offer that is known least; among equals the lowest id.
pub fn least_known(offers: impl Iterator<Item = Offer>) -> Option<Offer> {
    offers.min_by_key(|offer| (offer.link.samples(), offer.peer))
}

/// Whether a peer with `leases` requests for bodies in flight may have one more: one until it was measured, then as many as keep its line busy.
/// The head of the line may go beyond by one.
#[must_use]
pub fn has_room(offer: &Offer, leases: usize, is_head: bool) -> bool {
    let extra = usize::from(is_head);
    if !offer.link.is_measured() {
        return leases < 1 + extra;
    }
    let is_idle = is_head || offer.owed < offer.link.window();
    is_idle && leases < BODY_LEASES_PER_PEER + extra
}

/// How many ranges of headers a peer may have in flight: one until it has served a good one, then as many as its line takes.
#[must_use]
pub fn header_leases(link: &Link, has_served: bool) -> usize {
    let range = HEADER_BYTES.saturating_mul(u64::from(HEADERS_PER_REQUEST));
    let fit = usize::try_from(link.window() / range).unwrap_or(usize::MAX);
    if has_served { fit.clamp(2, HEADER_LEASES_PER_PEER) } else { 1 }
}

/// How many bodies of this expected cost to ask for at once, within `free` bytes of budget.
#[must_use]
pub fn chunk(batch: Batch, link: &Link, cost: u64, free: u64) -> u64 {
    let cost = cost.max(1);
    let wanted = match batch {
        Batch::Adaptive => (link.chunk_bytes() / cost).max(1),
        Batch::Fixed(bodies) => u64::from(bodies.get()),
    };
    wanted.min(free / cost).min(BODIES_PER_REQUEST)
}

/// How many of `most` bodies are asked for while `fit` of them have room: all that have, but not less than half. Where little becomes free at a time,
/// requests for little would be many, and each of them may meet a bad moment of its peer.
#[must_use]
pub const fn at_least_half(most: u64, fit: u64) -> u64 {
    if fit >= most {
        most
    } else if fit >= most.div_ceil(2) {
        fit
    } else {
        0
    }
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
        assert_eq!(pick(near, fast, 300_000), Some(peer(2)), "bandwidth wins");
        let busy = Offer { owed: 5_000_000, ..near };
        assert_eq!(pick(busy, fast, 1_000), Some(peer(2)), "a queue counts");
        assert_eq!(pick(near, Offer { peer: peer(0), ..near }, 1), Some(peer(0)));
        assert_eq!(earliest(core::iter::empty(), 1), None);
    }

    #[test]
    fn chunks_follow_speed_size_and_budget() {
        let fast = link(10_000_000, 10);
        assert_eq!(chunk(Batch::Adaptive, &fast, 100_000, u64::MAX), 35);
        assert_eq!(chunk(Batch::Adaptive, &fast, 100_000, 1_000_000), 10);
        assert_eq!(chunk(Batch::Adaptive, &fast, 300, u64::MAX), BODIES_PER_REQUEST);
        assert_eq!(chunk(Batch::Adaptive, &fast, 100_000_000, u64::MAX), 1, "one block at least");
        assert_eq!(chunk(Batch::Adaptive, &fast, 100_000, 99_999), 0, "but not beyond the budget");
        assert_eq!(chunk(Batch::Adaptive, &fast, 0, 5), 5);
        let fixed = Batch::Fixed(NonZeroU32::new(64).unwrap());
        assert_eq!(chunk(fixed, &link(10_000, 10), 100_000, u64::MAX), 64, "whatever the peer is like");
        assert_eq!(chunk(fixed, &fast, 100_000, 1_000_000), 10);
    }

    #[test]
    fn less_than_half_of_a_request_waits_for_room() {
        let asked = [0, 4, 5, 9, 10, 11].map(|fit| at_least_half(10, fit));
        assert_eq!(asked, [0, 0, 5, 9, 10, 10]);
        assert_eq!(
            [at_least_half(1, 0), at_least_half(1, 1), at_least_half(3, 1), at_least_half(3, 2)],
            [0, 1, 0, 2]
        );
    }

    #[test]
    fn one_request_until_measured_then_as_many_as_keep_the_line_busy() {
        let offer = |link: Link, owed| Offer { peer: peer(1), link, owed };
        let new = offer(Link::default(), 0);
        assert!(has_room(&new, 0, false) && !has_room(&new, 1, false) && has_room(&new, 1, true));
        let fast = link(10_000_000, 100);
        let chunk = fast.chunk_bytes();
        assert!(has_room(&offer(fast, chunk), 1, false), "the second hides the round trip");
        assert!(!has_room(&offer(fast, 2 * chunk), 2, false), "a third would only queue");
        assert!(has_room(&offer(fast, 2 * chunk), 2, true), "the head goes beyond");
        assert!(has_room(&offer(fast, 0), 7, false) && !has_room(&offer(fast, 0), 8, false));
    }

    #[test]
    fn headers_are_pipelined_once_a_range_was_good() {
        let fast = link(40_000_000, 100);
        assert_eq!(header_leases(&fast, false), 1);
        assert_eq!(header_leases(&fast, true), HEADER_LEASES_PER_PEER);
        assert_eq!(header_leases(&link(100_000, 10), true), 2);
    }

    #[test]
    fn exploration_asks_whom_we_know_least() {
        let new = Offer { peer: peer(2), link: Link::default(), owed: 0 };
        let known = Offer { peer: peer(1), link: link(10_000_000, 10), owed: 0 };
        assert_eq!(least_known([known, new].into_iter()).map(|offer| offer.peer), Some(peer(2)));
    }

    #[test]
    fn headers_are_asked_for_in_ranges_of_512() {
        let count = |n: u64| header_count(HeightRange::new(Height(1), Height(1 + n))).map(NonZeroU32::get);
        assert_eq!((count(0), count(1), count(512), count(9_999)), (None, Some(1), Some(512), Some(512)));
    }
}
