//! The table of schedulers: ours beside others, on the same seeds.

use std::num::NonZeroUsize;

use alys_figure::Figure;
use alys_model::compare::{self, Case, Heat, Name};
use alys_sim::play;

use crate::report::say;

/// How long the chain of a run is, in blocks of 10 KB: long enough that the start, in which nobody is known, does not decide.
const BLOCKS: u64 = 50_000;
/// What adaptive sizes must gain over the best fixed size, in thousandths of its time.
const GAIN_PERMILLE: i64 = 200;

/// Plays all cases with all schedulers, prints the table, and says whether ours is nowhere behind.
#[expect(clippy::print_stdout, reason = "the table is what the command was asked for")]
pub fn run(seeds: &[u64], threads: NonZeroUsize, json: bool) -> bool {
    say(&format!("{} cases, {} schedulers, {} seeds", Case::ALL.len(), Name::ALL.len(), seeds.len()));
    let mut passed = true;
    let mut all: Vec<Heat> = Vec::new();
    if !json {
        println!("{}", compare::head());
    }
    for case in Case::ALL {
        let heat = |&seed: &u64| (seed, compare::heat(case, seed, BLOCKS));
        let panicked = |&seed: &u64| (seed, Name::ALL.map(|_| None));
        let heats = play::all(seeds, threads, (heat, panicked), |_| ());
        for row in compare::rows(case, &heats) {
            passed &= row.lost.is_empty();
            if json { figure(&row).print(true) } else { println!("{row}") }
        }
        all.extend(heats.into_iter().map(|(_, heat)| heat));
    }
    passed & gain(&all.iter().collect::<Vec<_>>(), json)
}

/// What adaptive sizes gain over the best fixed size, over the whole mix.
fn gain(heats: &[&Heat], json: bool) -> bool {
    let Some((name, longer)) = compare::best_fixed_size(heats) else { return false };
    let ok = longer >= GAIN_PERMILLE;
    let percent = f64::from(i32::try_from(longer).unwrap_or(i32::MAX)) / 10.0;
    Figure::new("compare/best_fixed_size", percent, "% longer")
        .column("scheduler", name.to_string())
        .pass(ok)
        .print(json);
    ok
}

fn figure(row: &compare::Row) -> Figure {
    let name = format!("compare/{}/{}", row.case, row.name).replace(", ", "_").replace(' ', "_");
    let rate = |rate: u64| f64::from(u32::try_from(rate).unwrap_or(u32::MAX));
    Figure::new(name, rate(row.rate), "blocks/s")
        .column("worst", row.worst)
        .column("of_possible_permille", row.permille)
        .column("duplicates_permille", row.duplicates_permille)
        .column("overhead_permille", row.overhead_permille)
        .column("lost", row.lost.clone())
        .pass(row.lost.is_empty())
}
