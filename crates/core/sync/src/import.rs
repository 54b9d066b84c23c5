//! The import: one batch at a time, in order, tried again for as long as the fault is not a peer's.
//!
//! - **Owns**: the batch that the importer has, how fast the last ones went, and how often it failed in a row.
//! - **In**: verdicts. **Out**: whether a batch may go, and how large it may be.
//! - **On failure**: the moment's faults and ours wait and try the same blocks again, ever less often. Nobody is blamed, nothing is
//!   rolled back.

use core::time::Duration;

use alys_chain::{BlockRef, Moment};

use crate::blame::Fault;
use crate::event::BatchId;

/// How many blocks are committed at once. More adds latency without making the commit cheaper per block; fewer pay for the disk's flush
/// too often.
const BATCH_BLOCKS: usize = 256;
/// The first batch is smaller: until it ends nobody knows how fast the importer is, nor what holds it up.
const FIRST_BATCH_BLOCKS: usize = 64;
/// How many bytes are committed at once at most: with 100 KB blocks 80 of them; the database writes 8 MB in some 10 ms.
const MOST_BATCH_BYTES: u64 = 8 << 20;
/// And at least, and in the first batch: less would pay for the disk's flush too often.
const LEAST_BATCH_BYTES: u64 = 2 << 20;
/// For about how long a batch is executed: what is verified waits for it, decoded, in memory. The time of its commit does not count: where the
/// disk is slow few large batches are best.
const EXECUTE_FOR: Duration = Duration::from_millis(200);
/// Blocks are fetched for so many seconds of execution, in which whoever is late was asked again elsewhere. More would only fill the memory.
const AHEAD_SECONDS: u64 = 5;
/// And at least so many: a whole request.
const LEAST_AHEAD: u64 = crate::scheduler::BODIES_PER_REQUEST;
/// The first pause after a failure; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: an importer that is back is noticed within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// After so many failures of our own in a row (half a minute) it is no hiccup: the mode says so.
const BROKEN_AFTER: u32 = 6;

/// A batch that takes longer than any request may take holds up nothing but itself: the importer, or its disk, stands still. A batch is cut to take
/// a fifth of a second.
const STANDS_STILL_AFTER: Duration = Duration::from_secs(10);

/// A run of failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Why the last attempt failed.
    pub reason: String,
    /// How many failed in a row.
    pub attempts: u32,
    /// When the next one may be made.
    pub retry_at: Moment,
    /// Whether the last fault was ours.
    ours: bool,
}

/// The importer as seen from here.
#[derive(Clone, Debug, Default)]
pub struct Importer {
    batch: Option<(BatchId, Vec<BlockRef>)>,
    since: Moment,
    bytes: u64,
    failing: Option<Failing>,
    /// How fast it executes, by the last batches; `None` before the first.
    speed: Option<Speed>,
}

/// What is executed in a second.
#[derive(Clone, Copy, Debug)]
struct Speed {
    blocks: u64,
    bytes: u64,
}

impl Speed {
    fn of(blocks: u64, bytes: u64, took: Duration) -> Self {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let a_second = |what: u64| what.saturating_mul(1_000_000) / micros;
        Self { blocks: a_second(blocks), bytes: a_second(bytes) }
    }

    const fn midpoint(self, other: Self) -> Self {
        Self { blocks: self.blocks.midpoint(other.blocks), bytes: self.bytes.midpoint(other.bytes) }
    }
}

impl Importer {
    /// Whether a batch may go now.
    #[must_use]
    pub fn is_free(&self, now: Moment) -> bool {
        self.batch.is_none() && self.failing.as_ref().is_none_or(|failing| failing.retry_at <= now)
    }

    /// Whether it has a batch.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.batch.is_some()
    }

    /// Whether it is offline: its last attempt failed, or it does not come to an end with this one.
    #[must_use]
    pub fn is_offline(&self, now: Moment) -> bool {
        self.failing.is_some() || (self.is_busy() && now.since(self.since) >= STANDS_STILL_AFTER)
    }

    /// How many blocks the next batch may have.
    #[must_use]
    pub const fn batch_blocks(&self) -> usize {
        if self.speed.is_some() { BATCH_BLOCKS } else { FIRST_BATCH_BLOCKS }
    }

    /// How many bytes the next batch may have: what is executed in a fifth of a second.
    #[must_use]
    pub fn batch_bytes(&self) -> u64 {
        let millis = u64::try_from(EXECUTE_FOR.as_millis()).unwrap_or(u64::MAX);
        let fitting = self.speed.map_or(0, |speed| (speed.bytes / 1_000).saturating_mul(millis));
        fitting.clamp(LEAST_BATCH_BYTES, MOST_BATCH_BYTES)
    }

    /// How many blocks above what is durable are worth having: what is executed in some seconds.
    #[must_use]
    pub fn blocks_ahead(&self) -> u64 {
        let fitting = self.speed.map_or(u64::MAX, |speed| speed.blocks.saturating_mul(AHEAD_SECONDS));
        fitting.max(LEAST_AHEAD)
    }

    /// The batch went, with so many bytes of bodies.
    pub fn begin(&mut self, now: Moment, id: BatchId, blocks: Vec<BlockRef>, bytes: u64) {
        (self.batch, self.since, self.bytes) = (Some((id, blocks)), now, bytes);
    }

    /// All of the batch is durable, and was executed in this time; `None` if it is not the one that is out.
    pub fn finish(&mut self, id: BatchId, execute: Duration) -> Option<Vec<BlockRef>> {
        let blocks = self.end(id)?;
        let speed = Speed::of(blocks.len() as u64, self.bytes, execute);
        self.speed = Some(self.speed.map_or(speed, |before| before.midpoint(speed)));
        Some(blocks)
    }

    /// The batch ended, by whatever; `None` if it is not the one that is out.
    pub fn end(&mut self, id: BatchId) -> Option<Vec<BlockRef>> {
        self.batch.take_if(|(batch, _)| *batch == id).map(|(_, blocks)| blocks)
    }

    /// It works. Returns how many attempts had failed before.
    pub fn succeed(&mut self) -> Option<u32> {
        self.failing.take().map(|failing| failing.attempts)
    }

    /// It failed, and not by a peer's fault.
    pub fn fail(&mut self, now: Moment, fault: &Fault) -> &Failing {
        let before = self.failing.take().map_or(0, |failing| failing.attempts);
        let pause = FIRST_PAUSE.saturating_mul(1 << before.min(5)).min(LONGEST_PAUSE);
        self.failing.insert(Failing {
            reason: fault.to_string(),
            attempts: before.saturating_add(1),
            retry_at: now.after(pause),
            ours: matches!(fault, Fault::Ours(_)),
        })
    }

    /// The run of failures, if the last attempt failed.
    #[must_use]
    pub const fn failing(&self) -> Option<&Failing> {
        self.failing.as_ref()
    }

    /// Whether it fails by our own fault, for long enough to say so.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.failing.as_ref().is_some_and(|failing| failing.ours && failing.attempts >= BROKEN_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    #[test]
    fn one_batch_at_a_time_and_only_its_own_verdict_ends_it() {
        let mut importer = Importer::default();
        assert!(importer.is_free(at(0)));
        importer.begin(at(0), BatchId(1), vec![BlockRef::default()], 500);
        assert!(!importer.is_free(at(0)) && importer.is_busy());
        assert!(!importer.is_offline(at(9_999)) && importer.is_offline(at(10_000)));
        assert_eq!(importer.end(BatchId(2)), None);
        assert_eq!(importer.batch_blocks(), FIRST_BATCH_BLOCKS);
        assert_eq!(importer.finish(BatchId(1), Duration::ZERO).map(|blocks| blocks.len()), Some(1));
        assert_eq!(importer.batch_blocks(), BATCH_BLOCKS);
        assert_eq!(importer.end(BatchId(1)), None);
        assert_eq!(importer.succeed(), None);
    }

    #[test]
    fn a_batch_has_what_takes_a_fifth_of_a_second_within_bounds() {
        let mut importer = Importer::default();
        let mut import = |bytes: u64, millis: u64| {
            importer.begin(at(0), BatchId(1), vec![], bytes);
            assert!(importer.finish(BatchId(1), Duration::from_millis(millis)).is_some());
            importer.batch_bytes()
        };
        assert_eq!(import(1_000_000, 500), LEAST_BATCH_BYTES, "2 MB a second");
        assert_eq!(import(3_800_000, 100), 4_000_000, "and 38: 20 on average");
        assert_eq!(import(8_000_000, 0), MOST_BATCH_BYTES);
        assert_eq!(Importer::default().batch_bytes(), LEAST_BATCH_BYTES, "nothing is known");
    }

    #[test]
    fn blocks_are_fetched_for_some_seconds_of_execution() {
        let mut importer = Importer::default();
        assert_eq!(importer.blocks_ahead(), u64::MAX, "nothing is known");
        let mut import = |blocks: usize, millis: u64| {
            importer.begin(at(0), BatchId(1), vec![BlockRef::default(); blocks], 0);
            importer.finish(BatchId(1), Duration::from_millis(millis));
            importer.blocks_ahead()
        };
        assert_eq!(import(200, 500), 2_000);
        assert_eq!(import(200, 1_000), 1_500, "300 a second on average");
        assert_eq!((0..9).map(|_| import(1, 1_000)).last(), Some(LEAST_AHEAD));
    }

    #[test]
    fn a_batch_that_failed_says_nothing_about_the_rate() {
        let mut importer = Importer::default();
        importer.begin(at(0), BatchId(1), vec![], 8_000_000);
        assert_eq!(importer.finish(BatchId(7), Duration::ZERO), None, "another one");
        importer.end(BatchId(1));
        assert_eq!(importer.batch_bytes(), LEAST_BATCH_BYTES);
    }

    #[test]
    fn failures_wait_longer_each_time_and_one_success_ends_them() {
        let mut importer = Importer::default();
        let ours = Fault::Ours("disk full".to_owned());
        let pauses = [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000];
        let mut now = 0;
        for (n, pause) in pauses.into_iter().enumerate() {
            assert_eq!(importer.is_broken(), n >= 6, "after {n} failures");
            assert_eq!(importer.fail(at(now), &ours).retry_at, at(now + pause));
            assert!(!importer.is_free(at(now + pause - 1)) && importer.is_free(at(now + pause)));
            now += pause;
        }
        assert_eq!(importer.failing().map(|f| f.reason.as_str()), Some("disk full"));
        assert_eq!(importer.succeed(), Some(7));
        assert!(importer.failing().is_none() && importer.is_free(at(0)) && !importer.is_broken());
    }

    #[test]
    fn an_executor_that_is_offline_is_waited_for_without_an_end() {
        let mut importer = Importer::default();
        for _ in 0..100 {
            importer.fail(at(0), &Fault::Moment("executor offline".to_owned()));
        }
        assert!(!importer.is_broken());
    }
}
