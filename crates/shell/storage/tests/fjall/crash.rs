//! Real processes: killed in the middle, and refused by the system.
//!
//! The test runs itself again with an environment variable that turns one test into the workload of a child.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use alys_chain::Slot;
use alys_storage::fjall::{Sizes, open, open_sized};
use alys_storage::{Durability, Store, StoreError};

use crate::conformance::fixture::{GENESIS, scratch};
use crate::history::{signed_step, stands_at, step};

/// Where the child works.
const DIRECTORY: &str = "ALYS_STORAGE_CHILD_DIRECTORY";
const BODY: usize = 3000;

/// This test program, about to run one test as a child.
fn child(test: &str, directory: &Path) -> Vec<String> {
    let program = std::env::current_exe().unwrap();
    let words = [program.to_str().unwrap(), test, "--exact", "--ignored", "--nocapture", "--test-threads=1"];
    assert!(!directory.as_os_str().is_empty());
    words.map(str::to_owned).to_vec()
}

/// Signs and commits until it is killed, saying what was acknowledged.
#[test]
#[ignore = "the workload of a child process, see a_killed_process_loses_nothing_that_it_acknowledged"]
fn workload_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    // Small buffers, so that tables are written and merged while it runs.
    let sizes = Sizes { buffer: 64 * 1024, ..Sizes::default() };
    let store = open_sized(Path::new(&directory), GENESIS, sizes).unwrap();
    let start = store.head().unwrap().height.get() + 1;
    for k in start.. {
        if k % 3 == 0 {
            store.commit(signed_step(k, BODY), Durability::Buffered).unwrap();
            println!("signed {k}");
        } else {
            store.commit(step(k, BODY), Durability::Buffered).unwrap();
            println!("wrote {k}");
        }
    }
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let directory = scratch();
    let mut at = 0;
    for acknowledged in [5, 47, 160] {
        let words = child("crash::workload_until_killed", directory.path());
        let mut process = Command::new(&words[0])
            .args(&words[1..])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let acknowledgements = lines.filter_map(|line| {
            let (what, k) = line.rsplit_once(' ')?;
            Some((what.ends_with("signed"), k.parse::<u64>().ok()?))
        });
        let seen: Vec<(bool, u64)> = acknowledgements.take(acknowledged).collect();
        process.kill().unwrap();
        process.wait().unwrap();
        assert_eq!(seen.len(), acknowledged, "the child ended by itself");

        let store = open(directory.path(), GENESIS).unwrap();
        let (_, last) = seen[acknowledged - 1];
        let signed = seen.iter().rev().find(|(signed, _)| *signed).map(|(_, k)| Slot(*k));
        at = at.max(stands_at(&store, BODY).unwrap());
        assert!(at >= last, "the system keeps what a killed process wrote: {at}, {last}");
        assert!(store.signing_record().unwrap().map(|record| record.last) >= signed);
    }
}

/// Commits until the system refuses to let the journal grow, then checks what the store says.
#[test]
#[ignore = "the workload of a child process, see a_write_that_fails_poisons_the_store"]
fn workload_until_refused() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    // Nothing is flushed before the limit on the size of a file is met.
    let sizes = Sizes { buffer: 1 << 30, ..Sizes::default() };
    let store = open_sized(Path::new(&directory), GENESIS, sizes).unwrap();
    for k in 1..200 {
        match store.commit(step(k, 2 << 20), Durability::Durable) {
            Ok(_) => println!("wrote {k}"),
            Err(error) => {
                assert!(matches!(error, StoreError::Io { .. }), "{error}");
                let again = store.commit(step(k, 0), Durability::Durable);
                assert!(matches!(again, Err(StoreError::Poisoned)), "nothing is acknowledged any more");
                assert_eq!(store.head().unwrap().height.get(), k - 1, "reading goes on");
                println!("refused {k}");
                return;
            }
        }
    }
}

/// The journal is made with 64 MiB; the limit (in blocks of 512 bytes) lets it grow to 70 MiB. The signal that comes with the error is ignored.
#[cfg(unix)]
#[test]
fn a_write_that_fails_poisons_the_store() {
    let directory = scratch();
    let words = child("crash::workload_until_refused", directory.path());
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 143360; exec \"$@\"", "sh"])
        .args(&words)
        .env(DIRECTORY, directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let refused =
        text.lines().find_map(|line| line.split_once("refused ")?.1.parse::<u64>().ok()).expect("a refusal");
    let store = open(directory.path(), GENESIS).unwrap();
    let at = stands_at(&store, 2 << 20).unwrap();
    assert!(at + 1 >= refused, "{at} of {refused}");
    store.commit(step(at + 1, 2 << 20), Durability::Durable).unwrap();
}
