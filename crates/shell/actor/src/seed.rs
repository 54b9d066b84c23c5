//! Randomness as a value: one seed gives every component a stream of its own, by name.
//!
//! Where signatures or keys depend on it, only [`Randomness::system`] will do; a seeded run is for simulation and tests.

use std::fmt;

use alys_chain::sha256;
use rand_chacha::ChaCha20Rng;
use rand_core::{SeedableRng, UnwrapErr};

/// A stream of random numbers, cryptographically strong if its origin is.
pub type Stream = ChaCha20Rng;

/// Sets this use of SHA-256 apart from all others.
const DOMAIN: &[u8] = b"alys random stream v1";

/// Where random streams come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Randomness(Option<u64>);

impl Randomness {
    /// From the operating system.
    #[must_use]
    pub const fn system() -> Self {
        Self(None)
    }

    /// From `seed`: the same names give the same streams, in whatever order they are asked for.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(Some(seed))
    }

    /// The stream called `name`. From the system each call gives a new stream; from a seed, the same one from its start.
    ///
    /// # Panics
    /// If the operating system has no randomness to give; nothing safe can be done then.
    #[must_use]
    pub fn stream(&self, name: &str) -> Stream {
        let Some(seed) = self.0 else {
            return Stream::from_rng(&mut UnwrapErr(getrandom::SysRng));
        };
        Stream::from_seed(sha256(&[DOMAIN, &seed.to_le_bytes(), name.as_bytes()]))
    }

    /// The randomness of a part of the whole, such as one node of a simulated world.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        use rand_core::Rng;
        Self(self.0.map(|_| self.stream(name).next_u64()))
    }
}

impl fmt::Display for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(seed) => write!(f, "seed {seed}"),
            None => f.write_str("no seed, system randomness"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_core::Rng;

    use super::*;

    #[test]
    fn one_seed_gives_each_name_its_own_repeatable_stream() {
        let world = Randomness::seeded(7);
        assert_eq!(world.stream("peers").next_u64(), world.stream("peers").next_u64());
        assert_ne!(world.stream("peers").next_u64(), world.stream("sync").next_u64());
        assert_ne!(world.stream("peers").next_u64(), Randomness::seeded(8).stream("peers").next_u64());
    }

    #[test]
    fn a_child_differs_from_its_parent_and_its_siblings() {
        let world = Randomness::seeded(7);
        let first = world.child("node 1").stream("peers").next_u64();
        assert_eq!(first, world.child("node 1").stream("peers").next_u64());
        assert_ne!(first, world.child("node 2").stream("peers").next_u64());
        assert_ne!(first, world.stream("peers").next_u64());
    }

    #[test]
    fn the_system_never_repeats_itself() {
        let system = Randomness::system();
        assert_ne!(system.stream("keys").next_u64(), system.stream("keys").next_u64());
        assert_ne!(system.child("node").stream("keys").next_u64(), system.stream("keys").next_u64());
    }

    #[test]
    fn the_seed_can_be_printed_and_used_again() {
        assert_eq!(Randomness::seeded(42).to_string(), "seed 42");
        assert_eq!(Randomness::system().to_string(), "no seed, system randomness");
    }
}
