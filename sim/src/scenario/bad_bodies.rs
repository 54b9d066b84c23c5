//! Nine of ten peers serve bodies that are not those of their blocks: all of them, or one in a few.

use crate::siege::peer::BadBody;
use crate::siege::{Attack, End, Lie};

/// What a body is checked against names who served it: two of them are enough for a ban.
pub const ATTACK: Attack = Attack {
    name: "bad bodies",
    within_permille: 1_200,
    lie: |dice| {
        let how = [BadBody::Flipped, BadBody::Cut, BadBody::Empty, BadBody::Swapped][dice.index(4)];
        Lie::BadBodies { every: 1 + dice.below(16), how }
    },
    end: End::Banned,
};
