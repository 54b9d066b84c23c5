//! `alys-sim`: plays seeds, and says which of them broke a rule.
//!
//! - **In**: how many seeds, or one to be replayed, or the wish to compare schedulers. **Out**: a line a run, a summary, figures (`sim/seeds`,
//!   `sim/failed`); a table.
//! - **On failure**: exit code 1, the failing seeds, and the command that replays each with every event.

mod compare;
mod replay;
mod report;

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::thread::available_parallelism;

use alys_sim::scenario::random::{self, Scale};
use alys_sim::siege::{self, Siege};
use alys_sim::{Log, Outcome, Plan, play, scenario};
use clap::{Parser, ValueEnum};

use report::say;

/// How many of the seeds are played twice, to see that the same seed is the same run.
const TWICE: usize = 3;
/// How many seeds schedulers are compared on if nobody says how many.
const COMPARED_SEEDS: u64 = 100;
/// How many random worlds are played if nobody says how many.
const WORLDS: u64 = 20;
/// How many seeds of each attack are played: in CI just enough to see that it works, with `--full` as many as were asked for.
const ATTACK_SEEDS: (u64, u64) = (2, 200);

/// Play seeds of the simulated world.
#[derive(Parser)]
#[command(name = "alys-sim")]
struct Args {
    /// How many random worlds to play; 20 if it is left out.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Replay one seed, and show everything that happens.
    #[arg(long)]
    seed: Option<u64>,
    /// What to replay.
    #[arg(long, value_enum, default_value_t = Name::Random, requires = "seed")]
    scenario: Name,
    /// Show every decision as well: each event that the machines of the nodes take in, and each action that they want done.
    #[arg(long, requires = "seed")]
    decisions: bool,
    /// Compare schedulers in the model of peers and lines: ours, join-all rounds, a gap a peer, one batch a peer, fixed sizes. On 100 seeds, if
    /// --seeds is left out.
    #[arg(long, conflicts_with = "seed")]
    compare: bool,
    /// Larger worlds that live longer, and 200 seeds of each attack.
    #[arg(long)]
    full: bool,
    /// How many seeds of each attack to play; 2, or 200 with --full, if it is left out.
    #[arg(long)]
    attacks: Option<u64>,
    /// How many runs go on at once; as many as there are cores if it is left out.
    #[arg(long)]
    threads: Option<NonZeroUsize>,
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
    ClaimedHeight,
    WithheldBodies,
    Turncoats,
    BadBodies,
    BadApprovals,
    Drip,
    Kills,
}

/// What a scenario is.
enum Played {
    World(Box<Plan>),
    Attack(siege::Attack),
    Kills,
}

impl Args {
    const fn scale(&self) -> Scale {
        if self.full { Scale::Full } else { Scale::Usual }
    }

    fn played(&self, seed: u64) -> Played {
        let plan = match self.scenario {
            Name::Random => random::plan(seed, self.scale()),
            Name::Crashes => scenario::crashes::plan(seed),
            Name::LateJoiner => scenario::late_joiner::plan(seed),
            Name::Partition => scenario::partition::plan(seed),
            Name::SilentQuorum => scenario::silent_quorum::plan(seed),
            Name::ClaimedHeight => return Played::Attack(scenario::claimed_height::ATTACK),
            Name::WithheldBodies => return Played::Attack(scenario::withheld_bodies::ATTACK),
            Name::Turncoats => return Played::Attack(scenario::turncoats::ATTACK),
            Name::BadBodies => return Played::Attack(scenario::bad_bodies::ATTACK),
            Name::BadApprovals => return Played::Attack(scenario::bad_approvals::ATTACK),
            Name::Drip => return Played::Attack(scenario::drip::ATTACK),
            Name::Kills => return Played::Kills,
        };
        Played::World(Box::new(plan))
    }

    fn seeds(&self) -> u64 {
        self.seeds.unwrap_or(WORLDS)
    }

    fn threads(&self) -> NonZeroUsize {
        self.threads.or_else(|| available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
    }

    /// The stories of the first seed, all random worlds, and the first of these once more.
    fn plans(&self) -> (Vec<Plan>, usize) {
        let mut plans = scenario::stories(self.from);
        let stories = plans.len();
        let random =
            (self.from..self.from.saturating_add(self.seeds())).map(|seed| random::plan(seed, self.scale()));
        plans.extend(random);
        let again: Vec<Plan> = plans.iter().skip(stories).take(TWICE).cloned().collect();
        plans.extend(again);
        (plans, stories)
    }

    fn compared_seeds(&self) -> Vec<u64> {
        (self.from..self.from.saturating_add(self.seeds.unwrap_or(COMPARED_SEEDS))).collect()
    }

    fn attack_seeds(&self) -> Vec<u64> {
        let (few, many) = ATTACK_SEEDS;
        let count = self.attacks.unwrap_or(if self.full { many } else { few });
        (self.from..self.from.saturating_add(count)).collect()
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let passed = match args.seed.map(|seed| (seed, args.played(seed))) {
        Some((_, Played::World(plan))) => replay::world(&plan, args.decisions),
        Some((seed, Played::Attack(attack))) => replay::siege(Some(&attack), seed, args.decisions),
        Some((seed, Played::Kills)) => replay::siege(None, seed, args.decisions),
        None if args.compare => compare::run(&args.compared_seeds(), args.threads(), args.json),
        // Both are played, whatever the first of them comes to.
        None => play_worlds(&args) & play_attacks(&args),
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn play_worlds(args: &Args) -> bool {
    let (plans, stories) = args.plans();
    say(&format!("{} worlds from seed {}, on {} threads", plans.len(), args.from, args.threads()));
    let run = |plan: &Plan| alys_sim::run(plan, Log::Drop);
    let outcomes =
        play::all(&plans, args.threads(), (run, Outcome::panicked), |outcome| say(&report::line(outcome)));
    let differing = differing(&outcomes, stories, args.seeds());
    report::worlds(args, &outcomes, &differing)
}

/// The seeds that were played twice with different digests.
fn differing(outcomes: &[Outcome], stories: usize, seeds: u64) -> Vec<u64> {
    let random = &outcomes[stories..];
    let (first, again) = random.split_at(random.len().min(usize::try_from(seeds).unwrap_or(usize::MAX)));
    let pairs = first.iter().zip(again).filter(|(a, b)| a.digest != b.digest);
    pairs.map(|(a, _)| a.seed).collect()
}

fn play_attacks(args: &Args) -> bool {
    let seeds = args.attack_seeds();
    say(&format!("{} attacks on a node that syncs, {} seeds each", scenario::ATTACKS.len(), seeds.len()));
    let run = |seed: &u64| siege::run(&scenario::ATTACKS, *seed);
    let panicked = |seed: &u64| vec![Siege::panicked(*seed)];
    let sieges = play::all(&seeds, args.threads(), (run, panicked), |sieges| {
        sieges.iter().for_each(|siege| say(&report::siege(siege)));
    });
    report::sieges(args, &sieges.concat())
}
