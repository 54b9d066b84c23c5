//! How fast one peer serves another over loopback TCP with TLS: headers, large bodies, small bodies, single requests.
//!
//! `cargo run --release -p alys-transport --example throughput` prints one JSON object a line. Both nodes are in this process, so the
//! figures hold for two cores' worth of encryption on one machine. `possible` is a plain TCP stream of the same machine, measured before.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use alys_chain::{
    AuthorityIndex, BlockId, Certificate, CertifiedHeader, Hash, Header, Height, SetId, SetQuorum, Slot,
};
use alys_transport::{
    Answer, Answers, BlockSource, Command, Config, Event, Events, Identity, Outcome, ServingLimits,
    Transport, Unavailable, answers, start,
};
use alys_wire::limits::NONCE_BYTES;
use alys_wire::{Address, PeerId, Request, Status};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// For how long each figure is measured.
const MEASURE: Duration = Duration::from_secs(3);
/// How many requests are kept unanswered: the next range is asked before the current one ends.
const IN_FLIGHT: usize = 2;
/// What an answer may occupy before its reader takes it.
const WINDOW: usize = 16 << 20;

struct Memory {
    headers: Vec<CertifiedHeader>,
    bodies: BTreeMap<BlockId, Bytes>,
}

impl Memory {
    fn new(blocks: u64, body: usize) -> Self {
        let headers: Vec<_> = (1..=blocks).map(certified).collect();
        let bodies =
            headers.iter().map(|certified| (certified.header.id(), Bytes::from(vec![7; body]))).collect();
        Self { headers, bodies }
    }

    fn ids(&self) -> Vec<BlockId> {
        self.headers.iter().map(|certified| certified.header.id()).collect()
    }
}

fn certified(height: u64) -> CertifiedHeader {
    let header = Header {
        height: Height(height),
        slot: Slot(height),
        parent: BlockId([3; 32]),
        body_root: Hash([1; 32]),
        state_root: Hash([2; 32]),
        proposer: AuthorityIndex(0),
    };
    let quorum = SetQuorum { set: SetId(0), signers: 15, signature: [9; 48] };
    let (slot, height, block) = (header.slot, header.height, header.id());
    CertifiedHeader { header, certificate: Certificate { slot, height, block, quorum, joint: None } }
}

impl BlockSource for Memory {
    fn status(&self) -> Result<Status, Unavailable> {
        Ok(Status { head: self.headers.last().copied(), finalized: Height(0), earliest: Height(0) })
    }

    fn headers(&self, from: Height, count: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
        let skip = usize::try_from(from.get().saturating_sub(1)).unwrap_or(usize::MAX);
        Ok(self.headers.iter().skip(skip).take(count as usize).copied().collect())
    }

    fn bodies(&self, ids: &[BlockId], budget: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        let mut left = budget;
        let mut bodies = Vec::new();
        for id in ids {
            let body = self.bodies.get(id).cloned();
            let size = body.as_ref().map_or(0, Bytes::len);
            if size > left && !bodies.is_empty() {
                break;
            }
            left = left.saturating_sub(size);
            bodies.push(body);
        }
        Ok(bodies)
    }

    fn claim(&self, _: PeerId, _: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
        Ok(None)
    }
}

/// Two connected nodes, of which the second serves.
struct Pair {
    asker: Box<dyn Transport>,
    server: Box<dyn Transport>,
    asked: u64,
    _events: Vec<tokio::task::JoinHandle<()>>,
}

impl Pair {
    async fn connect(source: Arc<Memory>) -> anyhow::Result<Self> {
        let mut config = Config::new(BlockId([0xaa; 32]));
        config.listen = vec![Address("/ip4/127.0.0.1/tcp/0".to_owned())];
        config.discovery = None;
        config.serving = ServingLimits {
            requests_per_second: u32::MAX,
            requests_burst: u32::MAX,
            bytes_per_second: u64::MAX,
            bytes_burst: u64::MAX,
            ..ServingLimits::default()
        };
        let (asker, mut asker_events) = start(&config, &Identity::generate(), source.clone())?;
        let (server, mut server_events) = start(&config, &Identity::generate(), source)?;
        let address = listening(&mut server_events).await?;
        asker.send(Command::Dial { peer: Some(server.local_peer()), addresses: vec![address] })?;
        while !matches!(asker_events.recv().await, Some(Event::Identified { .. })) {}
        let drain = |mut events: Events| tokio::spawn(async move { while events.recv().await.is_some() {} });
        let events = vec![drain(asker_events), drain(server_events)];
        Ok(Self { asker: Box::new(asker), server: Box::new(server), asked: 0, _events: events })
    }

    fn ask(&mut self, request: Request) -> anyhow::Result<Answers> {
        let (sink, reader) = answers(WINDOW);
        self.asked += 1;
        let peer = self.server.local_peer();
        self.asker.send(Command::Request { id: self.asked, peer, request, answers: sink })?;
        Ok(reader)
    }
}

async fn listening(events: &mut Events) -> anyhow::Result<Address> {
    loop {
        match events.recv().await {
            Some(Event::Listening { address }) => return Ok(address),
            Some(_) => {}
            None => anyhow::bail!("stopped before it listened"),
        }
    }
}

#[derive(Default)]
struct Count {
    requests: u64,
    items: u64,
    bytes: u64,
}

async fn count(mut reader: Answers, into: &mut Count) -> anyhow::Result<()> {
    into.requests += 1;
    while let Some(answer) = reader.recv().await {
        match answer {
            Answer::Headers(headers) => {
                into.items += headers.len() as u64;
                into.bytes += (headers.len() * alys_wire::limits::MAX_CERTIFIED_HEADER_BYTES) as u64;
            }
            Answer::Bodies(bodies) => {
                into.items += bodies.len() as u64;
                into.bytes += bodies
                    .iter()
                    .filter_map(|(_, body)| body.as_ref())
                    .map(|body| body.0.len() as u64)
                    .sum::<u64>();
            }
            Answer::Status(_) | Answer::Claim(_) | Answer::Report(_) => into.items += 1,
            Answer::End(outcome) => anyhow::ensure!(outcome == Outcome::Done, "{outcome}"),
        }
    }
    Ok(())
}

/// Asks the same again and again, and keeps some requests in flight.
async fn measure(name: &str, pair: &mut Pair, request: &Request, possible: f64) -> anyhow::Result<()> {
    let mut running = std::collections::VecDeque::new();
    let mut counted = Count::default();
    let begin = Instant::now();
    while begin.elapsed() < MEASURE {
        while running.len() < IN_FLIGHT {
            running.push_back(pair.ask(request.clone())?);
        }
        if let Some(reader) = running.pop_front() {
            count(reader, &mut counted).await?;
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (requests, items, bytes) = (counted.requests as f64, counted.items as f64, counted.bytes as f64);
    print(&format!("{name}_requests"), requests / seconds, "requests/s", None)?;
    print(&format!("{name}_items"), items / seconds, "items/s", None)?;
    print(&format!("{name}_bytes"), bytes / seconds / 1e6, "MB/s", Some(possible))
}

fn print(name: &str, value: f64, unit: &str, possible: Option<f64>) -> anyhow::Result<()> {
    let possible = possible.map(|of| format!(r#","possible":{of:.1}"#)).unwrap_or_default();
    writeln!(std::io::stdout(), r#"{{"name":"{name}","value":{value:.1},"unit":"{unit}"{possible}}}"#)?;
    Ok(())
}

/// What a plain TCP stream carries over loopback here, in MB/s: the ceiling without encryption.
async fn plain() -> anyhow::Result<f64> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let mut out = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    let (mut inbound, _) = listener.accept().await?;
    let writer = tokio::spawn(async move {
        let chunk = vec![0; 256 << 10];
        while out.write_all(&chunk).await.is_ok() {}
    });
    let mut buffer = vec![0; 256 << 10];
    let (begin, mut read) = (Instant::now(), 0);
    while begin.elapsed() < Duration::from_secs(1) {
        read += inbound.read(&mut buffer).await?;
    }
    writer.abort();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    Ok(read as f64 / begin.elapsed().as_secs_f64() / 1e6)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let possible = plain().await?;
    print("plain_tcp", possible, "MB/s", None)?;
    let large = Arc::new(Memory::new(512, 100_000));
    let mut pair = Pair::connect(large.clone()).await?;
    let headers = Request::Headers { from: Height(1), count: 512 };
    measure("headers_512", &mut pair, &headers, possible).await?;
    let range = Request::Bodies { ids: large.ids().into_iter().take(160).collect() };
    measure("bodies_100kb_range_16mb", &mut pair, &range, possible).await?;
    let one = Request::Bodies { ids: large.ids().into_iter().take(1).collect() };
    measure("bodies_100kb_single", &mut pair, &one, possible).await?;
    let small = Arc::new(Memory::new(1024, 200));
    let mut pair = Pair::connect(small.clone()).await?;
    measure("bodies_200b_range_1024", &mut pair, &Request::Bodies { ids: small.ids() }, possible).await?;
    measure("status", &mut pair, &Request::Status, possible).await
}
