//! What the answer to a request brings, as messages: one a range of headers, one for all bodies that arrived together.

use core::time::Duration;

use alys_actor::{Clock, Message};
use alys_chain::{BlockId, Body, CertifiedHeader, Height, Moment};
use alys_sync::{Fault, LeaseEnd, LeaseId, Offence};
use alys_transport::{Answer, Answers, Outcome, Violation};
use alys_wire::{PeerId, Status};
use futures::{Stream, StreamExt, stream};

use super::verify::Verifier;

/// How often it is told at most that headers of an unfinished range have come.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// Bodies that arrived together go as one message up to this size: twice the greatest body, so that any two fit, and a quarter of a lane.
const NEWS_BYTES: u64 = 4 << 20;
/// When a peer that cannot serve now is asked again: its store or its queue needs more than a moment.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(1);

/// News of one request.
#[derive(Debug)]
pub(super) struct LeaseNews {
    pub lease: LeaseId,
    pub peer: PeerId,
    pub news: News,
}

/// What came.
#[derive(Debug)]
pub(super) enum News {
    /// A status whose head is verified.
    Status { head: Option<Box<CertifiedHeader>>, earliest: Height },
    /// All headers of the answer.
    Headers { headers: Vec<CertifiedHeader>, bytes: u64 },
    /// Bodies, in order.
    Bodies(Vec<(BlockId, Body)>),
    /// Headers came, but not all.
    Progress,
    /// The answer has ended.
    End(LeaseEnd),
}

impl Message for LeaseNews {
    type Reply = ();
    const NAME: &'static str = "LeaseNews";

    fn size(&self) -> usize {
        let held: usize = match &self.news {
            News::Headers { headers, .. } => headers.len() * size_of::<CertifiedHeader>(),
            News::Bodies(bodies) => {
                bodies.iter().map(|(_, body)| body.0.len() + size_of::<(BlockId, Body)>()).sum()
            }
            News::Status { .. } | News::Progress | News::End(_) => 0,
        };
        held.saturating_add(size_of::<Self>())
    }
}

/// The size of a body as the machine counts it.
pub(super) fn size(body: &Body) -> u64 {
    u64::try_from(body.0.len()).unwrap_or(u64::MAX)
}

/// Whose answer it is.
type From = (LeaseId, PeerId);

fn tell((lease, peer): From, news: News) -> LeaseNews {
    LeaseNews { lease, peer, news }
}

/// The status, once its head is verified, then the end.
pub(super) fn of_status(
    mut answers: Answers,
    from: From,
    verifier: Verifier,
) -> impl Stream<Item = LeaseNews> + Send {
    let read = async move {
        let mut first = None;
        loop {
            match answers.recv().await {
                Some(Answer::Status(status)) => first = Some(judge(&verifier, *status).await),
                Some(Answer::End(outcome)) => return [first, Some(News::End(end_of(outcome)))],
                Some(_) => {}
                None => return [first, Some(News::End(end_of(Outcome::Lost)))],
            }
        }
    };
    let news = stream::once(read).flat_map(|news| stream::iter(news.into_iter().flatten()));
    news.map(move |news| tell(from, news))
}

/// What a status is worth.
async fn judge(verifier: &Verifier, status: Status) -> News {
    let earliest = status.earliest;
    let Some(head) = status.head else { return News::Status { head: None, earliest } };
    match verifier.head(head).await {
        Ok(()) => News::Status { head: Some(Box::new(head)), earliest },
        Err(fault) => News::End(LeaseEnd::Failed(fault)),
    }
}

struct HeaderReader {
    answers: Answers,
    clock: Clock,
    headers: Vec<CertifiedHeader>,
    told: Moment,
    ended: bool,
}

/// All headers in one message at the end; until then a sign of life now and then.
pub(super) fn of_headers(answers: Answers, from: From, clock: Clock) -> impl Stream<Item = LeaseNews> + Send {
    let told = clock.moment();
    let reader = HeaderReader { answers, clock, headers: Vec::new(), told, ended: false };
    let news = stream::unfold(reader, |mut reader| async move {
        let news = reader.next().await?;
        Some((news, reader))
    });
    news.map(move |news| tell(from, news))
}

impl HeaderReader {
    async fn next(&mut self) -> Option<News> {
        while !self.ended {
            match self.answers.recv().await {
                Some(Answer::Headers(mut more)) if self.headers.is_empty() => {
                    // The whole range often comes as one piece.
                    std::mem::swap(&mut self.headers, &mut more);
                }
                Some(Answer::Headers(more)) => self.headers.extend(more),
                Some(Answer::End(outcome)) => return Some(self.end(outcome)),
                Some(_) => {}
                None => return Some(self.end(Outcome::Lost)),
            }
            let now = self.clock.moment();
            if now.since(self.told) >= PROGRESS_EVERY {
                self.told = now;
                return Some(News::Progress);
            }
        }
        None
    }

    /// What arrived counts, however the answer ended, unless the peer broke the protocol.
    fn end(&mut self, outcome: Outcome) -> News {
        self.ended = true;
        let headers = std::mem::take(&mut self.headers);
        let is_broken = matches!(outcome, Outcome::Violated(_));
        if outcome != Outcome::Done && (is_broken || headers.is_empty()) {
            return News::End(end_of(outcome));
        }
        let bytes = headers.len().saturating_mul(CertifiedHeader::SIZE) as u64;
        News::Headers { headers, bytes }
    }
}

struct BodyReader {
    answers: Answers,
    /// The end, if it came with the last bodies.
    end: Option<Outcome>,
    ended: bool,
}

/// Bodies as they arrive; those that wait together go together.
pub(super) fn of_bodies(answers: Answers, from: From) -> impl Stream<Item = LeaseNews> + Send {
    let reader = BodyReader { answers, end: None, ended: false };
    let news = stream::unfold(reader, |mut reader| async move {
        let news = reader.next().await?;
        Some((news, reader))
    });
    news.map(move |news| tell(from, news))
}

impl BodyReader {
    async fn next(&mut self) -> Option<News> {
        if self.ended {
            return None;
        }
        let (mut bodies, mut bytes) = (Vec::new(), 0);
        while self.end.is_none() && bytes < NEWS_BYTES {
            let piece = match self.answers.try_recv() {
                Some(piece) => piece,
                None if !bodies.is_empty() => break,
                None => self.answers.recv().await.unwrap_or(Answer::End(Outcome::Lost)),
            };
            match piece {
                Answer::Bodies(pieces) => {
                    // What a peer says it lacks is asked of another: for this lease it did not come.
                    let there = pieces.into_iter().filter_map(|(id, body)| Some((id, body?)));
                    bodies.extend(there.inspect(|(_, body)| bytes += size(body)));
                }
                Answer::End(outcome) => self.end = Some(outcome),
                _ => {}
            }
        }
        if !bodies.is_empty() {
            return Some(News::Bodies(bodies));
        }
        self.ended = true;
        Some(News::End(end_of(self.end.take().unwrap_or(Outcome::Lost))))
    }
}

/// How a lease ended, by how its answer did.
pub(super) fn end_of(outcome: Outcome) -> LeaseEnd {
    match outcome {
        Outcome::Done => LeaseEnd::Served,
        Outcome::Refused { retry_after } => LeaseEnd::Refused { retry_after },
        Outcome::Unavailable => LeaseEnd::Refused { retry_after: UNAVAILABLE_RETRY },
        Outcome::Lost | Outcome::Unsupported => LeaseEnd::Failed(Fault::Moment(outcome.to_string())),
        Outcome::Cancelled | Outcome::Overloaded => LeaseEnd::Failed(Fault::Ours(outcome.to_string())),
        Outcome::Violated(Violation::Malformed) => LeaseEnd::Failed(Fault::Peer(Offence::Malformed)),
        Outcome::Violated(_) => LeaseEnd::Failed(Fault::Peer(Offence::Unrequested)),
    }
}
