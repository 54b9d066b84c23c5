//! Nine of ten peers serve valid headers and withhold the bodies: they have none, they are busy, or they say nothing.

use crate::siege::peer::Withheld;
use crate::siege::{Attack, End, Lie};

/// After three requests in vain nobody asks them any more.
pub const ATTACK: Attack = Attack {
    name: "withheld bodies",
    within_permille: 1_250,
    lie: |dice| Lie::NoBodies { after: 0, how: Withheld::draw(dice) },
    end: End::NoMoreWork(3),
};
