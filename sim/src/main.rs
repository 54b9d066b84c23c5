//! `alys-sim`: plays seeds, and says which of them broke a rule.
//!
//! - **In**: how many seeds, or one to be replayed. **Out**: a line a run, a summary, figures (`sim/seeds`, `sim/failed`).
//! - **On failure**: exit code 1, the failing seeds, and the command that replays each with every event.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::thread::available_parallelism;

use alys_figure::Figure;
use alys_sim::scenario::random::{self, Scale};
use alys_sim::{Outcome, Plan, play, scenario};
use clap::{Parser, ValueEnum};
use tracing_subscriber::EnvFilter;

/// How many of the seeds are played twice, to see that the same seed is the same run.
const TWICE: usize = 3;

/// Play seeds of the simulated world.
#[derive(Parser)]
#[command(name = "alys-sim")]
struct Args {
    /// How many random worlds to play.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Replay one seed, and show everything that happens.
    #[arg(long)]
    seed: Option<u64>,
    /// What to replay.
    #[arg(long, value_enum, default_value_t = Name::Random, requires = "seed")]
    scenario: Name,
    /// Larger worlds that live longer.
    #[arg(long)]
    full: bool,
    /// Figures for programs, one object a line.
    #[arg(long)]
    json: bool,
}

/// The scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    Random,
    Crashes,
    LateJoiner,
    Partition,
    SilentQuorum,
}

impl Args {
    const fn scale(&self) -> Scale {
        if self.full { Scale::Full } else { Scale::Usual }
    }

    fn plan(&self, seed: u64) -> Plan {
        match self.scenario {
            Name::Random => random::plan(seed, self.scale()),
            Name::Crashes => scenario::crashes::plan(seed),
            Name::LateJoiner => scenario::late_joiner::plan(seed),
            Name::Partition => scenario::partition::plan(seed),
            Name::SilentQuorum => scenario::silent_quorum::plan(seed),
        }
    }

    /// The stories of the first seed, all random worlds, and the first of these once more.
    fn plans(&self) -> (Vec<Plan>, usize) {
        let mut plans = scenario::stories(self.from);
        let stories = plans.len();
        let random =
            (self.from..self.from.saturating_add(self.seeds)).map(|seed| random::plan(seed, self.scale()));
        plans.extend(random);
        let again: Vec<Plan> = plans.iter().skip(stories).take(TWICE).cloned().collect();
        plans.extend(again);
        (plans, stories)
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let passed = match args.seed {
        Some(seed) => replay(&args, seed),
        None => play_all(&args),
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "what happens is what the command was asked for")]
fn replay(args: &Args, seed: u64) -> bool {
    // What the nodes log, if `RUST_LOG` asks for it; in virtual time, so without times.
    let filter = EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).without_time().with_ansi(false).init();
    let plan = args.plan(seed);
    let outcome = alys_sim::run(&plan, true);
    outcome.log.iter().for_each(|line| println!("{line}"));
    say(&line(&outcome));
    outcome.violations.iter().for_each(|violation| say(&format!("  {violation}")));
    outcome.passed()
}

fn play_all(args: &Args) -> bool {
    let (plans, stories) = args.plans();
    let threads = available_parallelism().unwrap_or(NonZeroUsize::MIN);
    say(&format!("{} worlds from seed {}, on {threads} threads", plans.len(), args.from));
    let outcomes = play::all(&plans, threads, |outcome| say(&line(outcome)));
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
    let differing = differing(&outcomes, stories, args.seeds);
    failed.iter().for_each(|outcome| explain(outcome, args.full));
    for seed in &differing {
        say(&format!("seed {seed} gave two different runs: alys-sim --seed {seed}"));
    }
    report(args, &outcomes, &failed, &differing);
    failed.is_empty() && differing.is_empty()
}

/// The seeds that were played twice with different digests.
fn differing(outcomes: &[Outcome], stories: usize, seeds: u64) -> Vec<u64> {
    let random = &outcomes[stories..];
    let (first, again) = random.split_at(random.len().min(usize::try_from(seeds).unwrap_or(usize::MAX)));
    let pairs = first.iter().zip(again).filter(|(a, b)| a.digest != b.digest);
    pairs.map(|(a, _)| a.seed).collect()
}

fn explain(outcome: &Outcome, full: bool) {
    let name = outcome.name.replace(' ', "-");
    let full = if full { " --full" } else { "" };
    say(&format!("seed {} ({}) broke a rule:", outcome.seed, outcome.name));
    outcome.violations.iter().for_each(|violation| say(&format!("  {violation}")));
    say(&format!("  replay it: alys-sim --seed {} --scenario {name}{full}", outcome.seed));
}

fn report(args: &Args, outcomes: &[Outcome], failed: &[&Outcome], differing: &[u64]) {
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let (ok, same) = (failed.is_empty(), differing.is_empty());
    let slots: u64 = outcomes.iter().map(|outcome| outcome.slots).sum();
    Figure::new("sim/seeds", count(outcomes.len()), "runs")
        .column("virtual_slots", slots)
        .seed(args.from)
        .pass(ok && same)
        .print(args.json);
    let first = failed.first().map_or(args.from, |outcome| outcome.seed);
    Figure::new("sim/failed", count(failed.len()), "runs").seed(first).pass(ok).print(args.json);
    let first = differing.first().copied().unwrap_or(args.from);
    Figure::new("sim/differing", count(differing.len()), "seeds").seed(first).pass(same).print(args.json);
    if let Some(slowest) = outcomes.iter().filter_map(|outcome| outcome.recovered).max() {
        Figure::new("sim/slowest_recovery", f64::from(u32::try_from(slowest).unwrap_or(u32::MAX)), "slots")
            .print(args.json);
    }
}

fn line(outcome: &Outcome) -> String {
    let recovered = outcome.recovered.map_or_else(|| "never".to_owned(), |slots| format!("{slots} slots"));
    format!(
        "{:<13} seed {:<6} {:>2} nodes ({} authorities) {:>2} faults {:>3} slots: final {:>3}, well after {:<8} {}  {}",
        outcome.name,
        outcome.seed,
        outcome.nodes,
        outcome.authorities,
        outcome.faults,
        outcome.slots,
        outcome.finalized.0,
        recovered,
        outcome.digest,
        if outcome.passed() { "ok" } else { "FAILED" },
    )
}

/// Progress and explanations go beside the figures, which programs read.
#[expect(clippy::print_stderr, reason = "people read along")]
fn say(line: &str) {
    eprintln!("{line}");
}
