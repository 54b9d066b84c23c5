use blst::p1_affines;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::ids::SetId;

/// The primes that divide the order of the curve beside the subgroup's own: (z - 1)^2 / 3 = 3 * 11^2 * 10177^2 * 859267^2 * 52437899^2.
const PRIMES: [u64; 5] = [3, 11, 10_177, 859_267, 52_437_899];
/// (z - 1) / 3 times the order of the subgroup; once more times z - 1 it takes every point of the curve to the identity.
const ONE_MINUS_Z: u64 = 0xd201_0000_0001_0001;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn times(mut point: G1Projective, factor: u64) -> G1Projective {
    let mut product = G1Projective::identity();
    for bit in 0..64 {
        if factor >> bit & 1 == 1 {
            product += &point;
        }
        point = point.double();
    }
    product
}

fn affine(point: &G1Projective) -> blst_p1_affine {
    p1_affines::from(&[*point.as_ref()])[0]
}

/// A point of this order, on the curve and outside the subgroup.
fn of_order(prime: u64) -> G1Projective {
    for x in 0u8.. {
        let mut bytes = [0; 48];
        (bytes[0], bytes[47]) = (0x80, x);
        let Some(point) = Option::<G1Affine>::from(G1Affine::from_compressed_unchecked(&bytes)) else {
            continue;
        };
        let outside = without_subgroup(&point.into());
        // What is left has an order that divides z - 1: each prime appears once there.
        let candidate = times(outside, ONE_MINUS_Z / prime);
        if !bool::from(candidate.is_identity()) {
            assert!(bool::from(times(candidate, prime).is_identity()), "of order {prime}");
            return candidate;
        }
    }
    unreachable!("a third of the points at least have a part of that order")
}

/// The order of the subgroup times the point.
fn without_subgroup(point: &G1Projective) -> G1Projective {
    // r = z^4 - z^2 + 1, with z^2 = (1 - (1 - z))^2.
    let z = ONE_MINUS_Z - 1;
    let squared = times(times(*point, z), z);
    times(times(squared, z), z) - squared + *point
}

/// Distinct points of the subgroup.
fn inside(count: u64) -> Vec<G1Projective> {
    (1..=count).map(|n| times(G1Projective::generator(), n * n + 7)).collect()
}

fn statements(signatures: &[G1Projective]) -> Vec<Statement> {
    let of = |(entry, signature)| {
        let (signature, hash) = (affine(signature), blst_p1_affine::default());
        Statement { entry, set: SetId(0), signers: 1, signature, hash }
    };
    signatures.iter().enumerate().map(of).collect()
}

/// The entries that are left, and those that are refused.
fn checked(signatures: &[G1Projective], search: Search, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut left = statements(signatures);
    let mut faults = BTreeMap::new();
    let weighted = check(&mut left, &mut faults, search, &mut rng(seed));
    assert_eq!(weighted.is_some(), signatures.len() >= LEAST && faults.is_empty());
    assert!(faults.values().all(|fault| *fault == OUTSIDE));
    (left.iter().map(|statement| statement.entry).collect(), faults.into_keys().collect())
}

#[test]
fn signatures_of_the_subgroup_pass_and_their_weighted_sum_is_right() {
    let points = inside(LEAST as u64);
    let mut all = statements(&points);
    let weighted = check(&mut all, &mut BTreeMap::new(), Search::All, &mut rng(1)).unwrap();
    assert_eq!(all.len(), points.len());
    let terms = Terms::new(points.iter().map(affine), &weighted.weights);
    let sums = terms.sum_groups(&[(0..points.len()).collect()]);
    assert_eq!(weighted.signatures, *put_together(&sums[0]).as_ref());
}

#[test]
fn a_place_lets_a_point_outside_pass_only_where_its_digit_is_a_multiple_of_its_order() {
    for prime in PRIMES {
        let mut points = inside(5);
        points[3] += &of_order(prime);
        let points: Vec<blst_p1_affine> = points.iter().map(affine).collect();
        let weights: Vec<Weight> = (0..5).map(|seed| Weight::draw(&mut rng(seed))).collect();
        let places = sum_places(&points, &weights);
        let windows = weights[3].windows();
        for (place, sum) in places.iter().enumerate() {
            let zero = digit(usize::from(windows[place / WINDOW].unsigned_abs()), place % WINDOW) == 0;
            assert_eq!(are_inside(&[*sum]), zero, "order {prime}, place {place}");
        }
        assert!(!are_inside(&places));
    }
}

#[test]
fn a_signature_outside_the_subgroup_is_named_in_small_and_large_batches() {
    for prime in PRIMES {
        let small = of_order(prime);
        for count in [3, LEAST as u64, LEAST as u64 + 17] {
            let mut points = inside(count);
            let last = points.len() - 1;
            points[1] += &small;
            points[last] += &small;
            let good: Vec<usize> = (0..points.len()).filter(|i| ![1, last].contains(i)).collect();
            assert_eq!(checked(&points, Search::All, prime), (good, vec![1, last]), "order {prime}");
            assert_eq!(checked(&points, Search::First, prime), (vec![0], vec![1]), "order {prime}");
        }
    }
}

#[test]
fn parts_outside_the_subgroup_that_cancel_out_are_found_all_the_same() {
    let small = of_order(3);
    for parts in [vec![small, -small], vec![small, small, small], vec![small; 48]] {
        let mut points = inside(LEAST as u64);
        points.iter_mut().zip(&parts).for_each(|(point, part)| *point += part);
        // The plain sum is in the subgroup, and so is one sum with digits in three.
        let sum = points.iter().fold(G1Projective::identity(), |sum, point| sum + point);
        assert!(is_inside(&affine(&sum)));
        for seed in 0..20 {
            assert_eq!(checked(&points, Search::All, seed).1, (0..parts.len()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn equal_and_opposite_signatures_are_in_the_subgroup_too() {
    let one = G1Projective::generator();
    let points: Vec<G1Projective> = (0..LEAST).map(|i| if i % 3 == 0 { -one } else { one }).collect();
    for seed in 0..10 {
        assert_eq!(checked(&points, Search::All, seed).1, Vec::<usize>::new());
    }
}
