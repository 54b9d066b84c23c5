//! The secret key.

use core::fmt;

use blst::min_sig;
use zeroize::Zeroizing;

use super::{MESSAGE_DST, POSSESSION_DST, PossessionProof, PublicKey, Signature};
use crate::error::Invalid;

/// A scalar between 1 and r - 1. Wiped from memory when dropped; never shown.
#[derive(Clone)]
pub struct SecretKey(min_sig::SecretKey);

impl SecretKey {
    /// The key that the IETF draft's KeyGen (section 2.3, empty key info) derives from 32 bytes of entropy: same seed, same key.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(min_sig::SecretKey::key_gen(seed, &[]).expect("32 bytes are enough key material"))
    }

    /// The key of a big-endian scalar; the other fault than a wrong file is zero or a number not below r.
    ///
    /// # Errors
    /// [`Invalid::Point`] outside 1..r.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Invalid> {
        min_sig::SecretKey::from_bytes(bytes)
            .map(Self)
            .map_err(|_| Invalid::Point { what: "secret key", why: "not between 1 and the group order" })
    }

    /// The scalar, big-endian; the copy is wiped as well.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The key that others know it by.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey::of_secret(self.0.sk_to_pk())
    }

    /// Signs the message. Deterministic: BLS signatures are unique.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::of_secret(self.0.sign(message, MESSAGE_DST, &[]))
    }

    /// Proves that whoever publishes the public key holds this one, so that no key can be made up from the others' (rogue-key attack).
    #[must_use]
    pub fn prove_possession(&self) -> PossessionProof {
        PossessionProof(self.0.sign(self.public_key().as_bytes(), POSSESSION_DST, &[]).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}
