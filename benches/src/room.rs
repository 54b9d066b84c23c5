//! Where runs are made: sources and proxy before each, a fresh node, what it did, and how much of that went through the links.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use alys_chain::{CertifiedHeader, Genesis};
use alys_node::genesis;
use alys_node::home::{GENESIS_FILE, Home};
use alys_wire::{Address, PeerId};
use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::history::{self, History, Kind};
use crate::judge::{Beside, float};
use crate::process::{Inside, Process, Report, Source};
use crate::proxy::{Link, Proxy};
use crate::rows::Row;
use crate::stages::{self, Ceilings};
use crate::trouble::Trouble;

/// A history, and a place for nodes that fetch it.
pub struct Room {
    scratch: TempDir,
    genesis: Genesis,
    network: alys_actors::chain::local::Network,
    /// What is fetched.
    pub history: History,
    /// How many blocks it has.
    pub blocks: u64,
    kind: Kind,
}

/// How the sources of a run are reached and what is wrong with them, in their order.
pub struct Guests {
    /// The link to each; none where they are dialled directly.
    pub links: Option<Vec<Link>>,
    /// What is wrong with each. There are as many sources as entries.
    pub troubles: Vec<Option<Trouble>>,
    /// Whether the node says meanwhile why the rate is what it is.
    pub explained: bool,
}

/// What came of a run.
pub struct Run {
    /// From the start of the process until the last block was durable.
    pub took: Duration,
    /// From its first request until then, by its own clock.
    pub worked: Duration,
    /// What the node says.
    pub report: Report,
    /// What the node counted.
    pub inside: Inside,
    /// Bytes that went over the links, if there are any.
    pub carried: Option<u64>,
    /// Who the sources are.
    pub peers: Vec<PeerId>,
}

impl Guests {
    /// Those of a row.
    pub fn of(row: &Row) -> Self {
        let troubles = (0..row.sources).map(|source| row.trouble(source)).collect();
        Self { links: row.links(), troubles, explained: false }
    }
}

impl Room {
    /// Prepares a history for so many sources.
    pub fn new(kind: Kind, blocks: u64, sources: usize) -> Result<Self> {
        let history = history::prepare(kind, blocks, sources)?;
        let (genesis, network) = genesis::read(&history.directories[0].join(GENESIS_FILE))?;
        let scratch = tempfile::tempdir_in(history::target())?;
        Ok(Self { scratch, genesis, network, history, blocks, kind })
    }

    /// Measures each stage alone.
    pub fn ceilings(&self) -> Result<Ceilings> {
        let source = Source::start(&self.history.directories[0], None, 0)?;
        let sample = self.blocks.min(self.kind.sample());
        stages::measure(&self.network, &source.address, sample, &self.scratch.path().join("stages"))
    }

    /// Measures each stage alone, then the plain client.
    pub fn beside(&self) -> Result<Beside> {
        let ceilings = self.ceilings()?;
        let source = Source::start(&self.history.directories[0], None, 0)?;
        let (directory, arguments) = self.fresh(
            "baseline",
            self.blocks.min(self.kind.plain()),
            std::slice::from_ref(&source.address),
        )?;
        let (report, took) = start(&arguments)?.report()?;
        std::fs::remove_dir_all(directory)?;
        Ok(Beside { ceilings, baseline: stages::rate(report.blocks, took) })
    }

    /// Lets a fresh node sync the whole history from these sources.
    pub fn sync(&self, guests: &Guests, cap: Option<u64>) -> Result<Run> {
        let directories = self.history.directories.iter().zip(&guests.troubles);
        let sources: Vec<Source> = directories
            .enumerate()
            .map(|(number, (directory, trouble))| Source::start(directory, *trouble, number))
            .collect::<Result<_>>()?;
        ensure!(sources.len() == guests.troubles.len(), "there are not enough copies of the history");
        let direct: Vec<Address> = sources.iter().map(|source| source.address.clone()).collect();
        let proxy = guests
            .links
            .as_ref()
            .map(|links| Proxy::start(&direct.iter().cloned().zip(links.iter().copied()).collect::<Vec<_>>()))
            .transpose()?;
        let dialled = proxy.as_ref().map_or(&direct[..], Proxy::addresses);
        let (directory, mut arguments) = self.fresh("newcomer", self.blocks, dialled)?;
        if let Some(cap) = cap {
            arguments.extend(["--cap".into(), cap.to_string().into()]);
        }
        if guests.explained {
            arguments.push("--explain".into());
        }
        let mut node = start(&arguments)?;
        let (report, took) = node.report()?;
        let carried = proxy.as_ref().map(Proxy::bytes);
        let inside = node.report()?.0.inside.context("the node has counted nothing")?;
        ensure!(report.head == self.history.head, "the head is {}, not {}", report.head, self.history.head);
        self.check_route(carried, guests)?;
        let peers = direct.iter().filter_map(|address| address.split_peer().1).collect();
        drop(node);
        std::fs::remove_dir_all(directory)?;
        let worked = inside.worked;
        Ok(Run { took, worked, report, inside, carried, peers })
    }

    /// If every source is behind a link, every block came over one: a node that found another way would make the row worthless.
    fn check_route(&self, carried: Option<u64>, guests: &Guests) -> Result<()> {
        let all_linked = guests.links.as_ref().is_some_and(|links| links.len() == guests.troubles.len());
        let blocks = float(self.blocks) * self.history.block_bytes;
        // Blocks weigh about as much as the last one, not exactly.
        let came_over = float(carried.unwrap_or_default()) > 0.9 * blocks;
        ensure!(
            !all_linked || came_over,
            "the blocks did not come over the links: {carried:?} of {blocks} bytes"
        );
        Ok(())
    }

    /// A fresh data directory, and the arguments of a process that fills it.
    fn fresh(&self, what: &str, blocks: u64, from: &[Address]) -> Result<(PathBuf, Vec<OsString>)> {
        let directory = self.scratch.path().join(what);
        drop(Home::init(&directory, &self.genesis)?);
        let count = blocks.to_string();
        let mut arguments: Vec<OsString> =
            [what, "--blocks", &count, "--data-dir"].map(OsString::from).into();
        arguments.push(directory.clone().into());
        arguments.extend(from.iter().flat_map(|source| ["--source".into(), source.to_string().into()]));
        Ok((directory, arguments))
    }
}

fn start(arguments: &[OsString]) -> Result<Process> {
    Process::start(&arguments.iter().map(OsString::as_os_str).collect::<Vec<&OsStr>>())
}

impl Run {
    /// Bytes of bodies that came more than once, as a share of all bodies of the history.
    pub fn duplicates(&self, room: &Room) -> f64 {
        let all = self.all_bodies(room);
        if all > 0.0 { (float(self.inside.body_bytes) / all - 1.0).max(0.0) } else { 0.0 }
    }

    /// Bytes on the links that were neither headers nor bodies, as a share of the blocks.
    pub fn overhead(&self, room: &Room) -> Option<f64> {
        let carried = float(self.carried?);
        let headers = float(self.inside.headers) * f64::from(u16::try_from(CertifiedHeader::SIZE).ok()?);
        let blocks = float(room.blocks) * room.history.block_bytes;
        Some((carried - headers - float(self.inside.body_bytes)) / blocks)
    }

    fn all_bodies(&self, room: &Room) -> f64 {
        float(room.blocks) * room.history.body_bytes
    }
}
