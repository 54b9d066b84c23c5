//! Nine of ten peers claim that their head has the greatest integer for a height, under a certificate of another block.

use crate::siege::{Attack, End, Lie};

/// Nobody believes it; each says it twice, and is banned.
pub const ATTACK: Attack = Attack {
    name: "claimed height",
    within_permille: 1_200,
    lie: |dice| Lie::GreatestHeight { slot: dice.percent(50) },
    end: End::Banned,
};
