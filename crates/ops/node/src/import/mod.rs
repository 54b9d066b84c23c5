//! `alys import`: reads a chain file into a data directory, and believes none of it.
//!
//! - **In**: a chain file. **Out**: its blocks in the directory, each with its links, approvals, body, transactions and state root checked.
//! - **How**: three stages beside each other. One thread reads, all cores verify, one thread executes and commits; one group waits between
//!   two stages, so memory is bounded and the slowest stage sets the pace.
//! - **On failure**: the height, what is wrong with it, and where the head is: everything before it stays imported. A second run goes on from
//!   there.

mod stages;

use std::path::PathBuf;
use std::sync::Arc;

use alys_actor::Clock;
use alys_actors::chain::local::LocalChain;
use alys_chain::UnixMillis;
use alys_figure::Figure;
use alys_storage::Store;
use clap::Args;

use crate::chainfile::Reader;
use crate::cli::At;
use crate::console::{duration, grouped, say};
use crate::exit::Failure;
use crate::home::Home;
use crate::progress::{Progress, peak_rss};

pub use stages::import;

/// The arguments of `alys import`.
#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    at: At,
    /// The chain file.
    file: PathBuf,
    /// End with a figure as a JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// [`Exit::ChainFile`](crate::exit::Exit::ChainFile), [`Exit::InvalidBlock`](crate::exit::Exit::InvalidBlock),
/// [`Exit::Genesis`](crate::exit::Exit::Genesis), and what [`Home::open`] says.
pub fn run(command: &Import) -> Result<(), Failure> {
    let home = Home::open(&command.at.data_dir, None)?;
    let reader = Reader::open(&command.file)?;
    reader.expect_genesis(home.network().rules.genesis_id())?;
    let store: Arc<dyn Store> = Arc::new(home.store()?);
    let mut chain = LocalChain::open(home.network().clone(), store)?;
    let mut progress = Progress::new("imported", reader.announced());
    let size = reader.position().1;
    let result = import(&mut chain, reader, now(), &mut |blocks| progress.advance(blocks));
    let head = chain.head();
    if let Err(Failure { exit, message }) = result {
        let message =
            format!("{message}; what came before it is imported, the head is at height {}", head.height);
        return Err(Failure::new(exit, message));
    }
    if command.json {
        figure(&progress, size).print(true);
    } else {
        say(format!(
            "imported {} blocks in {} ({:.0} blocks/s); the head is {} at height {}, the last final height is {}",
            grouped(progress.done()),
            duration(progress.elapsed().as_secs()),
            progress.rate(),
            head.id,
            head.height,
            chain.finalized().height
        ));
    }
    Ok(())
}

fn now() -> UnixMillis {
    Clock::system().unix()
}

/// The names are relied on: `blocks`, `mb_per_s`, `rss_mb`.
fn figure(progress: &Progress, bytes: u64) -> Figure {
    let seconds = progress.elapsed().as_secs_f64();
    let megabytes = f64::from(u32::try_from(bytes / 1_000).unwrap_or(u32::MAX)) / 1_000.0;
    let figure = Figure::new("import", progress.rate(), "blocks/s")
        .column("blocks", progress.done())
        .column("seconds", seconds)
        .column("mb_per_s", megabytes / seconds);
    match peak_rss() {
        Some(rss) => figure.column("rss_mb", rss / 1_000_000),
        None => figure,
    }
}

#[cfg(test)]
mod tests;
