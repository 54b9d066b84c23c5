//! The clocks: one wall clock for slots, one monotonic clock for everything else, passed in as a value.
//!
//! This is the only place that reads the system's time. A simulated clock derives both from tokio's time, so that it stands
//! still and jumps with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use alys_chain::{Moment, UnixMillis};
use tokio::time::Instant;

/// Tells the time. Clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    start: Instant,
    wall: Wall,
}

#[derive(Clone, Debug)]
enum Wall {
    System,
    Simulated { base: UnixMillis, skew: Skew },
}

/// How far a simulated wall clock is off, in milliseconds; clones set the same clock.
#[derive(Clone, Debug, Default)]
pub struct Skew(Arc<AtomicI64>);

impl Skew {
    /// Makes the clock fast (positive) or slow (negative) by `millis`. The monotonic clock does not move.
    pub fn set(&self, millis: i64) {
        self.0.store(millis, Ordering::Relaxed);
    }
}

impl Clock {
    /// The system's wall clock; the monotonic clock starts now.
    #[must_use]
    pub fn system() -> Self {
        Self { start: Instant::now(), wall: Wall::System }
    }

    /// A wall clock that shows `base` now and follows tokio's time, paused or not; and the handle that sets it wrong.
    #[must_use]
    pub fn simulated(base: UnixMillis) -> (Self, Skew) {
        let skew = Skew::default();
        let wall = Wall::Simulated { base, skew: skew.clone() };
        (Self { start: Instant::now(), wall }, skew)
    }

    /// The wall clock. A system clock before 1970 shows 1970.
    #[must_use]
    pub fn unix(&self) -> UnixMillis {
        match &self.wall {
            Wall::System => system(),
            Wall::Simulated { base, skew } => {
                let right = base.0.saturating_add(millis(self.start.elapsed()));
                UnixMillis(right.saturating_add_signed(skew.0.load(Ordering::Relaxed)))
            }
        }
    }

    /// The monotonic clock: the time since it was made.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment(self.start.elapsed())
    }

    /// The instant of `moment`, for timers.
    #[must_use]
    pub fn instant(&self, moment: Moment) -> Instant {
        self.start + moment.0
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The clock of the machine.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads it; everybody else is handed a clock"
)]
fn system() -> UnixMillis {
    UnixMillis(millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_follows_virtual_time_and_its_skew() {
        let (clock, skew) = Clock::simulated(UnixMillis(1_000));
        assert_eq!(clock.unix(), UnixMillis(1_000));
        tokio::time::advance(Duration::from_millis(2_500)).await;
        assert_eq!(clock.unix(), UnixMillis(3_500));
        assert_eq!(clock.moment(), Moment(Duration::from_millis(2_500)));
        skew.set(-500);
        assert_eq!(clock.clone().unix(), UnixMillis(3_000), "clones share the skew");
        skew.set(i64::MIN);
        assert_eq!(clock.unix(), UnixMillis(0), "no clock shows a time before 1970");
        assert_eq!(
            clock.moment(),
            Moment(Duration::from_millis(2_500)),
            "skew leaves the monotonic clock alone"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_becomes_the_instant_at_which_a_timer_fires() {
        let (clock, _) = Clock::simulated(UnixMillis(0));
        let in_a_second = clock.moment().after(Duration::from_secs(1));
        assert_eq!(clock.instant(in_a_second), Instant::now() + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_system_clock_shows_this_century() {
        let clock = Clock::system();
        assert!(clock.unix() > UnixMillis(1_700_000_000_000));
        assert_eq!(clock.moment(), Moment::START, "its monotonic side is tokio's");
    }
}
