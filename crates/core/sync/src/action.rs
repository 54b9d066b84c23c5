//! What goes out by the door of the machine: what the shell is to do.

use core::num::NonZeroU32;
use std::sync::Arc;

use alys_chain::{BlockId, CertifiedHeader, Height, Moment};
use alys_peers::Observation;
use alys_wire::PeerId;

use crate::event::{BatchId, LeaseId};
use crate::report::Report;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask for the peer's status.
    RequestStatus {
        /// The lease.
        lease: LeaseId,
        /// Whom to ask.
        peer: PeerId,
        /// When to give up.
        deadline: Moment,
    },
    /// Ask for headers with certificates.
    RequestHeaders {
        /// The lease.
        lease: LeaseId,
        /// Whom to ask.
        peer: PeerId,
        /// The first height.
        from: Height,
        /// How many.
        count: NonZeroU32,
        /// When to give up.
        deadline: Moment,
    },
    /// Ask for bodies.
    RequestBodies {
        /// The lease.
        lease: LeaseId,
        /// Whom to ask.
        peer: PeerId,
        /// Which, in ascending height.
        ids: Vec<BlockId>,
        /// When to give up at the latest. The machine may cancel earlier: for silence, or for want of budget.
        deadline: Moment,
    },
    /// End this request. No answer is expected.
    Cancel {
        /// The lease.
        lease: LeaseId,
    },
    /// Check links and certificates. Answer: [`Event::HeadersVerified`](crate::Event::HeadersVerified).
    VerifyHeaders {
        /// The lease that brought them.
        lease: LeaseId,
        /// The headers, ascending.
        headers: Arc<[CertifiedHeader]>,
    },
    /// Check that the held bodies of these blocks are theirs, and prepare them for import. Answer: [`Event::BodiesVerified`](crate::Event::BodiesVerified).
    VerifyBodies {
        /// The batch.
        batch: BatchId,
        /// The blocks.
        headers: Vec<CertifiedHeader>,
    },
    /// Execute these blocks, in this order, and make them durable. Answer: [`Event::Imported`](crate::Event::Imported) or
    /// [`Event::ImportFailed`](crate::Event::ImportFailed). A block that is durable already counts as imported.
    Import {
        /// The batch.
        batch: BatchId,
        /// The blocks, each the child of the one before; their bodies are held.
        headers: Vec<CertifiedHeader>,
    },
    /// These bodies are not needed any more. Unknown ids are fine.
    Release {
        /// The blocks.
        ids: Vec<BlockId>,
    },
    /// Tell the peer book.
    Observe {
        /// About whom.
        peer: PeerId,
        /// What.
        what: Observation,
    },
    /// Draw a nonce for this round and ask every authority for a signed report of its best certified block. The
    /// nonces of earlier rounds are void.
    AskReports {
        /// The round.
        round: u64,
    },
    /// Tell people: log, status stream, flight recorder.
    Report(Report),
}
