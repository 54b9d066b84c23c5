//! The rows of the table: what is synced, from whom, over which links, and what is wrong with some of them.

use clap::ValueEnum;

use crate::history::Kind;
use crate::proxy::Link;
use crate::trouble::Trouble;

/// What lies between the sources and the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Net {
    /// Nothing.
    Loopback,
    /// 100 ms there and back, and no bottleneck.
    Rtt100,
    /// Eight links from 0.5 to 40 MB/s and from 20 to 250 ms.
    Uneven,
}

/// How the peers of the uneven links are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Weather {
    /// Everybody answers, the importer is capped.
    Healthy,
    /// One never answers after a while.
    BlackHole,
    /// The same, and one request in fifty to the others stalls.
    Stalls,
    /// Everybody answers, the importer is not capped, and the links are four times as slow: they are the limit, and not the cores.
    Uncapped,
}

/// The uneven links: bytes a second, milliseconds there and back. The fast ones are near, as in life.
const UNEVEN: [(u64, u64); 8] = [
    (500_000, 250),
    (1_000_000, 200),
    (2_000_000, 160),
    (4_000_000, 120),
    (8_000_000, 90),
    (15_000_000, 60),
    (25_000_000, 40),
    (40_000_000, 20),
];
/// So many times slower they are where they are to be the limit: all that they carry together must be little for the cores that verify it, and those
/// that send it share them.
const SLOWER: u64 = 4;
/// The place of the black hole among them: one that the node has come to rely on, but not the best.
const BLACK_HOLE: usize = 5;
/// Blocks a second that the importer takes in the rows that are not about it.
pub const CAP: u64 = 5_000;

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// What is in the blocks.
    pub kind: Kind,
    /// What lies between.
    pub net: Net,
    /// How many sources there are.
    pub sources: usize,
    /// How they are.
    pub weather: Weather,
    /// Blocks a second that the importer takes at most.
    pub cap: Option<u64>,
}

impl Row {
    /// A row of sources with which nothing is wrong.
    pub const fn plain(net: Net, kind: Kind, sources: usize) -> Self {
        Self { kind, net, sources, weather: Weather::Healthy, cap: None }
    }

    /// A row of uneven links.
    pub const fn uneven(kind: Kind, weather: Weather) -> Self {
        let cap = match weather {
            Weather::Uncapped => None,
            Weather::Healthy | Weather::BlackHole | Weather::Stalls => Some(CAP),
        };
        Self { kind, net: Net::Uneven, sources: UNEVEN.len(), weather, cap }
    }

    /// As it is called in figures.
    pub fn name(&self) -> String {
        let kind = self.kind.name();
        match (self.net, self.weather) {
            (Net::Loopback, _) if self.sources == 1 => format!("loopback/{kind}"),
            (Net::Loopback, _) => format!("loopback/{kind}/{}_sources", self.sources),
            (Net::Rtt100, _) if self.sources == 1 => format!("rtt100/{kind}"),
            (Net::Rtt100, _) => format!("rtt100/{kind}/{}_sources", self.sources),
            (Net::Uneven, Weather::Healthy) => format!("uneven/{kind}/healthy"),
            (Net::Uneven, Weather::BlackHole) => format!("uneven/{kind}/black_hole"),
            (Net::Uneven, Weather::Stalls) => format!("uneven/{kind}/stalls"),
            (Net::Uneven, Weather::Uncapped) => format!("uneven/{kind}/uncapped"),
        }
    }

    /// The link to each source; none where the node dials it directly.
    pub fn links(&self) -> Option<Vec<Link>> {
        match self.net {
            Net::Loopback => None,
            Net::Rtt100 => Some(vec![Link::long(100); self.sources]),
            Net::Uneven => {
                let slower = if self.weather == Weather::Uncapped { SLOWER } else { 1 };
                Some(UNEVEN.map(|(rate, millis)| Link::new(rate / slower, millis)).to_vec())
            }
        }
    }

    /// What is wrong with a source.
    pub fn trouble(&self, source: usize) -> Option<Trouble> {
        match self.weather {
            Weather::BlackHole | Weather::Stalls if source == BLACK_HOLE => Some(Trouble::BlackHole),
            Weather::Stalls => Some(Trouble::Stalls),
            _ => None,
        }
    }

    /// Bytes a second of all links whose source answers; `None` without a bottleneck.
    pub fn bandwidth(&self) -> Option<u64> {
        let links = self.links()?;
        let answers = |source: &usize| self.trouble(*source) != Some(Trouble::BlackHole);
        (0..links.len()).filter(answers).map(|source| links[source].bytes_per_second).sum()
    }
}

/// What to choose rows by; what is not said is not chosen by.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// What lies between.
    pub nets: Vec<Net>,
    /// What is in the blocks.
    pub kinds: Vec<Kind>,
    /// How many sources.
    pub sources: Vec<usize>,
    /// How the peers of the uneven links are.
    pub weathers: Vec<Weather>,
}

/// The rows of this choice; each net has the kinds and numbers of sources that its figures are promised for, unless others are named.
pub fn select(choice: &Choice) -> Vec<Row> {
    use Kind::{Calldata, Calldata10k, Empty, Megabyte, Transfers};
    let wanted = |net| choice.nets.is_empty() || choice.nets.contains(&net);
    let mut rows = Vec::new();
    if wanted(Net::Loopback) {
        rows.extend(cross(choice, Net::Loopback, &[Empty, Calldata, Transfers], &[1, 4, 8]));
        if choice.kinds.is_empty() && choice.sources.is_empty() {
            rows.push(Row::plain(Net::Loopback, Megabyte, 1));
        }
    }
    if wanted(Net::Rtt100) {
        rows.extend(cross(choice, Net::Rtt100, &[Empty, Calldata, Transfers], &[1]));
    }
    // Its number of sources is fixed: who asks for another one does not mean these rows.
    let fits = choice.sources.is_empty() || choice.sources.contains(&UNEVEN.len());
    let named = choice.nets.contains(&Net::Uneven) || choice.kinds.is_empty();
    if wanted(Net::Uneven) && fits && (named || choice.kinds.contains(&Calldata10k)) {
        let mut weathers = vec![Weather::Healthy, Weather::BlackHole, Weather::Stalls, Weather::Uncapped];
        weathers.retain(|weather| choice.weathers.is_empty() || choice.weathers.contains(weather));
        let kinds = if choice.kinds.is_empty() { &[Calldata10k][..] } else { &choice.kinds };
        rows.extend(
            kinds.iter().flat_map(|kind| weathers.iter().map(|weather| Row::uneven(*kind, *weather))),
        );
    }
    // Of one kind after the other: its history and its ceilings are made once.
    rows.sort_by_key(|row| row.kind);
    rows
}

fn cross(choice: &Choice, net: Net, kinds: &[Kind], sources: &[usize]) -> Vec<Row> {
    let kinds = if choice.kinds.is_empty() { kinds } else { &choice.kinds };
    let sources = if choice.sources.is_empty() { sources } else { &choice.sources };
    kinds.iter().flat_map(|kind| sources.iter().map(|count| Row::plain(net, *kind, *count))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_whole_table_has_every_row_that_a_figure_is_promised_for_once() {
        let rows = select(&Choice::default());
        let names: BTreeSet<String> = rows.iter().map(Row::name).collect();
        assert_eq!(names.len(), rows.len());
        for name in [
            "loopback/empty",
            "loopback/calldata/4_sources",
            "loopback/transfers/8_sources",
            "loopback/megabyte",
            "rtt100/empty",
            "uneven/calldata10k/healthy",
            "uneven/calldata10k/black_hole",
            "uneven/calldata10k/stalls",
            "uneven/calldata10k/uncapped",
        ] {
            assert!(names.contains(name), "{name} of {names:?}");
        }
    }

    #[test]
    fn a_choice_leaves_the_rest_out() {
        let choice = Choice { kinds: vec![Kind::Empty], sources: vec![1], ..Choice::default() };
        let names: Vec<String> = select(&choice).iter().map(Row::name).collect();
        assert_eq!(names, ["loopback/empty", "rtt100/empty"]);
        let choice = Choice { nets: vec![Net::Uneven], ..Choice::default() };
        assert_eq!(select(&choice).len(), 4);
        let choice = Choice {
            nets: vec![Net::Loopback],
            kinds: vec![Kind::Calldata10k],
            sources: vec![2],
            ..Choice::default()
        };
        assert_eq!(select(&choice), [Row::plain(Net::Loopback, Kind::Calldata10k, 2)]);
    }

    #[test]
    fn what_a_black_hole_could_carry_is_not_counted() {
        let healthy = Row::uneven(Kind::Calldata10k, Weather::Healthy);
        let hole = Row::uneven(Kind::Calldata10k, Weather::BlackHole);
        assert_eq!(healthy.bandwidth(), Some(95_500_000));
        assert_eq!(hole.bandwidth(), Some(80_500_000));
        assert_eq!(Row::uneven(Kind::Calldata10k, Weather::Uncapped).bandwidth(), Some(23_875_000));
        assert_eq!(Row::plain(Net::Rtt100, Kind::Empty, 1).bandwidth(), None);
        assert_eq!(Row::plain(Net::Loopback, Kind::Empty, 1).bandwidth(), None);
        assert_eq!((healthy.cap, Row::uneven(Kind::Empty, Weather::Uncapped).cap), (Some(CAP), None));
    }

    #[test]
    fn with_stalls_there_is_a_black_hole_as_well() {
        let row = Row::uneven(Kind::Calldata10k, Weather::Stalls);
        let holes = (0..8).filter(|source| row.trouble(*source) == Some(Trouble::BlackHole)).count();
        let stalling = (0..8).filter(|source| row.trouble(*source) == Some(Trouble::Stalls)).count();
        assert_eq!((holes, stalling), (1, 7));
    }
}
