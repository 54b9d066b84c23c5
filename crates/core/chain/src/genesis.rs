//! The genesis: what a network begins with, and what names it.
//!
//! - **Owns**: the spec (as a file: serde; as bytes: one canonical encoding) and the genesis header made of it.
//! - **In**: a file or bytes. **Out**: [`Genesis`], the header of height 0, the [`Rules`](crate::rules::Rules) of the network.
//! - **On failure**: [`Invalid`]; sizes are checked before anything is allocated.

use core::fmt;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::block::Body;
use crate::bls::{PossessionProof, PublicKey};
use crate::error::Invalid;
use crate::header::Header;
use crate::hex_serde;
use crate::ids::{AuthorityIndex, BlockId, Hash, Height, Slot};
use crate::limits::{BLOCK_GAS_LIMIT, MAX_ALLOCATIONS, MAX_AUTHORITIES, MAX_PERIODS};
use crate::read::Reader;
use crate::schedule::{Authority, Period, Schedule};
use crate::sha256::sha256;
use crate::time::UnixMillis;

/// Separates the hash of a spec from every other SHA-256 in the system, and names the version of its encoding.
const SPEC_DOMAIN: &[u8] = b"alys/genesis/1";
const WHAT: &str = "genesis";
const PERIOD_BYTES: usize = 8 + 8 + 1;
const ALLOCATION_BYTES: usize = 20 + 32;

/// The address of an account: 20 bytes, as in Ethereum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account(pub [u8; 20]);

/// A balance: an unsigned 256-bit integer, big-endian, in the smallest unit (wei).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub [u8; 32]);

impl From<u128> for Amount {
    fn from(n: u128) -> Self {
        let mut bytes = [0; 32];
        bytes[16..].copy_from_slice(&n.to_be_bytes());
        Self(bytes)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        hex_serde::serialize(&self.0, to)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        hex_serde::deserialize(from).map(Self)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        hex_serde::serialize(&self.0, to)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        hex_serde::deserialize(from).map(Self)
    }
}

/// Everything that all nodes of a network must agree on before the first block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The chain id of transactions (EIP-155).
    pub chain_id: u64,
    /// When slot 0 begins.
    pub time: UnixMillis,
    /// Gas in one block.
    #[serde(default = "default_gas_limit")]
    pub gas_limit: u64,
    /// The authorities and the slot lengths.
    pub schedule: Schedule,
    /// Who owns what at the beginning.
    #[serde(default)]
    pub allocations: BTreeMap<Account, Amount>,
}

const fn default_gas_limit() -> u64 {
    BLOCK_GAS_LIMIT
}

impl Genesis {
    /// The canonical encoding: chain id, time, gas limit; the number of schedule entries and each (slot, slot length, number of
    /// authorities, keys with proofs); the number of allocations and each, ascending by account. Numbers are little-endian.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + self.allocations.len() * ALLOCATION_BYTES);
        for number in [self.chain_id, self.time.0, self.gas_limit] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        put_count(&mut out, self.schedule.periods().len());
        for period in self.schedule.periods() {
            out.extend_from_slice(&period.from_slot.0.to_le_bytes());
            out.extend_from_slice(&period.slot_ms.to_le_bytes());
            out.push(u8::try_from(period.authorities.len()).expect("a set has at most 15 members"));
            for authority in &period.authorities {
                out.extend_from_slice(authority.key.as_bytes());
                out.extend_from_slice(&authority.proof.0);
            }
        }
        put_count(&mut out, self.allocations.len());
        for (account, amount) in &self.allocations {
            out.extend_from_slice(&account.0);
            out.extend_from_slice(&amount.0);
        }
        out
    }

    /// The spec of an encoding; every spec has one encoding only.
    ///
    /// # Errors
    /// [`Invalid`] with the rule that the bytes break.
    pub fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        let mut from = Reader::new(WHAT, bytes);
        let (chain_id, time, gas_limit) = (from.u64()?, UnixMillis(from.u64()?), from.u64()?);
        let periods = from.count(MAX_PERIODS, PERIOD_BYTES)?;
        let periods = (0..periods).map(|_| read_period(&mut from)).collect::<Result<Vec<_>, _>>()?;
        let schedule = Schedule::new(periods)?;
        let allocations = read_allocations(&mut from)?;
        from.end()?;
        Ok(Self { chain_id, time, gas_limit, schedule, allocations })
    }

    /// The hash of the encoding, under a domain tag: the parent of the genesis block.
    #[must_use]
    pub fn spec_hash(&self) -> BlockId {
        BlockId(sha256(&[SPEC_DOMAIN, &self.encode()]))
    }

    /// The header of height 0. Its id names the network, as it commits to the spec (its parent) and to the accounts: `state_root` is the
    /// ledger's root over the allocations.
    #[must_use]
    pub fn header(&self, state_root: Hash) -> Header {
        Header {
            height: Height::ZERO,
            slot: Slot::ZERO,
            parent: self.spec_hash(),
            body_root: Body::empty_root(),
            state_root,
            proposer: AuthorityIndex(0),
        }
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).expect("counts are limited").to_le_bytes());
}

fn read_period(from: &mut Reader<'_>) -> Result<Period, Invalid> {
    let (from_slot, slot_ms, count) = (Slot(from.u64()?), from.u64()?, usize::from(from.u8()?));
    if count > MAX_AUTHORITIES {
        return Err(Invalid::TooMany { what: "authorities of a set", limit: MAX_AUTHORITIES, got: count });
    }
    let mut authorities = Vec::with_capacity(count);
    for _ in 0..count {
        let key = PublicKey::from_bytes(from.array()?)?;
        authorities.push(Authority { key, proof: PossessionProof(*from.array()?) });
    }
    Ok(Period { from_slot, slot_ms, authorities })
}

fn read_allocations(from: &mut Reader<'_>) -> Result<BTreeMap<Account, Amount>, Invalid> {
    let count = from.count(MAX_ALLOCATIONS, ALLOCATION_BYTES)?;
    let mut allocations = BTreeMap::new();
    for _ in 0..count {
        let (account, amount) = (Account(*from.array()?), Amount(*from.array()?));
        if allocations.last_key_value().is_some_and(|(last, _)| *last >= account) {
            return Err(Invalid::Malformed { what: WHAT, why: "accounts must ascend" });
        }
        allocations.insert(account, amount);
    }
    Ok(allocations)
}

#[cfg(test)]
mod tests;
