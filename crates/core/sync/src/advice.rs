//! What should be changed, but not by the node itself: it costs memory, money, or somebody's decision.
//!
//! - **Decides**: the recommendations. **In**: [`Facts`]. **Out**: [`Recommendation`]s. **On failure**: none.

use core::fmt;

use serde::Serialize;

use crate::limit::Limit;

/// What the operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recommendation {
    /// The budget is full, or smaller than what the lines carry, while peers have nothing to do.
    RaiseBudget,
    /// Fewer than three peers can serve.
    AddPeers,
    /// The CPU pool is the limit.
    MoreWorkers,
    /// Execution is the limit.
    FasterCore,
    /// One peer holds the head while others could serve.
    DropSlowPeer,
    /// Commits take most of the importer's time.
    FasterDisk,
    /// Most peers fail at once: the line, the clock or the load of this machine.
    CheckOwnLine,
}

impl fmt::Display for Recommendation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RaiseBudget => "the byte budget is full while peers wait for work: raise sync.budget_bytes",
            Self::AddPeers => {
                "fewer than three peers can serve: add bootnodes or raise network.max_connections"
            }
            Self::MoreWorkers => {
                "verification is the limit: more cores, or raise sync.workers up to their number"
            }
            Self::FasterCore => "execution is the limit: a faster core, as more of them do not help",
            Self::DropSlowPeer => {
                "one peer holds the head for most of the time: disconnect it, or add peers to turn to"
            }
            Self::FasterDisk => "commits are the limit: a disk with faster flushes",
            Self::CheckOwnLine => "most peers fail at once: look at this machine's line and load first",
        })
    }
}

/// What advice rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What limits the rate.
    pub limit: Limit,
    /// Whether the budget kept a peer without work lately.
    pub budget_short: bool,
    /// Whether most peers failed at once.
    pub suspects_ourselves: bool,
}

/// What these facts recommend.
#[must_use]
pub fn advise(facts: &Facts) -> Vec<Recommendation> {
    let by_limit = match facts.limit {
        Limit::TooFewPeers => Some(Recommendation::AddPeers),
        Limit::Verify => Some(Recommendation::MoreWorkers),
        Limit::Execute => Some(Recommendation::FasterCore),
        Limit::Disk => Some(Recommendation::FasterDisk),
        Limit::SlowPeerAtHead => Some(Recommendation::DropSlowPeer),
        _ => None,
    };
    let waits_for_lines = matches!(facts.limit, Limit::Network | Limit::SlowPeerAtHead | Limit::TooFewPeers);
    let budget = (facts.budget_short && waits_for_lines).then_some(Recommendation::RaiseBudget);
    let line = facts.suspects_ourselves.then_some(Recommendation::CheckOwnLine);
    by_limit.into_iter().chain(budget).chain(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Facts = Facts { limit: Limit::Nothing, budget_short: false, suspects_ourselves: false };

    #[test]
    fn advice_follows_the_limit() {
        let one = |limit| advise(&Facts { limit, ..CALM });
        assert!(one(Limit::Nothing).is_empty() && one(Limit::CappedImporter).is_empty());
        assert_eq!(one(Limit::Execute), [Recommendation::FasterCore]);
        assert_eq!(one(Limit::SlowPeerAtHead), [Recommendation::DropSlowPeer]);
        assert_eq!(one(Limit::TooFewPeers), [Recommendation::AddPeers]);
        assert_eq!(one(Limit::Verify), [Recommendation::MoreWorkers]);
        assert_eq!(one(Limit::Disk), [Recommendation::FasterDisk]);
    }

    #[test]
    fn a_full_budget_matters_only_where_the_lines_are_the_limit() {
        let full = Facts { budget_short: true, ..CALM };
        assert!(!advise(&Facts { limit: Limit::Execute, ..full }).contains(&Recommendation::RaiseBudget));
        assert_eq!(advise(&Facts { limit: Limit::Network, ..full }), [Recommendation::RaiseBudget]);
        let all = advise(&Facts { limit: Limit::TooFewPeers, suspects_ourselves: true, ..full });
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|what| !what.to_string().is_empty()));
    }
}
