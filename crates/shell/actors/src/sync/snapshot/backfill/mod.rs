//! The blocks below the state that a node began from: fetched downward while it has nothing else to do, so that it can serve them in the end.
//!
//! - **Owns**: whether a step runs, and whom the next one asks. How far it came is a row of the store, and nothing else.
//! - **In**: the tick, while sync is synced and the slot is past its first half. **Out**: blocks to the chain, observations to the peer book.
//! - **On failure**: the step is over; the next one asks another peer. A restart goes on at the row in the store.
//!
//! A step fetches up to 512 headers right below the lowest body. Their links lead to a header that is known, so nothing in them can be wrong; their
//! certificates are checked all the same, since they will be served. Whose quorums are due is known above the first two headers in consecutive slots
//! (as in [`alys_chain::finality`]), so a step takes what stands on such a pair, and the next one begins below that. Where finality has stood still
//! there may be no pair among 512 headers: then the step goes on downward until there is one, and the steps after it use what it has found.

mod check;
mod step;

use alys_actor::{Context, Handler, Message, Stream};
use alys_chain::Height;
use alys_sync::{Fault, Mode, Observation};
use alys_wire::PeerId;
use rand_core::SeedableRng;

use super::super::actor::SyncActor;
use check::Known;
use step::Step;

/// How the backfill stands.
#[derive(Debug, Default)]
pub(in crate::sync) struct Past {
    /// A step runs.
    busy: bool,
    /// Everything is here.
    complete: bool,
    /// Whom the last step asked.
    last: Option<PeerId>,
    /// Headers right below the lowest body, ascending, checked, whose bodies are still to come.
    known: Vec<Known>,
}

/// A step has ended.
#[derive(Debug)]
pub(in crate::sync) struct StepEnded {
    peer: PeerId,
    known: Vec<Known>,
    result: Result<Height, Fault>,
}

impl Message for StepEnded {
    type Reply = ();
    const NAME: &'static str = "BackfillStepEnded";
}

impl SyncActor {
    /// Begins a step, if there is something to fetch and nothing else to do.
    pub(in crate::sync) fn backfill_if_idle(&mut self, ctx: &mut Context<Self>) {
        if self.past.busy || self.past.complete || !self.has_slack() {
            return;
        }
        if self.parts.store.earliest().is_ok_and(|earliest| earliest <= Height(1)) {
            self.past.complete = true;
            return;
        }
        let behind = self.peers.keys().find(|peer| Some(**peer) > self.past.last);
        let Some(peer) = behind.or_else(|| self.peers.keys().next()).copied() else { return };
        (self.past.busy, self.past.last) = (true, Some(peer));
        let known = std::mem::take(&mut self.past.known);
        let mut step = Step { parts: self.parts.clone(), peer, known };
        let rng = Stream::from_rng(&mut self.rng);
        ctx.spawn(async move {
            let result = step.run(rng).await;
            StepEnded { peer, known: step.known, result }
        });
    }

    /// Whether sync has nothing to fetch, and the slot is past the time in which its block is made and approved.
    fn has_slack(&self) -> bool {
        let config = &self.parts.config;
        if !config.backfill || config.light || self.machine.status(self.now()).mode != Mode::Synced {
            return false;
        }
        let rules = &self.parts.rules;
        let unix = self.parts.clock.unix();
        let slot = self.slot();
        let (start, end) = (rules.start_of(slot).0, rules.start_of(slot.saturating_add(1)).0);
        // Without an authority's key there is no turn to miss.
        self.parts.authority.is_none() || unix.0.saturating_sub(start) * 2 >= end.saturating_sub(start)
    }
}

impl Handler<StepEnded> for SyncActor {
    async fn handle(&mut self, StepEnded { peer, known, result }: StepEnded, ctx: &mut Context<Self>) {
        (self.past.busy, self.past.known) = (false, known);
        match result {
            Ok(earliest) => {
                tracing::debug!(%earliest, "older blocks are here");
                if earliest <= Height(1) {
                    tracing::info!("all blocks are here");
                }
                self.backfill_if_idle(ctx);
            }
            // The next one is asked at the next tick.
            Err(Fault::Peer(offence)) => self.observe(peer, Observation::Offence(offence)),
            Err(fault) => tracing::debug!(%fault, "older blocks did not come"),
        }
    }
}
