//! What is played, one scenario a file: each makes a [`Plan`] from a seed, or is an [`Attack`] on a node that syncs.

pub mod bad_approvals;
pub mod bad_bodies;
pub mod claimed_height;
pub mod crashes;
pub mod drip;
pub mod late_joiner;
pub mod partition;
pub mod random;
pub mod silent_quorum;
pub mod turncoats;
pub mod withheld_bodies;

use crate::plan::Plan;
use crate::siege::Attack;

/// The scenarios with a story, for a seed.
#[must_use]
pub fn stories(seed: u64) -> Vec<Plan> {
    vec![crashes::plan(seed), late_joiner::plan(seed), partition::plan(seed), silent_quorum::plan(seed)]
}

/// The attacks on a node that syncs.
pub const ATTACKS: [Attack; 6] = [
    claimed_height::ATTACK,
    withheld_bodies::ATTACK,
    turncoats::ATTACK,
    bad_bodies::ATTACK,
    bad_approvals::ATTACK,
    drip::ATTACK,
];
