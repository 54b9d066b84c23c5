//! Hashing to the curve (RFC 9380).

use blst::blst_p1;
use blstrs::G1Projective;

/// BLS12381G1_XMD:SHA-256_SSWU_RO_ of `message` under `dst`.
pub(crate) fn hash_to_g1(message: &[u8], dst: &[u8]) -> blst_p1 {
    *G1Projective::hash_to_curve(message, dst, &[]).as_ref()
}
