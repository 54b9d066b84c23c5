//! Which side of a split this node is on, as far as it can tell.
//!
//! - **Decides**: the side, from the authorities that gave a sign of life lately. Latency plays no part.
//! - **In**: who was heard, and the heads that peers have proven. **Out**: a [`PartitionView`].
//! - **On failure**: without a known set the side is unknown.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use alys_chain::{AuthorityIndex, BlockRef};

use crate::gate::Federation;

/// A side of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The authority set is not known.
    Unknown,
    /// Every authority is heard: there is no split.
    Whole,
    /// A quorum is heard: this side goes on, the other cannot.
    Majority,
    /// Too few are heard for a quorum: nothing can be certified here.
    Minority,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Whole => "whole",
            Self::Majority => "majority",
            Self::Minority => "minority",
        })
    }
}

/// A head, and who has proven it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadGroup {
    /// The block.
    pub head: BlockRef,
    /// How many connected peers have shown it as their best.
    pub peers: usize,
    /// The authorities among them.
    pub authorities: BTreeSet<AuthorityIndex>,
}

/// The network as it looks from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionView {
    /// Our side.
    pub side: Side,
    /// The authority set.
    pub federation: Federation,
    /// The other authorities that gave a sign of life lately.
    pub heard: BTreeSet<AuthorityIndex>,
    /// How the proven heads split, the highest slot first.
    pub heads: Vec<HeadGroup>,
}

impl PartitionView {
    /// Puts it together.
    #[must_use]
    pub fn new(
        federation: Federation,
        heard: BTreeSet<AuthorityIndex>,
        proven: impl Iterator<Item = (BlockRef, Option<AuthorityIndex>)>,
    ) -> Self {
        let mut groups: BTreeMap<BlockRef, HeadGroup> = BTreeMap::new();
        for (head, authority) in proven {
            let group = groups.entry(head).or_insert_with(|| HeadGroup {
                head,
                peers: 0,
                authorities: BTreeSet::new(),
            });
            group.peers = group.peers.saturating_add(1);
            group.authorities.extend(authority);
        }
        let side = side(federation, heard.len());
        Self { side, federation, heard, heads: groups.into_values().rev().collect() }
    }
}

fn side(federation: Federation, heard: usize) -> Side {
    let here = heard.saturating_add(usize::from(federation.member));
    match federation {
        Federation { quorum: 0, .. } => Side::Unknown,
        Federation { authorities, .. } if here >= usize::from(authorities) => Side::Whole,
        Federation { quorum, .. } if here >= usize::from(quorum) => Side::Majority,
        _ => Side::Minority,
    }
}

#[cfg(test)]
mod tests {
    use alys_chain::{BlockId, Height, Slot};

    use super::*;

    fn heard(authorities: &[u8]) -> BTreeSet<AuthorityIndex> {
        authorities.iter().copied().map(AuthorityIndex).collect()
    }

    fn side_of(authorities: u8, member: bool, others: &[u8]) -> Side {
        let federation = Federation::new(authorities, member);
        PartitionView::new(federation, heard(others), core::iter::empty()).side
    }

    #[test]
    fn the_side_follows_from_who_is_heard() {
        assert_eq!(side_of(5, true, &[1, 2, 3, 4]), Side::Whole);
        assert_eq!(side_of(5, true, &[1, 2, 3]), Side::Majority);
        assert_eq!(side_of(5, true, &[1, 2]), Side::Minority, "three of five are no quorum");
        assert_eq!(side_of(5, false, &[1, 2, 3]), Side::Minority, "who is no member counts for nothing");
        assert_eq!(side_of(1, true, &[]), Side::Whole);
        assert_eq!(side_of(0, false, &[]), Side::Unknown);
        let all = [Side::Unknown, Side::Whole, Side::Majority, Side::Minority];
        assert_eq!(all.map(|side| side.to_string()), ["unknown", "whole", "majority", "minority"]);
    }

    #[test]
    fn heads_are_grouped_the_highest_slot_first() {
        let block = |slot: u64, id| BlockRef { slot: Slot(slot), height: Height(7), id: BlockId([id; 32]) };
        let proven = [
            (block(9, 1), Some(AuthorityIndex(1))),
            (block(11, 2), None),
            (block(9, 1), None),
            (block(11, 2), Some(AuthorityIndex(3))),
            (block(11, 2), Some(AuthorityIndex(4))),
        ];
        let view = PartitionView::new(Federation::new(5, true), heard(&[1, 3, 4]), proven.into_iter());
        let groups: Vec<_> =
            view.heads.iter().map(|g| (g.head.slot.get(), g.peers, g.authorities.len())).collect();
        assert_eq!(groups, [(11, 3, 2), (9, 2, 1)]);
    }
}
