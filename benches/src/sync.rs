//! `bench sync`: a fresh node syncs a history from source processes; beside it, in the same run, each stage alone and the plain client.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use alys_chain::Genesis;
use alys_figure::Figure;
use alys_node::genesis;
use alys_node::home::{GENESIS_FILE, Home};
use alys_wire::Address;
use anyhow::{Result, ensure};
use clap::Args;

use crate::history::{self, Choice, Kind};
use crate::process::Process;
use crate::stages::{self, rate};

/// What a node does at least with empty blocks, from one source over loopback, on four cores.
const BAR_BLOCKS_PER_SECOND: f64 = 5_000.0;
/// What a syncing node may hold in memory at most, in MB.
const BAR_RSS_MB: u64 = 300;
/// Blocks that the plain client fetches: it is slow, and its rate is the same from the first block to the last.
const BASELINE_BLOCKS: u64 = 2_000;
/// What the figures call a connection within this machine.
const NET: &str = "loopback";

/// The arguments of `bench sync`.
#[derive(Debug, Args)]
pub struct Sync {
    #[command(flatten)]
    history: Choice,
    /// How many sources there are, each a process of its own.
    #[arg(long, default_value_t = 1)]
    sources: usize,
    /// Measure the sync only: no stages, no plain client, so no ceiling and no ratio.
    #[arg(long)]
    only: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(command: &Sync) -> Result<()> {
    ensure!(command.sources > 0, "a sync needs a source: --sources 1");
    let history = history::prepare(&command.history, command.sources)?;
    let (genesis, network) = genesis::read(&history.directories[0].join(GENESIS_FILE))?;
    let sources: Vec<(Process, Address)> =
        history.directories.iter().map(|directory| Process::source(directory)).collect::<Result<_>>()?;
    let (_running, addresses): (Vec<Process>, Vec<Address>) = sources.into_iter().unzip();
    let scratch = tempfile::tempdir_in(history::target())?;
    let room = Room { directory: scratch.path(), genesis: &genesis };
    let blocks = command.history.blocks();

    let beside = if command.only {
        None
    } else {
        let database = scratch.path().join("stages");
        let slowest = stages::measure(&network, &addresses[0], blocks, &database, |figure| {
            figure.print(command.json);
        })?;
        let baseline = room.fetch("baseline", blocks.min(BASELINE_BLOCKS), &addresses[..1])?;
        command.figure("baseline", &baseline, &history).print(command.json);
        Some((slowest, baseline.rate))
    };

    let synced = room.fetch("newcomer", blocks, &addresses)?;
    let fast = command.history.kind != Kind::Empty || synced.rate >= BAR_BLOCKS_PER_SECOND;
    let small = synced.rss_mb.is_none_or(|rss| rss < BAR_RSS_MB);
    let mut figure =
        command.figure("sync", &synced, &history).column("sources", command.sources).pass(fast && small);
    if let Some((slowest, baseline)) = beside {
        figure = figure.possible(slowest).against(baseline);
    }
    figure.print(command.json);
    ensure!(synced.head == history.head, "the head is {} and not {}", synced.head, history.head);
    ensure!(fast && small, "the bar is {BAR_BLOCKS_PER_SECOND} blocks/s in less than {BAR_RSS_MB} MB");
    Ok(())
}

/// Where fresh nodes of a network are made.
struct Room<'a> {
    directory: &'a Path,
    genesis: &'a Genesis,
}

/// What a process made of the history.
struct Fetched {
    blocks: u64,
    rate: f64,
    rss_mb: Option<u64>,
    head: String,
}

impl Room<'_> {
    /// Lets a process fetch so many blocks into a fresh data directory, and measures it from its start on.
    fn fetch(&self, what: &str, blocks: u64, from: &[Address]) -> Result<Fetched> {
        let directory = self.directory.join(what);
        drop(Home::init(&directory, self.genesis)?);
        let count = blocks.to_string();
        let mut arguments: Vec<OsString> =
            [what, "--blocks", &count, "--data-dir"].map(OsString::from).into();
        arguments.push(directory.into());
        arguments.extend(from.iter().flat_map(|source| ["--source".into(), source.to_string().into()]));
        let arguments: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
        let (report, took) = Process::start(&arguments)?.report()?;
        ensure!(report.blocks == blocks, "{what} fetched {} of {blocks} blocks", report.blocks);
        let rss_mb = report.peak_rss.map(|bytes| bytes / 1_000_000);
        Ok(Fetched { blocks, rate: rate(blocks, took), rss_mb, head: report.head })
    }
}

impl Sync {
    /// The columns have the names that are relied on.
    fn figure(&self, what: &str, fetched: &Fetched, history: &history::History) -> Figure {
        let kind = self.history.kind.name();
        let figure = Figure::new(format!("{what}/{NET}/{kind}"), fetched.rate, "blocks/s")
            .column("blocks", kind)
            .column("count", fetched.blocks)
            .column("net", NET)
            .column("mb_per_s", fetched.rate * history.block_bytes / 1e6);
        match fetched.rss_mb {
            Some(rss) => figure.column("rss_mb", rss),
            None => figure,
        }
    }
}
