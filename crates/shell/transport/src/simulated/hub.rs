//! The state of the simulated network, and the clockwork: what is due happens in the order of its time, then of its making.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use alys_chain::BlockId;
use alys_wire::{Address, PeerId, Request, Topic};
use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::gossip::Seen;
use super::links::Links;
use super::requests::Stream;
use crate::api::{Command, DialError, DisconnectReason, Event, MessageId};
use crate::config::{Config, ConnectionLimits};
use crate::event_queue::{Events, Outlet, event_queue};
use crate::serving::Allowances;
use crate::source::BlockSource;

pub(super) type Shared = Arc<Mutex<Hub>>;

pub(super) fn lock(hub: &Mutex<Hub>) -> MutexGuard<'_, Hub> {
    // A panic in a test is that test's failure; the others need not fail with it.
    hub.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something that happens later.
#[derive(Debug)]
pub(super) enum Action {
    Arrive { from: PeerId, dial: Dial },
    FailDial { from: PeerId, dial: Dial, error: DialError },
    Close { at: PeerId, about: PeerId, serial: u64, reason: DisconnectReason },
    Break { a: PeerId, b: PeerId, serial: u64 },
    Identify { at: PeerId, about: PeerId, serial: u64 },
    Ping { at: PeerId, about: PeerId, serial: u64 },
    GiveUp { at: PeerId, about: PeerId, serial: u64 },
    Gossip { to: PeerId, from: PeerId, topic: Topic, data: Bytes },
    Forget { at: PeerId, id: MessageId },
    Asked { asker: PeerId, server: PeerId, serial: u64, id: u64, request: Request },
    LookAround { at: PeerId, incarnation: u64 },
}

/// A dial on its way.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    pub peer: Option<PeerId>,
    pub addresses: Vec<Address>,
    /// Where it goes.
    pub to: Address,
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Peer {
    /// The same at both ends.
    pub serial: u64,
    pub inbound: bool,
    /// Whether it is known to be of our network.
    pub known: bool,
    pub stream: Option<Stream>,
}

/// One node.
pub(super) struct Node {
    pub incarnation: u64,
    pub address: Address,
    pub genesis: BlockId,
    pub agent: String,
    pub limits: ConnectionLimits,
    pub discovery: Option<Duration>,
    pub outlet: Outlet,
    pub source: Arc<dyn BlockSource>,
    pub allowances: Allowances,
    pub peers: BTreeMap<PeerId, Peer>,
    pub banned: BTreeSet<PeerId>,
    pub explicit: BTreeSet<PeerId>,
    pub seen: BTreeMap<MessageId, Seen>,
}

/// See the module.
pub(super) struct Hub {
    pub me: Weak<Mutex<Self>>,
    pub rng: ChaCha8Rng,
    pub links: Links,
    pub nodes: BTreeMap<PeerId, Node>,
    pub places: BTreeMap<Address, PeerId>,
    /// Told when a link comes up. It wakes its waiters in the order of their waiting; a `watch` wakes them in a random one.
    pub opened: Arc<Notify>,
    due: BTreeMap<(Instant, u64), Action>,
    count: u64,
    wake: Arc<Notify>,
}

impl core::fmt::Debug for Hub {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Hub")
            .field("nodes", &self.nodes.len())
            .field("due", &self.due.len())
            .finish_non_exhaustive()
    }
}

/// A hub and its clockwork, which ends when nobody holds the hub any more.
pub(super) fn start(seed: u64) -> Shared {
    let wake = Arc::new(Notify::new());
    let hub = Arc::new_cyclic(|me| {
        Mutex::new(Hub {
            me: me.clone(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            links: Links::default(),
            nodes: BTreeMap::new(),
            places: BTreeMap::new(),
            opened: Arc::new(Notify::new()),
            due: BTreeMap::new(),
            count: 0,
            wake: wake.clone(),
        })
    });
    tokio::spawn(run(Arc::downgrade(&hub), wake));
    hub
}

async fn run(hub: Weak<Mutex<Hub>>, wake: Arc<Notify>) {
    loop {
        let next = match hub.upgrade() {
            Some(hub) => lock(&hub).run_due(),
            None => return,
        };
        match next {
            // Woken by something earlier, or by the time: look again in both cases.
            Some(at) => drop(timeout_at(at, wake.notified()).await),
            None => wake.notified().await,
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

impl Hub {
    /// Does everything that is due; the time of the next.
    fn run_due(&mut self) -> Option<Instant> {
        loop {
            let entry = self.due.first_entry()?;
            let at = entry.key().0;
            if at > Instant::now() {
                return Some(at);
            }
            let action = entry.remove();
            self.act(action);
        }
    }

    /// Puts something off.
    pub fn later(&mut self, at: Instant, action: Action) {
        let number = self.number();
        self.due.insert((at, number), action);
        self.wake.notify_one();
    }

    /// A number that was not used before.
    pub fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// When a small message sent now arrives.
    pub fn arrival(&mut self, from: PeerId, to: PeerId, bytes: usize) -> Instant {
        self.links.transit(&mut self.rng, (from, to), bytes).arrives
    }

    pub fn new_peer(&mut self) -> PeerId {
        // The form of an Ed25519 peer id: an identity multihash of the key in its protobuf envelope.
        let mut bytes = vec![0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
        bytes.extend((0..4).flat_map(|_| self.rng.next_u64().to_le_bytes()));
        PeerId::from_bytes(&bytes).expect("38 bytes")
    }

    pub fn join(&mut self, peer: PeerId, config: &Config, source: Arc<dyn BlockSource>) -> (u64, Events) {
        if self.nodes.contains_key(&peer) {
            self.crash(peer);
        }
        let incarnation = self.number();
        let (outlet, events) = event_queue();
        let address = self.place(peer, config);
        outlet.push(Event::Listening { address: address.clone() });
        let node = Node {
            incarnation,
            address,
            genesis: config.genesis,
            agent: config.agent.clone(),
            limits: config.connections,
            discovery: config.discovery,
            outlet,
            source,
            allowances: Allowances::new(config.serving),
            peers: BTreeMap::new(),
            banned: BTreeSet::new(),
            explicit: BTreeSet::new(),
            seen: BTreeMap::new(),
        };
        self.nodes.insert(peer, node);
        if let Some(every) = config.discovery {
            self.later(Instant::now() + every, Action::LookAround { at: peer, incarnation });
        }
        (incarnation, events)
    }

    fn place(&mut self, peer: PeerId, config: &Config) -> Address {
        let wanted = config.listen.iter().find(|at| at.port().is_some_and(|port| port != 0));
        let before = self.places.iter().find(|(_, at)| **at == peer).map(|(address, _)| address);
        let address = wanted.or(before).cloned().unwrap_or_else(|| {
            let n = self.places.len() + 1;
            Address(format!("/ip4/10.{}.{}.{}/tcp/30300", n >> 16 & 0xff, n >> 8 & 0xff, n & 0xff))
        });
        self.places.insert(address.clone(), peer);
        address
    }

    pub fn is_running(&self, peer: PeerId, incarnation: u64) -> bool {
        self.nodes.get(&peer).is_some_and(|node| node.incarnation == incarnation)
    }

    pub fn tell(&mut self, peer: PeerId, event: Event) {
        let Some(node) = self.nodes.get_mut(&peer) else { return };
        for dropped in node.outlet.push(event) {
            node.seen.insert(dropped.id, Seen::Settled);
        }
    }

    pub fn command(&mut self, me: PeerId, command: Command) {
        match command {
            Command::Dial { peer, addresses } => self.dial(me, peer, addresses),
            Command::Disconnect { peer } => self.disconnect(me, peer, DisconnectReason::Asked),
            Command::Publish { topic, data } => self.publish(me, topic, data),
            Command::Validated { id, verdict, .. } => self.verdict(me, id, verdict),
            Command::Request { id, peer, request, answers } => self.ask(me, peer, (id, request), answers),
            Command::Cancel { peer, id } => self.cancel(me, peer, id),
            Command::Ban { peer } => self.ban(me, peer),
            Command::Unban { peer } => self.with(me, |node| {
                node.banned.remove(&peer);
            }),
            Command::Explicit { peer, on } => self.with(me, |node| {
                if on {
                    node.explicit.insert(peer);
                } else {
                    node.explicit.remove(&peer);
                }
                node.allowances.exempt(peer, on, Instant::now());
            }),
            Command::Stop => self.stop(me),
        }
    }

    pub fn with(&mut self, peer: PeerId, act: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(&peer) {
            act(node);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Arrive { from, dial } => self.arrive(from, dial),
            Action::FailDial { from, dial, error } => self.fail_dial(from, dial, error),
            Action::Close { at, about, serial, reason } => self.close(at, about, serial, reason),
            Action::Break { a, b, serial } => self.broken(a, b, serial),
            Action::Identify { at, about, serial } => self.identify(at, about, serial),
            Action::Ping { at, about, serial } => self.ping(at, about, serial),
            Action::GiveUp { at, about, serial } => self.give_up(at, about, serial),
            Action::Gossip { to, from, topic, data } => self.hear(to, from, topic, data),
            Action::Forget { at, id } => self.with(at, |node| drop(node.seen.remove(&id))),
            Action::Asked { asker, server, serial, id, request } => {
                self.asked((asker, server), serial, id, request);
            }
            Action::LookAround { at, incarnation } => self.look_around(at, incarnation),
        }
    }

    pub fn set_up(&mut self, a: PeerId, b: PeerId, up: bool) {
        self.links.set_up(a, b, up);
        self.links_changed();
    }

    pub fn partition(&mut self, groups: &[Vec<PeerId>]) {
        self.links.partition(groups);
        self.links_changed();
    }
}
