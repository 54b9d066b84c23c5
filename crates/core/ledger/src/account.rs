//! An account and its one encoding. The key of an account in the state is its address (20 bytes).

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use crate::error::StateError;

/// What the state holds of one address. The empty account (both fields zero) is the absent one: it is never stored, so that a state has
/// one representation only (compare EIP-161).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// How many transactions the account has sent.
    pub nonce: u64,
    /// What it owns, in wei.
    pub balance: U256,
}

impl Account {
    /// The size of the encoding in bytes.
    pub const SIZE: usize = 8 + 32;

    /// Whether this is the account that is never stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero()
    }

    /// The account as the state holds it: `None` if empty.
    #[must_use]
    pub fn stored(self) -> Option<Self> {
        (!self.is_empty()).then_some(self)
    }

    /// The canonical encoding: the SSZ container of nonce (`uint64`) and balance (`uint256`), both little-endian.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[..8].copy_from_slice(&self.nonce.to_le_bytes());
        out[8..].copy_from_slice(&self.balance.to_le_bytes::<32>());
        out
    }

    /// Reads the canonical encoding.
    ///
    /// # Errors
    /// [`StateError::Corrupt`] when the length is not [`Account::SIZE`] or the account is the empty one.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let bytes: &[u8; Self::SIZE] = bytes
            .try_into()
            .map_err(|_| StateError::Corrupt(format!("an account of {} bytes", bytes.len())))?;
        let (nonce, balance) = bytes.split_first_chunk::<8>().expect("40 bytes begin with 8 bytes");
        let account = Self { nonce: u64::from_le_bytes(*nonce), balance: U256::from_le_slice(balance) };
        account.stored().ok_or_else(|| StateError::Corrupt("an empty account is stored".into()))
    }
}

/// The size of an element of the state in bytes.
pub(crate) const ELEMENT_BYTES: usize = 20 + Account::SIZE;

/// An address and its account as one element of the state, the address first.
#[must_use]
pub(crate) fn element(address: &Address, account: &Account) -> [u8; ELEMENT_BYTES] {
    let mut out = [0; ELEMENT_BYTES];
    out[..20].copy_from_slice(address.as_slice());
    out[20..].copy_from_slice(&account.encode());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_encoding_is_fixed() {
        let account = Account { nonce: 258, balance: U256::from(3) };
        let mut expected = [0; 40];
        expected[0] = 2;
        expected[1] = 1;
        expected[8] = 3;
        assert_eq!(account.encode(), expected);
    }

    #[test]
    fn other_lengths_and_the_empty_account_are_damage() {
        for bytes in [vec![], vec![1; 39], vec![1; 41], vec![0; 40]] {
            assert!(matches!(Account::decode(&bytes), Err(StateError::Corrupt(_))), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn decoding_gives_back_what_was_encoded(nonce in 1u64.., balance: [u8; 32]) {
            let account = Account { nonce, balance: U256::from_le_bytes(balance) };
            prop_assert_eq!(Account::decode(&account.encode()).unwrap(), account);
        }
    }
}
