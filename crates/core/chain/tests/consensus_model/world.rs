//! A federation in slots and ticks: honest nodes, silent ones, and an adversary that owns the faulty ones and, for a time, the network.
//!
//! Before the network settles, messages take up to five slots or are lost, and nodes crash. Afterwards a message between honest nodes takes one or
//! two of a slot's six ticks. The adversary sees everything at once, hears no clock, and speaks to whom it likes whenever it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alys_chain::{BlockId, Height, Schedule, Slot};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::adversary::Adversary;
use crate::node::{Message, Node, Outbox, Report, TICKS, slot_time};
use crate::rule::Rule;

/// Ticks that a message takes at most before the network settles.
const WILD_DELAY: u64 = 5 * TICKS;
/// Slots after which everybody knows everything again once the network has settled.
const CALM: u64 = 6;

/// One run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many authorities there are.
    pub n: usize,
    /// Which are the adversary's.
    pub faulty: Vec<usize>,
    /// Which never speak.
    pub silent: Vec<usize>,
    /// Which lose their record once, before the network settles.
    pub lose: Vec<usize>,
    /// The slot in which the network settles.
    pub settles: u64,
    /// The last slot.
    pub slots: u64,
}

/// How a run goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// Two conflicting final blocks, or a certified block that conflicts with a final one.
    Conflict,
    /// An honest author's block is not certified in its slot although messages are in time.
    SlotLost,
    /// No finality for three rounds although messages are in time.
    Stall,
    /// An honest authority is accused.
    FalseEvidence,
}

pub struct World {
    setup: Setup,
    rng: ChaCha8Rng,
    tick: u64,
    nodes: BTreeMap<usize, Node>,
    queue: BTreeMap<u64, Vec<(usize, Message)>>,
    adversary: Adversary,
    finals: BTreeMap<Height, BlockId>,
    violations: BTreeSet<Violation>,
}

pub fn below(rng: &mut ChaCha8Rng, n: u64) -> u64 {
    rng.next_u64() % n
}

impl World {
    pub fn new(setup: Setup, rule: Rule, schedule: &Arc<Schedule>, seed: u64) -> Self {
        let honest = (0..setup.n).filter(|i| !setup.faulty.contains(i) && !setup.silent.contains(i));
        let nodes: BTreeMap<_, _> = honest.map(|i| (i, Node::new(i, rule, Arc::clone(schedule)))).collect();
        let adversary = Adversary::new(setup.faulty.clone(), nodes.keys().copied().collect(), setup.n, rule);
        Self {
            setup,
            rng: ChaCha8Rng::seed_from_u64(seed),
            tick: 0,
            nodes,
            queue: BTreeMap::new(),
            adversary,
            finals: BTreeMap::new(),
            violations: BTreeSet::new(),
        }
    }

    /// What went wrong, and the highest slot that is final everywhere.
    pub fn run(mut self) -> (BTreeSet<Violation>, u64) {
        let mut last_progress = (self.setup.settles + CALM, 0);
        for slot in 1..=self.setup.slots {
            for tick in slot * TICKS..(slot + 1) * TICKS {
                self.tick = tick;
                self.step();
            }
            self.check_slot(slot);
            let final_slot = self.final_everywhere();
            if final_slot > last_progress.1 {
                last_progress = (slot.max(last_progress.0), final_slot);
            }
            if slot > last_progress.0 + 3 * self.setup.n as u64 {
                self.violations.insert(Violation::Stall);
            }
        }
        let final_slot = self.final_everywhere();
        (self.violations, final_slot)
    }

    fn settled(&self) -> bool {
        self.tick >= self.setup.settles * TICKS
    }

    fn step(&mut self) {
        let due = self.queue.remove(&self.tick).unwrap_or_default();
        for (to, message) in due {
            self.at_node(to, |node, now, out, report| node.receive(message, now, out, report));
        }
        let nodes: Vec<_> = self.nodes.keys().copied().collect();
        if self.tick.is_multiple_of(TICKS) {
            for i in &nodes {
                self.at_node(*i, Node::begin_slot);
            }
        }
        if !self.settled() {
            self.crash_somebody();
        }
        for (to, message) in self.adversary.act(slot_time(self.tick), &mut self.rng) {
            self.at_node(to, |node, now, out, report| node.receive(message, now, out, report));
        }
    }

    /// Lets a node do something, sends what it wants sent, and looks at what it reports.
    fn at_node(&mut self, i: usize, what: impl FnOnce(&mut Node, u64, &mut Outbox, &mut Report)) {
        let (mut out, mut report) = (Outbox::new(), Report::default());
        let Some(node) = self.nodes.get_mut(&i) else { return };
        what(node, self.tick, &mut out, &mut report);
        for (to, message) in out {
            self.adversary.hear(&message);
            match to {
                Some(to) => self.send(to, message),
                None => {
                    let others: Vec<_> = self.nodes.keys().copied().filter(|j| *j != i).collect();
                    others.into_iter().for_each(|to| self.send(to, message.clone()));
                }
            }
        }
        self.check(&report);
    }

    fn send(&mut self, to: usize, message: Message) {
        let delay = if self.settled() {
            1 + below(&mut self.rng, 2)
        } else if below(&mut self.rng, 4) == 0 {
            return;
        } else {
            1 + below(&mut self.rng, WILD_DELAY)
        };
        self.queue.entry(self.tick + delay).or_default().push((to, message));
    }

    /// Now and then a node restarts with its record; those that lose it do so once, in the middle of the wild time.
    fn crash_somebody(&mut self) {
        let nodes: Vec<_> = self.nodes.keys().copied().collect();
        if below(&mut self.rng, 20) == 0 {
            let pick = nodes[usize::try_from(below(&mut self.rng, nodes.len() as u64)).unwrap()];
            self.nodes.get_mut(&pick).unwrap().restart(self.tick, false);
        }
        if self.tick == self.setup.settles * TICKS / 2 {
            for i in self.setup.lose.clone() {
                self.nodes.get_mut(&i).unwrap().restart(self.tick, true);
            }
        }
    }

    fn check(&mut self, report: &Report) {
        for (anchor, blocks) in &report.finalized {
            let first = anchor.tip.height.0 + 1 - blocks.len() as u64;
            for (block, height) in blocks.iter().zip(first..) {
                if self.finals.entry(Height(height)).or_insert(*block) != block {
                    self.violations.insert(Violation::Conflict);
                }
            }
        }
        if report.conflict {
            self.violations.insert(Violation::Conflict);
        }
        for evidence in &report.evidence {
            if !self.setup.faulty.contains(&usize::from(evidence.first.authority.0)) {
                self.violations.insert(Violation::FalseEvidence);
            }
        }
    }

    /// In calm times every honest author's block is certified everywhere when its slot ends.
    fn check_slot(&mut self, slot: u64) {
        let author = usize::try_from(slot).unwrap() % self.setup.n;
        if slot < self.setup.settles + CALM || !self.nodes.contains_key(&author) {
            return;
        }
        let certified = |node: &Node| node.store.values().any(|b| b.header.slot == Slot(slot));
        // Whoever lost its record proposes nothing before it is back.
        if self.nodes[&author].signing.record().is_ok() && !self.nodes.values().all(certified) {
            self.violations.insert(Violation::SlotLost);
        }
    }

    fn final_everywhere(&self) -> u64 {
        self.nodes.values().map(|node| node.tree.anchor().tip.slot.0).min().unwrap_or(0)
    }
}
