//! The chain that a besieged node wants: made once for all seeds, with real bodies, states and certificates.
//!
//! - **Owns**: the blocks, as peers serve them. **In**: the site whose authorities sign. **Out**: headers and bodies.
//! - **On failure**: nothing can fail that is not a defect of this program.

use std::collections::BTreeMap;
use std::sync::Arc;

use alys_actors::chain::local::{LocalChain, PreparedBlock, VerifiedBlock};
use alys_chain::{BlockId, Certificate, CertifiedHeader, Height, SetId, SetQuorum, Signature, Slot};
use alys_ledger::{Recovered, recover};
use alys_storage::MemoryDisk;
use bytes::Bytes;

use crate::site::Site;

/// How many blocks: at the bandwidth of the honest peer half a minute or more, in which what an attacker costs once is seen and does not decide.
pub const BLOCKS: u64 = 3_000;
/// The calldata of each block, in bytes. Large enough that the network is the limit, small enough that a run takes a second.
const CALLDATA_BYTES: usize = 10_000;

/// A finished chain: block h stands in slot h.
pub struct History {
    /// All headers above genesis, ascending.
    pub headers: Vec<CertifiedHeader>,
    bodies: BTreeMap<BlockId, Bytes>,
}

impl History {
    /// Makes it.
    ///
    /// # Panics
    /// If the ledger refuses what the wallets of the site may do, which is a defect.
    #[must_use]
    pub fn new(site: &Site) -> Self {
        let store = MemoryDisk::new().open(site.network.rules.genesis_id()).expect("memory opens");
        let mut chain = LocalChain::open(site.network.clone(), Arc::new(store)).expect("the store is empty");
        let mut history = Self { headers: Vec::new(), bodies: BTreeMap::new() };
        for slot in 1..=BLOCKS {
            let (block, skipped) =
                chain.build(Slot(slot), &[payment(site, slot)]).expect("a state in memory");
            assert!(skipped.is_empty(), "the wallet can pay: {skipped:?}");
            let certificate = certify(site, &block);
            history.headers.push(CertifiedHeader { header: block.header, certificate });
            history.bodies.insert(block.id, block.body.0.clone());
            chain.import(&[VerifiedBlock { block, certificate }]).expect("it was built on the head");
        }
        history
    }

    /// The last block.
    ///
    /// # Panics
    /// Never: there are blocks.
    #[must_use]
    pub fn tip(&self) -> CertifiedHeader {
        *self.headers.last().expect("a history is not empty")
    }

    /// Its headers from a height on.
    #[must_use]
    pub fn range(&self, from: Height, count: u32) -> Vec<CertifiedHeader> {
        let skipped = usize::try_from(from.0.saturating_sub(1)).unwrap_or(usize::MAX);
        self.headers.iter().skip(skipped).take(count as usize).copied().collect()
    }

    /// The body of a block.
    #[must_use]
    pub fn body(&self, id: BlockId) -> Option<Bytes> {
        self.bodies.get(&id).cloned()
    }
}

/// The first wallet pays the second, and says a lot.
fn payment(site: &Site, slot: u64) -> Recovered {
    let input: Vec<u8> = slot.to_le_bytes().into_iter().cycle().take(CALLDATA_BYTES).collect();
    let raw = site.transfer_with(0, slot - 1, input.into());
    recover(&raw, site.network.ledger.chain_id).expect("a wallet signs what can be recovered")
}

/// The approvals of all authorities.
fn certify(site: &Site, block: &PreparedBlock) -> Certificate {
    let header = &block.header;
    let rules = &site.network.rules;
    let set = rules.schedule().set(SetId(0)).expect("there is one set");
    let message = rules.domain().approval_message(SetId(0), header.slot, header.height, block.id);
    let signatures: Vec<Signature> = site.keys[..set.len()].iter().map(|key| key.sign(&message)).collect();
    let signature = Signature::aggregate(&signatures).expect("there are authorities").to_bytes();
    let quorum = SetQuorum { set: SetId(0), signers: set.mask(), signature };
    Certificate { slot: header.slot, height: header.height, block: block.id, quorum, joint: None }
}
