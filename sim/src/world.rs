//! The world: nodes on a simulated network, in virtual time, with a plan.
//!
//! - **Owns**: the nodes, their disks and clocks, the network between them, and the order in which things happen.
//! - **In**: a [`Plan`]. **Out**: an [`Outcome`]: what was violated, a digest of everything, how far the chain came.
//! - **On failure**: a violation is written down and the run goes on, so that what follows from it can be seen as well.

use std::collections::BTreeMap;
use std::time::Duration;

use alys_actor::Randomness;
use alys_chain::Height;
use alys_transport::simulated;
use tokio::time::{Instant, sleep};

use crate::faults::Fault;
use crate::invariants::{Gate, Rule, Violation};
use crate::node::Node;
use crate::plan::{LEAD, Plan, Promise, slot_at, start_of};
use crate::site::Site;
use crate::tap::Witness;
use crate::trace::{Digest, Log, Place, Trace};
use crate::traffic::Traffic;

/// How often the nodes are looked at: a few times a slot, so that what is there for a moment only is seen.
const LOOK: Duration = Duration::from_millis(500);
/// How far the heads of two nodes may be apart when all is well: a block that is on its way.
const ONE_ANOTHER: u64 = 2;

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The scenario.
    pub name: &'static str,
    /// The seed that replays it.
    pub seed: u64,
    /// How many nodes there were.
    pub nodes: usize,
    /// How many of them were authorities at the beginning.
    pub authorities: usize,
    /// How many faults there were.
    pub faults: usize,
    /// How many slots it went on for.
    pub slots: u64,
    /// The highest final block.
    pub finalized: Height,
    /// How many slots after the last fault everything was well again; `None` if it never was.
    pub recovered: Option<u64>,
    /// What happened, as one number.
    pub digest: Digest,
    /// How many events that were.
    pub events: u64,
    /// What was broken; empty when all is well.
    pub violations: Vec<Violation>,
    /// Every event, if they were to be kept.
    pub log: Vec<String>,
}

impl Outcome {
    /// A run that ended in a panic: a defect of the world itself, or of a constructor that nobody guards.
    #[must_use]
    pub fn panicked(plan: &Plan) -> Self {
        Self {
            name: plan.name,
            seed: plan.seed,
            nodes: plan.nodes,
            authorities: plan.authorities,
            faults: plan.faults.len(),
            slots: plan.end,
            finalized: Height::ZERO,
            recovered: None,
            digest: Trace::new(Log::Drop).digest(),
            events: 0,
            violations: vec![Violation::panicked()],
            log: Vec::new(),
        }
    }

    /// Whether every rule held.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.violations.is_empty()
    }
}

/// Runs a plan to its end.
///
/// # Panics
/// If the system gives no runtime, or a node fails to start, which is a defect of the program.
#[must_use]
pub fn run(plan: &Plan, log: Log) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without threads and sockets needs nothing but memory");
    runtime.block_on(async {
        let mut world = World::new(plan, log);
        world.live().await;
        world.end()
    })
}

struct World<'a> {
    plan: &'a Plan,
    site: Site,
    start: Instant,
    network: simulated::Network,
    nodes: Vec<Node>,
    witness: Witness,
    traffic: Traffic,
    /// Since which look of the quiet time all has been well.
    well_since: Option<u64>,
    /// Which group a node is in while the network is apart.
    groups: BTreeMap<usize, usize>,
}

impl<'a> World<'a> {
    fn new(plan: &'a Plan, log: Log) -> Self {
        let site = Site::new(plan);
        let network = simulated::Network::new(plan.seed);
        network.set_links(plan.link);
        let names = site.peers.iter().enumerate().map(|(node, &peer)| (peer, node)).collect();
        let witness = Witness::new(site.network.rules.clone(), names, log);
        let randomness = Randomness::seeded(plan.seed);
        let nodes = (0..plan.nodes).map(|number| Node::new(number, plan)).collect();
        let traffic = Traffic::new(&randomness, site.wallets.len());
        let (start, groups) = (Instant::now(), BTreeMap::new());
        Self { plan, site, start, network, nodes, witness, traffic, well_since: None, groups }
    }

    async fn live(&mut self) {
        for node in self.plan.early() {
            self.start_node(node);
        }
        let mut faults = self.plan.faults.iter().peekable();
        let end = start_of(self.plan.end);
        let mut next_look = LEAD;
        while next_look <= end {
            if let Some(timed) = faults.next_if(|timed| timed.at <= next_look) {
                self.wait_until(timed.at).await;
                self.happen(&timed.fault);
                continue;
            }
            self.wait_until(next_look).await;
            self.look(next_look).await;
            next_look += LOOK;
        }
    }

    async fn wait_until(&self, at: Duration) {
        sleep((self.start + at).saturating_duration_since(Instant::now())).await;
    }

    fn start_node(&mut self, node: usize) {
        self.witness.lock().judge.restarted(node);
        self.nodes[node].start(&self.site, &self.network, &self.witness);
    }

    fn happen(&mut self, fault: &Fault) {
        self.witness.lock().note(Place::World, &fault.to_string());
        let peer = |node: usize| self.site.peers[node];
        match fault {
            Fault::Start { node } => self.start_node(*node),
            Fault::Crash { node, power } => {
                self.network.crash(peer(*node));
                self.nodes[*node].crash(&self.site, *power);
            }
            Fault::Partition(groups) => {
                let peers: Vec<Vec<_>> =
                    groups.iter().map(|group| group.iter().map(|&node| peer(node)).collect()).collect();
                self.network.partition(&peers);
                let numbered = groups.iter().enumerate();
                self.groups =
                    numbered.flat_map(|(n, group)| group.iter().map(move |&node| (node, n))).collect();
            }
            Fault::Heal => {
                self.network.heal();
                self.groups.clear();
            }
            Fault::Line { a, b, up } => self.network.set_up(peer(*a), peer(*b), *up),
            Fault::Break { a, b } => self.network.break_connection(peer(*a), peer(*b)),
            Fault::Weather(link) => self.network.set_links(*link),
            Fault::Skew { node, millis } => self.nodes[*node].set_skew(*millis),
            Fault::DiskFull { node, full } => self.nodes[*node].set_disk_full(*full),
        }
    }

    async fn look(&mut self, at: Duration) {
        self.inspect();
        let slot = slot_at(at);
        if at != start_of(slot) {
            return;
        }
        self.ask_gates(slot).await;
        self.check_actors();
        self.check_promises(slot);
        self.check_recovery(slot);
        if slot < self.plan.end {
            self.traffic.send(&self.site, &self.nodes, &self.witness).await;
        }
    }

    /// Looks through all stores, and writes down where they stand.
    fn inspect(&mut self) {
        let mut told = self.witness.lock();
        let at = told.now();
        for node in &mut self.nodes {
            node.keep_disk_full();
            let Some(running) = node.running() else { continue };
            told.judge.inspect(at, node.number, running.store.as_ref());
            let view = running.chain().watch().borrow().clone();
            let (head, last) = (view.head, view.finalized);
            let line =
                format!("head {} {:?} slot {}, final {}", head.height, head.id, head.slot, last.height);
            told.note(Place::Node(node.number), &line);
        }
    }

    /// The highest head of those that a node can reach, itself included.
    fn best_in_reach(&self, of: usize) -> Height {
        let reached = self.nodes.iter().filter(|node| self.groups.get(&node.number) == self.groups.get(&of));
        reached.filter_map(Node::head).map(|head| head.height).max().unwrap_or_default()
    }

    async fn ask_gates(&mut self, slot: u64) {
        for node in &self.nodes {
            // A node counts its own slots, by its own clock.
            let members = self.plan.authorities_in(node.slot());
            let Some((head, running)) = node.head().zip(node.running()) else { continue };
            let Ok(report) = running.sync().can_produce(slot.into()).await else {
                let how = "the gate does not answer".to_owned();
                self.witness.lock().broken(Place::Node(node.number), Rule::Gate, how);
                continue;
            };
            let member = members.contains(&node.number) || node.has_planted_key();
            let facts = Gate { member, head: head.height, best: self.best_in_reach(node.number) };
            let mut told = self.witness.lock();
            let at = told.now();
            told.note(Place::Node(node.number), &format!("gate at slot {slot}: {report}"));
            told.judge.gate(at, node.number, &report, facts);
        }
    }

    fn check_actors(&self) {
        let mut told = self.witness.lock();
        let at = told.now();
        for node in &self.nodes {
            if let Some(running) = node.running() {
                told.judge.queues(at, node.number, &running.actors());
                told.judge.peers(at, node.number, &running.peers().peers);
                told.judge.budget(at, node.number, &running.sync().watch().borrow());
            }
        }
    }

    fn check_promises(&self, slot: u64) {
        let best = self.nodes.iter().filter_map(Node::head).map(|head| head.slot.0).max().unwrap_or(0);
        for promise in &self.plan.promises {
            let broken = match *promise {
                // A block of the last slot is certified well before the next but one begins.
                Promise::NoBlock { from, to } => from < slot && slot <= to + 1 && (from..to).contains(&best),
                Promise::Block { from, by } => slot == by && best < from,
                Promise::Signed { node, from, by } => {
                    let key = self.site.keys[node].public_key();
                    let last = self.witness.lock().judge.last_signed(key.as_bytes());
                    slot == by && last.is_none_or(|last| last.0 < from)
                }
            };
            if broken {
                let how = format!("{promise:?}, but the best head at slot {slot} is of slot {best}");
                self.witness.lock().broken(Place::World, Rule::Promise, how);
            }
        }
    }

    /// Whether all nodes agree, finality has passed the last fault, and every authority has signed since.
    fn what_is_not_well(&self, slot: u64) -> Option<String> {
        let heads: Vec<_> = self.nodes.iter().filter_map(Node::head).collect();
        let best = heads.iter().map(|head| head.height).max().unwrap_or_default();
        for node in &self.nodes {
            let Some(running) = node.running() else { continue };
            let view = running.chain().watch().borrow().clone();
            if best.ahead_of(view.head.height) > ONE_ANOTHER {
                return Some(format!("node {} is at {}, others at {best}", node.number, view.head.height));
            }
            if view.finalized.slot.0 <= self.plan.quiet {
                let last = view.finalized;
                return Some(format!("node {}: the last final block is of slot {}", node.number, last.slot));
            }
        }
        let silent = |node: &usize| {
            let key = self.site.keys[*node].public_key();
            let last = self.witness.lock().judge.last_signed(key.as_bytes());
            self.nodes[*node].running().is_some() && last.is_none_or(|last| last.0 <= self.plan.quiet)
        };
        let silent: Vec<usize> = self.plan.authorities_in(slot).into_iter().filter(silent).collect();
        (!silent.is_empty()).then(|| format!("the authorities {silent:?} have signed nothing"))
    }

    fn check_recovery(&mut self, slot: u64) {
        if slot <= self.plan.quiet {
            return;
        }
        match self.what_is_not_well(slot) {
            None => {
                self.well_since.get_or_insert(slot - self.plan.quiet);
            }
            Some(how) => {
                self.well_since = None;
                if slot >= self.plan.quiet + self.plan.recovery {
                    self.witness.lock().broken(Place::World, Rule::Recovery, how);
                }
            }
        }
    }

    fn end(self) -> Outcome {
        let finals = self.nodes.iter().filter_map(Node::running);
        let finalized = finals.map(|running| running.chain().watch().borrow().finalized.height).max();
        let violations = self.witness.lock().judge.violations().to_vec();
        let (plan, trace) = (self.plan, self.witness.into_trace());
        Outcome {
            name: plan.name,
            seed: plan.seed,
            nodes: plan.nodes,
            authorities: plan.authorities,
            faults: plan.faults.len(),
            slots: plan.end,
            finalized: finalized.unwrap_or_default(),
            recovered: self.well_since,
            digest: trace.digest(),
            events: trace.events(),
            violations,
            log: trace.into_log(),
        }
    }
}
