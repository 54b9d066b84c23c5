//! An exhaustive model of gate, signing record and restart: one authority, every order of events over a few slots.
//!
//! - **Is real**: the gate ([`gate::decide`]) and the voting rule with its record ([`SigningState`]). **Is modelled**: clock, disk, process, network.
//! - **Shows**: no slot gets two signatures, no signature falls below an earlier lock, and none leaves while the gate is closed; with the record's
//!   durability taken away, and with each of the other rules, the explorer finds the run in which one of these fails.
//! - **Assumes**: the wall clock does not run backwards across a restart; one process holds the key.
//!
//! What is asked of the gate and what is signed are apart, as in the node: an answer may be acted upon much later, by an actor that was restarted in
//! between, and a signature that was begun goes on in the pool without its actor.
#![allow(missing_docs)]

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use alys_chain::consensus::{Proposal, SigningRecord, SigningState, SlotTime};
use alys_chain::{BlockId, BlockRef, Height, Slot};
use alys_sync::Federation;
use alys_sync::gate::{self, Activity, GateInput};

/// The slots of a run. Three show a second signature in a slot, an older lock, and what a restart forgets; a fourth lets a lost record come back.
const SLOTS: u64 = 4;
/// Processes that end in a run: one to lose something, one to lose what the first left behind.
const ENDS: u8 = 2;
const GENESIS: BlockId = BlockId([0; 32]);

/// What may be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    Nothing,
    /// The record is written, and the signature leaves before it is on the disk.
    Durability,
    /// The signature leaves before the record is written at all.
    Order,
    /// A key without a record counts as one that has signed nothing.
    LostRecord,
    /// Two signatures are made at a time, each from the record as it found it.
    Lock,
    /// Nobody asks the gate.
    Gate,
}

/// A signature that is being made, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Signing {
    record: SigningRecord,
    parent: Slot,
    /// Whether the gate was open for its slot.
    permitted: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Decided,
    Written,
    Durable,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    state: SigningState,
    /// The slot that the gate was open for when it was asked.
    permit: Option<Slot>,
    signing: Vec<Signing>,
}

/// What the gate finds when it is asked, beside the slot that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Well,
    Behind,
    CutOff,
    Paused,
}

impl Weather {
    const ALL: [Self; 4] = [Self::Well, Self::Behind, Self::CutOff, Self::Paused];
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Model {
    slot: Slot,
    /// What the disk holds whatever happens, and what it holds until the power fails.
    durable: Option<SigningRecord>,
    written: Option<SigningRecord>,
    process: Option<Process>,
    ends: u8,
    disk_was_lost: bool,
    /// What has left: the block of each slot, and the highest parent signed so far.
    signed: BTreeMap<Slot, BlockId>,
    highest_parent: Slot,
    broken: Option<&'static str>,
}

impl Model {
    /// A new key on an empty disk, which says that it has signed nothing.
    fn new() -> Self {
        let fresh = SigningRecord { last: Slot::ZERO, block: GENESIS, lock: Slot::ZERO };
        Self {
            slot: Slot(1),
            durable: Some(fresh),
            written: Some(fresh),
            process: None,
            ends: 0,
            disk_was_lost: false,
            signed: BTreeMap::new(),
            highest_parent: Slot::ZERO,
            broken: None,
        }
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut next = self.clone();
        change(&mut next);
        next
    }

    fn now(&self) -> SlotTime {
        SlotTime { slot: self.slot, elapsed: Duration::ZERO, length: Duration::from_secs(2) }
    }

    /// Everything that can happen next.
    fn next(&self, without: Without) -> Vec<Self> {
        let mut next = Vec::new();
        if self.slot.0 < SLOTS {
            next.push(self.with(|model| model.slot = Slot(self.slot.0 + 1)));
        }
        match &self.process {
            None => next.push(self.with(|model| model.start(without))),
            Some(process) => {
                next.extend(self.process_ends());
                next.extend(self.process_goes_on(process, without));
            }
        }
        next
    }

    /// Killed, or without power; once, the disk is lost with it.
    fn process_ends(&self) -> Vec<Self> {
        if self.ends == ENDS {
            return Vec::new();
        }
        let killed = self.with(|model| {
            model.process = None;
            model.ends += 1;
        });
        let without_power = killed.with(|model| model.written = model.durable);
        let mut next = vec![without_power.clone(), killed];
        if !self.disk_was_lost {
            next.push(without_power.with(|model| {
                (model.durable, model.written, model.disk_was_lost) = (None, None, true);
            }));
        }
        next
    }

    fn start(&mut self, without: Without) {
        let fresh = SigningRecord { last: Slot::ZERO, block: GENESIS, lock: Slot::ZERO };
        let state = match self.written {
            Some(record) => SigningState::Known(record),
            None if without == Without::LostRecord => SigningState::Known(fresh),
            None => SigningState::Lost { restart: self.slot },
        };
        self.process = Some(Process { state, permit: None, signing: Vec::new() });
    }

    fn process_goes_on(&self, process: &Process, without: Without) -> Vec<Self> {
        let mut next: Vec<Self> = Weather::ALL.map(|weather| self.ask_gate(process, weather)).into();
        // The actor is restarted: what it knew of the gate is gone, what is being signed is not.
        next.push(self.with_process(|process| process.permit = None));
        let certificates = (1..=self.slot.0).map(|slot| {
            self.with_process(|process| {
                process.state =
                    process.state.on_certificate(Slot(slot), block(Slot(slot), Slot(slot - 1), 1));
            })
        });
        next.extend(certificates);
        if process.signing.is_empty() || without == Without::Lock && process.signing.len() < 2 {
            next.extend(self.begin(process, without));
        }
        next.extend((0..process.signing.len()).map(|n| self.with(|model| model.sign_on(n, without))));
        next
    }

    fn with_process(&self, change: impl FnOnce(&mut Process)) -> Self {
        self.with(|model| {
            if let Some(process) = &mut model.process {
                change(process);
            }
        })
    }

    fn ask_gate(&self, process: &Process, weather: Weather) -> Self {
        let last = process.state.record().ok().map(|record| record.last).filter(|last| *last > Slot::ZERO);
        let is_open = gate::decide(&self.gate_input(weather, last)).open;
        self.with_process(|process| process.permit = is_open.then_some(self.slot))
    }

    /// What the gate of the node would see.
    fn gate_input(&self, weather: Weather, last_signed: Option<Slot>) -> GateInput {
        let head = BlockRef { slot: self.slot, height: Height(100), id: GENESIS };
        let better = BlockRef { slot: Slot(self.slot.0 + 1), height: Height(200), ..head };
        let there = if weather == Weather::CutOff { 0 } else { 3 };
        GateInput {
            slot: self.slot,
            last_signed,
            threshold_e4: alys_sync::gate::THRESHOLD_E4,
            activity: if weather == Weather::Paused { Activity::Paused } else { Activity::Running },
            head,
            target: Some(if weather == Weather::Behind { better } else { head }),
            import_failing: None,
            federation: Federation::new(4, true),
            reachable: there,
            heard: there,
            cut_off: None,
            agreeing: 0,
        }
    }

    /// One of two blocks of any slot, on a parent of any slot, asks to be signed.
    fn begin(&self, process: &Process, without: Without) -> Vec<Self> {
        let mut next = Vec::new();
        for slot in (1..=SLOTS).map(Slot) {
            let permitted = process.permit == Some(slot);
            if without != Without::Gate && !permitted {
                continue;
            }
            for (parent, fork) in (0..slot.0).flat_map(|parent| [(Slot(parent), 1), (Slot(parent), 2)]) {
                let proposal =
                    Proposal { slot, block: block(slot, parent, fork), certified_parent: Some(parent) };
                if let Ok(record) = process.state.may_approve(&proposal, self.now()) {
                    let signing = Signing { record, parent, permitted, stage: Stage::Decided };
                    next.push(self.with_process(|process| process.signing.push(signing)));
                }
            }
        }
        next
    }

    /// The next step of a signature: written, durable, gone.
    fn sign_on(&mut self, n: usize, without: Without) {
        let Some(process) = &mut self.process else { return };
        let signing = &mut process.signing[n];
        let record = signing.record;
        match (signing.stage, without) {
            (Stage::Decided, Without::Order) => {
                process.state = SigningState::Known(record);
                self.leave(n);
            }
            (Stage::Decided, _) => {
                signing.stage = Stage::Written;
                self.written = Some(record);
            }
            (Stage::Written, Without::Durability) => {
                process.state = SigningState::Known(record);
                self.leave(n);
            }
            (Stage::Written, _) => {
                signing.stage = Stage::Durable;
                self.durable = self.written;
            }
            (Stage::Durable, _) => {
                process.state = SigningState::Known(record);
                self.leave(n);
            }
        }
    }

    /// A signature leaves the process: what is promised is looked at here.
    fn leave(&mut self, n: usize) {
        let Some(process) = &mut self.process else { return };
        let Signing { record, parent, permitted, .. } = process.signing.remove(n);
        let first = *self.signed.entry(record.last).or_insert(record.block);
        if first != record.block {
            self.broken = Some("two signatures in a slot");
        } else if parent < self.highest_parent {
            self.broken = Some("a signature below the lock");
        } else if !permitted {
            self.broken = Some("a signature while the gate was closed");
        }
        self.highest_parent = self.highest_parent.max(parent);
    }
}

/// A block has one slot and one parent; there are two of each kind.
fn block(slot: Slot, parent: Slot, fork: u8) -> BlockId {
    let mut id = [fork; 32];
    (id[0], id[1]) = (small(slot), small(parent));
    BlockId(id)
}

fn small(slot: Slot) -> u8 {
    u8::try_from(slot.0).expect("a few slots")
}

/// What a search came to.
#[derive(Debug)]
struct Found {
    states: usize,
    broken: Option<(&'static str, Vec<Model>)>,
}

/// Every state, the nearest first, until one is broken.
fn explore(without: Without) -> Found {
    let mut known = BTreeMap::from([(Model::new(), None)]);
    let mut waiting = VecDeque::from([Model::new()]);
    while let Some(model) = waiting.pop_front() {
        for next in model.next(without) {
            if known.contains_key(&next) {
                continue;
            }
            known.insert(next.clone(), Some(model.clone()));
            if let Some(how) = next.broken {
                return Found { states: known.len(), broken: Some((how, path(&known, next))) };
            }
            waiting.push_back(next);
        }
    }
    Found { states: known.len(), broken: None }
}

/// How a state was reached, from the beginning.
fn path(known: &BTreeMap<Model, Option<Model>>, end: Model) -> Vec<Model> {
    let mut path = vec![end];
    while let Some(Some(before)) = path.last().and_then(|state| known.get(state)) {
        path.push(before.clone());
    }
    path.reverse();
    path
}

#[test]
fn whatever_happens_no_slot_is_signed_twice_and_nothing_below_the_lock_or_past_the_gate() {
    let found = explore(Without::Nothing);
    assert!(found.broken.is_none(), "{:#?}", found.broken);
    assert!(
        found.states > 10_000,
        "only {} states: the model has become too small to show anything",
        found.states
    );
}

/// Takes something away; how the shortest broken run ends, and how many steps it has.
fn breaks(without: Without) -> (&'static str, usize) {
    let found = explore(without);
    let (how, path) = found.broken.expect("what was taken away is needed");
    (how, path.len() - 1)
}

#[test]
fn a_record_that_is_not_on_the_disk_is_lost_with_the_power_and_the_slot_is_signed_again() {
    let (how, steps) = breaks(Without::Durability);
    assert_eq!(how, "two signatures in a slot");
    // Start, gate, decide, write, sign; power; the same once more for the other block.
    assert_eq!(steps, 11);
}

#[test]
fn a_signature_that_leaves_before_its_record_is_signed_again_after_a_kill() {
    assert_eq!(breaks(Without::Order).0, "two signatures in a slot");
}

#[test]
fn a_lost_record_that_counts_as_an_empty_one_signs_again() {
    assert_eq!(breaks(Without::LostRecord).0, "two signatures in a slot");
}

#[test]
fn two_signatures_at_a_time_are_two_in_a_slot() {
    assert_eq!(breaks(Without::Lock).0, "two signatures in a slot");
}

#[test]
fn without_the_gate_nothing_is_signed_twice_but_a_node_that_is_behind_signs() {
    assert_eq!(breaks(Without::Gate).0, "a signature while the gate was closed");
}
