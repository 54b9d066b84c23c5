//! Every run of a small federation, slot by slot, up to some slot.
//!
//! In each slot the adversary picks up to two proposals on any blocks, which of them reaches which honest authority, who loses its record,
//! and whom it shows which certificate. Its own approvals go to every block; a certificate exists as soon as it can exist, for it may be withheld
//! from anybody for any time. So every slot may be a faulty author's, and what a node "holds" needs no model: this contains all runs with
//! delays, losses and partitions. States are deduplicated up to the names of authorities.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use alys_chain::consensus::{Anchor, Proposal, SigningRecord, SigningState, SlotTime, Tree, TreeRefusal};
use alys_chain::lineage::Lineage;
use alys_chain::{
    AuthorityIndex, BlockId, Certificate, CertifiedHeader, Hash, Header, Height, Schedule, SetId, SetQuorum,
    Slot,
};

use crate::rule::{Clause, Rule};
use crate::schedule;

const GENESIS: BlockId = BlockId([0xee; 32]);

/// A small federation and how long it is followed.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Authorities of each set.
    pub n: usize,
    /// How many of each set are faulty.
    pub faulty: usize,
    /// The slot of a second set of other members, if there is one.
    pub change: Option<u8>,
    /// The last slot.
    pub slots: u8,
    /// How often an honest authority may lose its record.
    pub losses: u8,
}

/// A block; its parent is a position in the list, genesis is position 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    slot: u8,
    parent: u8,
    /// Tells apart two blocks of one slot on one parent.
    twin: u8,
    certified: bool,
}

/// An honest authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Voter {
    set: u8,
    signing: SigningState,
    /// What a crash leaves where the record is written too late.
    on_disk: SigningRecord,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    blocks: Vec<Block>,
    voters: Vec<Voter>,
    losses: u8,
}

/// What the search has found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// No conflict in so many states.
    Safe { states: usize },
    /// Two final blocks that do not stand on one chain, in this slot. The blocks as (slot, parent's slot).
    Conflict { slot: u8, blocks: Vec<(u8, u8)> },
}

pub struct Search {
    setup: Setup,
    rule: Rule,
    schedule: Arc<Schedule>,
    genesis_record: SigningRecord,
}

impl Search {
    pub fn new(setup: Setup, rule: Rule) -> Self {
        let schedule = schedule(setup.n, setup.change.map(u64::from));
        Self { setup, rule, schedule, genesis_record: SigningRecord::unused(GENESIS) }
    }

    pub fn run(&self) -> Found {
        let mut level = BTreeSet::from([self.start()]);
        let (mut states, mut trees) = (1, BTreeMap::new());
        for slot in 1..=self.setup.slots {
            let mut next = BTreeSet::new();
            for state in &level {
                self.slot(state, slot, &mut next);
            }
            for state in &next {
                let safe =
                    *trees.entry(state.blocks.clone()).or_insert_with_key(|blocks| self.is_safe(blocks));
                if !safe {
                    let name = |b: &Block| (b.slot, state.blocks[usize::from(b.parent)].slot);
                    return Found::Conflict { slot, blocks: state.blocks[1..].iter().map(name).collect() };
                }
            }
            states += next.len();
            level = next;
        }
        Found::Safe { states }
    }

    fn start(&self) -> State {
        let signing = SigningState::Known(self.genesis_record);
        let sets = 0..=u8::from(self.setup.change.is_some());
        let honest = self.setup.n - self.setup.faulty;
        let voters = sets.flat_map(|set| {
            core::iter::repeat_n(Voter { set, signing, on_disk: self.genesis_record }, honest)
        });
        let genesis = Block { slot: 0, parent: 0, twin: 0, certified: true };
        State { blocks: vec![genesis], voters: voters.collect(), losses: 0 }
    }

    /// All states after one more slot.
    fn slot(&self, state: &State, slot: u8, out: &mut BTreeSet<State>) {
        for restarted in self.restarts(state, slot) {
            for proposals in self.proposals(&restarted, slot) {
                self.votes(&restarted, &proposals, out);
            }
        }
    }

    /// Who loses its record before this slot, and who is shown which certificate.
    fn restarts(&self, state: &State, slot: u8) -> BTreeSet<State> {
        let mut all = BTreeSet::from([state.clone()]);
        for i in 0..state.voters.len() {
            for before in all.clone() {
                if before.losses < self.setup.losses {
                    let mut after = before.clone();
                    after.losses += 1;
                    after.voters[i].signing = self.after_crash(&before.voters[i], slot - 1);
                    all.insert(after);
                }
            }
            for before in all.clone() {
                for block in before.blocks.iter().filter(|b| b.certified && b.slot > 0) {
                    let mut after = before.clone();
                    let signing = after.voters[i].signing;
                    after.voters[i].signing =
                        self.rule.on_certificate(signing, at(block.slot), BlockId::default());
                    all.insert(after);
                }
            }
        }
        all
    }

    fn after_crash(&self, voter: &Voter, now: u8) -> SigningState {
        if self.rule.has(Clause::DurableFirst) {
            self.rule.lost(at(now), GENESIS)
        } else {
            SigningState::Known(voter.on_disk)
        }
    }

    /// One block on any parent, or, where there are faulty members, two.
    fn proposals(&self, state: &State, slot: u8) -> Vec<Vec<Block>> {
        let parents = (0u8..).zip(&state.blocks).filter(|(_, b)| b.slot < slot).map(|(i, _)| i);
        let block = |parent, twin| Block { slot, parent, twin, certified: false };
        let one: Vec<_> = parents.map(|parent| block(parent, 0)).collect();
        let mut all: Vec<Vec<Block>> = vec![vec![]];
        all.extend(one.iter().map(|b| vec![*b]));
        if self.setup.faulty > 0 {
            for (i, first) in one.iter().enumerate() {
                all.extend(one[i..].iter().map(|b| vec![*first, block(b.parent, 1)]));
            }
        }
        all
    }

    /// Every way in which the honest members approve these blocks.
    fn votes(&self, state: &State, proposals: &[Block], out: &mut BTreeSet<State>) {
        let mut partial = vec![(state.clone(), vec![[0usize; 2]; proposals.len()])];
        for i in 0..state.voters.len() {
            for (before, counts) in partial.clone() {
                for (j, block) in proposals.iter().enumerate() {
                    // Two approvals of one authority in one slot: only a rule without that clause allows the second.
                    if let Some((state, counts)) = self.vote(&before, &counts, (i, j), block) {
                        if j == 0 && proposals.len() > 1 {
                            partial.extend(self.vote(&state, &counts, (i, 1), &proposals[1]));
                        }
                        partial.push((state, counts));
                    }
                }
            }
        }
        out.extend(partial.into_iter().map(|(state, counts)| self.close(state, proposals, &counts)));
    }

    /// The state after voter `i` approves block `j`, if the rule lets it.
    fn vote(
        &self,
        state: &State,
        counts: &[[usize; 2]],
        (i, j): (usize, usize),
        block: &Block,
    ) -> Option<(State, Vec<[usize; 2]>)> {
        let parent = state.blocks[usize::from(block.parent)];
        let proposal = Proposal {
            slot: at(block.slot),
            block: BlockId([block.twin + 1; 32]),
            certified_parent: parent.certified.then_some(at(parent.slot)),
        };
        let length = Duration::from_secs(2);
        let now = SlotTime { slot: at(block.slot), elapsed: Duration::ZERO, length };
        let voter = &state.voters[i];
        let record = self.rule.approve(&voter.signing, proposal, at(parent.slot), now).ok()?;
        let (mut state, mut counts) = (state.clone(), counts.to_vec());
        if let (SigningState::Known(before), false) = (voter.signing, self.rule.has(Clause::DurableFirst)) {
            state.voters[i].on_disk = before;
        }
        state.voters[i].signing = SigningState::Known(record);
        counts[j][usize::from(voter.set)] += 1;
        Some((state, counts))
    }

    /// Certifies what has a quorum, forgets what never matters again, and brings the state into its one form.
    fn close(&self, mut state: State, proposals: &[Block], counts: &[[usize; 2]]) -> State {
        for (block, count) in proposals.iter().zip(counts) {
            let certified = self.has_quorum(&state.blocks, block, *count);
            if certified || !self.rule.has(Clause::CertifiedParent) {
                state.blocks.push(Block { certified, ..*block });
            }
        }
        for voter in &mut state.voters {
            if let SigningState::Known(record) = &mut voter.signing {
                // The slot is over: which block it was, and how long ago, no longer matters to the rule.
                record.block = BlockId::default();
                record.last = Slot::ZERO;
            }
            voter.on_disk.block = BlockId::default();
            voter.on_disk.last = Slot::ZERO;
        }
        state.voters.sort_unstable();
        state
    }

    fn has_quorum(&self, blocks: &[Block], block: &Block, count: [usize; 2]) -> bool {
        let required = lineage(blocks, block.parent).required(&self.schedule, at(block.slot));
        let enough = |set: SetId| {
            let honest = count[usize::try_from(set.0).unwrap()];
            honest > 0 && honest + self.setup.faulty >= self.rule.quorum(self.setup.n)
        };
        match required.old {
            Some(old) if self.rule.has(Clause::BothSets) => enough(required.own) && enough(old),
            _ => enough(required.own),
        }
    }

    /// Whether all final blocks stand on one chain; under the whole rule the real tree must say the same, in whatever order it learns the
    /// certificates.
    fn is_safe(&self, blocks: &[Block]) -> bool {
        let finals: Vec<usize> = (1..blocks.len())
            .filter(|i| blocks[*i].certified)
            .map(|i| usize::from(blocks[i].parent))
            .zip(blocks.iter().skip(1).filter(|b| b.certified))
            .filter(|(parent, child)| self.rule.finalizes(at(blocks[*parent].slot), at(child.slot)))
            .map(|(parent, _)| parent)
            .collect();
        let on_one_chain = |a: usize, b: usize| {
            let (low, high) = if blocks[a].slot <= blocks[b].slot { (a, b) } else { (b, a) };
            ancestry(blocks, high).contains(&low)
        };
        let safe = finals.iter().all(|a| finals.iter().all(|b| on_one_chain(*a, *b)));
        if safe && self.rule.is_whole() {
            let highest = finals.iter().map(|i| blocks[*i].slot).max().unwrap_or(0);
            self.tree_agrees(blocks, highest);
        }
        safe
    }

    fn tree_agrees(&self, blocks: &[Block], last_final: u8) {
        let certified = self.certified_headers(blocks);
        let run = |order: &mut dyn Iterator<Item = &CertifiedHeader>| {
            let mut tree = Tree::new(Anchor::genesis(GENESIS), Arc::clone(&self.schedule));
            for block in order {
                match tree.insert_certified(block) {
                    Ok(_) | Err(TreeRefusal::NotAboveFinal) => {}
                    Err(refusal) => panic!("{refusal}: {blocks:?}"),
                }
            }
            (tree.anchor(), tree.head())
        };
        let (up, down) = (run(&mut certified.iter()), run(&mut certified.iter().rev()));
        assert_eq!(up, down, "the order of arrival decides in {blocks:?}");
        assert_eq!(up.0.tip.slot, at(last_final), "{blocks:?}");
    }

    fn certified_headers(&self, blocks: &[Block]) -> Vec<CertifiedHeader> {
        let mut headers: Vec<(Height, BlockId)> = vec![(Height::ZERO, GENESIS)];
        let mut certified = Vec::new();
        for block in &blocks[1..] {
            let (height, parent) = headers[usize::from(block.parent)];
            let header = header_of(block, height.next().unwrap(), parent);
            headers.push((header.height, header.id()));
            let required = lineage(blocks, block.parent).required(&self.schedule, header.slot);
            let quorum = |set| SetQuorum { set, signers: 0, signature: [0; 48] };
            let certificate = Certificate {
                slot: header.slot,
                height: header.height,
                block: header.id(),
                quorum: quorum(required.own),
                joint: required.old.map(quorum),
            };
            certified.push(CertifiedHeader { header, certificate });
        }
        certified
    }
}

fn at(slot: u8) -> Slot {
    Slot(u64::from(slot))
}

fn header_of(block: &Block, height: Height, parent: BlockId) -> Header {
    Header {
        height,
        slot: at(block.slot),
        parent,
        body_root: Hash([block.twin; 32]),
        state_root: Hash::default(),
        proposer: AuthorityIndex(0),
    }
}

/// A block and all blocks below it, down to genesis.
fn ancestry(blocks: &[Block], mut block: usize) -> Vec<usize> {
    let mut chain = vec![block];
    while block != 0 {
        block = usize::from(blocks[block].parent);
        chain.push(block);
    }
    chain
}

/// The lineage of the children of a block.
fn lineage(blocks: &[Block], parent: u8) -> Lineage {
    let chain = ancestry(blocks, usize::from(parent));
    let above_genesis = chain.iter().rev().skip(1);
    above_genesis
        .fold(Lineage::GENESIS, |lineage, i| lineage.advance(&header_of(&blocks[*i], Height::ZERO, GENESIS)))
}
