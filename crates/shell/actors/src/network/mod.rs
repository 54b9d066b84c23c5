//! The network as an actor: between the transport and those who use it.
//!
//! - **Owns**: who is connected, and what each connection has proven (network, authority). It decides neither who is good nor what to fetch.
//! - **In**: what the [transport](alys_transport) tells; gossip to spread; verdicts; what the peer book wants done.
//! - **Out**: gossip, decoded, to the chain; connections to the peer book and to sync; offences to the peer book. Requests pass it by
//!   ([`Requests`]).
//! - **On failure**: the transport outlives it, so its crash closes no connection; events wait in its mailbox, and the next incarnation finds the
//!   connections where the last one left them ([`Line`]).

mod actor;
mod claims;
mod events;
mod federation;
mod ingress;
mod line;
mod messages;
mod metrics;
mod ports;
mod pump;
mod requests;

use std::sync::Arc;

use alys_actor::{ChildSpec, Clock, Mailbox, Pool, Randomness};
use alys_chain::Rules;
use alys_transport::Transport;

pub use actor::NetworkActor;
pub use ingress::{Gossiped, Listener, NetworkMailbox, NetworkStatus, Present};
pub use line::Line;
pub use messages::{
    BroadcastBlock, BroadcastTransaction, GetNetworkStatus, Happened, Introduce, StartNetwork, Steer,
    StopNetwork, Validated,
};
pub use metrics::NetworkMetrics;
pub use ports::{ChainPort, SyncPort};
pub use pump::pump;
pub use requests::Requests;

use crate::peer::PeerMailbox;

/// The mailbox and the transport of an actor that has not been started.
pub struct Prepared {
    mailbox: Mailbox<NetworkActor>,
    line: Line,
}

/// What a NetworkActor needs beside its transport.
#[derive(Clone)]
pub struct Parts {
    /// Where gossip goes.
    pub chain: Arc<dyn ChainPort>,
    /// Who is told whom to ask for blocks.
    pub sync: Arc<dyn SyncPort>,
    /// The peer book.
    pub peers: PeerMailbox,
    /// Which set counts in which slot.
    pub rules: Arc<Rules>,
    /// Tells the slot.
    pub clock: Clock,
    /// Where claims are verified.
    pub pool: Pool,
    /// Where nonces come from.
    pub randomness: Randomness,
    /// What is counted.
    pub metrics: NetworkMetrics,
}

/// The mailbox of a network on this transport. It takes messages at once; they are handled when the child of [`child`] is started.
#[must_use]
pub fn mailbox(transport: Arc<dyn Transport>) -> (Prepared, NetworkMailbox) {
    let line = Line::new(transport.clone());
    let mailbox = ingress::mailbox();
    let network = NetworkMailbox::new(&mailbox, Requests::new(transport), line.watch());
    (Prepared { mailbox, line }, network)
}

/// The actor, to be supervised.
#[must_use]
pub fn child(prepared: Prepared, network: &NetworkMailbox, parts: Parts) -> ChildSpec {
    let requests = network.requests();
    ChildSpec::new(prepared.mailbox, prepared.line, move |line| {
        NetworkActor::new(line, requests.clone(), parts.clone())
    })
}
