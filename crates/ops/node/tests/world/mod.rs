//! A federation of four in a directory of its own, and the binary.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use alys_chain::{
    Authority, CertifiedHeader, Genesis, Header, Height, Schedule, SecretKey, SetId, SetQuorum, Signature,
    UnixMillis,
};
use alys_node::chainfile::{Reader, Record, Writer};
use alys_node::home::Home;
use alys_node::keyfile::{self, Kind};
use alys_node::{export, genesis};
use alys_storage::Store;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long the history of these tests is.
pub const BLOCKS: u64 = 30;

/// Between fork and exec a child holds all files of this process, locks included. So nothing is unlocked while one is being started.
static STARTING: Mutex<()> = Mutex::new(());

/// Unlocks a directory for good.
pub fn close(home: Home) {
    let _none = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    drop(home);
}

/// How a process ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Starts the binary.
pub fn start(arguments: &[&str]) -> Child {
    let _none = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut command = Command::new(env!("CARGO_BIN_EXE_alys"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // What steers a test is no setting of a node.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ALYS_")) {
        command.env_remove(name);
    }
    command.spawn().unwrap()
}

/// Runs the binary to its end.
pub fn alys(arguments: &[&str]) -> Ended {
    let output = start(arguments).wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ended {
    /// It did what it should, and said so.
    pub fn ok(self, said: &str) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        assert!(self.stdout.contains(said), "{}", self.stdout);
        self
    }

    /// It ended with this code, and said why.
    pub fn fails(&self, code: i32, why: &str) {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(why), "expected `{why}` in: {}", self.stderr);
    }
}

/// A node that runs, with its log.
pub struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
    seen: String,
}

impl Running {
    /// Starts a node on ports that the system chooses.
    pub fn start(directory: &str, more: &[&str]) -> Self {
        Self::start_at(directory, "127.0.0.1:0", more)
    }

    /// Starts a node whose RPC listens at this address.
    pub fn start_at(directory: &str, rpc: &str, more: &[&str]) -> Self {
        let ports = ["--listen", "/ip4/127.0.0.1/tcp/0", "--rpc", rpc];
        let arguments: Vec<&str> =
            ["node", "--data-dir", directory].into_iter().chain(ports).chain(more.iter().copied()).collect();
        let mut child = start(&arguments);
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log, seen: String::new() }
    }

    /// Waits for a line with this text; the rest of the line behind it.
    pub fn says(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.log.read_line(&mut line).unwrap();
            assert!(read > 0, "it never said `{text}`: {}", self.seen);
            self.seen.push_str(&line);
            if let Some((_, rest)) = line.split_once(text) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Kills it, with no chance to write anything; what it had logged.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log.read_to_string(&mut self.seen).unwrap();
        std::mem::take(&mut self.seen)
    }

    /// Asks it to end, as a service manager does.
    pub fn stop(mut self) -> Option<i32> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        self.says("stopped");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It fails only when the process has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub struct World {
    dir: TempDir,
    keys: Vec<SecretKey>,
}

impl World {
    /// Keys and a genesis; no directory yet.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys: Vec<_> = (1..=4).map(|seed| SecretKey::from_seed(&[seed; 32])).collect();
        for (i, key) in keys.iter().enumerate() {
            keyfile::create(&dir.path().join(format!("{i}.key")), Kind::Authority, &key.to_bytes()).unwrap();
        }
        let spec = Genesis {
            chain_id: 212_121,
            time: UnixMillis(1_700_000_000_000),
            gas_limit: 30_000_000,
            schedule: Schedule::constant(2_000, keys.iter().map(Authority::of).collect()).unwrap(),
            allocations: [].into(),
        };
        genesis::write(&dir.path().join("genesis.json"), &spec).unwrap();
        Self { dir, keys }
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Makes the directory `source` with a history.
    pub fn generate(&self) {
        self.generate_blocks(BLOCKS, 2, 0);
    }

    /// Makes the directory `source` with so many blocks of so many transactions, each with so many bytes of calldata.
    pub fn generate_blocks(&self, blocks: u64, transactions: u64, calldata: u64) {
        let numbers = [("--blocks", blocks), ("--txs", transactions), ("--calldata", calldata)];
        let mut arguments = vec!["generate".to_owned()];
        arguments
            .extend(numbers.into_iter().flat_map(|(flag, number)| [flag.to_owned(), number.to_string()]));
        arguments.extend(["--genesis".to_owned(), self.path("genesis.json")]);
        arguments.extend(["--data-dir".to_owned(), self.path("source")]);
        for i in 0..4 {
            arguments.extend(["--authority-key".to_owned(), self.path(&format!("{i}.key"))]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        alys(&arguments).ok("generated");
    }

    /// The history as a file, made by the library.
    pub fn export(&self) -> String {
        let file = self.path("source.chain");
        if !Path::new(&file).exists() {
            let home = Home::open(self.path("source").as_ref(), None).unwrap();
            export::write(&home.store().unwrap(), file.as_ref(), Height(1), Height(BLOCKS)).unwrap();
            close(home);
        }
        file
    }

    /// The history, block by block.
    pub fn records(&self) -> Vec<Record> {
        Reader::open(self.export().as_ref()).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// Writes a chain file of the network.
    pub fn write(&self, file: &str, records: &[Record]) {
        let genesis = Reader::open(self.export().as_ref()).unwrap().genesis();
        let mut writer = Writer::create(file.as_ref(), genesis).unwrap();
        for Record { header, body } in records {
            writer.append(header.header.id(), &header.encode(), &body.0).unwrap();
        }
        writer.finish().unwrap();
    }

    /// Imports a file into a directory, which is made first.
    pub fn import(&self, directory: &str, file: &str) -> Ended {
        let directory = self.path(directory);
        alys(&["init", "--data-dir", &directory, "--genesis", &self.path("source/genesis.json")])
            .ok("network");
        alys(&["import", file, "--data-dir", &directory])
    }

    /// The height of the head in a directory.
    pub fn height(&self, directory: &str) -> u64 {
        let home = Home::open(self.path(directory).as_ref(), None).unwrap();
        let height = home.store().unwrap().head().unwrap().height.0;
        close(home);
        height
    }

    pub fn genesis_id(&self, directory: &str) -> String {
        let home = Home::open(self.path(directory).as_ref(), None).unwrap();
        let id = home.network().rules.genesis_id().to_string();
        close(home);
        id
    }

    /// A block that says something else, approved by everybody all the same.
    pub fn forge(&self, record: &Record, change: &dyn Fn(&mut Header)) -> Record {
        let CertifiedHeader { mut header, mut certificate } = record.header;
        change(&mut header);
        let home = Home::open(self.path("source").as_ref(), None).unwrap();
        let domain = *home.network().rules.domain();
        close(home);
        let message = domain.approval_message(SetId(0), header.slot, header.height, header.id());
        let signatures: Vec<_> = self.keys.iter().map(|key| key.sign(&message)).collect();
        let signature = Signature::aggregate(&signatures).unwrap().to_bytes();
        certificate.quorum = SetQuorum { set: SetId(0), signers: 0b1111, signature };
        (certificate.block, certificate.slot, certificate.height) = (header.id(), header.slot, header.height);
        Record { header: CertifiedHeader { header, certificate }, body: record.body.clone() }
    }
}
