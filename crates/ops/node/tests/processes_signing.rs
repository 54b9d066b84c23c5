//! The system calls of an authority: what it signs is on the disk before it leaves the process.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alys_node::devnet::{Cluster, Shape, check_ports, configure, nodes, prepare};
use tokio::time::{interval, timeout};

/// How often the node is asked.
const POLL: Duration = Duration::from_millis(100);
/// Ten slots and the start of four processes, one of them slowed down by the tracer.
const LIMIT: Duration = Duration::from_secs(120);
/// Signatures that must be seen: enough for proposals of its own and approvals of others.
const SIGNATURES: usize = 8;

/// Starts the program, the first node of them under the tracer.
fn traced(dir: &Path, trace: &Path) -> PathBuf {
    let (script, real, trace) = (dir.join("alys"), env!("CARGO_BIN_EXE_alys"), trace.display());
    // With -D the node keeps the process that was started, so that it, and not the tracer, is told to end.
    let strace = "strace -D -f -y -s 300 -e trace=fdatasync,fsync,write -e signal=none";
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in\n*node1*) export ALYS_LOG_FILTER=info,alys_actors::chain=debug; exec {strace} -o {trace} {real} \"$@\";;\n*) exec {real} \"$@\";;\nesac\n"
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signing_record_is_on_disk_before_a_signature_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let plans = nodes(dir.path(), 4, 4, 0, 31_300);
    check_ports(&plans).unwrap();
    let shape = Shape { authorities: 4, blocks: 0, transactions: 0, slot_ms: 1_000 };
    let history = prepare(dir.path(), shape).unwrap();
    let addresses: Vec<_> = plans.iter().map(|node| history.settle(node).unwrap()).collect();
    plans.iter().for_each(|node| configure(node, &addresses).unwrap());
    let mut cluster = Cluster::new(traced(dir.path(), &trace), plans);
    cluster.start_all().unwrap();

    let client = cluster.nodes()[0].client().clone();
    let enough = timeout(LIMIT, async {
        let mut polls = interval(POLL);
        loop {
            polls.tick().await;
            let produced = client.status().await.is_ok_and(|status| status.produced >= 2);
            if produced && signatures(&trace) >= SIGNATURES {
                return;
            }
        }
    });
    assert!(enough.await.is_ok(), "the traced node signed {} times", signatures(&trace));
    cluster.stop().await;
    check_order(&fs::read_to_string(&trace).unwrap());
}

fn leaves(line: &str) -> bool {
    line.contains("write(") && line.contains("signature leaves")
}

fn signatures(trace: &Path) -> usize {
    fs::read_to_string(trace).unwrap_or_default().lines().filter(|line| leaves(line)).count()
}

/// Between any two signatures, and before the first, a sync of the database has succeeded. Nothing else of a following authority syncs: blocks and
/// certificates of others are written without.
fn check_order(trace: &str) {
    let mut synced = false;
    for line in trace.lines() {
        if line.contains("sync") && line.trim_end().ends_with("= 0") {
            synced = true;
        } else if leaves(line) {
            assert!(synced, "a signature left before its record was on disk: {line}\n{trace}");
            synced = false;
        }
    }
}

#[test]
fn the_order_is_really_checked() {
    let good = "1 fdatasync(9</chain/journal>) = 0\n2 write(2</log>, \"signature leaves\") = 9\n";
    check_order(good);
    let late = "2 write(2</log>, \"signature leaves\") = 9\n1 <... fdatasync resumed>) = 0\n";
    assert!(std::panic::catch_unwind(|| check_order(late)).is_err());
    let failed = "1 fdatasync(9</chain/journal>) = -1 EIO\n2 write(2</log>, \"signature leaves\") = 9\n";
    assert!(std::panic::catch_unwind(|| check_order(failed)).is_err());
}
