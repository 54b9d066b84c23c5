//! Reports of authorities on how far they know the chain, asked for when the network seems to stand still. Ours are made by
//! [`ChainSource`](crate::chain::ChainSource), where peers are served.

use std::sync::Arc;
use std::time::Duration;

use alys_actor::{Context, Handler, Lane, Message, Pool, Priority, TaskHandle};
use alys_chain::{AuthorityIndex, Report, Rules, Seat, Slot};
use alys_sync::{Event, Observation, Offence};
use alys_transport::{Answer, Answers};
use alys_wire::limits::NONCE_BYTES;
use alys_wire::{PeerId, Request};
use rand_core::Rng;
use tokio::time::timeout;

use super::actor::SyncActor;

/// How long we wait for a report: as long as it would count.
const PATIENCE: Duration = Duration::from_secs(10);

/// The readers of the present round.
#[derive(Debug, Default)]
pub(super) struct Round(Vec<TaskHandle>);

/// What became of a request for a report.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReportHeard {
    round: u64,
    peer: PeerId,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// A seat of the present set signed this slot.
    Signed { seat: Seat, slot: Slot },
    /// The signature is wrong: the fault of who served it.
    Wrong,
    /// None came.
    None,
}

impl Message for ReportHeard {
    type Reply = ();
    const NAME: &'static str = "ReportHeard";

    fn lane(&self) -> Lane {
        Lane::High
    }
}

impl SyncActor {
    /// Asks every connected authority, over a fresh nonce; what earlier rounds have not brought is not waited for any more.
    pub(super) fn ask_reports(&mut self, ctx: &mut Context<Self>, round: u64) {
        self.round.0.drain(..).for_each(|reader| reader.cancel());
        let mut nonce = [0; NONCE_BYTES];
        self.rng.fill_bytes(&mut nonce);
        let authorities = self.peers.iter().filter(|(_, authority)| authority.is_some());
        let asked: Vec<PeerId> = authorities.map(|(&peer, _)| peer).collect();
        for peer in asked {
            let answers = self.parts.requests.request(peer, Request::Report { nonce });
            let (rules, pool) = (self.parts.rules.clone(), self.parts.pool.clone());
            self.round.0.push(ctx.spawn(async move {
                let report = timeout(PATIENCE, read(answers)).await.unwrap_or(None);
                ReportHeard { round, peer, outcome: judge(report, nonce, rules, pool).await }
            }));
        }
    }
}

async fn read(mut answers: Answers) -> Option<Report> {
    loop {
        match answers.recv().await? {
            Answer::Report(report) => return Some(report),
            Answer::End(_) => return None,
            _ => {}
        }
    }
}

async fn judge(report: Option<Report>, nonce: [u8; NONCE_BYTES], rules: Arc<Rules>, pool: Pool) -> Outcome {
    let Some(report) = report else { return Outcome::None };
    let verified = pool.run(Priority::High, move || report.verify(&rules, &nonce)).await;
    match verified {
        Ok(Ok(seat)) => Outcome::Signed { seat, slot: report.best.slot },
        Ok(Err(_)) => Outcome::Wrong,
        // A worker's panic is nobody's report; the next round asks again.
        Err(_) => Outcome::None,
    }
}

impl Handler<ReportHeard> for SyncActor {
    async fn handle(&mut self, message: ReportHeard, ctx: &mut Context<Self>) {
        let ReportHeard { round, peer, outcome } = message;
        match outcome {
            Outcome::Signed { seat, slot } if self.counts(seat) => {
                let authority = seat.authority;
                self.step(ctx, Event::AuthorityReport { round, authority, slot });
            }
            Outcome::Wrong => self.observe(peer, Observation::Offence(Offence::BadClaim)),
            Outcome::Signed { .. } | Outcome::None => {}
        }
    }
}

impl SyncActor {
    /// Whether it is the seat of another authority of the present set.
    fn counts(&self, seat: Seat) -> bool {
        let slot = self.slot();
        let own: Option<AuthorityIndex> = self.own_place(slot);
        self.parts.rules.schedule().set_at(slot).id() == seat.set && own != Some(seat.authority)
    }
}
