//! Whose fault it was, and what the peer book is told.
//!
//! - **Decides**: the verdict on each failure: a peer's (provable), the moment's, ours, or nobody's.
//! - **In**: how each lease ended, when.
//! - **Out**: [`Observation`]s for the peer book. Sync itself never punishes.
//! - **On failure**: when most peers fail within a short time, the cause is likelier on our side: nothing about
//!   lateness is reported until somebody serves again. What is provable is reported always.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

use alys_chain::Moment;
use alys_wire::PeerId;

/// How far back failures count when we judge whether the trouble is ours. Not shorter: a timeout takes up to 10 s
/// to show. Not longer: an outage that is over should not excuse a peer for long.
const SUSPICION_WINDOW: Duration = Duration::from_secs(15);
/// Fewer failing peers than this are never a pattern.
const SUSPICION_MIN_PEERS: usize = 3;

/// What a peer did wrong, provable from the bytes that it served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Offence {
    /// Bytes that the wire format forbids.
    Malformed,
    /// Something that was not asked for.
    Unrequested,
    /// Headers of which one does not name the one before as its parent, or breaks a rule of the chain.
    BadHeader,
    /// A header whose certificate is not a quorum's approval of it.
    BadCertificate,
    /// A body that its header does not commit to, or whose content breaks a rule of the chain.
    BadBody,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed bytes",
            Self::Unrequested => "an answer that nobody asked for",
            Self::BadHeader => "an invalid header",
            Self::BadCertificate => "an invalid certificate",
            Self::BadBody => "a body that does not belong to its header",
        })
    }
}

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

/// What the peer book learns from one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// Bytes came, and in time.
    Served {
        /// How many bytes.
        bytes: u64,
        /// From the request to the first byte.
        first_byte: Duration,
        /// From the first byte to the last one.
        transfer: Duration,
    },
    /// The answer was shorter than what was asked. It means nothing about the chain.
    Short,
    /// The peer asked us to come later. No penalty.
    Refused {
        /// In how long.
        retry_after: Duration,
    },
    /// Too late, or nothing for too long.
    TimedOut,
    /// The transport broke.
    Unreachable,
    /// Provably wrong bytes.
    Offence(Offence),
}

impl Observation {
    /// Whether it says that the peer did not deliver, without proving anything.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Short | Self::TimedOut | Self::Unreachable)
    }
}

/// The memory of who failed lately.
#[derive(Clone, Debug, Default)]
pub struct Blame {
    failed: BTreeMap<PeerId, Moment>,
    suspect_ourselves: bool,
}

impl Blame {
    /// Notes what happened with `peer`, of `connected` peers. Returns what may be reported to the peer book; `None`
    /// while the failures are likelier ours.
    pub fn judge(
        &mut self,
        now: Moment,
        peer: PeerId,
        what: Observation,
        connected: usize,
    ) -> Option<Observation> {
        match what {
            Observation::Served { .. } => {
                self.failed.clear();
                self.suspect_ourselves = false;
            }
            Observation::TimedOut | Observation::Unreachable => {
                self.failed.insert(peer, now);
            }
            _ => {}
        }
        self.refresh(now, connected);
        (!(self.suspect_ourselves && what.is_failure())).then_some(what)
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
    fn one_late_peer_among_many_is_reported() {
        let mut blame = Blame::default();
        assert_eq!(blame.judge(at(0), peer(1), Observation::TimedOut, 4), Some(Observation::TimedOut));
        assert_eq!(blame.judge(at(1), peer(1), Observation::TimedOut, 4), Some(Observation::TimedOut));
        assert!(!blame.suspects_ourselves());
    }

    #[test]
    fn when_most_peers_fail_at_once_we_suspect_ourselves_until_somebody_serves() {
        let mut blame = Blame::default();
        for n in 1..=2 {
            assert!(blame.judge(at(0), peer(n), Observation::Unreachable, 5).is_some());
        }
        assert_eq!(blame.judge(at(1), peer(3), Observation::TimedOut, 5), None, "three of five");
        assert_eq!(blame.judge(at(1), peer(4), Observation::Short, 5), None);
        assert_eq!(blame.judge(at(2), peer(4), SERVED, 5), Some(SERVED));
        assert!(!blame.suspects_ourselves());
        assert!(blame.judge(at(3), peer(3), Observation::TimedOut, 5).is_some());
    }

    #[test]
    fn half_of_the_peers_is_not_most_of_them() {
        let mut blame = Blame::default();
        for n in 1..=3 {
            assert!(blame.judge(at(0), peer(n), Observation::TimedOut, 6).is_some());
        }
        assert!(!blame.suspects_ourselves());
    }

    #[test]
    fn two_peers_are_no_pattern() {
        let mut blame = Blame::default();
        assert!(blame.judge(at(0), peer(1), Observation::TimedOut, 2).is_some());
        assert!(blame.judge(at(0), peer(2), Observation::TimedOut, 2).is_some());
    }

    #[test]
    fn suspicion_ends_with_time() {
        let mut blame = Blame::default();
        for n in 1..=3 {
            blame.judge(at(0), peer(n), Observation::TimedOut, 3);
        }
        assert!(blame.suspects_ourselves());
        blame.refresh(at(15), 3);
        assert!(!blame.suspects_ourselves());
    }

    #[test]
    fn what_is_provable_or_polite_is_always_reported() {
        let mut blame = Blame::default();
        for n in 1..=3 {
            blame.judge(at(0), peer(n), Observation::TimedOut, 3);
        }
        let offence = Observation::Offence(Offence::BadBody);
        assert_eq!(blame.judge(at(0), peer(1), offence, 3), Some(offence));
        let refused = Observation::Refused { retry_after: Duration::from_secs(1) };
        assert_eq!(blame.judge(at(0), peer(1), refused, 3), Some(refused));
    }

    #[test]
    fn a_fault_says_what_happened() {
        assert_eq!(
            Fault::Peer(Offence::BadBody).to_string(),
            "the peer served a body that does not belong to its header"
        );
        for offence in [Offence::Malformed, Offence::Unrequested, Offence::BadHeader, Offence::BadCertificate]
        {
            assert!(!offence.to_string().is_empty());
        }
    }
}
