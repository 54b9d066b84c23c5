//! Whether all signatures of a batch are in the subgroup, for a fraction of what it costs one by one.
//!
//! Each signature gets a random weight of 41 digits that are -1, 0 or 1. For each place the signatures are summed by their digits there, and
//! these 41 sums are checked. A signature outside the subgroup has a part of an order that divides the cofactor, so of at least three; whatever
//! the others are, one of its three digits at most lets a sum pass. So all sums pass with a probability of 3^-41 at most, which is below 2^-64.
//! (The argument in full, and why larger weights do not replace the places, is in ADR 6.)
//!
//! The sums of the places, times the powers of three, are the weighted sum of all signatures, which then costs nothing more.

use std::collections::BTreeMap;

use blst::{MultiPoint, blst_p1, blst_p1_affine};
use blstrs::{G1Affine, G1Projective};
use group::Group as _;
use rand_core::CryptoRng;

use super::Search;
use super::combination::{Terms, put_together};
use super::prepare::Statement;
use super::weights::{DIGITS, WINDOW, WINDOW_MAX, Weight, digit};
use crate::bls::{Fp, OUTSIDE, Point, sums};
use crate::error::Invalid;

/// The fewest signatures that are checked together: below it the 41 sums cost more than the signatures one by one.
const LEAST: usize = 48;

/// Weights, and the sum of the signatures that they were drawn for.
pub(super) struct Weighted {
    pub(super) weights: Vec<Weight>,
    pub(super) signatures: blst_p1,
}

impl Weighted {
    /// Draws weights and sums signatures of the subgroup.
    pub(super) fn draw(signatures: &[blst_p1_affine], rng: &mut impl CryptoRng) -> Self {
        let weights: Vec<Weight> = signatures.iter().map(|_| Weight::draw(rng)).collect();
        let terms = Terms::new(signatures.iter().copied(), &weights);
        let sums = terms.sum_groups(&[(0..signatures.len()).collect()]);
        Self { signatures: *put_together(&sums[0]).as_ref(), weights }
    }
}

/// Takes statements whose signature is not in the subgroup out, with all that follow where only the first fault counts. Where there are none
/// in a large batch, their weighted sum is there already.
pub(super) fn check(
    statements: &mut Vec<Statement>,
    faults: &mut BTreeMap<usize, Invalid>,
    search: Search,
    rng: &mut impl CryptoRng,
) -> Option<Weighted> {
    let signatures: Vec<blst_p1_affine> = statements.iter().map(|statement| statement.signature).collect();
    if signatures.len() >= LEAST {
        let weights: Vec<Weight> = signatures.iter().map(|_| Weight::draw(rng)).collect();
        let places = sum_places(&signatures, &weights);
        if are_inside(&places) {
            return Some(Weighted { weights, signatures: sum_of_places(&places) });
        }
    }
    let outside: Vec<usize> =
        statements.iter().filter(|s| !is_inside(&s.signature)).map(|s| s.entry).collect();
    if search == Search::First
        && let Some(first) = outside.first()
    {
        statements.retain(|statement| statement.entry < *first);
        *faults = BTreeMap::from([(*first, OUTSIDE)]);
        return None;
    }
    statements.retain(|statement| !outside.contains(&statement.entry));
    faults.extend(outside.into_iter().map(|entry| (entry, OUTSIDE)));
    None
}

fn is_inside(point: &blst_p1_affine) -> bool {
    [*point].validate().is_ok()
}

/// For each place the sum of the points times their digits there; `None` for the identity.
fn sum_places(points: &[blst_p1_affine], weights: &[Weight]) -> Vec<Option<Point>> {
    // First what counts the same in a window of three places, so that a point is added 14 times, not 27.
    let mut buckets = vec![Vec::new(); DIGITS.div_ceil(WINDOW) * WINDOW_MAX];
    for (point, weight) in points.iter().map(Point::from).zip(weights) {
        for (windows, count) in buckets.chunks_exact_mut(WINDOW_MAX).zip(weight.windows()) {
            if count != 0 {
                let bucket = usize::from(count.unsigned_abs()) - 1;
                windows[bucket].push(if count < 0 { point.negated() } else { point });
            }
        }
    }
    let buckets = sums(buckets.into_iter().collect(), Fp::ZERO);
    let places =
        buckets.chunks_exact(WINDOW_MAX).flat_map(|buckets| (0..WINDOW).map(|place| at(buckets, place)));
    sums(places.collect(), Fp::ZERO)
}

/// What the buckets of a window, for 1 to 13, add to one of its places.
fn at(buckets: &[Option<Point>], place: usize) -> Vec<Point> {
    let signed = |(count, sum): (usize, &Option<Point>)| match digit(count, place) {
        0 => None,
        1 => *sum,
        _ => sum.map(Point::negated),
    };
    (1..).zip(buckets).filter_map(signed).collect()
}

fn are_inside(places: &[Option<Point>]) -> bool {
    let sums: Vec<blst_p1_affine> = places.iter().flatten().map(|sum| (*sum).into()).collect();
    sums.as_slice().validate().is_ok()
}

/// The sums of the places times the powers of three.
fn sum_of_places(places: &[Option<Point>]) -> blst_p1 {
    let mut total = G1Projective::identity();
    for place in places.iter().rev() {
        total = total.double() + total;
        if let Some(sum) = place {
            let mut point = G1Affine::default();
            *point.as_mut() = (*sum).into();
            total += &point;
        }
    }
    *total.as_ref()
}

#[cfg(test)]
mod tests;
