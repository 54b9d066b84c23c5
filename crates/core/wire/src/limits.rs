//! Every size limit of the wire, each with its reason. What a limit protects is memory: a decoder compares with it before it allocates.
//!
//! All of them follow from the chain's own limits, so that whatever the chain allows can travel: a block that is valid but cannot be
//! published stops a chain.

use core::time::Duration;

use alys_chain::claim::Claim;
use alys_chain::{Approval, BlockId, Certificate, CertifiedHeader, FinalityProof, Header, Report};

use crate::peer_id::PeerId;

pub use alys_chain::limits::{MAX_BODY_BYTES, MAX_TRANSACTION_BYTES};

/// The size of a block id.
pub const BLOCK_ID_BYTES: usize = size_of::<BlockId>();

/// A header and its certificate: what a skeleton consists of. Its size is fixed.
pub const MAX_CERTIFIED_HEADER_BYTES: usize = CertifiedHeader::SIZE;

/// The fixed part of a proposal: header, approval, two offsets.
pub(crate) const PROPOSAL_FIXED_BYTES: usize = Header::SIZE + Approval::SIZE + 4 + 4;

/// A whole block as a gossip message: the version, the fixed part, the parent's certificate and the largest body, a selector before each of
/// the two. Not lower: a block above it could never be published. Not higher: nothing larger is ever valid. The transport sets its gossip
/// limit to this, for all topics (a limit of one topic above the global one silently loses messages).
pub const MAX_GOSSIP_BYTES: usize = 1 + PROPOSAL_FIXED_BYTES + 1 + Certificate::SIZE + 1 + MAX_BODY_BYTES;

/// Up to this size a body is gossiped with its header; above it the header alone is, and the body is pulled. A message of 100 KB was
/// received 7 to 9 times over in a mesh of degree 10. Not lower: a pull costs a round trip, and the slot is short.
pub const INLINE_BODY_BYTES: usize = 64 * 1024;

/// How many headers one request may ask for: some 140 KB of answer, 50 ms of verification on one core. Not more: the certificates of one request are
/// the smallest unit that can be asked again. Not fewer: at 100 ms of round trip 512 still fetch 5,000 a second with one request in flight.
pub const MAX_HEADERS_PER_REQUEST: u32 = 512;

/// How many bodies one request may name: small blocks are limited by this, large ones by [`MAX_BODIES_ANSWER_BYTES`]. 1,024 ids are 32 KB,
/// which is what a server must read before it knows what is wanted.
pub const MAX_BODIES_PER_REQUEST: usize = 1024;

/// After this many bytes of bodies a server ends its answer (never before the first body). Not lower: ranges of 16 MiB carried 170 MB/s at
/// 100 ms of round trip over one stream, those of 1 MiB 2.3. Not higher: this is what a cancelled request may have in flight for nothing.
pub const MAX_BODIES_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// A frame's type byte and length.
pub const FRAME_HEAD_BYTES: usize = 1 + 4;

/// The longest frame payload: a body with its request id and block id.
pub const MAX_FRAME_PAYLOAD_BYTES: usize = 8 + BLOCK_ID_BYTES + MAX_BODY_BYTES;

/// The longest payload of a request frame: a full list of ids. A server buffers no more than this for a stream.
pub const MAX_REQUEST_PAYLOAD_BYTES: usize = 8 + MAX_BODIES_PER_REQUEST * BLOCK_ID_BYTES;

/// The longest [`Status`](crate::Status): two heights, an offset, a selector and a certified header.
pub const MAX_STATUS_BYTES: usize = 8 + 8 + 4 + 1 + MAX_CERTIFIED_HEADER_BYTES;

/// The nonce that a claim of federation must sign, so that no old claim can be shown again.
pub const NONCE_BYTES: usize = 32;

/// The longest claim of federation. One takes 61 bytes; the rest is room for a second seat, while two sets overlap. Not more: a claim is
/// read from peers of whom nothing is known yet.
pub const MAX_CLAIM_BYTES: usize = 256;

/// A report of an authority on how far it knows the chain. Its size is fixed.
pub const MAX_REPORT_BYTES: usize = Report::SIZE;

/// The longest proof that the block of an offered state is final.
pub const MAX_FINALITY_PROOF_BYTES: usize = FinalityProof::MAX_SIZE;

/// How many states a peer may offer. It keeps two, so that one which is being fetched does not vanish when a newer one appears; more would only be
/// more to check.
pub const MAX_SNAPSHOTS: usize = 4;

/// The lattice hashes of the 256 buckets of a state, 2,048 bytes each: everything that a bucket is checked with, in one piece.
pub const STATE_SUMS_BYTES: usize = 256 * 2_048;

/// An address and its account.
pub const ACCOUNT_BYTES: usize = 20 + 8 + 32;

/// How many accounts one frame may carry: 240 KiB, so that checking begins long before a large bucket has arrived, and an ask for another peer's
/// blocks on the same connection does not wait behind megabytes.
pub const MAX_ACCOUNTS_PER_FRAME: usize = 4_096;

/// How many accounts a bucket may have: 63 MB, which whoever fetches it must hold until the last one has proven the first. Of 256 such buckets a
/// state has 268 million accounts; beyond that buckets must be proven in parts.
pub const MAX_ACCOUNTS_PER_BUCKET: usize = 1 << 20;

/// The longest address in text: a DNS name has at most 253 characters, its transport and port some 25, the peer's id at most 65.
pub const MAX_ADDRESS_BYTES: usize = 384;

/// The longest peer id in base58: 44 bytes at 1.37 characters each, rounded up.
pub const MAX_PEER_ID_CHARS: usize = PeerId::MAX_BYTES * 138 / 100 + 1;

/// The longest wait that a refusal may ask for. Longer ones are cut to this, or a peer could put itself out of reach of every retry.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The version byte that starts every gossip message.
pub const GOSSIP_VERSION: u8 = 1;

const _: () = {
    assert!(MAX_TRANSACTION_BYTES < MAX_BODY_BYTES, "every valid transaction fits a body");
    assert!(INLINE_BODY_BYTES < MAX_BODY_BYTES, "else nothing is ever pulled");
    assert!(MAX_BODIES_ANSWER_BYTES >= MAX_BODY_BYTES, "an answer can hold the largest body");
    assert!(MAX_CLAIM_BYTES >= Claim::SIZE, "every claim can travel");
    assert!(MAX_REQUEST_PAYLOAD_BYTES < MAX_FRAME_PAYLOAD_BYTES, "requests are small");
    assert!(MAX_FRAME_PAYLOAD_BYTES < u32::MAX as usize, "lengths are 32 bits wide");
};
