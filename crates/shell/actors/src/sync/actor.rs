//! The actor: it feeds the machine, and does what the machine says.

use std::collections::BTreeMap;
use std::sync::Arc;

use alys_actor::{Actor, Context, Fault, Handler, Lane, Message, Stream, TaskHandle};
use alys_chain::{AuthorityIndex, Moment, SetId, Slot};
use alys_sync::{
    Action, Condition, Crossing, Event, Federation, LeaseId, Report, Start, SyncMachine, SyncStatus,
};
use alys_wire::PeerId;
use futures::stream;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::alarm::Alarm;
use super::bodies::Held;
use super::checkpoints::Keeper;
use super::ingress::StartSync;
use super::peers::Nudge;
use super::ranges::Ranges;
use super::reports::Round;
use super::snapshot::{Fetch, Past};
use super::verify::Verifier;
use super::{Parts, Seed};
use crate::DECISIONS;
use crate::chain::{ChainEvent, ChainView};

/// See the [module](super).
pub struct SyncActor {
    pub(super) parts: Parts,
    pub(super) seed: Seed,
    pub(super) machine: SyncMachine,
    pub(super) status: Arc<watch::Sender<SyncStatus>>,
    pub(super) view: watch::Receiver<ChainView>,
    pub(super) verifier: Verifier,
    pub(super) rng: Stream,
    /// Who is connected, and which authority each has proven to be.
    pub(super) peers: BTreeMap<PeerId, Option<AuthorityIndex>>,
    /// The readers of the answers in flight.
    pub(super) leases: BTreeMap<LeaseId, TaskHandle>,
    pub(super) ranges: Ranges,
    pub(super) held: Held,
    pub(super) alarm: Alarm,
    pub(super) round: Round,
    pub(super) keeper: Keeper,
    pub(super) nudge: Nudge,
    /// The state that is being fetched, if one is.
    pub(super) fetch: Option<Fetch>,
    /// The store is being looked through for what was fetched before.
    pub(super) fetch_begins: bool,
    /// Nobody offered one.
    pub(super) forgoes_state: bool,
    pub(super) past: Past,
    /// A batch that was handed in is being worked on.
    pub(super) batch_runs: bool,
    /// The set of the present slot, as the machine knows it.
    set: Option<SetId>,
    /// It was told to stop: what ends otherwise has crashed.
    pub(super) is_stopped: bool,
    /// Why the machine refused the last command, if it did.
    pub(super) refused: Option<&'static str>,
}

impl SyncActor {
    /// An incarnation that goes on from the durable tip.
    pub(super) fn new(parts: Parts, seed: Seed, status: Arc<watch::Sender<SyncStatus>>) -> Self {
        let view = parts.chain.watch();
        let tip = view.borrow().tip();
        Self {
            machine: SyncMachine::new(parts.config.machine, tip),
            verifier: Verifier::new(&parts),
            rng: parts.randomness.stream("sync"),
            keeper: Keeper::new(&parts),
            parts,
            seed,
            status,
            view,
            peers: BTreeMap::new(),
            leases: BTreeMap::new(),
            ranges: Ranges::default(),
            held: Held::default(),
            alarm: Alarm::default(),
            round: Round::default(),
            nudge: Nudge::default(),
            fetch: None,
            fetch_begins: false,
            forgoes_state: false,
            past: Past::default(),
            batch_runs: false,
            set: None,
            is_stopped: false,
            refused: None,
        }
    }

    /// The monotonic time.
    pub(super) fn now(&self) -> Moment {
        self.parts.clock.moment()
    }

    /// The slot that runs; zero before genesis.
    pub(super) fn slot(&self) -> Slot {
        self.parts.rules.slot_at(self.parts.clock.unix()).unwrap_or_default()
    }

    /// Our place in the set of a slot.
    pub(super) fn own_place(&self, slot: Slot) -> Option<AuthorityIndex> {
        let key = self.parts.authority.as_ref()?;
        self.parts.rules.schedule().set_at(slot).index_of(key)
    }

    /// Tells the machine, and does what it says.
    pub(super) fn step(&mut self, ctx: &mut Context<Self>, event: Event) {
        let now = self.now();
        tracing::trace!(target: DECISIONS, "sync takes {event}");
        for action in self.machine.step(now, event) {
            tracing::trace!(target: DECISIONS, "sync wants {action}");
            self.act(ctx, action);
        }
        self.arm(ctx);
        self.publish(now);
    }

    fn act(&mut self, ctx: &mut Context<Self>, action: Action) {
        match action {
            Action::RequestStatus { lease, peer, .. } => self.request_status(ctx, lease, peer),
            Action::RequestHeaders { lease, peer, from, count, .. } => {
                self.request_headers(ctx, (lease, peer), from, count.get());
            }
            Action::RequestBodies { lease, peer, ids, .. } => self.request_bodies(ctx, (lease, peer), ids),
            Action::Cancel { lease } => self.cancel(lease),
            Action::VerifyHeaders { lease, headers } => self.verify_headers(ctx, lease, headers),
            Action::VerifyBodies { batch, headers } => self.verify_bodies(ctx, batch, headers),
            Action::Import { batch, headers } => self.import(ctx, batch, headers),
            Action::Release { ids } => self.held.release(&ids),
            Action::Observe { peer, what } => self.observe(peer, what),
            Action::AskReports { round } => self.ask_reports(ctx, round),
            Action::Report(report) => self.tell_people(ctx, &report),
        }
    }

    pub(super) fn observe(&self, peer: PeerId, what: alys_sync::Observation) {
        self.parts.metrics.observed(&what);
        self.parts.peers.observe(peer, what);
    }

    fn tell_people(&mut self, ctx: &mut Context<Self>, report: &Report) {
        self.parts.metrics.reported(report);
        match report {
            Report::Refused { reason } => self.refused = Some(reason),
            Report::Finished { at } => {
                tracing::info!(%at, "sync is finished");
                self.seed = Seed::default();
                ctx.checkpoint(self.seed);
            }
            Report::ModeChanged { from, to, waiting_for } => {
                tracing::info!(%from, %to, %waiting_for, "sync");
            }
            Report::Stalled { since, waiting_for } => {
                tracing::warn!(?since, %waiting_for, "sync stands still");
            }
            Report::ImportFailing { reason, attempts, .. } => {
                tracing::warn!(%reason, attempts, "blocks cannot be imported");
            }
            Report::Tuned { peer, from, to, reason } => {
                tracing::info!(?peer, %from, %to, %reason, "a peer is asked by other terms");
            }
            // Some of them a second on bad lines: the flight recorder keeps them, and counters count them.
            Report::Hedged { heights, slow, with, .. } => {
                tracing::debug!(from = %heights.start, ?slow, ?with, "a second peer is asked for the head of the line");
            }
            Report::GateCrossed(crossing) => tell_crossing(crossing),
            other => tracing::info!(?other, "sync"),
        }
    }

    /// Shows the state to whoever watches.
    fn publish(&self, now: Moment) {
        let status = self.shown(self.machine.status(now));
        self.parts.metrics.show(&status);
        self.status.send_if_modified(|shown| {
            let changed = *shown != status;
            *shown = status;
            changed
        });
    }

    /// Tells the machine what time it is, before that who counts at this time.
    pub(super) fn tick(&mut self, ctx: &mut Context<Self>) {
        self.look_at_set(ctx);
        let slot = self.slot();
        self.step(ctx, Event::Tick { slot });
    }

    /// Tells the machine who counts now, if that has changed.
    pub(super) fn look_at_set(&mut self, ctx: &mut Context<Self>) {
        let slot = self.slot();
        let set = self.parts.rules.schedule().set_at(slot);
        if self.set != Some(set.id()) {
            self.set = Some(set.id());
            let size = u8::try_from(set.len()).unwrap_or(u8::MAX);
            let federation = Federation::new(size, self.own_place(slot).is_some());
            self.step(ctx, Event::FederationChanged(federation));
        }
    }

    /// A new machine does not know who counts.
    pub(super) const fn forget_set(&mut self) {
        self.set = None;
    }

    /// Gives the machine the last command again, from what is durable now.
    pub(super) fn take_up_order(&mut self, ctx: &mut Context<Self>) {
        let Some(order) = self.seed.order else { return };
        if self.begin_with_a_state(ctx) {
            return;
        }
        self.step(ctx, Event::Start(self.start_of(&order)));
        if self.seed.paused {
            self.step(ctx, Event::Pause);
        }
    }

    pub(super) fn start_of(&self, order: &StartSync) -> Start {
        Start { tip: self.view.borrow().tip(), until: order.target_height, checkpoint: order.checkpoint }
    }
}

/// The codes are part of the interface: alerts look for them.
fn tell_crossing(crossing: &Crossing) {
    let told = |c: &Condition| format!("{} is {}", c.name, c.value);
    let changed = crossing.changed.iter().map(told).collect::<Vec<_>>().join("; ");
    if crossing.open {
        tracing::info!(code = "gate_opened", %changed, "this node may produce");
    } else {
        tracing::warn!(code = "gate_closed", %changed, "this node may not produce any more");
    }
}

impl Actor for SyncActor {
    type Seed = Seed;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Fault> {
        ctx.attach(Lane::High, changes_of(self.view.clone()));
        ctx.attach(Lane::High, authorities_of(self.parts.chain.events()));
        // The clock before the order: a head that is ahead of it is not believed.
        self.tick(ctx);
        self.take_up_order(ctx);
        self.look_for_checkpoint(ctx);
        self.parts.network.introduce();
        Ok(())
    }

    async fn stopping(&mut self, _: &mut Context<Self>) {
        self.is_stopped = true;
    }
}

/// The chain's view is another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChainChanged;

/// A verified signature of an authority was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct AuthorityHeard {
    authority: AuthorityIndex,
    set: SetId,
}

impl Message for ChainChanged {
    type Reply = ();
    const NAME: &'static str = "ChainChanged";
}

impl Message for AuthorityHeard {
    type Reply = ();
    const NAME: &'static str = "AuthorityHeard";
}

/// A message for every change that is still one when it is read.
fn changes_of(view: watch::Receiver<ChainView>) -> impl futures::Stream<Item = ChainChanged> {
    stream::unfold(view, |mut view| async move {
        // The sender outlives all incarnations of the chain; without it there are no changes.
        view.changed().await.ok()?;
        Some((ChainChanged, view))
    })
}

fn authorities_of(events: broadcast::Receiver<ChainEvent>) -> impl futures::Stream<Item = AuthorityHeard> {
    stream::unfold(events, |mut events| async move {
        loop {
            match events.recv().await {
                Ok(ChainEvent::AuthorityHeard { authority, set, .. }) => {
                    return Some((AuthorityHeard { authority, set }, events));
                }
                // What was missed is repeated in the next slot.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    })
}

impl Handler<ChainChanged> for SyncActor {
    async fn handle(&mut self, _: ChainChanged, ctx: &mut Context<Self>) {
        let tip = self.view.borrow().tip();
        if tip != self.machine.tip() {
            self.ranges.settle(tip.finalized.height);
            self.step(ctx, Event::TipChanged(tip));
            self.checkpoint_if_due(ctx, tip.finalized.height);
        }
    }
}

impl Handler<AuthorityHeard> for SyncActor {
    async fn handle(&mut self, message: AuthorityHeard, ctx: &mut Context<Self>) {
        let AuthorityHeard { authority, set } = message;
        let is_ours = self.own_place(self.slot()) == Some(authority);
        if self.set == Some(set) && !is_ours {
            self.step(ctx, Event::AuthorityHeard { authority });
        }
    }
}
