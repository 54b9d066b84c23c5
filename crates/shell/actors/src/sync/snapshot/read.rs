//! The readers of answers that bring a state, as streams of news. They end when the machine cancels their lease.

use alys_actor::{Message, Stream as Rng};
use alys_chain::BlockId;
use alys_ledger::{Bucket, BucketSum};
use alys_sync::{Fault, LeaseEnd, LeaseId};
use alys_transport::{Answer, Answers, Outcome};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};

use super::super::news::end_of;
use super::stage::{Offered, Stage};

/// News of a lease.
pub(super) struct Fetched {
    pub lease: LeaseId,
    pub news: News,
}

/// What became of an answer.
pub(super) enum News {
    /// Bytes came.
    Progress,
    /// States that the peer offers, proven.
    Offered(Vec<Offered>),
    /// The sums are right, and durable.
    SumsStored,
    /// The bucket is right, and durable.
    BucketStored,
    /// It did not bring what it was for.
    End(LeaseEnd),
}

impl Message for Fetched {
    type Reply = ();
    const NAME: &'static str = "StateFetched";
}

/// One piece of news at the end.
fn once(
    lease: LeaseId,
    read: impl Future<Output = Result<News, LeaseEnd>> + Send,
) -> impl Stream<Item = Fetched> + Send {
    let told = async move { Fetched { lease, news: read.await.unwrap_or_else(News::End) } };
    stream::once(told)
}

fn failed(fault: Fault) -> LeaseEnd {
    LeaseEnd::Failed(fault)
}

/// How an answer ended; a server that has not got what it offered is to say again what it offers.
fn end(outcome: Outcome) -> LeaseEnd {
    match outcome {
        Outcome::Unavailable => LeaseEnd::Served,
        other => end_of(other),
    }
}

/// The offers of a peer.
pub(super) fn offers(
    mut answers: Answers,
    lease: LeaseId,
    stage: Stage,
    rng: Rng,
) -> impl Stream<Item = Fetched> + Send {
    once(lease, async move {
        let mut proofs = Vec::new();
        loop {
            match answers.recv().await.unwrap_or(Answer::End(Outcome::Lost)) {
                Answer::Snapshots(more) => proofs.extend(more),
                Answer::End(Outcome::Done) => break,
                Answer::End(outcome) => return Err(end_of(outcome)),
                // The transport lets no other kind of piece through.
                _ => {}
            }
        }
        stage.prove(proofs, rng).await.map(News::Offered).map_err(failed)
    })
}

/// The sums of a state.
pub(super) fn sums(
    mut answers: Answers,
    lease: LeaseId,
    stage: Stage,
    offered: Offered,
) -> impl Stream<Item = Fetched> + Send {
    once(lease, async move {
        loop {
            match answers.recv().await.unwrap_or(Answer::End(Outcome::Lost)) {
                Answer::StateSums(sums) => {
                    return stage.begin(offered, sums).await.map(|()| News::SumsStored).map_err(failed);
                }
                Answer::End(outcome) => return Err(end(outcome)),
                _ => {}
            }
        }
    })
}

/// A bucket on its way.
struct Reader {
    answers: Answers,
    stage: Stage,
    which: (BlockId, u8),
    /// Nothing while it is in the pool, and at the end.
    sum: Option<BucketSum>,
    accounts: Vec<Bytes>,
}

/// A bucket: a sign of life with each piece, the verdict at the end.
pub(super) fn bucket(
    answers: Answers,
    lease: LeaseId,
    stage: Stage,
    which: (BlockId, u8),
) -> impl Stream<Item = Fetched> + Send {
    let sum = Some(BucketSum::new(Bucket(which.1)));
    let reader = Reader { answers, stage, which, sum, accounts: Vec::new() };
    let news = stream::unfold(reader, |mut reader| async move {
        let sum = reader.sum.take()?;
        let news = reader.next(sum).await.unwrap_or_else(News::End);
        Some((news, reader))
    });
    news.map(move |news| Fetched { lease, news })
}

impl Reader {
    async fn next(&mut self, sum: BucketSum) -> Result<News, LeaseEnd> {
        loop {
            match self.answers.recv().await.unwrap_or(Answer::End(Outcome::Lost)) {
                Answer::Accounts(pieces) => {
                    let (sum, pieces) = self.stage.add(sum, pieces).await.map_err(failed)?;
                    self.accounts.extend(pieces);
                    self.sum = Some(sum);
                    return Ok(News::Progress);
                }
                Answer::End(Outcome::Done) => {
                    let accounts = std::mem::take(&mut self.accounts);
                    let stored = self.stage.complete(self.which, sum, accounts).await;
                    return stored.map(|()| News::BucketStored).map_err(failed);
                }
                Answer::End(outcome) => return Err(end(outcome)),
                _ => {}
            }
        }
    }
}
