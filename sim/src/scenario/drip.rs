//! Nine of ten peers send one byte a second once they are asked for headers or bodies.

use crate::siege::{Attack, End, Lie};

/// What is too slow to be of use is given up, and not asked again.
pub const ATTACK: Attack =
    Attack { name: "drip", within_permille: 1_250, lie: |_| Lie::Drip, end: End::NoMoreWork(3) };
