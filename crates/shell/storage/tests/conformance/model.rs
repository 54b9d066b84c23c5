//! Any history of commits and restarts leaves what a plain map would hold.

use std::collections::BTreeMap;
use std::path::Path;

use alys_chain::Height;
use alys_storage::{Batch, BlockKey, Durability, StateKey, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::Open;
use super::fixture::{AMPLE, GENESIS, Sample, sample};

/// Histories tried for each backend: enough to meet every pair of steps, few enough for a real disk.
const HISTORIES: u32 = 8;

#[derive(Clone, Debug)]
enum Step {
    Extend { height: u64, branch: u8 },
    Propose { height: u64, branch: u8 },
    Remove { height: u64, branch: u8 },
    Account { bucket: u8, address: u8, value: Option<u8> },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (1..6_u64, 0..3_u8);
    prop_oneof![
        4 => place().prop_map(|(height, branch)| Step::Extend { height, branch }),
        2 => place().prop_map(|(height, branch)| Step::Propose { height, branch }),
        2 => place().prop_map(|(height, branch)| Step::Remove { height, branch }),
        4 => (0..2_u8, 0..4_u8, any::<Option<u8>>())
            .prop_map(|(bucket, address, value)| Step::Account { bucket, address, value }),
        1 => Just(Step::Restart),
    ]
}

/// What the store must hold.
#[derive(Default)]
struct Model {
    /// Whether the block has a certificate.
    blocks: BTreeMap<BlockKey, bool>,
    canonical: BTreeMap<u64, BlockKey>,
    head: Option<BlockKey>,
    accounts: BTreeMap<(u8, u8), u8>,
}

impl Model {
    fn extend(&mut self, block: &Sample) {
        self.blocks.insert(block.at, true);
        self.canonical.insert(block.at.height.get(), block.at);
        self.head = Some(block.at);
    }

    /// Does the step here and writes it into the batch.
    fn take(&mut self, step: &Step, batch: &mut Batch) {
        match *step {
            Step::Extend { height, branch } => {
                let block = sample(height, branch, 40);
                block.extend(batch);
                self.extend(&block);
            }
            Step::Propose { height, branch } => {
                let block = sample(height, branch, 40);
                block.propose(batch);
                self.blocks.entry(block.at).or_insert(false);
            }
            Step::Remove { height, branch } => {
                let at = sample(height, branch, 40).at;
                batch.remove_block(at).clear_canonical(at.height);
                self.blocks.remove(&at);
                self.canonical.remove(&height);
            }
            Step::Account { bucket, address, value } => {
                let mut bytes = [address; 20];
                bytes[0] = bucket;
                let key = StateKey::Account(bytes);
                match value {
                    Some(value) => batch.put_state(key, &[value]),
                    None => batch.remove_state(key),
                };
                match value {
                    Some(value) => self.accounts.insert((bucket, address), value),
                    None => self.accounts.remove(&(bucket, address)),
                };
            }
            Step::Restart => {}
        }
    }

    fn check(&self, store: &dyn Store) {
        let genesis = BlockKey::new(Height(0), GENESIS);
        assert_eq!(store.head().unwrap(), self.head.unwrap_or(genesis));
        let stored: Vec<(BlockKey, bool)> = store
            .above_final()
            .unwrap()
            .into_iter()
            .map(|block| (BlockKey::new(block.header.height, block.id), block.certificate.is_some()))
            .collect();
        assert_eq!(stored, self.blocks.iter().map(|(at, certified)| (*at, *certified)).collect::<Vec<_>>());
        for height in 1..6 {
            assert_eq!(store.canonical(Height(height)).unwrap(), self.canonical.get(&height).map(|at| at.id));
        }
        self.check_range(store);
        for bucket in 0..2 {
            let stored: Vec<(u8, u8)> = store
                .accounts(bucket, None, AMPLE)
                .unwrap()
                .iter()
                .map(|entry| (entry.address[1], entry.value[0]))
                .collect();
            let expected = self.accounts.range((bucket, 0)..=(bucket, u8::MAX));
            assert_eq!(stored, expected.map(|((_, address), value)| (*address, *value)).collect::<Vec<_>>());
        }
    }

    /// From every height, as far as canonical blocks are there and certified.
    fn check_range(&self, store: &dyn Store) {
        for from in 1..6 {
            let expected: Vec<BlockKey> = (from..)
                .map_while(|height| self.canonical.get(&height).copied())
                .take_while(|at| self.blocks.get(at) == Some(&true))
                .collect();
            let range = store.certified_headers(Height(from), AMPLE).unwrap();
            assert_eq!(range.iter().map(|stored| stored.block).collect::<Vec<_>>(), expected);
        }
    }
}

fn play(open: Open<'_>, path: &Path, commits: &[(Vec<Step>, bool)]) {
    let mut model = Model::default();
    let mut store = open(path, GENESIS).unwrap();
    for (steps, durable) in commits {
        let mut batch = Batch::new();
        steps.iter().for_each(|step| model.take(step, &mut batch));
        let durability = if *durable { Durability::Durable } else { Durability::Buffered };
        store.commit(batch, durability).unwrap();
        if steps.iter().any(|step| matches!(step, Step::Restart)) {
            drop(store);
            store = open(path, GENESIS).unwrap();
        }
        model.check(&*store);
    }
}

pub fn any_history_equals_its_model(open: Open<'_>, path: &Path) {
    let mut number = 0;
    let config = Config { cases: HISTORIES, failure_persistence: None, ..Config::default() };
    let commits = prop::collection::vec((prop::collection::vec(step(), 0..6), any::<bool>()), 1..8);
    let history = std::cell::RefCell::new(&mut number);
    TestRunner::new(config)
        .run(&commits, |commits| {
            **history.borrow_mut() += 1;
            play(open, &path.join(history.borrow().to_string()), &commits);
            Ok(())
        })
        .unwrap();
}
