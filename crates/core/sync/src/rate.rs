//! How fast the durable head climbs.

use core::time::Duration;
use std::collections::VecDeque;

use alys_chain::{Height, Moment};

/// Over how many ticks the rate is taken: long enough to smooth batches, short enough to follow a change.
const SAMPLES: usize = 10;
/// Samples closer than this tell nothing new.
const EVERY: Duration = Duration::from_millis(900);

/// The last heights, each with its time.
#[derive(Clone, Debug, Default)]
pub struct Rate(VecDeque<(Moment, Height)>);

impl Rate {
    /// Notes the durable height.
    pub fn note(&mut self, now: Moment, height: Height) {
        if self.0.back().is_some_and(|&(at, _)| now.since(at) < EVERY) {
            return;
        }
        if self.0.len() >= SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back((now, height));
    }

    /// Blocks a second since the oldest sample.
    #[must_use]
    pub fn per_second(&self, now: Moment, height: Height) -> u64 {
        let Some(&(at, from)) = self.0.front() else { return 0 };
        let millis = now.since(at).as_millis();
        if millis == 0 {
            return 0;
        }
        let rate = u128::from(height.ahead_of(from)).saturating_mul(1000) / millis;
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    #[test]
    fn the_rate_is_taken_over_the_last_samples() {
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(at(0), Height(5)), 0);
        rate.note(at(0), Height(0));
        assert_eq!(rate.per_second(at(0), Height(5)), 0, "no time has passed");
        rate.note(at(100), Height(99));
        assert_eq!(rate.per_second(at(500), Height(50)), 100);
        for n in 1..=20 {
            rate.note(at(n * 1000), Height(n * 10));
        }
        assert_eq!(rate.per_second(at(20_000), Height(200)), 10);
        assert_eq!(rate.per_second(at(21_000), Height(0)), 0, "a lower head is no negative rate");
    }
}
