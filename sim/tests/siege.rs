//! A node that syncs among liars, and one that is killed while it syncs.
#![allow(missing_docs)]

use alys_sim::Log;
use alys_sim::scenario::ATTACKS;
use alys_sim::siege;

/// One seed each: `alys-sim` plays more. All in one test, as the history that is served takes longer to make than to sync.
#[test]
fn nine_of_ten_that_lie_cost_little_and_a_kill_costs_what_was_in_flight() {
    let sieges = siege::run(&ATTACKS, 1);
    for siege in &sieges {
        assert!(siege.passed(), "{} of seed {}: {:#?}", siege.name, siege.seed, siege.violations);
    }
    let killed = sieges.iter().find(|siege| siege.name == siege::kills::NAME).expect("it is the last");
    let again = siege::kills::run(1, killed.clean, Log::Keep);
    assert_eq!(killed.digest, again.digest, "the same seed is the same run");
}
