//! What a network fixes for its ledger once and for all: the chain id, the price and the amount of gas, who owns what at the start, and where
//! the authorities receive their fees.

use std::collections::BTreeMap;

use alloy_primitives::{Address, FixedBytes, U256};
use alys_chain::{Hash, Height};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::diff::{AccountChange, StateDiff};
use crate::error::GenesisError;
use crate::execute::BlockFacts;
use crate::transaction::ChainId;
use crate::view::EmptyState;

/// Separates a fee address and the settings' digest from every other hash.
const FEE_ADDRESS_DOMAIN: &str = "alys/fee-address/1";
const SETTINGS_DOMAIN: &str = "alys/ledger-settings/1";

/// An authority's BLS public key: a compressed point of G2, 96 bytes.
pub type AuthorityKey = FixedBytes<96>;

/// The ledger's part of a genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerGenesis {
    /// The chain that transactions are signed for.
    pub chain_id: ChainId,
    /// The least price of gas, in wei per gas; the same in every block.
    pub base_fee: u128,
    /// The most gas that a block may use.
    pub gas_limit: u64,
    /// Who owns what at the start, in wei.
    pub balances: BTreeMap<Address, U256>,
    /// Where authorities receive their fees, by BLS key. See [`LedgerGenesis::fee_address`] for those that are not named.
    #[serde(default)]
    pub fee_addresses: BTreeMap<AuthorityKey, Address>,
}

impl LedgerGenesis {
    /// The accounts of genesis, as a diff from [`EmptyState`]; its end is the state root of the genesis header.
    ///
    /// # Errors
    /// [`GenesisError::TooMuchValue`].
    pub fn state(&self) -> Result<StateDiff, GenesisError> {
        self.balances
            .values()
            .try_fold(U256::ZERO, |sum, balance| sum.checked_add(*balance))
            .ok_or(GenesisError::TooMuchValue)?;
        let changes = self.balances.iter().map(|(address, balance)| AccountChange {
            address: *address,
            old: None,
            new: Account { nonce: 0, balance: *balance }.stored(),
        });
        Ok(StateDiff::new(&EmptyState, changes.collect())?)
    }

    /// Where an authority receives its fees: the address that genesis names for its BLS key; else the last 20 bytes of a hash of the key,
    /// which nobody can spend from. (The address cannot follow from the secret key, since every node must know it; and the header
    /// has no field for it, so that a proposer has nothing to choose.)
    #[must_use]
    pub fn fee_address(&self, authority: &AuthorityKey) -> Address {
        self.fee_addresses.get(authority).copied().unwrap_or_else(|| {
            let hash = blake3::derive_key(FEE_ADDRESS_DOMAIN, authority.as_slice());
            Address::from_slice(&hash[12..])
        })
    }

    /// The facts of a block for execution.
    #[must_use]
    pub fn block_facts(&self, height: Height, proposer: &AuthorityKey) -> BlockFacts {
        BlockFacts {
            height,
            fee_recipient: self.fee_address(proposer),
            gas_limit: self.gas_limit,
            base_fee: self.base_fee,
        }
    }

    /// Commits to everything here that the state root of genesis does not say, so that networks which would execute differently
    /// cannot share a genesis id.
    #[must_use]
    pub fn settings_digest(&self) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key(SETTINGS_DOMAIN);
        hasher.update(&self.chain_id.0.to_le_bytes());
        hasher.update(&self.base_fee.to_le_bytes());
        hasher.update(&self.gas_limit.to_le_bytes());
        for (key, address) in &self.fee_addresses {
            hasher.update(key.as_slice());
            hasher.update(address.as_slice());
        }
        Hash(hasher.finalize().into())
    }
}
