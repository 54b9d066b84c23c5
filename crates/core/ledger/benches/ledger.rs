//! What the ledger costs: recovering a sender, executing 1,000 transfers, an empty block, the state root.
#![allow(clippy::unwrap_used, reason = "a bench that cannot be set up ends")]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;

use alys_chain::Height;
use alys_chain::genesis::{Account as Holder, Amount};
use alys_ledger::{
    Address, BlockFacts, ChainId, EmptyState, Executor, LatticeHash, LedgerRules, Overlay, Recovered,
    StateDiff, Transfer, U256, ValueLedger, Wallet, fee_address, genesis_state, recover, recover_senders,
};
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use zeroize::Zeroizing;

const CHAIN: ChainId = ChainId(212);
const TRANSFERS: usize = 1_000;
const WALLETS: usize = 100;

/// A funded state and a block of transfers: each wallet sends ten, each to an address of its own.
struct Scene {
    state: Overlay<EmptyState>,
    facts: BlockFacts,
    raw: Vec<Bytes>,
    transactions: Vec<Recovered>,
}

fn scene() -> Scene {
    let wallets: Vec<Wallet> = (1..=WALLETS).map(wallet).collect();
    let rules = LedgerRules { chain_id: CHAIN, base_fee: 1, gas_limit: 30_000_000 };
    let balances = wallets.iter().map(|w| (Holder(w.address().into_array()), Amount::from(1 << 60)));
    let mut state = Overlay::new(EmptyState).unwrap();
    state.apply(&genesis_state(&balances.collect()).unwrap()).unwrap();
    let raw: Vec<Bytes> = (0..TRANSFERS).map(|i| wallets[i % WALLETS].sign(&transfer(i), CHAIN)).collect();
    let transactions = recover_senders(&raw, CHAIN).unwrap();
    Scene { state, facts: rules.block(Height(1), fee_address(&[7; 96])), raw, transactions }
}

fn wallet(i: usize) -> Wallet {
    let mut secret = [0; 32];
    secret[24..].copy_from_slice(&(i as u64).to_be_bytes());
    Wallet::new(Zeroizing::new(secret)).unwrap()
}

fn transfer(i: usize) -> Transfer {
    let to = blake3::hash(&i.to_le_bytes());
    Transfer {
        nonce: (i / WALLETS) as u64,
        to: Address::from_slice(&to.as_bytes()[..20]),
        value: U256::from(1),
        max_fee: 2,
        ..Transfer::default()
    }
}

fn transactions(c: &mut Criterion) {
    let scene = scene();
    c.bench_function("recover one transfer", |b| {
        b.iter(|| recover(black_box(&scene.raw[0]), CHAIN).unwrap())
    });
    let large = wallet(1).sign(&Transfer { input: vec![1; 100_000].into(), ..transfer(0) }, CHAIN);
    c.bench_function("recover one with 100 kB of calldata", |b| {
        b.iter(|| recover(black_box(&large), CHAIN).unwrap())
    });
}

fn execution(c: &mut Criterion) {
    let scene = scene();
    let run = |transactions| ValueLedger.execute(&scene.state, &scene.facts, transactions).unwrap();
    let mut group = c.benchmark_group("execute");
    group.bench_function("an empty block", |b| b.iter(|| run(black_box(&[]))));
    group.throughput(Throughput::Elements(TRANSFERS as u64));
    group.bench_function("1,000 transfers", |b| b.iter(|| run(black_box(&scene.transactions))));
    let outcome = run(&scene.transactions);
    group.bench_function("state root of 1,000 transfers", |b| {
        b.iter_batched(
            || outcome.diff.accounts().to_vec(),
            |changes| StateDiff::new(&scene.state, changes).unwrap(),
            BatchSize::SmallInput,
        )
    });
    group.bench_function("apply 1,000 transfers", |b| {
        b.iter_batched_ref(|| scene.state.clone(), |state| state.apply(&outcome.diff), BatchSize::SmallInput)
    });
    group.finish();
}

fn lattice(c: &mut Criterion) {
    let account = alys_ledger::Account { nonce: 1, balance: U256::from(1) };
    let mut sum = LatticeHash::EMPTY;
    c.bench_function("add one account to a lattice hash", |b| {
        b.iter(|| sum.add(black_box(&Address::ZERO), black_box(&account)))
    });
}

criterion_group!(benches, transactions, execution, lattice);
criterion_main!(benches);
