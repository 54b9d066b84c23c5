//! Two of five authorities are killed: no block is certified. One comes back: within three slots there are blocks again.

use crate::faults::Fault;
use crate::plan::{Plan, Promise};

/// The quorum of five is four.
#[must_use]
pub fn plan(seed: u64) -> Plan {
    Plan::calm("silent quorum", seed, 5)
        .with(10, Fault::Crash { node: 1, power: false })
        .with(10, Fault::Crash { node: 3, power: true })
        .promising(Promise::NoBlock { from: 11, to: 20 })
        .with(20, Fault::Start { node: 1 })
        .promising(Promise::Block { from: 20, by: 24 })
        .with(30, Fault::Start { node: 3 })
        .quiet_from(30)
}
