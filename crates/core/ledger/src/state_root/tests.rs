use alloy_primitives::U256;
use proptest::prelude::*;

use super::*;
use crate::error::StateError;
use crate::testing::lattices;
use std::collections::BTreeMap;

type Accounts = BTreeMap<Address, Account>;

fn accounts() -> impl Strategy<Value = Accounts> {
    let address = any::<[u8; 20]>().prop_map(Address::from);
    let account =
        (any::<u64>(), 1u64..).prop_map(|(nonce, balance)| Account { nonce, balance: U256::from(balance) });
    prop::collection::btree_map(address, account, 0..40)
}

fn tree_of(lattices: &[Arc<LatticeHash>]) -> StateTree {
    StateTree::build(|b| Ok::<_, StateError>(lattices[usize::from(b.0)].clone())).unwrap()
}

fn some_accounts() -> Accounts {
    let account = |n: u64| Account { nonce: n, balance: U256::from(n) };
    let address = |bucket: u8, i: u8| {
        let mut address = Address::repeat_byte(i);
        address.0[0] = bucket;
        address
    };
    (0..=255u8)
        .flat_map(|b| (1..4).map(move |i| (address(b, i), account(u64::from(b) + u64::from(i)))))
        .collect()
}

#[test]
fn every_bucket_is_proven_and_in_its_own_place_only() {
    let lattices = lattices(&some_accounts());
    let tree = tree_of(&lattices);
    for bucket in Bucket::all() {
        let proof = tree.prove(bucket);
        let lattice = &lattices[usize::from(bucket.0)];
        assert!(proof.verify(&tree.root(), lattice));
        assert_eq!(BucketProof::decode(&proof.encode()), proof);
        let elsewhere = BucketProof { bucket: Bucket(bucket.0 ^ 1), ..proof };
        assert!(!elsewhere.verify(&tree.root(), lattice));
    }
}

#[test]
fn any_flipped_bit_breaks_a_proof() {
    let lattices = lattices(&some_accounts());
    let tree = tree_of(&lattices);
    let bytes = tree.prove(Bucket(77)).encode();
    for i in 0..bytes.len() * 8 {
        let mut flipped = bytes;
        flipped[i / 8] ^= 1 << (i % 8);
        assert!(!BucketProof::decode(&flipped).verify(&tree.root(), &lattices[77]), "bit {i}");
    }
    let lattice = lattices[77].to_bytes();
    for i in 0..lattice.len() {
        let mut flipped = lattice;
        flipped[i] ^= 1;
        assert!(!tree.prove(Bucket(77)).verify(&tree.root(), &LatticeHash::from_bytes(&flipped)), "byte {i}");
    }
}

#[test]
fn without_a_change_the_tree_is_the_same_memory() {
    let tree = tree_of(&lattices(&some_accounts()));
    assert!(Arc::ptr_eq(&tree.updated([]).nodes, &tree.nodes));
}

/// The accounts of a bucket, served with its proof, and what the receiver says.
fn served(accounts: &[(Address, Account)], bucket: Bucket) -> Result<LatticeHash, BucketFault> {
    let tree = tree_of(&lattices(&some_accounts()));
    let mut sum = BucketSum::new(bucket);
    for (address, account) in accounts {
        sum.push(address, account)?;
    }
    sum.finish(&tree.prove(bucket), &tree.root())
}

fn bucket_77() -> Vec<(Address, Account)> {
    some_accounts().into_iter().filter(|(address, _)| Bucket::of(address) == Bucket(77)).collect()
}

#[test]
fn a_bucket_is_its_accounts_all_of_them_once() {
    let all = bucket_77();
    assert_eq!(served(&all, Bucket(77)).unwrap(), *lattices(&some_accounts())[77]);
    assert_eq!(served(&all[1..], Bucket(77)), Err(BucketFault::WrongRoot));
    let mut twice = all.clone();
    twice.insert(1, all[0]);
    assert_eq!(served(&twice, Bucket(77)), Err(BucketFault::NotAscending(all[0].0)));
    let mut turned = all.clone();
    turned.swap(0, 1);
    assert_eq!(served(&turned, Bucket(77)), Err(BucketFault::NotAscending(all[0].0)));
    let mut changed = all.clone();
    changed[2].1.nonce += 1;
    assert_eq!(served(&changed, Bucket(77)), Err(BucketFault::WrongRoot));
}

#[test]
fn a_bucket_takes_neither_strangers_nor_empty_accounts() {
    let mut strange = bucket_77();
    strange[0].0.0[0] = 78;
    assert_eq!(served(&strange, Bucket(77)), Err(BucketFault::WrongBucket(strange[0].0)));
    let mut empty = bucket_77();
    empty[0].1 = Account::default();
    assert_eq!(served(&empty, Bucket(77)), Err(BucketFault::Empty(empty[0].0)));
}

#[test]
fn the_proof_of_another_bucket_is_refused() {
    let accounts = BTreeMap::new();
    let tree = tree_of(&lattices(&accounts));
    let sum = BucketSum::new(Bucket(1));
    assert_eq!(sum.finish(&tree.prove(Bucket(2)), &tree.root()), Err(BucketFault::WrongRoot));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn updating_gives_the_tree_that_building_gives(old in accounts(), new in accounts()) {
        let (old, new) = (lattices(&old), lattices(&new));
        let changed = Bucket::all().filter(|b| old[usize::from(b.0)] != new[usize::from(b.0)]);
        let updated = tree_of(&old).updated(changed.map(|b| (b, new[usize::from(b.0)].as_ref())));
        prop_assert_eq!(updated, tree_of(&new));
    }

    #[test]
    fn the_order_of_changes_does_not_matter_and_removing_undoes_adding(accounts in accounts(), others in accounts()) {
        let mut forward = LatticeHash::EMPTY;
        accounts.iter().chain(&others).for_each(|(a, x)| forward.add(a, x));
        let mut backward = LatticeHash::EMPTY;
        others.iter().rev().chain(accounts.iter().rev()).for_each(|(a, x)| backward.add(a, x));
        prop_assert_eq!(&forward, &backward);
        others.iter().for_each(|(a, x)| forward.remove(a, x));
        accounts.iter().for_each(|(a, x)| forward.remove(a, x));
        prop_assert_eq!(forward, LatticeHash::default());
    }

    #[test]
    fn a_lattice_hash_survives_its_encoding(accounts in accounts()) {
        let mut sum = LatticeHash::EMPTY;
        accounts.iter().for_each(|(a, x)| sum.add(a, x));
        prop_assert_eq!(LatticeHash::from_bytes(&sum.to_bytes()), sum);
    }
}
