//! SHA-256 (FIPS 180-4), by which everything on the chain is named.
//!
//! The assembly of the library that does TLS here: where the processor has no instructions for this hash it takes half to two thirds of the time of
//! plain Rust, elsewhere as long.

use aws_lc_rs::digest::{Context, SHA256};

/// The hash of the parts, one behind the other. What they are must follow from the first of them: parts that are cut elsewhere have the same hash.
///
/// # Panics
/// Never: more than 2^61 bytes would have to be hashed.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    parts.iter().for_each(|part| hash.update(part));
    hash.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2_0_10::Digest as _;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_hash_of_another_implementation(bytes: Vec<u8>, cut: proptest::sample::Index) {
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            prop_assert_eq!(sha256(&[first, second]), <[u8; 32]>::from(sha2_0_10::Sha256::digest(&bytes)));
        }
    }
}
