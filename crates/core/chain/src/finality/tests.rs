use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::fixture::{GENESIS_TIME, World, changing_world, world};
use crate::verify::verify_range;

fn at(slot: u64) -> UnixMillis {
    UnixMillis(GENESIS_TIME.0 + slot * 2_000)
}

fn check(world: &World, proof: &FinalityProof) -> Result<ProvenFinal, ProofFault> {
    proof.verify(&world.rules, at(100), &mut ChaCha20Rng::seed_from_u64(7))
}

#[test]
fn a_newcomer_learns_the_block_and_its_exact_lineage() {
    // The set changes at slot 12; a pair below, a lone block, the block, a pair above.
    let world = changing_world(&[(0, vec![1, 2, 3]), (12, vec![3, 4, 5, 6])]);
    let chain = world.chain([1, 2, 4, 7, 8, 10, 13, 15, 16, 18]);
    for (place, length) in [(2, 5), (5, 6), (6, 6), (7, 6)] {
        let proof = FinalityProof::within(&chain, place).unwrap();
        assert_eq!((proof.headers.len(), proof.header()), (length, &chain[place].header), "{place}");
        let proven = check(&world, &proof).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let parent = Parent::genesis(&world.rules);
        let whole = verify_range(&world.rules, &parent, &chain[..=place], at(100), &mut rng).unwrap();
        let children = |parent: &Parent| parent.lineage.advance(&parent.header);
        assert_eq!(children(&proven.block), children(&whole.last), "{place}");
        assert_eq!(
            (proven.block.header, proven.certificate),
            (chain[place].header, chain[place].certificate)
        );
        assert_eq!(FinalityProof::decode(&proof.encode()), Ok(proof));
    }
}

#[test]
fn what_is_not_final_has_no_proof() {
    let world = world(3);
    let chain = world.chain([1, 2, 4, 5, 7, 9]);
    assert_eq!(FinalityProof::within(&chain, 4), None, "nothing above it is a pair");
    assert_eq!(FinalityProof::within(&chain, 1), None, "nothing below it is a pair");
    assert_eq!(FinalityProof::within(&chain, 0), None);
    assert_eq!(FinalityProof::within(&chain, 9), None);
    assert!(FinalityProof::within(&chain, 2).is_some());
    let long = world.chain((1..=2).chain((4..).step_by(2).take(70)).chain([200, 201]));
    assert_eq!(FinalityProof::within(&long, 71), None, "the pair below is too far away");
}

#[test]
fn a_range_of_another_shape_proves_nothing() {
    let world = world(3);
    let chain = world.chain([1, 2, 4, 5, 7]);
    let claim = |place: u8, headers: &[CertifiedHeader]| {
        check(&world, &FinalityProof { at: place, headers: headers.to_vec() })
    };
    assert!(claim(2, &chain[..4]).is_ok());
    for (place, headers) in
        [(1, &chain[..4]), (3, &chain[..4]), (2, &chain[..]), (2, &chain[1..]), (2, &chain[..3])]
    {
        assert_eq!(claim(place, headers), Err(ProofFault::Shape), "{place} of {}", headers.len());
    }
}

#[test]
fn links_certificates_and_foreign_networks_are_found_out() {
    let world = world(3);
    let proof = FinalityProof::within(&world.chain([1, 2, 4, 5]), 2).unwrap();
    let broken = |change: &dyn Fn(&mut Vec<CertifiedHeader>)| {
        let mut headers = proof.headers.clone();
        change(&mut headers);
        match check(&world, &FinalityProof { headers, ..proof.clone() }) {
            Err(ProofFault::Header(fault)) => fault.index,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        broken(&|h| h[0].header.state_root.0[0] ^= 1),
        1,
        "the first is bound by the link of the second"
    );
    assert_eq!(broken(&|h| h[2].header.state_root.0[0] ^= 1), 2);
    assert_eq!(broken(&|h| h[3].certificate.quorum.signature = h[2].certificate.quorum.signature), 3);
    let foreign = FinalityProof::within(&self::world(4).chain([1, 2, 4, 5]), 2).unwrap();
    assert!(matches!(check(&world, &foreign), Err(ProofFault::Header(_))));
    let early = proof.verify(&world.rules, at(4), &mut ChaCha20Rng::seed_from_u64(7));
    assert!(matches!(early, Err(ProofFault::Early(_))), "slot 5 has not begun");
}

#[test]
fn other_sizes_are_malformed() {
    let world = world(3);
    let bytes = FinalityProof::within(&world.chain([1, 2, 4, 5]), 2).unwrap().encode();
    let mut outside = bytes.clone();
    outside[0] = 4;
    let long = [&[2][..], &bytes[1..271].repeat(MOST_HEADERS + 1)].concat();
    for bad in [&[][..], &bytes[..bytes.len() - 1], &bytes[..811], &outside, &long] {
        assert!(FinalityProof::decode(bad).is_err(), "{} bytes", bad.len());
    }
    assert!(FinalityProof::decode(&long[..1 + MOST_HEADERS * CertifiedHeader::SIZE]).is_ok());
}
