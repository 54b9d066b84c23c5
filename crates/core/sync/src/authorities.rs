//! What sync knows of the other authorities: who lives, and what they have signed about their heads.
//!
//! - **Owns**: when each authority was heard last; until when we were cut off from them; the reports of the present round.
//! - **In**: verified signs of life, verified reports. **Out**: counts and the end of the last cut, for the gate.
//! - **On failure**: what is old does not count.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use alys_chain::{AuthorityIndex, Moment, Slot};

/// How long a sign of life counts: three status polls, so that one lost answer is no partition; with slots of 2 s half a
/// round of 15 authorities, each of which approves in every slot.
pub const HEARD_FOR: Duration = Duration::from_secs(15);
/// How long a round of reports counts. A network that stood still for longer than that starts by new reports.
const REPORT_FOR: Duration = Duration::from_secs(10);
/// The pause between two rounds while reports are needed.
const ROUND_EVERY: Duration = Duration::from_secs(2);

/// The other authorities of the present set.
#[derive(Clone, Debug, Default)]
pub struct Authorities {
    heard: BTreeMap<AuthorityIndex, Moment>,
    /// When it was last looked whether we are cut off.
    looked: Moment,
    cut_off: Option<Slot>,
    round: u64,
    asked: Option<Moment>,
    reports: BTreeMap<AuthorityIndex, (Moment, Slot)>,
}

impl Authorities {
    /// The set changed: places mean other authorities now.
    pub fn reset(&mut self) {
        self.heard.clear();
        self.reports.clear();
        self.asked = None;
    }

    /// This one lives.
    pub fn hear(&mut self, now: Moment, authority: AuthorityIndex) {
        self.heard.insert(authority, now);
    }

    /// This one signed that it knows no certificate above `slot`. Reports of an earlier round are ignored.
    pub fn report(&mut self, now: Moment, round: u64, authority: AuthorityIndex, slot: Slot) {
        if round == self.round && self.asked.is_some() {
            self.reports.insert(authority, (now, slot));
            self.hear(now, authority);
        }
    }

    /// Begins a round if the last one is long enough ago. Reports of the last round count on until they are replaced or old.
    pub fn next_round(&mut self, now: Moment) -> Option<u64> {
        if self.asked.is_some_and(|asked| now.since(asked) < ROUND_EVERY) {
            return None;
        }
        self.asked = Some(now);
        self.round = self.round.saturating_add(1);
        Some(self.round)
    }

    /// Who was heard lately.
    #[must_use]
    pub fn heard(&self, now: Moment) -> BTreeSet<AuthorityIndex> {
        let recent = self.heard.iter().filter(|&(_, &at)| now.since(at) < HEARD_FOR);
        recent.map(|(&authority, _)| authority).collect()
    }

    /// Looks whether enough others are heard. With too few of them we are cut off: they may go on without us, and what we know grows old from now on.
    pub fn look(&mut self, now: Moment, slot: Slot, needed: u8) {
        self.cut_off =
            if self.heard(now).len() < usize::from(needed) { Some(slot) } else { self.cut_off(now, slot) };
        self.looked = now;
    }

    /// The last slot in which too few were heard; `None` once something is known of after it. In `slot`, if nobody has looked for longer than a sign of
    /// life counts: what has waited for a process that was stopped is heard before what it has missed is known.
    #[must_use]
    pub fn cut_off(&self, now: Moment, slot: Slot) -> Option<Slot> {
        if now.since(self.looked) < HEARD_FOR { self.cut_off } else { Some(slot) }
    }

    /// Something is known of after the cut.
    pub const fn end_cut(&mut self) {
        self.cut_off = None;
    }

    /// Who reported lately that it knows nothing above `head`.
    #[must_use]
    pub fn agreeing(&self, now: Moment, head: Slot) -> BTreeSet<AuthorityIndex> {
        let agrees = |&(at, slot): &(Moment, Slot)| now.since(at) < REPORT_FOR && slot <= head;
        self.reports.iter().filter(|(_, report)| agrees(report)).map(|(&authority, _)| authority).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> Moment {
        Moment(Duration::from_secs(secs))
    }

    const A: AuthorityIndex = AuthorityIndex(1);
    const B: AuthorityIndex = AuthorityIndex(2);

    #[test]
    fn a_sign_of_life_counts_for_a_while() {
        let mut authorities = Authorities::default();
        authorities.hear(at(0), A);
        authorities.hear(at(10), B);
        assert_eq!(authorities.heard(at(14)).len(), 2);
        assert_eq!(authorities.heard(at(15)), BTreeSet::from([B]));
        authorities.reset();
        assert!(authorities.heard(at(15)).is_empty());
    }

    #[test]
    fn a_cut_lasts_until_its_end_is_told_and_so_does_a_time_without_a_look() {
        let mut authorities = Authorities::default();
        authorities.look(at(1), Slot(1), 1);
        authorities.hear(at(2), A);
        assert_eq!(authorities.cut_off(at(2), Slot(2)), Some(Slot(1)));
        authorities.look(at(3), Slot(2), 1);
        assert_eq!(authorities.cut_off(at(3), Slot(2)), Some(Slot(1)), "heard again");
        authorities.end_cut();
        assert_eq!(authorities.cut_off(at(17), Slot(9)), None);
        assert_eq!(authorities.cut_off(at(18), Slot(9)), Some(Slot(9)), "nobody has looked for 15 seconds");
        authorities.hear(at(18), A);
        authorities.look(at(18), Slot(9), 1);
        assert_eq!(authorities.cut_off(at(19), Slot(10)), Some(Slot(9)));
    }

    #[test]
    fn reports_count_for_their_round_and_only_if_nothing_is_above_us() {
        let mut authorities = Authorities::default();
        authorities.report(at(0), 0, A, Slot(5));
        assert!(authorities.agreeing(at(0), Slot(9)).is_empty(), "nobody was asked");
        let round = authorities.next_round(at(0)).unwrap();
        assert_eq!(authorities.next_round(at(1)), None);
        authorities.report(at(1), round, A, Slot(5));
        authorities.report(at(1), round, B, Slot(6));
        authorities.report(at(1), round + 1, AuthorityIndex(3), Slot(1));
        assert_eq!(authorities.agreeing(at(1), Slot(5)), BTreeSet::from([A]));
        assert_eq!(authorities.agreeing(at(1), Slot(6)), BTreeSet::from([A, B]));
        assert_eq!(authorities.heard(at(1)), BTreeSet::from([A, B]), "a report is a sign of life");

        assert!(authorities.next_round(at(2)).is_some());
        authorities.report(at(2), round, B, Slot(1));
        assert_eq!(
            authorities.agreeing(at(2), Slot(5)),
            BTreeSet::from([A]),
            "a late answer to the old nonce"
        );
        assert!(authorities.agreeing(at(11), Slot(9)).is_empty(), "old");
    }
}
