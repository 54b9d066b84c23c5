//! What is gossiped, and under which topic.

/// The gossip topics. The full name carries the genesis: `/alys/<genesis id, hex>/<name>/1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Proposals: a block (or, above the inline limit, its header) with its parent's certificate and its author's approval.
    Blocks,
    /// Single approvals.
    Approvals,
    /// Certificates, forwarded at once, one a block id.
    Certificates,
    /// Signed transactions.
    Transactions,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Blocks, Self::Approvals, Self::Certificates, Self::Transactions];
}
