//! What is played, one scenario a file: each makes a [`Plan`] from a seed.

pub mod crashes;
pub mod late_joiner;
pub mod partition;
pub mod random;
pub mod silent_quorum;

use crate::plan::Plan;

/// The scenarios with a story, for a seed.
#[must_use]
pub fn stories(seed: u64) -> Vec<Plan> {
    vec![crashes::plan(seed), late_joiner::plan(seed), partition::plan(seed), silent_quorum::plan(seed)]
}
