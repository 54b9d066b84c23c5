//! What was measured of both ways, as figures, and whether it is good enough.

use std::time::Duration;

use alys_figure::Figure;

use super::begin::{Past, Ready};
use crate::judge::{Misses, float};
use crate::process::Report;

/// A sync with a state takes less than this share of a full sync's time.
const MOST: f64 = 0.1;
/// What the full sync may hold in memory, in MB: the promise for small blocks.
const MOST_MB: f64 = 256.0;
/// The bars are for a chain of so many blocks at least: on a short one connecting and asking is all there is, and nothing has had the time to grow.
const BAR_BLOCKS: u64 = 100_000;

/// Both ways, from the same sources.
pub struct Measured {
    /// Blocks below the state, and it included.
    pub blocks: u64,
    /// Blocks between the state and the tip.
    pub above: u64,
    /// The full sync.
    pub full: Report,
    /// How long it took until the last block was durable.
    pub took: Duration,
    /// The one with a state.
    pub ready: Ready,
    /// How long it took until it followed the tip.
    pub ready_took: Duration,
    /// And what came later.
    pub past: Past,
}

impl Measured {
    /// The share of the full sync's time.
    pub fn share(&self) -> f64 {
        self.ready_took.as_secs_f64() / self.took.as_secs_f64()
    }

    /// What it misses of what is promised.
    pub fn misses(&self) -> Vec<String> {
        let mut misses = Misses::default();
        if self.is_judged() {
            misses.below("of the full sync's time", self.share(), MOST);
            if let Some(rss) = self.full.peak_rss {
                misses.below("MB resident in the full sync", float(rss) / 1e6, MOST_MB);
            }
        }
        misses.0
    }

    const fn is_judged(&self) -> bool {
        self.blocks >= BAR_BLOCKS
    }

    /// All figures.
    pub fn figures(&self, sources: usize) -> Vec<Figure> {
        let Self { full, ready, past, .. } = self;
        let mb = |bytes: u64| float(bytes) / 1e6;
        let rss = |peak: Option<u64>| peak.map(mb);
        let fetched = ready.buckets - ready.sums;
        let mut share = Figure::new("snapshot/share", self.share(), "of the full sync")
            .column("blocks", self.blocks)
            .column("above", self.above)
            .column("accounts", past.accounts)
            .column("sources", sources);
        if self.is_judged() {
            share = share.pass(self.misses().is_empty());
        }
        vec![
            Figure::new("snapshot/full", self.took.as_secs_f64(), "s")
                .column("blocks_per_s", float(full.blocks) / self.took.as_secs_f64())
                .column("rss_mb", rss(full.peak_rss)),
            Figure::new("snapshot/ready", self.ready_took.as_secs_f64(), "s")
                .column("height", ready.height)
                .column("mb", mb(ready.received))
                .column("rss_mb", rss(ready.peak_rss)),
            Figure::new("snapshot/stage/offers", ready.chosen, "s"),
            Figure::new("snapshot/stage/sums", ready.sums - ready.chosen, "s"),
            Figure::new("snapshot/stage/buckets", fetched, "s")
                .column("chunks_per_s", 256.0 / fetched)
                .column("accounts_per_s", float(past.accounts) / fetched),
            Figure::new("snapshot/stage/install", ready.installed - ready.buckets, "s"),
            Figure::new("snapshot/stage/above", ready.ready - ready.installed, "s"),
            Figure::new("snapshot/backfill", past.took, "s")
                .column("blocks_per_s", float(ready.height) / past.took)
                .column("mb", mb(past.received.saturating_sub(ready.received)))
                .column("rss_mb", rss(past.peak_rss)),
            share,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(blocks: u64, full: u64, ready: u64) -> Measured {
        let head = String::new();
        Measured {
            blocks,
            above: 500,
            full: Report { blocks: blocks + 500, head, peak_rss: None, inside: None },
            took: Duration::from_secs(full),
            ready: Ready { sums: 1.0, buckets: 3.0, ..Ready::default() },
            ready_took: Duration::from_secs(ready),
            past: Past { accounts: 1_000, ..Past::default() },
        }
    }

    #[test]
    fn a_tenth_is_the_bar_for_a_long_chain_only() {
        let misses = |blocks, full, ready| measured(blocks, full, ready).misses().len();
        assert_eq!((misses(100_000, 100, 9), misses(100_000, 100, 10)), (0, 1));
        assert_eq!(misses(100_000, 0, 0), 1, "no number is no pass");
        assert_eq!(misses(3_000, 100, 50), 0);
    }

    #[test]
    fn the_memory_of_a_long_full_sync_is_judged() {
        let with = |blocks, bytes| {
            let mut measured = measured(blocks, 100, 1);
            measured.full.peak_rss = Some(bytes);
            measured.misses()
        };
        assert!(with(100_000, 255_000_000).is_empty() && with(3_000, 500_000_000).is_empty());
        assert_eq!(with(100_000, 538_000_000), ["538 MB resident in the full sync, not below 256"]);
    }

    #[test]
    fn the_rate_of_a_stage_is_what_it_moved_in_its_time() {
        let figures = measured(100_000, 100, 10).figures(4);
        let buckets = figures.iter().find(|figure| figure.name == "snapshot/stage/buckets").unwrap();
        assert_eq!((buckets.value, &buckets.columns["chunks_per_s"]), (2.0, &128.0.into()));
        assert_eq!(buckets.columns["accounts_per_s"], 500.0);
    }
}
