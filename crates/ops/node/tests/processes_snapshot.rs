//! Real processes that begin with a state, or follow headers only. Every wait is for something that a node says, never for time.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alys_actor::Clock;
use alys_actors::chain::snapshot::Snapshots;
use alys_actors::chain::{self, ChainSource};
use alys_chain::{BlockId, CertifiedHeader, FinalityProof, Height};
use alys_node::devnet::{
    Cluster, History, NodePlan, Shape, check_ports, configure, log_file, nodes, prepare,
};
use alys_node::home::Home;
use alys_rpc::status::NodeStatus;
use alys_storage::Store;
use alys_transport::{BlockSource, Config, Event, Identity, Transport, Unavailable, start};
use alys_wire::limits::NONCE_BYTES;
use alys_wire::{Address, PeerId, Status};
use bytes::Bytes;
use tempfile::TempDir;
use tokio::time::{interval, timeout};

/// More than two steps of the backfill.
const HISTORY: u64 = 1_200;
/// Buckets that the honest source serves before the first life of the newcomer ends.
const FIRST: usize = 100;
/// How often a node is asked whether it has got there.
const POLL: Duration = Duration::from_millis(20);
/// Nothing here takes this long; what does is stuck, and the log is printed.
const LIMIT: Duration = Duration::from_secs(60);

/// The authority, which is a node like any other; the newcomer; the light one.
const AUTHORITY: usize = 0;
const NEWCOMER: usize = 1;
const LIGHT: usize = 2;

/// A source in this process, over a real line: it serves so many buckets and says then that it has none, and those that it serves may be wrong.
struct Doubtful {
    inner: ChainSource,
    lies: bool,
    left: AtomicUsize,
    served: AtomicUsize,
}

impl BlockSource for Doubtful {
    fn status(&self) -> Result<Status, Unavailable> {
        self.inner.status()
    }

    fn headers(&self, from: Height, count: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
        self.inner.headers(from, count)
    }

    fn bodies(&self, ids: &[BlockId], budget: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        self.inner.bodies(ids, budget)
    }

    fn claim(&self, asker: PeerId, nonce: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
        self.inner.claim(asker, nonce)
    }

    fn snapshots(&self) -> Result<Vec<FinalityProof>, Unavailable> {
        self.inner.snapshots()
    }

    fn state_sums(&self, block: BlockId) -> Result<Option<Bytes>, Unavailable> {
        self.inner.state_sums(block)
    }

    fn accounts(
        &self,
        block: BlockId,
        bucket: u8,
        after: Option<[u8; 20]>,
        count: usize,
    ) -> Result<Option<Bytes>, Unavailable> {
        let one_less = |left: usize| left.checked_sub(1);
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).map_err(|_| Unavailable)?;
        let accounts = self.inner.accounts(block, bucket, after, count)?;
        self.served.fetch_add(1, Ordering::SeqCst);
        Ok(accounts.map(|accounts| if self.lies { tampered(&accounts) } else { accounts }))
    }
}

/// The last account owns another amount.
fn tampered(accounts: &Bytes) -> Bytes {
    let mut accounts = accounts.to_vec();
    if let Some(last) = accounts.last_mut() {
        *last ^= 1;
    }
    accounts.into()
}

/// Such a source that runs.
struct Served {
    source: Arc<Doubtful>,
    peer: String,
    address: Address,
    store: Arc<dyn Store>,
    _home: Home,
    _transport: Box<dyn Transport>,
}

impl Served {
    async fn start(dir: &Path, lies: bool, buckets: usize) -> Self {
        let home = Home::open(dir, None).unwrap();
        let mut chain = home.chain().unwrap();
        let (states, store) = (Snapshots::default(), chain.store().clone());
        chain.offer_to(states.clone()).unwrap();
        let (mailbox, _) = chain::mailbox(home.network(), &chain::Config::default());
        let rules = home.network().rules.clone();
        let inner = ChainSource::new(store.clone(), rules.clone(), Clock::system(), mailbox.watch(), None)
            .with_snapshots(states);
        let (left, served) = (AtomicUsize::new(buckets), AtomicUsize::new(0));
        let source = Arc::new(Doubtful { inner, lies, left, served });
        let mut config = Config::new(rules.genesis_id());
        config.listen = vec![Address("/ip4/127.0.0.1/tcp/0".to_owned())];
        config.discovery = None;
        let identity = Identity::generate();
        let (transport, mut events) = start(&config, &identity, source.clone()).unwrap();
        let address = loop {
            if let Event::Listening { address } = events.recv().await.unwrap() {
                break address.with_peer(transport.local_peer());
            }
        };
        tokio::spawn(async move { while events.recv().await.is_some() {} });
        let peer = transport.local_peer().to_string();
        Self { source, peer, address, store, _home: home, _transport: Box::new(transport) }
    }

    fn served(&self) -> usize {
        self.source.served.load(Ordering::SeqCst)
    }
}

struct World {
    dir: TempDir,
    history: History,
    cluster: Cluster,
}

impl World {
    /// An authority alone, which goes on from a history, and two that know nothing.
    fn new(port: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let plans = nodes(dir.path(), 3, 1, HISTORY, port);
        check_ports(&plans).unwrap();
        let shape = Shape { authorities: 1, blocks: HISTORY, transactions: 2, slot_ms: 1_000 };
        let history = prepare(dir.path(), shape).unwrap();
        let addresses: Vec<_> = plans.iter().map(|node| history.settle(node).unwrap()).collect();
        plans.iter().for_each(|node| settle(node, &addresses[..1], "full"));
        let cluster = Cluster::new(PathBuf::from(env!("CARGO_BIN_EXE_alys")), plans);
        Self { dir, history, cluster }
    }

    /// A further copy of the history.
    fn copy(&self, name: &str) -> PathBuf {
        let dir = self.dir.path().join(name);
        let plan = NodePlan { number: 9, dir: dir.clone(), authority: None, newcomer: false, p2p: 1, rpc: 1 };
        self.history.settle(&plan).unwrap();
        dir
    }

    fn plan(&self, index: usize) -> &NodePlan {
        &self.cluster.nodes()[index].plan
    }

    fn log(&self, index: usize) -> String {
        std::fs::read_to_string(log_file(&self.plan(index).dir)).unwrap_or_default()
    }

    /// Waits until this holds.
    async fn until(&self, index: usize, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let found = timeout(LIMIT, async {
            let mut polls = interval(POLL);
            while !holds().await {
                polls.tick().await;
            }
        });
        if found.await.is_err() {
            panic!("node {} never: {what}; its log:\n{}", index + 1, self.log(index));
        }
    }

    /// Waits until a node says so in its status.
    async fn shows(&self, index: usize, what: &str, holds: impl Fn(&NodeStatus) -> bool) -> NodeStatus {
        let client = self.cluster.nodes()[index].client();
        self.until(index, what, async || client.status().await.is_ok_and(|status| holds(&status))).await;
        client.status().await.unwrap()
    }

    /// Waits until a node has said this so often.
    async fn says(&self, index: usize, text: &str, times: usize) {
        self.until(index, text, async || self.log(index).matches(text).count() >= times).await;
    }

    /// Whether the one counts as guilty, marked or gone for it, and the other one does not.
    async fn blames(&self, index: usize, guilty: &str, innocent: &str) -> bool {
        let Ok(peers) = self.cluster.nodes()[index].client().peers().await else { return false };
        let mark = |id: &str| peers.iter().find(|known| known.id == id).map(|known| known.misbehaviour);
        mark(innocent).is_some_and(|mark| mark == 0.0) && mark(guilty).is_none_or(|mark| mark > 0.0)
    }
}

/// Writes whom a node dials, and how it begins.
fn settle(node: &NodePlan, dials: &[String], mode: &str) {
    configure(node, dials).unwrap();
    Home::open(&node.dir, None).unwrap().set("sync", "mode", mode).unwrap();
}

fn is_synced(status: &NodeStatus) -> bool {
    status.sync.mode == "synced"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_begins_with_a_state_in_spite_of_a_liar_and_of_being_killed_twice() {
    let mut world = World::new(31_300);
    let liar = Served::start(&world.copy("liar"), true, usize::MAX).await;
    let honest = Served::start(&world.copy("honest"), false, FIRST).await;
    world.cluster.start(AUTHORITY).unwrap();
    let sources = [liar.address.to_string(), honest.address.to_string()];
    let newcomer = world.plan(NEWCOMER).clone();
    settle(&newcomer, &sources, "snapshot");

    // The first life: the liar is found out, the honest one falls short, and the process dies in the middle.
    world.cluster.start(NEWCOMER).unwrap();
    world.until(NEWCOMER, "asks both", async || liar.served() > 0 && honest.served() == FIRST).await;
    world.says(NEWCOMER, "a part of the state did not come", 1).await;
    let blames = async || world.blames(NEWCOMER, &liar.peer, &honest.peer).await;
    world.until(NEWCOMER, "blames the liar, and not whoever fell short", blames).await;
    assert!(liar.served() <= 3, "whoever lied is asked for nothing more: {}", liar.served());
    let status = world.shows(NEWCOMER, "answers", |_| true).await;
    assert_eq!((status.sync.mode.as_str(), status.head.height), ("snapshot", 0));
    assert!(!status.may_produce);
    world.cluster.kill(NEWCOMER).await;

    // The second one goes on with what is durable, and dies when the state is its own and the past is not.
    honest.source.left.store(usize::MAX, Ordering::SeqCst);
    world.cluster.start(NEWCOMER).unwrap();
    world.says(NEWCOMER, "going on with a state", 1).await;
    world.says(NEWCOMER, "the state is complete", 1).await;
    world.cluster.kill(NEWCOMER).await;
    // What was on its way at the end of the first life may have come twice.
    assert!(honest.served() <= 256 + 4, "nothing durable is fetched again: {}", honest.served());

    // The third one follows the tip of the authority and fetches the past.
    let authority = world.shows(AUTHORITY, "produces", |status| status.head.height > HISTORY).await;
    let dialled = format!("{}/p2p/{}", world.plan(AUTHORITY).listen(), authority.peer);
    settle(&newcomer, &[sources[1].clone(), dialled], "snapshot");
    world.cluster.start(NEWCOMER).unwrap();
    let synced =
        world.shows(NEWCOMER, "is synced", |status| is_synced(status) && status.head.height > HISTORY).await;
    let further = synced.head.height + 2;
    world.shows(NEWCOMER, "follows", |status| is_synced(status) && status.finalized.height >= further).await;
    world.says(NEWCOMER, "all blocks are here", 1).await;
    assert_eq!(world.cluster.stop().await, Vec::<String>::new());
    let store = Home::open(&newcomer.dir, None).unwrap().store().unwrap();
    assert_eq!(store.earliest().unwrap(), Height(1));
    for height in (1..HISTORY).step_by(97) {
        let id = store.canonical(Height(height)).unwrap().unwrap();
        assert_eq!(store.body(id).unwrap(), honest.store.body(id).unwrap(), "height {height}");
        assert!(store.header(id).unwrap().unwrap().certificate.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_light_node_follows_and_never_produces() {
    let mut world = World::new(31_400);
    world.cluster.start(AUTHORITY).unwrap();
    let authority = world.shows(AUTHORITY, "answers", |_| true).await;
    let dialled = format!("{}/p2p/{}", world.plan(AUTHORITY).listen(), authority.peer);
    settle(world.plan(LIGHT), &[dialled], "light");
    world.cluster.start(LIGHT).unwrap();
    let reached =
        world.shows(LIGHT, "is synced", |status| is_synced(status) && status.head.height >= HISTORY).await;
    let further = reached.head.height + 2;
    let follows = world.shows(LIGHT, "follows", |status| status.finalized.height >= further).await;
    assert_eq!((follows.may_produce, follows.produced, follows.authority), (false, 0, None));
    let client = world.cluster.nodes()[LIGHT].client();
    assert!(client.header(HISTORY / 2).await.unwrap().is_some(), "it has all headers");
    assert!(!client.can_produce().await.unwrap().open);
    assert_eq!(world.cluster.stop().await, Vec::<String>::new());

    // With an authority's key it does not even start.
    let directory = &world.plan(AUTHORITY).dir;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_alys"));
    command.args(["node", "--sync", "light", "--data-dir"]).arg(directory);
    let refused = command.output().await.unwrap();
    let why = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(3), "{why}");
    assert!(why.contains("a light node knows no state and cannot produce"), "{why}");
}
