use blst::p1_affines;
use blstrs::Scalar;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;

fn affine(point: &G1Projective) -> blst_p1_affine {
    p1_affines::from(&[*point.as_ref()])[0]
}

/// A point of order three: its multiples meet the identity.
fn third() -> G1Projective {
    let mut point = G1Affine::default();
    *point.as_mut() = Point { x: Fp::ZERO, y: Fp::ONE.double() }.into();
    point.into()
}

fn times_slowly(point: &G1Projective, weight: Weight) -> G1Projective {
    weight.nibbles().iter().rev().fold(G1Projective::identity(), |total, nibble| {
        let sixteenfold = total.double().double().double().double();
        let multiple = (0..nibble.unsigned_abs()).fold(G1Projective::identity(), |sum, _| sum + point);
        if *nibble < 0 { sixteenfold - multiple } else { sixteenfold + multiple }
    })
}

proptest! {
    #[test]
    fn groups_add_up_as_in_a_library(lists in prop::collection::vec(prop::collection::vec((1u64..5, 0u8..3), 0..8), 0..5), seed: u64) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (mut points, mut weights, mut groups, mut expected) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for list in lists {
            let (mut group, mut sum) = (Vec::new(), G1Projective::identity());
            for (multiple, thirds) in list {
                let inside = G1Projective::generator() * Scalar::from(multiple);
                let point = (0..thirds).fold(inside, |sum, _| sum + third());
                let weight = Weight::draw(&mut rng);
                group.push(points.len());
                points.push(affine(&point));
                weights.push(weight);
                sum += times_slowly(&point, weight);
            }
            groups.push(group);
            expected.push(sum);
        }
        let sums = Terms::new(points, &weights).sum_groups(&groups);
        expected.push(expected.iter().sum());
        let total = add_groups(&[sums.iter().collect()]);
        let sums: Vec<G1Projective> = sums.iter().chain(&total).map(put_together).collect();
        prop_assert_eq!(sums, expected);
    }
}

#[test]
fn a_point_of_order_three_has_the_identity_among_its_multiples() {
    let point = Point::from(&affine(&third()));
    let of = multiples(&[point])[0];
    assert_eq!(
        of,
        [
            Some(point),
            Some(point.negated()),
            None,
            Some(point),
            Some(point.negated()),
            None,
            Some(point),
            Some(point.negated())
        ]
    );
    assert_eq!([times(&of, -2), times(&of, 0), times(&of, 6)], [Some(point), None, None]);
}
