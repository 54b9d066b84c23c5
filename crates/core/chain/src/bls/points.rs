//! Sums of points of a curve y^2 = x^3 + ax + b over the base field, in affine coordinates: many at once, so that they share one inversion.
//!
//! Complete: equal points, opposite points and points of any order add up rightly, whoever chose them. (blst's own sum of many points takes the
//! identity in the middle of a sum for (0, 0), and a point (0, y) beside it for its equal.)

use blst::blst_p1_affine;

use super::field::{Fp, invert_all};

/// A point that is not the identity. Neither curve has a point with y = 0: their orders are odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) x: Fp,
    pub(crate) y: Fp,
}

impl Point {
    pub(crate) fn negated(self) -> Self {
        Self { y: -self.y, ..self }
    }
}

impl From<&blst_p1_affine> for Point {
    fn from(point: &blst_p1_affine) -> Self {
        Self { x: point.x.into(), y: point.y.into() }
    }
}

impl From<Point> for blst_p1_affine {
    fn from(point: Point) -> Self {
        Self { x: point.x.into(), y: point.y.into() }
    }
}

/// Lists of points, one behind the other in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    points: Vec<Point>,
    lists: Vec<List>,
}

/// Where a list is.
#[derive(Clone, Copy, Debug)]
struct List {
    start: usize,
    len: usize,
}

impl<L: IntoIterator<Item = Point>> FromIterator<L> for Lists {
    fn from_iter<I: IntoIterator<Item = L>>(lists: I) -> Self {
        let mut all = Self::default();
        for list in lists {
            let start = all.points.len();
            all.points.extend(list);
            all.lists.push(List { start, len: all.points.len() - start });
        }
        all
    }
}

/// The sum of each list, on the curve with the coefficient `a`; `None` for the identity. An addition takes some six products.
pub(crate) fn sums(Lists { mut points, mut lists }: Lists, a: Fp) -> Vec<Option<Point>> {
    let (mut numerators, mut denominators) = (Vec::new(), Vec::new());
    while lists.iter().any(|list| list.len > 1) {
        numerators.clear();
        denominators.clear();
        for pair in lists.iter().flat_map(|list| points[list.start..][..list.len].chunks_exact(2)) {
            let (numerator, denominator) = slope(pair[0], pair[1], a);
            numerators.push(numerator);
            denominators.push(denominator);
        }
        invert_all(&mut denominators);
        let mut slopes = numerators.iter().zip(&denominators);
        for list in &mut lists {
            list.len = halve(&mut points[list.start..][..list.len], &mut slopes);
        }
    }
    lists.into_iter().map(|list| (list.len > 0).then(|| points[list.start])).collect()
}

/// The slope of the line through two points as a fraction; its denominator is zero if they are opposite.
fn slope(p: Point, q: Point, a: Fp) -> (Fp, Fp) {
    let run = q.x - p.x;
    if !run.is_zero() {
        return (q.y - p.y, run);
    }
    // The tangent if they are equal. If they are opposite, the sum is zero as well.
    let square = p.x.square();
    (square.double() + square + a, p.y + q.y)
}

/// Each pair becomes its sum, or vanishes; the odd one out stays. The slopes come with inverted denominators. How many are left, at the front.
fn halve<'a>(list: &mut [Point], slopes: &mut impl Iterator<Item = (&'a Fp, &'a Fp)>) -> usize {
    let mut kept = 0;
    for (i, (numerator, inverse)) in (0..list.len() / 2).zip(slopes) {
        if inverse.is_zero() {
            continue;
        }
        let (p, q) = (list[2 * i], list[2 * i + 1]);
        let slope = *numerator * *inverse;
        let x = slope.square() - p.x - q.x;
        list[kept] = Point { x, y: slope * (p.x - x) - p.y };
        kept += 1;
    }
    if list.len() % 2 == 1 {
        list[kept] = list[list.len() - 1];
        kept += 1;
    }
    kept
}

#[cfg(test)]
mod tests;
