//! Weighted sums of points, of many groups at once.
//!
//! A weight is read in signed digits of four bits. The points' multiples up to eight, and then, for each group and each place, the multiples that the
//! digits name, are summed in affine additions that share their inversions over all groups; only the places of a sum are put together in
//! projective ones. Many groups that make few sums are best added place by place ([`add_groups`]) before that. Complete: any points add up rightly, also
//! those that somebody chose.

use blst::blst_p1_affine;
use blstrs::{G1Affine, G1Projective};
use group::Group as _;

use super::weights::{NIBBLE_MAX, NIBBLES, Weight};
use crate::bls::{Fp, Point, sums};

/// The multiples of a point, from one to eight; `None` for the identity.
type Multiples = [Option<Point>; NIBBLE_MAX];

/// The sums of a group by the place of the digit, the lowest first; `None` for the identity.
pub(super) type Places = [Option<Point>; NIBBLES];

/// Points, each with its weight.
pub(super) struct Terms {
    multiples: Vec<Multiples>,
    digits: Vec<[i8; NIBBLES]>,
}

impl Terms {
    /// As many weights as points.
    pub(super) fn new(points: impl IntoIterator<Item = blst_p1_affine>, weights: &[Weight]) -> Self {
        let points: Vec<Point> = points.into_iter().map(|point| Point::from(&point)).collect();
        let digits = weights.iter().map(|weight| weight.nibbles()).collect();
        Self { multiples: multiples(&points), digits }
    }

    /// The sums of each group of terms, named by their positions.
    pub(super) fn sum_groups(&self, groups: &[Vec<usize>]) -> Vec<Places> {
        let at = |group: &[usize], place: usize| -> Vec<Point> {
            group.iter().filter_map(|&term| times(&self.multiples[term], self.digits[term][place])).collect()
        };
        let places = groups.iter().flat_map(|group| (0..NIBBLES).map(|place| at(group, place)));
        by_place(&sums(places.collect(), Fp::ZERO))
    }
}

/// What the groups of each list add up to.
pub(super) fn add_groups(lists: &[Vec<&Places>]) -> Vec<Places> {
    let at = |list: &[&Places], place: usize| -> Vec<Point> {
        list.iter().filter_map(|places| places[place]).collect()
    };
    let places = lists.iter().flat_map(|list| (0..NIBBLES).map(|place| at(list, place)));
    by_place(&sums(places.collect(), Fp::ZERO))
}

fn by_place(sums: &[Option<Point>]) -> Vec<Places> {
    sums.chunks_exact(NIBBLES).map(|places| places.try_into().expect("chunks of this length")).collect()
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

/// The sums of the places times the powers of sixteen.
pub(super) fn put_together(places: &Places) -> G1Projective {
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
