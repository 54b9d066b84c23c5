//! What the tree answers: what a fact changed, or why it was not taken.

use thiserror::Error;

use crate::block_ref::BlockRef;
use crate::certificate::{Approval, Certificate};
use crate::header::Header;
use crate::ids::BlockId;
use crate::lineage::Lineage;

/// The final block that a tree stands on. Storage keeps it; genesis is the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Anchor {
    /// The final block.
    pub tip: BlockRef,
    /// The lineage of its children: which authority sets must approve them.
    pub lineage: Lineage,
}

impl Anchor {
    /// Where every network begins.
    #[must_use]
    pub const fn genesis(block: BlockId) -> Self {
        Self { tip: BlockRef::genesis(block), lineage: Lineage::GENESIS }
    }
}

/// The way from one block to another: undo, then apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it starts.
    pub from: BlockId,
    /// Where it ends.
    pub to: BlockId,
    /// The blocks to undo, the highest first. Never a final one.
    pub undo: Vec<BlockId>,
    /// The blocks to apply, the lowest first.
    pub apply: Vec<BlockId>,
}

/// Finality has moved up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finalized {
    /// The new final block.
    pub anchor: Anchor,
    /// The blocks that became final, the lowest first; the last one is the new final block.
    pub blocks: Vec<BlockId>,
    /// The blocks that stand beside the final chain and are forgotten.
    pub pruned: Vec<BlockId>,
}

/// Two approvals of one authority for one slot with different blocks. Both are verified: whoever shows them proves the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The one that came first.
    pub first: Approval,
    /// The one that contradicts it.
    pub second: Approval,
}

/// What certifies a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A certificate of all required sets.
    Certificate(Certificate),
    /// A quorum of single approvals of each required set: aggregate them, then insert the certificate and forward it.
    Approvals(Vec<Approval>),
}

/// A block that is certified from now on. It may be final by the same step, and then the tree has forgotten it already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewlyCertified {
    /// The block.
    pub block: BlockId,
    /// Its header.
    pub header: Header,
    /// Its quorum.
    pub proof: Proof,
}

/// What one fact has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Blocks that are certified from now on, each with its proof: forward them at once, and keep them.
    pub certified: Vec<NewlyCertified>,
    /// The head has moved.
    pub head: Option<Route>,
    /// Finality has moved.
    pub finalized: Option<Finalized>,
    /// An authority has contradicted itself.
    pub evidence: Option<Evidence>,
}

impl Changed {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a fact was not taken. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum TreeRefusal {
    /// At or below the final block. Old news: nobody's fault.
    #[error("not above the final block")]
    NotAboveFinal,
    /// A later slot than the final block's, but not on top of it. Uncertified it is worthless; *certified* it means that more members are faulty
    /// than the rule bears, or that the store is of another network: stop and tell the operator.
    #[error("conflicts with the final block")]
    ConflictsWithFinal,
    /// More than one slot ahead of the clock.
    #[error("ahead of the slot clock")]
    Future,
    /// An uncertified block or an approval of a slot that is long over.
    #[error("its slot is long over")]
    Stale,
    /// The author of the slot has made more blocks than are kept.
    #[error("too many blocks for one slot")]
    TooManyBlocks,
    /// The authority has approved more blocks of the slot than are kept.
    #[error("too many approvals of one authority for one slot")]
    TooManyApprovals,
    /// There is no such authority in the set.
    #[error("no such authority")]
    UnknownAuthority,
    /// The height is not the parent's plus one, or the slot not above the parent's: an invalid header.
    #[error("does not fit its parent")]
    BadLink,
    /// The slot or height differs from the header's.
    #[error("slot or height differ from the header's")]
    Mismatch,
    /// The certificate lacks the quorum of a set that the block needs.
    #[error("certificate of the wrong sets")]
    WrongSets,
    /// Too many blocks without a known parent, and this one has the lowest slot.
    #[error("too many blocks without a parent")]
    TooManyLoose,
}
