//! A node that syncs, and the peers around it.

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use alys_actor::{Clock, MailboxConfig, Pool, Randomness, Supervisor, SupervisorHandle};
use alys_chain::{AuthorityIndex, BlockId, Height, ProvenFinal, Slot, UnixMillis};
use alys_storage::{Checkpoints, MemoryDisk, Store};
use alys_sync::{Fault, ImportTook, Observation, Offence, SyncStatus, Tip};
use alys_transport::simulated::{Network, SimulatedTransport};
use alys_transport::{Command, Config as TransportConfig, Event, Events, Transport};
use alys_wire::PeerId;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{broadcast, watch};

use super::history::{CHAIN, GENESIS_TIME, HISTORY, Served};
use crate::chain::local::{LocalChain, VerifiedBlock};
use crate::chain::snapshot::Backfilled;
use crate::chain::{ChainEvent, ChainView, ImportError, Imported, NotInstalled};
use crate::network::Requests;
use crate::sync::{ChainPort, Config, NetworkPort, Parts, PeerPort, SyncMailbox, SyncMetrics, mailbox};

/// The shortest commit.
const COMMIT: Duration = Duration::from_millis(5);

/// How long a block takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    pub execute: Duration,
    pub commit: Duration,
    pub elsewhere: Duration,
}

/// A chain without an actor around it.
pub struct Chain {
    local: Mutex<LocalChain>,
    view: watch::Sender<ChainView>,
    pub events: broadcast::Sender<ChainEvent>,
    /// What the next imports fail with.
    pub failures: Mutex<Vec<Fault>>,
    pub imports: Mutex<Vec<usize>>,
    /// How long each block of an import takes: to execute, to commit, and to wait for something else.
    pub pace: Mutex<Pace>,
    /// The next import panics half way.
    pub crash: AtomicBool,
}

impl Chain {
    fn open(disk: &MemoryDisk) -> (Arc<Self>, Arc<dyn Store>) {
        let genesis = HISTORY.network.rules.genesis_id();
        let store: Arc<dyn Store> = Arc::new(disk.open(genesis).unwrap());
        let local = LocalChain::open(HISTORY.network.clone(), store.clone()).unwrap();
        let (view, _) = watch::channel(ChainView::genesis(genesis));
        let (events, _) = broadcast::channel(64);
        let chain = Self {
            local: Mutex::new(local),
            view,
            events,
            failures: Mutex::default(),
            imports: Mutex::default(),
            pace: Mutex::default(),
            crash: AtomicBool::new(false),
        };
        chain.show();
        (Arc::new(chain), store)
    }

    fn show(&self) {
        let local = self.local.lock().unwrap();
        let (head, finalized) = (local.head(), local.finalized());
        self.view.send_modify(|view| {
            view.head = head;
            view.finalized = finalized;
            view.highest_certified = head.slot;
        });
    }

    pub fn change(&self, change: impl FnOnce(&mut ChainView)) {
        self.view.send_modify(change);
    }

    pub fn tip(&self) -> Tip {
        self.view.borrow().tip()
    }

    /// How many of the blocks it took, and why no more.
    fn take(&self, blocks: &[VerifiedBlock]) -> Option<(usize, Fault)> {
        self.imports.lock().unwrap().push(blocks.len());
        if let Some(fault) = self.failures.lock().unwrap().pop() {
            return Some((0, fault));
        }
        let crash = self.crash.swap(false, Ordering::Relaxed);
        let part = if crash { &blocks[..blocks.len() / 2] } else { blocks };
        let done = self.local.lock().unwrap().import(part);
        self.show();
        assert!(!crash, "told to crash in the middle of an import");
        let stopped = done.err()?;
        Some((stopped.imported, Fault::Ours(stopped.error.to_string())))
    }
}

/// The chain as sync's port.
pub struct Port(pub Arc<Chain>);

impl ChainPort for Port {
    fn watch(&self) -> watch::Receiver<ChainView> {
        self.0.view.subscribe()
    }

    fn events(&self) -> broadcast::Receiver<ChainEvent> {
        self.0.events.subscribe()
    }

    fn install(&self, _: ProvenFinal) -> BoxFuture<'static, Result<Imported, NotInstalled>> {
        unreachable!("no state is fetched in these stories")
    }

    fn backfill(&self, _: Vec<Backfilled>) -> BoxFuture<'static, Result<Height, Fault>> {
        unreachable!("all blocks are here in these stories")
    }

    fn import(&self, blocks: Vec<VerifiedBlock>) -> BoxFuture<'static, Result<Imported, ImportError>> {
        let chain = self.0.clone();
        async move {
            let pace = *chain.pace.lock().unwrap();
            let count = u32::try_from(blocks.len()).unwrap();
            // As long as a commit takes at least.
            let took = ImportTook { execute: pace.execute * count, commit: pace.commit * count + COMMIT };
            tokio::time::sleep(took.execute + took.commit + pace.elsewhere * count).await;
            let stopped = chain.take(&blocks);
            let tip = chain.tip();
            match stopped {
                None => Ok(Imported { tip, took }),
                Some((imported, fault)) => Err(ImportError { imported, tip, fault }),
            }
        }
        .boxed()
    }
}

/// What the book holds.
pub const STATES: &[u8] = b"the book";

/// What sync said of peers, and what it found of them in checkpoints.
#[derive(Default)]
pub struct Book(Mutex<Vec<(PeerId, Observation)>>, Mutex<Vec<Bytes>>);

impl Book {
    pub fn recalled(&self) -> Vec<Bytes> {
        self.1.lock().unwrap().clone()
    }
}

impl PeerPort for Book {
    fn observe(&self, peer: PeerId, what: Observation) {
        self.0.lock().unwrap().push((peer, what));
    }

    fn states(&self) -> BoxFuture<'static, Bytes> {
        futures::future::ready(STATES.into()).boxed()
    }

    fn recall(&self, states: Bytes) {
        self.1.lock().unwrap().push(states);
    }
}

/// Who is connected, as a network knows it; tells sync.
#[derive(Default)]
pub struct Switchboard {
    known: Mutex<BTreeMap<PeerId, Option<AuthorityIndex>>>,
    sync: OnceLock<SyncMailbox>,
}

impl NetworkPort for Switchboard {
    fn introduce(&self) {
        let sync = self.sync.get().unwrap();
        for (&peer, &authority) in &*self.known.lock().unwrap() {
            sync.peer_connected(peer).unwrap();
            sync.authority_identified(peer, authority).unwrap();
        }
    }
}

/// The node under test.
pub struct World {
    pub network: Network,
    pub node: Arc<SimulatedTransport>,
    pub sync: SyncMailbox,
    pub chain: Arc<Chain>,
    pub store: Arc<dyn Store>,
    pub book: Arc<Book>,
    pub board: Arc<Switchboard>,
    pub metrics: SyncMetrics,
    pub clock: Clock,
    pub supervisor: SupervisorHandle,
    /// How many of the next jobs in the pool panic.
    pub panics: Arc<AtomicU32>,
    others: Vec<(SimulatedTransport, Events)>,
}

/// What differs from story to story.
pub struct Setting {
    pub disk: MemoryDisk,
    /// The slot that runs at the beginning.
    pub slot: u64,
    pub authority: Option<usize>,
    pub checkpoints: Option<Arc<Checkpoints>>,
    pub flight_recorder: Option<Arc<Path>>,
    pub config: Config,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            disk: MemoryDisk::new(),
            slot: HISTORY.headers.len() as u64,
            authority: None,
            checkpoints: None,
            flight_recorder: None,
            config: Config::default(),
        }
    }
}

pub fn transport_config() -> TransportConfig {
    let mut config = TransportConfig::new(HISTORY.network.rules.genesis_id());
    config.discovery = None;
    config
}

impl World {
    pub async fn new(setting: Setting) -> Self {
        let network = Network::new(11);
        let (node, events) = network.join(&transport_config(), Arc::new(Served::honest(0)));
        let node = Arc::new(node);
        let (chain, store) = Chain::open(&setting.disk);
        let (book, board) = (Arc::new(Book::default()), Arc::new(Switchboard::default()));
        let (clock, _) = Clock::simulated(UnixMillis(GENESIS_TIME.0 + setting.slot * 2_000 + 100));
        let (sync, inbox) = mailbox(MailboxConfig::default());
        board.sync.set(sync.clone()).unwrap();
        let metrics = SyncMetrics::default();
        let panics = Arc::new(AtomicU32::new(0));
        let parts = Parts {
            config: setting.config,
            rules: HISTORY.network.rules.clone(),
            chain_id: CHAIN,
            store: store.clone(),
            chain: Arc::new(Port(chain.clone())),
            peers: book.clone(),
            network: board.clone(),
            requests: Requests::new(node.clone()),
            clock: clock.clone(),
            pool: Pool::faulty(panics.clone()),
            randomness: Randomness::seeded(5),
            authority: setting.authority.map(|place| HISTORY.keys[place].public_key()),
            checkpoints: setting.checkpoints,
            flight_recorder: setting.flight_recorder,
            metrics: metrics.clone(),
        };
        let supervisor = Supervisor::new(&Randomness::seeded(5)).child(inbox.child(parts)).start();
        supervisor.running().await;
        tokio::spawn(switch(events, board.clone()));
        let others = Vec::new();
        Self { network, node, sync, chain, store, book, board, metrics, clock, supervisor, panics, others }
    }

    /// Connects a peer that serves this.
    pub async fn peer(&mut self, served: Served) -> PeerId {
        self.shared_peer(Arc::new(served)).await
    }

    pub async fn shared_peer(&mut self, served: Arc<Served>) -> PeerId {
        let authority = served.authority.map(AuthorityIndex);
        let (transport, events) = self.network.join(&transport_config(), served);
        let peer = transport.local_peer();
        self.others.push((transport, events));
        let addresses = vec![self.network.address(peer).unwrap()];
        self.node.send(Command::Dial { peer: Some(peer), addresses }).unwrap();
        self.until("a connection", |world| world.board.known.lock().unwrap().contains_key(&peer)).await;
        if authority.is_some() {
            self.board.known.lock().unwrap().insert(peer, authority);
            self.sync.authority_identified(peer, authority).unwrap();
        }
        peer
    }

    /// Ends the connection to a peer.
    pub async fn disconnects(&self, peer: PeerId) {
        self.node.send(Command::Disconnect { peer }).unwrap();
        self.until("the end of a connection", |world| !world.board.known.lock().unwrap().contains_key(&peer))
            .await;
    }

    /// Lets time pass until this holds.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..12_000 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited two minutes in vain for {what}: {:?}", self.status());
    }

    pub async fn reaches(&self, height: u64) {
        self.until("a height", |world| world.height() >= height).await;
    }

    pub async fn passes(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    pub fn height(&self) -> u64 {
        self.chain.tip().head.height.get()
    }

    pub fn status(&self) -> SyncStatus {
        self.sync.watch().borrow().clone()
    }

    pub fn slot(&self) -> Slot {
        HISTORY.network.rules.slot_at(self.clock.unix()).unwrap()
    }

    /// What this peer was accused of.
    pub fn offences(&self, peer: PeerId) -> Vec<Offence> {
        let seen = self.book.0.lock().unwrap();
        let of = seen.iter().filter(|(who, _)| *who == peer);
        of.filter_map(|(_, what)| match what {
            Observation::Offence(offence) => Some(*offence),
            _ => None,
        })
        .collect()
    }

    /// How many answers of this peer were complete.
    pub fn served(&self, peer: PeerId) -> usize {
        let seen = self.book.0.lock().unwrap();
        seen.iter().filter(|(who, what)| *who == peer && matches!(what, Observation::Served { .. })).count()
    }

    pub fn heads(&self) -> Option<BlockId> {
        let tip = self.chain.tip().head;
        (tip.height > Height::ZERO).then_some(tip.id)
    }
}

/// Plays the NetworkActor's part for sync.
async fn switch(mut events: Events, board: Arc<Switchboard>) {
    while let Some(event) = events.recv().await {
        let sync = board.sync.get().unwrap();
        match event {
            Event::Identified { peer, .. } => {
                board.known.lock().unwrap().insert(peer, None);
                sync.peer_connected(peer).unwrap();
            }
            Event::Disconnected { peer, reason } => {
                board.known.lock().unwrap().remove(&peer);
                sync.peer_disconnected(peer, reason).unwrap();
            }
            _ => {}
        }
    }
}
