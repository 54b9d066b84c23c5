//! `bench begin` (hidden): a fresh node in a process of its own, which begins with a state, and fetches the blocks below it afterwards.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use alys_actor::Clock;
use alys_chain::{Height, Slot};
use alys_node::home::Home;
use alys_node::progress::peak_rss;
use alys_storage::{Limit, Store};
use alys_sync::Mode;
use alys_wire::Address;
use anyhow::Result;
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, interval};

use crate::newcomer::{Fresh, node, settings};
use crate::process::say;

/// How often the node is looked at: fine enough for stages of a second, and no work.
const LOOK: Duration = Duration::from_millis(10);
/// How often the wall clock is set back: it never leaves its slot.
const STAND_STILL: Duration = Duration::from_millis(500);
/// Accounts that are counted at once.
const PAGE: usize = 10_000;

/// The arguments.
#[derive(Debug, Args)]
pub struct Begin {
    /// A data directory with nothing but genesis in it.
    #[arg(long)]
    data_dir: PathBuf,
    /// Whom it dials.
    #[arg(long = "source", required = true)]
    sources: Vec<Address>,
    /// The height that it is to have reached when it is ready.
    #[arg(long)]
    tip: u64,
}

/// When what was done, in seconds since the start of the process, and how much it was.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Ready {
    /// A state was chosen.
    pub chosen: f64,
    /// Its sums were proven and durable.
    pub sums: f64,
    /// All its buckets were.
    pub buckets: f64,
    /// It was the node's own.
    pub installed: f64,
    /// The node followed the tip, as its status says.
    pub ready: f64,
    /// The height of the state.
    pub height: u64,
    /// The head when it was ready.
    pub head: String,
    /// The bytes that had come over the line by then.
    pub received: u64,
    /// The most resident memory until then.
    pub peak_rss: Option<u64>,
}

/// What came later.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Past {
    /// Seconds since it was ready, until the last block below the state was here.
    pub took: f64,
    /// The most resident memory ever.
    pub peak_rss: Option<u64>,
    /// The bytes that had come over the line in the end.
    pub received: u64,
    /// The accounts of the state.
    pub accounts: u64,
}

/// Begins with a state and prints [`Ready`], then fetches the past and prints [`Past`].
pub fn begin(command: &Begin) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(command))
}

async fn run(command: &Begin) -> Result<()> {
    let started = Instant::now();
    let home = Home::open(&command.data_dir, None)?;
    let cores = available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let mut settings = settings(&command.sources, cores);
    settings.sync.from_state = true;
    // The chain of the sources ends at the tip. For the node it is the slot behind it all the time, else it would know its head to be an old one.
    let behind = home.network().rules.start_of(Slot(command.tip).saturating_add(1));
    let (clock, skew) = Clock::simulated(behind);
    tokio::spawn(async move {
        let mut seconds = interval(STAND_STILL);
        loop {
            seconds.tick().await;
            skew.set(i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX).saturating_neg());
        }
    });
    let fresh = node(&home, settings, None, clock)?;
    let ready = until_ready(&fresh, started, command.tip).await?;
    let Fresh { node, store, line, .. } = fresh;
    say(&serde_json::to_string(&ready)?)?;
    let was_ready = Instant::now();
    let mut looks = interval(LOOK);
    while store.earliest()? > Height(1) {
        looks.tick().await;
    }
    let past = Past {
        took: was_ready.elapsed().as_secs_f64(),
        peak_rss: peak_rss(),
        received: line.received(),
        accounts: count(&store)?,
    };
    say(&serde_json::to_string(&past)?)?;
    node.stop().await;
    Ok(())
}

async fn until_ready(fresh: &Fresh, started: Instant, tip: u64) -> Result<Ready> {
    let Fresh { node, store, line, .. } = fresh;
    let (status, view) = (node.sync.watch(), node.chain.watch());
    let mut ready = Ready::default();
    let mut looks = interval(LOOK);
    loop {
        looks.tick().await;
        let now = started.elapsed().as_secs_f64();
        let mark = |at: &mut f64, holds: bool| {
            if holds && *at == 0.0 {
                *at = now;
            }
        };
        let head = view.borrow().head;
        let (mode, target) = {
            let status = status.borrow();
            (status.mode, status.target)
        };
        let installed = head.height > Height::ZERO;
        mark(&mut ready.chosen, installed || (mode == Mode::Snapshot && target.is_some()));
        if ready.installed == 0.0 {
            let staged = store.staged()?;
            // The status is shown each second, so the sums may be seen first.
            mark(&mut ready.chosen, staged.is_some());
            mark(&mut ready.sums, installed || staged.is_some());
            mark(&mut ready.buckets, installed || staged.is_some_and(|staged| staged.complete.len() == 256));
        }
        mark(&mut ready.installed, installed);
        if installed && mode == Mode::Synced && head.height.get() >= tip {
            ready.ready = now;
            ready.height = store.earliest()?.get().saturating_sub(1);
            (ready.head, ready.received, ready.peak_rss) = (head.id.to_string(), line.received(), peak_rss());
            return Ok(ready);
        }
    }
}

fn count(store: &Arc<dyn Store>) -> Result<u64> {
    let mut count = 0;
    for bucket in 0..=u8::MAX {
        let mut after = None;
        loop {
            let page = store.accounts(bucket, after, Limit { count: PAGE, bytes: usize::MAX })?;
            count += page.len() as u64;
            match page.last() {
                Some(last) => after = Some(last.address),
                None => break,
            }
        }
    }
    Ok(count)
}
