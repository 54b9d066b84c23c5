//! Nine of ten peers serve some requests for bodies, so that they are trusted, and then withhold all others.

use crate::siege::peer::Withheld;
use crate::siege::{Attack, End, Lie};

/// The most requests that one serves before.
const MOST_SERVED: u64 = 4;
/// The most leases that may be in flight with one when it turns: what it served before has earned it these.
const IN_FLIGHT: u64 = 8;
/// How often one that has served is asked once more, each time after twice the rest: a siege lasts for a minute at most.
const TRIALS: u64 = 5;

/// What they served before helps them little: after three requests in vain they are set back.
pub const ATTACK: Attack = Attack {
    name: "turncoats",
    within_permille: 1_250,
    lie: |dice| Lie::NoBodies { after: 1 + dice.below(MOST_SERVED), how: Withheld::draw(dice) },
    end: End::NoMoreWork(IN_FLIGHT + TRIALS),
};
