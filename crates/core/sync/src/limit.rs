//! Which stage limits the rate.
//!
//! - **Decides**: the verdict, from where the time of the last seconds went. Whatever the importer waits for is the limit; where it does not wait,
//!   it is the limit itself.
//! - **In**: [`Facts`]. **Out**: a [`Limit`].
//! - **On failure**: none; without facts nothing is the limit.

use core::fmt;
use core::time::Duration;

use alys_wire::PeerId;
use serde::Serialize;

use crate::account::Spent;

/// From this share of the time on, in percent, the importer was the limit: the pipeline hands it the next batch at once, so the rest is waiting.
const BUSY_PERCENT: u32 = 75;
/// With fewer peers that can serve, there is nobody to turn to when one is slow, and their lines are the limit.
const FEW_PEERS: usize = 3;
/// From this share of the network's time on, in percent, the one peer that was waited for is the reason, and not the network.
const ONE_PEER_PERCENT: u32 = 50;

/// What limits the rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Nothing is to be done, or sync does not run.
    #[default]
    Nothing,
    /// The lines: every peer that can serve has work.
    Network,
    /// The lines, of one or two peers only.
    TooFewPeers,
    /// One peer, which everything waits for, while others could serve.
    SlowPeerAtHead,
    /// The CPU pool, which checks headers and bodies.
    Verify,
    /// Execution.
    Execute,
    /// The disk, which commits.
    Disk,
    /// The importer, but neither execution nor the disk: it is held back, or busy for others.
    CappedImporter,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Network => "network",
            Self::TooFewPeers => "too few peers",
            Self::SlowPeerAtHead => "slow peer at the head",
            Self::Verify => "verify",
            Self::Execute => "execute",
            Self::Disk => "disk",
            Self::CappedImporter => "capped importer",
        })
    }
}

/// What the verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Where the time went.
    pub spent: Spent,
    /// Of the time of the import, what belongs to a batch that is out: where it went is not told yet.
    pub untold: Duration,
    /// Who was waited for the longest, and how long.
    pub slowest: Option<(PeerId, Duration)>,
    /// How many peers can serve what is wanted.
    pub able: usize,
}

/// The limit that these facts mean.
#[must_use]
pub fn decide(facts: &Facts) -> Limit {
    let Spent { network, verify, import, execute, commit, .. } = facts.spent;
    let working = network + verify + import;
    if working.is_zero() {
        Limit::Nothing
    } else if import * 100 >= working * BUSY_PERCENT {
        importer(import.saturating_sub(facts.untold), execute, commit)
    } else if verify > network {
        Limit::Verify
    } else {
        lines(facts)
    }
}

/// Which part of it. Before the first batch has told, execution is assumed: it is the larger part of an importer that nothing holds up.
fn importer(import: Duration, execute: Duration, commit: Duration) -> Limit {
    let elsewhere = import.saturating_sub(execute + commit);
    if elsewhere > execute.max(commit) {
        Limit::CappedImporter
    } else if commit > execute {
        Limit::Disk
    } else {
        Limit::Execute
    }
}

fn lines(facts: &Facts) -> Limit {
    let by_one = facts.slowest.map_or(Duration::ZERO, |(_, waited)| waited);
    if facts.able < FEW_PEERS {
        Limit::TooFewPeers
    } else if by_one * 100 >= facts.spent.network * ONE_PEER_PERCENT {
        Limit::SlowPeerAtHead
    } else {
        Limit::Network
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Network, verify, import, execute, commit.
    fn spent(times: [u64; 5]) -> Facts {
        let [network, verify, import, execute, commit] = times.map(ms);
        let spent = Spent { network, verify, import, execute, commit, ..Spent::default() };
        Facts { spent, untold: Duration::ZERO, slowest: None, able: 8 }
    }

    #[test]
    fn the_stage_that_the_importer_waits_for_is_the_limit() {
        let table = [
            ([0, 0, 0, 0, 0], Limit::Nothing),
            ([900, 50, 50, 40, 10], Limit::Network),
            ([100, 800, 100, 90, 10], Limit::Verify),
            ([100, 100, 800, 600, 100], Limit::Execute),
            ([100, 100, 800, 100, 600], Limit::Disk),
            ([100, 100, 800, 100, 100], Limit::CappedImporter),
            ([200, 60, 740, 700, 40], Limit::Network),
            ([0, 250, 750, 700, 50], Limit::Execute),
            ([0, 0, 800, 800, 700], Limit::Execute),
        ];
        for (times, limit) in table {
            assert_eq!(decide(&spent(times)), limit, "{times:?}");
        }
    }

    #[test]
    fn a_batch_that_is_out_says_nothing_of_the_importer() {
        let slow_disk = spent([0, 0, 9_000, 300, 1_000]);
        assert_eq!(decide(&slow_disk), Limit::CappedImporter);
        assert_eq!(decide(&Facts { untold: ms(7_600), ..slow_disk }), Limit::Disk);
        let first = spent([0, 0, 500, 0, 0]);
        assert_eq!(decide(&Facts { untold: ms(500), ..first }), Limit::Execute);
    }

    #[test]
    fn one_peer_among_many_is_told_from_a_slow_network_and_from_too_few_peers() {
        let slow = PeerId::from_bytes(&[1]).map(|peer| (peer, ms(500)));
        let facts = Facts { slowest: slow, ..spent([1_000, 0, 0, 0, 0]) };
        assert_eq!(decide(&facts), Limit::SlowPeerAtHead);
        assert_eq!(decide(&Facts { able: 3, ..facts }), Limit::SlowPeerAtHead);
        assert_eq!(decide(&Facts { able: 2, ..facts }), Limit::TooFewPeers);
        let less = slow.map(|(peer, _)| (peer, ms(499)));
        assert_eq!(decide(&Facts { slowest: less, ..facts }), Limit::Network);
    }

    #[test]
    fn every_limit_has_a_name_of_its_own() {
        use Limit::*;
        let all = [Nothing, Network, TooFewPeers, SlowPeerAtHead, Verify, Execute, Disk, CappedImporter];
        let names: std::collections::BTreeSet<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), all.len());
    }
}
