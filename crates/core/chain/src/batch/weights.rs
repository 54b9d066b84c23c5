//! The random weights: 41 digits to the base three, each -1, 0 or 1.
//!
//! Such digits are what the check for the subgroup needs ([`super::membership`]), and the number that they make is the weight of the sums. As
//! its digits are drawn evenly and no two rows of digits make the same number, each number has the same chance, 3^-41, less than 2^-64.

use rand_core::CryptoRng;

/// The digits of a weight. Not fewer: 3^-40 is above 2^-64. Not more: the weight would no longer be 64 bits and a sign.
pub(super) const DIGITS: usize = 41;
/// The digits that are looked at together.
pub(super) const WINDOW: usize = 3;
/// Windows of a weight; the last has two digits.
pub(super) const WINDOWS: usize = DIGITS.div_ceil(WINDOW);
/// What a window counts at most: 1 + 3 + 9.
pub(super) const WINDOW_MAX: usize = 13;

/// The signed digits of four bits of a weight: its 64 bits, and what they carry.
pub(super) const NIBBLES: usize = 17;
/// What such a digit counts at most.
pub(super) const NIBBLE_MAX: usize = 8;

const COUNT: u128 = 3_u128.pow(41);
/// The greatest weight, 111...1 to the base three.
const MAX: u128 = COUNT / 2;
/// Makes all windows of a weight nonnegative.
const OFFSET: i128 = (3_i128.pow(42) - 1) / 2;

/// Makes all signed digits of four bits nonnegative: eight at each place.
const NIBBLE_OFFSET: u128 = 8 * ((1 << (4 * NIBBLES)) - 1) / 15;

/// A weight between -MAX and MAX, not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weight(i128);

impl Weight {
    /// Any one, with equal chances.
    pub(super) fn draw(rng: &mut impl CryptoRng) -> Self {
        loop {
            // Of 2^72 numbers the last few, which would make some weights likelier, are drawn again: one in 100.
            let mut bytes = [0; 16];
            rng.fill_bytes(&mut bytes[..9]);
            let drawn = u128::from_le_bytes(bytes);
            let weight = (drawn % COUNT).cast_signed() - MAX.cast_signed();
            if drawn < (1 << 72) / COUNT * COUNT && weight != 0 {
                return Self(weight);
            }
        }
    }

    /// Signed digits of four bits, from -8 to 8, the lowest first.
    pub(super) fn nibbles(self) -> [i8; NIBBLES] {
        let mut rest = self.0.unsigned_abs() + NIBBLE_OFFSET;
        let sign = if self.0 < 0 { -1 } else { 1 };
        [(); NIBBLES].map(|()| {
            let nibble = i8::try_from(rest & 15).expect("below 16") - 8;
            rest >>= 4;
            nibble * sign
        })
    }

    /// What each window counts, from -13 to 13, the lowest first.
    pub(super) fn windows(self) -> [i8; WINDOWS] {
        let mut rest = self.0 + OFFSET;
        [(); WINDOWS].map(|()| {
            let window = i8::try_from(rest % 27).expect("below 27") - 13;
            rest /= 27;
            window
        })
    }
}

/// A digit, -1, 0 or 1, of a window that counts this much.
pub(super) fn digit(window: usize, place: usize) -> i8 {
    let shifted = (window + WINDOW_MAX) / 3_usize.pow(u32::try_from(place).expect("below three"));
    i8::try_from(shifted % 3).expect("below three") - 1
}

#[cfg(test)]
mod tests;
