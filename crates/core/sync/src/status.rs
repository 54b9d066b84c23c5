//! What people and programs may know of sync, read from it at any time.

use core::fmt;
use core::time::Duration;

use alys_chain::Height;
use alys_wire::PeerId;
use serde::{Serialize, Serializer};

use crate::mode::Mode;

/// What sync waits for: the answer to "why is nothing happening?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitingFor {
    /// Nothing: everything known is durable.
    Nothing,
    /// A command to start.
    Start,
    /// A command to resume.
    Resume,
    /// Any connected peer.
    Peers,
    /// A peer that proves a recent head, or a quorum of authorities that knows nothing better.
    Proof,
    /// Headers.
    Headers {
        /// From this height on.
        from: Height,
        /// From this peer; `None` if nobody can be asked at the moment.
        peer: Option<PeerId>,
    },
    /// The lowest missing body.
    Body {
        /// Its height.
        height: Height,
        /// From this peer; `None` if nobody can be asked at the moment.
        peer: Option<PeerId>,
    },
    /// The verification of bodies or headers that have arrived.
    Verification,
    /// The importer, at work.
    Import,
    /// The importer, which failed and will be tried again.
    Importer {
        /// Why it failed.
        reason: String,
    },
}

impl fmt::Display for WaitingFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = |f: &mut fmt::Formatter<'_>, peer: &Option<PeerId>| match peer {
            Some(peer) => write!(f, " from {peer:?}"),
            None => f.write_str(", and nobody can be asked at the moment"),
        };
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Start => f.write_str("a command to start"),
            Self::Resume => f.write_str("a command to resume"),
            Self::Peers => f.write_str("peers"),
            Self::Proof => f.write_str("a proven recent head"),
            Self::Headers { from: height, peer } => {
                write!(f, "headers from height {height} on")?;
                from(f, peer)
            }
            Self::Body { height, peer } => {
                write!(f, "the body of height {height}")?;
                from(f, peer)
            }
            Self::Verification => f.write_str("verification"),
            Self::Import => f.write_str("the importer"),
            Self::Importer { reason } => write!(f, "the importer, which fails: {reason}"),
        }
    }
}

/// As people read it: the end of a sentence.
impl Serialize for WaitingFor {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// The state of sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncStatus {
    /// What it does.
    pub mode: Mode,
    /// Whether a command paused it.
    pub paused: bool,
    /// The durable head.
    pub height: Height,
    /// The best proven target; `None` while nobody has proven one.
    pub target: Option<Height>,
    /// Blocks that became durable a second, over the last seconds.
    pub blocks_per_second: u64,
    /// How long the rest takes at this rate; `None` without a rate or a target.
    pub eta: Option<Duration>,
    /// Connected peers.
    pub peers: usize,
    /// Requests in flight.
    pub leases: usize,
    /// Bytes of headers and bodies that are held or reserved.
    pub budget_used: u64,
    /// Of these, bytes of headers.
    pub budget_headers: u64,
    /// Bytes that may be.
    pub budget_total: u64,
    /// What it waits for.
    pub waiting_for: WaitingFor,
    /// Most peers failed at once: the trouble is likelier ours, and no target is given up.
    pub suspects_ourselves: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_as_the_end_of_a_sentence() {
        let peer = PeerId::from_bytes(&[7; 8]);
        let all = [
            (WaitingFor::Nothing, "nothing"),
            (WaitingFor::Start, "a command to start"),
            (WaitingFor::Resume, "a command to resume"),
            (WaitingFor::Peers, "peers"),
            (WaitingFor::Proof, "a proven recent head"),
            (WaitingFor::Verification, "verification"),
            (WaitingFor::Import, "the importer"),
            (WaitingFor::Importer { reason: "disk full".into() }, "the importer, which fails: disk full"),
            (
                WaitingFor::Body { height: Height(3), peer: None },
                "the body of height 3, and nobody can be asked at the moment",
            ),
        ];
        for (reason, text) in all {
            assert_eq!(reason.to_string(), text);
        }
        let headers = WaitingFor::Headers { from: Height(9), peer }.to_string();
        assert!(headers.starts_with("headers from height 9 on from .."), "{headers}");
    }
}
