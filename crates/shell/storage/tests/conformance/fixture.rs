//! Blocks to store. Nothing here is a valid chain: the store does not judge.

use std::path::Path;

use alys_chain::{
    AuthorityIndex, BlockId, Body, Certificate, Hash, Header, Height, Lineage, SetId, SetQuorum, Slot,
};
use alys_storage::{Batch, BlockKey, Limit};
use bytes::Bytes;

pub const GENESIS: BlockId = BlockId([7; 32]);
pub const OTHER_GENESIS: BlockId = BlockId([8; 32]);
/// No limit that a test would reach.
pub const AMPLE: Limit = Limit { count: 10_000, bytes: 1 << 30 };

/// An empty directory; in memory where there is enough of it, since no test loses the power of this machine.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let roomy =
        rustix::fs::statvfs(memory).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) > 2 << 30);
    if roomy { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// A block of the branch `branch`.
#[derive(Clone)]
pub struct Sample {
    pub at: BlockKey,
    pub header: Header,
    pub body: Body,
    pub certificate: Certificate,
    pub lineage: Lineage,
}

pub fn sample(height: u64, branch: u8, body_bytes: usize) -> Sample {
    let header = Header {
        height: Height(height),
        slot: Slot(height * 2),
        parent: BlockId([branch; 32]),
        body_root: Hash([1; 32]),
        state_root: Hash([2; 32]),
        proposer: AuthorityIndex(branch),
    };
    let quorum = SetQuorum { set: SetId(0), signers: 0b111, signature: [branch; 48] };
    let id = header.id();
    Sample {
        at: BlockKey::new(Height(height), id),
        header,
        body: Body(Bytes::from(noise(height, body_bytes))),
        certificate: Certificate { slot: header.slot, height: header.height, block: id, quorum, joint: None },
        lineage: Lineage::GENESIS.advance(&header),
    }
}

/// Bytes that do not compress, the same ones for the same seed (an xorshift).
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

impl Sample {
    /// Stores it with its certificate.
    pub fn put(&self, batch: &mut Batch) {
        self.propose(batch);
        batch.certify(&self.certificate);
    }

    /// Stores it without.
    pub fn propose(&self, batch: &mut Batch) {
        batch.put_block(self.at, &self.header, self.lineage, &self.body);
    }

    /// Stores it as the canonical block and the head.
    pub fn extend(&self, batch: &mut Batch) {
        self.put(batch);
        batch.make_canonical(self.at).set_head(self.at);
    }
}

/// The canonical chain of branch 0 from height 1, in one batch.
pub fn chain(length: u64, body_bytes: usize) -> (Vec<Sample>, Batch) {
    let blocks: Vec<Sample> = (1..=length).map(|height| sample(height, 0, body_bytes)).collect();
    let mut batch = Batch::new();
    blocks.iter().for_each(|block| block.extend(&mut batch));
    (blocks, batch)
}
