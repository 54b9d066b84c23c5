//! The one chain of a scenario: certified headers without signatures, one block a slot.

use std::collections::BTreeMap;

use alys_chain::{
    AuthorityIndex, BlockId, BlockRef, Certificate, CertifiedHeader, Hash, Header, Height, SetId, SetQuorum,
    Slot,
};

pub const GENESIS: BlockRef = BlockRef::genesis(BlockId([0; 32]));

/// A certified block on `parent`.
pub fn child(parent: BlockRef, slot: u64) -> CertifiedHeader {
    let header = Header {
        height: parent.height.saturating_add(1),
        slot: Slot(slot),
        parent: parent.id,
        body_root: Hash::default(),
        state_root: Hash::default(),
        proposer: AuthorityIndex(0),
    };
    let quorum = SetQuorum { set: SetId(0), signers: 15, signature: [0; 48] };
    let certificate =
        Certificate { slot: header.slot, height: header.height, block: header.id(), quorum, joint: None };
    CertifiedHeader { header, certificate }
}

pub struct Chain {
    headers: Vec<CertifiedHeader>,
    heights: BTreeMap<BlockId, Height>,
}

impl Chain {
    pub fn grown(blocks: u64) -> Self {
        let (mut headers, mut heights, mut tip) = (Vec::new(), BTreeMap::new(), GENESIS);
        for slot in 1..=blocks {
            let header = child(tip, slot);
            tip = BlockRef::of(&header);
            heights.insert(tip.id, tip.height);
            headers.push(header);
        }
        Self { headers, heights }
    }

    pub fn tip(&self) -> BlockRef {
        self.headers.last().map_or(GENESIS, BlockRef::of)
    }

    pub fn head(&self) -> Option<CertifiedHeader> {
        self.headers.last().copied()
    }

    /// Up to `count` headers from this height on.
    pub fn range(&self, from: Height, count: u64) -> Vec<CertifiedHeader> {
        let at = |height: u64| self.headers.get(usize::try_from(height.checked_sub(1)?).ok()?).copied();
        (from.0..from.0.saturating_add(count)).map_while(at).collect()
    }

    pub fn height_of(&self, id: BlockId) -> Option<Height> {
        self.heights.get(&id).copied()
    }
}
