//! Bytes to transactions: Ethereum's typed transactions (EIP-2718) of the types 0 (legacy, with EIP-155), 1 (EIP-2930) and 2 (EIP-1559).
//!
//! - **Decides**: whether bytes are a transaction of this chain, judged without any state, and who sent it.
//! - **In**: the encoded transaction, the chain id.
//! - **Out**: [`Recovered`]: what execution needs, decoded once, with the bytes themselves.
//! - **On failure**: [`Invalid`], provable from the bytes. The checks go from cheap to dear, the size first, the signature (about 25 us)
//!   last.
//!
//! Recovery is a pure function of each transaction: whoever has threads splits the slice.

use core::ops::Range;

use alloy_consensus::crypto::SECP256K1N_HALF;
use alloy_consensus::crypto::secp256k1::recover_signer;
use alloy_consensus::transaction::RlpEcdsaDecodableTx;
use alloy_consensus::{SignableTransaction, Transaction, TxEip1559, TxEip2930, TxLegacy};
use alloy_primitives::{Address, Signature, TxKind, U256, keccak256};
use alys_chain::limits::MAX_TRANSACTION_BYTES;
use alys_chain::{Body, Hash};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::Invalid;
use crate::gas;
use crate::keccak::hash_all;

/// The chain that a signature is for (EIP-155).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChainId(pub u64);

/// A transaction that is valid as far as it can be judged without a state, and its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    raw: Bytes,
    hash: Hash,
    sender: Address,
    recipient: Address,
    value: U256,
    nonce: u64,
    gas_limit: u64,
    intrinsic_gas: u64,
    max_fee: u128,
    max_priority_fee: u128,
}

impl Recovered {
    /// The encoding (EIP-2718), as it came.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The name of the transaction: keccak-256 of the encoding.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Who signed it.
    #[must_use]
    pub fn sender(&self) -> Address {
        self.sender
    }

    /// Who receives the value.
    #[must_use]
    pub fn recipient(&self) -> Address {
        self.recipient
    }

    /// What is transferred, in wei.
    #[must_use]
    pub fn value(&self) -> U256 {
        self.value
    }

    /// How many transactions the sender sent before it.
    #[must_use]
    pub fn nonce(&self) -> u64 {
        self.nonce
    }

    /// The most gas that it may use.
    #[must_use]
    pub fn gas_limit(&self) -> u64 {
        self.gas_limit
    }

    /// The gas that it uses here: calldata and access list are paid, and nothing runs.
    #[must_use]
    pub fn intrinsic_gas(&self) -> u64 {
        self.intrinsic_gas
    }

    /// The most that it pays, in wei per gas.
    #[must_use]
    pub fn max_fee(&self) -> u128 {
        self.max_fee
    }

    /// The most that it pays beyond the base fee, in wei per gas; for the types 0 and 1 the same as [`max_fee`](Self::max_fee).
    #[must_use]
    pub fn max_priority_fee(&self) -> u128 {
        self.max_priority_fee
    }

    /// What it pays in a block with this base fee, in wei per gas (EIP-1559); `None` if that is above its maximum.
    #[must_use]
    pub fn effective_gas_price(&self, base_fee: u128) -> Option<u128> {
        (base_fee <= self.max_fee).then(|| base_fee.saturating_add(self.max_priority_fee).min(self.max_fee))
    }
}

/// The transactions of a body, sharing its memory.
///
/// # Errors
/// When the body is no canonical encoding or breaks a limit.
pub fn raw_transactions(body: &Body) -> Result<Vec<Bytes>, alys_chain::error::Invalid> {
    Ok(body.transactions()?.map(|raw| body.0.slice_ref(raw)).collect())
}

/// The name of an encoded transaction: keccak-256 of its bytes (EIP-2718). Says nothing about its validity.
#[must_use]
pub fn name(raw: &[u8]) -> Hash {
    Hash(keccak256(raw).0)
}

/// How many transactions are decoded before their senders are found: small ones are one block of the hash each, so that four hashes at once have
/// something to do for a while.
const TOGETHER: usize = 16;
/// As many bytes of them are enough, so that all of it stays in the cache.
const TOGETHER_BYTES: usize = 96 << 10;
/// However large they are, of two together four hashes are made at once: for the price of one's two.
const TOGETHER_LEAST: usize = 2;

/// Checks one encoded transaction and finds its sender.
///
/// # Errors
/// [`Invalid`], down to [`Invalid::Signature`].
pub fn recover(raw: &Bytes, chain: ChainId) -> Result<Recovered, Invalid> {
    recover_each(core::slice::from_ref(raw), chain).pop().expect("one transaction has one result")
}

/// Checks many transactions and finds their senders, on this thread: a result for each, in their order. Cheaper than one by one, as they are hashed side by side.
#[must_use]
pub fn recover_each(raw: &[Bytes], chain: ChainId) -> Vec<Result<Recovered, Invalid>> {
    let (mut results, mut room, mut rest) = (Vec::with_capacity(raw.len()), Room::default(), raw);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(together(rest));
        recover_together(now, chain, &mut room, &mut results);
        rest = later;
    }
    results
}

/// How many of these to take together.
fn together(raw: &[Bytes]) -> usize {
    let mut bytes = 0;
    let fits = |raw: &&Bytes| {
        let before = bytes;
        bytes += raw.len();
        before < TOGETHER_BYTES
    };
    raw.iter().take(TOGETHER).take_while(fits).count().max(TOGETHER_LEAST).min(raw.len())
}

/// Memory that is used again and again: asking the system for 100 kB costs as much as filling them.
#[derive(Default)]
struct Room {
    /// What was signed, one after the other.
    payloads: Vec<u8>,
    /// A transaction as it should be encoded.
    canonical: Vec<u8>,
}

fn recover_together(
    raw: &[Bytes],
    chain: ChainId,
    room: &mut Room,
    results: &mut Vec<Result<Recovered, Invalid>>,
) {
    room.payloads.clear();
    let decoded: Vec<_> = raw.iter().map(|raw| decode(raw, chain, room)).collect();
    let good = decoded.iter().flatten();
    let messages: Vec<&[u8]> = good
        .flat_map(|signed| [&signed.transaction.raw[..], &room.payloads[signed.payload.clone()]])
        .collect();
    let mut hashes = hash_all(&messages).into_iter();
    results.extend(decoded.into_iter().map(|signed| {
        let signed = signed?;
        let mut hash = || hashes.next().expect("each decoded transaction has two hashes");
        let (name, signing) = (hash(), hash());
        signed.recover(name, signing)
    }));
}

/// Checks many transactions and finds their senders, on this thread.
///
/// # Errors
/// The position and the fault of the first invalid one.
pub fn recover_senders(raw: &[Bytes], chain: ChainId) -> Result<Vec<Recovered>, (usize, Invalid)> {
    let results = recover_each(raw, chain).into_iter().enumerate();
    results.map(|(i, result)| result.map_err(|reason| (i, reason))).collect()
}

/// A transaction that is valid but for its signature, which was not looked at yet.
struct Signed {
    /// Without its name and its sender.
    transaction: Recovered,
    signature: Signature,
    /// Where in the room that is which was signed.
    payload: Range<usize>,
}

impl Signed {
    fn recover(self, name: Hash, signing: Hash) -> Result<Recovered, Invalid> {
        let sender = recover_signer(&self.signature, signing.0.into()).map_err(|_| Invalid::Signature)?;
        Ok(Recovered { hash: name, sender, ..self.transaction })
    }
}

fn decode(raw: &Bytes, chain: ChainId, room: &mut Room) -> Result<Signed, Invalid> {
    if raw.len() > MAX_TRANSACTION_BYTES {
        return Err(Invalid::TooLarge { bytes: raw.len(), limit: MAX_TRANSACTION_BYTES });
    }
    match raw.first() {
        None => Err(Invalid::Malformed("no bytes".into())),
        Some(0xc0..) => decode_as::<TxLegacy>(raw, 0, chain, room),
        Some(1) => decode_as::<TxEip2930>(raw, 1, chain, room),
        Some(2) => decode_as::<TxEip1559>(raw, 1, chain, room),
        Some(0x80..) => Err(Invalid::Malformed("neither a type nor a list".into())),
        Some(other) => Err(Invalid::UnsupportedType(*other)),
    }
}

/// `skip`: the bytes before the list of fields, that is the type byte if there is one.
fn decode_as<T>(raw: &Bytes, skip: usize, chain: ChainId, room: &mut Room) -> Result<Signed, Invalid>
where
    T: RlpEcdsaDecodableTx + SignableTransaction<Signature>,
{
    let mut rest = &raw[skip..];
    let (tx, signature) =
        T::rlp_decode_with_signature(&mut rest).map_err(|error| Invalid::Malformed(error.to_string()))?;
    if !rest.is_empty() {
        return Err(Invalid::Malformed(format!("{} bytes too many", rest.len())));
    }
    check_canonical(&tx, &signature, &raw[skip..], &mut room.canonical)?;
    let (recipient, intrinsic_gas) = check_fields(&tx, chain)?;
    if signature.s() > SECP256K1N_HALF {
        return Err(Invalid::HighS);
    }
    let transaction = Recovered {
        raw: raw.clone(),
        hash: Hash::default(),
        sender: Address::ZERO,
        recipient,
        value: tx.value(),
        nonce: tx.nonce(),
        gas_limit: tx.gas_limit(),
        intrinsic_gas,
        max_fee: tx.max_fee_per_gas(),
        max_priority_fee: tx.priority_fee_or_price(),
    };
    let start = room.payloads.len();
    tx.encode_for_signing(&mut room.payloads);
    Ok(Signed { transaction, signature, payload: start..room.payloads.len() })
}

/// The decoder may be lenient somewhere; two encodings of one transaction would be two transactions with different hashes.
fn check_canonical<T: RlpEcdsaDecodableTx>(
    tx: &T,
    signature: &Signature,
    fields: &[u8],
    canonical: &mut Vec<u8>,
) -> Result<(), Invalid> {
    canonical.clear();
    tx.rlp_encode_signed(signature, canonical);
    if canonical == fields { Ok(()) } else { Err(Invalid::Malformed("not the canonical encoding".into())) }
}

/// Gives the recipient and the intrinsic gas.
fn check_fields(tx: &impl Transaction, chain: ChainId) -> Result<(Address, u64), Invalid> {
    match tx.chain_id() {
        None => return Err(Invalid::NoChainId),
        Some(theirs) if theirs != chain.0 => return Err(Invalid::WrongChain { theirs, ours: chain.0 }),
        Some(_) => {}
    }
    let TxKind::Call(recipient) = tx.kind() else { return Err(Invalid::CreatesContract) };
    let needed = gas::intrinsic(tx);
    if tx.gas_limit() < needed {
        return Err(Invalid::GasBelowIntrinsic { limit: tx.gas_limit(), needed });
    }
    let (priority, max) = (tx.priority_fee_or_price(), tx.max_fee_per_gas());
    if priority > max {
        return Err(Invalid::PriorityAboveMaxFee { priority, max });
    }
    if tx.nonce() == u64::MAX {
        return Err(Invalid::NonceAtMaximum);
    }
    Ok((recipient, needed))
}

#[cfg(test)]
mod tests;
