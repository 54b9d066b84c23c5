use alloy_primitives::U256;

use super::*;
use crate::testing::{Broken, funded, wallet};

#[test]
fn an_overlay_reads_through_and_prefers_its_own() {
    let base: Arc<dyn StateView> = Arc::new(funded(2, 5));
    let (gone, kept) = (wallet(0).address(), wallet(1).address());
    let mut view = Overlay::new(base.clone()).unwrap();
    assert_eq!(view.account(&gone).unwrap(), base.account(&gone).unwrap());
    let old = base.account(&gone).unwrap();
    let diff = StateDiff::new(&view, vec![AccountChange { address: gone, old, new: None }]).unwrap();
    view.apply(&diff).unwrap();
    assert_eq!(view.account(&gone).unwrap(), None, "an account that is gone is not read from below");
    assert_eq!(view.account(&kept).unwrap().unwrap().balance, U256::from(5));
    assert_eq!(view.buckets().len(), 1);
    assert_eq!(view.tree().unwrap(), *diff.tree_after());
    assert_eq!(view.base().tree().unwrap(), base.tree().unwrap());
}

#[test]
fn the_empty_state_is_empty() {
    let built = StateTree::build(|b| EmptyState.bucket(b)).unwrap();
    assert_eq!(EmptyState.tree().unwrap(), built);
    assert_eq!(EmptyState.account(&Address::ZERO).unwrap(), None);
}

#[test]
fn a_base_that_fails_gives_no_overlay() {
    assert!(matches!(Overlay::new(&Broken), Err(StateError::Storage(_))));
    assert!(StateTree::build(|b| Broken.bucket(b)).is_err());
}

#[test]
fn accounts_run_ahead_of_the_state_root_and_no_further() {
    let state = Overlay::new(funded(2, 5)).unwrap();
    let (changed, kept) = (wallet(0).address(), wallet(1).address());
    let mut ahead = Ahead::of(&state);
    let old = ahead.account(&changed).unwrap();
    ahead.advance(&[AccountChange { address: changed, old, new: None }]);
    assert_eq!(ahead.account(&changed).unwrap(), None);
    assert_eq!(ahead.account(&kept).unwrap(), state.account(&kept).unwrap());
    assert_eq!(state.account(&changed).unwrap(), old, "what it began with is as it was");
}
