//! Nine of ten peers serve headers with approvals that do not approve them: all of them, or one in many.

use crate::siege::peer::BadApproval;
use crate::siege::{Attack, End, Lie};

/// A range with one of them is refused from there on, and who served it is named.
pub const ATTACK: Attack = Attack {
    name: "bad approvals",
    within_permille: 1_200,
    lie: |dice| {
        let how = [BadApproval::Swapped, BadApproval::Garbage, BadApproval::TooFew][dice.index(3)];
        Lie::BadApprovals { every: 1 + dice.below(64), how }
    },
    end: End::Banned,
};
