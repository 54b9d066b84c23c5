//! Schedulers compared on the same seeds: ours, three that are usual, and ours with fixed sizes of a batch.
//!
//! - **Decides**: whether ours is behind another one in a run. **In**: cases and seeds. **Out**: runs, and a table with a [`Row`] for each case and
//!   scheduler.
//! - **On failure**: a row in which ours is behind another names the seeds.

use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;

use alys_sync::{Batch, Config, SyncMachine, Tip};

use crate::chain::GENESIS;
use crate::{Conduct, Dice, Outcome, PeerModel, Scenario, Scheduler, play_with, rivals};

/// Where the importer is the limit of both, ours may take so much longer, in thousandths: the first blocks of a run come when the first requests
/// are answered, and whom they went to is a matter of luck.
pub const FAIR_PERMILLE: u64 = 10;
/// Of 1,000 requests so many are never answered, where requests stall.
const STALLED_PERMILLE: u64 = 20;
/// For so long a line stands still, where some do.
const STANDSTILL: Duration = Duration::from_secs(5);
/// An importer that does not hold anything up, in blocks a second.
const UNCAPPED: u64 = 1_000_000;
/// Peers that lie, where some do.
const LIARS: usize = 2;
/// How they lie.
const LIES: [Conduct; 5] =
    [Conduct::BadBodies, Conduct::BadApprovals, Conduct::Withholding, Conduct::Dripping, Conduct::Boasting];

/// A scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// That of this project.
    Ours,
    /// Join-all rounds.
    Rounds,
    /// One batch a peer, of so many blocks.
    Batches(u64),
    /// A gap a peer.
    Gaps,
    /// That of this project, but that every request names so many blocks.
    Fixed(u32),
}

impl Name {
    /// All of them, ours first.
    pub const ALL: [Self; 8] = [
        Self::Ours,
        Self::Rounds,
        Self::Gaps,
        Self::Batches(rivals::BATCH),
        Self::Fixed(16),
        Self::Fixed(48),
        Self::Fixed(128),
        Self::Fixed(512),
    ];

    /// Whether it is a fixed size that adaptive ones are measured against.
    #[must_use]
    pub const fn is_fixed_size(self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    fn scheduler(self, scenario: &Scenario) -> Box<dyn Scheduler> {
        let batch = match self {
            Self::Fixed(size) => NonZeroU32::new(size).map_or(Batch::Adaptive, Batch::Fixed),
            _ => Batch::Adaptive,
        };
        let config = Config { budget_bytes: scenario.budget_bytes, batch, ..Config::default() };
        match self {
            Self::Ours | Self::Fixed(_) => Box::new(SyncMachine::new(config, Tip::genesis(GENESIS.id))),
            Self::Rounds => Box::new(rivals::rounds()),
            Self::Batches(size) => Box::new(rivals::batches(size)),
            Self::Gaps => Box::new(rivals::gaps()),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours => f.pad("ours"),
            Self::Rounds => f.pad("join-all rounds"),
            Self::Batches(size) => f.pad(&format!("one batch of {size}")),
            Self::Gaps => f.pad("a gap a peer"),
            Self::Fixed(size) => f.pad(&format!("ours, {size} each")),
        }
    }
}

/// What is played: eight uneven peers and an importer of 5,000 blocks of 10 KB a second, but for what each case says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Nothing is wrong.
    Healthy,
    /// One peer takes requests and never answers.
    BlackHole,
    /// And 2 % of all requests are never answered.
    Stalls,
    /// And 2 % of the requests for bodies hold up their line, and all that was asked behind them, for 5 s.
    Standstill,
    /// Two peers lie.
    Liars,
    /// The importer takes whatever comes.
    Network,
    /// The importer takes 1,000 blocks a second.
    Importer,
    /// One peer, 100 ms away.
    Far,
    /// Blocks of 300 bytes, and an importer that takes whatever comes.
    Small,
    /// Blocks of 100 KB, and an importer that takes whatever comes.
    Large,
}

impl Case {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Healthy,
        Self::BlackHole,
        Self::Stalls,
        Self::Standstill,
        Self::Liars,
        Self::Network,
        Self::Importer,
        Self::Far,
        Self::Small,
        Self::Large,
    ];

    /// The world of a seed, a chain of so many blocks of 10 KB, or as many bytes of others. The fastest peer is always honest.
    #[must_use]
    pub fn scenario(self, seed: u64, blocks: u64) -> Scenario {
        let mut scenario = Scenario::uneven(seed, blocks);
        match self {
            Self::Healthy => {}
            Self::BlackHole | Self::Stalls | Self::Standstill => {
                spoil(&mut scenario, 1, &[Conduct::BlackHole])
            }
            Self::Liars => spoil(&mut scenario, LIARS, &LIES),
            Self::Network => scenario.import_rate = UNCAPPED,
            Self::Importer => scenario.import_rate = 1_000,
            Self::Far => {
                scenario.peers = vec![PeerModel::honest(40_000_000, 100)];
                scenario.import_rate = UNCAPPED;
            }
            Self::Small => (scenario.body_bytes, scenario.import_rate) = (300, UNCAPPED),
            Self::Large => {
                (scenario.body_bytes, scenario.import_rate) = (100_000, UNCAPPED);
                scenario.blocks = (blocks / 10).max(1);
            }
        }
        if matches!(self, Self::Stalls | Self::Standstill) {
            scenario.stalled_permille = STALLED_PERMILLE;
        }
        if self == Self::Standstill {
            scenario.stalled_for = Some(STANDSTILL);
        }
        scenario
    }
}

/// Lets so many of the slower peers behave otherwise.
fn spoil(scenario: &mut Scenario, count: usize, conducts: &[Conduct]) {
    let mut dice = Dice(scenario.seed.wrapping_add(1));
    let mut draw = |below: usize| usize::try_from(dice.below(below as u64)).unwrap_or_default();
    let mut slower: Vec<usize> = (0..scenario.peers.len().saturating_sub(1)).collect();
    for _ in 0..count.min(slower.len()) {
        let place = slower.swap_remove(draw(slower.len()));
        scenario.peers[place].conduct = conducts[draw(conducts.len())];
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Healthy => "healthy",
            Self::BlackHole => "black hole",
            Self::Stalls => "black hole, 2 % stalls",
            Self::Standstill => "lines stand still",
            Self::Liars => "two liars",
            Self::Network => "network is the limit",
            Self::Importer => "importer is the limit",
            Self::Far => "one peer, 100 ms",
            Self::Small => "blocks of 300 bytes",
            Self::Large => "blocks of 100 KB",
        })
    }
}

/// One run.
#[derive(Clone, Debug)]
pub struct Run {
    /// What became of it.
    pub outcome: Outcome,
    /// As many blocks a second as the importer takes, or the lines of the honest peers carry.
    pub possible: u64,
    /// Whether the importer is what limits it.
    pub by_importer: bool,
}

/// Plays a scenario with a scheduler.
#[must_use]
pub fn run(name: Name, scenario: &Scenario) -> Run {
    let outcome = play_with(scenario, name.scheduler(scenario).as_mut());
    let possible = scenario.import_rate.min(scenario.honest_bandwidth() / scenario.body_bytes.max(1));
    Run { outcome, possible, by_importer: possible == scenario.import_rate }
}

/// One case and seed, played with every scheduler of [`Name::ALL`]; `None` for a run that ended in a panic.
pub type Heat = [Option<Run>; Name::ALL.len()];

/// Plays one case and seed with every scheduler.
#[must_use]
pub fn heat(case: Case, seed: u64, blocks: u64) -> Heat {
    let scenario = case.scenario(seed, blocks);
    Name::ALL.map(|name| Some(run(name, &scenario)))
}

/// Whether ours is behind, or not ahead although the importer is not the limit. A run that ended in a panic, or not at all, has lost.
#[must_use]
pub fn is_behind(ours: Option<&Run>, other: Option<&Run>) -> bool {
    let Some(ours) = ours.filter(|ours| ours.outcome.done) else { return true };
    let Some(other) = other.filter(|other| other.outcome.done) else { return false };
    let micros = |run: &Run| u64::try_from(run.outcome.took.as_micros()).unwrap_or(u64::MAX);
    if ours.by_importer {
        micros(ours).saturating_mul(1_000) > micros(other).saturating_mul(1_000 + FAIR_PERMILLE)
    } else {
        micros(ours) >= micros(other)
    }
}

/// A scheduler in a case, over all seeds.
#[derive(Clone, Debug)]
pub struct Row {
    /// The case.
    pub case: Case,
    /// The scheduler.
    pub name: Name,
    /// Blocks a second, on the average.
    pub rate: u64,
    /// Blocks a second of the worst seed.
    pub worst: u64,
    /// How much that is of what can be had, in thousandths, on the average.
    pub permille: u64,
    /// Bodies that came twice, in thousandths of all bytes of bodies.
    pub duplicates_permille: u64,
    /// What is no body, in thousandths of all bytes.
    pub overhead_permille: u64,
    /// Seeds in which ours was behind this one, or not ahead where it should be.
    pub lost: Vec<u64>,
}

/// The rows of a case, from its heats by seed.
#[must_use]
pub fn rows(case: Case, heats: &[(u64, Heat)]) -> Vec<Row> {
    Name::ALL.iter().enumerate().map(|(at, &name)| row(case, name, at, heats)).collect()
}

fn row(case: Case, name: Name, at: usize, heats: &[(u64, Heat)]) -> Row {
    let runs: Vec<&Run> = heats.iter().filter_map(|(_, heat)| heat[at].as_ref()).collect();
    let sum = |of: &dyn Fn(&Run) -> u64| runs.iter().map(|run| of(run)).sum::<u64>();
    let mean = |of: &dyn Fn(&Run) -> u64| sum(of) / (runs.len() as u64).max(1);
    let part = |of: u64, all: u64| (of * 1_000).div_ceil(all.max(1));
    let (bytes, overhead) = (sum(&|run| run.outcome.bytes), sum(&|run| run.outcome.overhead_bytes));
    let lost = |heat: &Heat| {
        let ours = heat[0].as_ref();
        match name {
            Name::Ours => ours.is_none_or(|ours| !ours.outcome.done),
            // No rival: what it shows is what the mix of all cases shows.
            Name::Fixed(_) => false,
            _ => is_behind(ours, heat[at].as_ref()),
        }
    };
    Row {
        case,
        name,
        rate: mean(&|run| run.outcome.rate()),
        worst: runs.iter().map(|run| run.outcome.rate()).min().unwrap_or(0),
        permille: mean(&|run| run.outcome.rate() * 1_000 / run.possible.max(1)),
        duplicates_permille: part(sum(&|run| run.outcome.duplicate_bytes), bytes),
        overhead_permille: part(overhead, bytes + overhead),
        lost: heats.iter().filter(|(_, heat)| lost(heat)).map(|(seed, _)| *seed).collect(),
    }
}

/// How much longer a scheduler takes than ours over a mix of heats, on the average, in thousandths. Runs that did not end are left out.
#[must_use]
pub fn longer_permille<'a>(at: usize, heats: impl Iterator<Item = &'a Heat>) -> i64 {
    let ratio = |heat: &Heat| {
        let took = |at: usize| heat[at].as_ref().filter(|run| run.outcome.done).map(|run| run.outcome.took);
        Some(took(at)?.as_micros() * 1_000 / took(0)?.as_micros().max(1))
    };
    let ratios: Vec<u128> = heats.filter_map(ratio).collect();
    let mean = ratios.iter().sum::<u128>() / (ratios.len() as u128).max(1);
    i64::try_from(mean).unwrap_or(i64::MAX) - 1_000
}

/// The fixed size that comes closest to ours over a mix of heats, and how much longer it takes, in thousandths.
#[must_use]
pub fn best_fixed_size(heats: &[&Heat]) -> Option<(Name, i64)> {
    let fixed = Name::ALL.iter().enumerate().filter(|(_, name)| name.is_fixed_size());
    fixed.map(|(at, &name)| (name, longer_permille(at, heats.iter().copied()))).min_by_key(|(_, gain)| *gain)
}

/// The head of the table.
#[must_use]
pub fn head() -> String {
    format!(
        "{:<22} {:<17} {:>9} {:>9} {:>11} {:>11} {:>9}",
        "case", "scheduler", "blocks/s", "worst", "of possible", "duplicates", "overhead"
    )
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |permille: u64| format!("{}.{} %", permille / 10, permille % 10);
        write!(
            f,
            "{:<22} {:<17} {:>9} {:>9} {:>11} {:>11} {:>9}",
            self.case,
            self.name,
            self.rate,
            self.worst,
            percent(self.permille),
            percent(self.duplicates_permille),
            percent(self.overhead_permille),
        )?;
        if self.lost.is_empty() { Ok(()) } else { write!(f, "  OURS IS BEHIND: seeds {:?}", self.lost) }
    }
}
