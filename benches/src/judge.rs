//! Whether a row meets what is promised for it.
//!
//! - **In**: what was measured, and beside it in the same run. **Out**: what is missed, in words.

use crate::history::{Kind, Scale};
use crate::rows::{CAP, Net, Row, Weather};
use crate::stages::Ceilings;

/// A row that was measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Which.
    pub row: Row,
    /// How many blocks.
    pub blocks: u64,
    /// Blocks a second, from the start of the process until the last one is durable.
    pub rate: f64,
    /// A block in bytes.
    pub block_bytes: f64,
    /// What stands beside it; nothing if only the sync was measured.
    pub beside: Option<Beside>,
    /// The same blocks from one source over loopback, in blocks a second.
    pub loopback: Option<f64>,
    /// The most resident memory, in MB.
    pub rss_mb: Option<f64>,
    /// The most that the byte budget held, and what it may hold, in bytes.
    pub budget: (u64, u64),
    /// Bytes of bodies that came more than once, as a share of all bodies.
    pub duplicates: f64,
    /// Bytes on the links that were no blocks, as a share of the blocks; `None` where nobody counted.
    pub overhead: Option<f64>,
}

/// What was measured of a kind of blocks before its rows.
#[derive(Clone, Debug)]
pub struct Beside {
    /// Each stage alone, in blocks a second.
    pub ceilings: Ceilings,
    /// The plain client, in blocks a second.
    pub baseline: f64,
}

/// What a row could reach at most, in blocks a second, and what limits it there.
pub fn possible(row: &Row, ceilings: Option<&Ceilings>, block_bytes: f64) -> Option<(f64, &'static str)> {
    let stages = ceilings.into_iter().flat_map(Ceilings::iter).map(|(name, rate)| (rate, name));
    let cap = row.cap.map(|cap| (float(cap), "importer cap"));
    let links = row.bandwidth().map(|bytes| (float(bytes) / block_bytes, "links"));
    stages.chain(cap).chain(links).min_by(|a, b| a.0.total_cmp(&b.0))
}

impl Measured {
    /// Megabytes of blocks a second.
    pub fn mb_per_second(&self) -> f64 {
        self.rate * self.block_bytes / 1e6
    }

    /// What the row could reach at most, in blocks a second, and what limits it there: a stage alone, the importer's cap, the links.
    pub fn possible(&self) -> Option<(f64, &'static str)> {
        possible(&self.row, self.beside.as_ref().map(|beside| &beside.ceilings), self.block_bytes)
    }

    /// The share of it that was achieved.
    pub fn share(&self) -> Option<f64> {
        self.possible().map(|(possible, _)| self.rate / possible)
    }

    /// What it misses of what is promised.
    pub fn misses(&self, cores: usize) -> Vec<String> {
        let mut misses = Misses::default();
        self.speed(cores, &mut misses);
        let most = if self.row.kind == Kind::Megabyte { 512.0 } else { 256.0 };
        if let Some(rss) = self.rss_mb {
            misses.below("MB resident", rss, most);
        }
        let (held, may_hold) = self.budget;
        misses.below("bytes of the budget", float(held), float(may_hold) + 1.0);
        misses.0
    }

    fn speed(&self, cores: usize, misses: &mut Misses) {
        let Row { kind, net, sources, weather, .. } = self.row;
        if self.blocks < kind.blocks(Scale::Full) {
            return self.speed_of_few(misses);
        }
        let share = self.share().unwrap_or(1.0);
        match (net, kind) {
            (Net::Loopback, Kind::Empty) if sources == 1 => {
                if cores >= 4 {
                    misses.at_least("blocks/s", self.rate, 20_000.0);
                }
                misses.at_least("of possible", share, 0.7);
                self.beside_plain(misses);
            }
            (Net::Loopback, Kind::Calldata) if sources == 1 => {
                misses.at_least("MB/s", self.mb_per_second(), 250.0);
            }
            (Net::Loopback, Kind::Transfers) if sources == 1 => {
                if let Some(beside) = &self.beside {
                    misses.at_least("of the senders", self.rate / beside.ceilings.senders, 0.7);
                }
            }
            (Net::Rtt100, Kind::Empty) if sources == 1 => {
                if let Some(loopback) = self.loopback {
                    misses.at_least("of loopback", self.rate / loopback, 0.8);
                }
            }
            (Net::Uneven, Kind::Calldata10k) => self.uneven(weather, misses),
            _ => {}
        }
    }

    /// A sync of fewer blocks than the figures are promised for is half of it start. What is promised for any number is little.
    fn speed_of_few(&self, misses: &mut Misses) {
        if self.row == Row::plain(Net::Loopback, Kind::Empty, 1) {
            misses.at_least("blocks/s", self.rate, 5_000.0);
            self.beside_plain(misses);
        }
    }

    fn beside_plain(&self, misses: &mut Misses) {
        if let Some(beside) = &self.beside {
            misses.at_least("x baseline", self.rate / beside.baseline, 10.0);
        }
    }

    fn uneven(&self, weather: Weather, misses: &mut Misses) {
        let of_cap = self.rate / float(CAP);
        match weather {
            Weather::Healthy => misses.at_least("of the cap", of_cap, 0.9),
            Weather::BlackHole => misses.at_least("of the cap", of_cap, 0.85),
            Weather::Stalls => misses.at_least("of the cap", of_cap, 0.75),
            Weather::Uncapped => {
                if let Some(bytes) = self.row.bandwidth() {
                    misses.at_least("of the links", self.rate * self.block_bytes / float(bytes), 0.9);
                }
                if let Some(overhead) = self.overhead {
                    misses.below("overhead", overhead, 0.05);
                }
            }
        }
    }
}

/// What is missed.
#[derive(Default)]
pub struct Misses(pub Vec<String>);

impl Misses {
    fn at_least(&mut self, what: &str, value: f64, bar: f64) {
        // What is no number misses as well.
        if value.is_nan() || value < bar {
            self.0.push(format!("{} {what}, not {}", short(value), short(bar)));
        }
    }

    /// Notes a value that is not below its bar. What is no number misses as well.
    pub fn below(&mut self, what: &str, value: f64, bar: f64) {
        if value.is_nan() || value >= bar {
            self.0.push(format!("{} {what}, not below {}", short(value), short(bar)));
        }
    }
}

/// A figure in few characters.
pub fn short(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// Counts are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(row: Row, rate: f64) -> Measured {
        let ceilings = Ceilings {
            transport: 90_000.0,
            approvals: 30_000.0,
            senders: 80_000.0,
            execution: 70_000.0,
            commit: 60_000.0,
        };
        Measured {
            row,
            blocks: row.kind.blocks(Scale::Full),
            rate,
            block_bytes: 10_300.0,
            beside: Some(Beside { ceilings, baseline: 400.0 }),
            loopback: Some(24_000.0),
            rss_mb: Some(100.0),
            budget: (5, 10),
            duplicates: 0.0,
            overhead: Some(0.02),
        }
    }

    #[test]
    fn a_row_of_empty_blocks_has_to_be_fast_in_all_three_ways() {
        let row = Row::plain(Net::Loopback, Kind::Empty, 1);
        assert!(measured(row, 24_000.0).misses(4).is_empty());
        assert_eq!(measured(row, 20_500.0).misses(4), ["0.68 of possible, not 0.70"]);
        assert_eq!(measured(row, 3_900.0).misses(4).len(), 3);
        assert!(measured(row, 3_900.0).misses(2).iter().all(|miss| !miss.contains("blocks/s")));
        let four = Row { sources: 4, ..row };
        assert!(measured(four, 1.0).misses(4).is_empty(), "nothing is promised for it");
    }

    #[test]
    fn of_few_blocks_less_is_promised() {
        let row = Row::plain(Net::Loopback, Kind::Empty, 1);
        let few = |rate| Measured { blocks: 20_000, ..measured(row, rate) }.misses(4);
        assert!(few(5_000.0).is_empty());
        assert_eq!(few(4_900.0), ["4900 blocks/s, not 5000"]);
        assert_eq!(few(3_900.0).len(), 2, "nor is it ten times the plain client");
        let quick = measured(Row::plain(Net::Loopback, Kind::Calldata, 1), 1.0);
        assert!(Measured { blocks: 2_000, ..quick }.misses(4).is_empty());
    }

    #[test]
    fn memory_and_budget_are_judged_in_every_row() {
        let mut big = measured(Row::plain(Net::Loopback, Kind::Megabyte, 1), 100.0);
        big.rss_mb = Some(511.0);
        assert!(big.misses(4).is_empty());
        (big.rss_mb, big.budget) = (Some(512.0), (11, 10));
        assert_eq!(big.misses(4).len(), 2);
        let mut small = measured(Row::plain(Net::Loopback, Kind::Empty, 8), 100.0);
        small.rss_mb = Some(300.0);
        assert_eq!(small.misses(4), ["300 MB resident, not below 256"]);
    }

    #[test]
    fn what_limits_a_row_is_the_least_of_stages_cap_and_links() {
        let limit = |row| measured(row, 1.0).possible().unwrap();
        assert_eq!(limit(Row::plain(Net::Loopback, Kind::Empty, 1)), (30_000.0, "approvals"));
        let kind = Kind::Calldata10k;
        assert_eq!(limit(Row::uneven(kind, Weather::Healthy)), (5_000.0, "importer cap"));
        let (rate, name) = limit(Row::uneven(kind, Weather::Uncapped));
        assert_eq!((rate.round(), name), (2_318.0, "links"));
        let mut alone = measured(Row::plain(Net::Loopback, Kind::Empty, 1), 1.0);
        alone.beside = None;
        assert_eq!(alone.possible(), None);
    }

    #[test]
    fn each_weather_has_its_bar() {
        let row = |weather| Row::uneven(Kind::Calldata10k, weather);
        for (weather, good, bad) in [
            (Weather::Healthy, 4_510.0, 4_490.0),
            (Weather::BlackHole, 4_260.0, 4_240.0),
            (Weather::Stalls, 3_760.0, 3_740.0),
            (Weather::Uncapped, 2_100.0, 2_070.0),
        ] {
            assert!(measured(row(weather), good).misses(4).is_empty(), "{weather:?}");
            assert_eq!(measured(row(weather), bad).misses(4).len(), 1, "{weather:?}");
        }
        let mut wasteful = measured(row(Weather::Uncapped), 2_250.0);
        wasteful.overhead = Some(0.06);
        assert_eq!(wasteful.misses(4), ["0.06 overhead, not below 0.05"]);
    }

    #[test]
    fn distance_may_cost_a_fifth() {
        let row = Row::plain(Net::Rtt100, Kind::Empty, 1);
        assert!(measured(row, 19_300.0).misses(4).is_empty());
        assert_eq!(measured(row, 19_100.0).misses(4), ["0.80 of loopback, not 0.80"]);
    }

    #[test]
    fn no_number_is_a_miss() {
        let mut misses = Misses::default();
        misses.at_least("x", f64::NAN, 1.0);
        misses.below("y", f64::NAN, 1.0);
        assert_eq!(misses.0.len(), 2);
    }
}
