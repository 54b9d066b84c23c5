//! What the tests of this crate share: a funded world, signed transactions, a state checked from scratch.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_consensus::SignableTransaction;
use alloy_consensus::crypto::secp256k1::sign_message;
use alloy_consensus::transaction::RlpEcdsaEncodableTx;
use alloy_primitives::{Address, B256, Signature, U256};
use alys_chain::genesis::{Account as Holder, Amount};
use alys_chain::{Hash, Height};
use bytes::Bytes;
use zeroize::Zeroizing;

use crate::account::Account;
use crate::error::StateError;
use crate::execute::BlockFacts;
use crate::genesis::{LedgerRules, fee_address, genesis_state};
use crate::lattice::LatticeHash;
use crate::state_root::{Bucket, StateTree};
use crate::transaction::{ChainId, Recovered, recover};
use crate::view::{Accounts, EmptyState, Overlay, StateView};
use crate::wallet::{Transfer, Wallet};

pub(crate) const CHAIN: ChainId = ChainId(212);
pub(crate) const RULES: LedgerRules = LedgerRules { chain_id: CHAIN, base_fee: 10, gas_limit: 30_000_000 };

/// Signs as wallets do, whatever the type.
pub(crate) fn sign<T>(tx: &T, secret: [u8; 32]) -> Bytes
where
    T: SignableTransaction<Signature> + RlpEcdsaEncodableTx,
{
    let signature = sign_message(B256::from(secret), tx.signature_hash()).unwrap();
    with_signature(tx, &signature)
}

pub(crate) fn with_signature(tx: &impl RlpEcdsaEncodableTx, signature: &Signature) -> Bytes {
    let mut out = Vec::new();
    tx.eip2718_encode(signature, &mut out);
    out.into()
}

pub(crate) fn wallet(i: u8) -> Wallet {
    Wallet::new(Zeroizing::new([i + 1; 32])).unwrap()
}

/// A transfer at a price of 12 wei per gas.
pub(crate) fn transfer(from: u8, nonce: u64, to: Address, value: u64) -> Recovered {
    let transfer = Transfer {
        nonce,
        to,
        value: U256::from(value),
        max_fee: 30,
        max_priority_fee: 2,
        ..Transfer::default()
    };
    recover(&wallet(from).sign(&transfer, CHAIN), CHAIN).unwrap()
}

/// The state in which each of the first wallets owns this much.
pub(crate) fn funded(wallets: u8, each: u64) -> Overlay<EmptyState> {
    let allocations: BTreeMap<_, _> = (0..wallets)
        .map(|i| (Holder(wallet(i).address().into_array()), Amount::from(u128::from(each))))
        .collect();
    let mut state = Overlay::new(EmptyState).unwrap();
    state.apply(&genesis_state(&allocations).unwrap()).unwrap();
    state
}

pub(crate) fn block(height: u64) -> BlockFacts {
    RULES.block(Height(height), proposer())
}

pub(crate) fn proposer() -> Address {
    fee_address(&[7; 96])
}

/// The accounts that exist.
pub(crate) fn existing<V: StateView>(state: &Overlay<V>) -> BTreeMap<Address, Account> {
    state.accounts().iter().filter_map(|(address, account)| Some((*address, (*account)?))).collect()
}

/// The lattice hashes of the buckets, added up account by account.
pub(crate) fn lattices(accounts: &BTreeMap<Address, Account>) -> Vec<Arc<LatticeHash>> {
    let mut all = vec![LatticeHash::EMPTY; 256];
    for (address, account) in accounts {
        all[usize::from(address.0[0])].add(address, account);
    }
    all.into_iter().map(Arc::new).collect()
}

/// The state root, computed from nothing but the accounts.
pub(crate) fn root_from_scratch(accounts: &BTreeMap<Address, Account>) -> Hash {
    let all = lattices(accounts);
    let tree = StateTree::build(|b: Bucket| Ok::<_, StateError>(all[usize::from(b.0)].clone()));
    tree.unwrap().root()
}

pub(crate) fn total<V: StateView>(state: &Overlay<V>) -> U256 {
    existing(state).values().map(|account| account.balance).sum()
}

/// A state whose disk is gone.
pub(crate) struct Broken;

impl Accounts for Broken {
    fn account(&self, _: &Address) -> Result<Option<Account>, StateError> {
        Err(StateError::Storage("the disk is gone".into()))
    }
}

impl StateView for Broken {
    fn bucket(&self, _: Bucket) -> Result<Arc<LatticeHash>, StateError> {
        Err(StateError::Storage("the disk is gone".into()))
    }

    fn tree(&self) -> Result<StateTree, StateError> {
        Err(StateError::Storage("the disk is gone".into()))
    }
}
