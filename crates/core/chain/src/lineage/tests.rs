use proptest::prelude::*;

use super::*;
use crate::fixture::{World, changing_world};
use crate::verify::Parent;

fn three_sets() -> World {
    changing_world(&[(0, vec![1, 2, 3]), (10, vec![4, 5, 6]), (20, vec![7, 8, 9])])
}

/// The sets that must vouch for a block in each slot of a chain.
fn required_along(world: &World, slots: &[u64]) -> Vec<(u32, Option<u32>)> {
    let mut parent = Parent::genesis(&world.rules);
    let required = slots.iter().map(|slot| {
        let header = world.header(&parent.header, *slot);
        let required = parent.required(&world.rules, &header);
        parent = parent.child(header);
        (required.own.0, required.old.map(|set| set.0))
    });
    required.collect()
}

#[test]
fn without_a_change_one_set_vouches() {
    let required = required_along(&three_sets(), &[1, 2, 4, 7, 8, 9]);
    assert!(required.iter().all(|r| *r == (0, None)));
}

#[test]
fn both_sets_vouch_until_a_block_of_the_new_time_is_final_in_the_ancestry() {
    let required = required_along(&three_sets(), &[8, 9, 10, 11, 12, 13]);
    // 10 is final once 11 is certified; the first block whose ancestry has 11 is 12.
    assert_eq!(required, [(0, None), (0, None), (1, Some(0)), (1, Some(0)), (1, None), (1, None)]);
}

#[test]
fn gaps_keep_both_sets() {
    let required = required_along(&three_sets(), &[8, 9, 11, 13, 15, 16, 18]);
    let joint = (1, Some(0));
    assert_eq!(required, [(0, None), (0, None), joint, joint, joint, joint, (1, None)]);
}

#[test]
fn the_last_block_of_the_old_time_becoming_final_settles_nothing() {
    // 9 is final by 10, and belongs to the old time.
    let required = required_along(&three_sets(), &[9, 10, 12, 14]);
    assert_eq!(required, [(0, None), (1, Some(0)), (1, Some(0)), (1, Some(0))]);
}

#[test]
fn a_set_without_a_final_block_is_passed_over() {
    let required = required_along(&three_sets(), &[8, 12, 15, 21, 22, 23]);
    assert_eq!(required, [(0, None), (1, Some(0)), (1, Some(0)), (2, Some(0)), (2, Some(0)), (2, None)]);
}

#[test]
fn required_sets_are_listed_the_own_one_first() {
    let required = Required { own: SetId(4), old: Some(SetId(2)) };
    assert_eq!(required.sets().collect::<Vec<_>>(), [SetId(4), SetId(2)]);
    assert!(required.includes(SetId(2)) && required.includes(SetId(4)) && !required.includes(SetId(3)));
}

#[test]
fn bytes_that_are_no_lineage_are_refused() {
    assert!(matches!(Lineage::decode(&[0; 15]), Err(Invalid::Length { expected: 16, got: 15, .. })));
    let mut bytes = [0; 16];
    bytes[0] = 1;
    assert!(matches!(Lineage::decode(&bytes), Err(Invalid::Malformed { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn final_is_the_last_block_with_a_certified_child_in_the_next_slot(
        gaps in prop::collection::vec(1u64..4, 1..25),
    ) {
        let world = three_sets();
        let mut parent = Parent::genesis(&world.rules);
        let mut slots = vec![0];
        for gap in gaps {
            let slot = slots[slots.len() - 1] + gap;
            let header = world.header(&parent.header, slot);
            // By the definition, over the whole ancestry of the block: pairs of its strict ancestors.
            let expected = slots.windows(2).filter(|w| w[0] + 1 == w[1]).map(|w| w[0]).max().unwrap_or(0);
            parent = parent.child(header);
            prop_assert_eq!(parent.lineage.final_slot(), Slot(expected));
            prop_assert_eq!(Lineage::decode(&parent.lineage.encode()), Ok(parent.lineage));
            slots.push(slot);
        }
    }
}
