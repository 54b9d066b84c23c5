use proptest::prelude::*;

use super::*;
use crate::error::StateError;
use crate::testing::{existing, root_from_scratch};
use crate::view::{EmptyState, Overlay};
use alloy_primitives::U256;

fn account() -> impl Strategy<Value = Option<Account>> {
    let some = (any::<u64>(), any::<u64>())
        .prop_map(|(nonce, balance)| Account { nonce, balance: U256::from(balance) }.stored());
    prop_oneof![Just(None), some]
}

/// Old and new values by address; few first bytes, so that buckets are shared.
fn changes() -> impl Strategy<Value = Vec<AccountChange>> {
    prop::collection::btree_map((0u8..4, any::<u8>()), (account(), account()), 0..20).prop_map(|all| {
        let change = |((bucket, last), (old, new))| {
            let mut address = Address::repeat_byte(bucket);
            address.0[19] = last;
            AccountChange { address, old, new }
        };
        all.into_iter().map(change).collect()
    })
}

/// The state in which the old values hold.
fn before(changes: &[AccountChange]) -> Overlay<EmptyState> {
    let start = changes.iter().map(|c| AccountChange { old: None, new: c.old, ..*c }).collect();
    let mut state = Overlay::new(EmptyState).unwrap();
    state.apply(&StateDiff::new(&EmptyState, start).unwrap()).unwrap();
    state
}

#[test]
fn addresses_must_ascend() {
    let change = AccountChange { address: Address::ZERO, old: None, new: None };
    assert!(matches!(StateDiff::new(&EmptyState, vec![change, change]), Err(StateError::Corrupt(_))));
}

#[test]
fn a_diff_fits_its_own_parent_only() {
    let new = Some(Account { nonce: 1, balance: U256::ZERO });
    let diff =
        StateDiff::new(&EmptyState, vec![AccountChange { address: Address::ZERO, old: None, new }]).unwrap();
    let mut state = Overlay::new(EmptyState).unwrap();
    state.apply(&diff).unwrap();
    let (expected, found) = (diff.root_before(), diff.root_after());
    let again = state.apply(&diff).unwrap_err();
    assert!(
        matches!(again, StateError::WrongParent { expected: e, found: f } if (e, f) == (expected, found))
    );
    assert_eq!(state.root(), found, "nothing changed");
}

#[test]
fn a_wrong_old_value_shows_in_the_root() {
    let (one, two) = (Account { nonce: 1, balance: U256::ZERO }, Account { nonce: 2, balance: U256::ZERO });
    let change = |old, new| AccountChange { address: Address::ZERO, old, new };
    let state = before(&[change(Some(one), None)]);
    let right = StateDiff::new(&state, vec![change(Some(one), None)]).unwrap();
    let wrong = StateDiff::new(&state, vec![change(Some(two), None)]).unwrap();
    assert_eq!(right.root_after(), EmptyState.tree().unwrap().root());
    assert_ne!(wrong.root_after(), right.root_after());
}

#[test]
fn stored_changes_that_are_damaged_are_ours() {
    let new = Some(Account { nonce: 1, balance: U256::ZERO });
    let bytes = encode_changes(&[AccountChange { address: Address::ZERO, old: None, new }]);
    for cut in 1..bytes.len() {
        assert!(matches!(decode_changes(&bytes[..cut]), Err(StateError::Corrupt(_))), "cut at {cut}");
    }
    let mut sides = bytes.clone();
    sides[20] = 4;
    assert!(matches!(decode_changes(&sides), Err(StateError::Corrupt(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_stored_changes_give_back_the_diff_in_both_directions(changes in changes()) {
        let parent = before(&changes);
        let diff = StateDiff::new(&parent, changes).unwrap();
        let stored = decode_changes(&encode_changes(diff.accounts())).unwrap();
        prop_assert_eq!(&StateDiff::new(&parent, stored.clone()).unwrap(), &diff);
        let mut child = parent.clone();
        child.apply(&diff).unwrap();
        prop_assert_eq!(StateDiff::new(&child, reverse_changes(&stored)).unwrap(), diff.reversed());
    }

    #[test]
    fn the_root_is_the_one_of_the_accounts(changes in changes()) {
        let mut state = before(&changes);
        let diff = StateDiff::new(&state, changes).unwrap();
        state.apply(&diff).unwrap();
        prop_assert_eq!(state.root(), root_from_scratch(&existing(&state)));
        prop_assert_eq!(diff.is_empty(), diff.buckets().is_empty());
    }

    #[test]
    fn any_bytes_are_changes_or_damage(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(changes) = decode_changes(&bytes) {
            prop_assert_eq!(encode_changes(&changes), bytes);
        }
    }
}
