//! One step of the backfill, with one peer.

use std::time::Duration;

use alys_actor::{Priority, Stream};
use alys_chain::{BlockId, Body, CertifiedHeader, Height};
use alys_storage::StoreError;
use alys_sync::{Fault, LeaseEnd};
use alys_transport::{Answer, Answers, Outcome};
use alys_wire::limits::MAX_HEADERS_PER_REQUEST;
use alys_wire::{PeerId, Request};
use tokio::time::timeout;

use super::super::super::Parts;
use super::super::super::news::end_of;
use super::check::{Descent, Known, check, join};

/// How long an answer may take: nothing waits for it, and a line of 1 MB/s brings 16 MiB in 17 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bodies that are asked for in a step: those of one request for headers.
const BODIES: usize = MAX_HEADERS_PER_REQUEST as usize;

/// See the [module](self).
pub(super) struct Step {
    pub parts: Parts,
    pub peer: PeerId,
    /// Headers right below the lowest body whose bodies are still to come: what is left of those that the step before has checked, and in the end what this one leaves.
    pub known: Vec<Known>,
}

impl Step {
    /// Stores some blocks. Returns the lowest height with a body then.
    pub async fn run(&mut self, rng: Stream) -> Result<Height, Fault> {
        let (earliest, parent) = self.lowest()?;
        let fits = self.known.last().is_some_and(|(top, _)| top.certificate.block == parent);
        if !fits {
            self.known = Vec::new();
            self.known = self.headers_below(earliest, parent, rng).await?;
        }
        let part = &self.known[self.known.len().saturating_sub(BODIES)..];
        let blocks = join(part, self.bodies(part).await?)?;
        let rest = self.known.len().saturating_sub(blocks.len());
        let earliest = self.parts.chain.backfill(blocks).await?;
        self.known.truncate(rest);
        Ok(earliest)
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

    /// The headers below, from as far down as it takes to know whose quorums are due.
    async fn headers_below(
        &self,
        earliest: Height,
        parent: BlockId,
        rng: Stream,
    ) -> Result<Vec<Known>, Fault> {
        let mut descent = Descent::new(earliest, parent);
        while let Some((from, count)) = descent.next() {
            descent.take(self.headers(from, count).await?)?;
        }
        let headers = descent.into_headers();
        let (rules, now) = (self.parts.rules.clone(), self.parts.clock.unix());
        let job = move || check(&rules, &headers, now, rng);
        let checked = self.parts.pool.run(Priority::Normal, job).await;
        checked.map_err(|error| Fault::Ours(error.to_string()))?
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
