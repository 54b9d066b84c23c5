//! The vector instructions of this processor, looked up at run time.
//!
//! The instructions are those of `pulp`, which keeps what is unsafe about them to itself; the assembly of other libraries would need Perl to build.
//! What is written for AVX2 runs with them, and where the processor has AVX-512, it is compiled a second time for it: a rotation is one
//! instruction there and not three, and the 25 words of a Keccak state stay in registers.

use pulp::x86::{V3, V4};
use pulp::{NullaryFnOnce, Simd};

/// Does the work with the best instructions there are; `None` without AVX2.
pub(crate) fn vectorized<Work: NullaryFnOnce>(work: impl FnOnce(V3) -> Work) -> Option<Work::Output> {
    if let Some(wide) = V4::try_new() {
        return Some(Simd::vectorize(wide, work(*wide)));
    }
    let token = V3::try_new()?;
    Some(Simd::vectorize(token, work(token)))
}

/// What the work comes to with each kind of instructions that this processor has.
#[cfg(test)]
pub(crate) fn with_each<Work: NullaryFnOnce>(work: impl Fn(V3) -> Work) -> Vec<Work::Output> {
    let wide = V4::try_new().map(|wide| Simd::vectorize(wide, work(*wide)));
    let narrow = V3::try_new().map(|token| Simd::vectorize(token, work(token)));
    wide.into_iter().chain(narrow).collect()
}
