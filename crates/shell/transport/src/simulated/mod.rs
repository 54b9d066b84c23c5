//! A network without sockets, for tests: same trait, same promises, and every run with the same seed is the same run.
//!
//! - **Owns**: nodes, links, and what is on its way. Time is tokio's (paused in tests), randomness is seeded, maps are ordered, and there
//!   are no threads: run it on a current-thread runtime.
//! - **In**: the commands of the nodes; faults, through [`Network`].
//! - **Out**: the events and answers of the nodes.
//! - **On failure**: connections break as real ones do: told at once after a crash, noticed by lost pings when a link goes silent.
//!
//! Gossip is spread to every connected peer, and only after it was accepted. There is no handshake to fail and no byte to garble; what a
//! lying peer serves is decided by its [`BlockSource`].

mod connect;
mod gossip;
mod hub;
mod links;
mod requests;

use std::sync::Arc;

use alys_wire::{Address, PeerId};

use crate::answers::Outcome;
use crate::api::{Command, Overloaded, Transport};
use crate::config::Config;
use crate::event_queue::Events;
use crate::source::BlockSource;
use hub::{Shared, lock};
pub use links::Link;

/// The whole network; clones are the same one.
#[derive(Clone, Debug)]
pub struct Network {
    hub: Shared,
}

impl Network {
    /// An empty network. Its work is done in a task of the current runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { hub: hub::start(seed) }
    }

    /// A new node. It listens at the first address of its settings, or at one of its own where there is none with a port.
    #[must_use]
    pub fn join(&self, config: &Config, source: Arc<dyn BlockSource>) -> (SimulatedTransport, Events) {
        let peer = lock(&self.hub).new_peer();
        self.rejoin(peer, config, source)
    }

    /// A node with the identity (and, by default, the address) that it had before: a restart.
    #[must_use]
    pub fn rejoin(
        &self,
        peer: PeerId,
        config: &Config,
        source: Arc<dyn BlockSource>,
    ) -> (SimulatedTransport, Events) {
        let (incarnation, events) = lock(&self.hub).join(peer, config, source);
        (SimulatedTransport { hub: self.hub.clone(), peer, incarnation }, events)
    }

    /// The link between all pairs that have none of their own.
    pub fn set_links(&self, link: Link) {
        lock(&self.hub).links.default = link;
    }

    /// The link between two nodes, in both directions.
    pub fn set_link(&self, a: PeerId, b: PeerId, link: Link) {
        lock(&self.hub).links.set(a, b, link);
    }

    /// Takes the link between two nodes down, or up again. Nobody is told: what is on its way waits or is lost, and after a while pings
    /// are missed.
    pub fn set_up(&self, a: PeerId, b: PeerId, up: bool) {
        lock(&self.hub).set_up(a, b, up);
    }

    /// Splits the network: links between different groups are down. Nodes in no group are a group of their own.
    pub fn partition(&self, groups: &[Vec<PeerId>]) {
        lock(&self.hub).partition(groups);
    }

    /// Ends a partition.
    pub fn heal(&self) {
        lock(&self.hub).partition(&[]);
    }

    /// Breaks the connection of two nodes, if there is one; both are told.
    pub fn break_connection(&self, a: PeerId, b: PeerId) {
        lock(&self.hub).break_connection(a, b);
    }

    /// Kills a node: its events end, and its peers find the connection broken.
    pub fn crash(&self, peer: PeerId) {
        lock(&self.hub).crash(peer);
    }

    /// Where a node listens.
    #[must_use]
    pub fn address(&self, peer: PeerId) -> Option<Address> {
        lock(&self.hub).nodes.get(&peer).map(|node| node.address.clone())
    }
}

/// The handle of a simulated node.
#[derive(Debug)]
pub struct SimulatedTransport {
    hub: Shared,
    peer: PeerId,
    incarnation: u64,
}

impl Transport for SimulatedTransport {
    fn local_peer(&self) -> PeerId {
        self.peer
    }

    fn send(&self, command: Command) -> Result<(), Overloaded> {
        let mut hub = lock(&self.hub);
        if hub.is_running(self.peer, self.incarnation) {
            hub.command(self.peer, command);
            return Ok(());
        }
        if let Command::Request { answers, .. } = command {
            answers.end(Outcome::Overloaded);
        }
        Err(Overloaded)
    }
}

impl Drop for SimulatedTransport {
    fn drop(&mut self) {
        let mut hub = lock(&self.hub);
        if hub.is_running(self.peer, self.incarnation) {
            hub.stop(self.peer);
        }
    }
}
