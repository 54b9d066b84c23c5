//! What a network fixes for its ledger once and for all: the chain id, the price and the amount of gas, who owns what at the start, and where
//! the authorities receive their fees. It all follows from the chain's genesis.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use alys_chain::Height;
use alys_chain::genesis::{Account as Holder, Amount, Genesis};

use crate::account::Account;
use crate::diff::{AccountChange, StateDiff};
use crate::error::GenesisError;
use crate::execute::BlockFacts;
use crate::transaction::ChainId;
use crate::view::EmptyState;

/// The least price of gas in wei, in every block. Not higher: with a bitcoin of 10^18 wei a transfer costs 21 satoshi. Not lower: to fill
/// a block with nothing must hurt, and costs 30,000 satoshi.
pub const BASE_FEE: u128 = 10_000_000;

/// Names what the hash of an authority's key is for (a context of BLAKE3's key derivation).
const FEE_ADDRESS_CONTEXT: &str = "alys/fee-address/1";

/// What execution takes from the genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerRules {
    /// The chain that transactions are signed for.
    pub chain_id: ChainId,
    /// The least price of gas, in wei per gas; the same in every block.
    pub base_fee: u128,
    /// The most gas that a block may use.
    pub gas_limit: u64,
}

impl LedgerRules {
    /// The rules of the network with this genesis.
    #[must_use]
    pub fn of(genesis: &Genesis) -> Self {
        Self { chain_id: ChainId(genesis.chain_id), base_fee: BASE_FEE, gas_limit: genesis.gas_limit }
    }

    /// The facts of a block for execution; `fee_recipient` is its proposer's [`fee_address`].
    #[must_use]
    pub fn block(&self, height: Height, fee_recipient: Address) -> BlockFacts {
        BlockFacts { height, fee_recipient, gas_limit: self.gas_limit, base_fee: self.base_fee }
    }
}

/// The accounts of a genesis (`Genesis::allocations`), as a diff from [`EmptyState`]; its end is the state root of the genesis header.
///
/// # Errors
/// [`GenesisError::TooMuchValue`].
pub fn genesis_state(allocations: &BTreeMap<Holder, Amount>) -> Result<StateDiff, GenesisError> {
    let mut total = U256::ZERO;
    let mut changes = Vec::with_capacity(allocations.len());
    for (holder, amount) in allocations {
        let balance = U256::from_be_bytes(amount.0);
        total = total.checked_add(balance).ok_or(GenesisError::TooMuchValue)?;
        let new = Account { nonce: 0, balance }.stored();
        changes.push(AccountChange { address: Address::from(holder.0), old: None, new });
    }
    Ok(StateDiff::new(&EmptyState, changes)?)
}

/// Where an authority receives its fees: the last 20 bytes of a hash of its BLS key (96 bytes, compressed G2), so that every node knows it
/// and a proposer has nothing to choose. No transaction can be signed from there: the fees wait until the chain names spendable addresses.
#[must_use]
pub fn fee_address(authority: &[u8; 96]) -> Address {
    let hash = blake3::derive_key(FEE_ADDRESS_CONTEXT, authority);
    Address::from_slice(&hash[12..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(byte: u8) -> Holder {
        Holder([byte; 20])
    }

    #[test]
    fn genesis_holds_what_was_allocated_and_nothing_else() {
        let allocations = [(holder(1), Amount::from(5)), (holder(2), Amount::from(0))].into();
        let diff = genesis_state(&allocations).unwrap();
        let expected = Account { nonce: 0, balance: U256::from(5) };
        assert_eq!(diff.accounts().len(), 1, "an account without value does not exist");
        assert_eq!(diff.accounts()[0].new, Some(expected));
    }

    /// The roots come from an independent program (Python, BLAKE3 bindings) that follows the module docs.
    #[test]
    fn the_state_root_of_a_genesis_never_changes() {
        let root = |allocations| genesis_state(&allocations).unwrap().root_after().to_string();
        assert_eq!(root([].into()), "0x09017f77da236182a73553b679c37733bc5a2bd17da5cf1370c15f4a4b00c986");
        let first = (holder(0xa1), Amount::from(1_000));
        assert_eq!(
            root([first].into()),
            "0x8f6fc2916b3d1f253820bd73b910668435da58dde21e5001d576b60e4cec1c83"
        );
        let mut second = holder(0xa1);
        second.0[19] = 0xa2;
        assert_eq!(
            root([first, (second, Amount::from(7))].into()),
            "0x160761ba4c0b801631e27226a76e2120a27dfd3abc06bd21f2afde963b2bf912"
        );
    }

    #[test]
    fn more_value_than_fits_is_refused() {
        let all = Amount([0xff; 32]);
        assert!(genesis_state(&[(holder(1), all)].into()).is_ok());
        let error = genesis_state(&[(holder(1), all), (holder(2), Amount::from(1))].into()).unwrap_err();
        assert!(matches!(error, GenesisError::TooMuchValue));
    }

    #[test]
    fn authorities_have_different_fee_addresses() {
        assert_ne!(fee_address(&[1; 96]), fee_address(&[2; 96]));
    }
}
