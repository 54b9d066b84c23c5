//! The peers of a besieged node: sources that serve a history, one of them truthfully, the others with a lie.
//!
//! - **Decides**: what each answer says. **In**: requests, through the transport. **Out**: answers; how many of them were provably false.
//! - **On failure**: nothing fails here: a liar that has nothing to lie about serves the truth.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alys_actor::{Clock, Stream};
use alys_chain::{
    BlockId, Certificate, CertifiedHeader, Claim, Header, Height, Parties, Rules, Seat, SecretKey, Slot,
    UnixMillis,
};
use alys_transport::simulated::{self, Link};
use alys_transport::{BlockSource, Unavailable};
use alys_wire::limits::NONCE_BYTES;
use alys_wire::{PeerId, Status};
use bytes::Bytes;
use rand_core::Rng;

use super::history::History;
use crate::faults::Dice;
use crate::tap::Asked;

/// How long a claim holds, in milliseconds.
const CLAIM_MS: u64 = 60_000;
/// What a line carries once its server has begun to drip, in bytes a second.
const DRIP: u64 = 1;

/// What a liar does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Its head has the greatest integer for a height, and perhaps for a slot, under a certificate of another block.
    GreatestHeight {
        /// Whether the slot is the greatest as well.
        slot: bool,
    },
    /// It serves every header, and bodies only to the first requests.
    NoBodies {
        /// How many requests for bodies it serves before.
        after: u64,
        /// How it withholds the others.
        how: Withheld,
    },
    /// One body in so many is not the block's.
    BadBodies {
        /// 1 spoils all.
        every: u64,
        /// How.
        how: BadBody,
    },
    /// One certificate in so many has a signature that is not its own.
    BadApprovals {
        /// 1 spoils all.
        every: u64,
        /// How.
        how: BadApproval,
    },
    /// Once it is asked for headers or bodies, its line carries one byte a second.
    Drip,
}

/// How bodies are withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// "I have none of them."
    Missing,
    /// "Not now."
    Refused,
    /// Nothing at all.
    Silence,
}

impl Withheld {
    /// Any way.
    #[must_use]
    pub fn draw(dice: &mut Dice<Stream>) -> Self {
        [Self::Missing, Self::Refused, Self::Silence][dice.index(3)]
    }
}

/// How a body is spoiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadBody {
    /// One bit is another.
    Flipped,
    /// The end is missing.
    Cut,
    /// It is empty.
    Empty,
    /// It is another block's.
    Swapped,
}

/// How an approval is spoiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadApproval {
    /// The signature is another certificate's: a valid point, and the sum over many certificates may still be right.
    Swapped,
    /// The signature is no point of the curve.
    Garbage,
    /// Fewer signers than a quorum are named.
    TooFew,
}

/// The line to the besieged node, which its server may choke.
pub struct Line {
    /// The network.
    pub network: simulated::Network,
    /// Both ends: the server, and who asks.
    pub ends: (PeerId, PeerId),
    /// What it is like before.
    pub link: Link,
}

impl Line {
    fn choke(&self) {
        let (server, asker) = self.ends;
        self.network.set_link(server, asker, Link { bandwidth: Some(DRIP), ..self.link });
    }
}

/// The seat of a peer that is an authority.
pub struct Member {
    /// Where it sits.
    pub seat: Seat,
    /// Its key.
    pub key: SecretKey,
    /// The rules of the network.
    pub rules: Arc<Rules>,
    /// The time.
    pub clock: Clock,
}

/// One peer.
pub struct Peer {
    /// What it serves.
    pub history: Arc<History>,
    /// What it lies about; `None` for the honest one.
    pub lie: Option<Lie>,
    /// Its line.
    pub line: Line,
    /// Its seat, if it has one.
    pub member: Option<Member>,
    /// What it draws from.
    pub dice: Mutex<Dice<Stream>>,
    /// How many of its answers were provably false.
    pub lies: AtomicU64,
    /// How many requests for bodies it got.
    pub asked: AtomicU64,
}

impl Peer {
    /// How many of the leases that a node gave it served nothing of use.
    #[must_use]
    pub const fn in_vain(&self, asked: &Asked) -> u64 {
        match self.lie {
            Some(Lie::NoBodies { after, .. }) => asked.bodies.saturating_sub(after),
            Some(Lie::Drip) => asked.headers + asked.bodies,
            _ => 0,
        }
    }

    fn dice(&self) -> MutexGuard<'_, Dice<Stream>> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lied(&self) {
        self.lies.fetch_add(1, Ordering::Relaxed);
    }

    fn spoil_approvals(&self, headers: &mut [CertifiedHeader], every: u64, how: BadApproval) {
        let mut lied = false;
        for n in 0..headers.len() {
            if self.dice().below(every) > 0 {
                continue;
            }
            lied = true;
            let other = headers[(n + 1) % headers.len()].certificate.quorum.signature;
            let quorum = &mut headers[n].certificate.quorum;
            match how {
                BadApproval::Swapped if other != quorum.signature => quorum.signature = other,
                BadApproval::Swapped | BadApproval::Garbage => {
                    self.dice().0.fill_bytes(&mut quorum.signature)
                }
                BadApproval::TooFew => quorum.signers = 1,
            }
        }
        if lied {
            self.lied();
        }
    }

    fn spoil(&self, bodies: &mut [Option<Bytes>], every: u64, how: BadBody) {
        let mut lied = false;
        for n in 0..bodies.len() {
            let other = bodies[(n + 1) % bodies.len()].clone();
            let Some(body) = &mut bodies[n] else { continue };
            if self.dice().below(every) > 0 {
                continue;
            }
            lied = true;
            *body = match how {
                BadBody::Cut => body.slice(..body.len() / 2),
                BadBody::Empty => Bytes::new(),
                BadBody::Swapped if other.as_ref().is_some_and(|other| other != body) => {
                    other.unwrap_or_default()
                }
                BadBody::Swapped | BadBody::Flipped => flipped(body, self.dice().index(body.len())),
            };
        }
        if lied {
            self.lied();
        }
    }
}

fn flipped(body: &Bytes, at: usize) -> Bytes {
    let mut bytes = body.to_vec();
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1;
    }
    bytes.into()
}

/// The tip, raised as high as numbers go.
fn greatest(tip: CertifiedHeader, slot: bool) -> CertifiedHeader {
    let slot = if slot { Slot(u64::MAX) } else { tip.header.slot };
    let header = Header { height: Height(u64::MAX), slot, ..tip.header };
    let certificate = Certificate { slot, height: header.height, block: header.id(), ..tip.certificate };
    CertifiedHeader { header, certificate }
}

impl BlockSource for Peer {
    fn status(&self) -> Result<Status, Unavailable> {
        let tip = self.history.tip();
        let head = match self.lie {
            Some(Lie::GreatestHeight { slot }) => {
                self.lied();
                greatest(tip, slot)
            }
            _ => tip,
        };
        Ok(Status { head: Some(head), finalized: head.header.height, earliest: Height(1) })
    }

    fn headers(&self, from: Height, count: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
        let mut headers = self.history.range(from, count);
        match self.lie {
            Some(Lie::Drip) => self.line.choke(),
            Some(Lie::BadApprovals { every, how }) => self.spoil_approvals(&mut headers, every, how),
            _ => {}
        }
        Ok(headers)
    }

    fn bodies(&self, ids: &[BlockId], budget: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        let mut bodies = Vec::new();
        let mut size = 0;
        for body in ids.iter().map(|id| self.history.body(*id)) {
            size += body.as_ref().map_or(0, Bytes::len);
            if size > budget && !bodies.is_empty() {
                break;
            }
            bodies.push(body);
        }
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        match self.lie {
            Some(Lie::NoBodies { after, .. }) if asked < after => {}
            Some(Lie::NoBodies { how: Withheld::Missing, .. }) => bodies.fill(None),
            Some(Lie::NoBodies { how: Withheld::Refused, .. }) => return Err(Unavailable),
            Some(Lie::NoBodies { how: Withheld::Silence, .. } | Lie::Drip) => self.line.choke(),
            Some(Lie::BadBodies { every, how }) => self.spoil(&mut bodies, every, how),
            _ => {}
        }
        Ok(bodies)
    }

    fn claim(&self, asker: PeerId, nonce: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
        let Some(Member { seat, key, rules, clock }) = &self.member else { return Ok(None) };
        let (claimant, _) = self.line.ends;
        let parties = Parties { claimant: claimant.as_bytes(), asker: asker.as_bytes(), nonce: &nonce };
        let until = UnixMillis(clock.unix().0 + CLAIM_MS);
        let claim = Claim::sign(rules.domain(), &parties, *seat, until, key);
        Ok(Some(Bytes::copy_from_slice(&claim.encode())))
    }
}
