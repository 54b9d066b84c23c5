//! What it gains to ask a second peer for the head of the line, on the same seeds with and without.
#![allow(clippy::print_stdout, reason = "the figures in docs/performance.md")]

use std::time::Duration;

use alys_chain::BlockId;
use alys_model::{Conduct, Outcome, Scenario, play_with};
use alys_sync::{Config, Report, SyncMachine, Tip};

const SEEDS: std::ops::Range<u64> = 0..24;
/// So much may come twice in any run, however short.
const FLOOR_BYTES: u64 = 256 << 10;

fn finish(scenario: &Scenario, hedges: bool) -> Outcome {
    let config = Config { budget_bytes: scenario.budget_bytes, hedges, ..Config::default() };
    let out = play_with(scenario, &mut SyncMachine::new(config, Tip::genesis(BlockId([0; 32]))));
    assert!(out.done, "seed {}: {} blocks/s, {:?}", scenario.seed, out.rate(), out.took);
    out
}

fn hedges(out: &Outcome) -> usize {
    out.reports.iter().filter(|report| matches!(report, Report::Hedged { .. })).count()
}

/// A black hole among uneven peers, and 2 percent of the requests to the others stall.
fn troubled(seed: u64, blocks: u64) -> Scenario {
    let mut scenario = Scenario { stalled_permille: 20, ..Scenario::uneven(seed, blocks) };
    scenario.peers[6].conduct = Conduct::BlackHole;
    scenario
}

/// All seeds with and without a second peer; the sums, and how often it was slower with one by more than a hundredth.
fn compare(
    name: &str,
    seeds: std::ops::Range<u64>,
    scenario: impl Fn(u64) -> Scenario,
) -> (Duration, Duration, usize) {
    let (mut with_all, mut without_all, mut slower) = (Duration::ZERO, Duration::ZERO, 0);
    let (mut asked, mut worst) = (0, 0);
    for seed in seeds {
        let scenario = scenario(seed);
        let (with, without) = (finish(&scenario, true), finish(&scenario, false));
        let percent = with.took.as_millis() * 100 / without.took.as_millis();
        println!("{name}, seed {seed}: {:?} with, {:?} without, {percent} %", with.took, without.took);
        slower += usize::from(percent > 101);
        worst = worst.max(percent);
        (with_all, without_all) = (with_all + with.took, without_all + without.took);
        asked += hedges(&with);
        assert!(
            with.duplicate_bytes <= (with.bytes / 20).max(FLOOR_BYTES),
            "seed {seed}: {} bytes came twice",
            with.duplicate_bytes
        );
    }
    println!(
        "SUM {name}: {with_all:?} with, {without_all:?} without, {asked} hedges, slower {slower}, worst {worst} %"
    );
    (with_all, without_all, slower)
}

#[test]
fn a_node_that_is_a_little_behind_arrives_sooner_and_never_later() {
    for (name, blocks) in [("400 blocks", 400), ("800 blocks", 800)] {
        let (with, without, slower) = compare(name, SEEDS, |seed| troubled(seed, blocks));
        assert!(with * 100 <= without * 85);
        assert_eq!(slower, 0);
    }
    let (with, without, slower) = compare("uneven", SEEDS, |seed| Scenario::uneven(seed, 1_000));
    assert!(with <= without);
    assert_eq!(slower, 0);
}

#[test]
fn among_stalls_and_a_black_hole_it_gains_where_the_importer_is_not_the_limit() {
    let fast = |seed| Scenario { import_rate: 1_000_000, ..troubled(seed, 10_000) };
    let (with, without, _) = compare("stalls", SEEDS, fast);
    assert!(with * 100 <= without * 92);
}
