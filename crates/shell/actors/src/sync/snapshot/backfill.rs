//! The blocks below the state that a node began from: fetched downward while it has nothing else to do, so that it can serve them in the end.
//!
//! - **Owns**: whether a step runs, and whom the next one asks. How far it came is a row of the store, and nothing else.
//! - **In**: the tick, while sync is synced and the slot is past its first half. **Out**: blocks to the chain, observations to the peer book.
//! - **On failure**: the step is over; the next one asks another peer. A restart goes on at the row in the store.
//!
//! A step fetches up to 512 headers right below the lowest body. Their links lead to a header that is known, so nothing in them can be wrong; their
//! certificates are checked all the same, since they will be served. Whose quorums are due is known above the first two headers in consecutive slots
//! (as in [`alys_chain::finality`]), so a step takes what stands on such a pair, and the next one begins below that.

use std::time::Duration;

use alys_actor::{Context, Handler, Message, Priority, Stream};
use alys_chain::batch::{self, Entry, Search};
use alys_chain::verify::{self, Parent};
use alys_chain::{BlockId, Body, CertifiedHeader, Height, UnixMillis, finality};
use alys_storage::StoreError;
use alys_sync::{Fault, LeaseEnd, Mode, Observation, Offence};
use alys_transport::{Answer, Answers, Outcome};
use alys_wire::limits::MAX_HEADERS_PER_REQUEST;
use alys_wire::{PeerId, Request};
use rand_core::SeedableRng;
use tokio::time::timeout;

use super::super::Parts;
use super::super::actor::SyncActor;
use super::super::news::end_of;
use super::super::verify::offence;
use crate::chain::snapshot::Backfilled;

/// How long an answer may take: nothing waits for it, and a line of 1 MB/s brings 16 MiB in 17 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the backfill stands.
#[derive(Debug, Default)]
pub(in crate::sync) struct Past {
    /// A step runs.
    busy: bool,
    /// Everything is here.
    complete: bool,
    /// Whom the last step asked.
    last: Option<PeerId>,
}

/// A step has ended.
#[derive(Debug)]
pub(in crate::sync) struct StepEnded {
    peer: PeerId,
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
        let step = Step { parts: self.parts.clone(), peer };
        let rng = Stream::from_rng(&mut self.rng);
        ctx.spawn(async move { StepEnded { peer, result: step.run(rng).await } });
    }

    /// Whether sync has nothing to fetch, and the slot is past the time in which its block is made and approved.
    fn has_slack(&self) -> bool {
        if !self.parts.config.backfill || self.machine.status(self.now()).mode != Mode::Synced {
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
    async fn handle(&mut self, StepEnded { peer, result }: StepEnded, ctx: &mut Context<Self>) {
        self.past.busy = false;
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

/// One step, with one peer.
struct Step {
    parts: Parts,
    peer: PeerId,
}

/// A header with its lineage, to be stored.
type Known = (CertifiedHeader, alys_chain::Lineage);

impl Step {
    async fn run(self, rng: Stream) -> Result<Height, Fault> {
        let (earliest, top) = self.lowest()?;
        let (from, count) = below(earliest);
        let headers = self.headers(from, count).await?;
        let (rules, now) = (self.parts.rules.clone(), self.parts.clock.unix());
        let checked = self
            .parts
            .pool
            .run(Priority::Normal, move || check(&rules, &headers, top, now, rng))
            .await
            .map_err(|error| Fault::Ours(error.to_string()))??;
        let bodies = self.bodies(&checked).await?;
        let blocks = join(checked, bodies)?;
        self.parts.chain.backfill(blocks).await
    }

    /// The lowest height with a body, and the parent of that block.
    fn lowest(&self) -> Result<(Height, BlockId), Fault> {
        let ours = |error: StoreError| Fault::Ours(error.to_string());
        let store = &self.parts.store;
        let earliest = store.earliest().map_err(ours)?;
        let lowest = store.canonical(earliest).map_err(ours)?;
        let header = lowest.map(|id| store.header(id)).transpose().map_err(ours)?.flatten();
        let none = || Fault::Moment("nothing stands on the state yet".to_owned());
        Ok((earliest, header.ok_or_else(none)?.header.parent))
    }

    async fn headers(&self, from: Height, count: u32) -> Result<Vec<CertifiedHeader>, Fault> {
        let mut headers = Vec::new();
        let answers = self.parts.requests.request(self.peer, Request::Headers { from, count });
        read(answers, |answer| {
            if let Answer::Headers(more) = answer {
                headers.extend(more);
            }
        })
        .await?;
        if headers.len() < count as usize {
            return Err(Fault::Moment("the peer does not have these headers".to_owned()));
        }
        Ok(headers)
    }

    /// The bodies of these headers, the highest first: an answer that is cut off then still joins what is here.
    async fn bodies(&self, headers: &[Known]) -> Result<Vec<Body>, Fault> {
        let ids = headers.iter().rev().map(|(header, _)| header.certificate.block).collect();
        let mut bodies = Vec::new();
        let answers = self.parts.requests.request(self.peer, Request::Bodies { ids });
        read(answers, |answer| {
            if let Answer::Bodies(more) = answer {
                bodies.extend(more.into_iter().map(|(_, body)| body));
            }
        })
        .await?;
        Ok(bodies.into_iter().map_while(|body| body).collect())
    }
}

/// Reads an answer to its end.
async fn read(mut answers: Answers, mut take: impl FnMut(Answer)) -> Result<(), Fault> {
    let whole = async {
        loop {
            match answers.recv().await.unwrap_or(Answer::End(Outcome::Lost)) {
                Answer::End(Outcome::Done) => return Ok(()),
                Answer::End(outcome) => return Err(outcome),
                answer => take(answer),
            }
        }
    };
    let late = || Fault::Moment("the answer took too long".to_owned());
    timeout(PATIENCE, whole).await.map_err(|_| late())?.map_err(|outcome| match end_of(outcome.clone()) {
        LeaseEnd::Failed(fault) => fault,
        _ => Fault::Moment(outcome.to_string()),
    })
}

/// The range right below a height.
fn below(earliest: Height) -> (Height, u32) {
    let most = u64::from(MAX_HEADERS_PER_REQUEST);
    let from = Height(earliest.get().saturating_sub(most).max(1));
    let count = earliest.get().saturating_sub(from.get());
    (from, u32::try_from(count).unwrap_or(MAX_HEADERS_PER_REQUEST))
}

/// The headers of a range that can be stored, with their lineage: linked up to the block `top`, and certified.
fn check(
    rules: &alys_chain::Rules,
    headers: &[CertifiedHeader],
    top: BlockId,
    now: UnixMillis,
    mut rng: Stream,
) -> Result<Vec<Known>, Fault> {
    let peers = |invalid: &alys_chain::Invalid| Fault::Peer(offence(invalid));
    let (mut parent, headers) = ground(rules, headers)?;
    let linked = verify::link_range(rules, &parent, headers, now).map_err(|fault| peers(&fault.invalid))?;
    if linked.outcome.last.header.id() != top {
        return Err(Fault::Peer(Offence::BadHeader));
    }
    let entries: Vec<Entry<'_>> = linked.entries(headers).collect();
    if let Some((_, invalid)) = batch::verify(rules, &entries, Search::First, &mut rng).faults.pop_first() {
        return Err(peers(&invalid));
    }
    let known = headers.iter().map(|header| {
        parent = parent.child(header.header);
        (*header, parent.lineage)
    });
    Ok(known.collect())
}

/// What the range stands on, and the rest of it: genesis, or the first two headers in consecutive slots.
fn ground<'a>(
    rules: &alys_chain::Rules,
    headers: &'a [CertifiedHeader],
) -> Result<(Parent, &'a [CertifiedHeader]), Fault> {
    if headers.first().is_some_and(|first| first.header.height == Height(1)) {
        return Ok((Parent::genesis(rules), headers));
    }
    let pair = headers.windows(2).position(|pair| finality::follows(&pair[0].header, &pair[1].header));
    let none = || Fault::Moment("no two of these headers stand in consecutive slots".to_owned());
    let at = pair.filter(|at| at + 2 < headers.len()).ok_or_else(none)?;
    let parent =
        finality::settle(rules, &headers[at..]).map_err(|fault| Fault::Peer(offence(&fault.invalid)))?;
    Ok((parent, &headers[at + 2..]))
}

/// The blocks that have come whole, ascending. `bodies` are those of the last headers, the highest first.
fn join(headers: Vec<Known>, bodies: Vec<Body>) -> Result<Vec<Backfilled>, Fault> {
    let whole = headers.into_iter().rev().zip(bodies);
    let mut blocks = whole
        .map(|((header, lineage), body)| match body.root() {
            Ok(root) if root == header.header.body_root => Ok(Backfilled { header, lineage, body }),
            _ => Err(Fault::Peer(Offence::BadBody)),
        })
        .collect::<Result<Vec<_>, _>>()?;
    if blocks.is_empty() {
        return Err(Fault::Moment("the peer does not have these bodies".to_owned()));
    }
    blocks.reverse();
    Ok(blocks)
}
