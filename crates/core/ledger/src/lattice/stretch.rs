//! The 1,024 numbers of one account: BLAKE3 with our key, extended to 2,048 bytes.
//!
//! The extension is the same compression 32 times, but for a counter, and the library does one after the other: 2.25 microseconds, four times a
//! transfer, in the one thread that executes. With AVX2 eight of them run side by side: 0.8.
//!
//! - **In**: an account as an element of the state. **Out**: its numbers; the same ones on every processor.

use super::LANES;
use crate::account::ELEMENT_BYTES;

/// Separates an account's stretched hash from every other use of BLAKE3 here.
const ACCOUNT_KEY: [u8; 32] = *b"alys/state/account/1............";

/// The numbers of an account.
pub(super) fn stretch(element: &[u8; ELEMENT_BYTES]) -> [u16; LANES] {
    #[cfg(target_arch = "x86_64")]
    if let Some(numbers) = eightfold::stretch(element) {
        return numbers;
    }
    one_by_one(element)
}

fn one_by_one(element: &[u8; ELEMENT_BYTES]) -> [u16; LANES] {
    let mut bytes = [0; 2 * LANES];
    let mut hasher = blake3::Hasher::new_keyed(&ACCOUNT_KEY);
    hasher.update(element);
    hasher.finalize_xof().fill(&mut bytes);
    let mut numbers = [0; LANES];
    for (number, bytes) in numbers.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *number = u16::from_le_bytes(*bytes);
    }
    numbers
}

/// Eight compressions side by side. Everything here is inlined into one function, which is compiled for the vector instructions.
#[cfg(target_arch = "x86_64")]
mod eightfold {
    use core::arch::x86_64::__m256i;

    use pulp::x86::V3;
    use pulp::{NullaryFnOnce, cast, u32x8};

    use super::{ACCOUNT_KEY, ELEMENT_BYTES, LANES};
    use crate::vectors::vectorized;

    /// The initial values of BLAKE3 (section 2.2 of its paper), which are those of SHA-256.
    const INITIAL: [u32; 4] = [0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A];
    /// Where the words of the message come from after a round (table 2).
    const PERMUTATION: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
    /// Which words a round mixes: columns, then diagonals.
    const MIXED: [[usize; 4]; 8] = [
        [0, 4, 8, 12],
        [1, 5, 9, 13],
        [2, 6, 10, 14],
        [3, 7, 11, 15],
        [0, 5, 10, 15],
        [1, 6, 11, 12],
        [2, 7, 8, 13],
        [3, 4, 9, 14],
    ];
    const ROUNDS: usize = 7;
    /// The size of a block, in bytes: an account fits into one, so the block is the first and the last of its chunk and of the message.
    const BLOCK: usize = 64;
    /// The size of an element, as the compression takes it.
    const LENGTH: u32 = 60;
    const _: () = assert!(LENGTH as usize == ELEMENT_BYTES);
    /// First of the chunk, last of the chunk, root, keyed (table 3).
    const FLAGS: u32 = 1 | 2 | 8 | 16;
    /// The numbers that eight compressions make.
    const NUMBERS: usize = 8 * BLOCK / 2;

    pub(super) fn stretch(element: &[u8; ELEMENT_BYTES]) -> Option<[u16; LANES]> {
        vectorized(|token| Stretch { token, element })
    }

    #[cfg(test)]
    pub(super) fn with_each(element: &[u8; ELEMENT_BYTES]) -> Vec<[u16; LANES]> {
        crate::vectors::with_each(|token| Stretch { token, element })
    }

    struct Stretch<'a> {
        token: V3,
        element: &'a [u8; ELEMENT_BYTES],
    }

    impl NullaryFnOnce for Stretch<'_> {
        type Output = [u16; LANES];

        #[inline(always)]
        fn call(self) -> [u16; LANES] {
            let Self { token, element } = self;
            let mut block = [0; BLOCK];
            block[..ELEMENT_BYTES].copy_from_slice(element);
            let message = words::<BLOCK, 16>(&block).map(|word| token.splat_u32x8(word));
            let key = words::<32, 8>(&ACCOUNT_KEY).map(|word| token.splat_u32x8(word));
            let mut numbers = [0; LANES];
            for (counter, numbers) in (0..).step_by(8).zip(numbers.as_chunks_mut::<NUMBERS>().0) {
                let words = compress(token, &key, message, counter);
                write(token, &words, numbers);
            }
            numbers
        }
    }

    #[inline(always)]
    fn words<const BYTES: usize, const WORDS: usize>(bytes: &[u8; BYTES]) -> [u32; WORDS] {
        let words = bytes.as_chunks::<4>().0;
        core::array::from_fn(|i| u32::from_le_bytes(words[i]))
    }

    /// Blocks `counter` to `counter + 7` of the extension (section 2.6): word after word, each of all eight.
    #[inline(always)]
    fn compress(token: V3, key: &[u32x8; 8], mut message: [u32x8; 16], counter: u32) -> [u32x8; 16] {
        let splat = |word| token.splat_u32x8(word);
        let mut state = [splat(0); 16];
        state[..8].copy_from_slice(key);
        state[8..12].copy_from_slice(&INITIAL.map(splat));
        state[12] = token.wrapping_add_u32x8(splat(counter), u32x8(0, 1, 2, 3, 4, 5, 6, 7));
        state[14] = splat(LENGTH);
        state[15] = splat(FLAGS);
        for _ in 0..ROUNDS {
            for (mixed, [x, y]) in MIXED.iter().zip(message.as_chunks::<2>().0) {
                mix(token, &mut state, *mixed, *x, *y);
            }
            message = PERMUTATION.map(|from| message[from]);
        }
        let (low, high) = state.split_at_mut(8);
        for i in 0..8 {
            low[i] = token.xor_u32x8(low[i], high[i]);
            high[i] = token.xor_u32x8(high[i], key[i]);
        }
        state
    }

    macro_rules! rotate {
        ($token:expr, $word:expr, $by:literal) => {{
            let word = $word;
            $token.or_u32x8($token.shr_const_u32x8::<$by>(word), $token.shl_const_u32x8::<{ 32 - $by }>(word))
        }};
    }

    /// The quarter round.
    #[inline(always)]
    fn mix(token: V3, state: &mut [u32x8; 16], [a, b, c, d]: [usize; 4], x: u32x8, y: u32x8) {
        let add = |a, b| token.wrapping_add_u32x8(a, b);
        state[a] = add(add(state[a], state[b]), x);
        state[d] = rotate!(token, token.xor_u32x8(state[d], state[a]), 16);
        state[c] = add(state[c], state[d]);
        state[b] = rotate!(token, token.xor_u32x8(state[b], state[c]), 12);
        state[a] = add(add(state[a], state[b]), y);
        state[d] = rotate!(token, token.xor_u32x8(state[d], state[a]), 8);
        state[c] = add(state[c], state[d]);
        state[b] = rotate!(token, token.xor_u32x8(state[b], state[c]), 7);
    }

    /// Puts the numbers in the order of the extension: block after block.
    #[inline(always)]
    fn write(token: V3, words: &[u32x8; 16], numbers: &mut [u16; NUMBERS]) {
        let (low, high) = (words.first_chunk(), words.last_chunk());
        let low = transpose(token, low.expect("the first half of 16"));
        let high = transpose(token, high.expect("the second half of 16"));
        let halves = low.into_iter().zip(high).flat_map(|(low, high)| [low, high]);
        for (numbers, half) in numbers.as_chunks_mut::<16>().0.iter_mut().zip(halves) {
            *numbers = cast(half);
        }
    }

    /// Word `i` of block `j` becomes word `j` of row `i`, by twos, by fours, by halves.
    #[inline(always)]
    fn transpose(token: V3, words: &[u32x8; 8]) -> [__m256i; 8] {
        let simd = token.avx2;
        let [a, b, c, d, e, f, g, h]: [__m256i; 8] = words.map(cast);
        let twos = |x, y| (simd._mm256_unpacklo_epi32(x, y), simd._mm256_unpackhi_epi32(x, y));
        let fours = |x, y| [simd._mm256_unpacklo_epi64(x, y), simd._mm256_unpackhi_epi64(x, y)];
        let ((ab0, ab1), (cd0, cd1)) = (twos(a, b), twos(c, d));
        let ((ef0, ef1), (gh0, gh1)) = (twos(e, f), twos(g, h));
        let ([s, t], [u, v]) = (fours(ab0, cd0), fours(ab1, cd1));
        let ([w, x], [y, z]) = (fours(ef0, gh0), fours(ef1, gh1));
        let low = |x, y| simd._mm256_permute2x128_si256::<0x20>(x, y);
        let high = |x, y| simd._mm256_permute2x128_si256::<0x31>(x, y);
        [low(s, w), low(t, x), low(u, y), low(v, z), high(s, w), high(t, x), high(u, y), high(v, z)]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_processor_gets_the_numbers_of_the_library(element: [u8; ELEMENT_BYTES]) {
            let expected = one_by_one(&element);
            prop_assert_eq!(stretch(&element), expected);
            #[cfg(target_arch = "x86_64")]
            eightfold::with_each(&element).iter().for_each(|numbers| assert_eq!(*numbers, expected));
        }
    }
}
