//! Whole worlds: the same seed is the same run, defects that are there on purpose are seen, and seeds that once failed stay well.
#![allow(missing_docs)]

use alys_sim::faults::Fault;
use alys_sim::plan::{Plan, Promise, SharedKey};
use alys_sim::scenario::random::{self, Scale};
use alys_sim::scenario::stories;
use alys_sim::{Log, Outcome, Rule, run};

fn broken(outcome: &Outcome) -> Vec<Rule> {
    outcome.violations.iter().map(|violation| violation.rule).collect()
}

fn holds(plan: &Plan) {
    let outcome = run(plan, Log::Drop);
    assert!(outcome.passed(), "{} of seed {}: {:#?}", plan.name, plan.seed, outcome.violations);
}

fn short(name: &'static str, authorities: usize) -> Plan {
    Plan { recovery: 8, end: 16, ..Plan::calm(name, 7, authorities) }
}

#[test]
fn the_same_seed_is_the_same_run_and_another_one_is_not() {
    let plan = |seed| Plan { end: 20, ..random::plan(seed, Scale::Usual) };
    let (first, again, other) =
        (run(&plan(5), Log::Drop), run(&plan(5), Log::Keep), run(&plan(6), Log::Drop));
    assert_eq!((first.digest, first.events), (again.digest, again.events));
    assert_eq!(again.log.len() as u64, again.events, "every event can be read");
    assert_ne!(first.digest, other.digest);
}

#[test]
fn a_key_that_is_used_twice_is_seen() {
    let mut plan = short("shared key", 4);
    plan.nodes = 5;
    plan.planted = Some(SharedKey { node: 4, authority: 1 });
    // The two copies see different heads for a while.
    let plan = plan.with(4, Fault::Partition(vec![vec![0, 2, 3, 1], vec![4]])).with(8, Fault::Heal);
    assert!(broken(&run(&plan, Log::Drop)).contains(&Rule::SignedOnce));
}

#[test]
fn a_network_that_does_not_recover_is_seen() {
    let calm = Plan { quiet: 5, ..short("never healed", 4) };
    let plan = calm.with(4, Fault::Partition(vec![vec![0, 1], vec![2, 3]]));
    let outcome = run(&plan, Log::Drop);
    assert!(broken(&outcome).contains(&Rule::Recovery), "{:?}", outcome.violations);
    assert_eq!(outcome.recovered, None);
}

#[test]
fn a_promise_that_is_not_kept_is_seen() {
    let plan = short("promises", 4).promising(Promise::NoBlock { from: 3, to: 6 });
    assert!(broken(&run(&plan, Log::Drop)).contains(&Rule::Promise));
}

#[test]
fn the_stories_end_well() {
    stories(1).iter().for_each(holds);
}

/// The simulated network lost the empty bodies at the head of an answer, and honest peers were blamed for what was left.
#[test]
fn seed_2_a_range_of_bodies_that_begins_with_an_empty_one() {
    holds(&random::plan(2, Scale::Usual));
}

/// Authorities that were killed before their first signature came back as ones that had lost their record; with three of five of them there never
/// was a first block. So it is on record from the beginning that a new key has signed nothing.
#[test]
fn seed_62_killed_before_the_first_signature() {
    holds(&random::plan(62, Scale::Usual));
}

/// The gate was asked in the first slot of a new set before sync had looked at the clock: it was open for a member of the old one.
#[test]
fn seed_13_the_gate_in_the_first_slot_of_a_new_set() {
    holds(&random::plan(13, Scale::Usual));
}

/// A certificate reached one side of a partition only, so that two nodes had a certified head beside the chain of the others. Headers above it could
/// not be checked, as the block that they stand on was not here; the two asked for them for ever, and never for those from the final block on.
#[test]
fn seed_5015_a_certified_head_beside_the_chain() {
    holds(&random::plan(5015, Scale::Full));
}

/// Two of a cut-off node's fellow authorities were heard again before any of their blocks was known: its gate was open at a head that was 15 blocks old.
#[test]
fn seed_488_heard_again_but_nothing_is_known_from_after_the_cut() {
    holds(&random::plan(488, Scale::Full));
}
