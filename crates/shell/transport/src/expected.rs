//! What an answer may consist of, whoever carries it.
//!
//! - **Decides**: whether a piece belongs to what was asked.
//! - **In**: the pieces of one answer, in the order of their arrival.
//! - **Out**: pieces put together for whoever asked, and how the answer ended.
//! - **On failure**: a [`Violation`], which the peer is to blame for.

use alys_chain::{BlockId, Height};
use alys_wire::Request;
use alys_wire::bulk::{Refusal, Response};
use alys_wire::limits::{ACCOUNT_BYTES, MAX_ACCOUNTS_PER_BUCKET, MAX_SNAPSHOTS};

use crate::answers::{Answer, Outcome, Violation};

/// What may still come.
#[derive(Debug)]
pub(crate) enum Wanted {
    Status,
    Claim,
    Report,
    Headers { next: Height, left: u32 },
    Bodies { ids: Vec<BlockId>, next: usize },
    Snapshots { left: usize },
    StateSums,
    Accounts { left: usize },
    Nothing,
}

impl Wanted {
    pub fn new(request: &Request) -> Self {
        match request {
            Request::Status => Self::Status,
            Request::Claim { .. } => Self::Claim,
            Request::Report { .. } => Self::Report,
            Request::Headers { from, count } => Self::Headers { next: *from, left: *count },
            Request::Bodies { ids } => Self::Bodies { ids: ids.clone(), next: 0 },
            Request::Snapshots => Self::Snapshots { left: MAX_SNAPSHOTS },
            Request::StateSums { .. } => Self::StateSums,
            Request::Accounts { .. } => Self::Accounts { left: MAX_ACCOUNTS_PER_BUCKET },
        }
    }

    /// Counts a piece of the answer.
    ///
    /// # Errors
    /// The piece was not asked for.
    pub fn take(&mut self, piece: &Response) -> Result<(), Violation> {
        match (&mut *self, piece) {
            (_, Response::End { .. } | Response::Refused { .. }) => {}
            (Self::Status, Response::Status(_))
            | (Self::Claim, Response::Claim(_))
            | (Self::Report, Response::Report(_))
            | (Self::StateSums, Response::StateSums(_)) => *self = Self::Nothing,
            (Self::Snapshots { left }, Response::Snapshot(_)) => count_down(left, 1)?,
            (Self::Accounts { left }, Response::Accounts(bytes)) => {
                count_down(left, bytes.len() / ACCOUNT_BYTES)?
            }
            (Self::Headers { left: 0, .. }, Response::Header(_)) => return Err(Violation::TooMuch),
            (Self::Headers { next, left }, Response::Header(certified)) => {
                if certified.header.height != *next {
                    return Err(Violation::OutOfOrder);
                }
                *next = next.saturating_add(1);
                *left -= 1;
            }
            (Self::Bodies { ids, next }, Response::Body { block, .. } | Response::Missing { block }) => {
                match ids.get(*next) {
                    None => return Err(Violation::TooMuch),
                    Some(wanted) if wanted != block => return Err(Violation::OutOfOrder),
                    Some(_) => *next += 1,
                }
            }
            (Self::Nothing, _) => return Err(Violation::TooMuch),
            _ => return Err(Violation::WrongKind),
        }
        Ok(())
    }
}

/// Takes `n` off what is left.
fn count_down(left: &mut usize, n: usize) -> Result<(), Violation> {
    *left = left.checked_sub(n).ok_or(Violation::TooMuch)?;
    Ok(())
}

/// Pieces of one answer that arrived together.
pub(crate) fn add(batch: &mut Option<Answer>, piece: Response) {
    match (batch.as_mut(), piece) {
        (Some(Answer::Headers(headers)), Response::Header(header)) => headers.push(*header),
        (_, Response::Header(header)) => *batch = Some(Answer::Headers(vec![*header])),
        (Some(Answer::Bodies(bodies)), Response::Body { block, body }) => bodies.push((block, Some(body))),
        (_, Response::Body { block, body }) => *batch = Some(Answer::Bodies(vec![(block, Some(body))])),
        (Some(Answer::Bodies(bodies)), Response::Missing { block }) => bodies.push((block, None)),
        (_, Response::Missing { block }) => *batch = Some(Answer::Bodies(vec![(block, None)])),
        (_, Response::Status(status)) => *batch = Some(Answer::Status(status)),
        (_, Response::Claim(claim)) => *batch = Some(Answer::Claim(claim)),
        (_, Response::Report(report)) => *batch = Some(Answer::Report(report)),
        (Some(Answer::Snapshots(proofs)), Response::Snapshot(proof)) => proofs.push(*proof),
        (_, Response::Snapshot(proof)) => *batch = Some(Answer::Snapshots(vec![*proof])),
        (_, Response::StateSums(sums)) => *batch = Some(Answer::StateSums(sums)),
        (Some(Answer::Accounts(pieces)), Response::Accounts(bytes)) => pieces.push(bytes),
        (_, Response::Accounts(bytes)) => *batch = Some(Answer::Accounts(vec![bytes])),
        (_, Response::End { .. } | Response::Refused { .. }) => {}
    }
}

/// How an answer ends with this last piece.
pub(crate) fn outcome(last: &Response) -> Outcome {
    match last {
        Response::Refused { reason: Refusal::Unavailable, .. } => Outcome::Unavailable,
        Response::Refused { retry_after, .. } => Outcome::Refused { retry_after: retry_after.wait() },
        _ => Outcome::Done,
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use alys_chain::Body;
    use alys_wire::RetryAfter;
    use bytes::Bytes;

    use super::*;

    const A: BlockId = BlockId([1; 32]);
    const B: BlockId = BlockId([2; 32]);

    fn body(block: BlockId) -> Response {
        Response::Body { block, body: Body(Bytes::from_static(b"body")) }
    }

    #[test]
    fn bodies_come_in_the_order_in_which_they_were_asked() {
        let mut wanted = Wanted::new(&Request::Bodies { ids: vec![A, B] });
        assert_eq!(wanted.take(&body(B)), Err(Violation::OutOfOrder));
        assert_eq!(wanted.take(&body(A)), Ok(()));
        assert_eq!(wanted.take(&Response::Missing { block: B }), Ok(()));
        assert_eq!(wanted.take(&body(B)), Err(Violation::TooMuch));
        assert_eq!(wanted.take(&Response::End { served: 1 }), Ok(()));
    }

    #[test]
    fn a_piece_of_another_kind_is_a_violation() {
        for request in [Request::Status, Request::Claim { nonce: [0; 32] }, Request::Bodies { ids: vec![A] }]
        {
            let claim = Response::Claim(Bytes::new());
            let piece = if matches!(request, Request::Claim { .. }) { body(A) } else { claim };
            assert_eq!(Wanted::new(&request).take(&piece), Err(Violation::WrongKind), "{request:?}");
        }
    }

    #[test]
    fn what_is_wanted_once_comes_once() {
        let mut wanted = Wanted::new(&Request::Claim { nonce: [0; 32] });
        assert_eq!(wanted.take(&Response::Claim(Bytes::new())), Ok(()));
        assert_eq!(wanted.take(&Response::Claim(Bytes::new())), Err(Violation::TooMuch));
    }

    #[test]
    fn pieces_that_arrive_together_are_passed_on_together() {
        let mut batch = None;
        add(&mut batch, body(A));
        add(&mut batch, Response::Missing { block: B });
        let expected = vec![(A, Some(Body(Bytes::from_static(b"body")))), (B, None)];
        assert_eq!(batch, Some(Answer::Bodies(expected)));
    }

    #[test]
    fn a_refusal_says_when_to_come_again_but_not_later_than_allowed() {
        let refused =
            |reason, millis| outcome(&Response::Refused { reason, retry_after: RetryAfter(millis) });
        let retry_after = Duration::from_millis(700);
        assert_eq!(refused(Refusal::Busy, 700), Outcome::Refused { retry_after });
        assert!(
            matches!(refused(Refusal::RateLimited, u32::MAX), Outcome::Refused { retry_after } if retry_after < Duration::from_secs(3600))
        );
        assert_eq!(refused(Refusal::Unavailable, 700), Outcome::Unavailable);
    }
}
