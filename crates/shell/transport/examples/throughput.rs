//! How fast one peer serves another over loopback TCP with TLS, and what it costs: headers, large bodies, small bodies, single requests.
//!
//! `cargo run --release -p alys-transport --example throughput` prints one JSON object a line. The server is a process of its own, so
//! the processor time of each side is told apart: `…_asker_cpu` and `…_server_cpu` in seconds a GB of payload. `…_overhead` is what the
//! socket carried beyond the payload. `possible` is a plain TCP stream of the same machine, measured before.
//! `far_…` goes over a line with 100 ms of round trip, eight requests for headers or two for bodies at once (its processor time includes that
//! line's). Names, or beginnings of names, choose the rows.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
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
use anyhow::Context as _;
use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Child;
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

fn config() -> Config {
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
    config
}

/// What the server process does: says where it is, and serves until its input ends.
async fn serve(blocks: u64, body: usize) -> anyhow::Result<()> {
    let (server, mut events) = start(&config(), &Identity::generate(), Arc::new(Memory::new(blocks, body)))?;
    let address = listening(&mut events).await?;
    writeln!(std::io::stdout(), "{} {address}", server.local_peer())?;
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

/// A node that asks, and the process that serves it.
struct Pair {
    asker: Box<dyn Transport>,
    server: Child,
    peer: PeerId,
    asked: u64,
}

impl Pair {
    async fn connect(source: &Arc<Memory>, one_way: Duration) -> anyhow::Result<Self> {
        let (blocks, body) = (source.headers.len(), source.bodies.values().next().map_or(0, Bytes::len));
        let mut server = tokio::process::Command::new(std::env::current_exe()?)
            .args(["serve", &blocks.to_string(), &body.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let told = server.stdout.take().context("no output")?;
        let line = tokio::io::BufReader::new(told).lines().next_line().await?.context("no address")?;
        let (peer, address) = line.split_once(' ').context("no address")?;
        let peer: PeerId = peer.parse()?;
        let (asker, mut events) = start(&config(), &Identity::generate(), source.clone())?;
        let addresses = vec![if one_way.is_zero() {
            Address(address.to_owned())
        } else {
            delayed(address.rsplit_once('/').context("no port")?.1.parse()?, one_way).await?
        }];
        asker.send(Command::Dial { peer: Some(peer), addresses })?;
        while !matches!(events.recv().await, Some(Event::Identified { .. })) {}
        tokio::spawn(async move { while events.recv().await.is_some() {} });
        Ok(Self { asker: Box::new(asker), server, peer, asked: 0 })
    }

    /// The processor time of both sides until now, in seconds.
    fn cpu(&self) -> anyhow::Result<(f64, f64)> {
        let server = self.server.id().context("the server is gone")?;
        Ok((cpu("self")?, cpu(&server.to_string())?))
    }

    fn ask(&mut self, request: Request) -> anyhow::Result<Answers> {
        let (sink, reader) = answers(WINDOW);
        self.asked += 1;
        let (id, peer) = (self.asked, self.peer);
        self.asker.send(Command::Request { id, peer, request, answers: sink })?;
        Ok(reader)
    }
}

/// User and system time of a process in seconds: fields 14 and 15 of its stat, in hundredths.
fn cpu(process: &str) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit_once(')').context("no stat")?.1;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
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
            Answer::End(outcome) => anyhow::ensure!(outcome == Outcome::Done, "{outcome}"),
            _ => into.items += 1,
        }
    }
    Ok(())
}

/// Asks the same again and again, and keeps some requests in flight.
async fn measure(
    name: &str,
    pair: &mut Pair,
    request: &Request,
    in_flight: usize,
    possible: f64,
) -> anyhow::Result<()> {
    let mut running = std::collections::VecDeque::new();
    let mut counted = Count::default();
    let (asker, server) = pair.cpu()?;
    let traffic = pair.asker.traffic();
    let (received, sent) = (traffic.received(), traffic.sent());
    let begin = Instant::now();
    while begin.elapsed() < MEASURE {
        while running.len() < in_flight {
            running.push_back(pair.ask(request.clone())?);
        }
        if let Some(reader) = running.pop_front() {
            count(reader, &mut counted).await?;
        }
    }
    // What was asked for is read to its end, so that the line carried nothing else.
    while let Some(reader) = running.pop_front() {
        count(reader, &mut counted).await?;
    }
    let (asker, server) = pair.cpu().map(|(a, s)| (a - asker, s - server))?;
    let line = traffic.received() - received + traffic.sent() - sent;
    let seconds = begin.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (requests, items, bytes) = (counted.requests as f64, counted.items as f64, counted.bytes as f64);
    print(&format!("{name}_asker_cpu"), asker / bytes * 1e9, "s/GB", None)?;
    print(&format!("{name}_server_cpu"), server / bytes * 1e9, "s/GB", None)?;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    print(&format!("{name}_overhead"), (line as f64 / bytes - 1.0) * 100.0, "%", None)?;
    print(&format!("{name}_requests"), requests / seconds, "requests/s", None)?;
    print(&format!("{name}_items"), items / seconds, "items/s", None)?;
    print(&format!("{name}_bytes"), bytes / seconds / 1e6, "MB/s", Some(possible))
}

fn print(name: &str, value: f64, unit: &str, possible: Option<f64>) -> anyhow::Result<()> {
    let possible = possible.map(|of| format!(r#","possible":{of:.1}"#)).unwrap_or_default();
    writeln!(std::io::stdout(), r#"{{"name":"{name}","value":{value:.3},"unit":"{unit}"{possible}}}"#)?;
    Ok(())
}

/// A line to a port of this machine on which everything takes a while.
async fn delayed(port: u16, one_way: Duration) -> anyhow::Result<Address> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = tokio::net::TcpStream::connect(("127.0.0.1", port)).await else { return };
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(delay(near_in, far_out, one_way));
            tokio::spawn(delay(far_in, near_out, one_way));
        }
    });
    Ok(Address(format!("/ip4/127.0.0.1/tcp/{at}")))
}

async fn delay(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, one_way: Duration) {
    let (out, mut inbox) = tokio::sync::mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let late = async move {
        while let Some((at, bytes)) = inbox.recv().await {
            tokio::time::sleep(at.saturating_duration_since(Instant::now())).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    let reading = async move {
        let mut buffer = vec![0; 256 << 10];
        while let Ok(n @ 1..) = from.read(&mut buffer).await {
            let _ = out.send((Instant::now() + one_way, buffer[..n].to_vec()));
        }
    };
    tokio::join!(late, reading);
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
    let words: Vec<_> = std::env::args().skip(1).collect();
    if let [serve_word, blocks, body] = &words[..]
        && serve_word == "serve"
    {
        return serve(blocks.parse()?, body.parse()?).await;
    }
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.starts_with(word.as_str()));
    let possible = plain().await?;
    print("plain_tcp", possible, "MB/s", None)?;
    let range = |source: &Memory, n| Request::Bodies { ids: source.ids().into_iter().take(n).collect() };
    let large = Arc::new(Memory::new(512, 100_000));
    let middle = Arc::new(Memory::new(1024, 10_000));
    let small = Arc::new(Memory::new(1024, 200));
    let headers = Request::Headers { from: Height(1), count: 512 };
    let rows = [
        ("headers_512", &large, headers.clone()),
        ("bodies_100kb_range_16mb", &large, range(&large, 160)),
        ("bodies_100kb_single", &large, range(&large, 1)),
        ("bodies_10kb_range_10mb", &middle, range(&middle, 1024)),
        ("bodies_200b_range_1024", &small, range(&small, 1024)),
    ];
    for (name, source, request) in rows {
        if wanted(name) {
            let mut pair = Pair::connect(source, Duration::ZERO).await?;
            measure(name, &mut pair, &request, IN_FLIGHT, possible).await?;
        }
    }
    let far = Duration::from_millis(50);
    let rows =
        [("far_headers_512", headers, 8), ("far_bodies_100kb_range_16mb", range(&large, 160), IN_FLIGHT)];
    for (name, request, in_flight) in rows {
        if wanted(name) {
            measure(name, &mut Pair::connect(&large, far).await?, &request, in_flight, possible).await?;
        }
    }
    Ok(())
}
