//! The loop of a devnet: poll, draw, send, until the time is over or somebody interrupts.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use alys_figure::Figure;
use alys_ledger::ChainId;
use alys_rpc::status::NodeStatus;
use futures::future::join_all;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Devnet;
use super::cluster::{Cluster, Member};
use super::history::{self, Shape};
use super::plan::{self, NodePlan};
use super::screen::{Row, picture};
use super::traffic::Sender;
use super::verdict::{Finding, Observed, judge};
use crate::console::{note, say};
use crate::exit::{Exit, Failure};

/// How often the nodes are asked. People see four pictures in a slot; more only costs.
const POLL: Duration = Duration::from_millis(500);
/// Without a terminal, every so many polls a picture goes into the log.
const POLLS_A_LOG: u32 = 10;
/// The name of the mode in which sync has nothing left to do.
const SYNCED: &str = "synced";

pub(super) async fn run(command: &Devnet) -> Result<(), Failure> {
    let plans = plan::nodes(&command.dir, command.nodes, command.authorities, command.history, command.port);
    plan::check_ports(&plans)?;
    settle(command, &plans)?;
    let binary = std::env::current_exe()
        .map_err(|error| Failure::new(Exit::System, format!("cannot find this program: {error}")))?;
    let mut watch = Watch::new(command, Cluster::new(binary, plans));
    watch.cluster.start_all()?;
    let interrupted = watch.until_the_end().await;
    let observed = watch.observe().await;
    let troubles = watch.cluster.stop().await;
    watch.conclude(observed, &troubles, interrupted)
}

/// The history and the data directories, apart from the runtime: it takes all cores for some seconds.
fn settle(command: &Devnet, plans: &[NodePlan]) -> Result<(), Failure> {
    let shape = Shape {
        authorities: command.authorities,
        blocks: command.history,
        transactions: command.txs,
        slot_ms: command.slot_ms,
    };
    let history = history::prepare(&command.dir, shape)?;
    let addresses = plans.iter().map(|node| history.settle(node)).collect::<Result<Vec<_>, _>>()?;
    for (node, own) in plans.iter().zip(&addresses) {
        let others: Vec<_> = addresses.iter().filter(|address| *address != own).cloned().collect();
        history::configure(node, &others)?;
    }
    Ok(())
}

struct Watch {
    command: Devnet,
    cluster: Cluster,
    sender: Sender,
    rows: Vec<Row>,
    crashed: BTreeMap<usize, String>,
    synced: BTreeMap<usize, Duration>,
    started: Instant,
    first_block: Option<Duration>,
    drawn_lines: usize,
}

impl Watch {
    fn new(command: &Devnet, cluster: Cluster) -> Self {
        let row =
            |node: &Member| Row { number: node.plan.number, newcomer: node.plan.newcomer, ..Row::default() };
        let rows = cluster.nodes().iter().map(row).collect();
        Self {
            command: command.clone(),
            cluster,
            sender: Sender::new(ChainId(history::CHAIN_ID)),
            rows,
            crashed: BTreeMap::new(),
            synced: BTreeMap::new(),
            started: Instant::now(),
            first_block: None,
            drawn_lines: 0,
        }
    }

    /// Runs until the time is over; whether somebody interrupted it.
    async fn until_the_end(&mut self) -> bool {
        let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            note("cannot listen for signals; the devnet ends at once");
            return true;
        };
        let mut polls = interval(POLL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut count = 0u32;
        loop {
            tokio::select! {
                biased;
                _ = interrupt.recv() => return true,
                _ = terminate.recv() => return true,
                _ = polls.tick() => {}
            }
            self.poll().await;
            self.send().await;
            self.draw(count.is_multiple_of(POLLS_A_LOG));
            count = count.wrapping_add(1);
            if self.command.duration.is_some_and(|limit| self.started.elapsed() >= limit) {
                return false;
            }
        }
    }

    async fn poll(&mut self) {
        let asked = self.cluster.nodes().iter().map(|node| node.client().status());
        let answers = join_all(asked).await;
        for (index, answer) in answers.into_iter().enumerate() {
            let number = self.rows[index].number;
            if let Some(how) = self.cluster.ended(index) {
                self.crashed.insert(number, how.clone());
                self.rows[index].ended = Some(how);
            }
            let status = answer.ok();
            if let Some(status) = &status {
                self.note_progress(index, status);
            }
            self.rows[index].status = status;
        }
    }

    fn note_progress(&mut self, index: usize, status: &NodeStatus) {
        let row = &mut self.rows[index];
        // Somebody may have started it again by hand.
        row.ended = None;
        if status.produced > 0 && row.first_own.is_none() {
            row.first_own = Some(status.head.height);
        }
        let elapsed = self.started.elapsed();
        if status.head.height > self.command.history {
            self.first_block.get_or_insert(elapsed);
        }
        if status.sync.mode == SYNCED && status.head.height >= self.command.history {
            self.synced.entry(row.number).or_insert(elapsed);
        }
    }

    /// As many transactions a slot as a block of the history holds.
    async fn send(&mut self) {
        let polls_a_slot = (u128::from(self.command.slot_ms) / POLL.as_millis()).max(1);
        let due = u128::try_from(self.command.txs).unwrap_or(0).div_ceil(polls_a_slot);
        for _ in 0..due {
            let ready = |row: &&Row| row.status.as_ref().is_some_and(|status| status.sync.mode == SYNCED);
            let ready: Vec<_> = self.rows.iter().filter(ready).map(|row| row.number - 1).collect();
            let Some(index) =
                ready.get(usize::try_from(self.sender.sent()).unwrap_or(0) % ready.len().max(1))
            else {
                return;
            };
            let client = self.cluster.nodes()[*index].client().clone();
            self.sender.send(&client).await;
        }
    }

    /// On a terminal in place, else now and then as lines of a log.
    fn draw(&mut self, log: bool) {
        let text = picture(&self.rows);
        let mut out = std::io::stderr().lock();
        if out.is_terminal() {
            let up = if self.drawn_lines > 0 {
                format!("\x1b[{}A\x1b[J", self.drawn_lines)
            } else {
                String::new()
            };
            // A terminal that has gone is no reason to stop the nodes.
            writeln!(out, "{up}{text}").ok();
            self.drawn_lines = text.lines().count();
        } else if log {
            writeln!(out, "after {:.0?}\n{text}", self.started.elapsed()).ok();
        }
    }

    /// What the verdict needs of every node: its final chain above the history, and whose blocks they are.
    async fn observe(&self) -> Vec<Observed> {
        let asked = self.cluster.nodes().iter().map(|node| observe(node, self.command.history));
        let mut observed = join_all(asked).await;
        for node in &mut observed {
            node.crashed = self.crashed.get(&node.number).cloned();
            node.synced = self.synced.contains_key(&node.number);
        }
        observed
    }

    fn conclude(
        &self,
        mut observed: Vec<Observed>,
        troubles: &[String],
        interrupted: bool,
    ) -> Result<(), Failure> {
        for (node, trouble) in
            troubles.iter().filter_map(|t| Some((t.split(' ').nth(1)?.parse::<usize>().ok()?, t)))
        {
            if let Some(observed) = observed.iter_mut().find(|observed| observed.number == node) {
                observed.crashed.get_or_insert_with(|| trouble.clone());
            }
        }
        if interrupted && self.command.duration.is_none() {
            note("the devnet has ended; its data stays");
            return Ok(());
        }
        let findings = judge(&observed, self.command.history);
        self.print(&observed, &findings);
        if interrupted {
            return Err(Failure::new(Exit::Interrupted, "interrupted before the time was over"));
        }
        let broken: Vec<_> =
            findings.iter().filter(|f| !f.holds).map(|f| format!("{}: {}", f.what, f.seen)).collect();
        if broken.is_empty() { Ok(()) } else { Err(Failure::new(Exit::Verdict, broken.join("\n"))) }
    }

    fn print(&self, observed: &[Observed], findings: &[Finding]) {
        let json = self.command.json;
        for finding in findings {
            let name = format!("devnet/{}", finding.what.replace(' ', "_"));
            let value = if finding.holds { 1.0 } else { 0.0 };
            Figure::new(name, value, "bool")
                .pass(finding.holds)
                .column("seen", finding.seen.clone())
                .print(json);
        }
        if let Some(first) = self.first_block {
            let seconds = first.as_secs_f64();
            Figure::new("devnet/first_certified_block", seconds, "s").pass(seconds <= 5.0).print(json);
        }
        for node in observed.iter().filter(|node| node.newcomer) {
            if let Some(synced) = self.synced.get(&node.number) {
                let figure = Figure::new("devnet/newcomer_synced", synced.as_secs_f64(), "s");
                figure.column("node", node.number).column("blocks", self.command.history).print(json);
            }
        }
        let count = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        Figure::new("devnet/transactions_sent", count(self.sender.sent()), "transactions").print(json);
        if !json {
            say(if findings.iter().all(|f| f.holds) {
                "the devnet showed what it must"
            } else {
                "the devnet FAILED"
            });
        }
    }
}

async fn observe(node: &Member, history: u64) -> Observed {
    let plan = &node.plan;
    let mut observed = Observed {
        number: plan.number,
        newcomer: plan.newcomer,
        authority: plan.authority.is_some(),
        ..Observed::default()
    };
    let Ok(status) = node.client().status().await else { return observed };
    observed.final_height = status.finalized.height;
    for height in history..=observed.final_height {
        let Ok(Some(header)) = node.client().header(height).await else { continue };
        if height > history && plan.authority == Some(usize::from(header.proposer)) {
            observed.own_final_blocks += 1;
        }
        observed.blocks.insert(height, header.block.id);
    }
    observed
}
