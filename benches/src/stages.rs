//! Each stage of the sync alone, with the very blocks that the sync is measured with: what it could do if it had the machine to itself.
//!
//! - **In**: a running source. **Out**: [`Ceilings`]. The slowest of them is what the sync could reach if the cores were not shared; as they
//!   are, it cannot.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alys_actor::Randomness;
use alys_actors::chain::local::{LocalChain, Network, PreparedBlock, VerifiedBlock};
use alys_chain::batch::{self, Entry, Search};
use alys_chain::{Body, CertifiedHeader, Height, Parent, UnixMillis, verify};
use alys_storage::{Batch, Durability, Store};
use alys_wire::limits::{MAX_BODIES_PER_REQUEST, MAX_HEADERS_PER_REQUEST};
use alys_wire::{Address, Request};
use anyhow::{Result, ensure};
use tokio::time::Instant;

use crate::client::Client;
use crate::cores;
use crate::peculiar::Peculiar;

/// Approvals that are checked as one sum, as the node does.
const CHECKED_TOGETHER: usize = 512;
/// Blocks of a commit, as the node makes them.
const COMMIT_BLOCKS: usize = 256;
/// Bytes of bodies of a commit, as the node makes them; a request for bodies asks for no more either.
const COMMIT_BYTES: usize = 8 << 20;
/// How long the transport is measured at least.
const AT_LEAST: Duration = Duration::from_secs(1);

/// A history in memory.
struct Fetched {
    headers: Vec<CertifiedHeader>,
    bodies: Vec<Body>,
}

/// What each stage can do alone with one kind of blocks, in blocks a second.
#[derive(Clone, Copy, Debug)]
pub struct Ceilings {
    /// Headers and bodies over one connection, through TLS.
    pub transport: f64,
    /// Links, and approvals in batches on all cores.
    pub approvals: f64,
    /// Body roots, decoding, senders, on all cores.
    pub senders: f64,
    /// Execution and state roots, in order.
    pub execution: f64,
    /// Durable group commits.
    pub commit: f64,
}

impl Ceilings {
    /// The better of each.
    pub const fn best(&self, other: &Self) -> Self {
        Self {
            transport: self.transport.max(other.transport),
            approvals: self.approvals.max(other.approvals),
            senders: self.senders.max(other.senders),
            execution: self.execution.max(other.execution),
            commit: self.commit.max(other.commit),
        }
    }

    /// The mean of each: what a stage could do meanwhile, if these were measured before a run and behind it.
    pub const fn mean(&self, other: &Self) -> Self {
        Self {
            transport: f64::midpoint(self.transport, other.transport),
            approvals: f64::midpoint(self.approvals, other.approvals),
            senders: f64::midpoint(self.senders, other.senders),
            execution: f64::midpoint(self.execution, other.execution),
            commit: f64::midpoint(self.commit, other.commit),
        }
    }

    /// Each with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let Self { transport, approvals, senders, execution, commit } = *self;
        [
            ("transport", transport),
            ("approvals", approvals),
            ("senders", senders),
            ("execution", execution),
            ("commit", commit),
        ]
        .into_iter()
    }
}

/// Measures every stage. `directory` is for a database, and must not exist.
pub fn measure(network: &Network, source: &Address, blocks: u64, directory: &Path) -> Result<Ceilings> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (fetched, transport) = runtime.block_on(transport(network, source, blocks))?;
    drop(runtime);
    let approvals = verify_headers(network, &fetched.headers)?;
    let (prepared, senders) = verify_bodies(network, &fetched)?;
    drop(fetched);
    let (batches, execution) = execute(network, &prepared)?;
    drop(prepared);
    let store = alys_storage::fjall::open(directory, network.rules.genesis_id())?;
    let commit = commit(&store, batches, blocks)?;
    drop(store);
    std::fs::remove_dir_all(directory)?;
    Ok(Ceilings { transport, approvals, senders, execution, commit })
}

/// Blocks a second.
pub fn rate(blocks: u64, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 blocks")]
    let blocks = blocks as f64;
    blocks / took.as_secs_f64()
}

/// Headers and bodies, as often as it takes to measure them.
async fn transport(network: &Network, source: &Address, blocks: u64) -> Result<(Fetched, f64)> {
    let client = Client::connect(network.rules.genesis_id(), source).await?;
    let (mut headers, mut bodies, mut rounds) = (Vec::new(), Vec::new(), 0);
    let begin = Instant::now();
    while begin.elapsed() < AT_LEAST {
        (headers, bodies) = (Vec::new(), Vec::new());
        client.ask_all(header_requests(blocks), |came| headers.extend(came.headers)).await?;
        let requests = body_requests(&client, &headers).await?;
        client.ask_all(requests, |came| bodies.extend(came.bodies)).await?;
        rounds += 1;
    }
    let rate = rate(rounds * blocks, begin.elapsed());
    ensure!(headers.len() as u64 == blocks, "the source has only {} blocks", headers.len());
    ensure!(bodies.len() == headers.len(), "the source has only {} bodies", bodies.len());
    Ok((Fetched { headers, bodies }, rate))
}

fn header_requests(blocks: u64) -> impl Iterator<Item = Request> {
    let step = u64::from(MAX_HEADERS_PER_REQUEST);
    let count = move |from: u64| u32::try_from((blocks + 1 - from).min(step)).unwrap_or(u32::MAX);
    let starts = (1..=blocks).step_by(usize::try_from(step).unwrap_or(usize::MAX));
    starts.map(move |from| Request::Headers { from: Height(from), count: count(from) })
}

/// All blocks of a history are about as large as its last one.
async fn body_requests(client: &Client, headers: &[CertifiedHeader]) -> Result<Vec<Request>> {
    let Some(last) = headers.last() else { return Ok(Vec::new()) };
    let size = client.body(last.certificate.block).await?.0.len().max(1);
    let together = (COMMIT_BYTES / size).clamp(1, MAX_BODIES_PER_REQUEST);
    let ids = |part: &[CertifiedHeader]| part.iter().map(|header| header.certificate.block).collect();
    Ok(headers.chunks(together).map(|part| Request::Bodies { ids: ids(part) }).collect())
}

/// Links and approvals, batches on all cores.
fn verify_headers(network: &Network, headers: &[CertifiedHeader]) -> Result<f64> {
    let begin = Instant::now();
    let rules = &network.rules;
    let linked = verify::link_range(rules, &Parent::genesis(rules), headers, UnixMillis(u64::MAX))?;
    let entries: Vec<Entry<'_>> = linked.entries(headers).collect();
    let batches: Vec<&[Entry<'_>]> = entries.chunks(CHECKED_TOGETHER).collect();
    cores::each(cores::available(), &batches, |batch| {
        let mut weights = Randomness::system().stream("certificate weights");
        let verdict = batch::verify(rules, batch, Search::First, &mut weights);
        assert!(verdict.faults.is_empty(), "every approval of the history is valid");
    });
    Ok(rate(headers.len() as u64, begin.elapsed()))
}

/// Body roots, transactions and their senders, on all cores.
fn verify_bodies(network: &Network, fetched: &Fetched) -> Result<(Vec<VerifiedBlock>, f64)> {
    let begin = Instant::now();
    let blocks: Vec<(&CertifiedHeader, &Body)> = fetched.headers.iter().zip(&fetched.bodies).collect();
    let prepared = cores::map(&blocks, |(CertifiedHeader { header, certificate }, body)| {
        let body = Body::clone(body);
        let block = PreparedBlock::check(*header, certificate.block, body, network.ledger.chain_id)?;
        anyhow::Ok(VerifiedBlock { block, certificate: *certificate })
    });
    let took = begin.elapsed();
    let prepared = prepared.into_iter().collect::<Result<Vec<_>>>()?;
    Ok((prepared, rate(fetched.headers.len() as u64, took)))
}

/// Execution, state roots, the consensus tree: all that an import does but for the disk. Gives what it would have written.
fn execute(network: &Network, blocks: &[VerifiedBlock]) -> Result<(Vec<Batch>, f64)> {
    let store = Arc::new(Peculiar::recording(network.rules.genesis_id())?);
    let mut chain = LocalChain::open(network.clone(), store.clone())?;
    let begin = Instant::now();
    let mut rest = blocks;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(commit_size(rest));
        chain.import(now).map_err(|stopped| stopped.error)?;
        rest = later;
    }
    Ok((store.take(), rate(blocks.len() as u64, begin.elapsed())))
}

fn commit_size(blocks: &[VerifiedBlock]) -> usize {
    let mut bytes = 0;
    let fits = |block: &&VerifiedBlock| {
        bytes += block.block.body.0.len();
        bytes <= COMMIT_BYTES
    };
    blocks.iter().take(COMMIT_BLOCKS).take_while(fits).count().max(1)
}

/// Group commits, durable, one after the other.
fn commit(store: &dyn Store, batches: Vec<Batch>, blocks: u64) -> Result<f64> {
    let begin = Instant::now();
    for batch in batches {
        store.commit(batch, Durability::Durable)?;
    }
    Ok(rate(blocks, begin.elapsed()))
}
