//! What is said of runs: lines for people, figures for programs.

use alys_figure::Figure;
use alys_sim::Outcome;
use alys_sim::siege::{Siege, kills};

use crate::Args;

/// Progress and explanations go beside the figures, which programs read.
#[expect(clippy::print_stderr, reason = "people read along")]
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// A world in a line.
pub fn line(outcome: &Outcome) -> String {
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
        verdict(outcome.passed()),
    )
}

/// An attack in a line.
pub fn siege(siege: &Siege) -> String {
    let took =
        siege.besieged.map_or_else(|| "never".to_owned(), |took| format!("{:.2} s", took.as_secs_f64()));
    let ratio = siege
        .permille()
        .map_or_else(|| "-".to_owned(), |ratio| format!("{}.{:03}", ratio / 1000, ratio % 1000));
    format!(
        "{:<15} seed {:<6} clean {:>6.2} s, attacked {:>9}: {ratio} x, {} offences, {} leases in vain  {}  {}",
        siege.name,
        siege.seed,
        siege.clean.as_secs_f64(),
        took,
        siege.offences,
        siege.leases,
        siege.digest,
        verdict(siege.passed()),
    )
}

const fn verdict(passed: bool) -> &'static str {
    if passed { "ok" } else { "FAILED" }
}

fn explain(outcome: &Outcome, full: bool) {
    let name = outcome.name.replace(' ', "-");
    let full = if full { " --full" } else { "" };
    say(&format!("seed {} ({}) broke a rule:", outcome.seed, outcome.name));
    outcome.violations.iter().for_each(|violation| say(&format!("  {violation}")));
    say(&format!("  replay it: alys-sim --seed {} --scenario {name}{full}", outcome.seed));
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// All worlds; whether every one of them held, and was the same run the second time.
pub fn worlds(args: &Args, outcomes: &[Outcome], differing: &[u64]) -> bool {
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
    failed.iter().for_each(|outcome| explain(outcome, args.full));
    for seed in differing {
        say(&format!("seed {seed} gave two different runs: alys-sim --seed {seed}"));
    }
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
    ok && same
}

/// All attacks; whether the node held against every one of them.
pub fn sieges(args: &Args, sieges: &[Siege]) -> bool {
    let failed: Vec<&Siege> = sieges.iter().filter(|siege| !siege.passed()).collect();
    for siege in &failed {
        say(&format!("seed {} ({}) broke a rule:", siege.seed, siege.name));
        siege.violations.iter().for_each(|violation| say(&format!("  {violation}")));
        let name = siege.name.replace(' ', "-");
        say(&format!("  replay it: alys-sim --seed {} --scenario {name}", siege.seed));
    }
    for attack in &alys_sim::scenario::ATTACKS {
        let of_it = || sieges.iter().filter(|siege| siege.name == attack.name);
        let slowest = of_it().max_by_key(|siege| siege.permille().unwrap_or(u128::MAX));
        let Some(slowest) = slowest else { continue };
        let permille = slowest.permille().and_then(|ratio| u32::try_from(ratio).ok()).unwrap_or(u32::MAX);
        Figure::new(
            format!("sim/attack/{}", attack.name.replace(' ', "_")),
            f64::from(permille) / 1_000.0,
            "x clean",
        )
        .column("seeds", count(of_it().count()))
        .column("most", f64::from(attack.within_permille) / 1_000.0)
        .seed(slowest.seed)
        .pass(of_it().all(Siege::passed))
        .print(args.json);
    }
    let killed = || sieges.iter().filter(|siege| siege.name == kills::NAME);
    Figure::new("sim/kills", count(killed().count()), "runs")
        .seed(args.from)
        .pass(killed().all(Siege::passed))
        .print(args.json);
    failed.is_empty()
}
