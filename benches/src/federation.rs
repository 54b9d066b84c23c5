//! The federation that all histories here belong to: its keys are public knowledge, and one hand holds them all.

use std::collections::BTreeMap;

use alys_actor::Randomness;
use alys_chain::{
    Authority, BlockId, Certificate, Genesis, Header, Rules, Schedule, SecretKey, SetId, SetQuorum,
    Signature, UnixMillis,
};
use anyhow::{Context, Result};
use rand_core::Rng;

/// What the choice of signers begins with, so that every run has the same.
const SEED: u64 = 7;
/// The length of a slot.
const SLOT_MS: u64 = 2_000;
/// Any number does.
const CHAIN_ID: u64 = 212_121;
/// As on the real network: room for everything that a history here holds.
const GAS_LIMIT: u64 = 30_000_000;

/// The keys of a federation, its genesis, and who signs which block.
pub struct Federation {
    /// All keys, by the place in the set.
    pub keys: Vec<SecretKey>,
    /// A genesis without time and accounts.
    pub genesis: Genesis,
    /// The signer sets, in the order in which blocks take them.
    signers: Vec<u16>,
}

impl Federation {
    /// So many authorities, whose certificates have so many different signer sets: nobody is always there. Each set is a quorum or more.
    pub fn new(authorities: u8, signer_sets: usize) -> Result<Self> {
        let keys: Vec<SecretKey> = (0..authorities).map(|i| SecretKey::from_seed(&[i + 1; 32])).collect();
        let schedule = Schedule::constant(SLOT_MS, keys.iter().map(Authority::of).collect())
            .context("no federation has so many authorities")?;
        let set = schedule.set(SetId(0)).context("a schedule has a first set")?;
        let mut random = Randomness::seeded(SEED).stream("signer sets");
        let mut signers = vec![set.mask()];
        // The draws end: with few authorities there are fewer quorums than were asked for.
        for _ in 0..1_000 * signer_sets {
            let drawn = u16::try_from(random.next_u32() & u32::from(set.mask()))?;
            let is_quorum = set.quorum().reached_by(drawn.count_ones() as usize);
            if signers.len() < signer_sets && is_quorum && !signers.contains(&drawn) {
                signers.push(drawn);
            }
        }
        let (chain_id, gas_limit) = (CHAIN_ID, GAS_LIMIT);
        let time = UnixMillis(0);
        let genesis = Genesis { chain_id, time, gas_limit, schedule, allocations: BTreeMap::new() };
        Ok(Self { keys, genesis, signers })
    }

    /// The certificate of a block, signed by the set whose turn it is.
    pub fn certify(&self, rules: &Rules, header: &Header, block: BlockId) -> Certificate {
        let turn = usize::try_from(header.height.get()).unwrap_or(0) % self.signers.len();
        let signers = self.signers[turn];
        let message = rules.domain().approval_message(SetId(0), header.slot, header.height, block);
        let members = self.keys.iter().enumerate().filter(|(place, _)| signers >> place & 1 == 1);
        let signatures: Vec<Signature> = members.map(|(_, key)| key.sign(&message)).collect();
        let signature = Signature::aggregate(&signatures).expect("a quorum has a member").to_bytes();
        let quorum = SetQuorum { set: SetId(0), signers, signature };
        Certificate { slot: header.slot, height: header.height, block, quorum, joint: None }
    }
}
