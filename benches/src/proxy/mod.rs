//! Links of any bandwidth and delay, in user space: a proxy before each source.
//!
//! - **Owns**: the listening sockets, the connections through them, the bytes that are under way, how many passed.
//! - **In**: the address of each source and what the link to it is like. **Out**: the addresses to dial instead, and counters.
//! - **On failure**: a connection whose end is lost is lost at the other end as well; nothing is made up and nothing is dropped.
//!
//! It is a task of the process that measures, on threads of its own. What it knows of TCP: a dial takes a round trip, a sender that fills
//! the buffer before the bottleneck has to wait. It loses no packets, so a sender never slows down because of a loss.

mod line;
mod pipe;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alys_wire::Address;
use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep};

pub use line::Bucket;
use line::{Line, Shape};

/// Threads of the proxy: one for each direction of a connection that is busy. More would take cores from what is measured.
const THREADS: usize = 2;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 64;
/// What a socket of a link with a bottleneck may hold before it is read, in time at the bottleneck: little, so that what queues does so in the line.
const SOCKET_TIME: Duration = Duration::from_millis(50);
/// The least that a socket holds, in bytes.
const LEAST_SOCKET: u32 = 32 << 10;

/// A link, the same in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Bytes a second in each direction; `None` for as many as come.
    pub bytes_per_second: Option<u64>,
    /// There and back.
    pub round_trip: Duration,
    /// After so many bytes from the source only one byte a second comes from it.
    pub drips_after: Option<u64>,
}

impl Link {
    /// A link of so many bytes a second and milliseconds of round trip.
    #[must_use]
    pub const fn new(bytes_per_second: u64, millis: u64) -> Self {
        let round_trip = Duration::from_millis(millis);
        Self { bytes_per_second: Some(bytes_per_second), round_trip, drips_after: None }
    }

    /// A link that is only long.
    #[must_use]
    pub const fn long(millis: u64) -> Self {
        Self { bytes_per_second: None, round_trip: Duration::from_millis(millis), drips_after: None }
    }

    fn shape(&self, drips_after: Option<u64>) -> Shape {
        Shape { bytes_per_second: self.bytes_per_second, delay: self.round_trip / 2, drips_after }
    }

    /// The receive buffer of its sockets in bytes; `None` leaves it to the system.
    fn socket_bytes(&self) -> Option<u32> {
        let rate = u128::from(self.bytes_per_second?);
        let bytes = u32::try_from(rate * SOCKET_TIME.as_millis() / 1_000).unwrap_or(u32::MAX);
        Some(bytes.max(LEAST_SOCKET))
    }
}

/// Bytes that went through a link.
#[derive(Debug, Default)]
pub struct Counters {
    /// To the source.
    pub up: AtomicU64,
    /// From the source.
    pub down: AtomicU64,
}

/// A running proxy; its connections end when it is dropped.
pub struct Proxy {
    addresses: Vec<Address>,
    counters: Vec<Arc<Counters>>,
    /// Dropped last, and never from within itself.
    _runtime: Runtime,
}

impl Proxy {
    /// A link before each of these sources.
    pub fn start(sources: &[(Address, Link)]) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
        let (mut addresses, mut counters) = (Vec::new(), Vec::new());
        for (source, link) in sources {
            let (place, peer) = source.split_peer();
            let upstream = socket_address(&place)?;
            let counted = Arc::new(Counters::default());
            let listener = runtime.block_on(async { listen(link) })?;
            let own = Address(format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr()?.port()));
            addresses.push(peer.map_or(own.clone(), |peer| own.with_peer(peer)));
            runtime.spawn(accept(listener, upstream, *link, counted.clone()));
            counters.push(counted);
        }
        Ok(Self { addresses, counters, _runtime: runtime })
    }

    /// What to dial, in the order of the sources.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Bytes that passed, in both directions, on all links.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let of = |c: &Arc<Counters>| c.up.load(Ordering::Relaxed) + c.down.load(Ordering::Relaxed);
        self.counters.iter().map(of).sum()
    }
}

/// The host and port of `/ip4/…/tcp/…`.
fn socket_address(address: &Address) -> Result<SocketAddr> {
    let mut parts = address.0.split('/').skip(1);
    let (ip4, host, tcp, port) = (parts.next(), parts.next(), parts.next(), parts.next());
    let is_tcp = ip4 == Some("ip4") && tcp == Some("tcp");
    let parsed = || Some(SocketAddr::new(host?.parse().ok()?, port?.parse().ok()?));
    is_tcp.then(parsed).flatten().with_context(|| format!("{address} is no TCP address"))
}

fn listen(link: &Link) -> Result<TcpListener> {
    let socket = socket(link)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    Ok(socket.listen(BACKLOG)?)
}

fn socket(link: &Link) -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = link.socket_bytes() {
        socket.set_recv_buffer_size(bytes)?;
    }
    Ok(socket)
}

/// Accepts until the runtime ends.
async fn accept(listener: TcpListener, upstream: SocketAddr, link: Link, counters: Arc<Counters>) {
    while let Ok((client, _)) = listener.accept().await {
        let counters = counters.clone();
        // A connection that fails is over; whoever dialled sees it end.
        tokio::spawn(async move { carry(client, upstream, link, &counters).await.ok() });
    }
}

async fn carry(client: TcpStream, upstream: SocketAddr, link: Link, counters: &Counters) -> Result<()> {
    // The round trip of the handshake, which the kernel has just made with us and not with the source.
    sleep(link.round_trip).await;
    let source = socket(&link)?.connect(upstream).await?;
    client.set_nodelay(true)?;
    source.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_source, to_source) = source.into_split();
    let begin = Instant::now();
    let up = pipe::run(from_client, to_source, Line::new(link.shape(None)), begin, &counters.up);
    let down =
        pipe::run(from_source, to_client, Line::new(link.shape(link.drips_after)), begin, &counters.down);
    // Whichever end goes takes the other with it.
    tokio::select! {
        end = up => end,
        end = down => end,
    }
}

#[cfg(test)]
mod tests;
