//! The processes of a devnet: each node is the real binary with a data directory of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use alys_rpc::Client;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::plan::NodePlan;
use crate::exit::{Exit, Failure};

/// How long a node may take to end after it was asked to. A commit in progress takes a second on a slow disk; after this it hangs.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// The nodes of a devnet and their processes.
pub struct Cluster {
    binary: PathBuf,
    nodes: Vec<Member>,
}

/// One node and its process.
pub struct Member {
    /// What was planned for it.
    pub plan: NodePlan,
    client: Client,
    child: Option<Child>,
}

impl Cluster {
    /// Nodes of which none runs yet.
    #[must_use]
    pub fn new(binary: PathBuf, plans: Vec<NodePlan>) -> Self {
        let member = |plan: NodePlan| Member { client: Client::new(plan.rpc_address()), plan, child: None };
        Self { binary, nodes: plans.into_iter().map(member).collect() }
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Member] {
        &self.nodes
    }

    /// Starts all.
    ///
    /// # Errors
    /// As for [`Cluster::start`].
    pub fn start_all(&mut self) -> Result<(), Failure> {
        (0..self.nodes.len()).try_for_each(|index| self.start(index))
    }

    /// Starts a node, or starts it again.
    ///
    /// # Errors
    /// [`Exit::System`] when the system starts no process.
    pub fn start(&mut self, index: usize) -> Result<(), Failure> {
        let Member { plan, child, .. } = &mut self.nodes[index];
        let system = |error: std::io::Error| {
            Failure::new(Exit::System, format!("cannot start node {}: {error}", plan.number))
        };
        let log = File::options().create(true).append(true).open(log_file(&plan.dir)).map_err(system)?;
        let errors = log.try_clone().map_err(system)?;
        let mut command = Command::new(&self.binary);
        command.arg("node").arg("--data-dir").arg(&plan.dir);
        // A group of its own: an interrupt at the terminal reaches the devnet, and the devnet stops its nodes.
        command.process_group(0).stdin(Stdio::null()).stdout(log).stderr(errors).kill_on_drop(true);
        *child = Some(command.spawn().map_err(system)?);
        Ok(())
    }

    /// Kills a node as a failing machine would: SIGKILL.
    pub async fn kill(&mut self, index: usize) {
        if let Some(mut child) = self.nodes[index].child.take() {
            // It fails only when the process has ended already.
            child.kill().await.ok();
        }
    }

    /// How a node ended by itself, if it did since the last call.
    pub fn ended(&mut self, index: usize) -> Option<String> {
        let member = &mut self.nodes[index];
        let status = member.child.as_mut()?.try_wait().ok().flatten()?;
        member.child = None;
        Some(describe(status, &member.plan.dir))
    }

    /// Asks all nodes to end, and waits. What does not end in time is killed and named.
    pub async fn stop(&mut self) -> Vec<String> {
        for member in &self.nodes {
            let pid = member
                .child
                .as_ref()
                .and_then(Child::id)
                .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            if let Some(pid) = pid {
                // It fails only when the process has ended already.
                kill_process(pid, Signal::TERM).ok();
            }
        }
        let mut troubles = Vec::new();
        for member in &mut self.nodes {
            let Some(mut child) = member.child.take() else { continue };
            match timeout(STOP_LIMIT, child.wait()).await {
                Ok(Ok(status)) if status.success() => {}
                Ok(Ok(status)) => {
                    troubles.push(format!(
                        "node {} {}",
                        member.plan.number,
                        describe(status, &member.plan.dir)
                    ));
                }
                _ => {
                    child.kill().await.ok();
                    troubles.push(format!(
                        "node {} did not end within {STOP_LIMIT:?} and was killed",
                        member.plan.number
                    ));
                }
            }
        }
        troubles
    }
}

impl Member {
    /// Its RPC.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Its RPC address.
    #[must_use]
    pub fn rpc(&self) -> SocketAddr {
        self.plan.rpc_address()
    }
}

/// Where a node's output goes.
#[must_use]
pub fn log_file(dir: &Path) -> PathBuf {
    dir.join("node.log")
}

fn describe(status: ExitStatus, dir: &Path) -> String {
    use std::os::unix::process::ExitStatusExt;
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    };
    let dir_text = dir.display();
    format!(
        "{how} (its log: {}; start it again with `alys node --data-dir {dir_text}`)",
        log_file(dir).display()
    )
}
