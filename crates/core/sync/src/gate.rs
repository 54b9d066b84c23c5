//! May this node produce a block in this slot?
//!
//! - **Decides**: open or closed, from values only; nothing is remembered here.
//! - **In**: [`GateInput`]. **Out**: a [`GateReport`] with every condition, its value and what would be required.
//! - **On failure**: closed is the answer; the report says which condition is missing. Safety never hangs on the gate (the
//!   voting rule and the signing record are what prevent two signatures); the gate keeps a node that cannot know better from building on a stale head.

use core::fmt;

use alys_chain::{BlockRef, Slot};
use serde::Serialize;

/// How much of the proven chain must be durable here at least, in ten-thousandths. Integers, so that no rounding opens the gate. An operator may ask
/// for more, never for less: below it a node would build on a head that the others have left behind.
pub const THRESHOLD_E4: u32 = 9_950;
/// The whole of the chain, in ten-thousandths: the most that can be asked for.
pub const WHOLE_E4: u32 = 10_000;
/// How many blocks a producer may be behind the best proven block: two thirds of a round of 15 authorities. On a long
/// chain the ratio alone would allow thousands.
pub const MAX_BEHIND: u64 = 10;
/// How old, in slots, the best certified block may be to count as recent: two rounds of the largest federation (15), since a
/// live network with its tolerated number of silent members certifies several blocks in that time.
pub const FRESH_SLOTS: u64 = 30;

/// The authority set of the present slot, and our place in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Federation {
    /// How many authorities there are.
    pub authorities: u8,
    /// How many authorities approve at least: ceil(2n/3). Zero while the set is not known.
    pub quorum: u8,
    /// Whether this node is one of them.
    pub member: bool,
}

impl Federation {
    /// The set of `authorities` members, with its quorum.
    #[must_use]
    pub const fn new(authorities: u8, member: bool) -> Self {
        // At most 15 authorities: no overflow, and the quotient is at most 10. Saturating all the same.
        let quorum = authorities.saturating_mul(2).div_ceil(3);
        Self { authorities, quorum, member }
    }

    /// How many others have to be there, beside us.
    #[must_use]
    pub const fn others_needed(self) -> u8 {
        self.quorum.saturating_sub(1)
    }

    /// Whether one authority is a quorum by itself, and it is this node.
    #[must_use]
    pub const fn is_alone(self) -> bool {
        self.member && self.quorum == 1
    }
}

/// Whether sync runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// Not started, or stopped.
    #[default]
    Stopped,
    /// Paused by command.
    Paused,
    /// Our own importer keeps failing.
    Failed,
    /// Running.
    Running,
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "stopped",
            Self::Paused => "paused",
            Self::Failed => "failed",
            Self::Running => "running",
        })
    }
}

/// Everything that the gate looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateInput {
    /// The slot that would be produced in: the present one.
    pub slot: Slot,
    /// The last slot that this node signed for, from the signing record; `None` if it never did.
    pub last_signed: Option<Slot>,
    /// How much of the proven chain must be durable here, in ten-thousandths; what lies outside of [`THRESHOLD_E4`] to [`WHOLE_E4`] counts as the nearer of the two.
    pub threshold_e4: u32,
    /// Whether sync runs.
    pub activity: Activity,
    /// Our durable head.
    pub head: BlockRef,
    /// The best proven block that a peer has shown and somebody can serve.
    pub target: Option<BlockRef>,
    /// Why the last import failed, if it did.
    pub import_failing: Option<String>,
    /// The authorities.
    pub federation: Federation,
    /// How many other authorities are connected or were heard through others lately.
    pub reachable: u8,
    /// How many other authorities gave a sign of life (approval, proposal, signed report, answer) lately.
    pub heard: u8,
    /// The last slot in which too few others were heard for a quorum; `None` once something is known of after it.
    pub cut_off: Option<Slot>,
    /// How many other authorities have signed, bound to our nonce, that they know no certificate above ours.
    pub agreeing: u8,
}

/// What makes us believe that the best block we know of is the best there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A peer has proven a block, and the best one is recent. Our own head alone would not do: after a cut we would not know
    /// what we miss.
    Recent,
    /// Nobody has a block yet: a quorum of the authorities, us included, is at genesis.
    Genesis,
    /// The network stands still: a quorum of the authorities, us included, knows nothing above our head.
    Halted,
    /// We are the only authority there is.
    Alone,
    /// None: what we know may be old.
    None,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recent => "recent",
            Self::Genesis => "all at genesis",
            Self::Halted => "network halted, none above us",
            Self::Alone => "single authority",
            Self::None => "no evidence that it is the latest",
        })
    }
}

impl GateInput {
    /// The best certified block that is known here.
    #[must_use]
    pub fn best(&self) -> BlockRef {
        self.target.map_or(self.head, |target| if target.slot > self.head.slot { target } else { self.head })
    }

    /// How many blocks our head is behind the best one.
    #[must_use]
    pub fn behind(&self) -> u64 {
        self.best().height.ahead_of(self.head.height)
    }

    /// Whether the best block is not above our head but beside it: a certified block of a later slot, on another branch. Ours is left behind then, and
    /// nothing is to be built on it.
    #[must_use]
    pub fn is_beside(&self) -> bool {
        let best = self.best();
        best.slot > self.head.slot && best.height <= self.head.height
    }

    /// What vouches for the best known block.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        let best = self.best();
        let is_recent = self.target.is_some() && self.slot.ahead_of(best.slot) <= FRESH_SLOTS;
        if is_recent { Evidence::Recent } else { self.vouched() }
    }

    /// Whether what is known is of after the last time that we were cut off: a certified block of a later slot, or what the authorities say. To hear
    /// them again is not enough: their approvals come before the blocks that we have missed.
    #[must_use]
    pub fn is_since_cut(&self) -> bool {
        self.cut_off.is_none_or(|cut| cut < self.best().slot) || self.vouched() != Evidence::None
    }

    /// The evidence that does not depend on how old the best known block is.
    fn vouched(&self) -> Evidence {
        let best = self.best();
        if self.federation.is_alone() {
            Evidence::Alone
        } else if best == self.head && self.nobody_is_above() {
            if best.slot == Slot::ZERO { Evidence::Genesis } else { Evidence::Halted }
        } else {
            Evidence::None
        }
    }

    /// Whether a quorum, us included if we are a member, says that it knows nothing better.
    fn nobody_is_above(&self) -> bool {
        let said = self.agreeing.saturating_add(u8::from(self.federation.member));
        self.federation.quorum > 0 && said >= self.federation.quorum
    }
}

/// The name of a condition; also its label in metrics and alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConditionName {
    /// This node is an authority in this slot.
    Member,
    /// Sync is neither stopped, paused nor failed.
    Running,
    /// Enough of the proven chain is durable here.
    Ratio,
    /// Few enough blocks are missing.
    Behind,
    /// The best known block is proven, and there is evidence that it is the latest.
    Target,
    /// Blocks can be imported.
    Import,
    /// Enough other authorities can be reached for a quorum.
    Federation,
    /// Enough other authorities were heard lately, no later proven head stands beside ours, and we know what came after we were cut off last: we are
    /// not on the smaller side of a split, and not fresh from it.
    Partition,
    /// Nothing was signed for this slot, or for a later one.
    Unsigned,
}

impl ConditionName {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 9] = [
        Self::Member,
        Self::Running,
        Self::Ratio,
        Self::Behind,
        Self::Target,
        Self::Import,
        Self::Federation,
        Self::Partition,
        Self::Unsigned,
    ];

    /// The label in metrics, alerts and JSON.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Running => "running",
            Self::Ratio => "ratio",
            Self::Behind => "behind",
            Self::Target => "target",
            Self::Import => "import",
            Self::Federation => "federation",
            Self::Partition => "partition",
            Self::Unsigned => "unsigned",
        }
    }
}

impl fmt::Display for ConditionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// One condition with its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// Which one.
    pub name: ConditionName,
    /// Whether it holds.
    pub holds: bool,
    /// The value now, for people.
    pub value: String,
    /// What is required, for people.
    pub required: String,
}

/// The gate's answer. It is open if, and only if, every condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateReport {
    /// Whether this node may produce.
    pub open: bool,
    /// Every condition, also those that hold.
    pub conditions: Vec<Condition>,
}

impl GateReport {
    /// The conditions that keep it closed.
    pub fn missing(&self) -> impl Iterator<Item = &Condition> {
        self.conditions.iter().filter(|c| !c.holds)
    }
}

impl fmt::Display for GateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.open {
            return f.write_str("open");
        }
        f.write_str("closed")?;
        self.missing().enumerate().try_for_each(|(n, c)| {
            let lead = if n == 0 { ": " } else { "; " };
            write!(f, "{lead}{} is {}, required {}", c.name, c.value, c.required)
        })
    }
}

/// Decides, with reasons.
#[must_use]
pub fn decide(input: &GateInput) -> GateReport {
    let conditions: Vec<Condition> = ConditionName::ALL.into_iter().map(|name| judge(name, input)).collect();
    GateReport { open: conditions.iter().all(|c| c.holds), conditions }
}

fn judge(name: ConditionName, input: &GateInput) -> Condition {
    let (holds, value, required) = match name {
        ConditionName::Member => {
            let text = if input.federation.member { "an authority" } else { "no authority" };
            (input.federation.member, text.to_owned(), "an authority".to_owned())
        }
        ConditionName::Running => {
            (input.activity == Activity::Running, input.activity.to_string(), Activity::Running.to_string())
        }
        ConditionName::Ratio => ratio(input),
        ConditionName::Behind => {
            let behind = input.behind();
            (behind <= MAX_BEHIND, format!("{behind} blocks"), format!("at most {MAX_BEHIND}"))
        }
        ConditionName::Target => target(input),
        ConditionName::Import => {
            let value = input.import_failing.clone().unwrap_or_else(|| "working".to_owned());
            (input.import_failing.is_none(), value, "working".to_owned())
        }
        ConditionName::Federation => others(input, input.reachable, "reachable"),
        ConditionName::Partition => partition(input),
        ConditionName::Unsigned => unsigned(input),
    };
    Condition { name, holds, value, required }
}

fn ratio(input: &GateInput) -> (bool, String, String) {
    let (have, want) = (u128::from(input.head.height.0), u128::from(input.best().height.0));
    let least = input.threshold_e4.clamp(THRESHOLD_E4, WHOLE_E4);
    let holds = have * u128::from(WHOLE_E4) >= want * u128::from(least);
    (holds, format!("{have} of {want} blocks"), format!("{least} of {WHOLE_E4}"))
}

fn target(input: &GateInput) -> (bool, String, String) {
    let (best, evidence) = (input.best(), input.evidence());
    let value = format!("height {}, {} slots old, {evidence}", best.height, input.slot.ahead_of(best.slot));
    let required = format!("at most {FRESH_SLOTS} slots old, or a quorum that knows nothing better");
    (evidence != Evidence::None, value, required)
}

fn others(input: &GateInput, there: u8, how: &str) -> (bool, String, String) {
    let needed = input.federation.others_needed();
    let known = input.federation.quorum > 0;
    (known && there >= needed, format!("{there} other authorities {how}"), format!("at least {needed}"))
}

fn partition(input: &GateInput) -> (bool, String, String) {
    let (enough, value, required) = others(input, input.heard, "heard lately");
    if input.is_beside() {
        let value = format!("{value}; a block of slot {} stands beside our head", input.best().slot);
        return (false, value, format!("{required}, and our head on the best branch"));
    }
    if let Some(cut) = input.cut_off.filter(|_| enough && !input.is_since_cut()) {
        let value = format!("{value}; no block is known from after slot {cut}, until which we were cut off");
        return (
            false,
            value,
            format!("{required}, and a later block, or a quorum that knows nothing better"),
        );
    }
    (enough, value, required)
}

fn unsigned(input: &GateInput) -> (bool, String, String) {
    let value = input
        .last_signed
        .map_or_else(|| "nothing signed yet".to_owned(), |s| format!("slot {s} signed last"));
    (input.last_signed.is_none_or(|last| last < input.slot), value, format!("before slot {}", input.slot))
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
