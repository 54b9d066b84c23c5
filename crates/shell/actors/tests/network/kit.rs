//! Nodes that are a NetworkActor and a PeerActor on a simulated transport, with a chain and a sync that only listen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alys_actor::{ActorStatus, Clock, Pool, Randomness, SendError, Supervisor, SupervisorHandle};
use alys_actors::network::{self, ChainPort, Gossiped, NetworkMailbox, NetworkMetrics, Present, SyncPort};
use alys_actors::peer::{self, Book, PeerMailbox, PeerMetrics};
use alys_chain::schedule::{Authority, Period, Schedule};
use alys_chain::{
    Approval, AuthorityIndex, BlockId, Certificate, CertifiedHeader, Claim, Genesis, Hash, Header, Height,
    Parties, Rules, Seat, SecretKey, Slot, UnixMillis,
};
use alys_peers::{Explanation, Offence};
use alys_transport::simulated::{self, SimulatedTransport};
use alys_transport::{
    BlockSource, Command, Config, DisconnectReason, Events, Transport, Unavailable, Verdict,
};
use alys_wire::{Address, GossipMessage, PeerId, Proposal, Status, Topic};
use bytes::Bytes;

pub const SECOND: Duration = Duration::from_secs(1);
/// When slot 0 begins.
pub const GENESIS_TIME: UnixMillis = UnixMillis(1_700_000_000_000);
/// A story that has not gone on for so long, in virtual time, has failed.
const PATIENCE: u32 = 600;

pub struct World {
    pub net: simulated::Network,
    pub keys: Vec<SecretKey>,
    pub rules: Arc<Rules>,
    joined: u8,
}

impl World {
    /// The first two of three authorities are the set until `change`, the first and the third from then on.
    pub fn changing_at(change: u64) -> Self {
        let keys: Vec<_> = (1..=3).map(|seed| SecretKey::from_seed(&[seed; 32])).collect();
        let period = |from_slot, members: [usize; 2]| Period {
            from_slot: Slot(from_slot),
            slot_ms: 2_000,
            authorities: members.map(|i| Authority::of(&keys[i])).to_vec(),
        };
        let schedule = Schedule::new(vec![period(0, [0, 1]), period(change, [0, 2])]).unwrap();
        let genesis = Genesis {
            chain_id: 1,
            time: GENESIS_TIME,
            gas_limit: 30_000_000,
            schedule,
            allocations: BTreeMap::new(),
        };
        let rules = Arc::new(Rules::new(&genesis, Hash([1; 32])));
        Self { net: simulated::Network::new(11), keys, rules, joined: 0 }
    }

    pub fn new() -> Self {
        Self::changing_at(1_000_000)
    }

    pub fn next_peer(&mut self) -> PeerId {
        self.joined += 1;
        PeerId::from_bytes(&[self.joined; 38]).unwrap()
    }

    pub fn config(&self) -> Config {
        let mut config = Config::new(self.rules.genesis_id());
        config.discovery = None;
        config
    }

    /// A node without actors, to do with as one likes.
    pub fn stranger(&mut self, source: Arc<dyn BlockSource>) -> Stranger {
        let peer = self.next_peer();
        self.stranger_on(peer, &self.config(), source)
    }

    pub fn stranger_on(&self, peer: PeerId, config: &Config, source: Arc<dyn BlockSource>) -> Stranger {
        let (transport, events) = self.net.rejoin(peer, config, source);
        Stranger { peer, transport, events }
    }

    pub fn node(&mut self) -> Setup<'_> {
        let peer = self.next_peer();
        Setup { world: self, peer, key: None, book: Book::memory(), config: peer::Config::default() }
    }

    pub fn address(&self, peer: PeerId) -> Address {
        self.net.address(peer).unwrap().with_peer(peer)
    }
}

pub struct Stranger {
    pub peer: PeerId,
    pub transport: SimulatedTransport,
    pub events: Events,
}

impl Stranger {
    pub fn dial(&self, to: &Node) {
        let addresses = vec![to.address.clone()];
        self.transport.send(Command::Dial { peer: Some(to.peer), addresses }).unwrap();
    }

    pub fn publish(&self, topic: Topic, data: &[u8]) {
        self.transport.send(Command::Publish { topic, data: Bytes::copy_from_slice(data) }).unwrap();
    }
}

/// Serves nothing but the claim of its key, if it has one that has a seat now.
#[derive(Default)]
pub struct Claims(Option<Claimant>);

struct Claimant {
    rules: Arc<Rules>,
    clock: Clock,
    peer: PeerId,
    key: SecretKey,
}

impl Claimant {
    fn claim(&self, asker: PeerId, nonce: &[u8; 32]) -> Option<Bytes> {
        let now = self.clock.unix();
        let set = self.rules.schedule().set_at(self.rules.slot_at(now).unwrap());
        let seat = Seat { set: set.id(), authority: set.index_of(&self.key.public_key())? };
        let parties = Parties { claimant: self.peer.as_bytes(), asker: asker.as_bytes(), nonce };
        let until = UnixMillis(now.0 + 10_000);
        let claim = Claim::sign(self.rules.domain(), &parties, seat, until, &self.key);
        Some(Bytes::copy_from_slice(&claim.encode()))
    }
}

impl BlockSource for Claims {
    fn status(&self) -> Result<Status, Unavailable> {
        Err(Unavailable)
    }

    fn headers(&self, _: Height, _: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
        Err(Unavailable)
    }

    fn bodies(&self, _: &[BlockId], _: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        Err(Unavailable)
    }

    fn claim(&self, asker: PeerId, nonce: [u8; 32]) -> Result<Option<Bytes>, Unavailable> {
        Ok(self.0.as_ref().and_then(|claimant| claimant.claim(asker, &nonce)))
    }
}

/// A node before its start.
pub struct Setup<'a> {
    world: &'a World,
    peer: PeerId,
    key: Option<usize>,
    book: Book,
    config: peer::Config,
}

impl Setup<'_> {
    pub fn peer(mut self, peer: PeerId) -> Self {
        self.peer = peer;
        self
    }

    pub fn authority(mut self, key: usize) -> Self {
        self.key = Some(key);
        self
    }

    pub fn book(mut self, book: &Book) -> Self {
        self.book = book.clone();
        self
    }

    pub fn knows(mut self, other: &Node) -> Self {
        self.config.bootnodes.push(other.address.clone());
        self
    }

    pub fn bootnode(mut self, address: Address) -> Self {
        self.config.bootnodes.push(address);
        self
    }

    pub fn trusts(mut self, peer: PeerId, address: Address) -> Self {
        self.config.trusted.insert(peer, vec![address]);
        self
    }

    pub async fn start(self) -> Node {
        let Self { world, peer, key, book, config } = self;
        let (clock, _) = Clock::simulated(GENESIS_TIME);
        let rules = world.rules.clone();
        let claimant = key.map(|key| {
            let key = SecretKey::from_bytes(&world.keys[key].to_bytes()).unwrap();
            Claimant { rules: rules.clone(), clock: clock.clone(), peer, key }
        });
        let (transport, events) = world.net.rejoin(peer, &world.config(), Arc::new(Claims(claimant)));
        let transport: Arc<dyn Transport> = Arc::new(transport);
        let randomness = Randomness::seeded(5).child(&peer.to_string());
        let (prepared, mailbox) = network::mailbox(transport);
        let (book_prepared, peers) = peer::mailbox();
        let chain = Arc::new(Chain::new(mailbox.clone()));
        let sync = Arc::new(Sync::default());
        let metrics = NetworkMetrics::default();
        let parts = network::Parts {
            chain: chain.clone(),
            sync: sync.clone(),
            peers: peers.clone(),
            rules,
            clock: clock.clone(),
            pool: Pool::inline(),
            randomness,
            metrics: metrics.clone(),
        };
        let peer_metrics = PeerMetrics::default();
        let peer_parts = peer::Parts {
            config,
            book: book.clone(),
            network: mailbox.clone(),
            clock,
            randomness,
            metrics: peer_metrics.clone(),
        };
        let supervisor = Supervisor::new(&randomness)
            .child(peer::child(book_prepared, peer_parts))
            .child(network::child(prepared, &mailbox, parts))
            .start();
        supervisor.running().await;
        tokio::spawn(network::pump(events, mailbox.clone()));
        let address = world.address(peer);
        Node { peer, address, network: mailbox, peers, chain, sync, supervisor, metrics, peer_metrics }
    }
}

pub struct Node {
    pub peer: PeerId,
    pub address: Address,
    pub network: NetworkMailbox,
    pub peers: PeerMailbox,
    pub chain: Arc<Chain>,
    pub sync: Arc<Sync>,
    pub supervisor: SupervisorHandle,
    pub metrics: NetworkMetrics,
    pub peer_metrics: PeerMetrics,
}

impl Node {
    pub async fn present(&self) -> Vec<Present> {
        self.network.get_network_status().await.unwrap().present
    }

    /// Who is connected and of our network.
    pub async fn identified(&self) -> Vec<PeerId> {
        self.present().await.iter().filter(|p| p.identified).map(|p| p.peer).collect()
    }

    pub async fn authority_of(&self, peer: PeerId) -> Option<AuthorityIndex> {
        self.present().await.iter().find(|p| p.peer == peer).and_then(|p| p.authority)
    }

    pub async fn knows(&self, peer: PeerId) -> Explanation {
        self.peers.get_peer_status(peer).await.unwrap().expect("in the book")
    }

    pub fn actor(&self, name: &str) -> ActorStatus {
        self.supervisor.status().into_iter().find(|actor| actor.name == name).unwrap()
    }

    pub async fn meet(&self, other: &Self) {
        eventually!("the nodes meet", self.identified().await.contains(&other.peer));
        eventually!("the nodes meet", other.identified().await.contains(&self.peer));
    }
}

/// What the chain of a node does with gossip.
#[derive(Clone, Copy, Debug)]
pub enum Habit {
    Judge(Verdict, Option<Offence>),
    HaveNoRoom,
    PanicOnce,
}

pub struct Chain {
    network: NetworkMailbox,
    heard: Mutex<Vec<GossipMessage>>,
    pub habit: Mutex<Habit>,
}

impl Chain {
    fn new(network: NetworkMailbox) -> Self {
        let habit = Mutex::new(Habit::Judge(Verdict::Accept, None));
        Self { network, heard: Mutex::default(), habit }
    }

    pub fn heard(&self) -> Vec<GossipMessage> {
        self.heard.lock().unwrap().clone()
    }

    pub fn habit(&self, habit: Habit) {
        *self.habit.lock().unwrap() = habit;
    }

    fn hear(&self, from: Gossiped, message: GossipMessage) -> Result<(), SendError> {
        let habit = *self.habit.lock().unwrap();
        match habit {
            Habit::Judge(verdict, offence) => {
                self.heard.lock().unwrap().push(message);
                self.network.validated(from, verdict, offence)
            }
            Habit::HaveNoRoom => Err(SendError::Full),
            Habit::PanicOnce => {
                self.habit(Habit::Judge(Verdict::Accept, None));
                panic!("told to panic");
            }
        }
    }
}

impl ChainPort for Chain {
    fn proposal(&self, from: Gossiped, proposal: Proposal) -> Result<(), SendError> {
        self.hear(from, GossipMessage::Proposal(Box::new(proposal)))
    }

    fn approval(&self, from: Gossiped, approval: Approval) -> Result<(), SendError> {
        self.hear(from, GossipMessage::Approval(approval))
    }

    fn certificate(&self, from: Gossiped, certificate: Certificate) -> Result<(), SendError> {
        self.hear(from, GossipMessage::Certificate(certificate))
    }

    fn transaction(&self, from: Gossiped, transaction: Bytes) -> Result<(), SendError> {
        self.hear(from, GossipMessage::Transaction(transaction))
    }
}

/// What sync was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Connected(PeerId),
    Disconnected(PeerId, DisconnectReason),
    Authority(PeerId, Option<AuthorityIndex>),
}

#[derive(Default)]
pub struct Sync {
    told: Mutex<Vec<Told>>,
    pub full: Mutex<bool>,
}

impl Sync {
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    fn note(&self, what: Told) -> Result<(), SendError> {
        if *self.full.lock().unwrap() {
            return Err(SendError::Full);
        }
        self.told.lock().unwrap().push(what);
        Ok(())
    }
}

impl SyncPort for Sync {
    fn peer_connected(&self, peer: PeerId) -> Result<(), SendError> {
        self.note(Told::Connected(peer))
    }

    fn peer_disconnected(&self, peer: PeerId, reason: DisconnectReason) -> Result<(), SendError> {
        self.note(Told::Disconnected(peer, reason))
    }

    fn authority_identified(&self, peer: PeerId, authority: Option<AuthorityIndex>) -> Result<(), SendError> {
        self.note(Told::Authority(peer, authority))
    }
}

/// An approval that looks like one; nobody checks it here.
pub fn approval(world: &World, height: u64) -> Approval {
    let header = header(height);
    let seat = world.rules.schedule().seats_of(&world.keys[0].public_key()).next().unwrap();
    Approval::sign(world.rules.domain(), &header, seat, &world.keys[0])
}

pub fn header(height: u64) -> Header {
    Header {
        height: Height(height),
        slot: Slot(height),
        parent: BlockId([3; 32]),
        body_root: Hash([4; 32]),
        state_root: Hash([5; 32]),
        proposer: AuthorityIndex(0),
    }
}

pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Steps of the virtual clock while a story waits.
pub fn patience() -> impl Iterator<Item = Duration> {
    (0..PATIENCE).map(|_| SECOND / 5)
}

/// Waits, in virtual time, until a condition holds.
macro_rules! eventually {
    ($what:literal, $condition:expr) => {{
        let mut held = $condition;
        for step in $crate::kit::patience() {
            if held {
                break;
            }
            $crate::kit::pass(step).await;
            held = $condition;
        }
        assert!(held, concat!("waited in vain: ", $what));
    }};
}
pub(crate) use eventually;
