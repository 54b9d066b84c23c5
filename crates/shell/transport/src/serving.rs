//! What peers may ask of us, and how an answer is read from the store piece by piece.
//!
//! - **Decides**: whether a request is served now or refused, with the time after which it may be asked again.
//! - **In**: requests of one peer, the bytes that were sent to it.
//! - **Out**: pieces of the answer, bodies as stored, some [`CHUNK_BYTES`] at a time.
//! - **On failure**: a store that cannot be read ends the answer as unavailable; nobody is blamed.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use alys_chain::{BlockId, Body, Report};
use alys_wire::limits::{
    ACCOUNT_BYTES, MAX_ACCOUNTS_PER_BUCKET, MAX_ACCOUNTS_PER_FRAME, MAX_BODIES_ANSWER_BYTES,
    MAX_CERTIFIED_HEADER_BYTES, MAX_FINALITY_PROOF_BYTES, MAX_RETRY_AFTER, MAX_SNAPSHOTS,
};
use alys_wire::{PeerId, Request, Response, Status};
use bytes::Bytes;
use tokio::time::Instant;

use crate::source::{BlockSource, Unavailable};

/// How much of an answer is read at once, in bytes. Two of them are in memory for a stream: one is being written while the next is read.
/// Less would make the store's latency felt; more would only wait in memory.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

/// How many peers' allowances are remembered, so that a peer does not get a new one by connecting again.
const REMEMBERED_PEERS: usize = 4096;

/// How many requests to one peer may be unanswered. A scheduler needs two; beyond this something asks without reading.
pub(crate) const MAX_UNANSWERED: usize = 64;

/// What one peer may ask. Explicit peers (authorities) are not limited by rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServingLimits {
    /// How many requests may wait or run at once, those over all its streams together. Above that they are refused.
    pub concurrent: u32,
    /// Requests a second, in the long run.
    pub requests_per_second: u32,
    /// Requests at once, after a rest.
    pub requests_burst: u32,
    /// Bytes a second, in the long run.
    pub bytes_per_second: u64,
    /// Bytes at once, after a rest.
    pub bytes_burst: u64,
}

impl Default for ServingLimits {
    /// One peer in full sync asks two ranges at once of us, and some 30 a second at 500 MB/s; it is never refused below 256 MiB/s.
    fn default() -> Self {
        Self {
            concurrent: 16,
            requests_per_second: 256,
            requests_burst: 512,
            bytes_per_second: 256 << 20,
            bytes_burst: 512 << 20,
        }
    }
}

/// A bucket that fills at `rate` a second up to `burst`; it may be overdrawn, and is then closed until it is level again.
#[derive(Debug)]
struct Bucket {
    rate: f64,
    burst: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    #[expect(clippy::cast_precision_loss, reason = "a rate is exact enough in 53 bits")]
    fn new(rate: u64, burst: u64, now: Instant) -> Self {
        // A rate of zero would make the wait infinite; one a second refuses nearly everything as well.
        let rate = rate.max(1) as f64;
        Self { rate, burst: burst as f64, level: burst as f64, at: now }
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + elapsed * self.rate).min(self.burst);
        self.at = now;
    }

    /// How long until it is level again; nothing if it is.
    fn wait(&self) -> Duration {
        Duration::try_from_secs_f64(-self.level / self.rate).unwrap_or_default()
    }
}

#[derive(Debug)]
struct Buckets {
    requests: Bucket,
    bytes: Bucket,
    running: u32,
}

/// The allowance of one peer, shared by all its streams.
#[derive(Debug)]
pub(crate) struct Allowance {
    limits: ServingLimits,
    exempt: AtomicBool,
    buckets: Mutex<Buckets>,
}

/// A request that was let in; it occupies its place until it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Allowance>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.with(|buckets| buckets.running = buckets.running.saturating_sub(1));
    }
}

/// Refused; may be asked again after this long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RetryAfter(pub Duration);

/// What a peer with too many requests at once is told: about the time of a small answer.
const CROWDED_RETRY: Duration = Duration::from_millis(250);

impl Allowance {
    pub fn new(limits: ServingLimits, now: Instant) -> Arc<Self> {
        let requests = Bucket::new(limits.requests_per_second.into(), limits.requests_burst.into(), now);
        let bytes = Bucket::new(limits.bytes_per_second, limits.bytes_burst, now);
        let buckets = Mutex::new(Buckets { requests, bytes, running: 0 });
        Arc::new(Self { limits, exempt: AtomicBool::new(false), buckets })
    }

    /// Lets a request in, or says when to come again.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Result<Place, RetryAfter> {
        let exempt = self.exempt.load(Ordering::Relaxed);
        self.with(|buckets| {
            if buckets.running >= self.limits.concurrent {
                return Err(RetryAfter(CROWDED_RETRY));
            }
            buckets.requests.fill(now);
            buckets.bytes.fill(now);
            let wait = buckets.requests.wait().max(buckets.bytes.wait());
            if !exempt && (buckets.requests.level < 1.0 || buckets.bytes.level < 0.0) {
                return Err(RetryAfter(wait.clamp(Duration::from_millis(1), MAX_RETRY_AFTER)));
            }
            buckets.requests.level -= 1.0;
            buckets.running += 1;
            Ok(Place(self.clone()))
        })
    }

    /// Counts bytes that were sent.
    #[expect(clippy::cast_precision_loss, reason = "an answer is far below 2^53 bytes")]
    pub fn spend(&self, bytes: usize) {
        self.with(|buckets| buckets.bytes.level -= bytes as f64);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Buckets) -> T) -> T {
        act(&mut self.buckets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_full(&self, now: Instant) -> bool {
        self.with(|buckets| {
            buckets.requests.fill(now);
            buckets.bytes.fill(now);
            buckets.requests.level >= buckets.requests.burst && buckets.bytes.level >= buckets.bytes.burst
        })
    }
}

/// The allowances of all peers.
#[derive(Debug)]
pub(crate) struct Allowances {
    limits: ServingLimits,
    peers: BTreeMap<PeerId, Arc<Allowance>>,
}

impl Allowances {
    pub fn new(limits: ServingLimits) -> Self {
        Self { limits, peers: BTreeMap::new() }
    }

    /// The peer's allowance, the same as before if it is remembered.
    pub fn of(&mut self, peer: PeerId, now: Instant) -> Arc<Allowance> {
        if self.peers.len() >= REMEMBERED_PEERS {
            // One in use has further owners; one that is full again is worth nothing to remember.
            self.peers.retain(|_, allowance| Arc::strong_count(allowance) > 1 || !allowance.is_full(now));
        }
        self.peers.entry(peer).or_insert_with(|| Allowance::new(self.limits, now)).clone()
    }

    /// Frees the peer of the rates, or binds it again.
    pub fn exempt(&mut self, peer: PeerId, on: bool, now: Instant) {
        self.of(peer, now).exempt.store(on, Ordering::Relaxed);
    }
}

/// The bytes that a piece of an answer costs us to send, but for its few bytes of envelope.
pub(crate) fn payload(piece: &Response) -> usize {
    match piece {
        Response::Status(_) => size_of::<Status>(),
        Response::Header(_) => MAX_CERTIFIED_HEADER_BYTES,
        Response::Body { body, .. } => body.0.len(),
        Response::Claim(claim) => claim.len(),
        Response::Report(_) => Report::SIZE,
        Response::Snapshot(_) => MAX_FINALITY_PROOF_BYTES,
        Response::StateSums(bytes) | Response::Accounts(bytes) => bytes.len(),
        Response::Missing { .. } | Response::End { .. } | Response::Refused { .. } => 0,
    }
}

/// What is left to read of an answer.
#[derive(Debug)]
pub(crate) struct Reading {
    request: Request,
    /// How many of the wanted bodies, or accounts, are read.
    next: usize,
    /// The bytes of those bodies.
    sent: usize,
    /// The last account that was read.
    after: Option<[u8; 20]>,
    over: bool,
}

impl Reading {
    pub fn new(request: Request) -> Self {
        Self { request, next: 0, sent: 0, after: None, over: false }
    }

    /// Whether the answer is complete.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Reads the next pieces for this asker, some [`CHUNK_BYTES`] of them.
    pub fn next(&mut self, source: &dyn BlockSource, asker: PeerId) -> Result<Vec<Response>, Unavailable> {
        self.over = !matches!(self.request, Request::Bodies { .. } | Request::Accounts { .. });
        match &self.request {
            Request::Status => Ok(vec![Response::Status(Box::new(source.status()?))]),
            Request::Claim { nonce } => {
                Ok(vec![Response::Claim(source.claim(asker, *nonce)?.ok_or(Unavailable)?)])
            }
            Request::Report { nonce } => {
                Ok(vec![Response::Report(source.report(*nonce)?.ok_or(Unavailable)?)])
            }
            Request::Headers { from, count } => {
                let headers = source.headers(*from, *count)?.into_iter().take(*count as usize);
                Ok(headers.map(|header| Response::Header(Box::new(header))).collect())
            }
            Request::Bodies { .. } => self.bodies(source),
            Request::Snapshots => {
                let proofs = source.snapshots()?.into_iter().take(MAX_SNAPSHOTS);
                Ok(proofs.map(|proof| Response::Snapshot(Box::new(proof))).collect())
            }
            Request::StateSums { block } => {
                Ok(vec![Response::StateSums(source.state_sums(*block)?.ok_or(Unavailable)?)])
            }
            Request::Accounts { block, bucket } => {
                let (block, bucket) = (*block, *bucket);
                self.accounts(source, block, bucket)
            }
        }
    }

    /// One piece of a bucket. It ends where there are fewer accounts than fit into a piece.
    fn accounts(
        &mut self,
        source: &dyn BlockSource,
        block: BlockId,
        bucket: u8,
    ) -> Result<Vec<Response>, Unavailable> {
        let accounts =
            source.accounts(block, bucket, self.after, MAX_ACCOUNTS_PER_FRAME)?.ok_or(Unavailable)?;
        self.next += accounts.len() / ACCOUNT_BYTES;
        self.over = accounts.len() < MAX_ACCOUNTS_PER_FRAME * ACCOUNT_BYTES;
        if self.next > MAX_ACCOUNTS_PER_BUCKET {
            return Err(Unavailable);
        }
        let last = accounts.rchunks_exact(ACCOUNT_BYTES).next().and_then(|last| last.first_chunk());
        self.after = last.copied().or(self.after);
        Ok(if accounts.is_empty() { Vec::new() } else { vec![Response::Accounts(accounts)] })
    }

    fn bodies(&mut self, source: &dyn BlockSource) -> Result<Vec<Response>, Unavailable> {
        let Request::Bodies { ids } = &self.request else { return Ok(Vec::new()) };
        let rest = ids.get(self.next..).unwrap_or_default();
        let room = MAX_BODIES_ANSWER_BYTES.saturating_sub(self.sent);
        let bodies = source.bodies(rest, room.min(CHUNK_BYTES))?;
        if bodies.is_empty() {
            return Err(Unavailable);
        }
        let pieces: Vec<_> = rest.iter().zip(bodies).map(|(&block, body)| piece(block, body)).collect();
        self.next += pieces.len();
        self.sent = pieces.iter().map(payload).fold(self.sent, usize::saturating_add);
        self.over = self.next >= ids.len() || self.sent >= MAX_BODIES_ANSWER_BYTES;
        Ok(pieces)
    }
}

fn piece(block: BlockId, body: Option<Bytes>) -> Response {
    match body {
        Some(body) => Response::Body { block, body: Body(body) },
        None => Response::Missing { block },
    }
}

#[cfg(test)]
mod tests;
