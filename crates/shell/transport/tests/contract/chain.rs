//! A small chain in memory, to be served.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use alys_chain::{
    AuthorityIndex, Best, BlockId, Certificate, CertifiedHeader, Hash, Header, Height, Report, Seat, SetId,
    SetQuorum, Slot,
};
use alys_transport::{BlockSource, Unavailable};
use alys_wire::limits::NONCE_BYTES;
use alys_wire::{PeerId, Status};
use bytes::Bytes;

/// Blocks with bodies of one size. Counts what is read from it.
#[derive(Debug, Default)]
pub struct Chain {
    headers: Vec<CertifiedHeader>,
    bodies: BTreeMap<BlockId, Bytes>,
    pub bytes_read: AtomicUsize,
    pub broken: AtomicBool,
}

impl Chain {
    pub fn new(blocks: u64, body_bytes: usize) -> Self {
        let mut chain = Self::default();
        let mut parent = BlockId::default();
        for height in 1..=blocks {
            let certified = certified(Height(height), parent);
            parent = certified.header.id();
            chain.headers.push(certified);
            let fill = u8::try_from(height % 251).unwrap();
            chain.bodies.insert(parent, Bytes::from(vec![fill; body_bytes]));
        }
        chain
    }

    pub fn headers_from(&self, height: u64, count: usize) -> Vec<CertifiedHeader> {
        let skip = usize::try_from(height - 1).unwrap();
        self.headers.iter().skip(skip).take(count).copied().collect()
    }

    pub fn ids(&self) -> Vec<BlockId> {
        self.headers.iter().map(|certified| certified.header.id()).collect()
    }

    pub fn body(&self, id: &BlockId) -> Option<Bytes> {
        self.bodies.get(id).cloned()
    }

    fn check(&self) -> Result<(), Unavailable> {
        if self.broken.load(Ordering::SeqCst) { Err(Unavailable) } else { Ok(()) }
    }
}

fn certified(height: Height, parent: BlockId) -> CertifiedHeader {
    let header = Header {
        height,
        slot: Slot(height.get() + 3),
        parent,
        body_root: Hash([1; 32]),
        state_root: Hash([2; 32]),
        proposer: AuthorityIndex(1),
    };
    let quorum = SetQuorum { set: SetId(0), signers: 7, signature: [9; 48] };
    let certificate = Certificate { slot: header.slot, height, block: header.id(), quorum, joint: None };
    CertifiedHeader { header, certificate }
}

impl BlockSource for Chain {
    fn status(&self) -> Result<Status, Unavailable> {
        self.check()?;
        Ok(Status { head: self.headers.last().copied(), finalized: Height(1), earliest: Height(1) })
    }

    fn headers(&self, from: Height, count: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
        self.check()?;
        Ok(self.headers_from(from.get(), count as usize))
    }

    fn bodies(&self, ids: &[BlockId], budget: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        self.check()?;
        let mut read = 0;
        let mut bodies = Vec::new();
        for id in ids {
            let body = self.body(id);
            let size = body.as_ref().map_or(0, Bytes::len);
            if !bodies.is_empty() && read + size > budget {
                break;
            }
            read += size;
            bodies.push(body);
        }
        self.bytes_read.fetch_add(read, Ordering::SeqCst);
        Ok(bodies)
    }

    fn claim(&self, asker: PeerId, nonce: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
        self.check()?;
        let claim = [asker.as_bytes(), &nonce].concat();
        Ok((!self.headers.is_empty()).then(|| Bytes::from(claim)))
    }

    fn report(&self, nonce: [u8; NONCE_BYTES]) -> Result<Option<Report>, Unavailable> {
        self.check()?;
        Ok(self.headers.last().map(|last| report(last, nonce)))
    }
}

/// What a node with this head says. The transport looks at nothing in it.
pub fn report(head: &CertifiedHeader, nonce: [u8; NONCE_BYTES]) -> Report {
    let mut signature = [1; 48];
    signature[..NONCE_BYTES].copy_from_slice(&nonce);
    let best = Best { slot: head.header.slot, block: head.certificate.block };
    Report { seat: Seat { set: SetId(0), authority: AuthorityIndex(1) }, best, signature }
}
