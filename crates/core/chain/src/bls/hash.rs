//! Hashing to the curve (RFC 9380), but for the last step, clearing the cofactor. That step is linear, so that whoever sums many hashes does it
//! once, for the sum: it is a sixth of the work.

use blst::{MultiPoint, blst_p1, blst_p1_affine};

use super::field::{Fp, invert_all};
use super::isogeny::to_signature_curve;
use super::points::{Point, sums};
use crate::sha256::sha256;

/// The curve that hashes land on first: y^2 = x^3 + ax + b (RFC 9380, section 8.8.1).
const A: Fp = Fp::from_hex(
    b"00144698a3b8e9433d693a02c96d4982b0ea985383ee66a8d8e8981aefd881ac98936f8da0e0f97f5cf428082d584c1d",
);
const B: Fp = Fp::from_hex(
    b"12e2908d11688030018b12e8753eee3b2016c1f0f24f4070a0b9c14fcef35ef55a23215a316ceaa5d1cc48e98e172be0",
);
/// Z of the same section: not a square.
const Z: Fp = Fp::from_digits([11, 0, 0, 0, 0, 0]);
/// A root of -Z^3.
const ROOT_MINUS_Z_CUBED: Fp = Fp::from_hex(
    b"03d689d1e0e762cef9f2bec6130316806b4c80eda6fc10ce77ae83eab1ea8b8b8a407c9c6db195e06f2dbeabc2baeff5",
);

/// h_eff of the same section, little-endian: what takes every point of the curve into the subgroup.
const COFACTOR: [u8; 8] = 0xd201_0000_0001_0001_u64.to_le_bytes();
const COFACTOR_BITS: usize = 64;

/// BLS12381G1_XMD:SHA-256_SSWU_RO_ of each message under `dst`, before the cofactor is cleared: of [`clear_cofactor`] of any weighted sum of
/// these is the same sum of the hashes. `dst` has at most 255 bytes.
pub(crate) fn hash_without_clearing<M: AsRef<[u8]>>(messages: &[M], dst: &[u8]) -> Vec<blst_p1> {
    let mapped = messages.iter().map(|message| hash_to_field(message.as_ref(), dst).map(Mapped::of));
    let mapped: Vec<Mapped> = mapped.flatten().collect();
    let pairs = to_points(&mapped).chunks_exact(2).map(|pair| pair.iter().copied()).collect();
    sums(pairs, A).into_iter().map(|sum| sum.map_or_else(blst_p1::default, to_signature_curve)).collect()
}

/// Takes a point into the subgroup.
pub(crate) fn clear_cofactor(point: &blst_p1_affine) -> blst_p1 {
    [*point].mult(&COFACTOR, COFACTOR_BITS)
}

/// Two numbers (RFC 9380, section 5.2) from expand_message_xmd with SHA-256 (section 5.3.1).
fn hash_to_field(message: &[u8], dst: &[u8]) -> [Fp; 2] {
    let length = [u8::try_from(dst.len()).expect("the domains of this crate are short")];
    let first = sha256(&[&[0; 64], message, &[0, 128, 0], dst, &length]);
    let mut uniform = [0; 128];
    let mut last = [0; 32];
    for (count, out) in (1u8..).zip(uniform.chunks_exact_mut(32)) {
        let mut mixed = first;
        mixed.iter_mut().zip(last).for_each(|(a, b)| *a ^= b);
        last = sha256(&[&mixed, &[count], dst, &length]);
        out.copy_from_slice(&last);
    }
    let (low, high) = uniform.split_at(64);
    [low, high].map(|half| Fp::from_wide(half.try_into().expect("half of 128 bytes")))
}

/// A point of the first curve: x = numerator / denominator, y = root / denominator^3, negated if it is not as odd as u.
struct Mapped {
    numerator: Fp,
    denominator: Fp,
    root: Fp,
    odd: bool,
}

impl Mapped {
    /// The simplified map of Shallue, van de Woestijne and Ulas (RFC 9380, section 6.6.2), with one root and no inversion.
    fn of(u: Fp) -> Self {
        let u_squared = u.square();
        let zuu = Z * u_squared;
        let t = zuu.square() + zuu;
        let mut numerator = B * (t + Fp::ONE);
        let denominator = if t.is_zero() { Z * A } else { -(A * t) };
        // y^2 for this x, times denominator^6.
        let squared = denominator.square();
        let cubed = squared * denominator;
        let y_squared = ((numerator.square() + A * squared) * numerator + B * cubed) * cubed;
        let mut root = y_squared.root();
        if root.square() != y_squared {
            // No square, so that of the other candidate is one: Z^3 u^6 times this. What was found is a root of the negation.
            numerator = zuu * numerator;
            root = ROOT_MINUS_Z_CUBED * u_squared * u * root;
        }
        Self { numerator, denominator, root, odd: u.is_odd() }
    }

    fn point(&self, inverse: Fp) -> Point {
        let x = self.numerator * inverse;
        let y = self.root * inverse.square() * inverse;
        Point { x, y: if y.is_odd() == self.odd { y } else { -y } }
    }
}

fn to_points(mapped: &[Mapped]) -> Vec<Point> {
    let mut inverses: Vec<Fp> = mapped.iter().map(|m| m.denominator).collect();
    invert_all(&mut inverses);
    mapped.iter().zip(inverses).map(|(m, inverse)| m.point(inverse)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_a_first_candidate_are_mapped_to_the_curve_too() {
        for u in [Fp::ZERO, Fp::ONE, -Fp::ONE, Z, Fp::from_wide(&[0xff; 64])] {
            let mapped = Mapped::of(u);
            let [Point { x, y }] = to_points(&[mapped])[..] else { panic!("one point") };
            assert_eq!(y.square(), (x.square() + A) * x + B);
            assert_eq!(y.is_odd(), u.is_odd());
        }
    }
}
