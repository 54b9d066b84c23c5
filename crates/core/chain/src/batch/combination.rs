//! Weighted sums of points, of many groups at once.
//!
//! A weight is read in signed digits of four bits. The points' multiples up to eight, and then, for each group and each place, the multiples that the
//! digits name, are summed in affine additions that share their inversions over all groups; only the places of a group are put together in
//! projective ones. Complete: any points add up rightly, also those that somebody chose.

use blst::{blst_p1, blst_p1_affine};
use blstrs::{G1Affine, G1Projective};
use group::Group as _;

use super::weights::{NIBBLE_MAX, NIBBLES, Weight};
use crate::bls::{Fp, Point, sums};

/// Points, each with its weight.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) points: Vec<blst_p1_affine>,
    pub(super) weights: Vec<Weight>,
}

/// The multiples of a point, from one to eight; `None` for the identity.
type Multiples = [Option<Point>; NIBBLE_MAX];

/// The weighted sum of each group.
pub(super) fn combinations(groups: &[Group]) -> Vec<blst_p1> {
    let points: Vec<Point> = groups.iter().flat_map(|group| &group.points).map(Point::from).collect();
    let mut multiples = &multiples(&points)[..];
    let mut places = Vec::with_capacity(groups.len() * NIBBLES);
    for group in groups {
        let (mine, others) = multiples.split_at(group.points.len());
        multiples = others;
        let digits: Vec<[i8; NIBBLES]> = group.weights.iter().map(|weight| weight.nibbles()).collect();
        let at =
            |place: usize| mine.iter().zip(&digits).filter_map(move |(of, digits)| times(of, digits[place]));
        places.extend((0..NIBBLES).map(|place| at(place).collect::<Vec<_>>()));
    }
    let places = sums(places.into_iter().collect(), Fp::ZERO);
    places.chunks_exact(NIBBLES).map(|places| *put_together(places).as_ref()).collect()
}

/// The multiples of each point, in three rounds of additions: to two, to four, to eight.
fn multiples(points: &[Point]) -> Vec<Multiples> {
    let mut multiples: Vec<Multiples> = points
        .iter()
        .map(|point| {
            let mut multiples = [None; NIBBLE_MAX];
            multiples[0] = Some(*point);
            multiples
        })
        .collect();
    let mut known = 1;
    while known < NIBBLE_MAX {
        let added = multiples
            .iter()
            .flat_map(|of| of[..known].iter().map(|less| [*less, of[known - 1]].into_iter().flatten()));
        let added = sums(added.collect(), Fp::ZERO);
        for (of, added) in multiples.iter_mut().zip(added.chunks_exact(known)) {
            of[known..2 * known].copy_from_slice(added);
        }
        known *= 2;
    }
    multiples
}

/// A multiple, up to eight in magnitude, of the point that these are the multiples of.
fn times(multiples: &Multiples, factor: i8) -> Option<Point> {
    let nearest = usize::from(factor.unsigned_abs()).checked_sub(1)?;
    let point = multiples[nearest]?;
    Some(if factor < 0 { point.negated() } else { point })
}

/// The sums of the places, the lowest first, times the powers of sixteen.
fn put_together(places: &[Option<Point>]) -> G1Projective {
    let mut total = G1Projective::identity();
    for place in places.iter().rev() {
        total = total.double().double().double().double();
        if let Some(sum) = place {
            let mut point = G1Affine::default();
            *point.as_mut() = (*sum).into();
            total += &point;
        }
    }
    total
}

#[cfg(test)]
mod tests;
