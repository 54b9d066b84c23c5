//! `bench newcomer` (hidden): a fresh node in a process of its own, which syncs until the last block of the history is durable.
//!
//! It is the node as `alys node` makes it, but for what it has no use for here: it listens nowhere, looks for no other peers and answers no RPC.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use alys_actor::{Clock, Pool, Randomness};
use alys_actors::peer::Book;
use alys_actors::{Base, Connect, Node, Parts, Settings, start};
use alys_node::home::Home;
use alys_node::progress::peak_rss;
use alys_storage::{Checkpoints, Store};
use alys_transport::{Config, Identity, Transport};
use alys_wire::Address;
use anyhow::Result;

use crate::baseline::Baseline;
use crate::process::Report;

/// Syncs the blocks and prints a [`Report`].
pub fn run(command: &Baseline) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(sync(command))
}

async fn sync(command: &Baseline) -> Result<()> {
    let home = Home::open(&command.data_dir, None)?;
    let node = node(&home, &command.sources)?;
    let mut view = node.chain.watch();
    let head = view.wait_for(|view| view.head.height.get() >= command.blocks).await?.head;
    Report { blocks: head.height.get(), head: head.id.to_string(), peak_rss: peak_rss() }.print()?;
    node.stop().await;
    Ok(())
}

fn node(home: &Home, sources: &[Address]) -> Result<Node> {
    let identity = Identity::generate();
    let mut config = Config::new(home.network().rules.genesis_id());
    config.discovery = None;
    let cores = available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let mut settings = Settings::default();
    settings.peers.bootnodes = sources.to_vec();
    settings.sync.workers = cores;
    let store: Arc<dyn Store> = Arc::new(home.store()?);
    let base = Base {
        settings,
        network: home.network().clone(),
        store,
        checkpoints: Some(Arc::new(Checkpoints::open(&home.directory().checkpoints())?)),
        book: Book::Memory(Arc::default()),
        local: identity.peer(),
        clock: Clock::system(),
        pool: Pool::threads(cores)?,
        randomness: Randomness::system(),
    };
    let connect: Connect = Box::new(move |source| {
        let (transport, events) = alys_transport::start(&config, &identity, source)?;
        let transport: Arc<dyn Transport> = Arc::new(transport);
        Ok((transport, events))
    });
    Ok(start(Parts { base, connect, authority: None })?)
}
