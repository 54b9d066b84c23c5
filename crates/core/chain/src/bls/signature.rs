//! The signature, alone or summed.

use core::fmt;

use blst::{blst_p1_affine, min_sig};

use crate::error::Invalid;

/// A point of G1: in the subgroup, not the identity. 48 bytes compressed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(min_sig::Signature);

impl Signature {
    /// The size of the encoding in bytes.
    pub const SIZE: usize = 48;

    /// Decodes and checks.
    ///
    /// # Errors
    /// [`Invalid::Point`] when it is no point of the curve, the identity, or outside the subgroup.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Result<Self, Invalid> {
        let point = decode(bytes)?;
        if point.subgroup_check() { Ok(Self(point)) } else { Err(OUTSIDE) }
    }

    /// The point, which may be outside the subgroup: for whoever checks many at once ([`crate::batch`]).
    ///
    /// # Errors
    /// [`Invalid::Point`] when it is no point of the curve, or the identity.
    pub(crate) fn decode_unchecked(bytes: &[u8; Self::SIZE]) -> Result<blst_p1_affine, Invalid> {
        decode(bytes).map(blst_p1_affine::from)
    }

    pub(super) fn of_secret(point: min_sig::Signature) -> Self {
        Self(point)
    }

    /// The compressed point.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        self.0.compress()
    }

    /// The sum of signatures; `None` of nothing. The sum of valid ones may be the identity only if members hold opposite keys.
    #[must_use]
    pub fn aggregate(signatures: &[Self]) -> Option<Self> {
        let points: Vec<&min_sig::Signature> = signatures.iter().map(|s| &s.0).collect();
        min_sig::AggregateSignature::aggregate(&points, false).ok().map(|sum| Self(sum.to_signature()))
    }

    pub(crate) fn point(&self) -> &min_sig::Signature {
        &self.0
    }
}

/// What is wrong with a signature that is a point of the curve, and not in the subgroup.
pub(crate) const OUTSIDE: Invalid = Invalid::Point { what: "signature", why: "not in the subgroup" };

fn decode(bytes: &[u8; Signature::SIZE]) -> Result<min_sig::Signature, Invalid> {
    let wrong = |why| Invalid::Point { what: "signature", why };
    let point = min_sig::Signature::uncompress(bytes).map_err(|_| wrong("not on the curve"))?;
    if blst_p1_affine::from(point) == blst_p1_affine::default() {
        return Err(wrong("the identity"));
    }
    Ok(point)
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature(0x{})", hex::encode(&self.to_bytes()[..4]))
    }
}
