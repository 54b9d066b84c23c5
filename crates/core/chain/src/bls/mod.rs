//! BLS12-381 signatures: 48-byte signatures in G1, 96-byte keys in G2, after the IETF draft `draft-irtf-cfrg-bls-signature` with the
//! proof-of-possession scheme, hashing to the curve by RFC 9380.
//!
//! - **Owns**: keys, signatures and their checks. A [`PublicKey`] and a [`Signature`] exist only as valid points: in the subgroup, not the
//!   identity.
//! - **In**: bytes, messages. **Out**: points, or [`Invalid`](crate::error::Invalid) (the sender's fault).
//! - Keys are summed only after their proof of possession was checked (see [`crate::schedule`]).

mod field;
mod hash;
mod isogeny;
mod points;
mod public;
mod secret;
mod signature;

pub use public::{PossessionProof, PublicKey};
pub use secret::SecretKey;
pub use signature::Signature;

pub(crate) use field::Fp;
pub(crate) use hash::{clear_cofactor, hash_without_clearing};
pub(crate) use points::{Point, sums};
pub(crate) use public::KeySum;
pub(crate) use signature::OUTSIDE;

/// Domain separation of messages: the suite BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_.
pub(crate) const MESSAGE_DST: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

/// Domain separation of proofs of possession.
pub(crate) const POSSESSION_DST: &[u8] = b"BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

#[cfg(test)]
mod tests;
