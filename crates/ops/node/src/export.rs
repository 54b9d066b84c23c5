//! `alys export`: writes the chain of a data directory into a file.
//!
//! - **In**: a data directory that no node is using. **Out**: a chain file, whole or not at all.

use std::path::{Path, PathBuf};

use alys_chain::Height;
use alys_storage::{BlockKey, CertifiedBytes, Limit, Store};
use clap::Args;

use crate::chainfile::Writer;
use crate::cli::At;
use crate::console::{grouped, say};
use crate::exit::{Exit, Failure};
use crate::home::Home;
use crate::progress::Progress;

/// Rows that are read at once: enough to read in sequence, and a few blocks of the greatest size at most.
const READ: Limit = Limit { count: 1_024, bytes: 8 * 1024 * 1024 };

/// The arguments of `alys export`.
#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    at: At,
    /// The new file.
    file: PathBuf,
    /// The first height.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    from: u64,
    /// The last height; the head if it is not given.
    #[arg(long)]
    to: Option<u64>,
}

/// Runs the command.
///
/// # Errors
/// [`Exit::System`] for the file, and what [`Home::open`] says.
pub fn run(command: &Export) -> Result<(), Failure> {
    let home = Home::open(&command.at.data_dir, None)?;
    let store = home.store()?;
    let last = command.to.map_or(Ok(store.head()?.height), |to| within(&store, Height(to)))?;
    let count = write(&store, &command.file, Height(command.from), last)?;
    say(format!("exported {} blocks to {}", grouped(count), command.file.display()));
    Ok(())
}

fn within(store: &dyn Store, to: Height) -> Result<Height, Failure> {
    let head = store.head()?.height;
    if to <= head {
        return Ok(to);
    }
    Err(Failure::new(Exit::Usage, format!("the chain ends at height {head}: --to cannot be {to}")))
}

/// Writes the canonical chain from one height to another, both included.
///
/// # Errors
/// [`Exit::Storage`] when the store fails or lacks a block, [`Exit::System`] for the file.
pub fn write(store: &dyn Store, file: &Path, from: Height, last: Height) -> Result<u64, Failure> {
    let mut writer = Writer::create(file, store.genesis())?;
    let mut progress = Progress::new("exported", Some(last.saturating_add(1).ahead_of(from)));
    let mut next = from;
    while next <= last {
        let count = usize::try_from(last.ahead_of(next)).unwrap_or(usize::MAX).saturating_add(1);
        let headers = store.certified_headers(next, Limit { count: READ.count.min(count), ..READ })?;
        let written = append(&mut writer, store, &headers)?;
        if written == 0 {
            let message = format!(
                "block {next} is missing in the database: move the data directory away and sync again"
            );
            return Err(Failure::new(Exit::Storage, message));
        }
        next = next.saturating_add(written);
        progress.advance(written);
    }
    Ok(writer.finish()?)
}

/// Appends as many of the blocks as one read of bodies brings.
fn append(writer: &mut Writer, store: &dyn Store, headers: &[CertifiedBytes]) -> Result<u64, Failure> {
    let ids: Vec<_> = headers.iter().map(|header| header.block.id).collect();
    let bodies = store.bodies(&ids, READ)?;
    let mut written = 0;
    for (header, body) in headers.iter().zip(bodies) {
        let BlockKey { height, id } = header.block;
        let body = body.ok_or_else(|| {
            Failure::new(Exit::Storage, format!("the body of block {height} is missing in the database: move the data directory away and sync again"))
        })?;
        writer.append(id, &header.bytes, &body)?;
        written += 1;
    }
    Ok(written)
}
