//! A gap a peer: what is missing is cut into contiguous gaps, and each peer works through its own; who is done takes the upper half of the largest one
//! that is left. The way of segmented downloads from mirrors (axel, aria2).

use std::collections::BTreeMap;

use alys_chain::{Height, HeightRange};
use alys_sync::HeightRanges;
use alys_wire::PeerId;

use super::{BATCH, Board, Strategy};

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Gaps {
    own: BTreeMap<PeerId, HeightRange>,
}

/// What of a gap is missing.
fn left(gap: HeightRange, missing: &HeightRanges) -> HeightRanges {
    let within = |range: HeightRange| HeightRange::new(range.start.max(gap.start), range.end.min(gap.end));
    missing.iter().map(within).filter(|range| range.start < range.end).collect()
}

impl Gaps {
    /// A part of what belongs to nobody: an even share of it, the lowest one.
    fn claim(&self, missing: &HeightRanges, peers: u64) -> Option<HeightRange> {
        let mut free = missing.clone();
        self.own.values().for_each(|gap| free.remove(*gap));
        free.lowest(free.len().div_ceil(peers.max(1)).max(BATCH))
    }

    /// The upper half of the largest gap that another one works through.
    fn take_over(&mut self, missing: &HeightRanges) -> Option<HeightRange> {
        let rest = |gap: &HeightRange| left(*gap, missing).len();
        let gap = self.own.values_mut().max_by_key(|gap| rest(gap))?;
        let first = left(*gap, missing).first()?;
        let middle = Height(first.0.midpoint(gap.end.0));
        let upper = HeightRange::new(middle, gap.end);
        gap.end = middle;
        Some(upper)
    }
}

impl Strategy for Gaps {
    fn plan(&mut self, board: &Board) -> Vec<(PeerId, HeightRange)> {
        let idle: Vec<PeerId> = board.idle().collect();
        if idle.is_empty() || board.missing.is_empty() {
            return Vec::new();
        }
        let usable: Vec<PeerId> = board.usable().collect();
        let mut missing = board.missing.clone();
        // Whoever is gone, or is done, has no gap.
        self.own.retain(|peer, gap| usable.contains(peer) && !left(*gap, &missing).is_empty());
        let mut plan = Vec::new();
        for peer in idle {
            let own = self.own.get(&peer).copied();
            let claimed = || self.claim(&missing, usable.len() as u64);
            let Some(gap) = own.or_else(claimed).or_else(|| self.take_over(&missing)) else { break };
            self.own.insert(peer, gap);
            if let Some(range) = left(gap, &missing).lowest(BATCH) {
                missing.remove(range);
                plan.push((peer, range));
            }
        }
        plan
    }
}
