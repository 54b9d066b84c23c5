//! Beginning from a state: what the [`SnapshotMachine`] decides, the actor does here. The blocks below come later ([`backfill`]).
//!
//! - **Owns**: the machine, its requests, the proofs of the offered states. What is fetched lies in the store, staged, from the moment that it is proven.
//! - **In**: the order to begin; peers; answers; the clock. **Out**: requests, observations, at the end a chain that stands on the proven block.
//! - **On failure**: as the machine says. After a crash the next incarnation finds what is staged, proves it again, and asks for the rest.

mod backfill;
mod read;
mod stage;

use std::collections::{BTreeMap, BTreeSet};

use alys_actor::{Context, Handler, Message, Stream, TaskHandle};
use alys_chain::{BlockId, BlockRef};
use alys_sync::snapshot::{Action, Begun, Event, Report, SnapshotMachine};
use alys_sync::{LeaseEnd, LeaseId, Mode, SyncStatus};
use alys_wire::{PeerId, Request};
use rand_core::SeedableRng;

pub(super) use backfill::Past;
use read::{Fetched, News};
use stage::{Offered, Stage};

use super::actor::SyncActor;
use crate::chain::{Imported, NotInstalled};

/// A state that is being fetched.
pub(super) struct Fetch {
    machine: SnapshotMachine,
    stage: Stage,
    /// The offered states, proven.
    offered: BTreeMap<BlockId, Offered>,
    readers: BTreeMap<LeaseId, TaskHandle>,
}

/// What was staged before the start, proven again.
pub(super) struct Found {
    stage: Stage,
    state: Option<(Offered, BTreeSet<u8>)>,
}

/// How the installation ended.
#[derive(Debug)]
pub(super) struct InstallEnded(Result<Imported, NotInstalled>);

impl Message for Found {
    type Reply = ();
    const NAME: &'static str = "StagedStateFound";
}

impl Message for InstallEnded {
    type Reply = ();
    const NAME: &'static str = "InstallEnded";
}

impl SyncActor {
    /// Begins to fetch a state, if that is how a fresh node is to begin. Returns whether it does.
    pub(super) fn begin_with_a_state(&mut self, ctx: &mut Context<Self>) -> bool {
        if self.forgoes_state || !self.seed.order.is_some_and(|order| self.begins_with_a_state(&order)) {
            return false;
        }
        if self.fetch.is_none() && !self.fetch_begins {
            self.fetch_begins = true;
            let (stage, rng) = (Stage::new(&self.parts), Stream::from_rng(&mut self.rng));
            ctx.spawn(async move {
                let state = stage.find(rng).await;
                Found { stage, state }
            });
        }
        true
    }

    /// Tells the machine, and does what it says. Without a fetch there is nothing to tell.
    pub(super) fn fetch_step(&mut self, ctx: &mut Context<Self>, event: Event) {
        let now = self.now();
        let Some(fetch) = &mut self.fetch else { return };
        tracing::trace!(target: crate::DECISIONS, "snapshot takes {event:?}");
        for action in fetch.machine.step(now, event) {
            tracing::trace!(target: crate::DECISIONS, "snapshot wants {action:?}");
            self.fetch_act(ctx, action);
        }
    }

    fn fetch_act(&mut self, ctx: &mut Context<Self>, action: Action) {
        match action {
            Action::AskOffers { lease, peer } => self.ask_offers(ctx, lease, peer),
            Action::AskSums { lease, peer, block } => self.ask_sums(ctx, (lease, peer), &block),
            Action::AskBucket { lease, peer, bucket } => self.ask_bucket(ctx, (lease, peer), bucket),
            Action::Cancel { lease } => {
                let reader = self.fetch.as_mut().and_then(|fetch| fetch.readers.remove(&lease));
                reader.into_iter().for_each(|reader| reader.cancel());
            }
            Action::Install => self.install(ctx),
            Action::Forgo => {
                tracing::warn!("nobody offers a state: beginning with genesis");
                self.forgoes_state = true;
                self.end_fetch(ctx);
            }
            Action::Observe { peer, what } => self.observe(peer, what),
            Action::Report(Report::Chosen { block, servers }) => {
                tracing::info!(height = %block.height, servers, "fetching the state after this block");
            }
            Action::Report(Report::GivenUp { block }) => {
                tracing::warn!(height = %block.height, "nobody offers this state any more");
            }
        }
    }

    fn ask_offers(&mut self, ctx: &mut Context<Self>, lease: LeaseId, peer: PeerId) {
        let answers = self.parts.requests.request(peer, Request::Snapshots);
        let Some(fetch) = &mut self.fetch else { return };
        let (stage, rng) = (fetch.stage.clone(), Stream::from_rng(&mut self.rng));
        let reader = ctx.attach(alys_actor::Lane::Normal, read::offers(answers, lease, stage, rng));
        fetch.readers.insert(lease, reader);
    }

    fn ask_sums(&mut self, ctx: &mut Context<Self>, (lease, peer): (LeaseId, PeerId), block: &BlockRef) {
        let answers = self.parts.requests.request(peer, Request::StateSums { block: block.id });
        let Some(fetch) = &mut self.fetch else { return };
        let Some(offered) = fetch.offered.get(&block.id).cloned() else { return };
        let reader =
            ctx.attach(alys_actor::Lane::Normal, read::sums(answers, lease, fetch.stage.clone(), offered));
        fetch.readers.insert(lease, reader);
    }

    fn ask_bucket(&mut self, ctx: &mut Context<Self>, (lease, peer): (LeaseId, PeerId), bucket: u8) {
        let Some(block) = self.fetch.as_ref().and_then(|fetch| fetch.machine.progress().block) else {
            return;
        };
        let answers = self.parts.requests.request(peer, Request::Accounts { block: block.id, bucket });
        let Some(fetch) = &mut self.fetch else { return };
        let reader = ctx.attach(
            alys_actor::Lane::Normal,
            read::bucket(answers, lease, fetch.stage.clone(), (block.id, bucket)),
        );
        fetch.readers.insert(lease, reader);
    }

    fn install(&self, ctx: &mut Context<Self>) {
        let chosen = self.fetch.as_ref().and_then(|fetch| {
            let block = fetch.machine.progress().block?;
            fetch.offered.get(&block.id).cloned()
        });
        let (Some(offered), chain) = (chosen, self.parts.chain.clone()) else { return };
        ctx.spawn(async move { InstallEnded(chain.install(offered.proven).await) });
    }

    /// From now on sync goes on as ever. What is still out for the state is of no interest any more.
    fn end_fetch(&mut self, ctx: &mut Context<Self>) {
        for reader in self.fetch.take().into_iter().flat_map(|fetch| fetch.readers.into_values()) {
            reader.cancel();
        }
        self.begin_anew(ctx);
    }

    /// What people see: sync's own status, or how far the state is.
    pub(super) fn shown(&self, status: SyncStatus) -> SyncStatus {
        let Some(fetch) = &self.fetch else { return status };
        let progress = fetch.machine.progress();
        let target = progress.block.map(|block| block.height);
        SyncStatus { mode: Mode::Snapshot, target, leases: progress.leases, ..status }
    }
}

impl Handler<Found> for SyncActor {
    async fn handle(&mut self, Found { stage, state }: Found, ctx: &mut Context<Self>) {
        let now = self.now();
        self.fetch_begins = false;
        let (mut offered, mut begun) = (BTreeMap::new(), None);
        if let Some((state, complete)) = state {
            tracing::info!(height = %state.block().height, buckets = complete.len(), "going on with a state");
            begun = Some(Begun { block: state.block(), complete });
            offered.insert(state.block().id, state);
        }
        let machine = SnapshotMachine::new(now, begun);
        self.fetch = Some(Fetch { machine, stage, offered, readers: BTreeMap::new() });
        let peers: Vec<PeerId> = self.peers.keys().copied().collect();
        for peer in peers {
            self.fetch_step(ctx, Event::PeerConnected { peer });
        }
        self.fetch_step(ctx, Event::Tick);
    }
}

impl Handler<Fetched> for SyncActor {
    async fn handle(&mut self, Fetched { lease, news }: Fetched, ctx: &mut Context<Self>) {
        let Some(fetch) = self.fetch.as_mut().filter(|fetch| fetch.readers.contains_key(&lease)) else {
            return;
        };
        if !matches!(news, News::Progress) {
            fetch.readers.remove(&lease);
        }
        let event = match news {
            News::Progress => Event::Progress { lease },
            News::Offered(states) => {
                let blocks = states.iter().map(Offered::block).collect();
                fetch.offered.extend(states.into_iter().map(|state| (state.block().id, state)));
                Event::Offered { lease, blocks }
            }
            News::SumsStored => Event::SumsStored { lease },
            News::BucketStored => Event::BucketStored { lease },
            News::End(end) => Event::Ended { lease, end },
        };
        if let Event::Ended { end: LeaseEnd::Failed(fault), .. } = &event {
            tracing::warn!(%fault, "a part of the state did not come");
        }
        self.fetch_step(ctx, event);
    }
}

impl Handler<InstallEnded> for SyncActor {
    async fn handle(&mut self, InstallEnded(result): InstallEnded, ctx: &mut Context<Self>) {
        match result {
            Ok(Imported { tip, .. }) => {
                tracing::info!(height = %tip.head.height, "the state is complete; the blocks above follow");
                self.fetch_step(ctx, Event::Installed);
                self.end_fetch(ctx);
            }
            Err(why @ NotInstalled::TooLate(_)) => {
                tracing::warn!(%why, "the fetched state is of no use any more");
                self.end_fetch(ctx);
            }
            Err(why @ NotInstalled::Wrong(_)) => {
                tracing::error!(%why, "the state is fetched anew");
                self.fetch_step(ctx, Event::StagedWrong);
            }
            Err(why @ NotInstalled::Failed(_)) => {
                tracing::error!(%why, "the state cannot be made our own");
                self.fetch_step(ctx, Event::InstallFailed);
            }
        }
    }
}
