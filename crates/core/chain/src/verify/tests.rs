use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::fixture::{GENESIS_TIME, World, changing_world, world};
use crate::ids::{AuthorityIndex, BlockId, Height, Slot};

fn run(world: &World, headers: &[CertifiedHeader], slot: u64) -> Result<Verified, RangeFault> {
    let now = UnixMillis(GENESIS_TIME.0 + slot * 2_000);
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    verify_range(&world.rules, &Parent::genesis(&world.rules), headers, now, &mut rng)
}

#[test]
fn a_child_keeps_every_rule_of_its_place() {
    let world = world(3);
    let parent = world.chain([1, 2, 5])[2].header;
    let good = world.header(&parent, 6);
    let check = |header: Header| check_child(&world.rules, parent.id(), &parent, &header);
    assert_eq!(check(good), Ok(()));
    let fault = Invalid::Parent { expected: parent.id(), got: BlockId([1; 32]) };
    assert_eq!(check(Header { parent: BlockId([1; 32]), ..good }), Err(fault));
    for height in [3, 5] {
        let fault = Invalid::Height { parent: Height(3), got: Height(height) };
        assert_eq!(check(Header { height: Height(height), ..good }), Err(fault));
    }
    for slot in [5, 4, 0] {
        let fault = Invalid::SlotOrder { parent: Slot(5), got: Slot(slot) };
        assert_eq!(check(Header { slot: Slot(slot), ..good }), Err(fault));
    }
    let fault = Invalid::Proposer { slot: Slot(6), expected: AuthorityIndex(0), got: AuthorityIndex(2) };
    assert_eq!(check(Header { proposer: AuthorityIndex(2), ..good }), Err(fault));
}

#[test]
fn no_height_is_above_its_slot() {
    let world = world(3);
    let header = world.header(world.rules.genesis(), 4);
    assert_eq!(check_header(&world.rules, &Header { height: Height(4), ..header }), Ok(()));
    let fault = Invalid::HeightAboveSlot { height: Height(5), slot: Slot(4) };
    assert_eq!(check_header(&world.rules, &Header { height: Height(5), ..header }), Err(fault));
}

#[test]
fn a_slot_that_has_not_begun_is_nobodys_fault() {
    let world = world(3);
    let header = world.header(world.rules.genesis(), 4);
    let starts = UnixMillis(GENESIS_TIME.0 + 8_000);
    assert_eq!(check_time(&world.rules, &header, starts), Ok(()));
    let now = UnixMillis(starts.0 - 1);
    assert_eq!(check_time(&world.rules, &header, now), Err(Early { slot: Slot(4), starts, now }));
    let now = UnixMillis(GENESIS_TIME.0 - 1);
    assert!(check_time(&world.rules, world.rules.genesis(), now).is_err());
}

#[test]
fn a_range_is_verified_across_a_change_of_the_set() {
    let world = changing_world(&[(0, vec![1, 2, 3]), (6, vec![3, 4, 5, 6])]);
    let chain = world.chain([1, 2, 3, 7, 9, 10, 11, 12]);
    let verified = run(&world, &chain, 50).unwrap();
    assert_eq!((verified.count, verified.early), (8, None));
    assert_eq!(verified.last.header, chain[7].header);
    assert_eq!(verified.last.lineage.final_slot(), Slot(10));
    assert!(chain[5].certificate.joint.is_some() && chain[7].certificate.joint.is_none());
    // The second half alone, on the last of the first.
    let first = run(&world, &chain[..4], 50).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let now = UnixMillis(GENESIS_TIME.0 + 100_000);
    assert_eq!(
        verify_range(&world.rules, &first.last, &chain[4..], now, &mut rng).unwrap().last,
        verified.last
    );
    // A quorum of the new set alone is not enough.
    let mut alone = chain.clone();
    alone[4].certificate.joint = None;
    assert!(matches!(run(&world, &alone, 50), Err(RangeFault { index: 4, invalid: Invalid::Joint { .. } })));
}

#[test]
fn an_empty_range_is_valid_and_leads_nowhere() {
    let world = world(1);
    let verified = run(&world, &[], 1).unwrap();
    assert_eq!(verified, Verified { count: 0, last: Parent::genesis(&world.rules), early: None });
}

#[test]
fn the_header_at_fault_is_named() {
    let world = world(3);
    let chain = world.chain(1..=8);
    for bad in 0..chain.len() {
        let mut broken = chain.clone();
        broken[bad].certificate.quorum.signature = chain[(bad + 1) % 8].certificate.quorum.signature;
        let fault = run(&world, &broken, 50).unwrap_err();
        assert_eq!(fault, RangeFault { index: bad, invalid: Invalid::Signature { what: "certificate" } });
        let mut broken = chain.clone();
        broken[bad].header.state_root.0[0] ^= 1;
        let fault = run(&world, &broken, 50).unwrap_err();
        assert!(matches!(fault.invalid, Invalid::Subject { .. }), "{fault}");
        assert_eq!(fault.index, bad);
    }
    let gap: Vec<CertifiedHeader> = chain.iter().copied().filter(|c| c.header.height != Height(4)).collect();
    assert!(matches!(run(&world, &gap, 50), Err(RangeFault { index: 3, invalid: Invalid::Parent { .. } })));
}

#[test]
fn an_early_header_ends_the_range_and_keeps_what_is_before_it() {
    let world = world(3);
    let mut chain = world.chain([1, 2, 3, 4, 5]);
    let verified = run(&world, &chain, 3).unwrap();
    assert_eq!((verified.count, verified.last.header), (3, chain[2].header));
    assert_eq!(verified.early.map(|early| early.slot), Some(Slot(4)));
    // Its certificate is not looked at before its time; the ones before it are.
    chain[3].certificate.quorum.signature = [0; 48];
    assert!(run(&world, &chain, 3).is_ok());
    chain[1].certificate.quorum.signature = chain[0].certificate.quorum.signature;
    assert_eq!(run(&world, &chain, 3).unwrap_err().index, 1);
}
