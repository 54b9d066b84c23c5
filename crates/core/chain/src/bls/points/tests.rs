use blst::p1_affines;
use blstrs::{G1Affine, G1Projective, Scalar};
use group::{Curve, Group};
use proptest::prelude::*;

use super::*;

/// A point of order three: x = 0, so that it looks like the identity's (0, 0) to a careless eye.
fn third() -> G1Projective {
    let two = Fp::ONE.double();
    let mut point = G1Affine::default();
    *point.as_mut() = Point { x: Fp::ZERO, y: two }.into();
    assert!(bool::from(point.is_on_curve()));
    point.into()
}

fn point(of: &G1Projective) -> Point {
    Point::from(of.to_affine().as_ref())
}

/// The sums of a library whose addition is complete.
fn expected(list: &[G1Projective]) -> Option<Point> {
    let sum = list.iter().fold(G1Projective::identity(), |sum, next| sum + next);
    (!bool::from(sum.is_identity())).then(|| point(&sum))
}

/// Small multiples of the generator, plus small multiples of the point of order three: sums of them meet every special case.
fn any_point() -> impl Strategy<Value = G1Projective> {
    (-3i64..=3, 0u64..3).prop_filter_map("the identity", |(multiple, thirds)| {
        let whole = G1Projective::generator() * Scalar::from(multiple.unsigned_abs());
        let whole = if multiple < 0 { -whole } else { whole };
        let point = (0..thirds).fold(whole, |sum, _| sum + third());
        (!bool::from(point.is_identity())).then_some(point)
    })
}

proptest! {
    #[test]
    fn lists_of_any_points_add_up(lists in prop::collection::vec(prop::collection::vec(any_point(), 0..12), 0..6)) {
        let ours = sums(lists.iter().map(|list| list.iter().map(point)).collect(), Fp::ZERO);
        let theirs: Vec<Option<Point>> = lists.iter().map(|list| expected(list)).collect();
        prop_assert_eq!(ours, theirs);
    }
}

#[test]
fn the_identity_in_the_middle_of_a_sum_is_not_taken_for_a_point() {
    let (one, third) = (G1Projective::generator(), third());
    // Pairs cancel, and what is left meets a point with x = 0.
    let list = [one, -one, third, one, -one, -third, third, third];
    let sum = sums([list.iter().map(point)].into_iter().collect(), Fp::ZERO);
    assert_eq!(sum, [expected(&list)]);
    assert_eq!(sum, [Some(point(&-third))]);
}

#[test]
fn a_point_survives_its_form_in_the_library() {
    let affine = p1_affines::from(&[*third().as_ref()])[0];
    assert_eq!(affine, Point::from(&affine).into());
    assert_eq!(
        blst_p1_affine::from(Point::from(&affine).negated()),
        p1_affines::from(&[*(-third()).as_ref()])[0]
    );
}
