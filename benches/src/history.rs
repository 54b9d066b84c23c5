//! The history that sources serve: generated once with real transactions and approvals, then kept under the build directory.

use std::fs;
use std::path::{Path, PathBuf};

use alys_actor::Clock;
use alys_chain::{CertifiedHeader, Header};
use alys_node::generate::{self, Load, Plan};
use alys_node::home::Home;
use alys_node::progress::Progress;
use alys_storage::Store;
use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::federation::Federation;

/// Changes when the same parameters give another history.
const VERSION: u32 = 3;
/// How many authorities approve: as many as a federation may have.
const AUTHORITIES: u8 = 15;
/// How many different sets of signers the certificates have: somebody is always missing, as in life, which is what makes batches dearer.
const SIGNER_SETS: usize = 16;
/// Transfers in a full block: what its gas limit of 30 million holds at 21,000 each.
const TRANSFERS: usize = 1_428;
/// Transactions of a block of a megabyte, each below the limit of 128 KiB.
const MEGABYTE_PARTS: usize = 8;

/// What is in the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// Nothing.
    Empty,
    /// One transaction with 100 kB of calldata: the blocks that other systems are measured with.
    Calldata,
    /// One transaction with 10 kB of calldata.
    Calldata10k,
    /// Transfers up to the gas limit.
    Transfers,
    /// A megabyte of calldata.
    Megabyte,
}

impl Kind {
    /// As it is called in figures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Calldata => "calldata",
            Self::Calldata10k => "calldata10k",
            Self::Transfers => "transfers",
            Self::Megabyte => "megabyte",
        }
    }

    const fn load(self) -> Load {
        match self {
            Self::Empty => Load::new(0, 0),
            Self::Calldata => Load::new(1, 100_000),
            Self::Calldata10k => Load::new(1, 10_000),
            Self::Transfers => Load::new(TRANSFERS, 0),
            Self::Megabyte => Load::new(MEGABYTE_PARTS, 125_000),
        }
    }

    /// How many blocks there are if nobody says how many.
    pub const fn blocks(self, scale: Scale) -> u64 {
        // In full: as many as the figures are promised for, or some seconds of work. Quick: a second or two. For the check: some five seconds on two
        // cores, beside which the first round trips weigh little.
        let (full, quick, check) = match self {
            Self::Empty => (100_000, 20_000, 40_000),
            Self::Calldata => (10_000, 2_000, 2_000),
            Self::Calldata10k => (200_000, 20_000, 12_000),
            Self::Transfers => (500, 100, 60),
            Self::Megabyte => (1_000, 200, 50),
        };
        match scale {
            Scale::Full => full,
            Scale::Quick => quick,
            Scale::Check => check,
        }
    }

    /// Blocks of which each stage is measured alone: they are held in memory, some of them twice.
    pub const fn sample(self) -> u64 {
        match self {
            Self::Empty => 20_000,
            Self::Calldata => 2_000,
            Self::Calldata10k => 10_000,
            Self::Transfers => 100,
            Self::Megabyte => 200,
        }
    }

    /// Blocks that the plain client fetches: it is slow, and its rate is the same from the first block to the last.
    pub const fn plain(self) -> u64 {
        match self {
            Self::Empty => 2_000,
            Self::Calldata | Self::Calldata10k => 500,
            Self::Transfers | Self::Megabyte => 50,
        }
    }
}

/// How long a run may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Some minutes.
    Full,
    /// Some seconds a row.
    Quick,
    /// What every change can afford.
    Check,
}

/// The build directory.
pub fn target() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(default, PathBuf::from)
}

/// A history on disk.
pub struct History {
    /// A data directory that holds it, for each source.
    pub directories: Vec<PathBuf>,
    /// Its last block.
    pub head: String,
    /// A block of it in bytes, on the average: body, header and certificate.
    pub block_bytes: f64,
    /// Its body alone, in bytes.
    pub body_bytes: f64,
}

/// So many blocks of a kind, for so many sources: generated if they are not there.
pub fn prepare(kind: Kind, blocks: u64, sources: usize) -> Result<History> {
    keep(kind.name(), Plan { blocks, load: kind.load() }, blocks, sources)
}

/// A history by name, for so many sources, in whose network so many slots are over at least: generated if it is not there.
pub fn keep(name: &str, plan: Plan, slots: u64, sources: usize) -> Result<History> {
    let name = format!("v{VERSION}-{name}-{}-by-{AUTHORITIES}-in-{SIGNER_SETS}", plan.blocks);
    let place = target().join("bench-history").join(name);
    let first = place.join("source-0");
    if !first.exists() {
        let unfinished = place.join("unfinished");
        fs::remove_dir_all(&unfinished).ok();
        generate(plan, slots, &unfinished)?;
        fs::rename(&unfinished, &first).context("the history cannot be put in its place")?;
    }
    let directories: Vec<PathBuf> =
        (0..sources).map(|number| place.join(format!("source-{number}"))).collect();
    for directory in directories.iter().filter(|directory| !directory.exists()) {
        let unfinished = place.join("unfinished");
        fs::remove_dir_all(&unfinished).ok();
        copy(&first, &unfinished)?;
        fs::rename(&unfinished, directory).context("the copy cannot be put in its place")?;
    }
    let (head, body_bytes) = describe(&first)?;
    let block_bytes = body_bytes + f64::from(u32::try_from(CertifiedHeader::SIZE)?);
    Ok(History { directories, head, block_bytes, body_bytes })
}

/// The last block, and what a body weighs: all of them weigh about as much as the last one.
fn describe(directory: &Path) -> Result<(String, f64)> {
    let store = Home::open(directory, None)?.store()?;
    let head = store.head()?.id;
    let body = store.body(head)?.unwrap_or_default();
    Ok((head.to_string(), u32::try_from(body.0.len())?.into()))
}

/// The federation of all histories.
pub fn federation() -> Result<Federation> {
    Federation::new(AUTHORITIES, SIGNER_SETS)
}

fn generate(plan: Plan, slots: u64, root: &Path) -> Result<()> {
    let federation = federation()?;
    let genesis = generate::genesis_of(federation.genesis.clone(), slots, Clock::system().unix());
    let home = Home::init(root, &genesis)?;
    let rules = home.network().rules.clone();
    let certify = |header: &Header, block, _| federation.certify(&rules, header, block);
    let mut progress = Progress::new("generated", Some(plan.blocks));
    generate::history_certified_by(&[home], &certify, plan, |more| progress.advance(more))?;
    Ok(())
}

/// A data directory that nobody has open. What the database never changes once it is written is not copied, only linked.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let is_called = |name: &str| from.file_name().is_some_and(|file| file == name);
    let entries: Vec<_> = fs::read_dir(from)?.collect::<Result<_, _>>()?;
    // Bodies are appended to the last file.
    let last = entries.iter().map(fs::DirEntry::file_name).max();
    for entry in entries {
        let is_full = is_called("bodies") && Some(entry.file_name()) != last;
        let is_final = is_called("tables") || is_called("blobs") || is_full;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if !is_final || fs::hard_link(entry.path(), &target).is_err() {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
