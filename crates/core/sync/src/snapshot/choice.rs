//! Which of the offered states is fetched.
//!
//! Every offer is proven final, so none can be wrong; but one can be old, or known to one slow peer only. Those that are not much older than the newest
//! count, and among them the one with the most servers.

use std::collections::BTreeMap;

use alys_chain::BlockRef;

/// How many blocks an offer may lie below the newest one. Servers offer their last two states, 1,000 blocks apart, and one more after a restart;
/// the blocks above a state are executed as ever, and 2,000 are a matter of a second.
const RECENT: u64 = 2_000;

/// The state to fetch, and how many offer it; among equals the newest. `None` without an offer.
pub(super) fn choose<'a>(offers: impl Iterator<Item = &'a BlockRef>) -> Option<(BlockRef, usize)> {
    let mut servers: BTreeMap<BlockRef, usize> = BTreeMap::new();
    offers.for_each(|block| *servers.entry(*block).or_default() += 1);
    let newest = servers.keys().map(|block| block.height.get()).max()?;
    let recent = servers.into_iter().filter(|(block, _)| block.height.get().saturating_add(RECENT) >= newest);
    recent.max_by_key(|(block, servers)| (*servers, *block))
}

#[cfg(test)]
mod tests {
    use alys_chain::{BlockId, Height, Slot};

    use super::*;

    fn block(height: u64) -> BlockRef {
        BlockRef { slot: Slot(height), height: Height(height), id: BlockId([1; 32]) }
    }

    fn chosen(heights: &[u64]) -> Option<(u64, usize)> {
        let offers: Vec<BlockRef> = heights.iter().copied().map(block).collect();
        choose(offers.iter()).map(|(block, servers)| (block.height.get(), servers))
    }

    #[test]
    fn the_most_servers_win_among_recent_states() {
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[5_000, 4_000, 4_000]), Some((4_000, 2)));
        assert_eq!(chosen(&[5_000, 4_000]), Some((5_000, 1)));
        assert_eq!(chosen(&[5_000, 2_999, 2_999, 2_999]), Some((5_000, 1)), "many who offer an old one");
        assert_eq!(chosen(&[u64::MAX, 1, 1]), Some((u64::MAX, 1)));
    }
}
