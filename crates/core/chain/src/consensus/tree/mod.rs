//! The blocks above the final one: which are certified, which is the head, which becomes final.
//!
//! - **Owns**: headers, certificates and approvals above finality; at finality it forgets what lies below or beside.
//! - **In**: facts in any order, already verified (signatures, authors, slots against the clock where a quorum vouches for them); the clock's
//!   current slot, to bound what no quorum vouches for.
//! - **Out**: [`Changed`]; the head (on which this node proposes); ways between blocks, for storage.
//! - **On failure**: a [`TreeRefusal`], and nothing has changed. Memory is bounded where a single member can fill it: [`BLOCKS_PER_SLOT`]
//!   uncertified blocks a slot, approvals and uncertified blocks of the last 32 slots, 1,024 blocks without ancestors. Certified blocks
//!   above finality have no bound: there is one a slot at most, and each costs a quorum.
//!
//! Within the bounds the order of arrival decides nothing: the same facts give the same head and the same final block.

mod changed;
mod loose;
mod nodes;
#[cfg(test)]
mod tests;
mod votes;

pub use changed::{Anchor, Changed, Evidence, Finalized, NewlyCertified, Proof, Route, TreeRefusal};

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::block_ref::BlockRef;
use crate::certificate::{Approval, Certificate, CertifiedHeader};
use crate::header::Header;
use crate::ids::{BlockId, Height, SetId, Slot};
use crate::lineage::Required;
use crate::schedule::{AuthoritySet, Schedule};
use loose::{Loose, may_stand_on};
use nodes::{Node, Nodes};
use votes::{SLOTS, Votes, in_window};

/// Uncertified blocks kept of one slot. An honest author makes one, and two prove a fault; a few more cost nothing and let a node wait for the one that
/// gets certified. Further ones come back with their certificate, if they ever get one.
pub const BLOCKS_PER_SLOT: usize = 4;

/// Whether a certified block of slot `child` makes its parent, of slot `parent`, final: only in the very next slot. With a gap between them
/// another block could have been certified in it, on an older parent, and be the base of a chain of its own.
#[must_use]
pub fn finalizes(parent: Slot, child: Slot) -> bool {
    parent.next() == Some(child)
}

/// The block tree above the final block.
#[derive(Clone, Debug)]
pub struct Tree {
    schedule: Arc<Schedule>,
    nodes: Nodes,
    loose: Loose,
    votes: Votes,
}

impl Tree {
    /// A tree that stands on `anchor`, with nothing above it. After a start the caller inserts what storage holds above finality.
    pub fn new(anchor: Anchor, schedule: Arc<Schedule>) -> Self {
        Self { schedule, nodes: Nodes::new(anchor), loose: Loose::default(), votes: Votes::default() }
    }

    /// A valid header, proposed in its slot. `now` is the current slot.
    ///
    /// # Errors
    /// When it cannot stand on the final block, does not fit its parent, or exceeds a bound.
    pub fn insert_header(&mut self, header: &Header, now: Slot) -> Result<Changed, TreeRefusal> {
        let block = header.id();
        self.forget_stale(now);
        if self.header(block).is_some() || block == self.nodes.anchor.tip.id {
            return Ok(Changed::default());
        }
        let certified = self.loose.get(block).is_some_and(|b| !b.certificates.is_empty());
        if !certified {
            in_window(header.slot, now)?;
            let kept = self.nodes.uncertified_in(header.slot) + self.loose.uncertified_in(header.slot);
            if kept >= BLOCKS_PER_SLOT {
                return Err(TreeRefusal::TooManyBlocks);
            }
        }
        self.add_header(block, header, None)
    }

    /// A verified certificate, with or without its header being here. Several of one block are the same fact.
    ///
    /// # Errors
    /// When it is not above the final block, contradicts the header, or is not of the sets that the block needs.
    pub fn insert_certificate(&mut self, certificate: &Certificate) -> Result<Changed, TreeRefusal> {
        let block = certificate.block;
        if block == self.nodes.anchor.tip.id {
            return Ok(Changed::default());
        }
        self.above_final(certificate.slot, certificate.height)?;
        let known = self.header(block).map(|h| (h.slot, h.height));
        if known.is_some_and(|place| place != (certificate.slot, certificate.height)) {
            return Err(TreeRefusal::Mismatch);
        }
        if self.nodes.get(block).is_none() {
            self.loose.insert_certificate(certificate)?;
            return Ok(Changed::default());
        }
        if !self.completes(certificate) {
            return Err(TreeRefusal::WrongSets);
        }
        let before = self.head();
        let news = self.settle(block, Some(*certificate));
        Ok(self.conclude(before, Vec::from_iter(news.then_some(block))))
    }

    /// A header and its certificate, as sync and storage bring them: never too old, never one too many of its slot.
    ///
    /// # Errors
    /// As [`Self::insert_certificate`] and, apart from the bounds of uncertified blocks, [`Self::insert_header`].
    pub fn insert_certified(&mut self, certified: &CertifiedHeader) -> Result<Changed, TreeRefusal> {
        let (header, certificate) = (&certified.header, &certified.certificate);
        if (header.id(), header.slot, header.height)
            != (certificate.block, certificate.slot, certificate.height)
        {
            return Err(TreeRefusal::Mismatch);
        }
        let block = certificate.block;
        if self.header(block).is_some() || block == self.nodes.anchor.tip.id {
            return self.insert_certificate(certificate);
        }
        self.add_header(block, header, Some(certificate))
    }

    /// A verified approval, before or after its block. `now` is the current slot.
    ///
    /// # Errors
    /// When its slot is final, long over or ahead, its authority unknown, or when this authority has approved too much in this slot.
    pub fn insert_approval(&mut self, approval: &Approval, now: Slot) -> Result<Changed, TreeRefusal> {
        self.forget_stale(now);
        if approval.slot <= self.nodes.anchor.tip.slot {
            return Err(TreeRefusal::NotAboveFinal);
        }
        in_window(approval.slot, now)?;
        if self.schedule.set(approval.set).and_then(|set| set.key(approval.authority)).is_none() {
            return Err(TreeRefusal::UnknownAuthority);
        }
        let evidence = self.votes.insert(approval)?;
        let before = self.head();
        let news = self.settle(approval.block, None);
        Ok(Changed { evidence, ..self.conclude(before, Vec::from_iter(news.then_some(approval.block))) })
    }

    /// The final block.
    pub fn anchor(&self) -> Anchor {
        self.nodes.anchor
    }

    /// The head: the certified block with the highest slot that descends from the final one. On this one the author of a slot proposes.
    pub fn head(&self) -> BlockRef {
        self.nodes.head()
    }

    /// The header of a block above the final one, linked to it or not.
    pub fn header(&self, block: BlockId) -> Option<&Header> {
        let loose = || self.loose.get(block).and_then(|b| b.header.as_ref());
        self.nodes.get(block).map(|node| &node.header).or_else(loose)
    }

    /// Whether a block is certified and stands on the final one (the final one itself does).
    pub fn is_certified(&self, block: BlockId) -> bool {
        block == self.nodes.anchor.tip.id || self.nodes.get(block).is_some_and(|node| node.certified)
    }

    /// The slot of a certified parent, as the voting rule asks for it.
    pub fn certified_slot(&self, block: BlockId) -> Option<Slot> {
        self.is_certified(block).then(|| self.nodes.place(block).map(|at| at.tip.slot)).flatten()
    }

    /// The certificate of a block above the final one, if one was inserted.
    pub fn certificate(&self, block: BlockId) -> Option<&Certificate> {
        self.nodes.get(block).and_then(|node| node.certificate.as_ref())
    }

    /// The sets that must approve a linked block.
    pub fn required(&self, block: BlockId) -> Option<Required> {
        self.nodes.get(block).map(|node| node.required)
    }

    /// The sets that must approve a block of `slot` on `parent`, if the parent is linked.
    pub fn required_on(&self, parent: BlockId, slot: Slot) -> Option<Required> {
        self.nodes.place(parent).map(|at| at.lineage.required(&self.schedule, slot))
    }

    /// The approvals of a block by members of `set`, ascending by authority: what a certificate is made of.
    pub fn approvals(&self, block: BlockId, set: SetId) -> Vec<Approval> {
        let Some(header) = self.header(block) else { return Vec::new() };
        self.votes.of((header.slot, header.height, block), set).copied().collect()
    }

    /// From `block` down to, not including, the final one; `None` for a block that does not stand on it.
    pub fn ancestors(&self, block: BlockId) -> Option<Vec<BlockId>> {
        self.nodes.down_from(block)
    }

    /// The way between two blocks that stand on the final one.
    pub fn route(&self, from: BlockId, to: BlockId) -> Option<Route> {
        self.nodes.route(from, to)
    }

    /// Blocks that a quorum vouches for and that are not here: fetch them.
    pub fn missing(&self) -> BTreeSet<BlockId> {
        self.loose.missing().into_iter().filter(|id| self.nodes.place(*id).is_none()).collect()
    }

    /// How much is kept: linked blocks, loose blocks, approvals.
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.nodes.len(), self.loose.len(), self.votes.len())
    }

    fn above_final(&self, slot: Slot, height: Height) -> Result<(), TreeRefusal> {
        let last = self.nodes.anchor.tip;
        if slot <= last.slot {
            return Err(TreeRefusal::NotAboveFinal);
        }
        if height <= last.height { Err(TreeRefusal::ConflictsWithFinal) } else { Ok(()) }
    }

    /// Links a header to its parent, with all that waited for it, or keeps it until the parent comes.
    fn add_header(
        &mut self,
        block: BlockId,
        header: &Header,
        certificate: Option<&Certificate>,
    ) -> Result<Changed, TreeRefusal> {
        self.above_final(header.slot, header.height)?;
        self.fits(header)?;
        if self.nodes.place(header.parent).is_none() {
            if let Some(certificate) = certificate {
                self.loose.insert_certificate(certificate)?;
            }
            self.loose.insert_header(block, header)?;
            return Ok(Changed::default());
        }
        let before = self.head();
        let mut certified = Vec::new();
        let mut ready = vec![(block, *header)];
        while let Some((block, header)) = ready.pop() {
            let mut known = self.loose.take(block).certificates;
            known.extend(certificate.filter(|c| c.block == block));
            if !self.link(block, &header) {
                continue;
            }
            let waiting = self.loose.children_of(block).into_iter();
            ready.extend(waiting.filter_map(|id| Some((id, self.loose.get(id)?.header?))));
            let complete = known.into_iter().find(|c| self.completes(c));
            certified.extend(self.settle(block, complete).then_some(block));
        }
        Ok(self.conclude(before, certified))
    }

    /// Whether a header fits its parent, if that is linked, and can stand on the final block at all.
    fn fits(&self, header: &Header) -> Result<(), TreeRefusal> {
        match self.nodes.place(header.parent) {
            Some(at) if Some(header.height) != at.tip.height.next() || header.slot <= at.tip.slot => {
                Err(TreeRefusal::BadLink)
            }
            None if !may_stand_on(header, self.nodes.anchor.tip) => Err(TreeRefusal::ConflictsWithFinal),
            _ => Ok(()),
        }
    }

    /// Adds a block on a linked parent; `false` if it does not fit.
    fn link(&mut self, block: BlockId, header: &Header) -> bool {
        let Some(parent) = self.nodes.place(header.parent).filter(|_| self.fits(header).is_ok()) else {
            return false;
        };
        let required = parent.lineage.required(&self.schedule, header.slot);
        let lineage = parent.lineage.advance(header);
        self.nodes
            .insert(block, Node { header: *header, lineage, required, certified: false, certificate: None });
        true
    }

    /// Whether a certificate certifies its block, which is linked: same place, the quorums of all required sets.
    fn completes(&self, certificate: &Certificate) -> bool {
        self.nodes.get(certificate.block).is_some_and(|node| {
            let same_place = (node.header.slot, node.header.height) == (certificate.slot, certificate.height);
            let joint = certificate.joint.map(|quorum| quorum.set);
            same_place && certificate.quorum.set == node.required.own && joint == node.required.old
        })
    }

    /// Certifies a linked block if a complete certificate or enough approvals are here; whether that is news.
    fn settle(&mut self, block: BlockId, complete: Option<Certificate>) -> bool {
        let Some(node) = self.nodes.get_mut(block) else { return false };
        node.certificate = node.certificate.or(complete);
        let certified = !node.certified && (complete.is_some() || self.has_quorum(block));
        if certified {
            self.nodes.certify(block);
        }
        certified
    }

    fn has_quorum(&self, block: BlockId) -> bool {
        self.nodes.get(block).is_some_and(|node| {
            let name = (node.header.slot, node.header.height, block);
            node.required.sets().all(|set| {
                let quorum = self.schedule.set(set).map(AuthoritySet::quorum);
                quorum.is_some_and(|quorum| quorum.reached_by(self.votes.of(name, set).count()))
            })
        })
    }

    /// Moves finality and the head after blocks were certified, and says so. The way of the head is found before anything is forgotten.
    fn conclude(&mut self, before: BlockRef, certified: Vec<BlockId>) -> Changed {
        let last_final =
            certified.iter().filter_map(|block| self.made_final_by(*block)).max_by_key(|tip| tip.slot);
        let root = last_final.unwrap_or(self.nodes.anchor.tip);
        let head = self.nodes.highest_on(root);
        let certified = certified.into_iter().filter_map(|block| self.with_proof(block)).collect();
        let mut changed = Changed { certified, ..Changed::default() };
        if head.id != before.id {
            changed.head = self.nodes.route(before.id, head.id);
        }
        if let Some((blocks, pruned)) = last_final.and_then(|tip| self.nodes.finalize(tip.id)) {
            let anchor = self.nodes.anchor;
            self.votes.forget_final(anchor.tip.slot);
            self.loose.prune(anchor.tip, Slot::ZERO);
            changed.finalized = Some(Finalized { anchor, blocks, pruned });
        }
        changed
    }

    fn with_proof(&self, block: BlockId) -> Option<NewlyCertified> {
        let node = self.nodes.get(block)?;
        let approvals = || node.required.sets().flat_map(|set| self.approvals(block, set)).collect();
        let proof = node.certificate.map_or_else(|| Proof::Approvals(approvals()), Proof::Certificate);
        Some(NewlyCertified { block, header: node.header, proof })
    }

    /// The parent of a certified block, if that becomes final by it.
    fn made_final_by(&self, block: BlockId) -> Option<BlockRef> {
        let header = &self.nodes.get(block)?.header;
        let parent = self.nodes.place(header.parent)?.tip;
        (parent != self.nodes.anchor.tip && finalizes(parent.slot, header.slot)).then_some(parent)
    }

    /// Forgets what no quorum vouches for once its slot is long over.
    fn forget_stale(&mut self, now: Slot) {
        let oldest = Slot(now.0.saturating_sub(SLOTS));
        let tip = self.nodes.anchor.tip;
        self.votes.forget_before(oldest);
        self.loose.prune(tip, oldest);
        self.nodes.expire(oldest);
    }
}
