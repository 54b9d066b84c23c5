//! The peer book as an actor.
//!
//! - **Owns**: the [`PeerMachine`](alys_peers::PeerMachine), and where its book is kept. All scores live there and nowhere else.
//! - **In**: connections from the network, observations of everybody, orders of the operator, the time each second.
//! - **Out**: dials, disconnects and bans to the network; who is best for which work; a [`PeerTable`] for whoever shows it.
//! - **On failure**: a new incarnation reads the saved book and has itself introduced to those who are connected. A damaged book is put aside,
//!   and the node starts with an empty one.

mod actor;
mod book;
mod ingress;
mod metrics;

use std::collections::BTreeMap;
use std::sync::Arc;

use alys_actor::{ChildSpec, Clock, Mailbox, Randomness};
use alys_peers::Settings;
use alys_wire::{Address, PeerId};
use tokio::sync::watch;

pub use actor::PeerActor;
pub use book::{Book, BookFile};
pub use ingress::{
    Everybody, GetAvailablePeers, GetBestPeers, GetPeerStatus, News, Offended, Order, PeerMailbox, PeerTable,
    UpdatePeerScore,
};
pub use metrics::PeerMetrics;

use crate::network::NetworkMailbox;

/// The settings of the PeerActor.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many ordinary peers we dial and keep.
    pub outbound: usize,
    /// How many ordinary peers may be connected.
    pub max_peers: usize,
    /// How many peers the book holds.
    pub max_book: usize,
    /// Where to begin.
    pub bootnodes: Vec<Address>,
    /// Whom the operator trusts, and where they listen.
    pub trusted: BTreeMap<PeerId, Vec<Address>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            outbound: Settings::OUTBOUND,
            max_peers: Settings::MAX_PEERS,
            max_book: Settings::MAX_BOOK,
            bootnodes: Vec::new(),
            trusted: BTreeMap::new(),
        }
    }
}

/// What a PeerActor needs.
#[derive(Clone)]
pub struct Parts {
    /// Its settings.
    pub config: Config,
    /// Where the book is kept.
    pub book: Book,
    /// Who acts.
    pub network: NetworkMailbox,
    /// Tells the time.
    pub clock: Clock,
    /// Where the jitter comes from.
    pub randomness: Randomness,
    /// What is counted.
    pub metrics: PeerMetrics,
}

/// The mailbox of a PeerActor that has not been started, and where it shows its table.
pub struct Prepared {
    mailbox: Mailbox<PeerActor>,
    table: watch::Sender<Arc<PeerTable>>,
}

/// The mailbox. It takes messages at once; they are handled when the child of [`child`] is started.
#[must_use]
pub fn mailbox() -> (Prepared, PeerMailbox) {
    let (table, shown) = watch::channel(Arc::default());
    let mailbox = ingress::mailbox();
    let peers = PeerMailbox::new(&mailbox, shown);
    (Prepared { mailbox, table }, peers)
}

/// The actor, to be supervised.
#[must_use]
pub fn child(prepared: Prepared, parts: Parts) -> ChildSpec {
    let Prepared { mailbox, table } = prepared;
    let trusted = parts.config.trusted.clone();
    ChildSpec::new(mailbox, trusted, move |trusted| PeerActor::new(trusted, table.clone(), parts.clone()))
}
