//! Ours beside other schedulers, on the same seeds.

use alys_model::compare::{Case, Heat, Name, Run, best_fixed_size, heat, is_behind, rows, run};

/// Blocks of a run: a tenth of the long form of the comparison.
const BLOCKS: u64 = 10_000;
const SEEDS: std::ops::Range<u64> = 1..3;

fn heats(case: Case) -> Vec<(u64, Heat)> {
    SEEDS.map(|seed| (seed, heat(case, seed, BLOCKS))).collect()
}

#[test]
fn ours_is_behind_nobody_and_ahead_where_the_importer_is_not_the_limit() {
    let mut mix = Vec::new();
    for case in Case::ALL {
        let heats = heats(case);
        for row in rows(case, &heats) {
            assert!(row.lost.is_empty(), "{row}");
            assert!(row.rate > 0, "it does not get there: {row}");
        }
        mix.extend(heats);
    }
    let (name, longer) = best_fixed_size(&mix.iter().map(|(_, heat)| heat).collect::<Vec<_>>()).unwrap();
    assert!(longer >= 200, "adaptive sizes gain {longer} thousandths over {name}");
}

#[test]
fn a_scheduler_that_is_behind_is_seen() {
    let played = |case: Case, name| run(name, &case.scenario(1, 1_000));
    let (ours, rounds) = (played(Case::Healthy, Name::Ours), played(Case::Healthy, Name::Rounds));
    let behind = |ours: Option<&Run>, other: Option<&Run>| is_behind(ours, other);
    assert!(!behind(Some(&ours), Some(&rounds)));
    assert!(behind(Some(&rounds), Some(&ours)));
    assert!(behind(None, Some(&rounds)) && !behind(Some(&ours), None));
    assert!(!behind(Some(&rounds), Some(&rounds)), "where the importer is the limit, as fast is not behind");
    let far = played(Case::Far, Name::Ours);
    assert!(behind(Some(&far), Some(&far)), "where the network is, as fast is not ahead");
}

#[test]
fn every_scheduler_gets_there_in_every_case_and_the_same_seed_is_the_same_run() {
    for case in Case::ALL {
        let scenario = case.scenario(3, 2_000);
        for name in Name::ALL {
            let (first, again) = (run(name, &scenario), run(name, &scenario));
            assert!(first.outcome.done, "{case}: {name}");
            assert_eq!(first.outcome, again.outcome, "{case}: {name}");
        }
    }
}
