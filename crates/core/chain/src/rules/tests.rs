use super::*;
use crate::fixture::{GENESIS_TIME, changing_world, world};

#[test]
fn slots_follow_the_clock_from_genesis_on() {
    let rules = world(3).rules;
    let at = |ms: i64| UnixMillis(GENESIS_TIME.0.saturating_add_signed(ms));
    assert_eq!(rules.slot_at(at(-1)), None);
    assert_eq!(rules.slot_at(at(0)), Some(Slot(0)));
    assert_eq!(rules.slot_at(at(1_999)), Some(Slot(0)));
    assert_eq!(rules.slot_at(at(2_000)), Some(Slot(1)));
    assert_eq!(rules.start_of(Slot(3)), at(6_000));
    assert_eq!(rules.start_of(Slot(u64::MAX)), UnixMillis(u64::MAX));
    assert_eq!(rules.max_height(at(-1)), Height(0));
    assert_eq!(rules.max_height(at(0)), Height(1));
    assert_eq!(rules.max_height(at(20_000)), Height(11));
}

#[test]
fn the_genesis_id_is_the_network_and_what_signatures_bind() {
    let rules = world(3).rules;
    assert_eq!(rules.genesis_id(), rules.genesis().id());
    let other = changing_world(&[(0, vec![1, 2])]).rules;
    let message = |r: &Rules| r.domain().approval_message(SetId(0), Slot(1), Height(1), BlockId([5; 32]));
    assert_ne!(message(&rules), message(&other));
}

#[test]
fn every_field_of_an_approval_is_in_its_message() {
    let domain = SigningDomain(BlockId([1; 32]));
    let base = domain.approval_message(SetId(1), Slot(2), Height(3), BlockId([4; 32]));
    assert_eq!(&base[..16], b"alys/approval/1\0");
    let changed = [
        SigningDomain(BlockId([2; 32])).approval_message(SetId(1), Slot(2), Height(3), BlockId([4; 32])),
        domain.approval_message(SetId(2), Slot(2), Height(3), BlockId([4; 32])),
        domain.approval_message(SetId(1), Slot(3), Height(3), BlockId([4; 32])),
        domain.approval_message(SetId(1), Slot(2), Height(2), BlockId([4; 32])),
        domain.approval_message(SetId(1), Slot(2), Height(3), BlockId([5; 32])),
    ];
    assert!(changed.iter().all(|message| *message != base));
}
