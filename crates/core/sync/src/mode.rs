//! What sync is doing, decided anew from the facts after every event.
//!
//! - **Decides**: the mode. It is a function of the facts and of the mode before (hysteresis), so every mode can be left and
//!   entered again at any time; nothing has to be reset on an error path.
//! - **In**: [`Facts`]. **Out**: a [`Mode`].
//! - **On failure**: `Failed` is a mode like the others: the import is tried again, and one success leaves it.

use core::fmt;

use serde::Serialize;

/// How far behind counts as catching up rather than bulk download: less than one import batch of 256 would not fill
/// a pipeline anyway, and 64 slots are two minutes, the reach of a short disconnect.
pub const CATCHING_UP_BLOCKS: u64 = 64;
/// How many blocks a synced node may lag before it is catching up again: gossip and our own status polls
/// race each other by a slot or two, and a mode that flickers says nothing.
pub const SYNCED_SLACK_BLOCKS: u64 = 2;

/// What sync is doing. The codes are the same in metrics, alerts and documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Mode {
    /// 0: not started, or stopped by command.
    #[default]
    Idle = 0,
    /// 1: looking for peers, or for a proven target.
    Discovering = 1,
    /// 2: downloading headers; no body can be asked for yet.
    Skeleton = 2,
    /// 3: downloading bodies, far behind.
    Bulk = 3,
    /// 4: downloading the last few blocks.
    CatchingUp = 4,
    /// 5: the durable head is the best proven block, with evidence that it is recent.
    Synced = 5,
    /// 6: our own importer keeps failing; it is still tried, ever less often.
    Failed = 6,
    /// 7: a fresh node fetches the state of a final block.
    Snapshot = 7,
}

impl Mode {
    /// All of them, by code.
    pub const ALL: [Self; 8] = [
        Self::Idle,
        Self::Discovering,
        Self::Skeleton,
        Self::Bulk,
        Self::CatchingUp,
        Self::Synced,
        Self::Failed,
        Self::Snapshot,
    ];

    /// The documented code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Whether blocks are being fetched.
    #[must_use]
    pub const fn is_working(self) -> bool {
        matches!(self, Self::Skeleton | Self::Bulk | Self::CatchingUp | Self::Snapshot)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Discovering => "discovering",
            Self::Skeleton => "skeleton",
            Self::Bulk => "bulk",
            Self::CatchingUp => "catching up",
            Self::Synced => "synced",
            Self::Failed => "failed",
            Self::Snapshot => "snapshot",
        })
    }
}

/// What the mode depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Started, and not stopped since.
    pub started: bool,
    /// The importer fails for reasons of our own, and has for long enough to say so.
    pub import_broken: bool,
    /// How many blocks the best proven target is above our durable head; `None` without a target.
    pub behind: Option<u64>,
    /// Whether there is evidence that the best block we know of is recent, or that nobody has a better one.
    pub evidence: bool,
    /// Whether a linked skeleton stands above our durable head.
    pub has_skeleton: bool,
}

/// The mode that these facts mean, coming from `before`.
#[must_use]
pub fn decide(before: Mode, facts: &Facts) -> Mode {
    if !facts.started {
        return Mode::Idle;
    }
    if facts.import_broken {
        return Mode::Failed;
    }
    let slack = if before == Mode::Synced { SYNCED_SLACK_BLOCKS } else { 0 };
    match facts.behind {
        None | Some(0) if !facts.evidence => Mode::Discovering,
        None => Mode::Synced,
        Some(n) if n <= slack && facts.evidence => Mode::Synced,
        Some(n) if n <= CATCHING_UP_BLOCKS => Mode::CatchingUp,
        Some(_) if facts.has_skeleton => Mode::Bulk,
        Some(_) => Mode::Skeleton,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Facts =
        Facts { started: true, import_broken: false, behind: Some(0), evidence: true, has_skeleton: false };

    #[test]
    fn codes_are_the_documented_ones() {
        let codes: Vec<u8> = Mode::ALL.iter().map(|m| m.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7]);
        let names: std::collections::BTreeSet<String> = Mode::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), 8);
    }

    #[test]
    fn the_absence_of_work_is_not_synced() {
        assert_eq!(decide(Mode::Idle, &Facts { behind: None, evidence: false, ..FRESH }), Mode::Discovering);
        assert_eq!(decide(Mode::Bulk, &Facts { evidence: false, ..FRESH }), Mode::Discovering);
        assert_eq!(decide(Mode::Synced, &Facts { evidence: false, ..FRESH }), Mode::Discovering);
        assert_eq!(decide(Mode::CatchingUp, &FRESH), Mode::Synced);
        assert_eq!(
            decide(Mode::Discovering, &Facts { behind: None, ..FRESH }),
            Mode::Synced,
            "halted network"
        );
    }

    #[test]
    fn a_synced_node_may_lag_a_little_but_one_that_catches_up_must_arrive() {
        let lag = |n| Facts { behind: Some(n), ..FRESH };
        assert_eq!(decide(Mode::Synced, &lag(2)), Mode::Synced);
        assert_eq!(decide(Mode::Synced, &lag(3)), Mode::CatchingUp);
        assert_eq!(decide(Mode::CatchingUp, &lag(1)), Mode::CatchingUp);
        assert_eq!(decide(Mode::Synced, &Facts { evidence: false, ..lag(2) }), Mode::CatchingUp);
    }

    #[test]
    fn far_behind_is_skeleton_until_there_is_one_then_bulk() {
        let far = Facts { behind: Some(65), ..FRESH };
        assert_eq!(decide(Mode::Synced, &far), Mode::Skeleton);
        assert_eq!(decide(Mode::Skeleton, &Facts { has_skeleton: true, ..far }), Mode::Bulk);
        assert_eq!(decide(Mode::Bulk, &Facts { behind: Some(64), ..far }), Mode::CatchingUp);
    }

    #[test]
    fn every_mode_leads_to_every_other() {
        for before in Mode::ALL {
            assert_eq!(decide(before, &Facts { started: false, ..FRESH }), Mode::Idle);
            assert_eq!(decide(before, &Facts { import_broken: true, ..FRESH }), Mode::Failed);
            assert_eq!(decide(before, &FRESH), Mode::Synced);
            assert_eq!(decide(before, &Facts { behind: Some(100), ..FRESH }), Mode::Skeleton);
        }
    }

    #[test]
    fn working_modes_are_those_that_fetch() {
        let working: Vec<Mode> = Mode::ALL.into_iter().filter(|m| m.is_working()).collect();
        assert_eq!(working, [Mode::Skeleton, Mode::Bulk, Mode::CatchingUp, Mode::Snapshot]);
    }
}
