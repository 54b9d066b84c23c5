//! This binary, started again as something that is measured: a source, a plain client, a fresh node.
//!
//! - **In**: a hidden command and its flags. **Out**: the lines that the process prints.
//! - **On failure**: what the process wrote to standard error is shown; a process that ends early is an error here.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use alys_wire::Address;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::newcomer::Asked;
use crate::trouble::Trouble;

/// A running process; it ends when this is dropped.
pub struct Process {
    child: Child,
    started: Instant,
    lines: BufReader<ChildStdout>,
    /// Kept open: a process whose standard input ends has lost us, and ends as well.
    _input: Option<ChildStdin>,
}

impl Process {
    /// Starts this binary with other arguments.
    pub fn start(arguments: &[&OsStr]) -> Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {arguments:?}"))?;
        let output = child.stdout.take().context("the process has no output")?;
        let input = child.stdin.take();
        Ok(Self { child, started, lines: BufReader::new(output), _input: input })
    }

    /// Waits for the next report, and says how long it took from the start of the process.
    pub fn report(&mut self) -> Result<(Report, Duration)> {
        self.answer()
    }

    /// The same of what is no report.
    pub fn answer<T: DeserializeOwned>(&mut self) -> Result<(T, Duration)> {
        let line = self.line()?;
        let took = self.started.elapsed();
        Ok((serde_json::from_str(&line).context("the process prints no report")?, took))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            bail!("the process ended early: {}", self.child.wait()?);
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A source that runs.
pub struct Source {
    _process: Process,
    /// Where it listens, and who it is.
    pub address: Address,
}

impl Source {
    /// Serves a data directory; the number says which of its requests stall, if it is one with which requests stall.
    pub fn start(directory: &Path, trouble: Option<Trouble>, number: usize) -> Result<Self> {
        Self::start_with(directory, trouble, number, &[])
    }

    /// The same with further arguments.
    pub fn start_with(
        directory: &Path,
        trouble: Option<Trouble>,
        number: usize,
        more: &[&str],
    ) -> Result<Self> {
        let seed = number.to_string();
        let mut arguments: Vec<&OsStr> =
            vec!["serve".as_ref(), "--data-dir".as_ref(), directory.as_os_str(), "--seed".as_ref()];
        arguments.push(seed.as_ref());
        let lie = trouble.and_then(|trouble| trouble.to_possible_value());
        if let Some(lie) = &lie {
            arguments.extend([OsStr::new("--lie"), OsStr::new(lie.get_name())]);
        }
        arguments.extend(more.iter().map(OsStr::new));
        let mut process = Process::start(&arguments)?;
        let address = process.line()?.parse().context("the source prints no address")?;
        Ok(Self { _process: process, address })
    }
}

/// What a process that has fetched a history says of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Report {
    /// How many blocks became durable.
    pub blocks: u64,
    /// The last of them.
    pub head: String,
    /// The most resident memory that the process ever had, in bytes; `None` where the system does not say.
    pub peak_rss: Option<u64>,
    /// What a node says of itself; the plain client has nothing to say.
    pub inside: Option<Inside>,
}

/// What a node counted.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Inside {
    /// The most bytes that its budget held, of the samples that were taken.
    pub budget_peak: u64,
    /// The bytes that it may hold.
    pub budget_total: u64,
    /// Bytes of bodies that came, those that came twice included.
    pub body_bytes: u64,
    /// Headers that were checked, those that came twice included.
    pub headers: u64,
    /// Bans that were imposed.
    pub bans: u64,
    /// Provable offences that were reported.
    pub offences: u64,
    /// Who is banned.
    pub banned: Vec<String>,
    /// From its first request until the last block was durable.
    pub worked: Duration,
    /// How many offences sync has blamed each peer for.
    pub blamed: BTreeMap<String, u64>,
    /// What each peer was asked for.
    pub asked: BTreeMap<String, Asked>,
}

impl Report {
    /// Prints it for [`Process::report`].
    pub fn print(&self) -> Result<()> {
        say(&serde_json::to_string(self)?)
    }
}

/// A line for whoever started this process.
pub fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
