//! The transactions of a generated history: transfers of a few development wallets, signed ahead on all cores.

use std::collections::VecDeque;

use alys_actor::Randomness;
use alys_chain::Genesis;
use alys_chain::genesis::{Account, Amount};
use alys_ledger::{Address, BASE_FEE, ChainId, Recovered, Transfer, U256, Wallet, recover};
use bytes::Bytes;
use rand_core::Rng;
use zeroize::Zeroizing;

use crate::cores;

/// How many wallets send. Enough that traffic of several nodes does not queue behind one nonce, few enough to list.
const WALLETS: u8 = 16;
/// What each of them owns at genesis, in wei: a thousand million coins, more than any history spends.
const FUNDS: u128 = 1_000_000_000_000_000_000_000_000_000;
/// How many accounts receive if nobody says how many. Enough that every bucket of the state is touched.
const RECIPIENTS: u64 = 1_000;
/// Spreads the recipients over the buckets, which go by the first byte of an address (an odd number near 2^64 divided by the golden ratio).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What the transactions of a block are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// How many there are in a block.
    pub transactions: usize,
    /// Bytes of calldata in each of them.
    pub calldata: usize,
    /// How many accounts receive, one after the other.
    pub recipients: u64,
}

impl Load {
    /// So many transactions in a block, with so many bytes of calldata each, to some recipients.
    #[must_use]
    pub const fn new(transactions: usize, calldata: usize) -> Self {
        Self { transactions, calldata, recipients: RECIPIENTS }
    }
}

/// The development wallets. Their keys are public knowledge: they must own nothing on a network that is worth something.
#[must_use]
pub fn wallets() -> Vec<Wallet> {
    let wallet = |number: u8| {
        let mut secret = Zeroizing::new([0; 32]);
        secret[..23].copy_from_slice(b"alys development wallet");
        secret[31] = number;
        Wallet::new(secret).expect("neither zero nor above the order of the curve")
    };
    (0..WALLETS).map(wallet).collect()
}

/// The genesis with money in the development wallets.
#[must_use]
pub fn funded(mut genesis: Genesis) -> Genesis {
    let funds = wallets().into_iter().map(|wallet| (Account(wallet.address().0.0), Amount::from(FUNDS)));
    genesis.allocations.extend(funds);
    genesis
}

/// Transactions that are signed at once: some milliseconds of work for all cores, when a block has only one of them.
const SIGN_AHEAD: usize = 256;
/// The same in bytes of calldata.
const SIGN_AHEAD_BYTES: usize = 8 * 1024 * 1024;

/// Makes transfers of the development wallets, in turns, with nonces that follow each other.
pub struct Traffic {
    wallets: Vec<Wallet>,
    chain: ChainId,
    calldata: usize,
    recipients: u64,
    made: u64,
    ahead: VecDeque<Recovered>,
}

impl Traffic {
    /// Traffic on a chain on which the wallets have sent nothing yet.
    #[must_use]
    pub fn new(chain: ChainId, load: Load) -> Self {
        let Load { calldata, recipients, .. } = load;
        Self { wallets: wallets(), chain, calldata, recipients, made: 0, ahead: VecDeque::new() }
    }

    /// Traffic on a chain that holds so many of these transactions already.
    #[must_use]
    pub fn behind(self, made: u64) -> Self {
        Self { made, ..self }
    }

    /// The next `count` transactions.
    pub fn next(&mut self, count: usize) -> Vec<Recovered> {
        if self.ahead.len() < count {
            let more = SIGN_AHEAD.min(SIGN_AHEAD_BYTES / self.calldata.max(1)).max(count);
            let numbers: Vec<u64> = (self.made..).take(more).collect();
            self.made += numbers.len() as u64;
            let signed = cores::map(&numbers, |number| self.sign(*number));
            self.ahead.extend(signed);
        }
        self.ahead.drain(..count).collect()
    }

    fn sign(&self, number: u64) -> Recovered {
        let wallets = self.wallets.len() as u64;
        let wallet = &self.wallets[usize::try_from(number % wallets).expect("below the number of wallets")];
        let transfer = Transfer {
            nonce: number / wallets,
            to: recipient(number % self.recipients.max(1)),
            value: U256::from(1),
            max_fee: BASE_FEE,
            max_priority_fee: 0,
            input: calldata(number, self.calldata),
        };
        recover(&wallet.sign(&transfer, self.chain), self.chain).expect("it was just signed for this chain")
    }
}

fn recipient(number: u64) -> Address {
    let mut address = [0; 20];
    address[..8].copy_from_slice(&number.wrapping_add(1).wrapping_mul(SPREAD).to_be_bytes());
    Address::from(address)
}

/// Bytes that no compression makes smaller, so that what is measured with them is not the compressor.
fn calldata(number: u64, size: usize) -> Bytes {
    if size == 0 {
        return Bytes::new();
    }
    let mut bytes = vec![0; size];
    Randomness::seeded(number).stream("calldata").fill_bytes(&mut bytes);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_wallets_take_turns_and_their_nonces_follow_each_other() {
        let mut traffic = Traffic::new(ChainId(7), Load::new(1, 5));
        let mut all = traffic.next(20);
        all.extend(traffic.next(300));
        all.extend(traffic.next(1));
        let addresses: Vec<_> = wallets().iter().map(Wallet::address).collect();
        for (i, transaction) in all.iter().enumerate() {
            assert_eq!(transaction.sender(), addresses[i % 16]);
            assert_eq!(transaction.nonce(), i as u64 / 16);
        }
    }

    #[test]
    fn the_recipients_reach_every_bucket() {
        let buckets: BTreeSet<u8> = (0..RECIPIENTS).map(|i| recipient(i).0[0]).collect();
        assert_eq!(buckets.len(), 256);
    }

    #[test]
    fn calldata_differs_from_one_to_the_next() {
        assert_ne!(calldata(1, 100), calldata(2, 100));
        assert_eq!(calldata(1, 100), calldata(1, 100));
        assert!(calldata(1, 0).is_empty());
    }
}
