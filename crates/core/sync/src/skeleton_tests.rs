//! Ranges that join, ranges that do not, and who gives way.

use super::*;
use crate::blocks::{GENESIS, chain, child, peer};

fn range(start: u64, end: u64) -> HeightRange {
    HeightRange::new(Height(start), Height(end))
}

#[test]
fn ranges_join_in_any_order() {
    let all = chain(GENESIS, [1, 2, 3, 4, 5, 6], 1);
    let mut skeleton = Skeleton::new(GENESIS);
    skeleton.insert(&all[4..], peer(2));
    assert_eq!(skeleton.join(), Joint::Sound);
    assert_eq!((skeleton.linked(), skeleton.top()), (Height(0), Height(6)));
    assert!(skeleton.linked_range().is_empty());
    assert_eq!(skeleton.missing(Height(8)).iter().collect::<Vec<_>>(), [range(1, 5), range(7, 9)]);

    skeleton.insert(&all[..4], peer(1));
    assert_eq!(skeleton.join(), Joint::Sound);
    assert_eq!(skeleton.linked_range(), range(1, 7));
    assert_eq!(skeleton.get(Height(5)).unwrap().peer, peer(2));
    assert_eq!(skeleton.id_at(Height(0)), Some(GENESIS.id));
}

#[test]
fn what_became_durable_leaves() {
    let all = chain(GENESIS, [1, 2, 3, 4], 1);
    let mut skeleton = Skeleton::new(GENESIS);
    skeleton.insert(&all, peer(1));
    skeleton.join();
    skeleton.advance(BlockRef::of(&all[1]));
    assert_eq!((skeleton.base().height, skeleton.linked_range()), (Height(2), range(3, 5)));
    skeleton.insert(&all, peer(1));
    assert_eq!(skeleton.get(Height(2)), None, "not taken in again");
    assert_eq!(skeleton.missing(Height(4)), HeightRanges::EMPTY);
    skeleton.advance(BlockRef { height: Height(9), ..GENESIS });
    assert_eq!((skeleton.linked(), skeleton.top()), (Height(9), Height(9)));
}

#[test]
fn an_upper_range_with_a_final_block_displaces_a_dead_end_below() {
    let trunk = chain(GENESIS, [1, 2, 3], 1);
    let dead = child(BlockRef::of(&trunk[2]), 4, 9);
    let live = chain(BlockRef::of(&trunk[2]), [5, 7, 8], 1);
    let mut skeleton = Skeleton::new(GENESIS);
    skeleton.insert(&trunk, peer(1));
    skeleton.insert(&[dead], peer(1));
    skeleton.insert(&live[1..], peer(2));
    let broken = Joint::Broken { height: Height(5), at_base: false, upper_is_final: true };
    assert_eq!(skeleton.join(), broken);
    // Blocks 1 to 3 stand in consecutive slots, and so does the dead one: 3 is final by it.
    assert_eq!(skeleton.drop_lower(Height(5)), range(4, 5));
    assert_eq!(skeleton.linked(), Height(3));
    assert_eq!(skeleton.missing(Height(6)).iter().collect::<Vec<_>>(), [range(4, 5)]);
    skeleton.insert(&live[..1], peer(2));
    assert_eq!(skeleton.join(), Joint::Sound);
    assert_eq!(skeleton.linked(), Height(6));
}

#[test]
fn an_upper_range_without_a_final_block_proves_nothing() {
    let trunk = chain(GENESIS, [1, 3, 5], 1);
    let other = chain(GENESIS, [2, 4, 6, 8, 10], 2);
    let mut skeleton = Skeleton::new(GENESIS);
    skeleton.insert(&trunk, peer(1));
    skeleton.insert(&other[3..], peer(2));
    let broken = Joint::Broken { height: Height(4), at_base: false, upper_is_final: false };
    assert_eq!(skeleton.join(), broken);
    assert_eq!(skeleton.drop_upper(Height(4)), range(4, 6));
    assert_eq!(skeleton.drop_lower(Height(4)), range(1, 4), "nothing below is final either");
    assert_eq!((skeleton.linked(), skeleton.top()), (Height(0), Height(0)));
    assert_eq!(skeleton.missing(Height(5)), range(1, 6).into());
}

#[test]
fn dropping_stops_at_holes_and_breaks() {
    let all = chain(GENESIS, [2, 4, 6, 8, 10, 12], 1);
    let mut skeleton = Skeleton::new(GENESIS);
    skeleton.insert(&all[..2], peer(1));
    skeleton.insert(&all[3..], peer(1));
    assert_eq!(skeleton.drop_upper(Height(2)), range(2, 3), "a hole at 3");
    let other = chain(GENESIS, [1, 3], 2);
    skeleton.insert(&other[1..], peer(2));
    skeleton.insert(&all[2..3], peer(1));
    assert_eq!(skeleton.drop_upper(Height(2)), range(2, 3), "3 does not stand on it");
    assert_eq!(skeleton.drop_upper(Height(3)), range(3, 7));
}

#[test]
fn a_range_that_does_not_stand_on_the_base_is_told() {
    let ours = chain(GENESIS, [1, 2, 3], 1);
    let theirs = chain(GENESIS, [1, 4, 5, 6], 2);
    let mut skeleton = Skeleton::new(BlockRef::of(&ours[1]));
    skeleton.insert(&theirs[2..], peer(1));
    let broken = Joint::Broken { height: Height(3), at_base: true, upper_is_final: true };
    assert_eq!(skeleton.join(), broken);
    skeleton.step_back(GENESIS);
    assert_eq!(skeleton.join(), Joint::Sound);
    assert_eq!(skeleton.missing(Height(4)), range(1, 3).into());
    skeleton.insert(&theirs[..2], peer(1));
    assert_eq!(skeleton.join(), Joint::Sound);
    assert_eq!(skeleton.linked(), Height(4));
}

#[test]
fn consecutive_slots_across_a_break_prove_nothing() {
    let one = chain(GENESIS, [1, 3], 1);
    let two = chain(GENESIS, [2, 5, 6], 2);
    let mut skeleton = Skeleton::new(BlockRef { id: BlockId([7; 32]), ..GENESIS });
    skeleton.insert(&one[..1], peer(1));
    skeleton.insert(&two[1..], peer(2));
    let broken = Joint::Broken { height: Height(1), at_base: true, upper_is_final: false };
    assert_eq!(skeleton.join(), broken);
    assert!(!skeleton.is_final(Height(1)));
}
