//! The answer to one request as a stream: bounded by a window of bytes, ended exactly once.

use core::time::Duration;
use std::sync::Arc;

use alys_chain::{BlockId, Body, CertifiedHeader, FinalityProof, Report};
use alys_wire::Status;
use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// What a queued answer costs beyond its payload, in bytes: its place in the queue and its allocation.
const OVERHEAD: usize = 64;

/// A piece of an answer. Well-formed and in the order that was asked for, but nothing in it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a status request; the only piece.
    Status(Box<Status>),
    /// To a headers request: the next ones, as many as arrived together, at least one.
    Headers(Vec<CertifiedHeader>),
    /// To a bodies request: the next ones, as many as arrived together, at least one. `None` stands for a body that the peer says it lacks.
    Bodies(Vec<(BlockId, Option<Body>)>),
    /// To a request for a claim: the encoded claim; the only piece.
    Claim(Bytes),
    /// To a request for a report; the only piece.
    Report(Report),
    /// To a request for the offered states: the next ones, as many as arrived together, at least one.
    Snapshots(Vec<FinalityProof>),
    /// To a request for the sums of a state; the only piece.
    StateSums(Bytes),
    /// To a request for a bucket: the next accounts, as many as arrived together, at least one piece.
    Accounts(Vec<Bytes>),
    /// The last piece: how it ended. Comes exactly once.
    End(Outcome),
}

impl Answer {
    /// What it occupies in the window, in bytes.
    fn weight(&self) -> usize {
        match self {
            Self::Status(_) | Self::End(_) => OVERHEAD + size_of::<Status>(),
            Self::Claim(claim) => OVERHEAD + claim.len(),
            Self::Report(_) => OVERHEAD + Report::SIZE,
            Self::Snapshots(proofs) => OVERHEAD + proofs.len() * alys_wire::limits::MAX_FINALITY_PROOF_BYTES,
            Self::StateSums(sums) => OVERHEAD + sums.len(),
            Self::Accounts(pieces) => {
                pieces.iter().map(|piece| OVERHEAD + piece.len()).fold(OVERHEAD, usize::saturating_add)
            }
            Self::Headers(headers) => OVERHEAD + headers.len() * size_of::<CertifiedHeader>(),
            Self::Bodies(bodies) => bodies
                .iter()
                .map(|(_, body)| OVERHEAD + body.as_ref().map_or(0, |b| b.0.len()))
                .fold(OVERHEAD, usize::saturating_add),
        }
    }
}

/// How a request ended. What arrived before counts in every case; a short answer that is [`Outcome::Done`] proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Outcome {
    /// The peer said that this is all.
    #[error("done")]
    Done,
    /// The peer is busy.
    #[error("refused, retry in {retry_after:?}")]
    Refused {
        /// When it may be asked again.
        retry_after: Duration,
    },
    /// The peer cannot read its own store now, or serves nothing of the kind.
    #[error("not available at the peer")]
    Unavailable,
    /// We asked for it, or dropped the reading half.
    #[error("cancelled")]
    Cancelled,
    /// The connection or its stream is gone, or there was none.
    #[error("connection lost")]
    Lost,
    /// The peer speaks no bulk protocol of this network.
    #[error("the peer serves no requests")]
    Unsupported,
    /// The peer sent what the protocol does not allow; the stream was closed.
    #[error("protocol violation: {0}")]
    Violated(Violation),
    /// Our own command queue, or the number of requests to this peer, was full; the request was not sent.
    #[error("too many requests wait already")]
    Overloaded,
}

impl Outcome {
    /// Whose fault it is; `None` where there is none.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        match self {
            Self::Done | Self::Cancelled => None,
            Self::Refused { .. } | Self::Unavailable | Self::Lost | Self::Unsupported => Some(Fault::Moment),
            Self::Violated(_) => Some(Fault::Peer),
            Self::Overloaded => Some(Fault::Ours),
        }
    }
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The peer's, provable from what it sent over its authenticated connection.
    Peer,
    /// Nobody's: retry elsewhere or later.
    Moment,
    /// Ours.
    Ours,
}

/// What a peer did that no correct implementation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// Bytes that are no frame, or one above its size limit.
    #[error("malformed frame")]
    Malformed,
    /// A frame for a request that is not the running one.
    #[error("frame for another request")]
    OtherRequest,
    /// A piece that is not the next one of those asked for.
    #[error("frame out of order")]
    OutOfOrder,
    /// A piece that does not belong to the kind of request.
    #[error("frame of the wrong kind")]
    WrongKind,
    /// More pieces than were asked for.
    #[error("more than was asked for")]
    TooMuch,
}

/// The reading half was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("nobody reads the answer")]
pub struct Gone;

/// A stream of answers that holds at most about `window` bytes: one piece may exceed it, when nothing else waits.
#[must_use]
pub fn answers(window: usize) -> (AnswerSink, Answers) {
    // The window is the bound of this queue, in bytes; the end of the stream needs no room in it.
    let (out, inbox) = mpsc::unbounded_channel();
    let window = u32::try_from(window).unwrap_or(u32::MAX).max(1);
    let room = Arc::new(Semaphore::new(window as usize));
    (AnswerSink { out: Some(out), room: room.clone(), window }, Answers { inbox, room })
}

type Piece = (Answer, Option<OwnedSemaphorePermit>);

/// Where a transport puts the answer. Dropped without an end, it ends with [`Outcome::Lost`]: a request cannot be forgotten.
#[derive(Debug)]
pub struct AnswerSink {
    out: Option<mpsc::UnboundedSender<Piece>>,
    room: Arc<Semaphore>,
    window: u32,
}

impl AnswerSink {
    /// Passes a piece on, once there is room for it.
    ///
    /// # Errors
    /// [`Gone`] when nobody reads any more.
    pub async fn push(&self, answer: Answer) -> Result<(), Gone> {
        let weight = u32::try_from(answer.weight()).unwrap_or(u32::MAX).min(self.window);
        let permit = self.room.clone().acquire_many_owned(weight).await.map_err(|_| Gone)?;
        self.out.as_ref().ok_or(Gone)?.send((answer, Some(permit))).map_err(|_| Gone)
    }

    /// Ends the answer; never waits.
    pub fn end(mut self, outcome: Outcome) {
        self.finish(outcome);
    }

    /// Resolves when nobody reads any more.
    pub async fn gone(&self) {
        if let Some(out) = &self.out {
            out.closed().await;
        }
    }

    /// Whether nobody reads any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.out.as_ref().is_none_or(mpsc::UnboundedSender::is_closed)
    }

    fn finish(&mut self, outcome: Outcome) {
        if let Some(out) = self.out.take() {
            // If nobody reads, nobody needs the end either.
            let _ = out.send((Answer::End(outcome), None));
        }
    }
}

impl Drop for AnswerSink {
    fn drop(&mut self) {
        self.finish(Outcome::Lost);
    }
}

/// Where the answer is read. Dropping it cancels the request.
#[derive(Debug)]
pub struct Answers {
    inbox: mpsc::UnboundedReceiver<Piece>,
    room: Arc<Semaphore>,
}

impl Answers {
    /// The next piece; its room is free again. `None` behind the end.
    pub async fn recv(&mut self) -> Option<Answer> {
        self.inbox.recv().await.map(|(answer, _permit)| answer)
    }

    /// The next piece if it is there.
    pub fn try_recv(&mut self) -> Option<Answer> {
        self.inbox.try_recv().ok().map(|(answer, _permit)| answer)
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        // Wakes a sink that waits for room.
        self.room.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(size: usize) -> Answer {
        Answer::Bodies(vec![(BlockId::default(), Some(Body(Bytes::from(vec![0; size]))))])
    }

    #[tokio::test]
    async fn a_slow_reader_stops_the_writer_and_reading_lets_it_go_on() {
        let (sink, mut reader) = answers(1000);
        sink.push(body(800)).await.unwrap();
        let mut second = Box::pin(sink.push(body(800)));
        assert!(futures::poll!(second.as_mut()).is_pending());
        assert_eq!(reader.recv().await, Some(body(800)));
        second.await.unwrap();
        assert_eq!(reader.try_recv(), Some(body(800)));
        assert_eq!(reader.try_recv(), None);
    }

    #[tokio::test]
    async fn a_piece_above_the_window_passes_alone() {
        let (sink, mut reader) = answers(10);
        sink.push(body(5000)).await.unwrap();
        assert!(futures::poll!(Box::pin(sink.push(body(1)))).is_pending());
        assert_eq!(reader.recv().await, Some(body(5000)));
    }

    #[tokio::test]
    async fn the_end_needs_no_room_and_comes_behind_what_arrived() {
        let (sink, mut reader) = answers(10);
        sink.push(body(5000)).await.unwrap();
        sink.end(Outcome::Done);
        assert_eq!(reader.recv().await, Some(body(5000)));
        assert_eq!(reader.recv().await, Some(Answer::End(Outcome::Done)));
        assert_eq!(reader.recv().await, None);
    }

    #[tokio::test]
    async fn a_dropped_sink_ends_the_answer_as_lost() {
        let (sink, mut reader) = answers(10);
        drop(sink);
        assert_eq!(reader.recv().await, Some(Answer::End(Outcome::Lost)));
        assert_eq!(reader.recv().await, None);
    }

    #[tokio::test]
    async fn a_dropped_reader_frees_a_waiting_writer() {
        let (sink, reader) = answers(10);
        sink.push(body(100)).await.unwrap();
        let mut waiting = Box::pin(sink.push(body(100)));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        assert!(!sink.is_gone());
        drop(reader);
        assert_eq!(waiting.await, Err(Gone));
        sink.gone().await;
        assert!(sink.is_gone());
    }

    #[test]
    fn blame_is_by_type() {
        assert_eq!(Outcome::Done.fault(), None);
        assert_eq!(Outcome::Lost.fault(), Some(Fault::Moment));
        assert_eq!(Outcome::Violated(Violation::TooMuch).fault(), Some(Fault::Peer));
        assert_eq!(Outcome::Overloaded.fault(), Some(Fault::Ours));
    }
}
