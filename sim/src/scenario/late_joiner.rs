//! An authority and a full node come when the chain has been going for a while, with nothing; the authority earns its turn.

use crate::faults::Fault;
use crate::plan::{Plan, Promise};

/// The chain is 40 blocks long when the two come.
#[must_use]
pub fn plan(seed: u64) -> Plan {
    let mut plan = Plan::calm("late joiner", seed, 5);
    plan.nodes = 6;
    plan.with(40, Fault::Start { node: 4 })
        .with(42, Fault::Start { node: 5 })
        .promising(Promise::Signed { node: 4, from: 41, by: 60 })
        .quiet_from(42)
}
