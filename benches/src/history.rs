//! The history that sources serve: generated once with real transactions and approvals, then kept under the build directory.

use std::fs;
use std::path::{Path, PathBuf};

use alys_actor::Clock;
use alys_chain::{Certificate, CertifiedHeader, Header, Height};
use alys_node::generate::{self, Load, Plan};
use alys_node::home::Home;
use alys_storage::{Batch, ChainStore, Durability, Store};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::cores;
use crate::federation::Federation;

/// Changes when the same parameters give another history.
const VERSION: u32 = 1;
/// Certificates that are signed together and written together.
const GROUP: usize = 1_024;
/// Calldata of a block of the kind `calldata`, in bytes: that of the blocks that other systems are measured with.
const CALLDATA_BYTES: usize = 100_000;
/// Transfers in a block of the kind `transfers`: about as many as one core checks and executes in a millisecond.
const TRANSFERS: usize = 20;

/// What is in the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Nothing.
    Empty,
    /// One transaction with 100 kB of calldata.
    Calldata,
    /// Twenty transfers.
    Transfers,
}

impl Kind {
    /// As it is called in figures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Calldata => "calldata",
            Self::Transfers => "transfers",
        }
    }

    const fn load(self) -> Load {
        match self {
            Self::Empty => Load { transactions: 0, calldata: 0 },
            Self::Calldata => Load { transactions: 1, calldata: CALLDATA_BYTES },
            Self::Transfers => Load { transactions: TRANSFERS, calldata: 0 },
        }
    }

    /// Blocks if nobody says how many: enough for some seconds, few enough for the disk.
    const fn blocks(self) -> u64 {
        match self {
            Self::Empty => 20_000,
            Self::Calldata => 2_000,
            Self::Transfers => 5_000,
        }
    }
}

/// Which history.
#[derive(Clone, Debug, Args)]
pub struct Choice {
    /// What is in the blocks.
    #[arg(long = "blocks-kind", value_enum, default_value_t = Kind::Empty)]
    pub kind: Kind,
    /// How many blocks; 20,000 empty ones, 2,000 with calldata, 5,000 with transfers if it is left out.
    #[arg(long)]
    blocks: Option<u64>,
    /// How many authorities approve.
    #[arg(long, default_value_t = 15)]
    pub authorities: u8,
    /// How many different sets of signers their certificates have.
    #[arg(long, default_value_t = 16)]
    pub signer_sets: usize,
}

impl Choice {
    /// How many blocks.
    pub fn blocks(&self) -> u64 {
        self.blocks.unwrap_or(self.kind.blocks())
    }

    fn directory(&self) -> PathBuf {
        let Self { kind, authorities, signer_sets, .. } = self;
        let (kind, blocks) = (kind.name(), self.blocks());
        let name = format!("v{VERSION}-{kind}-{blocks}-by-{authorities}-in-{signer_sets}");
        target().join("bench-history").join(name)
    }
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
}

/// The chosen history for so many sources: generated if it is not there.
pub fn prepare(choice: &Choice, sources: usize) -> Result<History> {
    let place = choice.directory();
    let first = place.join("source-0");
    if !first.exists() {
        let unfinished = place.join("unfinished");
        fs::remove_dir_all(&unfinished).ok();
        eprintln!("generating a history of {} blocks, once", choice.blocks());
        generate(choice, &unfinished)?;
        fs::rename(&unfinished, &first).context("the history cannot be put in its place")?;
    }
    let directories: Vec<PathBuf> =
        (0..sources).map(|number| place.join(format!("source-{number}"))).collect();
    for directory in directories.iter().filter(|directory| !directory.exists()) {
        copy(&first, directory)?;
    }
    let (head, block_bytes) = describe(&first)?;
    Ok(History { directories, head, block_bytes })
}

/// The last block, and what a block weighs: all of them weigh about as much as the last one.
fn describe(directory: &Path) -> Result<(String, f64)> {
    let store = Home::open(directory, None)?.store()?;
    let head = store.head()?.id;
    let body = store.body(head)?.unwrap_or_default();
    let bytes = u32::try_from(body.0.len() + CertifiedHeader::SIZE)?;
    Ok((head.to_string(), bytes.into()))
}

fn generate(choice: &Choice, root: &Path) -> Result<()> {
    let federation = Federation::new(choice.authorities, choice.signer_sets)?;
    let blocks = choice.blocks();
    let genesis = generate::genesis_of(federation.genesis.clone(), blocks, Clock::system().unix());
    let home = Home::init(root, &genesis)?;
    let plan = Plan { blocks, load: choice.kind.load() };
    generate::history(std::slice::from_ref(&home), &federation.keys, plan, |_| ())?;
    vary_signers(&federation, &home, blocks)
}

/// The generator lets everybody sign everything. Here somebody is always missing, as in life, which is what makes batches dearer.
fn vary_signers(federation: &Federation, home: &Home, blocks: u64) -> Result<()> {
    let store = home.store()?;
    let heights: Vec<Height> = (1..=blocks).map(Height).collect();
    for group in heights.chunks(GROUP) {
        let headers = group.iter().map(|height| header(&store, *height)).collect::<Result<Vec<_>>>()?;
        let rules = &home.network().rules;
        let certificates: Vec<Certificate> =
            cores::map(&headers, |header| federation.certify(rules, header, header.id()));
        let mut batch = Batch::new();
        for certificate in &certificates {
            batch.certify(certificate);
        }
        store.commit(batch, Durability::Durable)?;
    }
    Ok(())
}

fn header(store: &ChainStore, height: Height) -> Result<Header> {
    let id = store.canonical(height)?.context("a height of the history has no block")?;
    let stored = store.header(id)?.context("a block of the history has no header")?;
    Ok(stored.header)
}

/// A data directory that nobody has open, file by file.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
