//! Why the rate is what it is, in one value.
//!
//! - **Decides**: nothing; what is recommended follows from the facts by the rules in [`advise`](crate::advice).
//! - **In**: the machine, at any time. **Out**: [`Explain`], which serialises: field names are part of the interface of the node.

use core::time::Duration;

use alys_chain::{AuthorityIndex, Height};
use alys_wire::PeerId;
use serde::Serialize;

use crate::account::Spent;
use crate::advice::Recommendation;
use crate::hedge::Hedged;
use crate::limit::Limit;
use crate::mode::Mode;
use crate::recorder::Entry;
use crate::status::WaitingFor;
use crate::terms::Terms;

/// Everything that explains the present rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explain {
    /// What sync does.
    pub mode: Mode,
    /// The durable height.
    pub height: Height,
    /// The best proven target.
    pub target: Option<Height>,
    /// Blocks that became durable a second, over the last seconds.
    pub blocks_per_second: u64,
    /// What it waits for at this moment.
    pub waiting_for: WaitingFor,
    /// The stage that limits the rate, over the last ten seconds.
    pub limit: Limit,
    /// Where the time of these seconds went.
    pub spent: Spent,
    /// Who was waited for the longest in these seconds.
    pub slowest: Option<Waited>,
    /// Who holds the head of the line now.
    pub head: Option<Head>,
    /// The connected peers.
    pub peers: Vec<PeerLine>,
    /// Bytes in memory.
    pub budget: BudgetUse,
    /// What was asked of a second peer, and what of it came twice.
    pub hedged: Hedged,
    /// The bounds that requests are made by, as they are now.
    pub tuning: Tuning,
    /// What should be changed, but does not change by itself.
    pub recommendations: Vec<Recommendation>,
    /// The last reports, the oldest first.
    pub recorder: Vec<Entry>,
}

/// A peer, and how long it was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Waited {
    /// Who.
    pub peer: PeerId,
    /// How long.
    pub waited: Duration,
}

/// The lowest block that is not here, while it is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Head {
    /// Its height.
    pub height: Height,
    /// Who was asked for it first.
    pub peer: PeerId,
    /// How long ago.
    pub held_for: Duration,
    /// Who was asked for it as well.
    pub hedged_with: Option<PeerId>,
}

/// A connected peer, as sync sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PeerLine {
    /// Who.
    pub peer: PeerId,
    /// Which authority it has proven to be.
    pub authority: Option<AuthorityIndex>,
    /// The best height that it has proven.
    pub proven: Option<Height>,
    /// Estimated bytes a second.
    pub bandwidth: u64,
    /// Estimated round trip.
    pub rtt: Duration,
    /// Answers that the estimate rests on.
    pub samples: u32,
    /// The terms by which it is asked.
    pub terms: Terms,
    /// Requests in flight.
    pub leases: usize,
    /// Bytes of bodies that it owes us.
    pub owed: u64,
    /// Requests in a row that came to nothing. From three on it is asked only for what nobody better can serve.
    pub strikes: u32,
    /// How long it rests from now on; zero if it may be asked.
    pub rests_for: Duration,
}

/// How much of the budget is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetUse {
    /// Bytes in use.
    pub used: u64,
    /// Of these, bytes of headers.
    pub headers: u64,
    /// Bytes that may be.
    pub total: u64,
}

/// The bounds that requests are made by: within them the [`Terms`] of each peer follow its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Tuning {
    /// How long one chunk should take to transfer.
    pub chunk_time: Duration,
    /// The most bytes of a chunk.
    pub most_chunk_bytes: u64,
    /// The most requests for bodies in flight with one peer.
    pub most_in_flight: usize,
    /// How many times the expected time a request may take.
    pub patience: u32,
    /// The least and the most time that a request may take.
    pub timeouts: (Duration, Duration),
    /// A peer that sends fewer bytes a second loses its requests.
    pub least_bandwidth: u64,
    /// How far the skeleton may run ahead of what is durable, in blocks.
    pub skeleton_ahead: u64,
    /// How far bodies are fetched ahead of it, in blocks: as many as are executed in some seconds, and no more than the skeleton.
    pub bodies_ahead: u64,
}
