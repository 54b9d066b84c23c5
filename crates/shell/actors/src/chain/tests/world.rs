//! Nodes that hear each other at once, in virtual time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use alys_actor::{Clock, Pool, Randomness, SendError, Supervisor, SupervisorHandle};
use alys_chain::genesis::{Account as Holder, Genesis};
use alys_chain::schedule::{Authority, Schedule};
use alys_chain::{
    Approval, Block, BlockId, Body, Certificate, CertifiedBlock, Header, Height, SecretKey, Slot, Tally,
    UnixMillis,
};
use alys_ledger::{Address, ChainId, Transfer, U256, Wallet};
use alys_peers::Offence;
use alys_storage::Store;
use alys_storage::memory::MemoryDisk;
use alys_sync::GateReport;
use alys_transport::{MessageId, Verdict};
use alys_wire::{PeerId, Proposal};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::broadcast;
use zeroize::Zeroizing;

use crate::chain::local::{Network, PreparedBlock, VerifiedBlock};
use crate::chain::*;
use crate::network::Gossiped;

pub const CHAIN: ChainId = ChainId(212_121);
pub const BOB: Address = Address::repeat_byte(0xb0);
const GENESIS: UnixMillis = UnixMillis(1_000);

/// The network of a test: who may sign, who is rich, which time it is.
pub struct World {
    pub keys: Vec<SecretKey>,
    pub wallet: Wallet,
    pub network: Network,
    pub clock: Clock,
    pub bus: Arc<Bus>,
}

impl World {
    /// `n` authorities; genesis is now.
    pub fn new(n: u8) -> Self {
        let keys = keys(n);
        let schedule = Schedule::constant(2_000, keys.iter().map(Authority::of).collect()).unwrap();
        Self::with(keys, schedule)
    }

    pub fn with(keys: Vec<SecretKey>, schedule: Schedule) -> Self {
        let wallet = Wallet::new(Zeroizing::new([7; 32])).unwrap();
        let genesis = Genesis {
            chain_id: CHAIN.0,
            time: GENESIS,
            gas_limit: 30_000_000,
            schedule,
            allocations: [(Holder(wallet.address().0.0), 1_000_000_000_000_000_000_000.into())].into(),
        };
        let network = Network::new(&genesis).unwrap();
        Self { keys, wallet, network, clock: Clock::simulated(GENESIS).0, bus: Arc::default() }
    }

    /// A node with the key of this authority, up and running.
    pub async fn node(&self, authority: usize) -> Node {
        self.start(Some(authority), &MemoryDisk::new(), true).await
    }

    /// All authorities.
    pub async fn nodes(&self) -> Vec<Node> {
        let mut nodes = Vec::new();
        for authority in 0..self.keys.len() {
            nodes.push(self.node(authority).await);
        }
        nodes
    }

    pub async fn start(&self, authority: Option<usize>, disk: &MemoryDisk, new: bool) -> Node {
        let store: Arc<dyn Store> = Arc::new(disk.open(self.network.rules.genesis_id()).unwrap());
        let rules = self.network.rules.clone();
        if new && authority.is_some() {
            begin_record(store.as_ref(), rules.genesis_id()).unwrap();
        }
        let signer = authority.map(|authority| {
            let key = self.keys[authority].clone();
            Arc::new(Signer::open(rules, key, store.as_ref(), self.slot()).unwrap())
        });
        self.start_on(signer, disk, store).await
    }

    pub async fn start_on(
        &self,
        signer: Option<Arc<Signer>>,
        disk: &MemoryDisk,
        store: Arc<dyn Store>,
    ) -> Node {
        let (mailbox, inbox) = super::super::mailbox(&self.network, &Config::default());
        let port = Port::new(&self.bus, mailbox.clone(), store.clone());
        let parts = Parts {
            network: self.network.clone(),
            store: store.clone(),
            signer: signer.clone(),
            clock: self.clock.clone(),
            pool: Pool::inline(),
            gate: port.clone(),
            outlet: port.clone(),
            bodies: port.clone(),
        };
        let events = mailbox.events();
        let supervisor = Supervisor::new(&Randomness::seeded(1)).child(inbox.child(parts)).start();
        supervisor.running().await;
        Node { mailbox, port, store, disk: disk.clone(), signer, supervisor, events }
    }

    /// The blocks of a node in these heights, as sync hands them over.
    pub fn verified(&self, from: &Node, heights: std::ops::RangeInclusive<u64>) -> Vec<VerifiedBlock> {
        heights.map(|height| self.verified_at(from, Height(height))).collect()
    }

    fn verified_at(&self, from: &Node, height: Height) -> VerifiedBlock {
        let CertifiedBlock { block, certificate } = from.certified(height);
        let block = PreparedBlock::check(block.header, certificate.block, block.body, CHAIN).unwrap();
        VerifiedBlock { block, certificate }
    }

    pub fn slot(&self) -> Slot {
        self.network.rules.slot_at(self.clock.unix()).unwrap()
    }

    /// Lets time pass until `millis` into a slot.
    pub async fn until(&self, slot: u64, millis: u64) {
        let at = self.network.rules.start_of(Slot(slot)).0 + millis;
        tokio::time::sleep(Duration::from_millis(at - self.clock.unix().0)).await;
    }

    pub fn pay(&self, nonce: u64, tip: u128) -> Bytes {
        self.send(nonce, tip, Bytes::new())
    }

    pub fn send(&self, nonce: u64, tip: u128, input: Bytes) -> Bytes {
        let (to, value) = (BOB, U256::from(5));
        let transfer = Transfer { nonce, to, value, max_fee: 20_000_000, max_priority_fee: tip, input };
        self.wallet.sign(&transfer, CHAIN)
    }

    pub fn approval(&self, header: &Header, authority: usize) -> Approval {
        let rules = &self.network.rules;
        let key = &self.keys[authority];
        let seat = rules.schedule().seats_of(&key.public_key()).next().unwrap();
        Approval::sign(rules.domain(), header, seat, key)
    }

    /// What a quorum, from the first authority on, says of a block.
    pub fn certificate(&self, header: &Header) -> Certificate {
        let schedule = self.network.rules.schedule();
        let mut tally = Tally::of(header);
        for authority in 0..schedule.set_at(header.slot).quorum().get() {
            tally.add(&self.network.rules, &self.approval(header, authority)).unwrap();
        }
        let required = alys_chain::Lineage::GENESIS.required(schedule, header.slot);
        tally.certificate(schedule, required).unwrap()
    }

    /// An empty block of a slot, by its author, on a parent.
    pub fn proposal(&self, slot: u64, parent: &Header, state_root: alys_chain::Hash) -> Proposal {
        let schedule = self.network.rules.schedule();
        let header = Header {
            height: parent.height.next().unwrap(),
            slot: Slot(slot),
            parent: parent.id(),
            body_root: Body::empty_root(),
            state_root,
            proposer: schedule.proposer(Slot(slot)),
        };
        self.propose(header, parent, Body::default())
    }

    pub fn propose(&self, header: Header, parent: &Header, body: Body) -> Proposal {
        let certificate = (parent.height.0 > 0).then(|| self.certificate(parent));
        let author = usize::from(header.proposer.0);
        Proposal::new(header, certificate, self.approval(&header, author), body)
    }

    pub fn genesis(&self) -> Header {
        *self.network.rules.genesis()
    }
}

pub fn keys(n: u8) -> Vec<SecretKey> {
    (1..=n).map(|seed| SecretKey::from_seed(&[seed; 32])).collect()
}

/// One node of it.
pub struct Node {
    pub mailbox: ChainMailbox,
    pub port: Arc<Port>,
    pub store: Arc<dyn Store>,
    pub disk: MemoryDisk,
    pub signer: Option<Arc<Signer>>,
    pub supervisor: SupervisorHandle,
    pub events: broadcast::Receiver<ChainEvent>,
}

impl Node {
    pub fn view(&self) -> ChainView {
        self.mailbox.watch().borrow().clone()
    }

    pub fn news(&mut self) -> Vec<ChainEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    /// A block of its chain.
    pub fn certified(&self, height: Height) -> CertifiedBlock {
        let id = self.store.canonical(height).unwrap().unwrap();
        let stored = self.store.header(id).unwrap().unwrap();
        let block = Block { header: stored.header, body: self.store.body(id).unwrap().unwrap() };
        CertifiedBlock { block, certificate: stored.certificate.unwrap() }
    }

    /// Nobody hears it any more, and it hears nobody.
    pub fn cut_off(&self, on: bool) {
        self.port.silent.store(on, Ordering::Relaxed);
    }

    /// Its gate is shut: it neither proposes nor approves.
    pub fn shut(&self, on: bool) {
        self.port.closed.store(on, Ordering::Relaxed);
    }

    /// Stops the process: nothing of it is left but the disk.
    pub async fn kill(self) -> MemoryDisk {
        self.port.silent.store(true, Ordering::Relaxed);
        self.supervisor.shutdown().await;
        self.disk
    }

    /// Lets it hear a proposal from a stranger; the verdict.
    pub async fn hear(&self, proposal: Proposal) -> (Verdict, Option<Offence>) {
        let gossiped = self.port.name();
        self.mailbox.propose(gossiped, proposal).unwrap();
        self.port.verdict(gossiped).await
    }

    pub async fn hear_approval(&self, approval: Approval) -> (Verdict, Option<Offence>) {
        let gossiped = self.port.name();
        self.mailbox.approve(gossiped, approval).unwrap();
        self.port.verdict(gossiped).await
    }

    pub async fn hear_certificate(&self, certificate: Certificate) -> (Verdict, Option<Offence>) {
        let gossiped = self.port.name();
        self.mailbox.certify(gossiped, certificate).unwrap();
        self.port.verdict(gossiped).await
    }

    pub async fn hear_transaction(&self, raw: Bytes) -> (Verdict, Option<Offence>) {
        let gossiped = self.port.name();
        self.mailbox.transaction(gossiped, raw).unwrap();
        self.port.verdict(gossiped).await
    }
}

/// Joins the nodes.
#[derive(Default)]
pub struct Bus {
    ports: Mutex<Vec<Arc<Port>>>,
    messages: AtomicU64,
}

impl Bus {
    fn next(&self) -> MessageId {
        let number = self.messages.fetch_add(1, Ordering::Relaxed);
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_le_bytes());
        MessageId(id)
    }
}

/// What a node said and judged, and its way to the others.
pub struct Port {
    bus: Weak<Bus>,
    peer: PeerId,
    mailbox: ChainMailbox,
    store: Arc<dyn Store>,
    /// Nobody hears it, and it hears nobody.
    pub silent: AtomicBool,
    pub closed: AtomicBool,
    /// The next certificate that it publishes makes it panic.
    pub panics: AtomicBool,
    pub verdicts: Mutex<Vec<(Gossiped, Verdict, Option<Offence>)>>,
    pub behind: Mutex<Vec<Certificate>>,
    pub proposals: Mutex<Vec<Proposal>>,
    pub approvals: Mutex<Vec<Approval>>,
    pub certificates: Mutex<Vec<Certificate>>,
    pub transactions: Mutex<Vec<Bytes>>,
    /// Bodies that are served to this node, before any other node's.
    pub bodies: Mutex<Vec<(BlockId, Body)>>,
    pub asked: Mutex<BTreeSet<Slot>>,
}

impl Port {
    fn new(bus: &Arc<Bus>, mailbox: ChainMailbox, store: Arc<dyn Store>) -> Arc<Self> {
        let mut ports = bus.ports.lock().unwrap();
        let peer = PeerId::from_bytes(&[u8::try_from(ports.len()).unwrap() + 1; 34]).unwrap();
        let port = Arc::new(Self {
            bus: Arc::downgrade(bus),
            peer,
            mailbox,
            store,
            silent: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            verdicts: Mutex::default(),
            behind: Mutex::default(),
            proposals: Mutex::default(),
            approvals: Mutex::default(),
            certificates: Mutex::default(),
            transactions: Mutex::default(),
            bodies: Mutex::default(),
            asked: Mutex::default(),
        });
        ports.push(port.clone());
        port
    }

    /// The name of a message from a stranger.
    fn name(&self) -> Gossiped {
        Gossiped { id: self.bus.upgrade().unwrap().next(), source: PeerId::from_bytes(&[0xff; 34]).unwrap() }
    }

    async fn verdict(&self, gossiped: Gossiped) -> (Verdict, Option<Offence>) {
        for _ in 0..100 {
            let found = self.verdicts.lock().unwrap().iter().find(|(of, ..)| *of == gossiped).copied();
            if let Some((_, verdict, offence)) = found {
                return (verdict, offence);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("no verdict");
    }

    fn publish(&self, say: impl Fn(&ChainMailbox, Gossiped) -> Result<(), SendError>) {
        let Some(bus) = self.bus.upgrade() else { return };
        if self.silent.load(Ordering::Relaxed) {
            return;
        }
        let gossiped = Gossiped { id: bus.next(), source: self.peer };
        let ports = bus.ports.lock().unwrap();
        let others = ports.iter().filter(|port| port.peer != self.peer);
        for port in others.filter(|port| !port.silent.load(Ordering::Relaxed)) {
            // A node that was stopped takes nothing any more.
            say(&port.mailbox, gossiped).ok();
        }
    }
}

impl Gate for Port {
    fn ask(&self, slot: Slot) -> BoxFuture<'static, GateReport> {
        self.asked.lock().unwrap().insert(slot);
        let open = !self.closed.load(Ordering::Relaxed);
        async move { GateReport { open, conditions: Vec::new() } }.boxed()
    }

    fn behind(&self, certificate: Certificate) {
        self.behind.lock().unwrap().push(certificate);
    }
}

impl Outlet for Port {
    fn proposal(&self, proposal: Proposal) {
        self.publish(|to, from| to.propose(from, proposal.clone()));
        self.proposals.lock().unwrap().push(proposal);
    }

    fn approval(&self, approval: Approval) {
        self.publish(|to, from| to.approve(from, approval));
        self.approvals.lock().unwrap().push(approval);
    }

    fn certificate(&self, certificate: Certificate) {
        assert!(!self.panics.swap(false, Ordering::Relaxed), "told to panic");
        self.publish(|to, from| to.certify(from, certificate));
        self.certificates.lock().unwrap().push(certificate);
    }

    fn transaction(&self, raw: Bytes) {
        self.publish(|to, from| to.transaction(from, raw.clone()));
        self.transactions.lock().unwrap().push(raw);
    }

    fn validated(&self, gossiped: Gossiped, verdict: Verdict, offence: Option<Offence>) {
        self.verdicts.lock().unwrap().push((gossiped, verdict, offence));
    }
}

impl Bodies for Port {
    fn body(&self, peer: PeerId, block: BlockId) -> BoxFuture<'static, Option<Body>> {
        let given = self.bodies.lock().unwrap().iter().find(|(id, _)| *id == block).map(|(_, b)| b.clone());
        let bus = self.bus.upgrade().unwrap();
        let ports = bus.ports.lock().unwrap();
        let theirs = ports.iter().find(|port| port.peer == peer).map(|port| port.store.clone());
        async move { given.or_else(|| theirs.and_then(|store| store.body(block).unwrap())) }.boxed()
    }
}
