//! Sources with which something is wrong: those that fall silent, and those that lie. They wrap an honest source, outside of the node.
//!
//! - **In**: an honest source and what is wrong. **Out**: its answers, changed, late or never.
//! - **On failure**: an honest source that cannot be read is not made worse.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use alys_actor::Randomness;
use alys_chain::{BlockId, CertifiedHeader, FinalityProof, Height, Slot};
use alys_transport::{BlockSource, Unavailable};
use alys_wire::limits::NONCE_BYTES;
use alys_wire::{PeerId, Status};
use bytes::Bytes;
use clap::ValueEnum;
use rand_core::Rng;

/// How long a request stalls: longer than any patience that a request of ordinary size meets.
const STALL: Duration = Duration::from_secs(5);
/// Of a hundred requests for bodies, so many stall.
const STALLED_PERCENT: u64 = 2;
/// Requests for bodies that a black hole answers before it falls silent for good: enough to be known as a good peer.
const ANSWERED: u64 = 20;
/// Requests that are remembered, so that the pieces of one are not taken for several.
const REMEMBERED: usize = 64;

/// What is wrong with a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Trouble {
    /// It answers for a while, then never again.
    BlackHole,
    /// One request in fifty stalls for some seconds.
    Stalls,
    /// It claims the greatest integer as its height, and has nothing.
    Height,
    /// It serves headers, and never answers a request for bodies.
    Withhold,
    /// It serves headers, and bodies with one byte changed.
    BadBodies,
    /// It serves headers whose approvals are those of other blocks.
    BadApprovals,
}

/// The wrapper.
pub struct Troubled {
    honest: Arc<dyn BlockSource>,
    trouble: Option<Trouble>,
    state: Mutex<State>,
    asked: AtomicU64,
    never: Never,
}

struct State {
    random: alys_actor::Stream,
    recent: VecDeque<Option<BlockId>>,
}

impl Troubled {
    /// With no trouble it is only counted what is asked.
    #[must_use]
    pub fn new(honest: Arc<dyn BlockSource>, trouble: Option<Trouble>, seed: u64) -> Self {
        let random = Randomness::seeded(seed).stream("stalled requests");
        let state = Mutex::new(State { random, recent: VecDeque::new() });
        Self { honest, trouble, state, asked: AtomicU64::new(0), never: Never::default() }
    }

    /// How many requests for bodies came.
    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Whether these are the first bodies of a request, and if so, its lot. A long answer is read piece by piece, which ends with the same block.
    fn begins(&self, ids: &[BlockId]) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let last = ids.last().copied();
        if state.recent.contains(&last) {
            return None;
        }
        state.recent.push_back(last);
        if state.recent.len() > REMEMBERED {
            state.recent.pop_front();
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        Some(state.random.next_u64() % 100)
    }

    fn is_black(&self) -> bool {
        self.trouble == Some(Trouble::BlackHole) && self.asked() > ANSWERED
    }
}

impl BlockSource for Troubled {
    fn status(&self) -> Result<Status, Unavailable> {
        let status = self.honest.status()?;
        if self.is_black() {
            self.never.wait(None);
        }
        Ok(if self.trouble == Some(Trouble::Height) { boast(status) } else { status })
    }

    fn headers(&self, from: Height, count: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
        let headers = self.honest.headers(from, count)?;
        match self.trouble {
            _ if self.is_black() => self.never.wait(None),
            Some(Trouble::Height) => return Ok(Vec::new()),
            Some(Trouble::BadApprovals) => return Ok(with_other_approvals(headers)),
            _ => {}
        }
        Ok(headers)
    }

    fn bodies(&self, ids: &[BlockId], budget: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        let lot = self.begins(ids);
        match self.trouble {
            _ if self.is_black() => self.never.wait(None),
            Some(Trouble::Withhold) => self.never.wait(None),
            Some(Trouble::Stalls) if lot.is_some_and(|lot| lot < STALLED_PERCENT) => {
                self.never.wait(Some(STALL));
            }
            Some(Trouble::Height) => return Ok(vec![None; ids.len()]),
            _ => {}
        }
        let bodies = self.honest.bodies(ids, budget)?;
        if self.trouble == Some(Trouble::BadBodies) {
            return Ok(bodies.into_iter().map(|body| body.map(|body| damaged(&body))).collect());
        }
        Ok(bodies)
    }

    fn claim(&self, asker: PeerId, nonce: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
        self.honest.claim(asker, nonce)
    }

    fn snapshots(&self) -> Result<Vec<FinalityProof>, Unavailable> {
        self.honest.snapshots()
    }

    fn state_sums(&self, block: BlockId) -> Result<Option<Bytes>, Unavailable> {
        self.honest.state_sums(block)
    }

    fn accounts(
        &self,
        block: BlockId,
        bucket: u8,
        after: Option<[u8; 20]>,
        count: usize,
    ) -> Result<Option<Bytes>, Unavailable> {
        self.honest.accounts(block, bucket, after, count)
    }
}

/// Waits in a thread that may block, as those do in which a source is read.
#[derive(Default)]
struct Never {
    lock: Mutex<()>,
    nobody: Condvar,
}

impl Never {
    /// For so long, or for ever.
    fn wait(&self, time: Option<Duration>) {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        match time {
            Some(time) => drop(self.nobody.wait_timeout_while(guard, time, |()| true)),
            None => drop(self.nobody.wait_while(guard, |()| true)),
        }
    }
}

/// The head at the greatest height and slot that there are.
fn boast(status: Status) -> Status {
    let head = status.head.map(|CertifiedHeader { mut header, mut certificate }| {
        (header.height, certificate.height) = (Height(u64::MAX), Height(u64::MAX));
        (header.slot, certificate.slot) = (Slot(u64::MAX), Slot(u64::MAX));
        certificate.block = header.id();
        CertifiedHeader { header, certificate }
    });
    Status { head, finalized: Height(u64::MAX), ..status }
}

/// Each certificate with the signature of its neighbour: points of the curve, but not over these blocks.
fn with_other_approvals(mut headers: Vec<CertifiedHeader>) -> Vec<CertifiedHeader> {
    let signatures: Vec<_> = headers.iter().map(|header| header.certificate.quorum.signature).collect();
    for (header, other) in headers.iter_mut().zip(signatures.into_iter().cycle().skip(1)) {
        header.certificate.quorum.signature = other;
    }
    headers
}

/// The same length, another last byte; of nothing, something.
fn damaged(body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    match bytes.last_mut() {
        Some(last) => *last ^= 1,
        None => bytes.push(1),
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Honest;

    impl BlockSource for Honest {
        fn status(&self) -> Result<Status, Unavailable> {
            Ok(Status { head: None, finalized: Height(5), earliest: Height(1) })
        }

        fn headers(&self, _: Height, _: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
            Ok(Vec::new())
        }

        fn bodies(&self, ids: &[BlockId], _: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
            Ok(vec![Some(Bytes::from_static(b"body")); ids.len()])
        }

        fn claim(&self, _: PeerId, _: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
            Ok(None)
        }
    }

    fn troubled(trouble: Trouble) -> Troubled {
        Troubled::new(Arc::new(Honest), Some(trouble), 1)
    }

    fn id(number: u8) -> BlockId {
        BlockId([number; 32])
    }

    #[test]
    fn a_boaster_has_the_greatest_height_and_nothing_else() {
        let source = troubled(Trouble::Height);
        assert_eq!(source.status().unwrap().finalized, Height(u64::MAX));
        assert!(source.headers(Height(1), 5).unwrap().is_empty());
        assert_eq!(source.bodies(&[id(1)], 100).unwrap(), [None]);
    }

    #[test]
    fn a_bad_body_is_as_long_as_the_good_one() {
        let bodies = troubled(Trouble::BadBodies).bodies(&[id(1)], 100).unwrap();
        assert_eq!(bodies, [Some(Bytes::from_static(b"bodx"))]);
        assert_eq!(damaged(&Bytes::new()).len(), 1);
    }

    #[test]
    fn a_black_hole_answers_until_it_is_trusted() {
        let source = troubled(Trouble::BlackHole);
        for number in 0..20 {
            source.bodies(&[id(number)], 100).unwrap();
            assert!(!source.is_black());
        }
        source.begins(&[id(20)]);
        assert!(source.is_black());
    }

    #[test]
    fn the_pieces_of_one_request_share_its_lot() {
        let source = troubled(Trouble::Stalls);
        assert!(source.begins(&[id(1), id(2), id(3)]).is_some());
        assert!(source.begins(&[id(3)]).is_none(), "the rest of the same request");
        assert!(source.begins(&[id(4)]).is_some());
        assert_eq!(source.asked(), 2);
    }

    #[test]
    fn two_in_a_hundred_requests_stall() {
        let source = troubled(Trouble::Stalls);
        let lots = (0..10_000u32).filter_map(|number| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            source.begins(&[BlockId(bytes)])
        });
        let stalled = lots.filter(|lot| *lot < STALLED_PERCENT).count();
        assert!((150..250).contains(&stalled), "{stalled}");
    }
}
