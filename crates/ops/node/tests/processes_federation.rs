//! A federation of real processes: killed, restarted, cut below its quorum. Every wait is for something that a node says, never for time.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alys_node::devnet::{Cluster, Shape, check_ports, configure, log_file, nodes, prepare};
use alys_rpc::status::NodeStatus;
use tempfile::TempDir;
use tokio::time::{interval, timeout};

/// How often a node is asked whether it has got there.
const POLL: Duration = Duration::from_millis(100);
/// Nothing here takes this long; what does is stuck, and the logs are printed.
const LIMIT: Duration = Duration::from_secs(120);

struct Federation {
    cluster: Cluster,
    _dir: TempDir,
}

impl Federation {
    /// Five authorities, of which the last one starts empty if there is a history, on ports of their own from `port` on.
    fn start(blocks: u64, port: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let plans = nodes(dir.path(), 5, 5, blocks, port);
        check_ports(&plans).unwrap();
        let shape = Shape { authorities: 5, blocks, transactions: 1, slot_ms: 1_000 };
        let history = prepare(dir.path(), shape).unwrap();
        let addresses: Vec<_> = plans.iter().map(|node| history.settle(node).unwrap()).collect();
        plans.iter().for_each(|node| configure(node, &addresses).unwrap());
        let mut cluster = Cluster::new(PathBuf::from(env!("CARGO_BIN_EXE_alys")), plans);
        cluster.start_all().unwrap();
        Self { cluster, _dir: dir }
    }

    /// Waits until a node says so.
    async fn until(&self, index: usize, what: &str, holds: impl Fn(&NodeStatus) -> bool) -> NodeStatus {
        let client = self.cluster.nodes()[index].client();
        let mut last = None;
        let found = timeout(LIMIT, async {
            let mut polls = interval(POLL);
            loop {
                polls.tick().await;
                match client.status().await {
                    Ok(status) if holds(&status) => return status,
                    answer => last = Some(answer),
                }
            }
        });
        match found.await {
            Ok(status) => status,
            Err(_) => panic!("node {} never: {what}; it said last {last:#?}\n{}", index + 1, self.logs()),
        }
    }

    fn logs(&self) -> String {
        let tail = |dir: &Path| {
            let text = std::fs::read_to_string(log_file(dir)).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            lines[lines.len().saturating_sub(30)..].join("\n")
        };
        let logs =
            self.cluster.nodes().iter().map(|n| format!("== node {}\n{}", n.plan.number, tail(&n.plan.dir)));
        logs.collect::<Vec<_>>().join("\n")
    }

    /// The ids of the final blocks of a node, by height.
    async fn final_chain(&self, index: usize, from: u64) -> BTreeMap<u64, String> {
        let client = self.cluster.nodes()[index].client();
        let last = client.status().await.unwrap().finalized.height;
        let mut chain = BTreeMap::new();
        for height in from..=last {
            chain.insert(height, client.header(height).await.unwrap().unwrap().block.id);
        }
        chain
    }

    /// That all nodes have the same final blocks.
    async fn assert_one_chain(&self, from: u64) {
        let first = self.final_chain(0, from).await;
        for index in 1..5 {
            for (height, id) in self.final_chain(index, from).await {
                let expected = first.get(&height).unwrap_or(&id);
                assert_eq!(&id, expected, "height {height} at node {}", index + 1);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_earns_its_turn_and_killed_nodes_come_back() {
    const HISTORY: u64 = 300;
    let mut federation = Federation::start(HISTORY, 31_100);
    federation.until(4, "synced the history", |s| s.finalized.height >= HISTORY - 1).await;
    federation.until(4, "made a block of its own", |s| s.produced > 0).await;

    // Any one node, established or new, killed without warning, resumes from its own disk.
    for killed in [1, 4] {
        let before = federation.until(killed, "final blocks", |s| s.finalized.height > HISTORY).await;
        federation.cluster.kill(killed).await;
        let other = (killed + 1) % 5;
        let further = before.head.height + 2;
        federation.until(other, "goes on without it", |s| s.finalized.height >= further).await;
        federation.cluster.start(killed).unwrap();
        let first = federation.until(killed, "answers again", |_| true).await;
        assert!(first.head.height >= before.finalized.height, "it did not resume from its disk: {first:?}");
        let now = federation.until(other, "answers", |_| true).await;
        federation.until(killed, "caught up", |s| s.finalized.height >= now.head.height).await;
        federation.assert_one_chain(HISTORY).await;
    }
    assert_eq!(federation.cluster.stop().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_five_down_stop_the_chain_and_one_back_starts_it_again() {
    let mut federation = Federation::start(0, 31_200);
    federation.until(0, "final blocks", |s| s.finalized.height >= 2).await;
    federation.cluster.kill(3).await;
    federation.cluster.kill(4).await;
    // A block whose approvals were on their way may still come; after that slot nothing does.
    let slot = federation.until(0, "answers", |_| true).await.slot;
    let stopped = federation.until(0, "two slots later", |s| s.slot >= slot + 2).await;
    let later = federation.until(0, "eight slots later", |s| s.slot >= slot + 8).await;
    assert_eq!(later.head, stopped.head, "a quorum is 4 of 5");

    federation.cluster.start(3).unwrap();
    let back = federation.until(3, "answers", |_| true).await;
    let again = federation.until(0, "certifies again", |s| s.head.height > stopped.head.height).await;
    assert!(
        again.head.slot <= back.slot + 3,
        "back in slot {}, first block in slot {}",
        back.slot,
        again.head.slot
    );
    federation.until(0, "finalises again", |s| s.finalized.height > stopped.head.height).await;
    federation.cluster.start(4).unwrap();
    federation.until(4, "answers", |_| true).await;
    federation.assert_one_chain(0).await;
    assert_eq!(federation.cluster.stop().await, Vec::<String>::new());
}
