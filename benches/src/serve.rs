//! `bench serve` (hidden): a source in a process of its own, which serves a data directory over TCP and TLS on loopback.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use alys_actor::Clock;
use alys_actors::chain::{self, ChainSource};
use alys_node::home::Home;
use alys_storage::Store;
use alys_transport::{Config, Event, Identity, ServingLimits, Transport, start};
use alys_wire::Address;
use anyhow::{Context, Result};
use clap::Args;

use crate::process::say;

/// The arguments.
#[derive(Debug, Args)]
pub struct Serve {
    /// The data directory.
    #[arg(long)]
    data_dir: PathBuf,
}

/// Prints the address, and serves until standard input ends.
pub fn run(command: &Serve) -> Result<()> {
    std::thread::spawn(|| {
        // Whoever started this process is gone.
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(Home::open(&command.data_dir, None)?))
}

async fn serve(home: Home) -> Result<()> {
    let network = home.network();
    let store: Arc<dyn Store> = Arc::new(home.store()?);
    let (chain, _inbox) = chain::mailbox(network, &chain::Config::default());
    let source = ChainSource::new(store, network.rules.clone(), Clock::system(), chain.watch(), None);
    let mut config = Config::new(network.rules.genesis_id());
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
    let (transport, mut events) = start(&config, &Identity::generate(), Arc::new(source))?;
    while let Some(event) = events.recv().await {
        if let Event::Listening { address } = event {
            say(&address.with_peer(transport.local_peer()).to_string())?;
        }
    }
    None.context("the transport has stopped")
}
