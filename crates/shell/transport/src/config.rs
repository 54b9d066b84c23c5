//! What a transport is told at its start.

use core::time::Duration;

use alys_chain::BlockId;
use alys_wire::Address;

use crate::serving::ServingLimits;

/// The settings of a transport.
#[derive(Clone, Debug)]
pub struct Config {
    /// The network: only peers of the same genesis stay connected.
    pub genesis: BlockId,
    /// Where to listen: `/ip4/…/tcp/…`, and `/ip4/…/udp/…/quic-v1` with [`Config::quic`]. Port 0 takes any free one.
    pub listen: Vec<Address>,
    /// Our software and version, as peers see it.
    pub agent: String,
    /// Dial and accept QUIC beside TCP. Off between authorities: after a restart gossip returned in 9.5 s over QUIC and in 0.1 s over TCP.
    pub quic: bool,
    /// Find peers by multicast in the local network. For devnets only: it tells everyone there who we are.
    pub mdns: bool,
    /// How often the address book of the network is asked for unknown peers; `None` turns discovery off.
    pub discovery: Option<Duration>,
    /// How long a dial or the handshake of an inbound connection may take, until both sides are authenticated.
    pub connect_timeout: Duration,
    /// How many connections there may be.
    pub connections: ConnectionLimits,
    /// What peers may ask of us.
    pub serving: ServingLimits,
}

impl Config {
    /// Settings for this network that listen nowhere.
    #[must_use]
    pub fn new(genesis: BlockId) -> Self {
        Self {
            genesis,
            listen: Vec::new(),
            agent: concat!("alys/", env!("CARGO_PKG_VERSION")).to_owned(),
            quic: false,
            mdns: false,
            discovery: Some(DISCOVERY_INTERVAL),
            connect_timeout: CONNECT_TIMEOUT,
            connections: ConnectionLimits::default(),
            serving: ServingLimits::default(),
        }
    }
}

/// Twice a minute, each time some 20 peers: 50 new ones a minute are found where there are so many. More often would be mostly repetition.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(30);

/// A lost packet or two at the beginning of a connection cost seconds each; who takes longer is not worth waiting for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How many connections there may be. Explicit peers count for none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// All established ones.
    pub established: u32,
    /// Those among them that peers opened. Below `established`, so that nobody can fill us with their own connections.
    pub inbound: u32,
    /// Inbound ones that are not through with their handshake.
    pub pending_inbound: u32,
}

impl Default for ConnectionLimits {
    /// A thousand connections, as was asked for; a fifth is kept for those that we choose ourselves. Handshakes cost a signature and a key
    /// agreement each, so only some go on at once.
    fn default() -> Self {
        Self { established: 1000, inbound: 800, pending_inbound: 128 }
    }
}
