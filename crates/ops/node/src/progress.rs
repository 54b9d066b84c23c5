//! How far a long command has come, how fast it is and when it will be done.
//!
//! - **In**: how many are done, now and then. **Out**: a line on standard error at most once a second, and the figures at the end.

use std::time::Duration;

use alys_actor::Clock;
use alys_chain::Moment;

use crate::console::{duration, grouped, note};

/// At most so often, so that a log of the run stays readable; not less, so that it never looks stuck.
const INTERVAL: Duration = Duration::from_secs(1);

/// The progress of one command.
#[derive(Debug)]
pub struct Progress {
    verb: &'static str,
    total: Option<u64>,
    done: u64,
    clock: Clock,
    shown: Moment,
    shown_done: u64,
}

impl Progress {
    /// Nothing is done of `total` blocks; `None` if nobody knows how many there are.
    #[must_use]
    pub fn new(verb: &'static str, total: Option<u64>) -> Self {
        Self { verb, total, done: 0, clock: Clock::system(), shown: Moment::START, shown_done: 0 }
    }

    /// So many more are done; says so if it is time.
    pub fn advance(&mut self, blocks: u64) {
        self.done = self.done.saturating_add(blocks);
        let now = self.clock.moment();
        if now.since(self.shown) >= INTERVAL {
            note(self.line(now));
            (self.shown, self.shown_done) = (now, self.done);
        }
    }

    /// How many are done.
    #[must_use]
    pub const fn done(&self) -> u64 {
        self.done
    }

    /// Blocks a second, from the start to now.
    #[must_use]
    pub fn rate(&self) -> f64 {
        per_second(self.done, self.clock.moment().0)
    }

    /// How long it has taken.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.clock.moment().0
    }

    fn line(&self, now: Moment) -> String {
        // The rate of the last second or so: what it does now, not what it did on the average.
        let rate = per_second(self.done - self.shown_done, now.since(self.shown));
        let memory = rss().map(|bytes| format!("  {} MB", bytes / 1_000_000)).unwrap_or_default();
        let (verb, done) = (self.verb, grouped(self.done));
        match self.total {
            Some(total) if total > 0 => {
                let percent = self.done.saturating_mul(100) / total;
                let total_text = grouped(total);
                let eta = eta(total.saturating_sub(self.done), rate);
                format!(
                    "{verb} {done} of {total_text} blocks ({percent} %)  {rate:.0} blocks/s  {eta}{memory}"
                )
            }
            _ => format!("{verb} {done} blocks  {rate:.0} blocks/s{memory}"),
        }
    }
}

fn per_second(count: u64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 { f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds } else { 0.0 }
}

fn eta(left: u64, rate: f64) -> String {
    if rate < 1.0 {
        return "done when? nothing moved in the last second".to_owned();
    }
    let seconds = Duration::try_from_secs_f64(f64::from(u32::try_from(left).unwrap_or(u32::MAX)) / rate);
    format!("done in {}", duration(seconds.unwrap_or_default().as_secs()))
}

/// Resident memory of this process in bytes; `None` where the system does not say.
#[must_use]
pub fn rss() -> Option<u64> {
    memory("VmRSS:")
}

/// The most resident memory that this process ever had, in bytes.
#[must_use]
pub fn peak_rss() -> Option<u64> {
    memory("VmHWM:")
}

fn memory(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        let mut progress = Progress::new("imported", Some(4_000));
        progress.done = 1_000;
        let line = progress.line(Moment(Duration::from_secs(2)));
        assert!(
            line.starts_with("imported 1,000 of 4,000 blocks (25 %)  500 blocks/s  done in 6 s"),
            "{line}"
        );
    }

    #[test]
    fn what_stands_still_has_no_eta_and_says_so() {
        let progress = Progress::new("imported", Some(10));
        assert!(progress.line(Moment(Duration::from_secs(2))).contains("nothing moved"));
        let progress = Progress::new("imported", None);
        assert!(progress.line(Moment(Duration::from_secs(2))).starts_with("imported 0 blocks  0 blocks/s"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_what_the_system_says() {
        let (now, peak) = (rss().unwrap(), peak_rss().unwrap());
        assert!(now > 1_000_000 && peak >= now / 2, "{now} {peak}");
        assert_eq!(memory("VmNothing:"), None);
    }
}
