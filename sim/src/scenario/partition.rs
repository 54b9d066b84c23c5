//! Five authorities and two full nodes fall apart: first with a side that has a quorum, then without one. Each time the network comes together.

use crate::faults::Fault;
use crate::plan::{Plan, Promise};

/// Four of five are a quorum: that side goes on, the other stands still. Three and two: nobody goes on.
#[must_use]
pub fn plan(seed: u64) -> Plan {
    let mut plan = Plan::calm("partition", seed, 5);
    plan.nodes = 7;
    plan.with(8, Fault::Partition(vec![vec![0, 1, 2, 3, 5], vec![4, 6]]))
        .promising(Promise::Block { from: 22, by: 24 })
        .with(24, Fault::Heal)
        .with(40, Fault::Partition(vec![vec![0, 1, 2, 5], vec![3, 4, 6]]))
        .promising(Promise::NoBlock { from: 41, to: 56 })
        .with(56, Fault::Heal)
        .quiet_from(56)
}
