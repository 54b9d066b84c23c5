//! Every authority is killed once, one after the other, some of them with their power; in the end all at once.

use crate::faults::Fault;
use crate::plan::{Plan, Promise};

/// One of five down is not even noticed; after all were down at once the chain goes on from what was on their disks.
#[must_use]
pub fn plan(seed: u64) -> Plan {
    let mut plan = Plan::calm("crashes", seed, 5);
    for node in 0..5 {
        let slot = 6 + 6 * u64::try_from(node).expect("one of five");
        plan = plan
            .with(slot, Fault::Crash { node, power: node % 2 == 0 })
            .with(slot + 3, Fault::Start { node });
    }
    for node in 0..5 {
        plan = plan.with(40, Fault::Crash { node, power: true }).with(44, Fault::Start { node });
    }
    plan.promising(Promise::Block { from: 30, by: 39 }).quiet_from(44)
}
