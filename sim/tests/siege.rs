//! A node that syncs among liars, and one that is killed while it syncs.
#![allow(missing_docs)]

use alys_sim::Log;
use alys_sim::scenario::{ATTACKS, drip};
use alys_sim::siege;

/// One seed each, and those that once failed: `alys-sim` plays more. All in one test, as the history that is served takes longer to make than to sync.
#[test]
fn nine_of_ten_that_lie_cost_little_and_a_kill_costs_what_was_in_flight() {
    let sieges = siege::run(&ATTACKS, 1);
    for siege in &sieges {
        assert!(siege.passed(), "{} of seed {}: {:#?}", siege.name, siege.seed, siege.violations);
    }
    let killed = sieges.iter().find(|siege| siege.name == siege::kills::NAME).expect("it is the last");
    let again = siege::kills::run(1, killed.clean, Log::Keep);
    assert_eq!(killed.digest, again.digest, "the same seed is the same run");
    seed_158_headers_that_are_lost_while_bodies_never_pause();
}

/// The honest peer lost a range of headers and was not asked for it again, as it always had bodies to serve. What stood on that range was given up after
/// ten seconds, the peer rested for it, and who had dripped three times got work once more.
fn seed_158_headers_that_are_lost_while_bodies_never_pause() {
    let siege = siege::besieged(&drip::ATTACK, 158, siege::clean(158), Log::Drop);
    assert!(siege.passed(), "{:#?}", siege.violations);
}
