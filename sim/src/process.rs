//! The process of a node: the real actors on simulated ground.

use std::sync::Arc;
use std::time::Duration;

use alys_actor::{ActorStatus, Clock, Pool, Randomness};
use alys_actors::chain::{ChainMailbox, begin_record};
use alys_actors::peer::{Book, PeerTable};
use alys_actors::sync::SyncMailbox;
use alys_actors::{Base, Connect, Node, Parts, Settings};
use alys_storage::{MemoryDisk, Store};
use alys_transport::{Config, Transport, simulated};
use alys_wire::Address;

use crate::site::Site;
use crate::tap::{Tap, Witness};
use crate::trace::Place;

/// How often a node looks around for peers that it does not know. Thrice as often as usual, so that worlds can be short.
const DISCOVERY: Duration = Duration::from_secs(10);

/// The span in which each node runs, for whoever reads their logs together.
pub const NODE_SPAN: &str = "node";

/// What a process is given.
pub struct Equipment {
    /// The number of its node.
    pub number: usize,
    /// Its disk.
    pub disk: MemoryDisk,
    /// Where it keeps its peer book.
    pub book: Book,
    /// Its clock.
    pub clock: Clock,
    /// Where its randomness comes from.
    pub randomness: Randomness,
    /// Whether it has never run before.
    pub fresh: bool,
    /// Whose key it has.
    pub key: usize,
    /// Whom it knows at its start.
    pub bootnodes: Vec<Address>,
}

/// A running process. Dropped, it is gone.
pub struct Process {
    /// Its store, to be looked into.
    pub store: Arc<dyn Store>,
    node: Node,
}

impl Process {
    /// Starts it.
    ///
    /// # Panics
    /// When its disk cannot be opened, or it does not start: neither is told to fail at this moment.
    #[must_use]
    pub fn start(with: Equipment, site: &Site, network: &simulated::Network, witness: &Witness) -> Self {
        let genesis = site.network.rules.genesis_id();
        let store = with.disk.open(genesis).expect("a disk in memory opens, and there is one network only");
        let store: Arc<dyn Store> = Arc::new(store);
        let mut settings = Settings::default();
        settings.peers.bootnodes = with.bootnodes;
        let base = Base {
            settings,
            network: site.network.clone(),
            store: store.clone(),
            checkpoints: None,
            flight_recorder: None,
            book: with.book,
            local: site.peers[with.number],
            clock: with.clock,
            pool: Pool::inline(),
            randomness: with.randomness,
        };
        let key = site.is_ever_authority(with.key).then(|| site.keys[with.key].clone());
        if key.is_some() && with.fresh {
            begin_record(store.as_ref(), genesis).expect("a disk is not full before its first start");
        }
        let connect = connect(with.number, site, network, witness);
        let parts = Parts { base, connect, authority: key };
        let place = Place::Node(with.number);
        let span = tracing::info_span!(NODE_SPAN, %place);
        let started = span.in_scope(|| alys_actors::start(parts));
        let node = started.expect("the store opens, and the transport is who it should be");
        Self { store, node }
    }

    /// Its chain.
    #[must_use]
    pub const fn chain(&self) -> &ChainMailbox {
        &self.node.chain
    }

    /// Its sync.
    #[must_use]
    pub const fn sync(&self) -> &SyncMailbox {
        &self.node.sync
    }

    /// What its peer book holds for and against each peer.
    #[must_use]
    pub fn peers(&self) -> Arc<PeerTable> {
        self.node.peers.watch().borrow().clone()
    }

    /// Its actors.
    #[must_use]
    pub fn actors(&self) -> Vec<ActorStatus> {
        self.node.actors()
    }
}

fn connect(number: usize, site: &Site, network: &simulated::Network, witness: &Witness) -> Connect {
    let config = Config {
        listen: vec![Site::address(number)],
        discovery: Some(DISCOVERY),
        ..Config::new(site.network.rules.genesis_id())
    };
    let (peer, network, witness) = (site.peers[number], network.clone(), witness.clone());
    Box::new(move |source| {
        let (transport, events) = network.rejoin(peer, &config, source);
        let tapped: Arc<dyn Transport> = Arc::new(Tap::new(transport, number, witness));
        Ok((tapped, events))
    })
}
