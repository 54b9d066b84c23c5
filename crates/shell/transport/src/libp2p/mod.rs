//! The real network: libp2p over TCP (TLS 1.3, or Noise with those that lack it) and, if wanted, QUIC. Nothing is ever sent in the clear.
//!
//! No type of libp2p leaves this folder.

mod address;
mod behaviour;
mod bulk;
mod discovery;
mod driver;
mod gossip;
mod identity;
mod listen;
mod metered;
mod mux;
mod peers;
mod pool;
#[cfg(test)]
mod tests;
mod tls;

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alys_wire::{Address, PeerId};
use libp2p::swarm::Swarm;
use libp2p::{SwarmBuilder, noise, quic, tcp};
use thiserror::Error;
use tokio::sync::mpsc;

use crate::answers::Outcome;
use crate::api::{Command, Overloaded, Transport};
use crate::config::Config;
use crate::event_queue::{Events, event_queue};
use crate::source::BlockSource;
use crate::traffic::Traffic;
use behaviour::Behaviour;
use driver::Driver;
use gossip::Topics;
pub use identity::{BadIdentity, Identity};
use metered::Metered;
use mux::Mux;
use pool::Pool;
use tls::Tls;

/// How many commands wait at most. A round of dials, a window of requests and a burst of verdicts together are a few hundred.
const MAX_COMMANDS: usize = 4096;
/// What is kept free for everything but publishing, so that a flood of transactions cannot keep a ban or a verdict out.
const RESERVED_COMMANDS: usize = 1024;
/// The bytes that wait to be published at most: four of the greatest blocks, or a block's worth of transactions and the block.
const MAX_PUBLISH_BYTES: usize = 8 << 20;
/// How many streams one connection may have. Each stands for 256 KiB of memory that the peer may fill, and we use ten.
const MAX_STREAMS: usize = 64;
/// How many streams of one connection may negotiate their protocol at once.
const MAX_NEGOTIATING: usize = 32;
/// How long a connection without any use is kept. Ours always have one; this closes those of protocols that are not ours.
const IDLE: Duration = Duration::from_secs(30);

/// Why the network did not start.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StartError {
    /// Another process listens there.
    #[error("port {port} is taken ({address})")]
    PortTaken {
        /// The port.
        port: u16,
        /// The whole address.
        address: Address,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: Address,
        /// Why.
        reason: String,
    },
    /// The settings of gossip contradict each other.
    #[error("gossip settings: {0}")]
    Gossip(String),
    /// The local network cannot be searched.
    #[error("mdns: {0}")]
    Mdns(String),
    /// No key material for a handshake.
    #[error("security: {0}")]
    Security(String),
}

/// The handle of a running network.
#[derive(Debug)]
pub struct Libp2pTransport {
    local: PeerId,
    commands: mpsc::Sender<Command>,
    publishing: Arc<AtomicUsize>,
    traffic: Traffic,
}

/// Starts the network in a task of its own, and listens.
///
/// # Errors
/// See [`StartError`]; nothing runs then.
pub fn start(
    config: &Config,
    identity: &Identity,
    source: Arc<dyn BlockSource>,
) -> Result<(Libp2pTransport, Events), StartError> {
    for address in &config.listen {
        listen::probe(address)?;
    }
    let topics = Topics::new(config.genesis);
    let traffic = Traffic::default();
    let mut swarm = swarm(config, identity, Behaviour::new(config, identity, &topics, source)?, &traffic)?;
    listen::listen(&mut swarm, &config.listen)?;
    let (outlet, events) = event_queue();
    let (commands, inbox) = mpsc::channel(MAX_COMMANDS);
    let publishing = Arc::new(AtomicUsize::new(0));
    let driver = Driver::new(config, swarm, topics, outlet, publishing.clone());
    tokio::spawn(driver.run(inbox));
    Ok((Libp2pTransport { local: identity.peer(), commands, publishing, traffic }, events))
}

fn swarm(
    config: &Config,
    identity: &Identity,
    behaviour: Behaviour,
    traffic: &Traffic,
) -> Result<Swarm<Behaviour>, StartError> {
    let security = |error: &dyn core::fmt::Display| StartError::Security(error.to_string());
    let pair = identity.pair().clone();
    let quic = config.quic.then(|| quic::tokio::Transport::new(quic::Config::new(&pair)));
    let other = quic.map_or_else(
        libp2p::core::transport::OptionalTransport::none,
        libp2p::core::transport::OptionalTransport::some,
    );
    let tcp = tcp::Config::default().nodelay(true);
    let pool = Pool::new();
    let tls = |pair: &_| Tls::new(pair, pool.clone()).map(|tls| Metered::new(tls, traffic.clone()));
    let noise = |pair: &_| noise::Config::new(pair).map(|noise| Metered::new(noise, traffic.clone()));
    let mux = || Mux::new(MAX_STREAMS, pool.clone());
    let builder = SwarmBuilder::with_existing_identity(pair)
        .with_tokio()
        .with_tcp(tcp, (tls, noise), mux)
        .map_err(|error| security(&error))?
        .with_other_transport(|_| other)
        .map_err(|error| security(&error))?;
    let settings = |swarm: libp2p::swarm::Config| {
        swarm.with_idle_connection_timeout(IDLE).with_max_negotiating_inbound_streams(MAX_NEGOTIATING)
    };
    Ok(builder
        .with_dns()
        .map_err(|error| security(&error))?
        .with_behaviour(|_| behaviour)
        .map_err(|error| security(&error))?
        .with_swarm_config(settings)
        .with_connection_timeout(config.connect_timeout)
        .build())
}

impl Libp2pTransport {
    /// Whether the command may still wait with the others.
    fn has_room(&self, command: &Command) -> bool {
        let Command::Publish { data, .. } = command else { return true };
        let waiting = self.publishing.fetch_add(data.len(), Ordering::Relaxed);
        let fits = waiting.saturating_add(data.len()) <= MAX_PUBLISH_BYTES
            && self.commands.capacity() > RESERVED_COMMANDS;
        if !fits {
            self.publishing.fetch_sub(data.len(), Ordering::Relaxed);
        }
        fits
    }
}

impl Transport for Libp2pTransport {
    fn local_peer(&self) -> PeerId {
        self.local
    }

    fn traffic(&self) -> Traffic {
        self.traffic.clone()
    }

    fn send(&self, command: Command) -> Result<(), Overloaded> {
        if !self.has_room(&command) {
            return Err(Overloaded);
        }
        self.commands.try_send(command).map_err(|error| {
            if let Command::Request { answers, .. } = error.into_inner() {
                answers.end(Outcome::Overloaded);
            }
            Overloaded
        })
    }
}
