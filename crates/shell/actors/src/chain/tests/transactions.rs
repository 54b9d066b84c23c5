//! The transactions that wait, apart from the actor.

use alys_ledger::{Account, Recovered, U256, Wallet, recover};
use zeroize::Zeroizing;

use super::world::*;
use crate::chain::Refused;
use crate::chain::txpool::{MAX_BYTES, MAX_OF_SENDER, TxPool};

const RICH: Account = Account { nonce: 0, balance: U256::MAX };

fn wallet(seed: u8) -> Wallet {
    Wallet::new(Zeroizing::new([seed; 32])).unwrap()
}

fn pay(from: u8, nonce: u64, tip: u128) -> Recovered {
    sized(from, nonce, tip, 0)
}

fn sized(from: u8, nonce: u64, tip: u128, bytes: usize) -> Recovered {
    let (to, value, input) = (BOB, U256::from(1), vec![0; bytes].into());
    let transfer =
        alys_ledger::Transfer { nonce, to, value, max_fee: 20_000_000, max_priority_fee: tip, input };
    recover(&wallet(from).sign(&transfer, CHAIN), CHAIN).unwrap()
}

#[test]
fn the_best_tips_come_first_and_each_sender_in_the_order_of_its_nonces() {
    let mut pool = TxPool::default();
    for (from, nonce, tip) in [(1, 1, 9), (1, 0, 2), (2, 0, 5), (3, 0, 5), (3, 1, 1)] {
        pool.insert(pay(from, nonce, tip), RICH).unwrap();
    }
    let order: Vec<_> = pool.candidates().iter().map(|tx| (tx.sender(), tx.nonce())).collect();
    let [one, two, three] = [1, 2, 3].map(|seed| wallet(seed).address());
    assert_eq!(order, [(two, 0), (three, 0), (one, 0), (one, 1), (three, 1)]);
}

#[test]
fn what_can_never_run_does_not_wait() {
    let mut pool = TxPool::default();
    let used = Account { nonce: 3, ..RICH };
    let refused = |pool: &mut TxPool, tx, account| pool.insert(tx, account).unwrap_err().to_string();
    assert!(refused(&mut pool, pay(1, 2, 0), used).contains("is used, the next one is 3"));
    assert!(refused(&mut pool, pay(1, 0, 0), Account::default()).contains("has 0 wei"));
    let far = pool.insert(pay(1, 3 + MAX_OF_SENDER, 0), used).unwrap_err();
    assert_eq!(far, Refused::TooFarAhead { nonce: 67, next: 3, limit: 64 });
    pool.insert(pay(1, 3, 0), used).unwrap();
    assert_eq!(pool.insert(pay(1, 3, 1), used), Err(Refused::NonceTaken { nonce: 3 }));
    assert_eq!(pool.insert(pay(1, 3, 0), used), Err(Refused::Known));
    assert_eq!((pool.len(), pool.next_nonce(&wallet(1).address(), 3)), (1, 4));
}

#[test]
fn a_full_pool_refuses_and_has_room_again_when_blocks_took_some() {
    let mut pool = TxPool::default();
    let (mut from, mut full) = (1, None);
    while full.is_none() {
        for nonce in 0..MAX_OF_SENDER {
            let tx = sized(from, nonce, 0, 100_000);
            full = full.or(pool.insert(tx, RICH).err());
        }
        from += 1;
    }
    assert_eq!(full, Some(Refused::Full));
    assert!(pool.bytes() <= MAX_BYTES && pool.bytes() > MAX_BYTES - 110_000);
    assert!(pool.candidates().len() < 45, "twice a body is offered, not all that waits");
    let first = wallet(1).address();
    pool.settle(&first, 10);
    assert_eq!(pool.next_nonce(&first, 10), MAX_OF_SENDER);
    pool.insert(sized(9, 0, 0, 100_000), RICH).unwrap();
    let before = pool.senders().len();
    pool.settle(&first, MAX_OF_SENDER);
    assert_eq!(pool.senders().len(), before - 1);
    pool.settle(&first, 0);
    for sender in pool.senders() {
        pool.settle(&sender, u64::MAX);
    }
    assert_eq!((pool.len(), pool.bytes()), (0, 0));
}
