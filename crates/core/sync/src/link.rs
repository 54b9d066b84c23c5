//! How fast a connection is at the moment, and what follows from it: how much to ask for, and how long to wait.
//!
//! - **Owns**: the estimate of a running connection, from our own requests. What is remembered of a peer beyond its
//!   connection is the peer book's; it gets the same measurements as observations.
//! - **In**: measurements. **Out**: sizes and times.
//! - **On failure**: an estimate is only an estimate: one sample changes it at most by the factors below, so that no
//!   single answer makes us ask for far too much, or wait far too long.

use core::time::Duration;

use alys_wire::limits;

/// Assumed of a connection that was never measured: a plain home link. Optimistic enough that a new peer is tried
/// with several blocks, small enough that a slow one answers within its deadline.
const FIRST_BANDWIDTH: u64 = 1_000_000;
/// Assumed before the first measurement: between continents, with a busy server.
const FIRST_RTT: Duration = Duration::from_millis(300);
/// Below this many bytes a second, a peer is not worth a wait of 10 s for one full header range (150 KB). It is the slowest rate that is useful.
pub const LEAST_BANDWIDTH: u64 = 10_000;
/// A first byte that took no longer than this is believed, however short the round trip was before: what a busy process or disk takes now and then.
const LEAST_DOUBT: Duration = Duration::from_millis(50);
/// How long one chunk should take to transfer: the middle of 0.25-0.5 s. Shorter wastes round trips; longer makes
/// the loss of one request felt.
pub const CHUNK_TIME: Duration = Duration::from_millis(350);
/// The greatest chunk in bytes: what a server ends its answer at.
pub const MAX_CHUNK_BYTES: u64 = limits::MAX_BODIES_ANSWER_BYTES as u64;
/// No transfer is measured as shorter than this: below it, the answer came in one piece, and its timing is the buffer's.
const LEAST_TRANSFER: Duration = Duration::from_millis(20);
/// An answer of fewer bytes in less time says nothing against a peer: it was asked for little.
const TELLING_BYTES: u64 = 64 << 10;
/// Nor does one that the line, as fast as it is thought to be, carries in less than this part of a second: most of its time is waiting.
const TELLING_PART: u64 = 20;
/// See [`TELLING_BYTES`].
const TELLING_TRANSFER: Duration = Duration::from_millis(250);
/// Bounds of a request's patience, in all: shorter than 0.75 s trips over a garbage collection or a lost packet; longer
/// than 10 s lets one black hole hold a range while everything waits for it.
pub const MIN_TIMEOUT: Duration = Duration::from_millis(750);
/// See [`MIN_TIMEOUT`].
pub const MAX_TIMEOUT: Duration = Duration::from_secs(10);
/// How many times the expected time we wait.
pub const PATIENCE: u32 = 3;
/// Without a byte for so long, a request has failed (unless three round trips are longer).
const SILENCE: Duration = Duration::from_secs(1);

/// The estimate of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Bytes a second.
    bandwidth: u64,
    /// From the request to the first byte of an idle peer.
    rtt: Duration,
    /// How many answers it rests on.
    samples: u32,
}

impl Default for Link {
    fn default() -> Self {
        Self { bandwidth: FIRST_BANDWIDTH, rtt: FIRST_RTT, samples: 0 }
    }
}

impl Link {
    /// Whether any answer was measured.
    #[must_use]
    pub const fn is_measured(&self) -> bool {
        self.samples > 0
    }

    /// The estimated bytes a second.
    #[must_use]
    pub const fn bandwidth(&self) -> u64 {
        self.bandwidth
    }

    /// The estimated time from the request to the first byte of an idle peer.
    #[must_use]
    pub const fn rtt(&self) -> Duration {
        self.rtt
    }

    /// How many answers the estimate rests on.
    #[must_use]
    pub const fn samples(&self) -> u32 {
        self.samples
    }

    /// Learns from an answer of `bytes` that took `transfer` from the first byte to the last one. A quarter of the
    /// difference counts, and a sample counts at most as the double (of the first ones: four times) and at least as a quarter of the estimate; the first samples
    /// count in full, so that a fast peer is known as one after a few answers.
    pub fn learn_bandwidth(&mut self, bytes: u64, transfer: Duration) {
        let micros = transfer.max(LEAST_TRANSFER).as_micros();
        let rate = u128::from(bytes).saturating_mul(1_000_000) / micros;
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        self.samples = self.samples.saturating_add(1);
        if rate < self.bandwidth
            && bytes < TELLING_BYTES.max(self.bandwidth / TELLING_PART)
            && transfer < TELLING_TRANSFER
        {
            return;
        }
        let (most, weight) = if self.samples <= 8 { (4, 1) } else { (2, 4) };
        let sample = rate.clamp(self.bandwidth / 4, self.bandwidth.saturating_mul(most));
        self.bandwidth = moved(self.bandwidth, sample, weight).max(LEAST_BANDWIDTH);
    }

    /// Learns from the time that a peer without other work took to its first byte.
    pub fn learn_rtt(&mut self, first_byte: Duration) {
        let sample = u64::try_from(first_byte.as_micros()).unwrap_or(u64::MAX);
        let now = u64::try_from(self.rtt.as_micros()).unwrap_or(u64::MAX);
        let rtt = if self.samples == 0 {
            sample
        } else {
            // A line that stood still for once is not a long one.
            let most = now.saturating_mul(2).max(u64::try_from(LEAST_DOUBT.as_micros()).unwrap_or(u64::MAX));
            moved(now, sample.min(most), 4)
        };
        self.rtt = Duration::from_micros(rtt).min(MAX_TIMEOUT);
    }

    /// Learns that a request failed by lateness: half the speed is assumed.
    pub fn learn_timeout(&mut self) {
        self.bandwidth = (self.bandwidth / 2).max(LEAST_BANDWIDTH);
    }

    /// How many bytes to ask for at once.
    #[must_use]
    pub fn chunk_bytes(&self) -> u64 {
        let bytes = u128::from(self.bandwidth).saturating_mul(CHUNK_TIME.as_millis()) / 1000;
        u64::try_from(bytes).unwrap_or(u64::MAX).min(MAX_CHUNK_BYTES)
    }

    /// How many bytes may be in flight: a chunk, and what the line carries in a round trip beside it.
    #[must_use]
    pub fn window(&self) -> u64 {
        let time = CHUNK_TIME.saturating_add(self.rtt);
        let bytes = u128::from(self.bandwidth).saturating_mul(time.as_millis()) / 1000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// How long `bytes` should take, asked now.
    #[must_use]
    pub fn expected(&self, bytes: u64) -> Duration {
        let micros = u128::from(bytes).saturating_mul(1_000_000) / u128::from(self.bandwidth.max(1));
        self.rtt.saturating_add(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
    }

    /// How long to wait for `bytes`.
    #[must_use]
    pub fn timeout(&self, bytes: u64) -> Duration {
        self.expected(bytes).saturating_mul(PATIENCE).clamp(MIN_TIMEOUT, MAX_TIMEOUT)
    }

    /// How long to wait without a byte.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.rtt.saturating_mul(PATIENCE).max(SILENCE)
    }
}

/// `from`, moved towards `to` by one part in `parts` of the way.
const fn moved(from: u64, to: u64, parts: u64) -> u64 {
    if to >= from { from.saturating_add((to - from) / parts) } else { from - (from - to) / parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_fast_peer_is_known_after_a_few_answers_and_one_sample_counts_for_little() {
        let mut link = Link::default();
        assert!(!link.is_measured());
        link.learn_bandwidth(1 << 30, ms(1));
        assert_eq!(link.bandwidth, 4_000_000);
        for _ in 0..6 {
            link.learn_bandwidth(40_000_000, ms(1000));
        }
        assert_eq!(link.bandwidth, 40_000_000);
        assert_eq!(link.chunk_bytes(), 14_000_000);
        link.learn_bandwidth(80_000_000, ms(500));
        assert_eq!(link.chunk_bytes(), MAX_CHUNK_BYTES);
    }

    #[test]
    fn later_samples_count_a_quarter() {
        let mut link = Link::default();
        for _ in 0..8 {
            link.learn_bandwidth(1_000_000, ms(1000));
        }
        link.learn_bandwidth(2_000_000, ms(1000));
        assert_eq!(link.bandwidth, 1_250_000);
        link.learn_bandwidth(0, ms(1000));
        assert_eq!(link.bandwidth, 1_250_000 - (1_250_000 - 312_500) / 4);
    }

    #[test]
    fn a_slow_peer_never_sinks_below_what_a_header_range_needs() {
        let mut link = Link::default();
        for _ in 0..20 {
            link.learn_timeout();
        }
        assert_eq!(link.bandwidth, LEAST_BANDWIDTH);
        for _ in 0..20 {
            link.learn_bandwidth(1, ms(5000));
        }
        assert_eq!(link.bandwidth, LEAST_BANDWIDTH);
        assert_eq!(link.chunk_bytes(), 3_500);
    }

    #[test]
    fn who_was_asked_for_little_is_not_slow() {
        let mut link = Link::default();
        link.learn_bandwidth(300, ms(1));
        assert_eq!(link.bandwidth, FIRST_BANDWIDTH);
        assert!(link.is_measured());
        link.learn_bandwidth(300, ms(250));
        assert_eq!(link.bandwidth, FIRST_BANDWIDTH / 4, "it took its time");
        link.learn_bandwidth(TELLING_BYTES, ms(1000));
        assert_eq!(link.bandwidth, TELLING_BYTES);
        let mut fast = Link::default();
        (0..8).for_each(|_| fast.learn_bandwidth(40_000_000, ms(1000)));
        fast.learn_bandwidth(1_999_999, ms(200));
        assert_eq!(fast.bandwidth, 40_000_000, "a twentieth of a second's worth");
        fast.learn_bandwidth(2_000_000, ms(200));
        assert_eq!(fast.bandwidth, 32_500_000);
    }

    #[test]
    fn the_round_trip_is_learned_apart() {
        let mut link = Link::default();
        link.learn_rtt(ms(40));
        assert_eq!(link.rtt, ms(40), "the first sample counts in full");
        link.learn_bandwidth(1000, ms(20));
        link.learn_rtt(ms(80));
        assert_eq!(link.rtt, ms(50));
    }

    #[test]
    fn timeouts_follow_the_size_within_their_bounds() {
        let mut link = Link::default();
        assert_eq!(link.timeout(100_000), ms(1200), "3 x (300 ms + 100 ms)");
        assert_eq!(link.timeout(u64::MAX), MAX_TIMEOUT);
        link.learn_rtt(ms(1));
        assert_eq!(link.timeout(0), MIN_TIMEOUT);
        assert_eq!(link.silence(), SILENCE);
        link.learn_rtt(ms(1_000));
        assert_eq!((link.rtt, link.silence()), (ms(1_000), ms(3_000)));
    }

    #[test]
    fn a_line_that_stood_still_once_is_not_a_long_one() {
        let mut link = Link::default();
        link.learn_rtt(ms(100));
        link.learn_bandwidth(1, ms(20));
        link.learn_rtt(ms(4_000));
        assert_eq!(link.rtt, ms(125), "as if it had been twice as long");
        (0..30).for_each(|_| link.learn_rtt(ms(4_000)));
        assert!(link.rtt > ms(3_900), "it is a long one after all");
        let mut near = Link::default();
        near.learn_rtt(Duration::from_micros(100));
        near.learn_bandwidth(1, ms(20));
        near.learn_rtt(ms(40));
        assert_eq!(near.rtt, Duration::from_micros(10_075), "a short one may well take that");
    }
}
