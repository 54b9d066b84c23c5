//! The adversary: it knows all that was ever sent, signs anything with the faulty keys, and tells each honest node what suits it.

use std::collections::{BTreeMap, BTreeSet};

use alys_chain::consensus::SlotTime;
use alys_chain::{AuthorityIndex, BlockId, CertifiedHeader, Hash, Header, Height, Slot};
use rand_chacha::ChaCha8Rng;

use crate::node::{GENESIS, Message, Proposed, TICKS, approval, certified};
use crate::rule::{Clause, Rule};
use crate::world::below;

pub struct Adversary {
    faulty: Vec<usize>,
    honest: Vec<usize>,
    n: usize,
    rule: Rule,
    headers: BTreeMap<BlockId, Header>,
    votes: BTreeMap<BlockId, BTreeSet<usize>>,
    /// Every certificate that exists or that the faulty members can complete.
    certified: BTreeMap<(Slot, BlockId), CertifiedHeader>,
    /// Proposals to be sent in this slot: in which tick, what, to whom.
    plans: Vec<(u64, Header, Vec<usize>)>,
    made: u64,
}

impl Adversary {
    pub fn new(faulty: Vec<usize>, honest: Vec<usize>, n: usize, rule: Rule) -> Self {
        let (headers, votes, certified) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { faulty, honest, n, rule, headers, votes, certified, plans: Vec::new(), made: 0 }
    }

    /// Everything that an honest node sends.
    pub fn hear(&mut self, message: &Message) {
        match message {
            Message::Proposal(proposed) => {
                self.headers.insert(proposed.header.id(), proposed.header);
                self.count(proposed.approval.block, usize::from(proposed.approval.authority.0));
            }
            Message::Approval(approval) => self.count(approval.block, usize::from(approval.authority.0)),
            Message::Certified(block) => {
                self.headers.insert(block.certificate.block, block.header);
                self.certified.insert((block.header.slot, block.certificate.block), *block);
            }
            Message::Fetch { .. } | Message::Chain(_) => {}
        }
    }

    fn count(&mut self, block: BlockId, authority: usize) {
        let votes = self.votes.entry(block).or_default();
        votes.insert(authority);
        if let Some(header) =
            self.headers.get(&block).filter(|_| votes.len() + self.faulty.len() >= self.rule.quorum(self.n))
        {
            self.certified.entry((header.slot, block)).or_insert_with(|| certified(header, 0));
        }
    }

    /// What it sends in this tick, to whom.
    pub fn act(&mut self, now: SlotTime, rng: &mut ChaCha8Rng) -> Vec<(usize, Message)> {
        if self.faulty.is_empty() {
            return Vec::new();
        }
        let tick = now.elapsed.as_secs();
        if tick == 0 {
            self.plan(now.slot, rng);
        }
        let mut out = Vec::new();
        for (_, header, to) in self.plans.iter().filter(|(at, ..)| *at == tick) {
            let author = usize::from(header.proposer.0);
            let parent = self.certified.values().find(|b| b.certificate.block == header.parent).copied();
            let proposed = Proposed { header: *header, parent, approval: approval(header, author) };
            let message = Message::Proposal(Box::new(proposed));
            out.extend(to.iter().map(|i| (*i, message.clone())));
        }
        self.reveal(rng, &mut out);
        self.approve(now.slot, rng, &mut out);
        out
    }

    /// In a faulty author's slot: one to three blocks on high certified parents, each for some of the nodes, early or late.
    fn plan(&mut self, slot: Slot, rng: &mut ChaCha8Rng) {
        self.plans.clear();
        let mut slots = vec![slot];
        if !self.rule.has(Clause::NotEarly) {
            slots.push(Slot(slot.0 + 1000));
        }
        if !self.rule.has(Clause::NotLate) {
            slots.push(Slot(slot.0 - 1));
        }
        for slot in slots {
            let author = usize::try_from(slot.0).unwrap() % self.n;
            if !self.faulty.contains(&author) {
                continue;
            }
            for _ in 0..=below(rng, 3) {
                let header = self.block(slot, author, rng);
                let to = self.honest.iter().copied().filter(|_| below(rng, 2) == 0).collect();
                self.headers.insert(header.id(), header);
                self.plans.push((below(rng, TICKS), header, to));
            }
        }
    }

    /// A block on the highest certified one (often one that nobody else knows to be certified), now and then on the next two.
    fn block(&mut self, slot: Slot, author: usize, rng: &mut ChaCha8Rng) -> Header {
        let back = pick(rng, 5).saturating_sub(2);
        let high = self.certified.values().rev().filter(|b| b.header.slot < slot).nth(back);
        let (height, parent) =
            high.map_or((Height::ZERO, GENESIS), |b| (b.header.height, b.certificate.block));
        self.made += below(rng, 2);
        let mut mark = [0xff; 32];
        mark[..8].copy_from_slice(&self.made.to_le_bytes());
        Header {
            height: height.next().unwrap(),
            slot,
            parent,
            body_root: Hash(mark),
            state_root: Hash::default(),
            proposer: AuthorityIndex(u8::try_from(author).unwrap()),
        }
    }

    /// Shows one of the three highest certificates, perhaps one that nobody else can have, to one node.
    fn reveal(&self, rng: &mut ChaCha8Rng, out: &mut Vec<(usize, Message)>) {
        if below(rng, 3) == 0 {
            let back = pick(rng, 3);
            let to = self.honest[pick(rng, self.honest.len())];
            out.extend(self.certified.values().rev().nth(back).map(|b| (to, Message::Certified(*b))));
        }
    }

    /// A faulty member approves any recent block, for one node's eyes.
    fn approve(&self, slot: Slot, rng: &mut ChaCha8Rng, out: &mut Vec<(usize, Message)>) {
        let recent: Vec<_> = self.headers.values().filter(|h| h.slot.0 + 2 > slot.0).collect();
        if recent.is_empty() || below(rng, 2) == 0 {
            return;
        }
        let (header, faulty) = (recent[pick(rng, recent.len())], self.faulty[pick(rng, self.faulty.len())]);
        let to = self.honest[pick(rng, self.honest.len())];
        out.push((to, Message::Approval(approval(header, faulty))));
    }
}

fn pick(rng: &mut ChaCha8Rng, n: usize) -> usize {
    usize::try_from(below(rng, n as u64)).unwrap()
}
