use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::certificate::{CertifiedHeader, SetQuorum};
use crate::fixture::{World, changing_world, world};
use crate::ids::SetId;

const REQUIRED: Required = Required { own: SetId(0), old: None };
const WRONG: Invalid = Invalid::Signature { what: "certificate" };

fn judge(world: &World, certificates: &[Certificate], search: Search) -> Verdict {
    let entries: Vec<Entry<'_>> =
        certificates.iter().map(|certificate| Entry { certificate, required: REQUIRED }).collect();
    verify(&world.rules, &entries, search, &mut ChaCha20Rng::seed_from_u64(1))
}

/// Certificates of as many blocks as there are signer sets given.
fn certificates(world: &World, signers: &[u16]) -> Vec<Certificate> {
    let genesis = *world.rules.genesis();
    (1..)
        .zip(signers)
        .map(|(slot, signers)| {
            let header = world.header(&genesis, slot);
            let quorum = world.quorum(&header, SetId(0), *signers);
            Certificate { quorum, ..world.certify(&header, REQUIRED) }
        })
        .collect()
}

/// All signer sets that reach the quorum.
fn quorums(world: &World) -> Vec<u16> {
    let set = world.rules.schedule().set(SetId(0)).unwrap();
    (1..=set.mask()).filter(|signers| set.quorum().reached_by(signers.count_ones() as usize)).collect()
}

fn positions(verdict: &Verdict) -> Vec<usize> {
    verdict.faults.keys().copied().collect()
}

#[test]
fn nothing_is_valid() {
    assert_eq!(judge(&world(1), &[], Search::All), Verdict::default());
}

#[test]
fn a_batch_of_valid_certificates_takes_one_sum() {
    for n in [1, 2, 5] {
        let world = world(n);
        let all = certificates(&world, &quorums(&world));
        assert_eq!(judge(&world, &all, Search::All), Verdict { faults: BTreeMap::new(), sums: 1 }, "n = {n}");
    }
}

#[test]
fn more_signer_sets_than_authorities_are_summed_by_authority() {
    let world = world(15);
    // The sums of a few, and those of many place by place.
    for (step, least) in [(300, 16), (60, 75)] {
        let signers: Vec<u16> = quorums(&world).into_iter().step_by(step).collect();
        assert!(signers.len() >= least, "{} signer sets", signers.len());
        let mut all = certificates(&world, &signers);
        assert_eq!(judge(&world, &all, Search::All).sums, 1);
        // The keys of a signer who did not sign, and a signer who did but is not named.
        let last = all.len() - 1;
        all[0].quorum.signers = signers[1];
        all[last].quorum.signers = signers[2];
        assert_eq!(positions(&judge(&world, &all, Search::All)), [0, last]);
    }
}

#[test]
fn one_bad_certificate_is_named_at_every_position() {
    let world = world(2);
    let good = certificates(&world, &[0b11; 13]);
    for bad in 0..good.len() {
        let mut all = good.clone();
        all[bad].quorum.signature = good[(bad + 1) % good.len()].quorum.signature;
        for search in [Search::First, Search::All] {
            let verdict = judge(&world, &all, search);
            assert_eq!(verdict.faults, BTreeMap::from([(bad, WRONG)]), "at {bad}, {search:?}");
            assert!(verdict.sums <= if search == Search::All { 9 } else { 5 }, "{} sums", verdict.sums);
        }
    }
}

#[test]
fn one_bad_in_256_takes_17_sums_at_most() {
    let world = world(1);
    let good = certificates(&world, &[1; 256]);
    let mut most = 0;
    for bad in [0, 1, 127, 128, 200, 254, 255] {
        let mut all = good.clone();
        all[bad].quorum.signature = good[(bad + 1) % 256].quorum.signature;
        let verdict = judge(&world, &all, Search::All);
        assert_eq!(positions(&verdict), [bad]);
        most = most.max(verdict.sums);
        assert!(judge(&world, &all, Search::First).sums <= 9);
    }
    assert_eq!(most, 17);
}

#[test]
fn several_bad_ones_are_all_named_or_only_the_first() {
    let world = world(2);
    let good = certificates(&world, &[0b11; 9]);
    for bad in [vec![0, 8], vec![3, 4], vec![0, 1, 2, 3, 4, 5, 6, 7, 8], vec![1, 5, 6]] {
        let mut all = good.clone();
        bad.iter().for_each(|i| all[*i].quorum.signature = world.keys(SetId(0))[0].sign(b"else").to_bytes());
        assert_eq!(positions(&judge(&world, &all, Search::All)), bad);
        assert_eq!(positions(&judge(&world, &all, Search::First)), bad[..1]);
    }
}

#[test]
fn two_swapped_signatures_are_rejected_although_their_plain_sum_is_right() {
    let world = world(3);
    let mut all = certificates(&world, &[0b111, 0b111, 0b111]);
    let first = all[0].quorum.signature;
    all[0].quorum.signature = all[2].quorum.signature;
    all[2].quorum.signature = first;
    assert_eq!(positions(&judge(&world, &all, Search::All)), [0, 2]);
}

#[test]
fn two_swapped_signatures_in_a_large_batch_are_rejected() {
    let world = world(1);
    let mut all = certificates(&world, &[1; 64]);
    let (first, second) = (all[20].quorum.signature, all[50].quorum.signature);
    (all[20].quorum.signature, all[50].quorum.signature) = (second, first);
    assert_eq!(positions(&judge(&world, &all, Search::All)), [20, 50]);
    assert_eq!(positions(&judge(&world, &all, Search::First)), [20]);
}

#[test]
fn malformed_certificates_are_named_without_a_sum_of_their_own() {
    let world = world(5);
    let mut all = certificates(&world, &[0b1111; 6]);
    all[1].quorum.signers = 0b111;
    all[2].quorum.signers |= 1 << 5;
    all[3].quorum.signature = [0; 48];
    all[4].quorum.signature[0] = 0xc0;
    all[4].quorum.signature[1..].fill(0);
    let verdict = judge(&world, &all, Search::All);
    assert_eq!(positions(&verdict), [1, 2, 3, 4]);
    assert_eq!(verdict.sums, 1);
    assert_eq!(verdict.faults[&1], Invalid::NoQuorum { set: SetId(0), quorum: 4, got: 3 });
    assert_eq!(verdict.faults[&4], Invalid::Point { what: "signature", why: "the identity" });
    assert_eq!(positions(&judge(&world, &all, Search::First)), [1]);
    // A wrong signature before the first malformed one comes first; one behind it does not count.
    all[0].quorum.signature = all[5].quorum.signature;
    assert_eq!(judge(&world, &all, Search::First).faults, BTreeMap::from([(0, WRONG)]));
    all.swap(0, 5);
    assert_eq!(positions(&judge(&world, &all, Search::First)), [1]);
}

#[test]
fn both_quorums_of_a_change_are_checked() {
    let world = changing_world(&[(0, vec![1, 2, 3]), (10, vec![3, 4, 5, 6])]);
    let chain = world.chain([1, 2, 10, 12, 14]);
    let entries = |chain: &[CertifiedHeader]| -> Vec<Required> {
        chain
            .iter()
            .map(|c| Required { own: c.certificate.quorum.set, old: c.certificate.joint.map(|j| j.set) })
            .collect()
    };
    let required = entries(&chain);
    assert_eq!(required[3], Required { own: SetId(1), old: Some(SetId(0)) });
    let run = |chain: &[CertifiedHeader]| {
        let entries: Vec<Entry<'_>> = chain
            .iter()
            .zip(&required)
            .map(|(c, required)| Entry { certificate: &c.certificate, required: *required })
            .collect();
        verify(&world.rules, &entries, Search::All, &mut ChaCha20Rng::seed_from_u64(2))
    };
    assert_eq!(run(&chain), Verdict { faults: BTreeMap::new(), sums: 1 });
    for bad in 2..5 {
        let mut broken = chain.clone();
        let joint = chain[bad].certificate.joint.unwrap();
        let signature = broken[bad].certificate.quorum.signature;
        broken[bad].certificate.joint = Some(SetQuorum { signature, ..joint });
        assert_eq!(run(&broken).faults, BTreeMap::from([(bad, WRONG)]));
    }
}
