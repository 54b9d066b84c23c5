//! The start of a node, and the node.

use std::sync::Arc;

use alys_actor::{ActorStatus, MailboxConfig, Supervisor, SupervisorHandle};
use alys_transport::{BlockSource, Command, Events, Transport};
use prometheus_client::registry::Registry;
use tokio_util::task::AbortOnDropHandle;

use super::parts::{Base, Parts, StartError};
use super::watch::narrate;
use crate::chain::{ChainInbox, ChainMailbox, ChainSource, Signer};
use crate::network::{NetworkMailbox, NetworkMetrics};
use crate::peer::{PeerMailbox, PeerMetrics};
use crate::sync::{SyncMailbox, SyncMetrics};
use crate::{chain, network, peer, sync};

/// A running node. Dropped without [`Node::stop`], it ends by itself soon, but nobody can wait for it.
pub struct Node {
    /// The chain.
    pub chain: ChainMailbox,
    /// The peer book.
    pub peers: PeerMailbox,
    /// The network.
    pub network: NetworkMailbox,
    /// Sync.
    pub sync: SyncMailbox,
    metrics: Metrics,
    supervisor: SupervisorHandle,
    transport: Arc<dyn Transport>,
    /// What runs beside the actors and ends with the node.
    _beside: [AbortOnDropHandle<()>; 2],
}

#[derive(Clone, Default)]
struct Metrics {
    network: NetworkMetrics,
    peers: PeerMetrics,
    sync: SyncMetrics,
}

/// Starts the actors of a node in tasks of the current runtime. [`Node::running`] tells when all of them run.
///
/// # Errors
/// [`StartError`]; nothing runs then.
///
/// # Panics
/// Outside a tokio runtime.
pub fn start(parts: Parts) -> Result<Node, StartError> {
    let Parts { base, connect, authority } = parts;
    let signer = authority.map(|key| base.signer(key)).transpose()?;
    let chain = chain::mailbox(&base.network, &base.settings.chain);
    let source = source(&base, &chain.0, signer.clone());
    let (transport, events) = connect(source).map_err(StartError::Transport)?;
    let got = transport.local_peer();
    if got != base.local {
        return Err(StartError::Identity { expected: base.local, got });
    }
    Ok(assemble(&base, signer, chain, (transport, events)))
}

/// What peers are served from.
fn source(base: &Base, chain: &ChainMailbox, signer: Option<Arc<Signer>>) -> Arc<dyn BlockSource> {
    let claimed_by = signer.map(|signer| (signer, base.local));
    let (store, rules) = (base.store.clone(), base.network.rules.clone());
    let source = ChainSource::new(store, rules, base.clock.clone(), chain.watch(), claimed_by);
    Arc::new(source.with_snapshots(chain.snapshots().clone()))
}

/// Makes the other mailboxes, puts an actor behind each, and lets them run.
fn assemble(
    base: &Base,
    signer: Option<Arc<Signer>>,
    (chain, chain_inbox): (ChainMailbox, ChainInbox),
    (transport, events): (Arc<dyn Transport>, Events),
) -> Node {
    let (peer_inbox, peers) = peer::mailbox();
    let (network_inbox, network) = network::mailbox(transport.clone());
    let (sync, sync_inbox) = sync::mailbox(MailboxConfig::default());
    let all = Mailboxes { chain, peers, network, sync };
    let metrics = Metrics::default();
    let supervisor = Supervisor::new(&base.randomness)
        .child(chain_inbox.child(all.chain_parts(base, signer.clone())))
        .child(peer::child(peer_inbox, all.peer_parts(base, &metrics)))
        .child(network::child(network_inbox, &all.network, all.network_parts(base, &metrics)))
        .child(sync_inbox.child(all.sync_parts(base, signer.as_deref(), &metrics)));
    let narrator = tokio::spawn(narrate(supervisor.events()));
    let supervisor = supervisor.start();
    let pump = tokio::spawn(network::pump(events, all.network.clone()));
    let Mailboxes { chain, peers, network, sync } = all;
    let beside = [narrator, pump].map(AbortOnDropHandle::new);
    Node { chain, peers, network, sync, metrics, supervisor, transport, _beside: beside }
}

struct Mailboxes {
    chain: ChainMailbox,
    peers: PeerMailbox,
    network: NetworkMailbox,
    sync: SyncMailbox,
}

impl Mailboxes {
    fn chain_parts(&self, base: &Base, signer: Option<Arc<Signer>>) -> chain::Parts {
        chain::Parts {
            network: base.network.clone(),
            store: base.store.clone(),
            signer,
            clock: base.clock.clone(),
            pool: base.pool.clone(),
            gate: Arc::new(self.sync.clone()),
            outlet: Arc::new(self.network.clone()),
            bodies: Arc::new(self.network.requests()),
        }
    }

    fn peer_parts(&self, base: &Base, metrics: &Metrics) -> peer::Parts {
        peer::Parts {
            config: base.settings.peers.clone(),
            book: base.book.clone(),
            network: self.network.clone(),
            clock: base.clock.clone(),
            randomness: base.randomness,
            metrics: metrics.peers.clone(),
        }
    }

    fn network_parts(&self, base: &Base, metrics: &Metrics) -> network::Parts {
        network::Parts {
            chain: Arc::new(self.chain.clone()),
            sync: Arc::new(self.sync.clone()),
            peers: self.peers.clone(),
            rules: base.network.rules.clone(),
            clock: base.clock.clone(),
            pool: base.pool.clone(),
            randomness: base.randomness,
            metrics: metrics.network.clone(),
        }
    }

    fn sync_parts(&self, base: &Base, signer: Option<&Signer>, metrics: &Metrics) -> sync::Parts {
        sync::Parts {
            config: base.settings.sync,
            rules: base.network.rules.clone(),
            chain_id: base.network.ledger.chain_id,
            store: base.store.clone(),
            chain: Arc::new(self.chain.clone()),
            peers: Arc::new(self.peers.clone()),
            network: Arc::new(self.network.clone()),
            requests: self.network.requests(),
            clock: base.clock.clone(),
            pool: base.pool.clone(),
            randomness: base.randomness,
            authority: signer.map(|signer| *signer.public_key()),
            checkpoints: base.checkpoints.clone(),
            flight_recorder: base.flight_recorder.clone(),
            metrics: metrics.sync.clone(),
        }
    }
}

impl Node {
    /// Resolves when every actor runs, or was given up, once.
    pub async fn running(&self) {
        self.supervisor.running().await;
    }

    /// The table of actors, in the order of their start: where each stands, its restarts, its queue.
    #[must_use]
    pub fn actors(&self) -> Vec<ActorStatus> {
        self.supervisor.status()
    }

    /// The supervisor: restarts by hand, and the news of the actors.
    #[must_use]
    pub const fn supervisor(&self) -> &SupervisorHandle {
        &self.supervisor
    }

    /// Shows the metrics of all actors in a registry.
    pub fn register(&self, registry: &mut Registry) {
        self.chain.metrics().register(registry);
        self.metrics.peers.register(registry);
        self.metrics.network.register(registry);
        self.metrics.sync.register(registry);
    }

    /// Stops sync, network, peer book and chain, in this order, then leaves the network. Takes no longer than the kill timeouts of the actors.
    pub async fn stop(self) {
        self.supervisor.shutdown().await;
        // A transport that takes no more commands stops when it is dropped, which is now.
        self.transport.send(Command::Stop).ok();
    }
}
