//! What the machine is told, and what it wants: its only door.

use alys_chain::BlockRef;
use alys_peers::Observation;
use alys_wire::PeerId;

use crate::event::{LeaseEnd, LeaseId};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection to this peer is up.
    PeerConnected {
        /// The peer.
        peer: PeerId,
    },
    /// The last connection to this peer is gone. The shell ends its leases.
    PeerDisconnected {
        /// The peer.
        peer: PeerId,
    },
    /// The final blocks whose states a peer offers, their proofs verified. Ends the lease.
    Offered {
        /// The lease.
        lease: LeaseId,
        /// The blocks.
        blocks: Vec<BlockRef>,
    },
    /// The sums are those of the state root, and durable, and nothing of another state is staged any more. Ends the lease.
    SumsStored {
        /// The lease.
        lease: LeaseId,
    },
    /// A bucket is proven and durable. Ends the lease.
    BucketStored {
        /// The lease.
        lease: LeaseId,
    },
    /// Bytes came for this lease.
    Progress {
        /// The lease.
        lease: LeaseId,
    },
    /// The lease ended without what it was for.
    Ended {
        /// The lease.
        lease: LeaseId,
        /// How.
        end: LeaseEnd,
    },
    /// The state is the node's own now.
    Installed,
    /// It could not be made so now; the same is tried again after a while.
    InstallFailed,
    /// What is staged is not this state: it is fetched anew.
    StagedWrong,
    /// Each second, and when something may be due.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask what states the peer offers, and verify the proofs. Answer: [`Event::Offered`].
    AskOffers {
        /// The lease.
        lease: LeaseId,
        /// Whom.
        peer: PeerId,
    },
    /// Ask for the sums of this state, check them, and begin to stage it. Answer: [`Event::SumsStored`].
    AskSums {
        /// The lease.
        lease: LeaseId,
        /// Whom.
        peer: PeerId,
        /// The state after which block.
        block: BlockRef,
    },
    /// Ask for a bucket of the state that was begun, check it, and stage it. Answer: [`Event::BucketStored`].
    AskBucket {
        /// The lease.
        lease: LeaseId,
        /// Whom.
        peer: PeerId,
        /// Which.
        bucket: u8,
    },
    /// End this request. No answer is expected.
    Cancel {
        /// The lease.
        lease: LeaseId,
    },
    /// All buckets are staged: make the state this node's own. Answer: [`Event::Installed`],
    /// [`Event::InstallFailed`] or [`Event::StagedWrong`].
    Install,
    /// Nobody offers a state: begin with genesis. Nothing more is wanted afterwards.
    Forgo,
    /// Tell the peer book.
    Observe {
        /// About whom.
        peer: PeerId,
        /// What.
        what: Observation,
    },
    /// Tell people.
    Report(Report),
}

/// What people want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// This state is fetched, with so many servers.
    Chosen {
        /// The state after which block.
        block: BlockRef,
        /// How many offer it.
        servers: usize,
    },
    /// Nobody offers this state any more.
    GivenUp {
        /// The state after which block.
        block: BlockRef,
    },
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The state after which block; `None` while none is chosen.
    pub block: Option<BlockRef>,
    /// How many of the 256 buckets are durable.
    pub buckets: usize,
    /// How many requests are out.
    pub leases: usize,
    /// How many peers offer the state.
    pub servers: usize,
}
