//! The signature, alone or summed.

use core::fmt;

use blst::{BLST_ERROR, min_sig};

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
        let wrong = |why| Invalid::Point { what: "signature", why };
        let point = min_sig::Signature::uncompress(bytes).map_err(|_| wrong("not on the curve"))?;
        match point.validate(true) {
            Ok(()) => Ok(Self(point)),
            Err(BLST_ERROR::BLST_PK_IS_INFINITY) => Err(wrong("the identity")),
            Err(_) => Err(wrong("not in the subgroup")),
        }
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

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature(0x{})", hex::encode(&self.to_bytes()[..4]))
    }
}
