//! Signs transfers: for the traffic of a development network, for generated histories, and for tests. Deterministic (RFC 6979), so it
//! needs no randomness.

use alloy_consensus::crypto::secp256k1::{recover_signer, sign_message};
use alloy_consensus::transaction::RlpEcdsaEncodableTx;
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, B256, TxKind, U256};
use bytes::Bytes;
use zeroize::Zeroizing;

use crate::gas;
use crate::transaction::ChainId;

/// Why bytes are no key: zero, or not below the order of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a secp256k1 secret key")]
pub struct NotAKey;

/// A secp256k1 key and its address. The key is zeroed when dropped.
pub struct Wallet {
    secret: Zeroizing<[u8; 32]>,
    address: Address,
}

/// What to sign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transfer {
    /// How many transactions the wallet sent before.
    pub nonce: u64,
    /// Who receives the value.
    pub to: Address,
    /// What is transferred, in wei.
    pub value: U256,
    /// The most that is paid, in wei per gas.
    pub max_fee: u128,
    /// The most that is paid beyond the base fee, in wei per gas.
    pub max_priority_fee: u128,
    /// Calldata: carried and paid, not run.
    pub input: Bytes,
}

impl Wallet {
    /// The wallet of this secret key, 32 bytes big-endian.
    ///
    /// # Errors
    /// [`NotAKey`].
    pub fn new(secret: Zeroizing<[u8; 32]>) -> Result<Self, NotAKey> {
        let message = B256::ZERO;
        let signature = sign_message(B256::from(*secret), message).map_err(|_| NotAKey)?;
        let address = recover_signer(&signature, message).map_err(|_| NotAKey)?;
        Ok(Self { secret, address })
    }

    /// Where it receives.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// The encoded, signed transaction (EIP-1559), with just the gas that it needs.
    #[must_use]
    pub fn sign(&self, transfer: &Transfer, chain: ChainId) -> Bytes {
        let mut tx = TxEip1559 {
            chain_id: chain.0,
            nonce: transfer.nonce,
            gas_limit: 0,
            max_fee_per_gas: transfer.max_fee,
            max_priority_fee_per_gas: transfer.max_priority_fee,
            to: TxKind::Call(transfer.to),
            value: transfer.value,
            access_list: Default::default(),
            input: transfer.input.clone().into(),
        };
        tx.gas_limit = gas::intrinsic(&tx);
        let signature = sign_message(B256::from(*self.secret), tx.signature_hash())
            .expect("the key signed when the wallet was made");
        let mut out = Vec::with_capacity(tx.eip2718_encoded_length(&signature));
        tx.eip2718_encode(&signature, &mut out);
        out.into()
    }
}

impl core::fmt::Debug for Wallet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Wallet({})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_eip_155_has_the_address_of_eip_155() {
        let wallet = Wallet::new(Zeroizing::new([0x46; 32])).unwrap();
        assert_eq!(format!("{wallet:?}"), "Wallet(0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F)");
    }

    #[test]
    fn zero_and_the_order_of_the_curve_are_no_keys() {
        for secret in [[0; 32], [0xff; 32]] {
            assert_eq!(Wallet::new(Zeroizing::new(secret)).unwrap_err(), NotAKey);
        }
    }
}
