//! What is asked and answered on bulk streams: one long-lived stream a serving peer, many requests on it, the next asked before the
//! current one is answered.
//!
//! The asker writes request frames, the server response frames; both carry the asker's number for the request. The answer to a request is
//! any number of frames, ended by exactly one [`Response::End`] or [`Response::Refused`]. A cancelled request is still ended, by what
//! was served until then.

mod frame;
mod payload;

use core::time::Duration;

use alys_chain::{BlockId, Body, CertifiedHeader, FinalityProof, Height, Report};
use bytes::Bytes;

use crate::limits::NONCE_BYTES;

pub use frame::{Frame, FrameDecoder, FrameKind};

/// The asker's number for a request: unique among the requests of one stream that are not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What is asked of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The peer's [`Status`].
    Status,
    /// Headers with certificates of the peer's certified chain, ascending from `from`, at most `count`.
    Headers {
        /// The first height wanted. Genesis has no certificate and is not served.
        from: Height,
        /// How many at most: 1 to [`MAX_HEADERS_PER_REQUEST`](crate::limits::MAX_HEADERS_PER_REQUEST).
        count: u32,
    },
    /// The bodies of these blocks, in this order; one that the peer lacks is answered as missing.
    Bodies {
        /// The blocks: 1 to [`MAX_BODIES_PER_REQUEST`](crate::limits::MAX_BODIES_PER_REQUEST).
        ids: Vec<BlockId>,
    },
    /// The claim that binds the peer's id to its authority key, signed over this nonce (see `alys_chain::claim`).
    Claim {
        /// Drawn freshly for each request, so that no old claim can be shown again.
        nonce: [u8; NONCE_BYTES],
    },
    /// The peer's signed report on the best certified block that it knows, over this nonce (see `alys_chain::report`).
    Report {
        /// Drawn freshly for each round of requests, so that no old report can be shown again.
        nonce: [u8; NONCE_BYTES],
    },
    /// The states that the peer offers, each by the proof that its block is final.
    Snapshots,
    /// The lattice hashes of all buckets of the state after this block, which the peer offers.
    StateSums {
        /// The block.
        block: BlockId,
    },
    /// All accounts of one bucket of the state after this block, addresses ascending.
    Accounts {
        /// The block.
        block: BlockId,
        /// The bucket.
        bucket: u8,
    },
}

/// What the asker writes to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestFrame {
    /// A new request.
    Ask {
        /// Its number.
        id: RequestId,
        /// What is wanted.
        request: Request,
    },
    /// The answer to this request is not wanted any more; unknown and ended ones are passed over.
    Cancel {
        /// The request.
        id: RequestId,
    },
}

/// What the server writes to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseFrame {
    /// The request that this belongs to.
    pub id: RequestId,
    /// The piece of the answer.
    pub response: Response,
}

/// One piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Headers`], one a frame, so that checking starts with the first.
    Header(Box<CertifiedHeader>),
    /// To [`Request::Bodies`], one a frame.
    Body {
        /// The block.
        block: BlockId,
        /// Its body, as stored. Whether it belongs to the block is for the receiver to check.
        body: Body,
    },
    /// To [`Request::Bodies`]: the server does not have this one.
    Missing {
        /// The block.
        block: BlockId,
    },
    /// To [`Request::Claim`]: the encoded claim.
    Claim(Bytes),
    /// To [`Request::Report`]. Its signature is for the receiver to check.
    Report(Report),
    /// To [`Request::Snapshots`], one a frame, the newest first.
    Snapshot(Box<FinalityProof>),
    /// To [`Request::StateSums`]: exactly [`STATE_SUMS_BYTES`](crate::limits::STATE_SUMS_BYTES), bucket after bucket. Whether the header's state root
    /// is over these is for the receiver to check.
    StateSums(Bytes),
    /// To [`Request::Accounts`]: the next ones, at least one, each an address and its account
    /// ([`ACCOUNT_BYTES`](crate::limits::ACCOUNT_BYTES)). Whether they add up to the bucket is for the receiver to check.
    Accounts(Bytes),
    /// The end of the answer. Fewer items than asked mean nothing but that these were served.
    End {
        /// How many items (one a frame, but for missing ones) were served.
        served: u32,
    },
    /// The request is not answered, or not to its end.
    Refused {
        /// Why.
        reason: Refusal,
        /// When asking again makes sense.
        retry_after: RetryAfter,
    },
}

impl Response {
    /// Whether the answer ends with this piece.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::End { .. } | Self::Refused { .. })
    }
}

/// A wait in milliseconds, as refusals carry it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetryAfter(pub u32);

impl RetryAfter {
    /// The wait, cut to [`MAX_RETRY_AFTER`](crate::limits::MAX_RETRY_AFTER).
    #[must_use]
    pub fn wait(self) -> Duration {
        Duration::from_millis(self.0.into()).min(crate::limits::MAX_RETRY_AFTER)
    }
}

/// Why a request is refused. None of these is held against anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The server's own work comes first.
    Busy,
    /// The asker has used up what it may ask for at present.
    RateLimited,
    /// The server cannot serve this at all: it is no authority, or has nothing to show.
    Unavailable,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Busy, Self::RateLimited, Self::Unavailable];

    /// The byte on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Busy => 1,
            Self::RateLimited => 2,
            Self::Unavailable => 3,
        }
    }
}

/// What a peer says of itself. Only what carries proof is believed: the header with its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The certified header with the highest slot that the peer holds; `None` while it holds genesis only.
    pub head: Option<CertifiedHeader>,
    /// The height of its last final block.
    pub finalized: Height,
    /// The lowest height whose body it can serve.
    pub earliest: Height,
}
