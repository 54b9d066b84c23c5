//! `bench snapshot`: how soon a fresh node follows the tip that begins with the state of a recent final block, beside one that executes every block, in the
//! same run and from the same sources.
//!
//! The sources offer the state as nodes do that have gone on since: the tip is some blocks above it, which the fresh node has to execute.

mod begin;
mod judge;
mod offer;

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use alys_chain::Genesis;
use alys_figure::Figure;
use alys_node::generate::{Load, Plan};
use alys_node::genesis;
use alys_node::home::{GENESIS_FILE, Home};
use alys_wire::Address;
use anyhow::{Result, ensure};
use clap::Args;
use tempfile::TempDir;

use crate::cores;
use crate::history::{self, History};
use crate::process::{Process, Report, Source};

pub use begin::{Begin, begin};
pub use offer::offer;

use begin::{Past, Ready};
use judge::Measured;

/// The arguments of `bench snapshot`.
#[derive(Debug, Args)]
pub struct Snapshot {
    /// How many blocks lie below the state.
    #[arg(long)]
    blocks: Option<u64>,
    /// How many accounts there are: whom the transfers go to.
    #[arg(long)]
    accounts: Option<u64>,
    /// Transfers in each block.
    #[arg(long, default_value_t = 50)]
    transfers: usize,
    /// How many sources there are, each a process of its own.
    #[arg(long, default_value_t = 4)]
    sources: usize,
    /// Blocks between the state and the tip. States are offered every 1,000 blocks, so it is half of that on the average.
    #[arg(long, default_value_t = 500)]
    above: u64,
    /// A small chain: it says whether it works, and the bar is not for it.
    #[arg(long)]
    quick: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

impl Snapshot {
    fn blocks(&self) -> u64 {
        self.blocks.unwrap_or(if self.quick { 3_000 } else { 100_000 })
    }

    fn accounts(&self) -> u64 {
        self.accounts.unwrap_or(if self.quick { 50_000 } else { 1_000_000 })
    }
}

/// Runs the command.
pub fn run(command: &Snapshot) -> Result<()> {
    ensure!(command.sources > 0, "a sync needs a source: --sources 1");
    let room = Room::new(command)?;
    eprintln!("measuring a full sync");
    let (full, took) = room.full()?;
    eprintln!("measuring a sync that begins with a state");
    let (ready, ready_took, past) = room.snapshot()?;
    ensure!(full.head == ready.head, "the heads differ: {} and {}", full.head, ready.head);
    let measured =
        Measured { blocks: command.blocks(), above: command.above, full, took, ready, ready_took, past };
    measured.figures(command.sources).iter().for_each(|figure| Figure::print(figure, command.json));
    let misses = measured.misses();
    ensure!(misses.is_empty(), "{}", misses.join("; "));
    Ok(())
}

/// The sources, and a place for nodes.
struct Room {
    genesis: Genesis,
    sources: Vec<Source>,
    tip: u64,
    // Last: it goes when the sources have ended.
    scratch: TempDir,
}

impl Room {
    fn new(command: &Snapshot) -> Result<Self> {
        let Snapshot { transfers, sources, above, .. } = *command;
        let (blocks, accounts) = (command.blocks(), command.accounts());
        let load = Load { recipients: accounts, ..Load::new(transfers, 0) };
        let name = format!("state-{accounts}-{transfers}-above-{above}");
        let plan = Plan { blocks, load };
        // The sources are going to make more blocks, whose slots must be over as well.
        let history = history::keep(&name, plan, blocks.saturating_add(above), 1)?;
        let (genesis, _) = genesis::read(&history.directories[0].join(GENESIS_FILE))?;
        let scratch = tempfile::tempdir_in(history::target())?;
        eprintln!("starting {sources} sources, each makes {above} blocks more");
        let sources = start_sources(&scratch, &history, command)?;
        Ok(Self { genesis, sources, tip: blocks.saturating_add(above), scratch })
    }

    /// From the start of the process until the last block is durable.
    fn full(&self) -> Result<(Report, Duration)> {
        let tip = self.tip.to_string();
        let mut node = self.start("newcomer", ["--blocks", &tip])?;
        node.report()
    }

    /// From the start of the process until its status says that it follows the tip; then what came later.
    fn snapshot(&self) -> Result<(Ready, Duration, Past)> {
        let tip = self.tip.to_string();
        let mut node = self.start("begin", ["--tip", &tip])?;
        let (ready, took) = node.answer()?;
        Ok((ready, took, node.answer()?.0))
    }

    fn start(&self, what: &str, more: [&str; 2]) -> Result<Process> {
        let directory = self.scratch.path().join(what);
        drop(Home::init(&directory, &self.genesis)?);
        let mut arguments: Vec<OsString> = vec![what.into(), "--data-dir".into(), directory.into()];
        arguments.extend(more.map(OsString::from));
        let addresses: Vec<&Address> = self.sources.iter().map(|source| &source.address).collect();
        arguments.extend(addresses.iter().flat_map(|at| ["--source".into(), at.to_string().into()]));
        Process::start(&arguments.iter().map(OsString::as_os_str).collect::<Vec<&OsStr>>())
    }
}

/// Each on a copy of the history, since it adds to it; all at once, since that takes a while.
fn start_sources(scratch: &TempDir, history: &History, command: &Snapshot) -> Result<Vec<Source>> {
    let Snapshot { transfers, sources, above, .. } = *command;
    let more = ["--further", &above.to_string(), "--transfers", &transfers.to_string()];
    let start = |number: &usize| {
        let copy = scratch.path().join(format!("source-{number}"));
        history::copy(&history.directories[0], &copy)?;
        Source::start_with(&copy, None, *number, &more)
    };
    let numbers: Vec<usize> = (0..sources).collect();
    cores::map(&numbers, start).into_iter().collect()
}
