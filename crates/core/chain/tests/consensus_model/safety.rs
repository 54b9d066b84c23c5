//! Safety of small federations, and the clauses that it needs.

use std::time::Duration;

use alys_chain::consensus::{Proposal, SigningRecord, SigningState, SlotTime};
use alys_chain::{BlockId, Slot};

use crate::exhaustive::{Found, Search, Setup};
use crate::rule::{Clause, Rule};

const THREE: Setup = Setup { n: 3, faulty: 0, change: None, slots: 7, losses: 1 };
const FOUR: Setup = Setup { n: 4, faulty: 1, change: None, slots: 5, losses: 0 };
const FOUR_WITH_A_LOSS: Setup = Setup { slots: 5, losses: 1, ..FOUR };
const CHANGE: Setup = Setup { n: 3, faulty: 0, change: Some(3), slots: 5, losses: 0 };

fn search(setup: Setup, rule: Rule) -> Found {
    let found = Search::new(setup, rule).run();
    println!("{setup:?} {rule:?}: {found:?}");
    found
}

#[test]
fn no_run_of_a_small_federation_has_two_conflicting_final_blocks() {
    for setup in [THREE, Setup { slots: 6, ..FOUR }, FOUR_WITH_A_LOSS, CHANGE] {
        assert!(matches!(search(setup, Rule::WHOLE), Found::Safe { .. }));
    }
}

#[test]
fn without_any_one_clause_there_is_a_run_with_a_conflict() {
    let table: [(&'static [Clause], Setup); 9] = [
        (&[Clause::AboveLast], FOUR),
        (&[Clause::CertifiedParent], FOUR),
        (&[Clause::Lock], FOUR),
        (&[Clause::Quorum], FOUR),
        (&[Clause::VeryNextSlot], FOUR),
        (&[Clause::DurableFirst], FOUR_WITH_A_LOSS),
        (&[Clause::LostIsNotNew], FOUR_WITH_A_LOSS),
        (&[Clause::AfterRestart], FOUR_WITH_A_LOSS),
        (&[Clause::BothSets], CHANGE),
    ];
    for (off, setup) in table {
        let found = search(setup, Rule::without(off));
        assert!(matches!(found, Found::Conflict { .. }), "without {off:?}: {found:?}");
    }
}

/// Four authorities, F faulty. X and A certify the child of block 1, which is final then; X loses its record. Z, which knows nothing of this,
/// approves a block of slot 3 on genesis that has no quorum yet, and later one of slot 4 on the good chain. Now X sees the certificate of slot 4. May it
/// approve the block of slot 3?
fn lost_then_asked_late(rule: Rule) -> bool {
    let at = |slot| SlotTime { slot: Slot(slot), elapsed: Duration::ZERO, length: Duration::from_secs(2) };
    let block = |slot, parent| {
        let id = BlockId([u8::try_from(slot).unwrap(); 32]);
        Proposal { slot: Slot(slot), block: id, certified_parent: Some(Slot(parent)) }
    };
    let new = SigningState::Known(SigningRecord::unused(BlockId::default()));
    let z = rule.approve(&new, block(3, 0), Slot(0), at(3)).map(SigningState::Known).unwrap();
    assert!(rule.approve(&z, block(4, 2), Slot(2), at(4)).is_ok());
    let x = rule.on_certificate(rule.lost(Slot(2), BlockId::default()), Slot(4), BlockId([4; 32]));
    rule.approve(&x, block(3, 0), Slot(0), at(5)).is_ok()
}

/// The lock on return and the refusal of late approvals guard the same door. While nothing is approved late the certificate of a later slot
/// alone keeps the returned authority safe; yet a clock is a weaker guard than a record.
#[test]
fn whoever_returns_locks_since_otherwise_only_the_clock_keeps_it_from_approving_beside_a_final_block() {
    let found = search(FOUR_WITH_A_LOSS, Rule::without(&[Clause::LockOnReturn]));
    assert!(matches!(found, Found::Safe { .. }));
    assert!(!lost_then_asked_late(Rule::WHOLE));
    assert!(!lost_then_asked_late(Rule::without(&[Clause::LockOnReturn])));
    assert!(!lost_then_asked_late(Rule::without(&[Clause::NotLate])));
    assert!(lost_then_asked_late(Rule::without(&[Clause::LockOnReturn, Clause::NotLate])));
}
