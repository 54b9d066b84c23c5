//! The federation that all histories here belong to: its keys are public knowledge, and one hand holds them all.

use std::collections::BTreeMap;

use alys_actor::Randomness;
use alys_chain::{
    Authority, BlockId, Certificate, Genesis, Header, Rules, Schedule, SecretKey, SetId, SetQuorum,
    UnixMillis,
};
use anyhow::{Context, Result};
use blstrs::Scalar;
use rand_core::Rng;

/// What the choice of signers begins with, so that every run has the same.
const SEED: u64 = 7;
/// The length of a slot.
const SLOT_MS: u64 = 2_000;
/// Any number does.
const CHAIN_ID: u64 = 212_121;
/// As on the real network: room for everything that a history here holds.
const GAS_LIMIT: u64 = 30_000_000;

/// The genesis of a federation, and who signs which block.
pub struct Federation {
    /// A genesis without time and accounts.
    pub genesis: Genesis,
    /// The signer sets, in the order in which blocks take them.
    signers: Vec<Signers>,
}

/// Some members as one: the sum of their keys signs what the sum of their signatures is, at the price of one. A history of many blocks takes
/// minutes less; nobody who checks it can see a difference.
struct Signers {
    mask: u16,
    key: SecretKey,
}

impl Signers {
    fn new(mask: u16, keys: &[SecretKey]) -> Result<Self> {
        let members = keys.iter().enumerate().filter(|(place, _)| mask >> place & 1 == 1);
        let scalar = |key: &SecretKey| Option::<Scalar>::from(Scalar::from_bytes_be(&key.to_bytes()));
        let scalars: Option<Vec<Scalar>> = members.map(|(_, key)| scalar(key)).collect();
        let sum: Scalar = scalars.context("a key is below the order of the group")?.iter().sum();
        Ok(Self { mask, key: SecretKey::from_bytes(&sum.to_bytes_be())? })
    }
}

impl Federation {
    /// So many authorities, whose certificates have so many different signer sets: nobody is always there. Each set is a quorum or more.
    pub fn new(authorities: u8, signer_sets: usize) -> Result<Self> {
        let keys: Vec<SecretKey> = (0..authorities).map(|i| SecretKey::from_seed(&[i + 1; 32])).collect();
        let schedule = Schedule::constant(SLOT_MS, keys.iter().map(Authority::of).collect())
            .context("no federation has so many authorities")?;
        let set = schedule.set(SetId(0)).context("a schedule has a first set")?;
        let mut random = Randomness::seeded(SEED).stream("signer sets");
        let mut masks = vec![set.mask()];
        // The draws end: with few authorities there are fewer quorums than were asked for.
        for _ in 0..1_000 * signer_sets {
            let drawn = u16::try_from(random.next_u32() & u32::from(set.mask()))?;
            let is_quorum = set.quorum().reached_by(drawn.count_ones() as usize);
            if masks.len() < signer_sets && is_quorum && !masks.contains(&drawn) {
                masks.push(drawn);
            }
        }
        let (chain_id, gas_limit) = (CHAIN_ID, GAS_LIMIT);
        let time = UnixMillis(0);
        let genesis = Genesis { chain_id, time, gas_limit, schedule, allocations: BTreeMap::new() };
        let signers = masks.into_iter().map(|mask| Signers::new(mask, &keys)).collect::<Result<_>>()?;
        Ok(Self { genesis, signers })
    }

    /// The certificate of a block, signed by the set whose turn it is.
    pub fn certify(&self, rules: &Rules, header: &Header, block: BlockId) -> Certificate {
        let turn = usize::try_from(header.height.get()).unwrap_or(0) % self.signers.len();
        let Signers { mask, key } = &self.signers[turn];
        let message = rules.domain().approval_message(SetId(0), header.slot, header.height, block);
        let signature = key.sign(&message).to_bytes();
        let quorum = SetQuorum { set: SetId(0), signers: *mask, signature };
        Certificate { slot: header.slot, height: header.height, block, quorum, joint: None }
    }
}

#[cfg(test)]
mod tests {
    use alys_chain::{AuthorityIndex, Hash, Height, Required, Slot};

    use super::*;

    #[test]
    fn every_signer_set_is_a_quorum_that_really_signed() {
        let federation = Federation::new(7, 5).unwrap();
        let rules = Rules::new(&federation.genesis, Hash::default());
        let required = Required { own: SetId(0), old: None };
        let masks: Vec<u16> = (1..=5)
            .map(|height| {
                let header = Header {
                    height: Height(height),
                    slot: Slot(height),
                    parent: BlockId::default(),
                    body_root: Hash::default(),
                    state_root: Hash::default(),
                    proposer: AuthorityIndex(0),
                };
                let certificate = federation.certify(&rules, &header, header.id());
                certificate.verify(&rules, required).unwrap();
                certificate.quorum.signers
            })
            .collect();
        let different: std::collections::BTreeSet<&u16> = masks.iter().collect();
        assert_eq!(different.len(), 5, "{masks:?}");
    }
}
