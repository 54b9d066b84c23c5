//! Adaptive sizes of requests beside fixed ones, in the same machine with everything else the same.
#![allow(clippy::print_stdout, reason = "the figures in docs/performance.md")]
#![allow(clippy::unwrap_used, reason = "a test that meets None has failed")]

use std::num::NonZeroU32;
use std::time::Duration;

use alys_chain::BlockId;
use alys_model::{Conduct, PeerModel, Scenario, play_with};
use alys_sync::{Batch, Config, SyncMachine, Tip};

fn took(scenario: &Scenario, batch: Batch) -> Duration {
    let config = Config { budget_bytes: scenario.budget_bytes, batch, ..Config::default() };
    let out = play_with(scenario, &mut SyncMachine::new(config, Tip::genesis(BlockId([0; 32]))));
    assert!(out.done, "{batch:?}: {} blocks/s", out.rate());
    out.took
}

/// Uneven peers at an importer that is not the limit, in several kinds of trouble; near and far; blocks of every size.
fn mix(seed: u64) -> Vec<(&'static str, Scenario)> {
    let fast = |scenario: Scenario| Scenario { import_rate: 50_000, ..scenario };
    let uneven = fast(Scenario::uneven(seed, 5_000));
    let mut hole = uneven.clone();
    hole.peers[6].conduct = Conduct::BlackHole;
    let stalls = Scenario { stalled_permille: 20, ..uneven.clone() };
    let far = fast(Scenario::alone(seed, 5_000, PeerModel::honest(40_000_000, 100)));
    vec![
        ("uneven", uneven.clone()),
        ("black hole", hole),
        ("stalls", stalls),
        ("capped importer", Scenario { import_rate: 5_000, ..uneven.clone() }),
        ("100 ms", far),
        ("300 B", Scenario { body_bytes: 300, blocks: 40_000, ..uneven.clone() }),
        ("1 MB", Scenario { body_bytes: 1_000_000, blocks: 300, ..uneven }),
    ]
}

/// How much longer each fixed size takes, in percent of the adaptive ones: the mean over the mix.
fn means(sizes: &[u32], seeds: std::ops::Range<u64>) -> Vec<u128> {
    let mut sums = vec![0; sizes.len()];
    let mut count = 0;
    for (name, scenario) in seeds.flat_map(mix) {
        let adaptive = took(&scenario, Batch::Adaptive);
        let fixed = sizes.iter().map(|&size| took(&scenario, Batch::Fixed(NonZeroU32::new(size).unwrap())));
        let percents: Vec<u128> = fixed.map(|took| took.as_millis() * 100 / adaptive.as_millis()).collect();
        println!("{name}, seed {}: {adaptive:?}; {sizes:?}: {percents:?} %", scenario.seed);
        sums.iter_mut().zip(percents).for_each(|(sum, percent)| *sum += percent);
        count += 1;
    }
    sums.into_iter().map(|sum| sum / count).collect()
}

#[test]
fn no_single_fixed_size_comes_within_a_fifth_of_adaptive_ones_over_the_mix() {
    let means = means(&[32, 64, 128], 0..2);
    println!("mean: {means:?} %");
    assert!(means.iter().all(|&mean| mean >= 120), "{means:?} %");
}
