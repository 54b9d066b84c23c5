//! The consensus rule: who may sign what, which block is certified, which is final, which one is the head.
//!
//! Aura's slots are the views and the approvals are the votes: two-phase HotStuff with the slot clock as its pacemaker (compare Gelashvili
//! et al., "Jolteon and Ditto", 2021). In one paragraph: the author of a slot proposes on the certified block with the highest slot that it
//! holds; an authority approves in that slot only, once, and only on a certified parent whose slot is not below its lock (the highest slot
//! among the parents of the blocks that it approved); a quorum of approvals certifies; a block is final, with its ancestors, once its child in
//! the very next slot is certified.
//!
//! - **Decides**: whether this authority may sign ([`vote`]); what is certified, which block is the head, which is final ([`tree`]). Which authority
//!   sets must approve a block is decided by [`crate::lineage`].
//! - **In**: headers, verified certificates and approvals in any order, the slot clock.
//! - **Out**: the signing record to make durable *before* the signature leaves; [`Changed`] after each fact.
//! - **On failure**: a refusal by type. Nothing here checks a signature: who calls has done it.
//!
//! Why it is safe: a final block `b` of slot `s` has a certified child in slot `s + 1`, so a quorum holds locks of `s` or more from then on. A
//! later certificate shares an honest member with that quorum, hence its parent is certified with a slot of `s` or more: by induction it
//! descends from `b`. One certified block a slot follows from one approval a slot. With `n` authorities and quorum `q = ceil(2n/3)` two quorums
//! share an honest member while fewer than `2q - n` are faulty; `n - q` may be silent.

pub mod record;
pub mod tree;
pub mod vote;

pub use record::{RecordError, SigningRecord};
pub use tree::{
    Anchor, Changed, Evidence, Finalized, NewlyCertified, Proof, Route, Tree, TreeRefusal, finalizes,
};
pub use vote::{Proposal, Refusal, SigningState, SlotTime};
