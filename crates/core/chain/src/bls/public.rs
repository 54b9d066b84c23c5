//! The public key, the proof that somebody holds its secret, and sums of keys.

use core::cmp::Ordering;
use core::fmt;

use blst::{BLST_ERROR, blst_p2_affine, min_sig};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{MESSAGE_DST, POSSESSION_DST, Signature};
use crate::error::Invalid;
use crate::hex_serde;

/// A point of G2: in the subgroup, not the identity. 96 bytes compressed.
#[derive(Clone, Copy)]
pub struct PublicKey {
    point: min_sig::PublicKey,
    bytes: [u8; Self::SIZE],
}

impl PublicKey {
    /// The size of the encoding in bytes.
    pub const SIZE: usize = 96;

    /// Decodes and checks.
    ///
    /// # Errors
    /// [`Invalid::Point`] when it is no point of the curve, the identity, or outside the subgroup.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Result<Self, Invalid> {
        let wrong = |why| Invalid::Point { what: "public key", why };
        let point = min_sig::PublicKey::uncompress(bytes).map_err(|_| wrong("not on the curve"))?;
        match point.validate() {
            Ok(()) => Ok(Self { point, bytes: *bytes }),
            Err(BLST_ERROR::BLST_PK_IS_INFINITY) => Err(wrong("the identity")),
            Err(_) => Err(wrong("not in the subgroup")),
        }
    }

    pub(super) fn of_secret(point: min_sig::PublicKey) -> Self {
        Self { point, bytes: point.compress() }
    }

    /// The compressed point.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::SIZE] {
        &self.bytes
    }

    pub(crate) fn point(&self) -> blst_p2_affine {
        self.point.into()
    }

    /// Whether this key signed the message.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        // Both points were checked when they were made.
        signature.point().verify(false, message, MESSAGE_DST, &[], &self.point, false)
            == BLST_ERROR::BLST_SUCCESS
    }

    /// Whether the holder of this key's secret made the proof.
    #[must_use]
    pub fn check_possession(&self, proof: &PossessionProof) -> bool {
        min_sig::Signature::uncompress(&proof.0).is_ok_and(|signature| {
            signature.verify(true, &self.bytes, POSSESSION_DST, &[], &self.point, false)
                == BLST_ERROR::BLST_SUCCESS
        })
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for PublicKey {}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey(0x{})", hex::encode(&self.bytes[..4]))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        hex_serde::serialize(&self.bytes, to)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::from_bytes(&hex_serde::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// The signature of a key under itself, in a domain of its own: 48 bytes, checked with [`PublicKey::check_possession`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PossessionProof(pub [u8; 48]);

impl Serialize for PossessionProof {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        hex_serde::serialize(&self.0, to)
    }
}

impl<'de> Deserialize<'de> for PossessionProof {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        hex_serde::deserialize(from).map(Self)
    }
}

/// The sum of several keys: what an aggregate signature under one message is checked with. It may be the identity (a member may hold a key
/// and its negation); then no signature but the identity, which is refused, would fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySum(min_sig::PublicKey);

impl KeySum {
    /// The sum; `None` of nothing.
    pub(crate) fn of<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> Option<Self> {
        let mut keys = keys.into_iter();
        let mut sum = min_sig::AggregatePublicKey::from_public_key(&keys.next()?.point);
        for key in keys {
            sum.add_aggregate(&min_sig::AggregatePublicKey::from_public_key(&key.point));
        }
        Some(Self(sum.to_public_key()))
    }

    /// Whether the holders of these keys signed the message, all of them.
    pub(crate) fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        signature.point().fast_aggregate_verify_pre_aggregated(false, message, MESSAGE_DST, &self.0)
            == BLST_ERROR::BLST_SUCCESS
    }

    /// The point, for a pairing.
    pub(crate) fn point(&self) -> blst_p2_affine {
        self.0.into()
    }
}
