//! Certified headers without signatures, for every test of this crate: the unit tests take this file in as well.
#![allow(dead_code, reason = "each test uses the part that it needs")]

use alys_chain::{
    AuthorityIndex, BlockId, BlockRef, Certificate, CertifiedHeader, Hash, Header, SetId, SetQuorum, Slot,
};
use alys_wire::PeerId;

pub const GENESIS: BlockRef = BlockRef::genesis(BlockId([0; 32]));

pub fn peer(n: u8) -> PeerId {
    PeerId::from_bytes(&[n]).unwrap()
}

/// A certified block on `parent`; branches differ by `tag`.
pub fn child(parent: BlockRef, slot: u64, tag: u8) -> CertifiedHeader {
    let header = Header {
        height: parent.height.next().unwrap(),
        slot: Slot(slot),
        parent: parent.id,
        body_root: Hash([tag; 32]),
        state_root: Hash::default(),
        proposer: AuthorityIndex(0),
    };
    let quorum = SetQuorum { set: SetId(0), signers: 15, signature: [0; 48] };
    let certificate =
        Certificate { slot: header.slot, height: header.height, block: header.id(), quorum, joint: None };
    CertifiedHeader { header, certificate }
}

/// Blocks in these slots, each the child of the one before.
pub fn chain(base: BlockRef, slots: impl IntoIterator<Item = u64>, tag: u8) -> Vec<CertifiedHeader> {
    let mut parent = base;
    let grown = slots.into_iter().map(|slot| {
        let header = child(parent, slot, tag);
        parent = BlockRef::of(&header);
        header
    });
    grown.collect()
}
