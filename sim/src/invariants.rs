//! What must never happen, and what must happen in the end.
//!
//! - **Decides**: whether a rule is broken. It knows more than any node: all nodes, for all time, across their crashes.
//! - **In**: what the nodes send (from the [taps](crate::tap)), what their stores hold, what they say of themselves.
//! - **Out**: [`Violation`]s, each with its time and node.
//! - **On failure**: a store of a running node that cannot be read is a violation as well: nobody told it to fail.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use alys_actor::{ActorStatus, Randomness, Stream};
use alys_chain::batch::{self, Entry, Search};
use alys_chain::{Approval, BlockId, Certificate, Header, Height, Required, Rules, SetId, Slot};
use alys_peers::Explanation;
use alys_storage::{Store, StoreError, StoredHeader};
use alys_sync::{ConditionName, GateReport, SyncStatus};
use alys_wire::PeerId;

use crate::trace::Place;

/// A rule of this world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A height that is final at one node has the same block at every node, for ever.
    OneFinalChain,
    /// No certificate without a quorum of valid signatures is stored.
    Quorum,
    /// An authority signs one block for a slot at most.
    SignedOnce,
    /// The head is the final block or a descendant of it, and finality does not go back while a node runs.
    HeadAboveFinal,
    /// Who is honest is not blamed, and no authority is banned.
    HonestPeers,
    /// Who serves provably bad bytes is banned soon; who withholds gets no more work.
    GuiltyPeers,
    /// An attack costs little time.
    InTime,
    /// The bodies in flight and in memory stay within their budget.
    Budget,
    /// What was acknowledged survives, and is not fetched again.
    Durable,
    /// A node that may produce meets every condition, and is not behind those that it can reach.
    Gate,
    /// Queues stay within their bounds, nothing waits for ever, no actor crashes.
    Queues,
    /// When nothing goes wrong any more, all nodes agree soon and finality moves.
    Recovery,
    /// What the scenario promises.
    Promise,
    /// The world itself does not panic.
    World,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneFinalChain => "one final chain",
            Self::Quorum => "no certificate without a quorum",
            Self::SignedOnce => "one signature a slot",
            Self::HeadAboveFinal => "the head is above finality",
            Self::HonestPeers => "no honest peer is blamed",
            Self::GuiltyPeers => "liars are banned, and who withholds gets no work",
            Self::InTime => "attacks cost little time",
            Self::Budget => "the byte budget is kept",
            Self::Durable => "what was acknowledged is kept",
            Self::Gate => "who may produce is in sync",
            Self::Queues => "queues are bounded and actors live",
            Self::Recovery => "recovery in time",
            Self::Promise => "the promise of the scenario",
            Self::World => "the world itself works",
        })
    }
}

/// A rule was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When, since the beginning of the world.
    pub at: Duration,
    /// Where.
    pub place: Place,
    /// Which.
    pub rule: Rule,
    /// How.
    pub how: String,
}

impl Violation {
    /// The run itself panicked, and said why where it did.
    pub(crate) fn panicked() -> Self {
        let how = "panicked; the message is above".to_owned();
        Self { at: Duration::ZERO, place: Place::World, rule: Rule::World, how }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s, {}: {}: {}", self.at.as_secs_f64(), self.place, self.rule, self.how)
    }
}

/// The longest that a message may wait in a mailbox: the time in which a slot would be lost.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How many violations are kept: the first ones tell the story, and a broken rule breaks at every look.
const MOST_KEPT: usize = 20;
/// How far a node that may produce can be behind others that it can reach: what the gate allows (10), and the blocks of the time in which
/// news of a silent line can be missing.
const MOST_BEHIND: u64 = 10 + 4;

/// How many certificates are checked together.
const CHECKED_TOGETHER: usize = 256;

/// A certificate that was found at a node, and the sets that must vouch for its block.
struct Unchecked {
    at: Duration,
    node: usize,
    certificate: Certificate,
    required: Required,
}

impl Unchecked {
    fn entry(&self) -> Entry<'_> {
        Entry { certificate: &self.certificate, required: self.required }
    }
}

/// Watches over one run.
pub struct Judge {
    rules: Arc<Rules>,
    /// Every height that was final anywhere, and what it was.
    finals: BTreeMap<Height, (BlockId, usize)>,
    /// Every block that a key signed for a slot.
    signed: BTreeMap<(Vec<u8>, Slot), BlockId>,
    /// Certificates that were looked at, by their bytes.
    known: BTreeSet<Vec<u8>>,
    /// Those whose signatures are not checked yet: together they cost a tenth.
    unchecked: Vec<Unchecked>,
    /// What weighs them. No node can know of it, so any seed will do.
    random: Stream,
    /// How far each running node's chain was looked through.
    seen: BTreeMap<usize, Height>,
    /// Peers that lie, and whether they may be banned for it: authorities may not.
    liars: BTreeMap<PeerId, bool>,
    violations: Vec<Violation>,
}

impl Judge {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(rules: Arc<Rules>) -> Self {
        let finals = BTreeMap::from([(Height::ZERO, (rules.genesis_id(), 0))]);
        Self {
            rules,
            finals,
            signed: BTreeMap::new(),
            known: BTreeSet::new(),
            unchecked: Vec::new(),
            random: Randomness::seeded(0).stream("judge"),
            seen: BTreeMap::new(),
            liars: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    /// What was found.
    #[must_use]
    pub fn violations(&mut self) -> &[Violation] {
        self.check_signatures();
        &self.violations
    }

    /// The last slot that a key signed for.
    #[must_use]
    pub fn last_signed(&self, key: &[u8]) -> Option<Slot> {
        self.signed.keys().filter(|(of, _)| of == key).map(|(_, slot)| *slot).max()
    }

    /// A rule is broken.
    pub fn broken(&mut self, at: Duration, place: Place, rule: Rule, how: String) {
        if self.violations.len() < MOST_KEPT {
            self.violations.push(Violation { at, place, rule, how });
        }
    }

    /// A node sent an approval of its own.
    pub fn signed(&mut self, at: Duration, node: usize, approval: &Approval) {
        let set = self.rules.schedule().set(approval.set);
        let Some(key) = set.and_then(|set| set.key(approval.authority)) else {
            let how = format!("approves as authority {} of set {}", approval.authority, approval.set);
            return self.broken(at, Place::Node(node), Rule::SignedOnce, how);
        };
        let key = (key.as_bytes().to_vec(), approval.slot);
        let first = *self.signed.entry(key).or_insert(approval.block);
        if first != approval.block {
            let how = format!("signs {:?} for slot {} after {first:?}", approval.block, approval.slot);
            self.broken(at, Place::Node(node), Rule::SignedOnce, how);
        }
    }

    /// A node starts anew: what it held in memory is gone, and what was not synced may be.
    pub fn restarted(&mut self, node: usize) {
        self.seen.remove(&node);
    }

    /// Looks through what a node holds.
    pub fn inspect(&mut self, at: Duration, node: usize, store: &dyn Store) {
        if let Err(error) = self.look(at, node, store) {
            self.broken(at, Place::Node(node), Rule::OneFinalChain, format!("its store fails: {error}"));
        }
    }

    fn look(&mut self, at: Duration, node: usize, store: &dyn Store) -> Result<(), StoreError> {
        let (head, last) = (store.head()?, store.finalized()?);
        let from = self.seen.get(&node).copied().unwrap_or_default();
        if last.height < from {
            let how = format!("finality went from height {from} back to {}", last.height);
            self.broken(at, Place::Node(node), Rule::HeadAboveFinal, how);
        }
        for height in from.0..=last.height.0 {
            self.look_at_final(at, node, store, Height(height))?;
        }
        if head.height < last.height || block_at(store, last.height)? != Some(last.id) {
            let how = format!("head {:?} does not descend from final {:?}", head, last);
            self.broken(at, Place::Node(node), Rule::HeadAboveFinal, how);
        }
        for stored in store.above_final()? {
            self.look_at_certificate(at, node, &stored);
        }
        self.seen.insert(node, last.height);
        Ok(())
    }

    fn look_at_final(
        &mut self,
        at: Duration,
        node: usize,
        store: &dyn Store,
        height: Height,
    ) -> Result<(), StoreError> {
        let Some(id) = block_at(store, height)? else {
            let how = format!("height {height} is final and empty");
            self.broken(at, Place::Node(node), Rule::OneFinalChain, how);
            return Ok(());
        };
        let (first, by) = *self.finals.entry(height).or_insert((id, node));
        if first != id {
            let how = format!("height {height} is {id:?}, and was {first:?} at node {by}");
            self.broken(at, Place::Node(node), Rule::OneFinalChain, how);
        }
        if let Some(stored) = store.header(id)?.filter(|stored| stored.header.height > Height::ZERO) {
            self.look_at_certificate(at, node, &stored);
            if stored.certificate.is_none() {
                let how = format!("height {height} is final without a certificate");
                self.broken(at, Place::Node(node), Rule::Quorum, how);
            }
        }
        Ok(())
    }

    fn look_at_certificate(&mut self, at: Duration, node: usize, stored: &StoredHeader) {
        let Some(certificate) = stored.certificate else { return };
        if !self.known.insert(certificate.encode().to_vec()) {
            return;
        }
        let required = stored.lineage.required(self.rules.schedule(), stored.header.slot);
        if let Err(why) = self.check_quorum(&certificate, &stored.header, required.own) {
            return self.bad_certificate(at, node, &certificate, &why);
        }
        self.unchecked.push(Unchecked { at, node, certificate, required });
        if self.unchecked.len() == CHECKED_TOGETHER {
            self.check_signatures();
        }
    }

    fn check_quorum(&self, certificate: &Certificate, header: &Header, own: SetId) -> Result<(), String> {
        certificate.check_subject(header).map_err(|why| why.to_string())?;
        let set = self.rules.schedule().set(own).ok_or("unknown set")?;
        // Said again in other words than the chain's own.
        let (signers, needed) =
            (certificate.quorum.signers.count_ones() as usize, (2 * set.len()).div_ceil(3));
        if signers < needed { Err(format!("{signers} of {needed} signatures")) } else { Ok(()) }
    }

    fn check_signatures(&mut self) {
        let unchecked = core::mem::take(&mut self.unchecked);
        let entries: Vec<Entry<'_>> = unchecked.iter().map(Unchecked::entry).collect();
        let verdict = batch::verify(&self.rules, &entries, Search::All, &mut self.random);
        for (position, why) in verdict.faults {
            let Unchecked { at, node, certificate, .. } = &unchecked[position];
            self.bad_certificate(*at, *node, certificate, &why.to_string());
        }
    }

    fn bad_certificate(&mut self, at: Duration, node: usize, certificate: &Certificate, why: &str) {
        let how = format!("{} of height {}: {why}", certificate.block, certificate.height);
        self.broken(at, Place::Node(node), Rule::Quorum, how);
    }

    /// A node says whether it may produce; `best` is the highest block of all nodes that it can reach.
    pub fn gate(&mut self, at: Duration, node: usize, report: &GateReport, facts: Gate) {
        let named: Vec<ConditionName> = report.conditions.iter().map(|condition| condition.name).collect();
        let holds = report.conditions.iter().all(|condition| condition.holds);
        let mut wrong = |how: String| self.broken(at, Place::Node(node), Rule::Gate, how);
        if named != ConditionName::ALL || report.open != holds {
            wrong(format!("the gate's answer does not follow from its conditions: {report}"));
        }
        if report.open && !facts.member {
            wrong("the gate is open for a node that is no authority".to_owned());
        }
        if report.open && facts.best.ahead_of(facts.head) > MOST_BEHIND {
            wrong(format!("the gate is open at height {}, others are at {}", facts.head, facts.best));
        }
    }

    /// This peer lies, so that it may be blamed, and banned unless it is an authority.
    pub fn expect_lies(&mut self, peer: PeerId, is_authority: bool) {
        self.liars.insert(peer, !is_authority);
    }

    /// Whether a peer may be blamed, or banned as well.
    #[must_use]
    pub fn is_guilty(&self, peer: PeerId, banned: bool) -> bool {
        self.liars.get(&peer).is_some_and(|&bannable| bannable || !banned)
    }

    /// What a node's book holds against its peers: nothing against those that are honest, no ban of an authority.
    pub fn peers(&mut self, at: Duration, node: usize, peers: &[Explanation]) {
        for peer in peers.iter().filter(|peer| peer.millipoints > 0 || peer.ban.is_some()) {
            let (points, ban) = (peer.millipoints, &peer.ban);
            if self.is_guilty(peer.peer, ban.is_some()) {
                continue;
            }
            let how = format!("holds {points} millipoints against {:?}, ban: {ban:?}", peer.peer);
            self.broken(at, Place::Node(node), Rule::HonestPeers, how);
        }
    }

    /// What sync says of its memory.
    pub fn budget(&mut self, at: Duration, node: usize, status: &SyncStatus) {
        if status.budget_used > status.budget_total {
            let how = format!("{} of {} bytes are in use", status.budget_used, status.budget_total);
            self.broken(at, Place::Node(node), Rule::Budget, how);
        }
    }

    /// What the actors of a node say of themselves.
    pub fn queues(&mut self, at: Duration, node: usize, actors: &[ActorStatus]) {
        for actor in actors {
            let mailbox = &actor.mailbox;
            let waits = mailbox.oldest_wait > LONGEST_WAIT;
            if waits || mailbox.refused > 0 || mailbox.quarantined > 0 {
                let how = format!("{}: {mailbox:?}", actor.name);
                self.broken(at, Place::Node(node), Rule::Queues, how);
            }
            if let Some(error) = &actor.last_error {
                self.broken(at, Place::Node(node), Rule::Queues, format!("{} crashed: {error}", actor.name));
            }
        }
    }
}

/// The block of the canonical chain at a height. Genesis is there before it is written.
fn block_at(store: &dyn Store, height: Height) -> Result<Option<BlockId>, StoreError> {
    Ok(store.canonical(height)?.or((height == Height::ZERO).then(|| store.genesis())))
}

/// What is true of a node that asks its gate.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// Whether it is an authority in this slot.
    pub member: bool,
    /// Its own head.
    pub head: Height,
    /// The highest head among those that it can reach.
    pub best: Height,
}
