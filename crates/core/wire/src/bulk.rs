//! What is asked and answered on bulk streams.

use alys_chain::{BlockId, CertifiedHeader, Height};

/// What is asked of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The peer's [`Status`].
    Status,
    /// Headers with certificates of the peer's certified chain, ascending from `from`, at most `count`.
    Headers {
        /// The first height wanted.
        from: Height,
        /// How many at most.
        count: u32,
    },
    /// The bodies of these blocks, in this order; one that the peer lacks is answered as missing.
    Bodies {
        /// The blocks.
        ids: Vec<BlockId>,
    },
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
