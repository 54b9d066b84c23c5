//! `alys checkpoint`: the checkpoints of a node, of one that is stopped through its data directory, of one that runs through its RPC.
//!
//! - **In**: a data directory that no node uses, or an RPC address. **Out**: a table for people, or JSON for programs; files.
//! - **On failure**: [`Exit::Checkpoint`] when none fits, [`Exit::InUse`] when a node uses the directory (then ask it: `--rpc`),
//!   [`Exit::Unreachable`], [`Exit::Refused`].

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alys_actors::sync::{CheckpointDesk, CheckpointFailed, Examined};
use alys_chain::Height;
use alys_rpc::status::{BlockInfo, CheckpointInfo};
use alys_storage::Checkpoints;
use bytes::Bytes;
use clap::{Args, Subcommand};

use crate::ask::{ask, print};
use crate::cli::At;
use crate::console::{grouped, say, table};
use crate::exit::{Exit, Failure};
use crate::home::{BOOK_FILE, Home};

/// The commands of `alys checkpoint`.
#[derive(Debug, Subcommand)]
pub enum Checkpoint {
    /// All of them, the newest first, and what each is worth.
    List(Place),
    /// Write one of the last final block now.
    Create(Place),
    /// Hold one against the store, or the newest if no height is named; the exit code tells.
    Verify(Verify),
    /// Copy one to a new file.
    Export(Export),
    /// Take in a file, if it fits the store.
    Import(Import),
}

/// Whose checkpoints.
#[derive(Debug, Args)]
pub struct Place {
    #[command(flatten)]
    at: At,
    /// Ask the node that runs at this RPC address instead.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "data_dir")]
    rpc: Option<SocketAddr>,
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// The arguments of `alys checkpoint verify`.
#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    place: Place,
    /// Its height.
    height: Option<u64>,
}

/// The arguments of `alys checkpoint export`.
#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    at: At,
    /// Its height.
    height: u64,
    /// The new file.
    file: PathBuf,
}

/// The arguments of `alys checkpoint import`.
#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    at: At,
    /// The file.
    file: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// See the [module](self).
pub fn run(command: &Checkpoint) -> Result<(), Failure> {
    match command {
        Checkpoint::List(place) => {
            let all = list(place)?;
            print(place.json, &all, || rows(&all));
            Ok(())
        }
        Checkpoint::Create(place) => {
            let height = create(place)?;
            print(place.json, &height, || format!("checkpoint of height {} written", grouped(height)));
            Ok(())
        }
        Checkpoint::Verify(Verify { place, height }) => verify(place, *height),
        Checkpoint::Export(Export { at, height, file }) => {
            Desk::open(&at.data_dir)?.desk.export(Height(*height), file)?;
            say(format!("checkpoint of height {} copied to {}", grouped(*height), file.display()));
            Ok(())
        }
        Checkpoint::Import(Import { at, file }) => {
            let taken = Desk::open(&at.data_dir)?.desk.import(file)?;
            say(format!("checkpoint of height {} taken in", grouped(taken.height.get())));
            Ok(())
        }
    }
}

fn list(place: &Place) -> Result<Vec<CheckpointInfo>, Failure> {
    match place.rpc {
        Some(rpc) => ask(rpc, async |client| client.checkpoints().await),
        None => Ok(Desk::open(&place.at.data_dir)?.desk.list()?.into_iter().map(info).collect()),
    }
}

fn create(place: &Place) -> Result<u64, Failure> {
    match place.rpc {
        Some(rpc) => ask(rpc, async |client| client.create_checkpoint().await),
        None => Desk::open(&place.at.data_dir)?.create(),
    }
}

fn verify(place: &Place, height: Option<u64>) -> Result<(), Failure> {
    let none =
        || Failure::new(Exit::Checkpoint, "there is no such checkpoint: `alys checkpoint list` shows them");
    let mut all = list(place)?.into_iter();
    let found = all.find(|one| height.is_none_or(|height| one.height == height)).ok_or_else(none)?;
    if let Some(why) = &found.refused {
        return Err(Failure::new(
            Exit::Checkpoint,
            format!("the checkpoint of height {} is unfit: {why}", found.height),
        ));
    }
    print(place.json, &found, || {
        format!("the checkpoint of height {} fits the store", grouped(found.height))
    });
    Ok(())
}

/// The checkpoints of a stopped node.
struct Desk {
    desk: CheckpointDesk,
    finalized: Height,
    /// Locked for as long as the desk is open.
    home: Home,
}

impl Desk {
    fn open(root: &Path) -> Result<Self, Failure> {
        let home = Home::open(root, None)?;
        let settings = home.layers()?.settings()?;
        let files = Arc::new(Checkpoints::open(&home.directory().checkpoints())?);
        let (chain, rules) = (home.chain()?, home.network().rules.clone());
        let kept = settings.sync.checkpoint_retention as usize;
        let desk = CheckpointDesk::new(files, chain.store().clone(), rules, kept);
        Ok(Self { desk, finalized: chain.finalized().height, home })
    }

    /// With the peer book as it was saved last.
    fn create(&self) -> Result<u64, Failure> {
        let book = std::fs::read(self.home.directory().peers().join(BOOK_FILE)).unwrap_or_default();
        Ok(self.desk.write(self.finalized, Bytes::from(book))?.get())
    }
}

/// A file, as the RPC words it.
#[must_use]
pub fn info(file: Examined) -> CheckpointInfo {
    let Examined { height, bytes, verdict } = file;
    let mut info = CheckpointInfo { height: height.get(), bytes, ..CheckpointInfo::default() };
    match verdict {
        Ok(held) => {
            let (slot, id) = (held.slot.get(), held.block.to_string());
            info.block = Some(BlockInfo { height: held.height.get(), slot, id });
            info.peers_bytes = held.peers.len() as u64;
        }
        Err(why) => info.refused = Some(why),
    }
    info
}

fn rows(all: &[CheckpointInfo]) -> String {
    if all.is_empty() {
        return "no checkpoints".to_owned();
    }
    let head = ["height", "slot", "size", "peer states", "verdict"].map(str::to_owned).to_vec();
    let row = |one: &CheckpointInfo| {
        vec![
            grouped(one.height),
            one.block.as_ref().map_or_else(|| "-".to_owned(), |block| grouped(block.slot)),
            format!("{} B", grouped(one.bytes)),
            format!("{} B", grouped(one.peers_bytes)),
            one.refused.as_ref().map_or_else(|| "fits".to_owned(), |why| format!("passed over: {why}")),
        ]
    };
    table(&std::iter::once(head).chain(all.iter().map(row)).collect::<Vec<_>>())
}

impl From<CheckpointFailed> for Failure {
    fn from(why: CheckpointFailed) -> Self {
        let exit = match why {
            CheckpointFailed::Ours(_) => Exit::Storage,
            _ => Exit::Checkpoint,
        };
        Self::new(exit, why.to_string())
    }
}
