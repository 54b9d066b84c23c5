//! A node that is killed while it syncs, at any instant, again and again. What it had said to be durable is there afterwards, without a gap; nothing
//! that is durable is fetched again; it goes on by itself.
//!
//! The source is this process, so that it can count what it is asked for. It serves over TCP and TLS, as a node does.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test tells its story")]

#[allow(dead_code, reason = "these tests need a part of it")]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alys_actor::{Clock, Randomness};
use alys_actors::chain::{self, ChainSource};
use alys_chain::{BlockId, CertifiedHeader, Height};
use alys_node::home::Home;
use alys_rpc::Client;
use alys_rpc::status::NodeStatus;
use alys_storage::Store;
use alys_transport::{BlockSource, Config, Event, Identity, Transport, Unavailable};
use alys_wire::limits::{MAX_BODIES_PER_REQUEST, NONCE_BYTES};
use alys_wire::{Address, PeerId, Status};
use bytes::Bytes;
use rand_core::Rng;
use tokio::sync::watch;
use tokio::time::{Instant, interval, timeout};
use world::{Running, World, alys, close};

/// How long the history is: a second of sync. A node that comes to its end makes room for a fresh one, until there were kills enough.
const HISTORY: u64 = 3_000;
/// What is in a block, in bytes: so much that the budget holds a part of the history only.
const CALLDATA: u64 = 10_000;
/// The least budget that a node may have, in bytes.
const BUDGET: u64 = 16 << 20;
/// Kills that find a node syncing; more with the variable in the environment, 20 for the long form.
const KILLS: usize = 5;
const KILLS_VARIABLE: &str = "ALYS_SYNC_KILLS";
const SEED_VARIABLE: &str = "ALYS_SYNC_KILLS_SEED";
/// The latest instant of a kill, from the start of the process or from its first import. It is halved whenever a node came to its end before.
const LATEST: Duration = Duration::from_millis(500);
/// How often a node is asked what is durable.
const POLL: Duration = Duration::from_millis(2);
/// Nothing here takes this long; what does is stuck.
const LIMIT: Duration = Duration::from_secs(60);
/// How soon a node imports again, in the long form, which is run on a machine that does nothing else.
const SOON: Duration = Duration::from_secs(3);

/// An honest source that notes which bodies it has read for others.
struct Counting {
    honest: ChainSource,
    served: Mutex<Vec<BlockId>>,
}

impl BlockSource for Counting {
    fn status(&self) -> Result<Status, Unavailable> {
        self.honest.status()
    }

    fn headers(&self, from: Height, count: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
        self.honest.headers(from, count)
    }

    fn bodies(&self, ids: &[BlockId], budget: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        let bodies = self.honest.bodies(ids, budget)?;
        self.served.lock().unwrap().extend(&ids[..bodies.len()]);
        Ok(bodies)
    }

    fn claim(&self, asker: PeerId, nonce: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
        self.honest.claim(asker, nonce)
    }
}

/// The source, and who is connected to it.
struct Source {
    counting: Arc<Counting>,
    heights: BTreeMap<BlockId, u64>,
    address: Address,
    connected: watch::Receiver<usize>,
}

impl Source {
    async fn start(world: &World) -> Self {
        let home = Home::open(world.path("source").as_ref(), None).unwrap();
        let store: Arc<dyn Store> = Arc::new(home.store().unwrap());
        let id = |height| store.canonical(Height(height)).unwrap().unwrap();
        let heights = (1..=HISTORY).map(|height| (id(height), height)).collect();
        let (view, _inbox) = chain::mailbox(home.network(), &chain::Config::default());
        let rules = home.network().rules.clone();
        let honest = ChainSource::new(store, rules, Clock::system(), view.watch(), None);
        let counting = Arc::new(Counting { honest, served: Mutex::default() });
        let mut config = Config::new(home.network().rules.genesis_id());
        config.listen = vec![Address("/ip4/127.0.0.1/tcp/0".to_owned())];
        config.discovery = None;
        let (transport, mut events) =
            alys_transport::start(&config, &Identity::generate(), counting.clone()).unwrap();
        let address = loop {
            if let Event::Listening { address } = events.recv().await.unwrap() {
                break address.with_peer(transport.local_peer());
            }
        };
        let (count, connected) = watch::channel(0);
        tokio::spawn(async move {
            // They live as long as the source does.
            let _kept = (home, transport);
            while let Some(event) = events.recv().await {
                count.send_modify(|count| match event {
                    Event::Connected { .. } => *count += 1,
                    Event::Disconnected { .. } => *count -= 1,
                    _ => {}
                });
            }
        });
        Self { counting, heights, address, connected }
    }

    /// The heights whose bodies were served since the last call, to nodes that are gone.
    async fn served(&mut self) -> BTreeSet<u64> {
        timeout(LIMIT, self.connected.wait_for(|count| *count == 0)).await.unwrap().unwrap();
        let served = std::mem::take(&mut *self.counting.served.lock().unwrap());
        served.iter().map(|id| self.heights[id]).collect()
    }
}

/// What is durable in a directory, or was said to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Durable {
    head: u64,
    finalized: u64,
}

impl Durable {
    /// What the disk holds, after a look at every height: a certified block with its body at each, and nothing above the head.
    fn on_disk(directory: &str) -> Self {
        let home = Home::open(directory.as_ref(), None).unwrap();
        let store = home.store().unwrap();
        let (head, finalized) = (store.head().unwrap().height, store.finalized().unwrap().height);
        for height in 1..=head.0 {
            let id = store.canonical(Height(height)).unwrap();
            let id = id.unwrap_or_else(|| panic!("height {height} of {head} is missing"));
            let header = store.header(id).unwrap().unwrap();
            assert!(header.certificate.is_some(), "height {height} of {head} is not certified");
            assert!(store.body(id).unwrap().is_some(), "the body of height {height} of {head} is missing");
        }
        assert_eq!(store.canonical(Height(head.0 + 1)).unwrap(), None, "something stands above the head");
        drop(store);
        // The state is that of the head, or this fails.
        drop(home.chain().unwrap());
        close(home);
        Self { head: head.0, finalized: finalized.0 }
    }

    fn hear(&mut self, status: &NodeStatus) {
        self.head = self.head.max(status.head.height).max(status.sync.current);
        self.finalized = self.finalized.max(status.finalized.height);
    }
}

/// A node that syncs.
struct Syncing {
    process: Running,
    client: Client,
    since: Instant,
    /// What it has said to be durable.
    said: Durable,
}

impl Syncing {
    fn start(directory: &str, source: &Address) -> Self {
        // It is free again when this returns; the RPC of the node before is the only one that had it.
        let rpc: SocketAddr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let budget = format!("sync.budget_bytes={BUDGET}");
        let more = ["--bootnode", &source.0, "--set", &budget];
        let since = Instant::now();
        let process = Running::start_at(directory, &rpc.to_string(), &more);
        Self { process, client: Client::new(rpc), since, said: Durable::default() }
    }

    /// Listens until it says that a block above this height is durable. Before its RPC answers it says nothing.
    async fn imports_above(&mut self, height: u64) -> Duration {
        let mut polls = interval(POLL);
        while self.said.head <= height {
            polls.tick().await;
            if let Ok(status) = self.client.status().await {
                self.said.hear(&status);
            }
        }
        self.since.elapsed()
    }

    /// Listens for so long.
    async fn listen(&mut self, time: Duration) {
        assert!(timeout(time, self.imports_above(u64::MAX)).await.is_err(), "there is no such height");
    }

    /// Waits for its first import; how long that took.
    async fn imports(mut self, before: Durable) -> (Self, Duration) {
        let Ok(took) = timeout(LIMIT, self.imports_above(before.head)).await else {
            let log = self.process.kill();
            panic!("from {before:?} on it imported nothing, and said {:?}\n{log}", self.said);
        };
        (self, took)
    }
}

/// The trial: what was durable before the present run, and what all runs have shown.
struct Trial {
    source: Source,
    directory: String,
    before: Durable,
    /// From the starts to the first imports.
    resumed: Vec<Duration>,
    /// Bodies that were served to a run and are not durable after it.
    lost: Vec<u64>,
}

impl Trial {
    /// Looks at what a node has left that was killed.
    async fn examine(&mut self, node: Syncing) -> Durable {
        let Syncing { process, said, .. } = node;
        let log = process.kill();
        let after = Durable::on_disk(&self.directory);
        let served = self.source.served().await;
        eprintln!("{:?}, said {said:?}, then {after:?}, {} bodies served", self.before, served.len());
        assert!(after.head >= said.head, "it said {said:?} and held {after:?}\n{log}");
        assert!(after.finalized >= said.finalized, "it said {said:?} and held {after:?}\n{log}");
        assert!(after.head >= self.before.head && after.finalized >= self.before.finalized, "{log}");
        let again: Vec<&u64> = served.range(..=self.before.head).collect();
        assert!(again.is_empty(), "{again:?} were durable, and fetched again\n{log}");
        let beyond = served.range(after.head + 1..).count() as u64;
        // The first request is made before it is known how large the blocks are.
        let most = BUDGET / CALLDATA + MAX_BODIES_PER_REQUEST as u64;
        assert!(beyond <= most, "{beyond} bodies were in memory, with a budget for {most}\n{log}");
        self.lost.push(beyond);
        self.before = after;
        after
    }

    /// Lets a node sync to the end, from wherever the last kill left it.
    async fn finish(&mut self) {
        let before = self.before;
        let mut node = Syncing::start(&self.directory, &self.source.address);
        if before.head < HISTORY {
            let took;
            (node, took) = node.imports(before).await;
            self.resumed.push(took);
            timeout(LIMIT, node.imports_above(HISTORY - 1)).await.unwrap();
        }
        let after = self.examine(node).await;
        assert_eq!(after.head, HISTORY);
    }
}

fn fresh(world: &World, number: usize) -> String {
    let directory = world.path(&format!("copy-{number}"));
    alys(&["init", "--data-dir", &directory, "--genesis", &world.path("source/genesis.json")]).ok("network");
    directory
}

fn number(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_it_is_killed_what_was_durable_stays_and_the_sync_goes_on() {
    let seed = number(SEED_VARIABLE).unwrap_or_else(|| Randomness::system().stream("seed").next_u64());
    eprintln!("{SEED_VARIABLE}={seed}");
    let mut random = Randomness::seeded(seed).stream("kills");
    let kills = number(KILLS_VARIABLE).map_or(KILLS, |kills| usize::try_from(kills).unwrap());
    let world = World::new();
    world.generate_blocks(HISTORY, 1, CALLDATA);
    let source = Source::start(&world).await;
    let (resumed, lost, before) = (Vec::new(), Vec::new(), Durable::default());
    let mut trial = Trial { source, directory: fresh(&world, 0), before, resumed, lost };

    let (mut killed, mut copies, mut latest) = (0, 0, LATEST);
    while killed < kills {
        let mut node = Syncing::start(&trial.directory, &trial.source.address);
        // Every second kill may come before anything is imported.
        if killed % 2 == 0 {
            let took;
            (node, took) = node.imports(trial.before).await;
            trial.resumed.push(took);
        }
        let micros = u64::try_from(latest.as_micros()).unwrap();
        node.listen(Duration::from_micros(random.next_u64() % micros.max(1))).await;
        if trial.examine(node).await.head < HISTORY {
            killed += 1;
        } else {
            copies += 1;
            latest /= 2;
            (trial.directory, trial.before) = (fresh(&world, copies), Durable::default());
        }
    }
    trial.finish().await;
    eprintln!("importing again after {:?}; in memory only: {:?}", trial.resumed, trial.lost);
    if kills > KILLS {
        assert!(trial.resumed.iter().all(|took| *took <= SOON), "{:?}", trial.resumed);
    }
}
