//! Every limit of a valid chain, with its reason. The wire derives its own limits from these.

/// Most authorities in one set. Not higher: the signer bitfield and the per-authority sums of a batch are sized for a federation, and a
/// certificate stays at two bytes of signers. Not lower: it is the greatest federation that the chain is made for.
pub const MAX_AUTHORITIES: usize = 15;

/// Most bytes of one encoded transaction. Not higher: one transaction must not fill a block's share of the gossip limit. Not lower: it is
/// what wallets and other clients of Ethereum's transaction format accept.
pub const MAX_TRANSACTION_BYTES: usize = 128 * 1024;

/// Most bytes of an encoded body (2 MiB). Not higher: a body must cross a 10 MB/s link well within a 2 s slot. Not lower: a block full of
/// calldata at the gas limit (16 gas a byte) takes 1.9 MB.
pub const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// Most transactions in one block. Not higher: their offsets and hashes are allocated at once. Not lower: the gas limit admits 1,428 plain
/// transfers, and a schedule with another limit needs room.
pub const MAX_TRANSACTIONS: usize = 10_000;

/// Gas in one block, unless the genesis says otherwise. The figure of Ethereum's mainnet for years: what wallets expect, and executed in
/// milliseconds by a ledger that moves values only.
pub const BLOCK_GAS_LIMIT: u64 = 30_000_000;

/// The slot length of a network that names none, in milliseconds: Aura's two seconds on the network that this is for.
pub const DEFAULT_SLOT_MS: u64 = 2_000;

/// The shortest slot in milliseconds. Not lower: a proposal, a write to disk and an approval must fit even on one machine. Not higher:
/// local networks and tests want many slots a second.
pub const MIN_SLOT_MS: u64 = 50;

/// The longest slot in milliseconds (one hour). Not higher: a longer one is a unit mistaken. Not lower: slow networks are legitimate.
pub const MAX_SLOT_MS: u64 = 3_600_000;

/// Most entries of a schedule. Not higher: every query walks them. Not lower: a change a week for twenty years.
pub const MAX_PERIODS: usize = 1_024;

/// Most accounts with a balance at genesis. Not higher: the file is read at every start (5 MB at this number). Not lower: the accounts of
/// an older network must fit.
pub const MAX_ALLOCATIONS: usize = 100_000;
