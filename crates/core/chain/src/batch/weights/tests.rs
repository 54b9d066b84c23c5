use std::collections::BTreeSet;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;

fn drawn(count: usize) -> Vec<Weight> {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    (0..count).map(|_| Weight::draw(&mut rng)).collect()
}

/// The digit of a place of the weight, seen through its window.
fn digit_at(weight: Weight, place: usize) -> i8 {
    let window = weight.windows()[place / WINDOW];
    digit(usize::from(window.unsigned_abs()), place % WINDOW) * window.signum()
}

#[test]
fn the_digits_make_the_weight_and_the_weight_is_64_bits_and_a_sign() {
    let extremes = [1, -1, MAX.cast_signed(), -MAX.cast_signed()].map(Weight);
    for weight in drawn(1_000).into_iter().chain(extremes) {
        let digits = (0..WINDOWS * WINDOW).map(|place| i128::from(digit_at(weight, place)));
        let value: i128 = (0u32..).zip(digits).map(|(place, digit)| digit * 3_i128.pow(place)).sum();
        assert_eq!(value, weight.0);
        assert!(weight.nibbles().iter().all(|nibble| usize::from(nibble.unsigned_abs()) <= NIBBLE_MAX));
        let nibbles = (0u32..).zip(weight.nibbles());
        assert_eq!(nibbles.map(|(place, nibble)| i128::from(nibble) << (4 * place)).sum::<i128>(), weight.0);
    }
}

#[test]
fn a_guess_of_a_weight_is_right_less_often_than_one_in_2_to_the_64() {
    let (digits, limit) = (u32::try_from(DIGITS).unwrap(), 1 << 64);
    assert!(3_u128.pow(digits) > limit);
    assert!(3_u128.pow(digits - 1) < limit, "a digit fewer would do");
    assert!(u64::try_from(MAX).is_ok());
    assert_eq!(usize::try_from(COUNT.ilog(3)).unwrap(), DIGITS);
}

#[test]
fn every_digit_is_drawn_as_often_as_the_others() {
    let weights = drawn(6_000);
    for place in 0..DIGITS {
        for digit in -1..=1 {
            let count = weights.iter().filter(|weight| digit_at(**weight, place) == digit).count();
            // 2,000 expected, standard deviation 37.
            assert!((1_800..=2_200).contains(&count), "{digit} at {place}: {count}");
        }
    }
    let distinct: BTreeSet<i128> = weights.iter().map(|weight| weight.0).collect();
    assert_eq!(distinct.len(), weights.len());
}
