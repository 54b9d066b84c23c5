use alloy_consensus::TxLegacy;
use alloy_primitives::TxKind;
use proptest::prelude::*;

use super::*;
use crate::select::Skip;
use crate::testing::{
    Broken, CHAIN, RULES, block, existing, funded, proposer, root_from_scratch, sign, total, transfer, wallet,
};
use crate::transaction::recover;
use crate::view::Overlay;

const BOB: Address = Address::repeat_byte(0xb0);
/// 21,000 gas at 12 wei.
const FEE: u64 = 252_000;
/// The gas limit at the maximum fee of 30 wei.
const MOST: u64 = 630_000;

fn balance(state: &impl StateView, address: Address) -> u64 {
    state.account(&address).unwrap().unwrap_or_default().balance.to()
}

fn reason(state: &impl StateView, txs: &[Recovered]) -> (usize, Invalid) {
    match ValueLedger.execute(state, &block(1), txs).unwrap_err() {
        ExecError::Invalid { index, reason } => (index, reason),
        ExecError::State(error) => panic!("not the proposer's fault: {error}"),
    }
}

#[test]
fn a_transfer_moves_value_and_pays_the_proposer() {
    let mut state = funded(1, 1_000_000);
    let tx = transfer(0, 0, BOB, 500);
    let outcome = ValueLedger.execute(&state, &block(1), core::slice::from_ref(&tx)).unwrap();
    let receipt = Receipt {
        transaction: tx.hash(),
        success: true,
        from: wallet(0).address(),
        to: BOB,
        gas_used: 21_000,
        cumulative_gas_used: 21_000,
        effective_gas_price: 12,
    };
    assert_eq!(outcome.receipts, [receipt]);
    assert_eq!((outcome.gas_used, outcome.fees), (21_000, U256::from(FEE)));
    state.apply(&outcome.diff).unwrap();
    assert_eq!(state.root(), outcome.state_root());
    assert_eq!(balance(&state, wallet(0).address()), 1_000_000 - 500 - FEE);
    assert_eq!(balance(&state, BOB), 500);
    assert_eq!(balance(&state, proposer()), FEE);
    assert_eq!(state.account(&wallet(0).address()).unwrap().unwrap().nonce, 1);
}

#[test]
fn an_empty_block_changes_nothing_and_reads_nothing_but_the_tree() {
    let state = funded(1, 1_000_000);
    let outcome = ValueLedger.execute(&state, &block(1), &[]).unwrap();
    assert!(outcome.diff.is_empty());
    assert_eq!(outcome.state_root(), state.root());
}

#[test]
fn value_received_can_be_spent_in_the_same_block() {
    let state = funded(1, 3_000_000);
    let bob = wallet(1).address();
    let txs = [transfer(0, 0, bob, 1_000_000), transfer(1, 0, BOB, 7)];
    assert_eq!(ValueLedger.execute(&state, &block(1), &txs).unwrap().receipts[1].cumulative_gas_used, 42_000);
    let turned = [txs[1].clone(), txs[0].clone()];
    assert!(matches!(reason(&state, &turned), (0, Invalid::Unaffordable { .. })));
}

#[test]
fn sending_to_oneself_costs_the_fee_only() {
    let mut state = funded(1, 1_000_000);
    let me = wallet(0).address();
    let outcome = ValueLedger.execute(&state, &block(1), &[transfer(0, 0, me, 1_000)]).unwrap();
    state.apply(&outcome.diff).unwrap();
    assert_eq!(balance(&state, me), 1_000_000 - FEE);
}

#[test]
fn sending_nothing_creates_no_account() {
    let mut state = funded(1, 1_000_000);
    let outcome = ValueLedger.execute(&state, &block(1), &[transfer(0, 0, BOB, 0)]).unwrap();
    state.apply(&outcome.diff).unwrap();
    assert_eq!(state.account(&BOB).unwrap(), None);
}

#[test]
fn nonces_come_in_order() {
    let state = funded(1, 10_000_000);
    let me = wallet(0).address();
    let twice = [transfer(0, 0, BOB, 1), transfer(0, 0, BOB, 1)];
    assert_eq!(reason(&state, &twice), (1, Invalid::NonceTooLow { sender: me, nonce: 0, next: 1 }));
    let gap = [transfer(0, 1, BOB, 1)];
    assert_eq!(reason(&state, &gap), (0, Invalid::NonceTooHigh { sender: me, nonce: 1, next: 0 }));
}

#[test]
fn the_sender_must_be_able_to_pay_the_most_that_it_offered() {
    let me = wallet(0).address();
    let tx = [transfer(0, 0, BOB, 5)];
    assert!(ValueLedger.execute(&funded(1, MOST + 5), &block(1), &tx).is_ok());
    let (balance, cost) = (U256::from(MOST + 4), U256::from(MOST + 5));
    assert_eq!(reason(&funded(1, MOST + 4), &tx), (0, Invalid::Unaffordable { sender: me, balance, cost }));
}

#[test]
fn a_cost_beyond_256_bits_is_unaffordable() {
    let tx = legacy(U256::MAX, 10);
    assert!(matches!(
        reason(&funded(1, u64::MAX), &[tx]),
        (0, Invalid::Unaffordable { cost: U256::MAX, .. })
    ));
}

#[test]
fn the_base_fee_is_the_least_price() {
    let state = funded(1, u64::MAX);
    assert_eq!(reason(&state, &[legacy(U256::ZERO, 9)]), (0, Invalid::FeeBelowBase { max: 9, base: 10 }));
    let outcome = ValueLedger.execute(&state, &block(1), &[legacy(U256::ZERO, 11)]).unwrap();
    assert_eq!(outcome.receipts[0].effective_gas_price, 11, "a legacy transaction pays its gas price");
}

/// A legacy transaction of wallet 0 to Bob.
fn legacy(value: U256, gas_price: u128) -> Recovered {
    let tx = TxLegacy {
        chain_id: Some(CHAIN.0),
        gas_price,
        gas_limit: 21_000,
        to: TxKind::Call(BOB),
        value,
        ..TxLegacy::default()
    };
    recover(&sign(&tx, [1; 32]), CHAIN).unwrap()
}

#[test]
fn a_block_holds_its_gas_and_no_more() {
    let state = funded(1, u64::MAX);
    let txs = [transfer(0, 0, BOB, 1), transfer(0, 1, BOB, 1)];
    let facts = |gas_limit| BlockFacts { gas_limit, ..block(1) };
    assert!(ValueLedger.execute(&state, &facts(42_000), &txs).is_ok());
    let error = ValueLedger.execute(&state, &facts(41_999), &txs).unwrap_err();
    assert_eq!(
        error.to_string(),
        "transaction 1 is invalid: the gas limit 21000 is above the 20999 that are left in the block"
    );
}

#[test]
fn a_store_that_fails_is_not_the_proposers_fault() {
    let error = ValueLedger.execute(&Broken, &block(1), &[transfer(0, 0, BOB, 1)]).unwrap_err();
    assert!(matches!(error, ExecError::State(StateError::Storage(_))));
    let error = ValueLedger.select(&Broken, &block(1), Room::BODY, &[transfer(0, 0, BOB, 1)]).unwrap_err();
    assert!(matches!(error, StateError::Storage(_)));
    assert!(matches!(ValueLedger.execute(&Broken, &block(1), &[]), Err(ExecError::State(_))));
}

#[test]
fn more_value_than_there_is_means_a_damaged_state() {
    let mut state = funded(1, 1_000_000);
    let rich = Account { nonce: 0, balance: U256::MAX };
    let change = AccountChange { address: BOB, old: None, new: Some(rich) };
    let diff = StateDiff::new(&state, vec![change]).unwrap();
    state.apply(&diff).unwrap();
    let error = ValueLedger.execute(&state, &block(1), &[transfer(0, 0, BOB, 1)]).unwrap_err();
    assert!(matches!(error, ExecError::State(StateError::Corrupt(_))), "{error}");
}

#[test]
fn a_new_block_takes_what_is_valid_and_says_why_not_the_rest() {
    let state = funded(2, 10_000_000);
    let candidates = [
        transfer(0, 0, BOB, 1),
        transfer(0, 2, BOB, 1),
        transfer(5, 0, BOB, 1),
        transfer(0, 1, BOB, 1),
        transfer(1, 0, BOB, 1),
    ];
    let size = candidates[0].raw().len() + 4;
    let room = Room { bytes: 2 * size, transactions: 9 };
    let selection = ValueLedger.select(&state, &block(1), room, &candidates).unwrap();
    assert_eq!(selection.taken, [0, 3]);
    let (first, second, third) = (&selection.skipped[0], &selection.skipped[1], &selection.skipped[2]);
    assert!(matches!(first, (1, Skip::Invalid(Invalid::NonceTooHigh { .. }))));
    assert!(matches!(second, (2, Skip::Invalid(Invalid::Unaffordable { .. }))));
    assert_eq!(third, &(4, Skip::NoRoom));
    let taken = [candidates[0].clone(), candidates[3].clone()];
    assert_eq!(selection.outcome, ValueLedger.execute(&state, &block(1), &taken).unwrap());
}

#[test]
fn a_new_block_ends_with_its_gas_or_its_count() {
    let state = funded(3, 10_000_000);
    let candidates = [transfer(0, 0, BOB, 1), transfer(1, 0, BOB, 1), transfer(2, 0, BOB, 1)];
    let facts = BlockFacts { gas_limit: 50_000, ..block(1) };
    let selection = ValueLedger.select(&state, &facts, Room::BODY, &candidates).unwrap();
    assert_eq!((selection.taken, selection.skipped), (vec![0, 1], vec![(2, Skip::NoRoom)]));
    let one = Room { transactions: 1, ..Room::BODY };
    assert_eq!(ValueLedger.select(&state, &facts, one, &candidates).unwrap().taken, [0]);
    let tiny = BlockFacts { gas_limit: 20_000, ..block(1) };
    let selection = ValueLedger.select(&state, &tiny, Room::BODY, &candidates[..1]).unwrap();
    let never = Invalid::BlockGas { limit: 21_000, left: 20_000 };
    assert_eq!(selection.skipped, [(0, Skip::Invalid(never))], "no later block would take it either");
}

#[test]
fn a_receipt_survives_storage() {
    let state = funded(1, 1_000_000);
    let outcome = ValueLedger.execute(&state, &block(1), &[transfer(0, 0, BOB, 1)]).unwrap();
    let bytes = postcard::to_stdvec(&outcome.receipts).unwrap();
    assert_eq!(postcard::from_bytes::<Vec<Receipt>>(&bytes).unwrap(), outcome.receipts);
}

/// Who sends how much to whom: wallets 0..4 to wallets 0..4, the proposer or a fresh address.
fn payments() -> impl Strategy<Value = Vec<Vec<(u8, u8, u64)>>> {
    let payment = (0u8..4, 0u8..10, 0u64..2_000_000);
    prop::collection::vec(prop::collection::vec(payment, 0..6), 1..6)
}

fn payee(i: u8) -> Address {
    match i {
        0..4 => wallet(i).address(),
        4 => proposer(),
        other => Address::repeat_byte(other),
    }
}

/// Candidates of which some are valid, with nonces as if all were.
fn candidates(state: &impl StateView, payments: &[(u8, u8, u64)]) -> Vec<Recovered> {
    let mut sent = [0; 4];
    let mut next = |from: u8| {
        let nonce = state.account(&wallet(from).address()).unwrap().unwrap_or_default().nonce;
        sent[usize::from(from)] += 1;
        nonce + sent[usize::from(from)] - 1
    };
    payments.iter().map(|(from, to, value)| transfer(*from, next(*from), payee(*to), *value)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Blocks go forward and back over one another; at each step the accounts alone give the same root, and no value appears or vanishes.
    #[test]
    fn blocks_conserve_value_and_can_be_undone(blocks in payments()) {
        let mut state = funded(4, 4_000_000);
        let supply = total(&state);
        let mut trail = Vec::new();
        for (i, payments) in blocks.iter().enumerate() {
            let all = candidates(&state, payments);
            let facts = RULES.block(Height(i as u64 + 1), proposer());
            let selection = ValueLedger.select(&state, &facts, Room::BODY, &all).unwrap();
            let taken: Vec<_> = selection.taken.iter().map(|i| all[*i].clone()).collect();
            let outcome = ValueLedger.execute(&state, &facts, &taken).unwrap();
            prop_assert_eq!(&outcome, &selection.outcome, "a block is worth the same to its maker and to others");
            trail.push((existing(&state), state.root(), outcome.diff.clone()));
            state.apply(&outcome.diff).unwrap();
            prop_assert_eq!(state.root(), root_from_scratch(&existing(&state)));
            prop_assert_eq!(total(&state), supply);
        }
        for (accounts, root, diff) in trail.into_iter().rev() {
            state.apply(&diff.reversed()).unwrap();
            prop_assert_eq!(existing(&state), accounts);
            prop_assert_eq!(state.root(), root);
        }
    }

    /// A skipped transaction is one that the block would be invalid with.
    #[test]
    fn what_is_skipped_as_invalid_is_invalid(payments in prop::collection::vec((0u8..4, 0u8..10, 0u64..3_000_000), 1..8)) {
        let state = funded(4, 4_000_000);
        let all = candidates(&state, &payments);
        let selection = ValueLedger.select(&state, &block(1), Room::BODY, &all).unwrap();
        for (i, skip) in &selection.skipped {
            let mut txs: Vec<_> = selection.taken.iter().filter(|t| *t < i).map(|t| all[*t].clone()).collect();
            txs.push(all[*i].clone());
            let (index, why) = reason(&state, &txs);
            prop_assert_eq!(index, txs.len() - 1);
            prop_assert_eq!(&Skip::Invalid(why), skip);
        }
    }

    /// The view of another branch: ours undone, theirs applied, over a base that is never written.
    #[test]
    fn a_fork_is_executed_on_a_view(ours in payments(), theirs in payments()) {
        let fork = funded(4, 4_000_000);
        let run = |mut state: Overlay<_>, blocks: &[Vec<(u8, u8, u64)>]| {
            let mut diffs = Vec::new();
            for payments in blocks {
                let all = candidates(&state, payments);
                let diff = ValueLedger.select(&state, &block(1), Room::BODY, &all).unwrap().outcome.diff;
                state.apply(&diff).unwrap();
                diffs.push(diff);
            }
            (state, diffs)
        };
        let (base, our_diffs) = run(fork.clone(), &ours);
        let (expected, their_diffs) = run(fork, &theirs);
        let mut view = Overlay::new(&base).unwrap();
        our_diffs.iter().rev().for_each(|diff| view.apply(&diff.reversed()).unwrap());
        their_diffs.iter().for_each(|diff| view.apply(diff).unwrap());
        prop_assert_eq!(view.root(), expected.root());
        for address in base.accounts().keys().chain(expected.accounts().keys()) {
            prop_assert_eq!(view.account(address).unwrap(), expected.account(address).unwrap());
        }
    }
}
