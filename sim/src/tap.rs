//! A tap on each node's line: every command that a node gives its transport passes here on its way.
//!
//! - **In**: commands. **Out**: the same commands, unchanged; a line in the trace for each, and what they mean to the judge.
//! - **On failure**: as the transport behind it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alys_chain::{BlockId, Rules};
use alys_transport::{Command, MessageId, Overloaded, Transport, Verdict};
use alys_wire::{GossipMessage, PeerId, Request, Topic, message_id};
use bytes::Bytes;
use tokio::time::Instant;

use crate::invariants::{Judge, Rule};
use crate::trace::{Log, Place, Trace};

/// The target of the log under which a world says that it begins: from then on its time counts.
pub const BEGINNING: &str = "alys::beginning";

/// What is known of a run, shared by all taps and the world.
#[derive(Clone)]
pub struct Witness(Arc<Mutex<Testimony>>);

/// What a node has asked of a peer.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Requests for headers.
    pub headers: u64,
    /// Requests for bodies.
    pub bodies: u64,
    /// The blocks whose bodies these were for.
    pub wanted: Vec<BlockId>,
}

impl Asked {
    fn note(&mut self, request: &Request) {
        match request {
            Request::Headers { .. } => self.headers += 1,
            Request::Bodies { ids } => {
                self.bodies += 1;
                self.wanted.extend(ids);
            }
            _ => {}
        }
    }
}

/// What a [`Witness`] keeps.
pub struct Testimony {
    /// What has happened.
    pub trace: Trace,
    /// What was wrong with it.
    pub judge: Judge,
    /// The numbers of the nodes.
    pub names: BTreeMap<PeerId, usize>,
    /// What each node has asked each peer for.
    pub asked: BTreeMap<(usize, PeerId), Asked>,
    start: Instant,
}

impl Witness {
    /// Nothing has happened; the world begins now.
    #[must_use]
    pub fn new(rules: Arc<Rules>, names: BTreeMap<PeerId, usize>, log: Log) -> Self {
        let (trace, judge) = (Trace::new(log), Judge::new(rules));
        let asked = BTreeMap::new();
        tracing::info!(target: BEGINNING, "the world begins");
        Self(Arc::new(Mutex::new(Testimony { trace, judge, names, asked, start: Instant::now() })))
    }

    /// Looks, or adds something.
    pub fn lock(&self) -> MutexGuard<'_, Testimony> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was kept, when the world has ended.
    #[must_use]
    pub fn into_trace(self) -> Trace {
        std::mem::replace(&mut self.lock().trace, Trace::new(Log::Drop))
    }
}

impl Testimony {
    /// The time since the beginning of the world.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Something has happened.
    pub fn note(&mut self, place: Place, what: &str) {
        let at = self.now();
        self.trace.note(at, place, what);
    }

    /// A rule is broken.
    pub fn broken(&mut self, place: Place, rule: Rule, how: String) {
        let at = self.now();
        self.trace.note(at, place, &format!("VIOLATION {rule}: {how}"));
        self.judge.broken(at, place, rule, how);
    }

    fn name(&self, peer: PeerId) -> String {
        self.names.get(&peer).map_or_else(|| format!("{peer:?}"), |node| format!("node {node}"))
    }

    fn hear(&mut self, node: usize, command: &Command) {
        let what = match command {
            Command::Publish { topic, data } => self.hear_gossip(node, *topic, data),
            Command::Validated { id, source, verdict } => {
                if *verdict == Verdict::Reject && !self.judge.is_guilty(*source, false) {
                    let how = format!("rejects message {id:?} of {}", self.name(*source));
                    self.broken(Place::Node(node), Rule::HonestPeers, how);
                }
                format!("{verdict:?} {id:?} of {}", self.name(*source))
            }
            Command::Ban { peer } => {
                let how = format!("bans {}", self.name(*peer));
                if !self.judge.is_guilty(*peer, true) {
                    self.broken(Place::Node(node), Rule::HonestPeers, how.clone());
                }
                how
            }
            Command::Dial { peer, addresses } => {
                let whom = peer.map_or_else(|| format!("{addresses:?}"), |peer| self.name(peer));
                format!("dials {whom}")
            }
            Command::Disconnect { peer } => format!("leaves {}", self.name(*peer)),
            Command::Request { id, peer, request, .. } => {
                self.asked.entry((node, *peer)).or_default().note(request);
                format!("asks {} ({id}): {request:?}", self.name(*peer))
            }
            Command::Cancel { peer, id } => format!("cancels {id} to {}", self.name(*peer)),
            Command::Unban { peer } => format!("unbans {}", self.name(*peer)),
            Command::Explicit { peer, on } => format!("holds {} for explicit: {on}", self.name(*peer)),
            Command::Stop => "stops".to_owned(),
        };
        self.note(Place::Node(node), &what);
    }

    fn hear_gossip(&mut self, node: usize, topic: Topic, data: &Bytes) -> String {
        let (at, id) = (self.now(), MessageId(message_id(data)));
        match GossipMessage::decode(topic, data) {
            Ok(GossipMessage::Proposal(proposal)) => {
                self.judge.signed(at, node, &proposal.approval);
                let header = proposal.header;
                format!("proposes {:?}, height {}, slot {} ({id:?})", header.id(), header.height, header.slot)
            }
            Ok(GossipMessage::Approval(approval)) => {
                self.judge.signed(at, node, &approval);
                format!("approves {:?} for slot {} ({id:?})", approval.block, approval.slot)
            }
            Ok(GossipMessage::Certificate(certificate)) => {
                let signers = certificate.quorum.signers;
                format!(
                    "certifies {:?} of slot {} by {signers:b} ({id:?})",
                    certificate.block, certificate.slot
                )
            }
            Ok(GossipMessage::Transaction(bytes)) => {
                format!("spreads a transaction of {} bytes ({id:?})", bytes.len())
            }
            Err(malformed) => {
                let how = format!("publishes what nobody can read: {malformed}");
                self.broken(Place::Node(node), Rule::HonestPeers, how.clone());
                how
            }
        }
    }
}

/// The transport of one node, tapped.
pub struct Tap<T> {
    inner: T,
    node: usize,
    witness: Witness,
}

impl<T> Tap<T> {
    /// A tap on this node's transport.
    #[must_use]
    pub const fn new(inner: T, node: usize, witness: Witness) -> Self {
        Self { inner, node, witness }
    }
}

impl<T: Transport> Transport for Tap<T> {
    fn local_peer(&self) -> PeerId {
        self.inner.local_peer()
    }

    fn send(&self, command: Command) -> Result<(), Overloaded> {
        self.witness.lock().hear(self.node, &command);
        self.inner.send(command)
    }
}
