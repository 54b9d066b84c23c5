//! The base field of the curve, on blst's arithmetic.
//!
//! blst shows it as functions that are `unsafe` to call. blstrs wraps each of them safely, in a type without a public name: so a value goes
//! into a coordinate of a point, and what comes out of that point calculates.

use core::ops::{Add, Mul, Neg, Sub};

use blst::blst_fp;
use blstrs::G1Affine;
use ff::Field;

/// p, as 64-bit digits, the lowest first.
const MODULUS: [u64; 6] = [
    0xb9fe_ffff_ffff_aaab,
    0x1eab_fffe_b153_ffff,
    0x6730_d2a0_f6b0_f624,
    0x6477_4b84_f385_12bf,
    0x4b1b_a7b6_434b_acd7,
    0x1a01_11ea_397f_e69a,
];

/// A number modulo p = 0x1a0111ea...aaab, in Montgomery form: n stands for n / 2^384.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fp(blst_fp);

impl Fp {
    pub(crate) const ZERO: Self = Self(blst_fp { l: [0; 6] });
    pub(crate) const ONE: Self = Self::from_digits([1, 0, 0, 0, 0, 0]);
    /// 2^256: what the upper half of a longer number counts.
    const TWO_256: Self = Self::from_digits([0, 0, 0, 0, 1, 0]);

    /// A constant, from digits below p, the lowest first.
    pub(crate) const fn from_digits(digits: [u64; 6]) -> Self {
        // Times 2^384, by doubling: slow, for the compiler only.
        let (mut value, mut i) = (digits, 0);
        while i < 384 {
            value = double(value);
            i += 1;
        }
        Self(blst_fp { l: value })
    }

    /// A constant, from its 96 hexadecimal digits.
    pub(crate) const fn from_hex(hex: &[u8; 96]) -> Self {
        let (mut digits, mut i) = ([0; 6], 0);
        while i < 96 {
            let digit = match hex[i] {
                c @ b'0'..=b'9' => c - b'0',
                c => c - b'a' + 10,
            };
            digits[5 - i / 16] = digits[5 - i / 16] << 4 | digit as u64;
            i += 1;
        }
        Self::from_digits(digits)
    }

    /// 512 bits, big-endian, modulo p.
    pub(crate) fn from_wide(bytes: &[u8; 64]) -> Self {
        let half = |bytes: &[u8]| {
            let mut digits = [0; 6];
            for (digit, bytes) in digits.iter_mut().rev().skip(2).zip(bytes.chunks_exact(8)) {
                *digit = bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b));
            }
            Self(blst_fp { l: digits }) * Self::TO_MONTGOMERY
        };
        half(&bytes[..32]) * Self::TWO_256 + half(&bytes[32..])
    }

    /// 2^384 in Montgomery form: a product with a plain number is that number in Montgomery form.
    const TO_MONTGOMERY: Self = Self::from_digits(Self::ONE.0.l);

    /// Whether the number, between 0 and p, is odd.
    pub(crate) fn is_odd(self) -> bool {
        // A Montgomery product with a plain one takes the number out of that form.
        (self * Self(blst_fp { l: [1, 0, 0, 0, 0, 0] })).0.l[0] & 1 == 1
    }

    pub(crate) fn is_zero(self) -> bool {
        self.0.l.iter().fold(0, |bits, digit| bits | digit) == 0
    }

    pub(crate) fn square(self) -> Self {
        Self(of(&self.0).square().into())
    }

    pub(crate) fn double(self) -> Self {
        self + self
    }

    /// One through this; zero for zero.
    pub(crate) fn invert(self) -> Self {
        Self(of(&self.0).invert().unwrap_or(Field::ZERO).into())
    }

    /// This to the power (p + 1) / 4: a root of the number, or, if it has none, of its negation.
    ///
    /// Half of the time of hashing, so it stays in the library's own type, and squares in place: a copy of a number that was just written waits for
    /// the writes, and took a third of the time.
    pub(crate) fn root(self) -> Self {
        let mut point = G1Affine::default();
        point.as_mut().x = self.0;
        let number = point.x();
        // Odd powers up to 31, so that five bits of the exponent take one product.
        let square = number.square();
        let mut odd = [number; 16];
        for i in 1..odd.len() {
            odd[i] = odd[i - 1] * square;
        }
        let ((_, first), rest) = ROOT_STEPS.split_first().expect("it has steps");
        let mut power = odd[usize::from(*first) / 2];
        for (squarings, factor) in rest.iter().take_while(|(squarings, _)| *squarings > 0) {
            for _ in 0..*squarings {
                power.square_assign();
            }
            if *factor > 0 {
                power *= &odd[usize::from(*factor) / 2];
            }
        }
        Self(power.into())
    }
}

/// Inverts all numbers but zeros, with one inversion.
pub(crate) fn invert_all(numbers: &mut [Fp]) {
    let mut product = Fp::ONE;
    let mut before = Vec::with_capacity(numbers.len());
    for number in numbers.iter() {
        before.push(product);
        if !number.is_zero() {
            product = product * *number;
        }
    }
    let mut inverse = product.invert();
    for (number, before) in numbers.iter_mut().zip(before).rev() {
        if !number.is_zero() {
            let inverted = inverse * before;
            inverse = inverse * *number;
            *number = inverted;
        }
    }
}

/// How the exponent (p + 1) / 4 is worked through from its top: square so many times, then multiply by this odd power (0: do not). Ends with
/// steps of no squaring.
const ROOT_STEPS: [(u16, u8); 96] = root_steps();

const fn root_steps() -> [(u16, u8); 96] {
    let (mut steps, mut n) = ([(0, 0); 96], 0);
    // The bits that are left, and the zeros that were passed since the last step.
    let (mut left, mut zeros) = (EXPONENT_BITS, 0);
    while left > 0 {
        left -= 1;
        if exponent_bit(left) == 0 {
            zeros += 1;
            continue;
        }
        // A window of at most five bits, from this one to the last one in it that is set.
        let (mut width, mut factor, mut ahead) = (1, 1, 1);
        while ahead < 5 && ahead <= left {
            if exponent_bit(left - ahead) == 1 {
                factor = factor << (ahead + 1 - width) | 1;
                width = ahead + 1;
            }
            ahead += 1;
        }
        steps[n] = (zeros + width, factor);
        n += 1;
        zeros = 0;
        left -= width - 1;
    }
    steps[n] = (zeros, 0);
    steps
}

/// The bits of (p + 1) / 4.
const EXPONENT_BITS: u16 = 379;

/// A bit of (p + 1) / 4.
const fn exponent_bit(at: u16) -> u8 {
    // Those of p + 1, two places up. p ends in 0xaaab: nothing is carried.
    let at = at as usize + 2;
    let digit = if at < 64 { MODULUS[0] + 1 } else { MODULUS[at / 64] };
    (digit >> (at % 64) & 1 == 1) as u8
}

/// Twice a number below p, modulo p.
const fn double(a: [u64; 6]) -> [u64; 6] {
    let (mut twice, mut i) = ([0; 6], 0);
    while i < 6 {
        twice[i] = a[i] << 1 | if i > 0 { a[i - 1] >> 63 } else { 0 };
        i += 1;
    }
    let (mut less, mut borrow) = ([0; 6], false);
    i = 0;
    while i < 6 {
        let (digit, under) = twice[i].overflowing_sub(MODULUS[i]);
        let (digit, under_again) = digit.overflowing_sub(borrow as u64);
        (less[i], borrow) = (digit, under || under_again);
        i += 1;
    }
    if borrow { twice } else { less }
}

/// blstrs's number with these digits.
fn of(digits: &blst_fp) -> impl Field + Into<blst_fp> {
    let mut point = G1Affine::default();
    point.as_mut().x = *digits;
    point.x()
}

impl Add for Fp {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self((of(&self.0) + of(&other.0)).into())
    }
}

impl Sub for Fp {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self((of(&self.0) - of(&other.0)).into())
    }
}

impl Mul for Fp {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self((of(&self.0) * of(&other.0)).into())
    }
}

impl Neg for Fp {
    type Output = Self;
    fn neg(self) -> Self {
        Self((-of(&self.0)).into())
    }
}

impl From<blst_fp> for Fp {
    fn from(digits: blst_fp) -> Self {
        Self(digits)
    }
}

impl From<Fp> for blst_fp {
    fn from(number: Fp) -> Self {
        number.0
    }
}
