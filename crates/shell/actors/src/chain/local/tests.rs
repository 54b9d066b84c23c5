use std::sync::Arc;

use alys_chain::consensus::{SigningRecord, TreeRefusal};
use alys_chain::genesis::{Account as Holder, Genesis};
use alys_chain::schedule::{Authority, Schedule};
use alys_chain::{Approval, BlockId, Certificate, Hash, Height, SecretKey, Slot, UnixMillis};
use alys_ledger::{Accounts, Address, ChainId, Recovered, StateView, Transfer, U256, Wallet, recover};
use alys_storage::BlockKey;
use alys_storage::memory::{Fault, MemoryDisk};
use zeroize::Zeroizing;

use super::*;

const CHAIN: ChainId = ChainId(212_121);
const BOB: Address = Address::repeat_byte(0xb0);
const MUCH: u128 = 1_000_000_000_000_000_000_000;

/// A network of four authorities and a rich wallet, and one node of it.
struct World {
    keys: Vec<SecretKey>,
    wallet: Wallet,
    network: Network,
    disk: MemoryDisk,
    chain: LocalChain,
}

impl World {
    fn new() -> Self {
        let keys: Vec<_> = (1..=4).map(|seed| SecretKey::from_seed(&[seed; 32])).collect();
        let wallet = Wallet::new(Zeroizing::new([7; 32])).unwrap();
        let genesis = Genesis {
            chain_id: CHAIN.0,
            time: UnixMillis(1_000),
            gas_limit: 30_000_000,
            schedule: Schedule::constant(2_000, keys.iter().map(Authority::of).collect()).unwrap(),
            allocations: [(Holder(wallet.address().0.0), MUCH.into())].into(),
        };
        let network = Network::new(&genesis).unwrap();
        let disk = MemoryDisk::new();
        let chain = open(&network, &disk);
        Self { keys, wallet, network, disk, chain }
    }

    fn pay(&self, nonce: u64) -> Recovered {
        let transfer = Transfer {
            nonce,
            to: BOB,
            value: U256::from(5),
            max_fee: 20_000_000,
            max_priority_fee: 0,
            input: Default::default(),
        };
        recover(&self.wallet.sign(&transfer, CHAIN), CHAIN).unwrap()
    }

    fn approval(&self, block: &PreparedBlock, authority: usize) -> Approval {
        let rules = &self.network.rules;
        let key = &self.keys[authority];
        let seat = rules.schedule().seats_of(&key.public_key()).next().unwrap();
        Approval::sign(rules.domain(), &block.header, seat, key)
    }

    fn certificate(&self, block: &PreparedBlock) -> Certificate {
        let mut tally = alys_chain::Tally::of(&block.header);
        for authority in 0..3 {
            tally.add(&self.network.rules, &self.approval(block, authority)).unwrap();
        }
        let lineage = self.chain.children_lineage(block.header.parent).unwrap();
        let schedule = self.network.rules.schedule();
        tally.certificate(schedule, lineage.required(schedule, block.header.slot)).unwrap()
    }

    /// Builds, stores and certifies a block on the head.
    fn grow(&mut self, slot: u64, transactions: &[Recovered]) -> VerifiedBlock {
        let (block, skipped) = self.chain.build(Slot(slot), transactions).unwrap();
        assert_eq!(skipped, []);
        self.chain.propose(&block, Slot(slot), None).unwrap();
        let certificate = self.certificate(&block);
        self.chain.certify(&certificate).unwrap();
        VerifiedBlock { block, certificate }
    }

    fn restart(&mut self) {
        self.chain = open(&self.network, &self.disk);
    }

    fn balance(&self, address: Address) -> U256 {
        self.chain.state().account(&address).unwrap().map_or(U256::ZERO, |account| account.balance)
    }
}

fn open(network: &Network, disk: &MemoryDisk) -> LocalChain {
    let store = disk.open(network.rules.genesis_id()).unwrap();
    LocalChain::open(network.clone(), Arc::new(store)).unwrap()
}

#[test]
fn a_fresh_store_holds_genesis() {
    let world = World::new();
    assert_eq!(world.chain.head().id, world.network.rules.genesis_id());
    assert_eq!(world.chain.finalized().height, Height::ZERO);
    assert_eq!(world.balance(world.wallet.address()), U256::from(MUCH));
}

#[test]
fn a_proposal_moves_nothing_until_it_is_certified() {
    let mut world = World::new();
    let (block, _) = world.chain.build(Slot(1), &[world.pay(0)]).unwrap();
    let effects = world.chain.propose(&block, Slot(1), None).unwrap();
    assert_eq!(effects, Effects::default());
    assert_eq!(world.chain.head().height, Height::ZERO);
    assert_eq!(world.balance(BOB), U256::ZERO);
    let certificate = world.certificate(&block);
    let effects = world.chain.certify(&certificate).unwrap();
    assert_eq!(effects.head.unwrap().id, block.id);
    assert_eq!(effects.certified, [certificate]);
    assert_eq!(world.balance(BOB), U256::from(5));
    let at = world.chain.store().transaction(world.pay(0).hash()).unwrap().unwrap();
    assert_eq!((at.height, at.position), (Height(1), 0));
}

#[test]
fn three_of_four_approvals_certify_and_the_certificate_is_ours_to_forward() {
    let mut world = World::new();
    let (block, _) = world.chain.build(Slot(1), &[]).unwrap();
    // The first one comes before its block.
    world.chain.approve(&world.approval(&block, 0), Slot(1)).unwrap();
    world.chain.propose(&block, Slot(1), None).unwrap();
    assert_eq!(world.chain.approve(&world.approval(&block, 1), Slot(1)).unwrap(), Effects::default());
    let effects = world.chain.approve(&world.approval(&block, 2), Slot(1)).unwrap();
    assert_eq!(effects.certified, [world.certificate(&block)]);
    assert_eq!(world.chain.head().id, block.id);
}

#[test]
fn a_child_in_the_next_slot_makes_its_parent_final() {
    let mut world = World::new();
    world.grow(1, &[]);
    let second = world.grow(3, &[]);
    assert_eq!(world.chain.finalized().height, Height::ZERO, "slot 2 is missing");
    let third = world.grow(4, &[]);
    assert_eq!(third.block.header.parent, second.block.id);
    assert_eq!(world.chain.finalized().id, second.block.id);
}

#[test]
fn a_restart_finds_everything_again() {
    let mut world = World::new();
    world.grow(1, &[world.pay(0)]);
    world.grow(3, &[world.pay(1)]);
    let (open_proposal, _) = world.chain.build(Slot(5), &[world.pay(2)]).unwrap();
    world.chain.propose(&open_proposal, Slot(5), None).unwrap();
    let before = (world.chain.head(), world.chain.finalized(), world.balance(BOB));
    world.restart();
    assert_eq!((world.chain.head(), world.chain.finalized(), world.balance(BOB)), before);
    world.chain.certify(&world.certificate(&open_proposal)).unwrap();
    assert_eq!(world.balance(BOB), U256::from(15));
}

#[test]
fn a_newcomer_imports_what_others_made_and_ends_in_the_same_state() {
    let mut world = World::new();
    let blocks: Vec<_> =
        (0..40u64).map(|i| world.grow(1 + i + i / 7, &[world.pay(2 * i), world.pay(2 * i + 1)])).collect();
    let mut newcomer = open(&world.network, &MemoryDisk::new());
    for batch in blocks.chunks(17) {
        newcomer.import(batch).unwrap();
    }
    assert_eq!(newcomer.head(), world.chain.head());
    assert_eq!(newcomer.finalized(), world.chain.finalized());
    assert_eq!(newcomer.state().tree().unwrap().root(), world.chain.state().tree().unwrap().root());
    // Once more changes nothing.
    assert_eq!(newcomer.import(&blocks).unwrap(), Effects::default());
}

#[test]
fn a_certified_fork_of_a_higher_slot_replaces_what_is_not_final() {
    let mut world = World::new();
    let base = world.grow(2, &[world.pay(0)]);
    let mut other = open(&world.network, &MemoryDisk::new());
    other.import(std::slice::from_ref(&base)).unwrap();
    let left = world.grow(4, &[world.pay(1), world.pay(2)]);
    assert_eq!(world.balance(BOB), U256::from(15));
    let (right, _) = other.build(Slot(6), &[world.pay(1)]).unwrap();
    world.chain.propose(&right, Slot(6), None).unwrap();
    let certificate = world.certificate(&right);
    let effects = world.chain.certify(&certificate).unwrap();
    assert_eq!(effects.head.unwrap().id, right.id);
    assert_eq!(effects.undone, [left.block.id]);
    assert_eq!(world.balance(BOB), U256::from(10));
    let store = world.chain.store().clone();
    assert_eq!(store.canonical(Height(2)).unwrap(), Some(right.id));
    assert_eq!(store.transaction(world.pay(2).hash()).unwrap(), None);
    assert!(store.transaction(world.pay(1).hash()).unwrap().is_some());
    // And the loser is forgotten once the winner is final.
    let last = world.grow(7, &[]);
    assert_eq!(world.chain.finalized().id, last.block.header.parent);
    assert_eq!(store.header(left.block.id).unwrap(), None);
    world.restart();
    assert_eq!(world.chain.head().id, last.block.id);
}

#[test]
fn a_certificate_of_a_later_block_brings_its_parents_along() {
    let mut world = World::new();
    let (first, _) = world.chain.build(Slot(1), &[world.pay(0)]).unwrap();
    world.chain.propose(&first, Slot(1), None).unwrap();
    let mut ahead = open(&world.network, &MemoryDisk::new());
    let certified = VerifiedBlock { certificate: world.certificate(&first), block: first.clone() };
    ahead.import(std::slice::from_ref(&certified)).unwrap();
    let (second, _) = ahead.build(Slot(2), &[world.pay(1)]).unwrap();
    world.chain.propose(&second, Slot(2), None).unwrap();
    world.chain.certify(&world.certificate(&second)).unwrap();
    assert_eq!(world.chain.head().id, second.id);
    assert_eq!(world.balance(BOB), U256::from(10));
    world.restart();
    assert_eq!(world.chain.head().id, second.id);
}

#[test]
fn a_block_with_a_wrong_state_root_is_refused_and_leaves_no_trace() {
    let mut world = World::new();
    let (mut block, _) = world.chain.build(Slot(1), &[world.pay(0)]).unwrap();
    block.header.state_root = Hash([9; 32]);
    block.id = block.header.id();
    let error = world.chain.propose(&block, Slot(1), None).unwrap_err();
    assert!(matches!(error, ChainError::StateRoot { .. }) && error.is_provable() && !error.is_ours());
    assert!(!world.chain.holds(block.id).unwrap());
    let good = world.grow(1, &[world.pay(0)]);
    assert_eq!(world.chain.head().id, good.block.id);
}

#[test]
fn an_invalid_transaction_is_the_proposers_fault() {
    let mut world = World::new();
    let (good, _) = world.chain.build(Slot(1), &[world.pay(0)]).unwrap();
    let body = alys_chain::Body::encode(&[world.pay(5).raw()]).unwrap();
    let header = Header { body_root: body.root().unwrap(), ..good.header };
    let block = PreparedBlock::check(header, header.id(), body, CHAIN).unwrap();
    let error = world.chain.propose(&block, Slot(1), None).unwrap_err();
    assert!(matches!(error, ChainError::Transaction { index: 0, .. }) && error.is_provable());
}

#[test]
fn a_block_without_its_parent_waits_elsewhere() {
    let mut world = World::new();
    let (mut block, _) = world.chain.build(Slot(1), &[]).unwrap();
    block.header.parent = BlockId([3; 32]);
    block.id = block.header.id();
    let error = world.chain.propose(&block, Slot(1), None).unwrap_err();
    assert!(matches!(error, ChainError::UnknownParent(_)) && error.is_temporary() && !error.is_provable());
}

#[test]
fn what_the_tree_refuses_is_not_kept() {
    let mut world = World::new();
    let (block, _) = world.chain.build(Slot(9), &[]).unwrap();
    let error = world.chain.propose(&block, Slot(1), None).unwrap_err();
    assert!(matches!(error, ChainError::Refused(TreeRefusal::Future)), "{error}");
    assert!(!world.chain.holds(block.id).unwrap());
}

#[test]
fn an_import_keeps_what_came_before_the_bad_block() {
    let mut world = World::new();
    let mut blocks: Vec<_> = (1..=5).map(|slot| world.grow(slot, &[world.pay(slot - 1)])).collect();
    blocks[3].block.header.state_root = Hash([1; 32]);
    blocks[3].block.id = blocks[3].block.header.id();
    let mut newcomer = open(&world.network, &MemoryDisk::new());
    let stopped = newcomer.import(&blocks).unwrap_err();
    assert_eq!(stopped.imported, 3);
    assert_eq!(stopped.effects.head.unwrap().id, blocks[2].block.id);
    assert!(matches!(stopped.error, ChainError::StateRoot { .. }));
    assert_eq!(newcomer.head().height, Height(3));
}

/// Blocks with so many transactions that their state roots are computed beside their execution.
fn full_blocks(world: &mut World) -> Vec<VerifiedBlock> {
    let block = |slot: u64| {
        let payments: Vec<_> = (slot * 40 - 40..slot * 40).map(|nonce| world.pay(nonce)).collect();
        world.grow(slot, &payments)
    };
    (1..=5).map(block).collect()
}

#[test]
fn blocks_whose_roots_follow_lead_to_the_state_that_single_ones_lead_to() {
    let mut world = World::new();
    let blocks = full_blocks(&mut world);
    let disk = MemoryDisk::new();
    let mut newcomer = open(&world.network, &disk);
    newcomer.import(&blocks).unwrap();
    assert_eq!(newcomer.head(), world.chain.head());
    assert_eq!(newcomer.finalized(), world.chain.finalized());
    assert_eq!(newcomer.state().account(&BOB).unwrap().unwrap().balance, U256::from(5 * 200));
    assert_eq!(newcomer.state().tree().unwrap(), world.chain.state().tree().unwrap());
    let after = open(&world.network, &disk);
    assert_eq!(after.head(), world.chain.head(), "and so does what was stored");
    assert_eq!(after.state().tree().unwrap(), world.chain.state().tree().unwrap());
}

#[test]
fn a_root_that_follows_is_checked_before_what_comes_behind_it() {
    let mut world = World::new();
    let mut blocks = full_blocks(&mut world);
    blocks[2].block.header.state_root = Hash([1; 32]);
    blocks[4].block.transactions[0] = world.pay(0);
    let mut newcomer = open(&world.network, &MemoryDisk::new());
    let stopped = newcomer.import(&blocks).unwrap_err();
    assert_eq!((stopped.imported, newcomer.head().height), (2, Height(2)));
    assert!(matches!(stopped.error, ChainError::StateRoot { .. }), "{}", stopped.error);
}

#[test]
fn an_invalid_transaction_ends_a_run_where_it_stands() {
    let mut world = World::new();
    let mut blocks = full_blocks(&mut world);
    let good = blocks.clone();
    blocks[3].block.transactions[7] = world.pay(0);
    let mut newcomer = open(&world.network, &MemoryDisk::new());
    let stopped = newcomer.import(&blocks).unwrap_err();
    assert_eq!((stopped.imported, newcomer.head().height), (3, Height(3)));
    assert!(matches!(stopped.error, ChainError::Transaction { index: 7, .. }), "{}", stopped.error);
    newcomer.import(&good).unwrap();
    assert_eq!(newcomer.state().tree().unwrap(), world.chain.state().tree().unwrap());
}

#[test]
fn what_the_tree_refuses_of_an_import_is_not_stored() {
    let mut world = World::new();
    let mut blocks = full_blocks(&mut world);
    blocks[3].certificate.slot = Slot(99);
    let disk = MemoryDisk::new();
    let mut newcomer = open(&world.network, &disk);
    let stopped = newcomer.import(&blocks).unwrap_err();
    assert!(matches!(stopped.error, ChainError::Refused(_)), "{}", stopped.error);
    assert_eq!((stopped.imported, newcomer.head().height), (3, Height(3)));
    assert!(!newcomer.holds(blocks[3].block.id).unwrap() && !newcomer.holds(blocks[4].block.id).unwrap());
    let after = open(&world.network, &disk);
    assert_eq!(after.head().height, Height(3));
    assert_eq!(after.state().tree().unwrap(), newcomer.state().tree().unwrap());
}

#[test]
fn a_full_disk_changes_nothing_and_the_same_blocks_are_taken_later() {
    let mut world = World::new();
    let blocks: Vec<_> = (1..=5).map(|slot| world.grow(slot, &[])).collect();
    let disk = MemoryDisk::new();
    let mut newcomer = open(&world.network, &disk);
    disk.fail_commit(1, Fault::DiskFull);
    let stopped = newcomer.import(&blocks).unwrap_err();
    assert_eq!(stopped.imported, 0);
    assert!(stopped.error.is_temporary() && stopped.error.is_ours());
    assert_eq!(newcomer.head().height, Height::ZERO);
    newcomer.import(&blocks).unwrap();
    assert_eq!(newcomer.head().height, Height(5));
}

#[test]
fn a_signature_is_on_record_with_its_block_after_a_loss_of_power() {
    let mut world = World::new();
    let (block, _) = world.chain.build(Slot(1), &[world.pay(0)]).unwrap();
    let record = SigningRecord { last: Slot(1), block: block.id, lock: Slot(0) };
    world.chain.propose(&block, Slot(1), Some(record)).unwrap();
    world.disk.crash();
    world.restart();
    assert_eq!(world.chain.store().signing_record().unwrap(), Some(record));
    assert!(world.chain.holds(block.id).unwrap());
    world.chain.certify(&world.certificate(&block)).unwrap();
    assert_eq!(world.chain.head().id, block.id);
}

#[test]
fn a_store_that_does_not_fit_together_is_refused() {
    let mut world = World::new();
    let block = world.grow(2, &[]);
    let mut batch = Batch::new();
    batch.set_head(BlockKey::new(Height(0), world.network.rules.genesis_id()));
    world.chain.store().commit(batch, Durability::Durable).unwrap();
    let store = || Arc::new(world.disk.open(world.network.rules.genesis_id()).unwrap());
    let error = LocalChain::open(world.network.clone(), store()).err().unwrap();
    assert!(matches!(error, ChainError::Inconsistent(_)), "{error}");
    let mut batch = Batch::new();
    batch.remove_diff(block.block.at());
    store().commit(batch, Durability::Durable).unwrap();
    let error = LocalChain::open(world.network.clone(), store()).err().unwrap();
    assert!(error.to_string().contains("has no diff"), "{error}");
}

#[test]
fn an_empty_body_must_be_what_the_header_says() {
    let world = World::new();
    let (mut block, _) = world.chain.build(Slot(1), &[]).unwrap();
    block.header.body_root = Hash([1; 32]);
    assert!(PreparedBlock::check(block.header, block.id, block.body, CHAIN).is_err());
    let (full, _) = world.chain.build(Slot(1), &[world.pay(0)]).unwrap();
    assert!(PreparedBlock::check(block.header, block.id, full.body.clone(), CHAIN).is_err());
    let error = PreparedBlock::check(full.header, full.id, full.body, ChainId(1)).unwrap_err();
    assert!(matches!(error, BadBody::Transaction { index: 0, .. }), "{error}");
}
