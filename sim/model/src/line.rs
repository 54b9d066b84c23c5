//! The line of one peer: answers queue behind each other and leave as fast as it allows.

use core::time::Duration;
use std::collections::VecDeque;

use alys_chain::{BlockId, CertifiedHeader};
use alys_sync::LeaseId;

/// How much of a transfer is one event, in time: finer than any timer of a scheduler, coarse enough for large runs.
const PIECE: Duration = Duration::from_millis(10);

/// An answer, or what is left of it.
pub struct Answer {
    pub lease: LeaseId,
    pub load: Load,
    /// Bytes of the item that is being sent that have left already.
    pub sent: u64,
}

pub enum Load {
    Headers(Vec<CertifiedHeader>),
    Bodies(VecDeque<(BlockId, u64)>),
}

/// What leaves at once.
pub struct Piece {
    pub lease: LeaseId,
    pub bodies: Vec<(BlockId, u64)>,
    pub headers: Option<Vec<CertifiedHeader>>,
    pub ends: bool,
    pub takes: Duration,
}

pub struct Line {
    bandwidth: u64,
    queue: VecDeque<Answer>,
    pub busy: bool,
}

/// What a header costs on the wire.
pub const HEADER_BYTES: u64 = 300;

impl Line {
    pub const fn new(bandwidth: u64) -> Self {
        Self { bandwidth, queue: VecDeque::new(), busy: false }
    }

    pub fn push(&mut self, lease: LeaseId, load: Load) {
        self.queue.push_back(Answer { lease, load, sent: 0 });
    }

    pub fn cancel(&mut self, lease: LeaseId) {
        self.queue.retain(|answer| answer.lease != lease);
    }

    fn takes(&self, bytes: u64) -> Duration {
        let micros = u128::from(bytes) * 1_000_000 / u128::from(self.bandwidth.max(1));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// The next piece to leave.
    pub fn next(&mut self) -> Option<Piece> {
        let room = u128::from(self.bandwidth) * PIECE.as_millis() / 1_000;
        let room = u64::try_from(room).unwrap_or(u64::MAX).max(1);
        let answer = self.queue.front_mut()?;
        let lease = answer.lease;
        let (mut bodies, mut headers, mut left) = (Vec::new(), None, room);
        let total = match &answer.load {
            Load::Headers(headers) => HEADER_BYTES.saturating_mul(headers.len() as u64),
            Load::Bodies(_) => 0,
        };
        match &mut answer.load {
            Load::Headers(all) => {
                let part = left.min(total - answer.sent);
                answer.sent += part;
                left -= part;
                if answer.sent >= total {
                    headers = Some(core::mem::take(all));
                }
            }
            Load::Bodies(all) => {
                while left > 0
                    && let Some(&(id, bytes)) = all.front()
                {
                    let part = left.min(bytes.max(1) - answer.sent);
                    answer.sent += part;
                    left -= part;
                    if answer.sent >= bytes.max(1) {
                        bodies.push((id, bytes));
                        all.pop_front();
                        answer.sent = 0;
                    }
                }
            }
        }
        let ends = headers.is_some() || matches!(&answer.load, Load::Bodies(all) if all.is_empty());
        if ends {
            self.queue.pop_front();
        }
        Some(Piece { lease, bodies, headers, ends, takes: self.takes(room - left) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_as_fast_as_the_line_allows_and_in_order() {
        let mut line = Line::new(1_000_000);
        let id = |n| BlockId([n; 32]);
        line.push(LeaseId(1), Load::Bodies([(id(1), 25_000), (id(2), 5_000)].into()));
        line.push(LeaseId(2), Load::Bodies([(id(3), 1)].into()));
        let pieces: Vec<Piece> = core::iter::from_fn(|| line.next()).collect();
        let took: Duration = pieces.iter().map(|piece| piece.takes).sum();
        assert_eq!(took, Duration::from_micros(30_001));
        let order: Vec<BlockId> = pieces.iter().flat_map(|p| &p.bodies).map(|&(id, _)| id).collect();
        assert_eq!(order, [id(1), id(2), id(3)]);
        assert_eq!(pieces.iter().filter(|piece| piece.ends).count(), 2);
    }

    #[test]
    fn what_was_cancelled_does_not_leave() {
        let mut line = Line::new(1_000_000);
        line.push(LeaseId(1), Load::Bodies([(BlockId([1; 32]), 25_000)].into()));
        assert!(line.next().is_some());
        line.cancel(LeaseId(1));
        assert!(line.next().is_none());
    }
}
