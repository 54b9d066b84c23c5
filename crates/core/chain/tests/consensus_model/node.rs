//! An honest node: the real voting rule and the real tree, and around them only what the rule asks of a node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alys_chain::consensus::{
    Anchor, Changed, Evidence, Proof, Proposal, SigningRecord, SigningState, SlotTime, Tree, TreeRefusal,
};
use alys_chain::{
    Approval, AuthorityIndex, BlockId, Certificate, CertifiedHeader, Hash, Header, Schedule, SetId,
    SetQuorum, Slot,
};

use crate::rule::{Clause, Rule};

pub const GENESIS: BlockId = BlockId([0xee; 32]);
/// Ticks in a slot; the cut-off, two thirds of it, falls on tick 4.
pub const TICKS: u64 = 6;

/// A block with its parent's certificate (genesis has none) and its author's approval.
#[derive(Clone, Debug)]
pub struct Proposed {
    pub header: Header,
    pub parent: Option<CertifiedHeader>,
    pub approval: Approval,
}

/// What travels.
#[derive(Clone, Debug)]
pub enum Message {
    Proposal(Box<Proposed>),
    Approval(Approval),
    /// A new certificate, forwarded, or a head, shown at the start of a slot.
    Certified(CertifiedHeader),
    /// "Send me this block and what it stands on."
    Fetch {
        block: BlockId,
        to: usize,
    },
    /// The answer, the lowest block first.
    Chain(Vec<CertifiedHeader>),
}

/// What a node wants sent, to everybody or to one.
pub type Outbox = Vec<(Option<usize>, Message)>;

/// What a node reports to whoever watches all of them.
#[derive(Debug, Default)]
pub struct Report {
    pub finalized: Vec<(Anchor, Vec<BlockId>)>,
    pub evidence: Vec<Evidence>,
    /// A certified block that conflicts with what is final here.
    pub conflict: bool,
}

#[derive(Clone, Debug)]
pub struct Node {
    index: usize,
    rule: Rule,
    schedule: Arc<Schedule>,
    pub signing: SigningState,
    pub tree: Tree,
    /// Everything certified, as the block store keeps it.
    pub store: BTreeMap<BlockId, CertifiedHeader>,
    /// Proposals of the current slot that could not be approved yet.
    pending: Vec<Header>,
}

/// A time in ticks, as the rule sees it.
pub fn slot_time(tick: u64) -> SlotTime {
    let length = Duration::from_secs(6);
    SlotTime { slot: Slot(tick / TICKS), elapsed: Duration::from_secs(tick % TICKS), length }
}

pub fn approval(header: &Header, authority: usize) -> Approval {
    Approval {
        set: SetId(0),
        slot: header.slot,
        height: header.height,
        block: header.id(),
        authority: AuthorityIndex(u8::try_from(authority).unwrap()),
        signature: [0; 48],
    }
}

pub fn certified(header: &Header, signers: u16) -> CertifiedHeader {
    let quorum = SetQuorum { set: SetId(0), signers, signature: [0; 48] };
    let certificate =
        Certificate { slot: header.slot, height: header.height, block: header.id(), quorum, joint: None };
    CertifiedHeader { header: *header, certificate }
}

impl Node {
    pub fn new(index: usize, rule: Rule, schedule: Arc<Schedule>) -> Self {
        let tree = Tree::new(Anchor::genesis(GENESIS), Arc::clone(&schedule));
        let signing = SigningState::Known(SigningRecord::unused(GENESIS));
        Self { index, rule, schedule, signing, tree, store: BTreeMap::new(), pending: Vec::new() }
    }

    /// A restart: what is durable comes back, the rest is gone. The record, too, if `lost`.
    pub fn restart(&mut self, now: u64, lost: bool) {
        let anchor = self.tree.anchor();
        self.tree = Tree::new(anchor, Arc::clone(&self.schedule));
        self.pending.clear();
        for block in self.store.values().filter(|b| b.header.slot > anchor.tip.slot) {
            let _ = self.tree.insert_certified(block);
        }
        if lost {
            self.signing = self.rule.lost(slot_time(now).slot, GENESIS);
        }
    }

    /// A new slot: show the head, ask for what is missing, propose if it is our turn.
    pub fn begin_slot(&mut self, now: u64, out: &mut Outbox, report: &mut Report) {
        if self.rule.has(Clause::NotLate) {
            self.pending.clear();
        }
        let head = self.store.get(&self.tree.head().id).copied();
        out.extend(head.map(|head| (None, Message::Certified(head))));
        let missing = self.tree.missing().into_iter();
        out.extend(missing.map(|block| (None, Message::Fetch { block, to: self.index })));
        let slot = slot_time(now).slot;
        if usize::from(self.schedule.proposer(slot).0) == self.index {
            self.propose(now, out, report);
        }
    }

    fn propose(&mut self, now: u64, out: &mut Outbox, report: &mut Report) {
        let slot = slot_time(now).slot;
        let parent =
            if self.rule.has(Clause::HighestParent) { self.tree.head() } else { self.tree.anchor().tip };
        let header = Header {
            height: parent.height.next().unwrap(),
            slot,
            parent: parent.id,
            body_root: Hash([u8::try_from(self.index).unwrap(); 32]),
            state_root: Hash::default(),
            proposer: self.schedule.proposer(slot),
        };
        if !self.sign(&header, now) {
            return;
        }
        let certificate = self.store.get(&parent.id).copied();
        let (slot, own) = (slot_time(now).slot, approval(&header, self.index));
        let taken = self.tree.insert_header(&header, slot);
        self.follow(taken, out, report);
        let taken = self.tree.insert_approval(&own, slot);
        self.follow(taken, out, report);
        out.push((
            None,
            Message::Proposal(Box::new(Proposed { header, parent: certificate, approval: own })),
        ));
    }

    /// Asks the rule; keeps the new record (it is durable from here on) if it may sign.
    fn sign(&mut self, header: &Header, now: u64) -> bool {
        let certified_parent = self.tree.certified_slot(header.parent);
        let known = self.store.get(&header.parent).map(|b| b.header.slot);
        let parent = certified_parent.or(known).unwrap_or(Slot::ZERO);
        let proposal = Proposal { slot: header.slot, block: header.id(), certified_parent };
        match self.rule.approve(&self.signing, proposal, parent, slot_time(now)) {
            Ok(record) => {
                self.signing = SigningState::Known(record);
                true
            }
            Err(_) => false,
        }
    }

    pub fn receive(&mut self, message: Message, now: u64, out: &mut Outbox, report: &mut Report) {
        match message {
            Message::Proposal(proposed) => {
                self.on_certified(proposed.parent.as_slice(), out, report);
                self.on_proposal(&proposed, now, out, report);
            }
            Message::Approval(approval) => {
                let taken = self.tree.insert_approval(&approval, slot_time(now).slot);
                self.follow(taken, out, report);
            }
            Message::Certified(block) => self.on_certified(&[block], out, report),
            Message::Chain(blocks) => self.on_certified(&blocks, out, report),
            Message::Fetch { block, to } => {
                let mut chain = Vec::new();
                let mut at = block;
                while let Some(found) = self.store.get(&at) {
                    chain.push(*found);
                    at = found.header.parent;
                }
                chain.reverse();
                out.push((Some(to), Message::Chain(chain)));
            }
        }
        self.vote(now, out, report);
    }

    fn on_certified(&mut self, blocks: &[CertifiedHeader], out: &mut Outbox, report: &mut Report) {
        for block in blocks {
            let taken = self.tree.insert_certified(block);
            self.signing = self.rule.on_certificate(self.signing, block.header.slot, block.certificate.block);
            report.conflict |= taken == Err(TreeRefusal::ConflictsWithFinal);
            self.follow(taken, out, report);
        }
    }

    fn on_proposal(&mut self, proposed: &Proposed, now: u64, out: &mut Outbox, report: &mut Report) {
        let Proposed { header, approval, .. } = proposed;
        // Without the clause against early approvals nothing else may stop them either.
        let clock = slot_time(now).slot;
        let clock = if self.rule.has(Clause::NotEarly) { clock } else { clock.max(header.slot) };
        let taken = self.tree.insert_header(header, clock);
        if taken.is_ok() {
            self.pending.push(*header);
        }
        self.follow(taken, out, report);
        let taken = self.tree.insert_approval(approval, clock);
        self.follow(taken, out, report);
    }

    /// Approves what can be approved by now.
    fn vote(&mut self, now: u64, out: &mut Outbox, report: &mut Report) {
        for header in core::mem::take(&mut self.pending) {
            if !self.sign(&header, now) {
                self.pending.push(header);
                continue;
            }
            let own = approval(&header, self.index);
            out.push((None, Message::Approval(own)));
            let taken = self.tree.insert_approval(&own, slot_time(now).slot);
            self.follow(taken, out, report);
        }
    }

    /// Does what a change asks for: certificates are made, kept and forwarded.
    fn follow(&mut self, taken: Result<Changed, TreeRefusal>, out: &mut Outbox, report: &mut Report) {
        let Ok(changed) = taken else { return };
        report.evidence.extend(changed.evidence);
        for fresh in changed.certified {
            let block = match fresh.proof {
                Proof::Certificate(certificate) => CertifiedHeader { header: fresh.header, certificate },
                Proof::Approvals(all) => {
                    certified(&fresh.header, all.iter().fold(0, |bits, a| bits | 1 << a.authority.0))
                }
            };
            self.signing = self.rule.on_certificate(self.signing, block.header.slot, fresh.block);
            let _ = self.tree.insert_certificate(&block.certificate);
            self.store.insert(fresh.block, block);
            if self.rule.has(Clause::Forward) {
                out.push((None, Message::Certified(block)));
            }
        }
        report.finalized.extend(changed.finalized.map(|f| (f.anchor, f.blocks)));
    }
}
