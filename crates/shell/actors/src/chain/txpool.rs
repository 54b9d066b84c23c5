//! The transactions that wait for a block.
//!
//! - **Owns**: valid transactions by sender and nonce, bounded in number and bytes, and for each sender.
//! - **In**: transactions with recovered senders, and the accounts they start from. **Out**: candidates for a block, the best tips first, those of
//!   one sender in the order of their nonces.
//! - **When it is full** it refuses the new one: who waits is never pushed out by who shouts. What got into a block, or cannot any more, leaves
//!   when the pool is told the accounts' nonces.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use alys_chain::Hash;
use alys_chain::limits::{MAX_BODY_BYTES, MAX_TRANSACTIONS};
use alys_ledger::{Account, Address, Invalid, Recovered, U256};

use super::answers::Refused;

/// How many transactions wait at most: two full blocks. More would wait for longer than a wallet does, and each costs a read of the state when
/// the head has moved.
pub const MAX_WAITING: usize = 2 * MAX_TRANSACTIONS;
/// How many bytes wait at most: eight full bodies.
pub const MAX_BYTES: usize = 8 * MAX_BODY_BYTES;
/// How many transactions of one sender wait at most, and how far ahead its nonces may be: enough for a busy wallet, and 300 senders are needed to
/// fill the pool.
pub const MAX_OF_SENDER: u64 = 64;
/// Candidates offered to a block, in bytes: twice a body, as some will not fit.
const CANDIDATE_BYTES: usize = 2 * MAX_BODY_BYTES;

/// One that waits.
struct Waiting {
    tx: Recovered,
    /// The order of arrival, between equal tips.
    arrived: u64,
}

/// The transactions that wait.
#[derive(Default)]
pub struct TxPool {
    by_sender: BTreeMap<Address, BTreeMap<u64, Waiting>>,
    known: BTreeSet<Hash>,
    bytes: usize,
    arrivals: u64,
}

impl TxPool {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Their bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether this one waits here.
    pub fn contains(&self, hash: Hash) -> bool {
        self.known.contains(&hash)
    }

    /// Takes a transaction whose sender has this account at the head.
    ///
    /// # Errors
    /// Why it cannot wait here.
    pub fn insert(&mut self, tx: Recovered, account: Account) -> Result<(), Refused> {
        if self.contains(tx.hash()) {
            return Err(Refused::Known);
        }
        let (nonce, next) = (tx.nonce(), account.nonce);
        check_sender(&tx, account)?;
        if nonce.saturating_sub(next) >= MAX_OF_SENDER {
            return Err(Refused::TooFarAhead { nonce, next, limit: MAX_OF_SENDER });
        }
        if self.by_sender.get(&tx.sender()).is_some_and(|own| own.contains_key(&nonce)) {
            return Err(Refused::NonceTaken { nonce });
        }
        let bytes = self.bytes.saturating_add(tx.raw().len());
        if self.len() >= MAX_WAITING || bytes > MAX_BYTES {
            return Err(Refused::Full);
        }
        self.bytes = bytes;
        self.known.insert(tx.hash());
        self.arrivals += 1;
        let waiting = Waiting { arrived: self.arrivals, tx };
        self.by_sender.entry(waiting.tx.sender()).or_default().insert(nonce, waiting);
        Ok(())
    }

    /// The nonce for the next transaction of a sender whose account has `nonce`: behind those that wait without a gap.
    pub fn next_nonce(&self, sender: &Address, nonce: u64) -> u64 {
        let Some(own) = self.by_sender.get(sender) else { return nonce };
        let mut next = nonce;
        while own.contains_key(&next) {
            next += 1;
        }
        next
    }

    /// What a block may be filled with: the best tips first, each sender in the order of its nonces; about as much as a block holds.
    pub fn candidates(&self) -> Vec<Recovered> {
        let mut heads = BinaryHeap::new();
        let mut rest: BTreeMap<Address, Vec<&Waiting>> = BTreeMap::new();
        for (sender, own) in &self.by_sender {
            let mut own: Vec<&Waiting> = own.values().rev().collect();
            heads.extend(own.pop().map(Candidate::of));
            rest.insert(*sender, own);
        }
        let (mut chosen, mut bytes) = (Vec::new(), 0usize);
        while let Some(Candidate { waiting, .. }) = heads.pop() {
            bytes = bytes.saturating_add(waiting.tx.raw().len());
            if chosen.len() >= MAX_TRANSACTIONS || bytes > CANDIDATE_BYTES {
                break;
            }
            heads.extend(rest.get_mut(&waiting.tx.sender()).and_then(Vec::pop).map(Candidate::of));
            chosen.push(waiting.tx.clone());
        }
        chosen
    }

    /// The senders of all that wait.
    pub fn senders(&self) -> Vec<Address> {
        self.by_sender.keys().copied().collect()
    }

    /// Forgets what a sender has used: everything below its account's nonce.
    pub fn settle(&mut self, sender: &Address, nonce: u64) {
        let Some(own) = self.by_sender.get_mut(sender) else { return };
        let left = own.split_off(&nonce);
        let used = std::mem::replace(own, left);
        if own.is_empty() {
            self.by_sender.remove(sender);
        }
        for waiting in used.into_values() {
            self.bytes = self.bytes.saturating_sub(waiting.tx.raw().len());
            self.known.remove(&waiting.tx.hash());
        }
    }
}

/// What can be said of a transaction before its turn: its nonce is not used, and its sender can pay for this one.
fn check_sender(tx: &Recovered, account: Account) -> Result<(), Invalid> {
    let (sender, nonce, next) = (tx.sender(), tx.nonce(), account.nonce);
    if nonce < next {
        return Err(Invalid::NonceTooLow { sender, nonce, next });
    }
    let fee = U256::from(tx.gas_limit()).saturating_mul(U256::from(tx.max_fee()));
    let cost = fee.saturating_add(tx.value());
    if cost > account.balance {
        return Err(Invalid::Unaffordable { sender, balance: account.balance, cost });
    }
    Ok(())
}

/// The next transaction of some sender; the greatest is the best.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    tip: u128,
    earlier: std::cmp::Reverse<u64>,
}

struct Candidate<'a> {
    rank: Rank,
    waiting: &'a Waiting,
}

impl<'a> Candidate<'a> {
    fn of(waiting: &'a Waiting) -> Self {
        let rank = Rank { tip: waiting.tx.max_priority_fee(), earlier: std::cmp::Reverse(waiting.arrived) };
        Self { rank, waiting }
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Candidate<'_> {}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}
