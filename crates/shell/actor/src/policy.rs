//! When a child is restarted, how soon, and when it is given up. Pure: the time and the randomness come in.

use std::collections::VecDeque;
use std::time::Duration;

use rand_core::Rng;
use tokio::time::Instant;

/// The back-off of the second restart in a window; the first one is immediate, since most crashes are one bad message.
/// Shorter would spin on a fault that lasts, longer would be felt.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// No back-off is longer: an actor must be back within 5 s of the end of its trouble.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// Who is restarted with a child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Itself only. Addresses survive, so the others need not notice.
    #[default]
    OneForOne,
    /// Itself and every child after it in start order, because they live on its state.
    RestForOne,
}

/// How many crashes in a sliding window are borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    /// Restarts.
    pub restarts: usize,
    /// The length of the window.
    pub window: Duration,
}

impl Default for Intensity {
    /// Ten a minute: with the back-off that is about 16 s of trying, longer than a passing fault of the disk or the network,
    /// short enough that an operator hears of a real one.
    fn default() -> Self {
        Self { restarts: 10, window: Duration::from_secs(60) }
    }
}

/// How the supervisor treats a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildPolicy {
    /// Who is restarted with it.
    pub strategy: Strategy,
    /// How many crashes are borne.
    pub intensity: Intensity,
    /// How long [`crate::Actor::started`] may take.
    pub start_timeout: Duration,
    /// How long the current message and [`crate::Actor::stopping`] may take once it is told to stop; after that it is
    /// aborted, and after as long again it is given up and fenced off.
    pub kill_timeout: Duration,
    /// How long one message may take.
    pub handler_limit: Duration,
    /// A message that waits longer is reported as a backlog.
    pub backlog_limit: Duration,
}

impl Default for ChildPolicy {
    fn default() -> Self {
        Self {
            strategy: Strategy::OneForOne,
            intensity: Intensity::default(),
            // Opening a large database after a crash takes seconds, not tens of them.
            start_timeout: Duration::from_secs(30),
            // A group commit on a slow disk ends within it; an operator who waits for a stop bears it.
            kill_timeout: Duration::from_secs(5),
            // Five slots: handlers are short, so even a tenth would be a fault, but a stalled disk must not cause restarts.
            handler_limit: Duration::from_secs(10),
            // One slot: a block announcement older than that is useless.
            backlog_limit: Duration::from_secs(2),
        }
    }
}

/// The crashes of one child within its window.
#[derive(Debug)]
pub(crate) struct History {
    intensity: Intensity,
    crashes: VecDeque<Instant>,
}

impl History {
    pub(crate) const fn new(intensity: Intensity) -> Self {
        Self { intensity, crashes: VecDeque::new() }
    }

    /// Notes a crash at `now` and returns how long to wait before the restart; none when the child is to be given up.
    pub(crate) fn crash(&mut self, now: Instant, rng: &mut impl Rng) -> Option<Duration> {
        let window = self.intensity.window;
        while self.crashes.front().is_some_and(|first| now.duration_since(*first) >= window) {
            self.crashes.pop_front();
        }
        if self.crashes.len() >= self.intensity.restarts {
            return None;
        }
        let before = self.crashes.len();
        self.crashes.push_back(now);
        Some(backoff(before, rng))
    }

    /// Forgets everything: somebody has decided to try again.
    pub(crate) fn clear(&mut self) {
        self.crashes.clear();
    }
}

/// Zero, then 50 ms, doubled each time up to 5 s, and shortened by up to a quarter at random, so that children which fell
/// together do not rise together.
fn backoff(crashes_before: usize, rng: &mut impl Rng) -> Duration {
    let Some(doublings) = crashes_before.checked_sub(1) else { return Duration::ZERO };
    let factor = 1u32.checked_shl(u32::try_from(doublings).unwrap_or(u32::MAX)).unwrap_or(u32::MAX);
    let full = FIRST_BACKOFF.saturating_mul(factor).min(LONGEST_BACKOFF);
    let per_mille = 1_000 - rng.next_u32() % 251;
    full * per_mille / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Randomness;

    fn second() -> Duration {
        Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_restart_is_immediate_and_the_back_off_doubles_to_its_cap() {
        let mut rng = Randomness::seeded(3).stream("test");
        assert_eq!(backoff(0, &mut rng), Duration::ZERO);
        for (crashes, full) in
            [(1, 50), (2, 100), (3, 200), (7, 3_200), (8, 5_000), (40, 5_000), (usize::MAX, 5_000)]
        {
            let full = Duration::from_millis(full);
            let pause = backoff(crashes, &mut rng);
            assert!(pause <= full && pause >= full * 3 / 4, "{crashes} crashes: {pause:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_jitter_differs_from_crash_to_crash_and_follows_the_seed() {
        let pauses = |seed| {
            let mut rng = Randomness::seeded(seed).stream("test");
            [0; 4].map(|_| backoff(8, &mut rng))
        };
        assert_eq!(pauses(1), pauses(1));
        assert_ne!(pauses(1), pauses(2));
        assert_ne!(pauses(1)[0], pauses(1)[1]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_window_slides() {
        let mut rng = Randomness::seeded(3).stream("test");
        let mut history = History::new(Intensity { restarts: 2, window: second() * 10 });
        let start = Instant::now();
        assert_eq!(history.crash(start, &mut rng), Some(Duration::ZERO));
        assert!(history.crash(start + second() * 6, &mut rng).is_some_and(|pause| pause > Duration::ZERO));
        assert_eq!(history.crash(start + second() * 9, &mut rng), None, "the third within ten seconds");
        let again = history.crash(start + second() * 10, &mut rng);
        assert!(
            again.is_some(),
            "the first one has left the window, and one that was given up does not count"
        );
        history.clear();
        assert_eq!(history.crash(start + second() * 10, &mut rng), Some(Duration::ZERO));
    }
}
