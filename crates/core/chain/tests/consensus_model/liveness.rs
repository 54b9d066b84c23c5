//! Random runs of up to 15 authorities: safety always, liveness once the network has settled; and the clauses that liveness needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use alys_chain::{Quorum, Schedule};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::rule::{Clause, Rule};
use crate::schedule;
use crate::world::{Setup, Violation, World, below};

/// The schedules by size: their proofs of possession are checked once.
fn schedule_of(n: usize) -> Arc<Schedule> {
    static KNOWN: Mutex<BTreeMap<usize, Arc<Schedule>>> = Mutex::new(BTreeMap::new());
    Arc::clone(KNOWN.lock().unwrap().entry(n).or_insert_with(|| schedule(n, None)))
}

/// `faulty` members at random places; of the other members that may be missing some are silent, some lose their records.
fn federation(n: usize, faulty: usize, seed: u64) -> Setup {
    let may_be_missing = n - Quorum::of(n).get();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, usize::try_from(below(&mut rng, i as u64 + 1)).unwrap());
    }
    let rest = may_be_missing.saturating_sub(faulty);
    let lose = usize::try_from(below(&mut rng, rest as u64 + 1)).unwrap();
    Setup {
        n,
        faulty: order[..faulty].to_vec(),
        lose: order[faulty..faulty + lose].to_vec(),
        silent: order[faulty + lose..faulty + rest].to_vec(),
        settles: 20,
        slots: 20 + 6 * n as u64,
    }
}

/// How many faulty members the rule bears: fewer than two quorums share.
fn bearable(n: usize) -> usize {
    2 * Quorum::of(n).get() - n - 1
}

fn run(setup: &Setup, rule: Rule, seed: u64) -> (BTreeSet<Violation>, u64) {
    World::new(setup.clone(), rule, &schedule_of(setup.n), seed).run()
}

#[test]
fn random_federations_never_conflict_and_go_on_once_messages_are_in_time() {
    for n in 3..=15 {
        for seed in 0..20 {
            let setup = federation(n, bearable(n).min(n - Quorum::of(n).get()), seed);
            println!("seed {seed}: {setup:?}");
            let (violations, last) = run(&setup, Rule::WHOLE, seed);
            assert!(violations.is_empty(), "{violations:?}: seed {seed}, {setup:?}");
            assert!(last + 3 * n as u64 >= setup.slots, "final {last} of {}", setup.slots);
        }
    }
}

/// In some sizes the rule bears more faulty members than may be missing: they can stop the chain, but not split it.
#[test]
fn random_federations_with_more_faulty_members_than_may_be_missing_never_conflict() {
    for n in [5, 8, 11, 14] {
        assert!(bearable(n) > n - Quorum::of(n).get());
        for seed in 0..20 {
            let setup = federation(n, bearable(n), seed);
            println!("seed {seed}: {setup:?}");
            let (violations, _) = run(&setup, Rule::WHOLE, seed);
            assert!(violations.is_subset(&[Violation::SlotLost, Violation::Stall].into()), "{violations:?}");
        }
    }
}

#[test]
fn one_faulty_member_more_than_the_rule_bears_and_the_adversary_splits_the_chain() {
    for n in [4, 7] {
        let split = (0..300).find(|seed| {
            let setup = federation(n, bearable(n) + 1, *seed);
            run(&setup, Rule::WHOLE, *seed).0.contains(&Violation::Conflict)
        });
        println!("n {n}: seed {split:?}");
        assert!(split.is_some(), "n {n}");
    }
}

/// Seven authorities, two faulty ones in neighbouring slots: the second can build on a certificate that only the first can complete.
fn neighbours() -> Setup {
    Setup { n: 7, faulty: vec![2, 3], silent: vec![], lose: vec![], settles: 1, slots: 60 }
}

#[test]
fn without_any_one_clause_a_settled_network_splits_or_loses_slots_or_finality() {
    let table: [(&'static [Clause], Violation); 9] = [
        (&[Clause::AboveLast], Violation::Conflict),
        (&[Clause::Lock], Violation::Conflict),
        (&[Clause::NotEarly], Violation::Stall),
        (&[Clause::LockOnParent], Violation::Stall),
        (&[Clause::HighestParent], Violation::Stall),
        (&[Clause::NotLate], Violation::SlotLost),
        (&[Clause::CutOff], Violation::SlotLost),
        (&[Clause::LockByApprovalOnly], Violation::SlotLost),
        (&[Clause::Forward], Violation::SlotLost),
    ];
    for seed in 0..100 {
        assert_eq!(run(&neighbours(), Rule::WHOLE, seed).0, BTreeSet::new(), "seed {seed}");
    }
    for (off, expected) in table {
        let rule = Rule::without(off);
        let found = (0..1000).find(|seed| run(&neighbours(), rule, *seed).0.contains(&expected));
        println!("without {off:?}: {expected:?} with seed {found:?}");
        assert!(found.is_some(), "without {off:?}");
    }
}
