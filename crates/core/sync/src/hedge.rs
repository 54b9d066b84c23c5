//! What is asked of a second peer, since the first one is late with it and everything waits for it.
//!
//! - **Owns**: which bodies two peers owe at the same time, what came twice so far, and how much more may.
//! - **In**: what is asked twice, what arrives, which requests end. **Out**: the bytes that may still be asked twice.
//! - **On failure**: a second copy is dropped and nobody is blamed. The budget cannot be overdrawn: what two peers owe counts as if it came twice,
//!   until it is certain that it will not.

use std::collections::BTreeMap;

use alys_chain::BlockId;
use serde::Serialize;

/// One byte in so many may come twice: 5 percent. More buys little, since only the head of the line is worth it; the bound is the design's.
const SHARE: u64 = 20;
/// So much may come twice in any case: some dozen small blocks, so that a node that is a few blocks behind need not wait for a peer that fell
/// silent. Once in the life of a machine.
const FLOOR_BYTES: u64 = 256 << 10;

/// What was asked twice so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hedged {
    /// Requests to a second peer.
    pub requests: u64,
    /// Bodies that were asked of a second peer.
    pub bodies: u64,
    /// Of these, how many the second peer brought first.
    pub won: u64,
    /// Bytes that came twice.
    pub duplicate_bytes: u64,
    /// Bytes that may still come twice, what two peers owe at the moment subtracted.
    pub left_bytes: u64,
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Hedging {
    /// What two peers owe, and what it is expected to cost.
    twice: BTreeMap<BlockId, u64>,
    twice_bytes: u64,
    received: u64,
    requests: u64,
    bodies: u64,
    won: u64,
    duplicate_bytes: u64,
}

impl Hedging {
    /// Bytes that may be asked twice now, while requests for `in_flight` bytes are out. What is in flight will have come once in the end.
    #[must_use]
    pub const fn left(&self, in_flight: u64) -> u64 {
        let base = self.received.saturating_add(in_flight).saturating_sub(self.twice_bytes);
        let share = base / SHARE;
        let most = if share > FLOOR_BYTES { share } else { FLOOR_BYTES };
        most.saturating_sub(self.duplicate_bytes).saturating_sub(self.twice_bytes)
    }

    /// Whether two peers owe anything.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.twice.is_empty()
    }

    /// These bodies, of this cost each, are asked of a second peer.
    pub fn ask(&mut self, ids: impl Iterator<Item = BlockId>, cost: u64) {
        self.requests = self.requests.saturating_add(1);
        for id in ids {
            self.bodies = self.bodies.saturating_add(1);
            let before = self.twice.insert(id, cost).unwrap_or_default();
            self.twice_bytes = self.twice_bytes.saturating_add(cost).saturating_sub(before);
        }
    }

    /// A body came for the first time.
    pub const fn receive(&mut self, bytes: u64, by_second: bool) {
        self.received = self.received.saturating_add(bytes);
        self.won = self.won.saturating_add(by_second as u64);
    }

    /// A body came that is here already.
    pub fn duplicate(&mut self, id: BlockId, bytes: u64) {
        self.duplicate_bytes = self.duplicate_bytes.saturating_add(bytes);
        self.settle(id);
    }

    /// At most one peer owes this body any more.
    pub fn settle(&mut self, id: BlockId) {
        let cost = self.twice.remove(&id).unwrap_or_default();
        self.twice_bytes = self.twice_bytes.saturating_sub(cost);
    }

    /// The sums, while requests for `in_flight` bytes are out.
    #[must_use]
    pub const fn sums(&self, in_flight: u64) -> Hedged {
        Hedged {
            requests: self.requests,
            bodies: self.bodies,
            won: self.won,
            duplicate_bytes: self.duplicate_bytes,
            left_bytes: self.left(in_flight),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn id(n: u8) -> BlockId {
        BlockId([n; 32])
    }

    #[test]
    fn a_twentieth_may_come_twice_and_a_little_in_any_case() {
        let mut hedging = Hedging::default();
        assert_eq!(hedging.left(0), FLOOR_BYTES);
        assert_eq!(hedging.left(100 << 20), 5 << 20, "what is in flight will have come");
        hedging.receive(100 << 20, false);
        hedging.ask([id(1), id(2)].into_iter(), 1 << 20);
        assert_eq!(hedging.left(2 << 20), 3 << 20, "two are out");
        hedging.duplicate(id(1), 1 << 20);
        hedging.settle(id(2));
        assert_eq!(hedging.left(0), 4 << 20, "one of them came twice");
        let sums = hedging.sums(0);
        assert_eq!((sums.requests, sums.bodies, sums.won, sums.duplicate_bytes), (1, 2, 0, 1 << 20));
        assert!(!hedging.is_open());
    }

    proptest! {
        #[test]
        fn never_more_than_its_share_comes_twice(steps in prop::collection::vec((0u8..4, 0u8..40, 1u64..60_000), 0..300)) {
            let (mut hedging, mut in_flight) = (Hedging::default(), 0u64);
            for (what, n, cost) in steps {
                match what {
                    0 => hedging.receive(cost, false),
                    1 if hedging.left(in_flight) >= cost && !hedging.twice.contains_key(&id(n)) => {
                        hedging.ask(core::iter::once(id(n)), cost);
                        in_flight += cost;
                    }
                    2 if hedging.twice.contains_key(&id(n)) => {
                        let cost = hedging.twice[&id(n)];
                        in_flight -= cost;
                        hedging.receive(cost, true);
                        hedging.duplicate(id(n), cost);
                    }
                    3 if hedging.twice.contains_key(&id(n)) => {
                        in_flight -= hedging.twice[&id(n)];
                        hedging.settle(id(n));
                    }
                    _ => {}
                }
                let most = (hedging.received / SHARE).max(FLOOR_BYTES);
                prop_assert!(hedging.duplicate_bytes <= most);
                prop_assert_eq!(hedging.twice_bytes, hedging.twice.values().sum::<u64>());
            }
        }
    }
}
