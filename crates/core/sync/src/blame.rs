//! Whose fault it was.
//!
//! - **Decides**: the verdict on each failure: a peer's (provable), the moment's, ours; and whether most peers failed at once, so
//!   that the trouble is likelier on our side.
//! - **In**: how each lease ended, when. **Out**: the suspicion. What is seen of a peer goes to the peer book as it is:
//!   sync never punishes, and the book has its own rule for bad times.
//! - **On failure**: while we suspect ourselves no target is given up, and people are told.

use core::time::Duration;
use std::collections::BTreeMap;

use alys_chain::Moment;
use alys_peers::{Observation, Offence};
use alys_wire::PeerId;

/// How far back failures count when we judge whether the trouble is ours. Not shorter: a peer that failed often rests for a minute,
/// and takes up to 10 s to fail again. Not longer: an outage that is over should excuse nobody.
const SUSPICION_WINDOW: Duration = Duration::from_secs(75);
/// An answer shows for so long that our side works: peers are asked for their status each second, and nine that fall silent at once while the tenth serves are
/// nine silent peers.
const WORKS_FOR: Duration = Duration::from_secs(2);
/// Fewer failing peers than this are never a pattern.
const SUSPICION_MIN_PEERS: usize = 3;

/// Why something failed, by type: who pays for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The peer's, provable from bytes that it served: another peer is asked, this one is reported.
    #[error("the peer served {0}")]
    Peer(Offence),
    /// Nobody's: the moment's. The same is tried again, elsewhere or later.
    #[error("{0}")]
    Moment(String),
    /// Ours: disk, executor, a bug. The same is tried again; when it lasts it is escalated.
    #[error("{0}")]
    Ours(String),
}

/// The memory of who failed lately.
#[derive(Clone, Debug, Default)]
pub struct Blame {
    failed: BTreeMap<PeerId, Moment>,
    /// When the last answer came.
    worked: Option<Moment>,
    suspect_ourselves: bool,
}

impl Blame {
    /// Some answer came, were it a status: our side works, whoever else fails.
    pub fn our_side_works(&mut self, now: Moment) {
        self.worked = Some(now);
        self.failed.clear();
        self.suspect_ourselves = false;
    }

    /// Notes what happened with `peer`, of `connected` peers.
    pub fn note(&mut self, now: Moment, peer: PeerId, what: Observation, connected: usize) {
        match what {
            Observation::Served { .. } => self.our_side_works(now),
            Observation::TimedOut | Observation::Unreachable if !self.works(now) => {
                self.failed.insert(peer, now);
            }
            _ => {}
        }
        self.refresh(now, connected);
    }

    fn works(&self, now: Moment) -> bool {
        self.worked.is_some_and(|worked| now.since(worked) < WORKS_FOR)
    }

    /// Judges anew, as time passes.
    pub fn refresh(&mut self, now: Moment, connected: usize) {
        self.failed.retain(|_, &mut at| now.since(at) < SUSPICION_WINDOW);
        let most = self.failed.len().saturating_mul(2) > connected;
        self.suspect_ourselves = self.failed.len() >= SUSPICION_MIN_PEERS && most;
    }

    /// Whether most peers failed lately, so that the trouble is likelier our own link, disk or load.
    #[must_use]
    pub const fn suspects_ourselves(&self) -> bool {
        self.suspect_ourselves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> PeerId {
        PeerId::from_bytes(&[n]).expect("one byte is an id")
    }

    const fn at(secs: u64) -> Moment {
        Moment(Duration::from_secs(secs))
    }

    const SERVED: Observation =
        Observation::Served { bytes: 1, first_byte: Duration::ZERO, transfer: Duration::ZERO };

    #[test]
    fn one_late_peer_among_many_is_no_pattern() {
        let mut blame = Blame::default();
        blame.note(at(0), peer(1), Observation::TimedOut, 4);
        blame.note(at(1), peer(1), Observation::TimedOut, 4);
        assert!(!blame.suspects_ourselves());
    }

    #[test]
    fn when_most_peers_fail_at_once_we_suspect_ourselves_until_somebody_serves() {
        let mut blame = Blame::default();
        blame.note(at(0), peer(1), Observation::Unreachable, 5);
        blame.note(at(0), peer(2), Observation::Unreachable, 5);
        assert!(!blame.suspects_ourselves(), "two of five");
        blame.note(at(1), peer(3), Observation::TimedOut, 5);
        assert!(blame.suspects_ourselves(), "three of five");
        blame.note(at(1), peer(4), Observation::Late, 5);
        assert!(blame.suspects_ourselves());
        blame.note(at(2), peer(4), SERVED, 5);
        assert!(!blame.suspects_ourselves());
        blame.note(at(3), peer(3), Observation::TimedOut, 5);
        assert!(!blame.suspects_ourselves());
    }

    #[test]
    fn who_falls_silent_while_others_serve_is_silent_by_itself() {
        let mut blame = Blame::default();
        blame.note(at(9), peer(9), SERVED, 9);
        (1..=8).for_each(|n| blame.note(at(10), peer(n), Observation::TimedOut, 9));
        assert!(!blame.suspects_ourselves());
        (1..=8).for_each(|n| blame.note(at(11), peer(n), Observation::TimedOut, 9));
        assert!(blame.suspects_ourselves(), "nobody has served for two seconds");
    }

    #[test]
    fn half_of_the_peers_is_not_most_of_them_and_two_are_too_few() {
        let mut half = Blame::default();
        (1..=3).for_each(|n| half.note(at(0), peer(n), Observation::TimedOut, 6));
        assert!(!half.suspects_ourselves());
        let mut two = Blame::default();
        (1..=2).for_each(|n| two.note(at(0), peer(n), Observation::TimedOut, 2));
        assert!(!two.suspects_ourselves());
    }

    #[test]
    fn suspicion_ends_with_time() {
        let mut blame = Blame::default();
        (1..=3).for_each(|n| blame.note(at(0), peer(n), Observation::TimedOut, 3));
        blame.refresh(at(74), 3);
        assert!(blame.suspects_ourselves());
        blame.refresh(at(75), 3);
        assert!(!blame.suspects_ourselves());
    }

    #[test]
    fn a_fault_says_what_happened() {
        let text = Fault::Peer(Offence::BadBody).to_string();
        assert_eq!(text, "the peer served a body that does not belong to its header");
        assert_eq!(Fault::Moment("executor offline".to_owned()).to_string(), "executor offline");
    }
}
