//! A run, decided before it begins: who is there, what goes wrong when, and what must hold at the end.

use std::time::Duration;

use alys_transport::simulated::Link;

use crate::faults::{Fault, Timed};

/// The length of a slot. As in the network that this is for; in virtual time a shorter one would save nothing.
pub const SLOT: Duration = Duration::from_secs(2);

/// How long before slot 0 the world begins, so that everybody is up when the chain begins.
pub const LEAD: Duration = Duration::from_secs(1);

/// When a slot begins, since the beginning of the world.
#[must_use]
pub fn start_of(slot: u64) -> Duration {
    LEAD + SLOT * u32::try_from(slot).unwrap_or(u32::MAX)
}

/// The slot that runs so long after the beginning of the world; zero before it begins.
#[must_use]
pub fn slot_at(since: Duration) -> u64 {
    u64::try_from(since.saturating_sub(LEAD).as_millis() / SLOT.as_millis()).unwrap_or(u64::MAX)
}

/// A change of the authority set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// From this slot on.
    pub slot: u64,
    /// These nodes are the authorities.
    pub authorities: Vec<usize>,
}

/// Something that a scenario promises beyond the invariants. Slots are those at whose beginning one looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// No block of a slot in this range (the end excluded) is ever certified.
    NoBlock {
        /// The first slot.
        from: u64,
        /// The slot behind the last.
        to: u64,
    },
    /// At the beginning of `by`, some node's head is of slot `from` or later.
    Block {
        /// The earliest slot that counts.
        from: u64,
        /// When it must be there.
        by: u64,
    },
    /// At the beginning of `by`, the node has signed for slot `from` or later: it has its turn.
    Signed {
        /// Which node.
        node: usize,
        /// The earliest slot that counts.
        from: u64,
        /// When it must have.
        by: u64,
    },
}

/// A defect on purpose, to see that the judge sees it: a full node runs with the key of an authority, as after a careless move to another
/// machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedKey {
    /// The node that should be a full node.
    pub node: usize,
    /// Whose key it has.
    pub authority: usize,
}

/// Everything that a run depends on.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario.
    pub name: &'static str,
    /// From which everything random follows.
    pub seed: u64,
    /// How many nodes there are.
    pub nodes: usize,
    /// The first so many of them are authorities.
    pub authorities: usize,
    /// Another set, later.
    pub change: Option<Change>,
    /// All lines between them, at the beginning.
    pub link: Link,
    /// What goes wrong, ascending in time. Nodes that are not started here run from the beginning.
    pub faults: Vec<Timed>,
    /// Nothing goes wrong from this slot on.
    pub quiet: u64,
    /// Within so many slots after that all nodes agree, finality moves, and every authority has its turn.
    pub recovery: u64,
    /// The run ends with this slot.
    pub end: u64,
    /// Promises of the scenario.
    pub promises: Vec<Promise>,
    /// The defect that is there on purpose.
    pub planted: Option<SharedKey>,
}

impl Plan {
    /// A world of authorities only, in which nothing goes wrong.
    #[must_use]
    pub fn calm(name: &'static str, seed: u64, authorities: usize) -> Self {
        Self {
            name,
            seed,
            nodes: authorities,
            authorities,
            change: None,
            link: Link::default(),
            faults: Vec::new(),
            quiet: 0,
            recovery: RECOVERY_SLOTS,
            end: RECOVERY_SLOTS + TAIL_SLOTS,
            promises: Vec::new(),
            planted: None,
        }
    }

    /// The same with something that goes wrong at the beginning of a slot.
    #[must_use]
    pub fn with(mut self, slot: u64, fault: Fault) -> Self {
        self.faults.push(Timed { at: start_of(slot), fault });
        self.faults.sort_by_key(|timed| timed.at);
        self
    }

    /// The same, but that nothing goes wrong from this slot on; it ends when the recovery must be over, and a few slots later.
    #[must_use]
    pub fn quiet_from(mut self, slot: u64) -> Self {
        self.quiet = slot;
        self.end = slot + self.recovery + TAIL_SLOTS;
        self
    }

    /// The same with a promise.
    #[must_use]
    pub fn promising(mut self, promise: Promise) -> Self {
        self.promises.push(promise);
        self
    }

    /// The nodes that are authorities in a slot.
    #[must_use]
    pub fn authorities_in(&self, slot: u64) -> Vec<usize> {
        match &self.change {
            Some(change) if slot >= change.slot => change.authorities.clone(),
            _ => (0..self.authorities).collect(),
        }
    }

    /// The nodes that run from the beginning: all that the faults do not start before they stop them.
    #[must_use]
    pub fn early(&self) -> Vec<usize> {
        let first = |node: usize| self.faults.iter().find(|timed| timed.fault.runs(node).is_some());
        (0..self.nodes)
            .filter(|&node| first(node).is_none_or(|timed| timed.fault.runs(node) != Some(true)))
            .collect()
    }
}

/// Within so many slots after the last fault everything must be well again: half a minute, half of what was asked for. It usually takes three
/// slots; the longest pauses are those before a lost peer is dialled again. Fewer would not forgive an unlucky dial, more would hide defects and
/// make every run longer.
pub const RECOVERY_SLOTS: u64 = 15;

/// So many slots are looked at after that, for a recovery that does not last.
const TAIL_SLOTS: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_started_later_is_not_there_from_the_beginning() {
        let plan = Plan::calm("test", 1, 4)
            .with(9, Fault::Start { node: 1 })
            .with(5, Fault::Crash { node: 1, power: false })
            .with(3, Fault::Start { node: 2 });
        assert_eq!(plan.early(), [0, 1, 3], "node 1 is stopped before it is started again");
        assert!(plan.faults.is_sorted_by_key(|timed| timed.at));
    }

    #[test]
    fn a_change_of_the_set_counts_from_its_slot_on() {
        let mut plan = Plan::calm("test", 1, 4);
        plan.change = Some(Change { slot: 7, authorities: vec![1, 2, 3, 4] });
        assert_eq!(plan.authorities_in(6), [0, 1, 2, 3]);
        assert_eq!(plan.authorities_in(7), [1, 2, 3, 4]);
    }
}
