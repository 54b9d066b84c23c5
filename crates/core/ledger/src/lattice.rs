//! A hash of a set that is updated element by element: LtHash16 with 1,024 lanes (Lewi, Kim, Maykov, Weis: "Securing Update Propagation
//! with Homomorphic Hashing", 2019). Each element is stretched to 1,024 numbers of 16 bits; the hash of the set is their sum, lane by
//! lane, modulo 2^16. So adding and removing commute, and cost the same in a small and in a large set.
//!
//! - **Owns**: the sum of one bucket of accounts.
//! - **In, out**: accounts added and removed; 2,048 bytes.
//! - **Limits**: two sets with one sum are as hard to find as a short vector in a lattice (the paper: 200 bits and more for these
//!   parameters). It is a hash of a set only while no element repeats 65,536 times; an address has one account, so none repeats at all.
//!   By itself it proves neither that an account is in the set nor that it is not.

mod stretch;

use alloy_primitives::Address;

use crate::account::{Account, element};
use stretch::stretch;

/// How many sums there are; the paper's choice.
const LANES: usize = 1024;

/// The sum of a set of accounts.
#[derive(Clone, PartialEq, Eq)]
pub struct LatticeHash([u16; LANES]);

impl LatticeHash {
    /// The size of the encoding in bytes.
    pub const SIZE: usize = LANES * 2;

    /// The hash of the empty set.
    pub const EMPTY: Self = Self([0; LANES]);

    /// Puts an account into the set.
    pub fn add(&mut self, address: &Address, account: &Account) {
        for (lane, number) in self.0.iter_mut().zip(stretch(&element(address, account))) {
            *lane = lane.wrapping_add(number);
        }
    }

    /// Takes an account out of the set. What was never in it can be taken out as well; the sum is then one that no set has.
    pub fn remove(&mut self, address: &Address, account: &Account) {
        for (lane, number) in self.0.iter_mut().zip(stretch(&element(address, account))) {
            *lane = lane.wrapping_sub(number);
        }
    }

    /// The sums, little-endian, lane after lane.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        for (bytes, lane) in out.as_chunks_mut::<2>().0.iter_mut().zip(&self.0) {
            *bytes = lane.to_le_bytes();
        }
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; every value is a possible one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let mut lanes = [0; LANES];
        for (lane, bytes) in lanes.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *lane = u16::from_le_bytes(*bytes);
        }
        Self(lanes)
    }
}

impl Default for LatticeHash {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl core::fmt::Debug for LatticeHash {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "LatticeHash({:04x} {:04x} ..)", self.0[0], self.0[1])
    }
}
