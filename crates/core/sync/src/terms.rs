//! By which terms a peer is asked: how much at once, how much in flight, how long it may take. They follow from its link, and each change that is
//! worth telling is told with its reason.
//!
//! - **Owns**: nothing; [`Terms`] are a function of the estimate. **In**: the link. **Out**: its terms, and whether they are others than before.
//! - **On failure**: none. All terms have bounds, which stand beside them in [`link`](crate::link) and [`scheduler`](crate::scheduler).

use core::fmt;
use core::time::Duration;

use serde::Serialize;

use crate::link::Link;

/// Terms are others when one of them is this many times larger or smaller: below that they follow every answer, and nobody wants to read that.
const TELLING_FACTOR: u32 = 2;

/// The terms of one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Terms {
    /// Bytes asked for at once: a third of a second or so of its line.
    pub chunk_bytes: u64,
    /// Bytes that may be in flight: as many as keep its line busy.
    pub in_flight_bytes: u64,
    /// How long a request for one chunk may take.
    pub timeout: Duration,
}

/// Why terms changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It sent faster or slower than was thought.
    Bandwidth,
    /// Its first byte came sooner or later than was thought.
    RoundTrip,
    /// A request was not answered in time: half the speed is assumed.
    TimedOut,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bandwidth => "its bandwidth",
            Self::RoundTrip => "its round trip",
            Self::TimedOut => "a request that was not answered in time",
        })
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chunk_bytes, in_flight_bytes, timeout } = self;
        write!(
            f,
            "{} KB at once, {} KB in flight, {} ms",
            chunk_bytes / 1_000,
            in_flight_bytes / 1_000,
            timeout.as_millis()
        )
    }
}

impl Terms {
    /// What follows from this estimate.
    #[must_use]
    pub fn of(link: &Link) -> Self {
        let (chunk_bytes, in_flight_bytes) = (link.chunk_bytes(), link.window());
        Self { chunk_bytes, in_flight_bytes, timeout: link.timeout(in_flight_bytes) }
    }

    /// Whether these are so far from others that it is worth telling.
    #[must_use]
    pub fn differ(&self, others: &Self) -> bool {
        let factor = u64::from(TELLING_FACTOR);
        let far = |a: u64, b: u64| a >= b.saturating_mul(factor) || b >= a.saturating_mul(factor);
        far(self.chunk_bytes, others.chunk_bytes)
            || far(self.in_flight_bytes, others.in_flight_bytes)
            || self.timeout >= others.timeout.saturating_mul(TELLING_FACTOR)
            || others.timeout >= self.timeout.saturating_mul(TELLING_FACTOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_follow_the_link_within_their_bounds() {
        let mut link = Link::default();
        let first = Terms::of(&link);
        assert_eq!(first.to_string(), "350 KB at once, 650 KB in flight, 2850 ms");
        link.learn_rtt(Duration::from_millis(250));
        assert!(!Terms::of(&link).differ(&first));
        (0..8).for_each(|_| link.learn_bandwidth(1 << 40, Duration::from_secs(1)));
        let fast = Terms::of(&link);
        assert_eq!(fast.chunk_bytes, crate::link::MAX_CHUNK_BYTES);
        assert!(fast.differ(&first) && first.differ(&fast));
        (0..60).for_each(|_| link.learn_timeout());
        assert_eq!(Terms::of(&link).timeout, Duration::from_millis(2_550));
        assert_eq!(Terms::of(&link).chunk_bytes, 3_500);
    }

    #[test]
    fn a_timeout_alone_is_worth_telling() {
        let terms = Terms { chunk_bytes: 100, in_flight_bytes: 200, timeout: Duration::from_secs(1) };
        assert!(!Terms { chunk_bytes: 199, ..terms }.differ(&terms));
        assert!(Terms { chunk_bytes: 50, ..terms }.differ(&terms));
        assert!(Terms { timeout: Duration::from_secs(2), ..terms }.differ(&terms));
        assert!(terms.differ(&Terms { timeout: Duration::from_secs(2), ..terms }));
    }

    #[test]
    fn every_reason_is_told_in_words() {
        let all = [Reason::Bandwidth, Reason::RoundTrip, Reason::TimedOut];
        assert!(all.iter().all(|reason| !reason.to_string().is_empty()));
    }
}
