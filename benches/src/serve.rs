//! `bench serve` (hidden): a source in a process of its own, which serves a data directory over TCP and TLS on loopback, honestly or not.

use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;

use alys_actor::Clock;
use alys_actors::chain::snapshot::Snapshots;
use alys_actors::chain::{self, ChainSource};
use alys_node::home::Home;
use alys_storage::Store;
use alys_transport::{BlockSource, Config, Event, Identity, ServingLimits, Transport, start};
use alys_wire::Address;
use anyhow::{Context, Result};
use clap::Args;

use crate::process::say;
use crate::snapshot;
use crate::trouble::{Trouble, Troubled};

/// The arguments.
#[derive(Debug, Args)]
pub struct Serve {
    /// The data directory.
    #[arg(long)]
    data_dir: PathBuf,
    /// What is wrong with this source.
    #[arg(long = "lie", value_enum)]
    trouble: Option<Trouble>,
    /// Which requests stall.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Offer the state of the last final block, then make so many blocks more.
    #[arg(long)]
    further: Option<u64>,
    /// Transfers in each block of the history, and in those.
    #[arg(long, default_value_t = 0)]
    transfers: usize,
}

/// Prints the address, then serves until the standard input ends.
pub fn run(command: &Serve) -> Result<()> {
    let home = Home::open(&command.data_dir, None)?;
    let (store, states) = match command.further {
        None => (Arc::new(home.store()?) as Arc<dyn Store>, Snapshots::default()),
        Some(further) => snapshot::offer(&home, further, command.transfers)?,
    };
    let (chain, _inbox) = chain::mailbox(home.network(), &chain::Config::default());
    let rules = home.network().rules.clone();
    let honest = ChainSource::new(store, rules, Clock::system(), chain.watch(), None);
    let honest = Arc::new(honest.with_snapshots(states));
    let source = Arc::new(Troubled::new(honest, command.trouble, command.seed));
    std::thread::spawn(move || {
        for _ in std::io::stdin().lock().lines() {}
        // Whoever started this process is gone.
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(&home, source))
}

async fn serve(home: &Home, source: Arc<dyn BlockSource>) -> Result<()> {
    let mut config = Config::new(home.network().rules.genesis_id());
    config.listen = vec![Address("/ip4/127.0.0.1/tcp/0".to_owned())];
    config.discovery = None;
    // The source gives what it has: the limits of a node that is busy with other things are not what is measured.
    config.serving = ServingLimits {
        requests_per_second: u32::MAX,
        requests_burst: u32::MAX,
        bytes_per_second: u64::MAX,
        bytes_burst: u64::MAX,
        ..ServingLimits::default()
    };
    let (transport, mut events) = start(&config, &Identity::generate(), source)?;
    while let Some(event) = events.recv().await {
        if let Event::Listening { address } = event {
            say(&address.with_peer(transport.local_peer()).to_string())?;
        }
    }
    None.context("the transport has stopped")
}
