//! When the gate opens or closes for good, so that people are told once and not at every flicker.
//!
//! - **Decides**: what is a crossing. Closing is one at once; opening is one after the gate has stayed open for [`SETTLED_AFTER`], so a gate that
//!   flaps is told as closed once, until it holds still.
//! - **In**: the gate's report at each tick, without the condition of the slot's own signature, which closes the gate once in every slot that we
//!   sign in. **Out**: a [`Crossing`].
//! - **On failure**: none.

use core::time::Duration;

use alys_chain::Moment;
use serde::Serialize;

use crate::gate::{Condition, GateReport};

/// How long the gate has to stay open to count as open: five slots of the default length. Shorter, and an authority that is heard in every other
/// slot would be told of each time; longer, and people would look for a fault that is gone.
pub const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// The gate crossed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Crossing {
    /// Whether it is open now.
    pub open: bool,
    /// The conditions that made the difference, with their values now.
    pub changed: Vec<Condition>,
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct GateWatch {
    /// The side that was told last, as it looked last.
    told: Option<GateReport>,
    /// Since when it is open without having been told so.
    open_since: Option<Moment>,
}

impl GateWatch {
    /// Looks at the gate. The first look is no crossing: there is nothing to compare it with.
    pub fn look(&mut self, now: Moment, report: GateReport) -> Option<Crossing> {
        let Some(told) = &self.told else {
            self.told = Some(report);
            return None;
        };
        if told.open == report.open {
            self.open_since = None;
            self.told = Some(report);
            return None;
        }
        if report.open && now.since(*self.open_since.get_or_insert(now)) < SETTLED_AFTER {
            return None;
        }
        self.open_since = None;
        let was = |condition: &Condition| told.conditions.iter().any(|c| c.name == condition.name && c.holds);
        let changed = report.conditions.iter().filter(|&c| c.holds != was(c)).cloned().collect();
        let open = report.open;
        self.told = Some(report);
        Some(Crossing { open, changed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::ConditionName;

    const fn at(secs: u64) -> Moment {
        Moment(Duration::from_secs(secs))
    }

    fn gate(missing: &[ConditionName]) -> GateReport {
        let condition = |name| Condition {
            name,
            holds: !missing.contains(&name),
            value: String::new(),
            required: String::new(),
        };
        let conditions: Vec<Condition> = ConditionName::ALL.into_iter().map(condition).collect();
        GateReport { open: missing.is_empty(), conditions }
    }

    fn names(crossing: Option<Crossing>) -> Option<(bool, Vec<ConditionName>)> {
        crossing.map(|crossing| (crossing.open, crossing.changed.into_iter().map(|c| c.name).collect()))
    }

    use ConditionName::{Behind, Federation, Partition, Target};

    #[test]
    fn closing_is_told_at_once_and_opening_once_it_holds_with_what_changed() {
        let mut watch = GateWatch::default();
        assert_eq!(watch.look(at(0), gate(&[Target, Federation])), None, "nothing to compare it with");
        assert_eq!(watch.look(at(1), gate(&[Federation])), None, "still closed");
        assert_eq!(watch.look(at(2), gate(&[])), None);
        assert_eq!(watch.look(at(11), gate(&[])), None);
        assert_eq!(names(watch.look(at(12), gate(&[]))), Some((true, vec![Federation])));
        assert_eq!(watch.look(at(13), gate(&[])), None);
        let closed = names(watch.look(at(14), gate(&[Behind, Partition])));
        assert_eq!(closed, Some((false, vec![Behind, Partition])));
    }

    #[test]
    fn a_gate_that_flaps_is_told_as_closed_once() {
        let mut watch = GateWatch::default();
        watch.look(at(0), gate(&[]));
        let told = (1..1_000).filter_map(|secs| {
            let missing: &[ConditionName] = if secs % 7 == 0 { &[Partition] } else { &[] };
            names(watch.look(at(secs), gate(missing)))
        });
        assert_eq!(told.collect::<Vec<_>>(), [(false, vec![Partition])]);
        assert_eq!(watch.look(at(1_000), gate(&[])), None);
        assert_eq!(names(watch.look(at(1_010), gate(&[]))), Some((true, vec![Partition])));
    }
}
