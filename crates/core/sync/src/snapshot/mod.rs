//! How a fresh node gets the state of a final block instead of executing every block up to it.
//!
//! - **Decides**: which of the offered states is fetched, which bucket is asked of whom and until when, when the state is complete.
//! - **In**: [`Event`]s: peers, verified offers, buckets that are proven and durable, ends of requests, ticks. **Out**: [`Action`]s.
//! - **On failure**: a bucket that was not delivered is missing again and goes to another server. Wrong bytes are an offence of who served them, who
//!   is asked for nothing any more. A state that nobody offers any more is given up for another one.
//!
//! Nothing is believed: an offer is a proof that its block is final, the sums of the buckets are checked against the state root in that block's
//! header, and a bucket against its sum. A bucket comes whole from one server, so whoever serves a wrong one is known. What is complete is what the
//! shell has made durable; after a restart it says so, and only the rest is asked for.

mod choice;
mod servers;

#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use alys_chain::{BlockRef, Moment};
use alys_peers::Observation;
use alys_wire::PeerId;

use crate::blame::Fault;
use crate::event::{LeaseEnd, LeaseId};
use choice::choose;
use servers::Servers;

/// Buckets in flight with one server: one on its way, one asked for behind it, so that its line is never idle.
const PER_SERVER: usize = 2;

/// Buckets in flight altogether. Each is held in memory until its last account has proven it: with 10 million accounts 2.3 MB, so 37 MB.
const IN_FLIGHT: usize = 16;

/// A request without a byte for this long is given up: several round trips of the worst line, and far less than a user waits.
pub const SILENCE: Duration = Duration::from_secs(5);

/// A request may take this long in all, or a server could drip. The largest bucket allowed has 63 MB: 1 MB/s is enough for it.
pub const LONGEST: Duration = Duration::from_secs(60);

/// How often a peer is asked what it offers, as long as a state is looked for or fetched.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// How long offers are collected after the first one, so that the choice is not that of the fastest peer.
const COLLECT: Duration = Duration::from_secs(2);

/// How long a state that was begun is looked for before another one is taken, after a restart, and when its servers are gone. As long as
/// it takes a peer to connect again and to be asked.
const PATIENCE: Duration = Duration::from_secs(30);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection to this peer is up.
    PeerConnected {
        /// The peer.
        peer: PeerId,
    },
    /// The last connection to this peer is gone. The shell ends its leases.
    PeerDisconnected {
        /// The peer.
        peer: PeerId,
    },
    /// The final blocks whose states a peer offers, their proofs verified. Ends the lease.
    Offered {
        /// The lease.
        lease: LeaseId,
        /// The blocks.
        blocks: Vec<BlockRef>,
    },
    /// The sums are those of the state root, and durable, and nothing of another state is staged any more. Ends the lease.
    SumsStored {
        /// The lease.
        lease: LeaseId,
    },
    /// A bucket is proven and durable. Ends the lease.
    BucketStored {
        /// The lease.
        lease: LeaseId,
    },
    /// Bytes came for this lease.
    Progress {
        /// The lease.
        lease: LeaseId,
    },
    /// The lease ended without what it was for.
    Ended {
        /// The lease.
        lease: LeaseId,
        /// How.
        end: LeaseEnd,
    },
    /// The state is the node's own now.
    Installed,
    /// It could not be made so; the same is tried again.
    InstallFailed,
    /// Each second, and when something may be due.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask what states the peer offers, and verify the proofs. Answer: [`Event::Offered`].
    AskOffers {
        /// The lease.
        lease: LeaseId,
        /// Whom.
        peer: PeerId,
    },
    /// Ask for the sums of this state, check them, and begin to stage it. Answer: [`Event::SumsStored`].
    AskSums {
        /// The lease.
        lease: LeaseId,
        /// Whom.
        peer: PeerId,
        /// The state after which block.
        block: BlockRef,
    },
    /// Ask for a bucket of the state that was begun, check it, and stage it. Answer: [`Event::BucketStored`].
    AskBucket {
        /// The lease.
        lease: LeaseId,
        /// Whom.
        peer: PeerId,
        /// Which.
        bucket: u8,
    },
    /// End this request. No answer is expected.
    Cancel {
        /// The lease.
        lease: LeaseId,
    },
    /// All buckets are staged: make the state this node's own. Answer: [`Event::Installed`] or [`Event::InstallFailed`].
    Install,
    /// Tell the peer book.
    Observe {
        /// About whom.
        peer: PeerId,
        /// What.
        what: Observation,
    },
    /// Tell people.
    Report(Report),
}

/// What people want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// This state is fetched, with so many servers.
    Chosen {
        /// The state after which block.
        block: BlockRef,
        /// How many offer it.
        servers: usize,
    },
    /// Nobody offers this state any more.
    GivenUp {
        /// The state after which block.
        block: BlockRef,
    },
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The state after which block; `None` while none is chosen.
    pub block: Option<BlockRef>,
    /// How many of the 256 buckets are durable.
    pub buckets: usize,
    /// How many requests are out.
    pub leases: usize,
    /// How many peers offer the state.
    pub servers: usize,
}

/// What a restart finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The state after which block was begun.
    pub block: BlockRef,
    /// The buckets that are durable.
    pub complete: BTreeSet<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Offers,
    Sums,
    Bucket(u8),
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    peer: PeerId,
    work: Work,
    asked: Moment,
    last_byte: Moment,
}

#[derive(Clone, Debug)]
struct Target {
    block: BlockRef,
    /// The sums are durable.
    begun: bool,
    complete: BTreeSet<u8>,
    /// When it was last known to be offered.
    seen: Moment,
}

/// See the [module](self).
#[derive(Debug)]
pub struct SnapshotMachine {
    servers: Servers,
    leases: BTreeMap<LeaseId, Lease>,
    next: u64,
    target: Option<Target>,
    /// When the first offer came, while none is chosen.
    first_offer: Option<Moment>,
    installing: bool,
    installed: bool,
    out: Vec<Action>,
}

impl SnapshotMachine {
    /// Begins, or goes on with what is durable.
    #[must_use]
    pub fn new(now: Moment, begun: Option<Begun>) -> Self {
        let target =
            begun.map(|Begun { block, complete }| Target { block, begun: true, complete, seen: now });
        Self {
            servers: Servers::default(),
            leases: BTreeMap::new(),
            next: 0,
            target,
            first_offer: None,
            installing: false,
            installed: false,
            out: Vec::new(),
        }
    }

    /// Tells it what happened; does nothing by itself.
    #[must_use]
    pub fn step(&mut self, now: Moment, event: Event) -> Vec<Action> {
        match event {
            Event::PeerConnected { peer } => self.servers.connected(peer),
            Event::PeerDisconnected { peer } => self.on_disconnected(peer),
            Event::Offered { lease, blocks } => self.on_offered(now, lease, blocks),
            Event::SumsStored { lease } => self.on_sums(now, lease),
            Event::BucketStored { lease } => self.on_bucket(now, lease),
            Event::Progress { lease } => self.on_progress(now, lease),
            Event::Ended { lease, end } => self.on_ended(now, lease, end),
            Event::Installed => self.installed = true,
            Event::InstallFailed => self.installing = false,
            Event::Tick => self.expire(now),
        }
        if !self.installed {
            self.plan(now);
        }
        std::mem::take(&mut self.out)
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let block = self.target.as_ref().map(|target| target.block);
        Progress {
            block,
            buckets: self.target.as_ref().map_or(0, |target| target.complete.len()),
            leases: self.leases.len(),
            servers: block.map_or(0, |block| self.servers.offering(&block).count()),
        }
    }

    /// Whether the state is the node's own.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.installed
    }

    fn on_disconnected(&mut self, peer: PeerId) {
        self.servers.disconnected(peer);
        let gone: Vec<LeaseId> = self.of_peer(peer).collect();
        for lease in gone {
            self.cancel(lease);
        }
    }

    fn on_offered(&mut self, now: Moment, lease: LeaseId, blocks: Vec<BlockRef>) {
        let Some(ended) = self.leases.remove(&lease) else { return };
        if !blocks.is_empty() {
            self.first_offer.get_or_insert(now);
        }
        self.servers.offers(ended.peer, blocks);
    }

    fn on_sums(&mut self, now: Moment, lease: LeaseId) {
        let Some(ended) = self.leases.remove(&lease) else { return };
        self.servers.served(ended.peer);
        if let Some(target) = &mut self.target {
            (target.begun, target.seen) = (true, now);
        }
    }

    fn on_bucket(&mut self, now: Moment, lease: LeaseId) {
        let Some(Lease { peer, work: Work::Bucket(bucket), .. }) = self.leases.remove(&lease) else { return };
        self.servers.served(peer);
        if let Some(target) = &mut self.target {
            target.complete.insert(bucket);
            target.seen = now;
        }
    }

    /// Answers of one peer come one behind the other: while one is coming, those behind it are not silent.
    fn on_progress(&mut self, now: Moment, lease: LeaseId) {
        let Some(peer) = self.leases.get(&lease).map(|lease| lease.peer) else { return };
        self.leases.values_mut().filter(|lease| lease.peer == peer).for_each(|lease| lease.last_byte = now);
    }

    fn on_ended(&mut self, now: Moment, lease: LeaseId, end: LeaseEnd) {
        let Some(ended) = self.leases.remove(&lease) else { return };
        let peer = ended.peer;
        let what = match end {
            // It said that it has it, and does not: it is asked again what it offers.
            LeaseEnd::Served => {
                self.servers.offers(peer, Vec::new());
                Observation::Late
            }
            LeaseEnd::Refused { retry_after } => {
                self.servers.rest(now, peer, retry_after);
                return self.observe(peer, Observation::Refused { retry_after });
            }
            LeaseEnd::TimedOut => Observation::TimedOut,
            LeaseEnd::Failed(Fault::Moment(_)) => Observation::Unreachable,
            // Our own disk or pool: nobody is blamed, and the same is tried again after a while.
            LeaseEnd::Failed(Fault::Ours(_)) => return self.servers.failed(now, peer),
            LeaseEnd::Failed(Fault::Peer(offence)) => {
                self.servers.exclude(peer);
                return self.observe(peer, Observation::Offence(offence));
            }
        };
        self.servers.failed(now, peer);
        self.observe(peer, what);
    }

    /// Gives up what is silent, or takes too long.
    fn expire(&mut self, now: Moment) {
        let late = |lease: &Lease| now.since(lease.last_byte) >= SILENCE || now.since(lease.asked) >= LONGEST;
        let late: Vec<(LeaseId, PeerId)> = self
            .leases
            .iter()
            .filter(|(_, lease)| late(lease))
            .map(|(id, lease)| (*id, lease.peer))
            .collect();
        for (id, peer) in late {
            self.cancel(id);
            self.servers.failed(now, peer);
            self.observe(peer, Observation::TimedOut);
        }
    }

    fn plan(&mut self, now: Moment) {
        self.ask_for_offers(now);
        self.give_up_what_is_gone(now);
        self.choose_target(now);
        let Some(target) = &self.target else { return };
        if !target.begun {
            self.ask_for_sums(now);
        } else if target.complete.len() == 256 {
            if !std::mem::replace(&mut self.installing, true) {
                self.out.push(Action::Install);
            }
        } else {
            self.ask_for_buckets(now);
        }
    }

    fn ask_for_offers(&mut self, now: Moment) {
        for peer in self.servers.to_be_asked(now, ASK_EVERY) {
            let lease = self.grant(now, peer, Work::Offers);
            self.out.push(Action::AskOffers { lease, peer });
        }
    }

    /// A state without a server is given up after a while, if there is another one.
    fn give_up_what_is_gone(&mut self, now: Moment) {
        let Some(target) = &mut self.target else { return };
        if self.servers.offering(&target.block).next().is_some()
            || self.installing
            || target.complete.len() == 256
        {
            target.seen = now;
        } else if now.since(target.seen) >= PATIENCE && self.servers.offer_anything() {
            let block = target.block;
            self.target = None;
            self.first_offer = Some(now);
            let pending: Vec<LeaseId> = self.working().collect();
            pending.into_iter().for_each(|lease| self.cancel(lease));
            self.out.push(Action::Report(Report::GivenUp { block }));
        }
    }

    fn choose_target(&mut self, now: Moment) {
        let Some(first) = self.first_offer.filter(|_| self.target.is_none()) else { return };
        let asking = self.leases.values().any(|lease| lease.work == Work::Offers);
        if asking && now.since(first) < COLLECT {
            return;
        }
        let Some((block, servers)) = choose(self.servers.all_offers()) else { return };
        self.target = Some(Target { block, begun: false, complete: BTreeSet::new(), seen: now });
        self.out.push(Action::Report(Report::Chosen { block, servers }));
    }

    fn ask_for_sums(&mut self, now: Moment) {
        let Some(block) = self.target.as_ref().map(|target| target.block) else { return };
        if self.leases.values().any(|lease| lease.work == Work::Sums) {
            return;
        }
        if let Some(peer) = self.servers.ready(now, &block).first().copied() {
            let lease = self.grant(now, peer, Work::Sums);
            self.out.push(Action::AskSums { lease, peer, block });
        }
    }

    /// The lowest missing bucket to the server with the fewest in flight, as long as there is room.
    fn ask_for_buckets(&mut self, now: Moment) {
        let Some(target) = &self.target else { return };
        let block = target.block;
        let asked: BTreeSet<u8> = self.leases.values().filter_map(Lease::bucket).collect();
        let missing: Vec<u8> =
            (0..=u8::MAX).filter(|b| !target.complete.contains(b) && !asked.contains(b)).collect();
        let room = IN_FLIGHT.saturating_sub(asked.len());
        let ready = self.servers.ready(now, &block);
        for bucket in missing.into_iter().take(room) {
            let load = |peer: &PeerId| self.buckets_of(*peer);
            let Some(peer) = ready.iter().copied().filter(|p| load(p) < PER_SERVER).min_by_key(load) else {
                return;
            };
            let lease = self.grant(now, peer, Work::Bucket(bucket));
            self.out.push(Action::AskBucket { lease, peer, bucket });
        }
    }

    fn grant(&mut self, now: Moment, peer: PeerId, work: Work) -> LeaseId {
        let id = LeaseId(self.next);
        self.next += 1;
        self.leases.insert(id, Lease { peer, work, asked: now, last_byte: now });
        self.servers.asked(now, peer, work == Work::Offers);
        id
    }

    fn cancel(&mut self, lease: LeaseId) {
        if self.leases.remove(&lease).is_some() {
            self.out.push(Action::Cancel { lease });
        }
    }

    fn observe(&mut self, peer: PeerId, what: Observation) {
        self.out.push(Action::Observe { peer, what });
    }

    fn of_peer(&self, peer: PeerId) -> impl Iterator<Item = LeaseId> {
        self.leases.iter().filter(move |(_, lease)| lease.peer == peer).map(|(id, _)| *id)
    }

    /// How many buckets are on their way from this peer.
    fn buckets_of(&self, peer: PeerId) -> usize {
        self.leases.values().filter(|lease| lease.peer == peer && lease.bucket().is_some()).count()
    }

    /// The leases for parts of the target.
    fn working(&self) -> impl Iterator<Item = LeaseId> {
        self.leases.iter().filter(|(_, lease)| lease.work != Work::Offers).map(|(id, _)| *id)
    }
}

impl Lease {
    const fn bucket(&self) -> Option<u8> {
        match self.work {
            Work::Bucket(bucket) => Some(bucket),
            Work::Offers | Work::Sums => None,
        }
    }
}
