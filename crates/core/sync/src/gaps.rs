//! Sets of heights as a value: what is missing is arithmetic, not bookkeeping.

use alys_chain::{Height, HeightRange};

/// A set of heights, kept as ranges: ascending, not empty, and never touching each other, so that equal sets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeightRanges(Vec<HeightRange>);

impl HeightRanges {
    /// The empty set.
    pub const EMPTY: Self = Self(Vec::new());

    /// Whether it holds nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many heights it holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.iter().fold(0, |sum, range| sum.saturating_add(range.len()))
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = HeightRange> + '_ {
        self.0.iter().copied()
    }

    /// The heights, ascending.
    pub fn heights(&self) -> impl Iterator<Item = Height> + '_ {
        self.0.iter().flat_map(|range| (range.start.0..range.end.0).map(Height))
    }

    /// The lowest height.
    #[must_use]
    pub fn first(&self) -> Option<Height> {
        self.0.first().map(|range| range.start)
    }

    /// The highest height.
    #[must_use]
    pub fn last(&self) -> Option<Height> {
        self.0.last().and_then(|range| range.end.prev())
    }

    /// Whether `height` belongs to it.
    #[must_use]
    pub fn contains(&self, height: Height) -> bool {
        let at = self.0.partition_point(|range| range.end <= height);
        self.0.get(at).is_some_and(|range| range.start <= height)
    }

    /// The lowest height of `range` that does not belong to it.
    #[must_use]
    pub fn first_absent(&self, range: HeightRange) -> Option<Height> {
        let at = self.0.partition_point(|r| r.end <= range.start);
        let first = self.0.get(at).filter(|r| r.start <= range.start).map_or(range.start, |r| r.end);
        (first < range.end).then_some(first)
    }

    /// Adds every height of `range`.
    pub fn insert(&mut self, range: HeightRange) {
        if range.is_empty() {
            return;
        }
        let from = self.0.partition_point(|r| r.end < range.start);
        let to = self.0.partition_point(|r| r.start <= range.end);
        let merged = self
            .0
            .get(from..to)
            .unwrap_or_default()
            .iter()
            .fold(range, |all, r| HeightRange::new(all.start.min(r.start), all.end.max(r.end)));
        self.0.splice(from..to, [merged]);
    }

    /// Takes every height of `range` out.
    pub fn remove(&mut self, range: HeightRange) {
        if range.is_empty() {
            return;
        }
        let from = self.0.partition_point(|r| r.end <= range.start);
        let to = self.0.partition_point(|r| r.start < range.end);
        let cut = self.0.get(from..to).unwrap_or_default();
        let below = cut.first().map(|r| HeightRange::new(r.start, range.start));
        let above = cut.last().map(|r| HeightRange::new(range.end, r.end));
        let left: Vec<HeightRange> = below.into_iter().chain(above).filter(|r| !r.is_empty()).collect();
        self.0.splice(from..to, left);
    }

    /// Adds one height.
    pub fn insert_height(&mut self, height: Height) {
        self.insert(HeightRange::new(height, height.saturating_add(1)));
    }

    /// Takes one height out.
    pub fn remove_height(&mut self, height: Height) {
        self.remove(HeightRange::new(height, height.saturating_add(1)));
    }

    /// Adds every height of `other`.
    pub fn add(&mut self, other: &Self) {
        other.iter().for_each(|range| self.insert(range));
    }

    /// Takes every height of `other` out.
    pub fn subtract(&mut self, other: &Self) {
        other.iter().for_each(|range| self.remove(range));
    }

    /// The lowest heights of the set, without a hole between them, at most `most`; `None` if it is empty.
    #[must_use]
    pub fn lowest(&self, most: u64) -> Option<HeightRange> {
        let first = self.0.first()?;
        Some(HeightRange::new(first.start, first.end.min(first.start.saturating_add(most))))
    }

    /// The lowest heights of the set, with the holes between them, at most `most`.
    #[must_use]
    pub fn lowest_heights(&self, most: u64) -> Self {
        let (mut lowest, mut left) = (Self::EMPTY, most);
        for range in self.iter() {
            let taken = HeightRange::new(range.start, range.end.min(range.start.saturating_add(left)));
            left = left.saturating_sub(taken.len());
            lowest.insert(taken);
            if left == 0 {
                break;
            }
        }
        lowest
    }
}

impl From<HeightRange> for HeightRanges {
    fn from(range: HeightRange) -> Self {
        let mut set = Self::EMPTY;
        set.insert(range);
        set
    }
}

impl FromIterator<HeightRange> for HeightRanges {
    fn from_iter<I: IntoIterator<Item = HeightRange>>(ranges: I) -> Self {
        let mut set = Self::EMPTY;
        ranges.into_iter().for_each(|range| set.insert(range));
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn range(start: u64, end: u64) -> HeightRange {
        HeightRange::new(Height(start), Height(end))
    }

    #[test]
    fn neighbours_merge_and_holes_split() {
        let mut set: HeightRanges = [range(1, 3), range(5, 8)].into_iter().collect();
        assert_eq!(set.len(), 5);
        set.insert(range(3, 5));
        assert_eq!(set, HeightRanges::from(range(1, 8)));
        set.remove(range(4, 5));
        assert_eq!(set.iter().collect::<Vec<_>>(), [range(1, 4), range(5, 8)]);
        assert_eq!(set.first(), Some(Height(1)));
        assert_eq!(set.lowest(2), Some(range(1, 3)));
        assert_eq!(set.lowest(9), Some(range(1, 4)));
    }

    #[test]
    fn the_first_absent_height_is_below_the_end_or_there_is_none() {
        let set: HeightRanges = [range(1, 3), range(5, 8)].into_iter().collect();
        let absent = |start, end| set.first_absent(range(start, end)).map(|height| height.0);
        assert_eq!(
            [absent(1, 9), absent(1, 3), absent(0, 3), absent(2, 4)],
            [Some(3), None, Some(0), Some(3)]
        );
        assert_eq!([absent(4, 6), absent(5, 8), absent(7, 9), absent(8, 8)], [Some(4), None, Some(8), None]);
    }

    #[test]
    fn the_lowest_heights_reach_across_holes() {
        let set: HeightRanges = [range(1, 3), range(5, 8), range(20, 90)].into_iter().collect();
        let lowest = |most| set.lowest_heights(most).iter().collect::<Vec<_>>();
        assert_eq!(lowest(0), []);
        assert_eq!(lowest(2), [range(1, 3)]);
        assert_eq!(lowest(3), [range(1, 3), range(5, 6)]);
        assert_eq!(lowest(5), [range(1, 3), range(5, 8)]);
        assert_eq!(lowest(6), [range(1, 3), range(5, 8), range(20, 21)]);
        assert_eq!(set.lowest_heights(u64::MAX), set);
    }

    #[test]
    fn empty_ranges_change_nothing() {
        let mut set = HeightRanges::from(range(4, 4));
        assert!(set.is_empty());
        assert_eq!((set.first(), set.lowest(5)), (None, None));
        set.insert(range(1, 9));
        set.remove(range(5, 5));
        set.remove(range(7, 3));
        assert_eq!(set, HeightRanges::from(range(1, 9)));
    }

    #[test]
    fn the_greatest_heights_do_not_overflow() {
        let mut set = HeightRanges::from(range(0, u64::MAX));
        set.insert(range(5, u64::MAX));
        assert_eq!(set.len(), u64::MAX);
        assert_eq!(set.lowest(u64::MAX), Some(range(0, u64::MAX)));
        set.insert_height(Height(u64::MAX));
        assert!(!set.contains(Height(u64::MAX)), "the greatest integer has no height behind it");
    }

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u64, u64),
        Remove(u64, u64),
        InsertOne(u64),
        RemoveOne(u64),
        Add(Vec<(u64, u64)>),
        Subtract(Vec<(u64, u64)>),
    }

    fn op() -> impl Strategy<Value = Op> {
        let h = || 0u64..40;
        let many = || prop::collection::vec((0u64..40, 0u64..40), 0..5);
        prop_oneof![
            (h(), h()).prop_map(|(a, b)| Op::Insert(a, b)),
            (h(), h()).prop_map(|(a, b)| Op::Remove(a, b)),
            h().prop_map(Op::InsertOne),
            h().prop_map(Op::RemoveOne),
            many().prop_map(Op::Add),
            many().prop_map(Op::Subtract),
        ]
    }

    fn set_of(ranges: &[(u64, u64)]) -> HeightRanges {
        ranges.iter().map(|&(a, b)| range(a, b)).collect()
    }

    fn apply(op: &Op, set: &mut HeightRanges, naive: &mut BTreeSet<u64>) {
        match op {
            Op::Insert(a, b) => (set.insert(range(*a, *b)), naive.extend(*a..*b)).0,
            Op::Remove(a, b) => (set.remove(range(*a, *b)), naive.retain(|h| !(*a..*b).contains(h))).0,
            Op::InsertOne(a) => (set.insert_height(Height(*a)), naive.insert(*a)).0,
            Op::RemoveOne(a) => (set.remove_height(Height(*a)), naive.remove(a)).0,
            Op::Add(v) => {
                set.add(&set_of(v));
                v.iter().for_each(|&(a, b)| naive.extend(a..b));
            }
            Op::Subtract(v) => {
                set.subtract(&set_of(v));
                naive.retain(|h| !v.iter().any(|&(a, b)| (a..b).contains(h)));
            }
        }
    }

    proptest! {
        #[test]
        fn it_is_the_same_as_a_plain_set(ops in prop::collection::vec(op(), 0..30)) {
            let (mut set, mut naive) = (HeightRanges::EMPTY, BTreeSet::new());
            for op in &ops {
                apply(op, &mut set, &mut naive);
                prop_assert_eq!(set.heights().map(|h| h.0).collect::<Vec<_>>(), naive.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(set.len(), naive.len() as u64);
                prop_assert_eq!(set.first(), naive.first().copied().map(Height));
                prop_assert_eq!(set.is_empty(), naive.is_empty());
                for h in 0..42 {
                    prop_assert_eq!(set.contains(Height(h)), naive.contains(&h));
                }
                let ranges: Vec<_> = set.iter().collect();
                prop_assert!(ranges.iter().all(|r| !r.is_empty()));
                prop_assert!(ranges.windows(2).all(|w| w[0].end < w[1].start), "ranges touch: {:?}", ranges);
            }
        }

        #[test]
        fn the_first_absent_height_is_the_lowest_that_is_not_there(
            ranges in prop::collection::vec((0u64..40, 0u64..40), 0..6),
            start in 0u64..42,
            end in 0u64..42,
        ) {
            let set = set_of(&ranges);
            let absent = (start..end).map(Height).find(|height| !set.contains(*height));
            prop_assert_eq!(set.first_absent(range(start, end)), absent);
        }

        #[test]
        fn the_lowest_part_is_a_part(ranges in prop::collection::vec((0u64..40, 0u64..40), 0..6), most in 0u64..50) {
            let set = set_of(&ranges);
            let Some(part) = set.lowest(most) else {
                prop_assert!(set.is_empty());
                return Ok(());
            };
            prop_assert!(part.len() <= most);
            prop_assert_eq!(Some(part.start), set.first());
            prop_assert!((part.start.0..part.end.0).all(|h| set.contains(Height(h))));
            let cut_by_most = part.len() == most;
            prop_assert!(cut_by_most || !set.contains(part.end));
        }
    }
}
