//! All protocols of a connection, put together.

use core::convert::Infallible;
use core::time::Duration;
use std::sync::Arc;

use alys_wire::protocol;
use libp2p::allow_block_list::{self, BlockedPeers};
use libp2p::connection_limits;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{PeerId, StreamProtocol, gossipsub, identify, kad, mdns, ping};

use super::gossip::{self, Topics};
use super::{Identity, StartError, bulk, discovery};
use crate::config::{Config, ConnectionLimits};
use crate::source::BlockSource;

/// How often a peer is pinged: often enough to know a round trip that is not a minute old, rarely enough to cost nothing.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// How long an answer may take. Behind 16 MiB of our own data on a line of 1 MB/s it takes 16 s.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Two dials that meet half way give two connections; closing one of them could close both.
const CONNECTIONS_PER_PEER: u32 = 2;

#[derive(NetworkBehaviour)]
#[behaviour(to_swarm = "Happening")]
pub(super) struct Behaviour {
    // The first two refuse connections, so they come first.
    pub blocked: allow_block_list::Behaviour<BlockedPeers>,
    pub limits: connection_limits::Behaviour,
    pub identify: identify::Behaviour,
    pub ping: ping::Behaviour,
    pub gossip: gossipsub::Behaviour,
    pub book: Toggle<kad::Behaviour<kad::store::MemoryStore>>,
    pub local: Toggle<mdns::tokio::Behaviour>,
    pub bulk: bulk::Behaviour,
}

/// What the protocols tell.
pub(super) enum Happening {
    Identify(Box<identify::Event>),
    Ping(ping::Event),
    Gossip(gossipsub::Event),
    Book(Box<kad::Event>),
    Local(mdns::Event),
    Bulk(bulk::Offence),
}

impl Behaviour {
    pub fn new(
        config: &Config,
        identity: &Identity,
        topics: &Topics,
        source: Arc<dyn BlockSource>,
    ) -> Result<Self, StartError> {
        let pair = identity.pair();
        let us = pair.public().to_peer_id();
        let identify = identify::Config::new(protocol::identify(config.genesis), pair.public())
            .with_agent_version(config.agent.clone())
            .with_push_listen_addr_updates(true);
        let bulk = stream_protocol(protocol::bulk(config.genesis));
        let book = config.discovery.map(|_| discovery::book(us, config.genesis));
        let local = config.mdns.then(|| discovery::local(us)).transpose();
        Ok(Self {
            blocked: allow_block_list::Behaviour::default(),
            limits: connection_limits::Behaviour::new(limits(config.connections)),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(
                ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT),
            ),
            gossip: gossip::behaviour(topics).map_err(StartError::Gossip)?,
            book: book.into(),
            local: local.map_err(|error| StartError::Mdns(error.to_string()))?.into(),
            bulk: bulk::Behaviour::new(bulk, source, config.serving),
        })
    }

    /// Refuses the peer everywhere, or lifts that.
    pub fn ban(&mut self, peer: PeerId, on: bool) {
        if on {
            self.blocked.block_peer(peer);
            self.gossip.blacklist_peer(&peer);
        } else {
            self.blocked.unblock_peer(peer);
            self.gossip.remove_blacklisted_peer(&peer);
        }
        if let Some(book) = self.book.as_mut().filter(|_| on) {
            book.remove_peer(&peer);
        }
    }

    /// Makes the peer explicit everywhere, or ordinary.
    pub fn explicit(&mut self, peer: PeerId, on: bool) {
        if on {
            self.gossip.add_explicit_peer(&peer);
            self.limits.bypass_peer_id(&peer);
        } else {
            self.gossip.remove_explicit_peer(&peer);
            self.limits.remove_peer_id(&peer);
        }
        self.bulk.exempt(&peer, on);
    }
}

fn limits(of: ConnectionLimits) -> connection_limits::ConnectionLimits {
    connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(of.pending_inbound))
        .with_max_established_incoming(Some(of.inbound))
        .with_max_established(Some(of.established))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER))
}

/// A protocol name of ours as libp2p wants it.
pub(super) fn stream_protocol(name: String) -> StreamProtocol {
    StreamProtocol::try_from_owned(name).expect("every protocol name of ours starts with a slash")
}

impl From<identify::Event> for Happening {
    fn from(event: identify::Event) -> Self {
        Self::Identify(Box::new(event))
    }
}

impl From<ping::Event> for Happening {
    fn from(event: ping::Event) -> Self {
        Self::Ping(event)
    }
}

impl From<gossipsub::Event> for Happening {
    fn from(event: gossipsub::Event) -> Self {
        Self::Gossip(event)
    }
}

impl From<kad::Event> for Happening {
    fn from(event: kad::Event) -> Self {
        Self::Book(Box::new(event))
    }
}

impl From<mdns::Event> for Happening {
    fn from(event: mdns::Event) -> Self {
        Self::Local(event)
    }
}

impl From<bulk::Offence> for Happening {
    fn from(event: bulk::Offence) -> Self {
        Self::Bulk(event)
    }
}

impl From<Infallible> for Happening {
    fn from(event: Infallible) -> Self {
        match event {}
    }
}
