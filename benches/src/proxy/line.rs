//! One direction of a link, as arithmetic: a token bucket that feeds a line of constant delay.
//!
//! - **Decides**: when a piece has left the bottleneck, and when it is at the other end.
//! - **In**: pieces in the order in which they came, the time. **Out**: times; nothing is lost, nothing overtakes.
//! - **On failure**: nothing can fail.

use std::time::Duration;

/// How much time a piece takes at the bottleneck. Shorter would wake the proxy without making anything truer than its timer, which has a
/// millisecond; longer would let small messages wait behind a whole piece where in life they wait behind a packet.
const PIECE_TIME: Duration = Duration::from_millis(2);
/// The least piece in bytes: what a packet carries.
const LEAST_PIECE: u64 = 1_460;
/// The largest piece in bytes: beyond it, copying gets no cheaper.
pub const LARGEST_PIECE: u64 = 256 << 10;
/// How long what waits before the bottleneck may take to pass it: the buffer of an ordinary router. When it is full, the sender is not read.
const QUEUE_TIME: Duration = Duration::from_millis(100);

/// What one direction of a link is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Bytes a second through the bottleneck; `None` for as many as come.
    pub bytes_per_second: Option<u64>,
    /// From the bottleneck to the other end.
    pub delay: Duration,
    /// After so many bytes only one byte a second passes.
    pub drips_after: Option<u64>,
}

/// A bucket of tokens that fill at a rate: whoever takes more than is there has to wait, and everybody behind it as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    per_second: u64,
    burst: Duration,
    /// When everything that was taken until now is paid for.
    paid_at: Duration,
}

impl Bucket {
    /// So many tokens a second; at most what fills in `burst` can be saved up.
    #[must_use]
    pub const fn new(per_second: u64, burst: Duration) -> Self {
        Self { per_second, burst, paid_at: Duration::ZERO }
    }

    /// Takes `tokens` at `now`, and says when they are there.
    pub fn take(&mut self, now: Duration, tokens: u64) -> Duration {
        let nanos = u128::from(tokens) * 1_000_000_000 / u128::from(self.per_second.max(1));
        let price = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.paid_at = self.paid_at.max(now.saturating_sub(self.burst)).saturating_add(price);
        self.paid_at.max(now)
    }
}

/// When a piece passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// More can be taken from the sender.
    pub next: Duration,
    /// The piece is at the other end.
    pub arrives: Duration,
}

/// One direction of a link.
#[derive(Clone, Debug)]
pub struct Line {
    shape: Shape,
    bucket: Option<Bucket>,
    /// Bytes until it drips.
    left: Option<u64>,
}

impl Line {
    /// A line on which nothing is under way.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let bucket = shape.bytes_per_second.map(|rate| Bucket::new(rate, Duration::ZERO));
        Self { shape, bucket, left: shape.drips_after }
    }

    /// How many bytes may be taken from the sender at once.
    #[must_use]
    pub fn piece(&self) -> u64 {
        let piece = self.shape.bytes_per_second.map_or(LARGEST_PIECE, piece_of);
        match self.left {
            Some(0) => 1,
            Some(left) => piece.min(left),
            None => piece,
        }
    }

    /// A piece comes in, no larger than [`Line::piece`].
    pub fn enter(&mut self, now: Duration, bytes: u64) -> Passage {
        match &mut self.left {
            Some(0) => self.bucket = Some(self.bucket.filter(|b| b.per_second == 1).unwrap_or(DRIP)),
            Some(left) => *left = left.saturating_sub(bytes),
            None => {}
        }
        let sent = self.bucket.as_mut().map_or(now, |bucket| bucket.take(now, bytes));
        Passage { next: sent.saturating_sub(QUEUE_TIME).max(now), arrives: sent + self.shape.delay }
    }
}

/// One byte a second.
const DRIP: Bucket = Bucket::new(1, Duration::ZERO);

fn piece_of(bytes_per_second: u64) -> u64 {
    let millis = u64::try_from(PIECE_TIME.as_millis()).unwrap_or(1);
    (bytes_per_second.saturating_mul(millis) / 1_000).clamp(LEAST_PIECE, LARGEST_PIECE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn line(bytes_per_second: Option<u64>, delay: u64) -> Line {
        Line::new(Shape { bytes_per_second, delay: ms(delay), drips_after: None })
    }

    #[test]
    fn without_a_bottleneck_everything_is_only_late() {
        let mut line = line(None, 50);
        for now in [0, 0, 7] {
            assert_eq!(line.enter(ms(now), 1 << 30), Passage { next: ms(now), arrives: ms(now + 50) });
        }
    }

    #[test]
    fn pieces_queue_before_the_bottleneck_and_the_delay_comes_on_top() {
        let mut line = line(Some(1_000_000), 20);
        // A thousand bytes a millisecond: the second piece waits for the first.
        assert_eq!(line.enter(ms(0), 10_000).arrives, ms(30));
        assert_eq!(line.enter(ms(0), 10_000).arrives, ms(40));
        // An idle line saves nothing up.
        assert_eq!(line.enter(ms(500), 10_000).arrives, ms(530));
    }

    #[test]
    fn a_full_queue_stops_the_sender_until_it_has_room() {
        let mut line = line(Some(1_000_000), 20);
        assert_eq!(line.enter(ms(0), 100_000).next, ms(0), "what takes 100 ms still fits");
        assert_eq!(line.enter(ms(0), 50_000).next, ms(50), "now 150 ms wait");
    }

    #[test]
    fn the_long_run_is_exact() {
        let mut line = line(Some(3_000_000), 0);
        let mut now = ms(0);
        let mut arrives = ms(0);
        for _ in 0..10_000 {
            let passage = line.enter(now, 3_000);
            (now, arrives) = (passage.next, passage.arrives);
        }
        assert_eq!(arrives, ms(10_000));
    }

    #[test]
    fn a_bucket_saves_up_its_burst_and_no_more() {
        let mut bucket = Bucket::new(5_000, ms(100));
        let later = Duration::from_secs(60);
        assert_eq!(bucket.take(later, 500), later, "100 ms' worth is there at once");
        assert_eq!(bucket.take(later, 5_000), later + Duration::from_secs(1));
    }

    #[test]
    fn pieces_are_two_milliseconds_within_reason() {
        assert_eq!(line(Some(40_000_000), 0).piece(), 80_000);
        assert_eq!(line(Some(1_000), 0).piece(), LEAST_PIECE);
        assert_eq!(line(None, 0).piece(), LARGEST_PIECE);
        assert_eq!(line(Some(u64::MAX), 0).piece(), LARGEST_PIECE);
    }

    #[test]
    fn a_line_that_drips_lets_a_byte_a_second_through() {
        let mut line = Line::new(Shape { bytes_per_second: None, delay: ms(0), drips_after: Some(1_000) });
        assert_eq!(line.piece(), 1_000);
        assert_eq!(line.enter(ms(0), 1_000).arrives, ms(0));
        let arrivals: Vec<Duration> = (0..3).map(|_| line.enter(ms(0), line.piece()).arrives).collect();
        assert_eq!(arrivals, [ms(1_000), ms(2_000), ms(3_000)]);
    }
}
