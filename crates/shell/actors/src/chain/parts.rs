//! What a chain is made of, and the making.

use core::num::NonZeroU64;
use std::sync::Arc;

use alys_actor::{ChildSpec, Clock, LaneLimit, Mailbox, MailboxConfig, Pool};
use alys_storage::Store;
use tokio::sync::{broadcast, watch};

use super::actor::ChainActor;
use super::heart::Heart;
use super::ingress::ChainMailbox;
use super::local::Network;
use super::metrics::ChainMetrics;
use super::ports::{Bodies, Gate, Outlet};
use super::signer::Signer;
use super::slots::SlotClock;
use super::snapshot::{self, Snapshots};
use super::view::{ChainEvent, ChainView};

/// Events kept for a slow reader: 15 authorities heard of, a head and a final block a slot make about 20 a slot, so this is about a dozen slots.
const EVENTS: usize = 256;

/// What the operator may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The limits of the mailbox.
    pub mailbox: MailboxConfig,
    /// Final blocks between the states that are offered to fresh nodes.
    pub snapshot_interval: NonZeroU64,
}

impl Default for Config {
    /// High must hold the largest proposals of a few slots (2 MiB each), Normal two import batches (8 MiB each) beside the transactions.
    fn default() -> Self {
        let limit = |messages, mebibytes: usize| LaneLimit { messages, bytes: mebibytes << 20 };
        let lanes = [limit(256, 1), limit(1_024, 16), limit(4_096, 32)];
        let mailbox = MailboxConfig { lanes, ..MailboxConfig::default() };
        Self { mailbox, snapshot_interval: snapshot::INTERVAL }
    }
}

/// Everything that differs between a node, a simulated node and a test. All incarnations share it.
#[derive(Clone)]
pub struct Parts {
    /// The network and its rules.
    pub network: Network,
    /// The database, open.
    pub store: Arc<dyn Store>,
    /// The one signer of this process, if it is an authority's.
    pub signer: Option<Arc<Signer>>,
    /// The clock.
    pub clock: Clock,
    /// Where costly work runs.
    pub pool: Pool,
    /// Sync.
    pub gate: Arc<dyn Gate>,
    /// The network.
    pub outlet: Arc<dyn Outlet>,
    /// Where large bodies come from.
    pub bodies: Arc<dyn Bodies>,
}

/// The receiving end of a [`ChainMailbox`], to be made a supervisor's child.
pub struct ChainInbox {
    mailbox: Mailbox<ChainActor>,
    view: watch::Sender<ChainView>,
    events: broadcast::Sender<ChainEvent>,
    metrics: ChainMetrics,
    snapshots: Snapshots,
}

/// The chain's mailbox, before there is a chain.
#[must_use]
pub fn mailbox(network: &Network, config: &Config) -> (ChainMailbox, ChainInbox) {
    let mailbox = Mailbox::new("chain", config.mailbox);
    let (view, watch) = watch::channel(ChainView::genesis(network.rules.genesis_id()));
    let (events, _) = broadcast::channel(EVENTS);
    let metrics = ChainMetrics::default();
    let (addr, sender) = (mailbox.addr(), events.clone());
    let snapshots = Snapshots::every(config.snapshot_interval);
    let outer = ChainMailbox {
        addr,
        view: watch,
        events: sender,
        metrics: metrics.clone(),
        snapshots: snapshots.clone(),
    };
    (outer, ChainInbox { mailbox, view, events, metrics, snapshots })
}

impl ChainInbox {
    /// The supervisor's child that serves this mailbox.
    #[must_use]
    pub fn child(self, parts: Parts) -> ChildSpec {
        let Self { mailbox, view, events, metrics, snapshots } = self;
        let heart = Heart::default();
        let slots = SlotClock::new(parts.clock.clone(), parts.network.rules.clone());
        ChildSpec::new(mailbox, (), move |()| {
            let shared = Shared {
                parts: parts.clone(),
                heart: heart.clone(),
                slots: slots.clone(),
                view: view.clone(),
                events: events.clone(),
                metrics: metrics.clone(),
                snapshots: snapshots.clone(),
            };
            ChainActor::new(shared)
        })
    }
}

/// What every incarnation gets, and the work beside it.
#[derive(Clone)]
pub struct Shared {
    pub parts: Parts,
    pub heart: Heart,
    pub slots: SlotClock,
    pub view: watch::Sender<ChainView>,
    pub events: broadcast::Sender<ChainEvent>,
    pub metrics: ChainMetrics,
    pub snapshots: Snapshots,
}
