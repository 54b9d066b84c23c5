//! `bench newcomer` (hidden): a fresh node in a process of its own, which syncs until the last block of the history is durable.
//!
//! It is the node as `alys node` makes it, but for what it has no use for here: it listens nowhere, looks for no other peers and answers no RPC.

mod asked;

use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use alys_actor::{Clock, Pool, Randomness};
use alys_actors::peer::Book;
use alys_actors::{Base, Connect, Node, Parts, Settings, start};
use alys_node::explain::info;
use alys_node::home::Home;
use alys_node::progress::peak_rss;
use alys_storage::{Checkpoints, Store};
use alys_transport::{Config, Identity, Traffic, Transport};
use alys_wire::Address;
use anyhow::Result;
use clap::Args;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::baseline::Baseline;
use crate::peculiar::Peculiar;
use crate::process::{Inside, Report};

pub use asked::Asked;
use asked::{Counting, Counts};

/// How often the budget is looked at.
const SAMPLE: Duration = Duration::from_millis(10);
/// How often it is told why the rate is what it is.
const EXPLAINED_EVERY: Duration = Duration::from_secs(2);
/// The book shows its peers as of the last second.
const BOOK_AGE: Duration = Duration::from_millis(1_100);

/// The arguments.
#[derive(Debug, Args)]
pub struct Newcomer {
    #[command(flatten)]
    fetch: Baseline,
    /// Blocks a second that its importer takes at most.
    #[arg(long)]
    cap: Option<u64>,
    /// Says now and then why the rate is what it is.
    #[arg(long)]
    explain: bool,
}

/// Syncs the blocks and prints two [`Report`]s: one at once, and one with what the peer book says a second later.
pub fn run(command: &Newcomer) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(sync(command))
}

async fn sync(command: &Newcomer) -> Result<()> {
    let home = Home::open(&command.fetch.data_dir, None)?;
    let cores = available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let Fresh { node, asked, .. } =
        node(&home, settings(&command.fetch.sources, cores), command.cap, Clock::system())?;
    let mut view = node.chain.watch();
    let mut inside = Inside::default();
    let head = tokio::select! {
        view = view.wait_for(|view| view.head.height.get() >= command.fetch.blocks) => view?.head,
        () = watch_budget(&node, &mut inside) => unreachable!("it watches for ever"),
        () = explain(&node), if command.explain => unreachable!("it explains for ever"),
    };
    let report = |inside| Report {
        blocks: head.height.get(),
        head: head.id.to_string(),
        peak_rss: peak_rss(),
        inside,
    };
    let lasted = |noted: &asked::Noted| noted.since.map(|since| since.elapsed());
    inside.worked = lasted(&asked.lock().unwrap_or_else(PoisonError::into_inner)).unwrap_or_default();
    report(None).print()?;
    tokio::time::sleep(BOOK_AGE).await;
    count(&node, &mut inside).await?;
    let asked = std::mem::take(&mut asked.lock().unwrap_or_else(PoisonError::into_inner).of);
    inside.asked = asked.into_iter().map(|(peer, asked)| (peer.to_string(), asked)).collect();
    report(Some(inside)).print()?;
    node.stop().await;
    Ok(())
}

async fn watch_budget(node: &Node, inside: &mut Inside) {
    let status = node.sync.watch();
    let mut timer = tokio::time::interval(SAMPLE);
    loop {
        timer.tick().await;
        let status = status.borrow();
        inside.budget_peak = inside.budget_peak.max(status.budget_used);
        inside.budget_total = status.budget_total;
    }
}

/// What `alys sync explain` shows, beside the figures.
async fn explain(node: &Node) {
    let mut timer = tokio::time::interval(EXPLAINED_EVERY);
    let clock = Clock::system();
    loop {
        timer.tick().await;
        // One that does not answer has come to its end.
        if let Ok(explain) = node.sync.get_explain().await {
            eprintln!("{}\n", info(&explain, clock.moment()).lines.join("\n"));
        }
    }
}

async fn count(node: &Node, inside: &mut Inside) -> Result<()> {
    let mut registry = Registry::default();
    node.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    inside.body_bytes = counter(&text, "sync_bodies_received_bytes_total");
    inside.headers = counter(&text, "sync_headers_verified_total");
    inside.bans = counter(&text, "peers_bans_total");
    inside.offences = counter(&text, "peers_offences_total");
    let table = node.peers.watch().borrow().clone();
    let banned = table.peers.iter().filter(|peer| peer.ban.is_some());
    inside.banned = banned.map(|peer| peer.peer.to_string()).collect();
    let explain = serde_json::to_value(node.sync.get_explain().await?)?;
    let told = explain["recorder"].as_array().into_iter().flatten();
    for peer in told.filter_map(|entry| entry["report"]["blamed"]["peer"].as_str()) {
        *inside.blamed.entry(peer.to_owned()).or_default() += 1;
    }
    Ok(())
}

/// A counter of the exposition text; nothing counted if it is not there.
fn counter(text: &str, name: &str) -> u64 {
    let value = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
    text.lines().find_map(value).unwrap_or(0)
}

/// A node that is measured.
pub struct Fresh {
    pub node: Node,
    pub store: Arc<dyn Store>,
    /// Who was asked for what, and since when.
    asked: Counts,
    /// What goes over its line.
    pub line: Traffic,
}

/// Starts a node, whose importer takes no more than so many blocks a second.
pub fn node(home: &Home, settings: Settings, cap: Option<u64>, clock: Clock) -> Result<Fresh> {
    let identity = Identity::generate();
    let mut config = Config::new(home.network().rules.genesis_id());
    config.discovery = None;
    let workers = settings.sync.workers;
    let store: Arc<dyn Store> = match cap {
        Some(cap) => Arc::new(Peculiar::capped(Arc::new(home.store()?), cap)),
        None => Arc::new(home.store()?),
    };
    let base = Base {
        settings,
        network: home.network().clone(),
        store,
        checkpoints: Some(Arc::new(Checkpoints::open(&home.directory().checkpoints())?)),
        flight_recorder: None,
        book: Book::Memory(Arc::default()),
        local: identity.peer(),
        clock,
        pool: Pool::threads(workers)?,
        randomness: Randomness::system(),
    };
    let line = Arc::new(OnceLock::new());
    let (own, asked) = (line.clone(), Counts::default());
    let counts = asked.clone();
    let connect: Connect = Box::new(move |source| {
        let (transport, events) = alys_transport::start(&config, &identity, source)?;
        own.set(transport.traffic()).ok();
        let transport: Arc<dyn Transport> = Arc::new(Counting { inner: Arc::new(transport), counts });
        Ok((transport, events))
    });
    let store = base.store.clone();
    let node = start(Parts { base, connect, authority: None })?;
    Ok(Fresh { node, store, asked, line: line.get().cloned().unwrap_or_default() })
}

/// As `alys node` sets them, but that every source is dialled, however many there are.
pub fn settings(sources: &[Address], cores: NonZeroUsize) -> Settings {
    let mut settings = Settings::default();
    settings.peers.outbound = settings.peers.outbound.max(sources.len());
    settings.peers.bootnodes = sources.to_vec();
    settings.sync.workers = cores;
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_whole_name() {
        let text = "# HELP a_total About\na_total_b 3\na_total 17\n";
        assert_eq!((counter(text, "a_total"), counter(text, "b_total")), (17, 0));
    }

    #[test]
    fn every_source_is_dialled() {
        let sources: Vec<Address> =
            (1..=20).map(|port| Address(format!("/ip4/127.0.0.1/tcp/{port}"))).collect();
        let settings = settings(&sources, NonZeroUsize::MIN);
        assert_eq!((settings.peers.outbound, settings.peers.bootnodes.len()), (20, 20));
    }
}
