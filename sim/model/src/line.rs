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
    /// Before anything of it leaves, the line stands still for so long.
    pub stalls: Duration,
    /// Bytes of the item that is being sent that have left already.
    pub sent: u64,
}

pub enum Load {
    /// The head that a status names.
    Status(Option<Box<CertifiedHeader>>),
    Headers(Vec<CertifiedHeader>),
    Bodies(VecDeque<(BlockId, u64)>),
}

/// What leaves at once.
pub struct Piece {
    pub lease: LeaseId,
    pub bodies: Vec<(BlockId, u64)>,
    pub headers: Option<Vec<CertifiedHeader>>,
    pub status: Option<Load>,
    pub ends: bool,
    pub takes: Duration,
}

impl Piece {
    const fn of(lease: LeaseId) -> Self {
        Self { lease, bodies: Vec::new(), headers: None, status: None, ends: false, takes: Duration::ZERO }
    }
}

pub struct Line {
    bandwidth: u64,
    queue: VecDeque<Answer>,
    pub busy: bool,
}

/// A status, in bytes.
pub const STATUS_BYTES: u64 = 400;
/// What a header costs on the wire.
pub const HEADER_BYTES: u64 = 300;

impl Line {
    pub const fn new(bandwidth: u64) -> Self {
        Self { bandwidth, queue: VecDeque::new(), busy: false }
    }

    pub fn push(&mut self, lease: LeaseId, load: Load, stalls: Duration) {
        self.queue.push_back(Answer { lease, load, stalls, sent: 0 });
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
        let mut piece = Piece::of(answer.lease);
        if !answer.stalls.is_zero() {
            piece.takes = core::mem::take(&mut answer.stalls);
            return Some(piece);
        }
        let mut left = room;
        match &mut answer.load {
            Load::Status(_) => piece.ends = send(&mut left, &mut answer.sent, STATUS_BYTES),
            Load::Headers(all) => {
                piece.ends = send(&mut left, &mut answer.sent, HEADER_BYTES.saturating_mul(all.len() as u64));
                piece.headers = piece.ends.then(|| core::mem::take(all));
            }
            Load::Bodies(all) => {
                while let Some(&(id, bytes)) = all.front()
                    && send(&mut left, &mut answer.sent, bytes.max(1))
                {
                    piece.bodies.push((id, bytes));
                    all.pop_front();
                    answer.sent = 0;
                }
                piece.ends = all.is_empty();
            }
        }
        if piece.ends {
            let ended = self.queue.pop_front().map(|answer| answer.load);
            piece.status = ended.filter(|load| matches!(load, Load::Status(_)));
        }
        piece.takes = self.takes(room - left);
        Some(piece)
    }
}

/// Sends what is left of an item, of which `sent` bytes have left before, as far as there is room; whether that is all of it.
fn send(room: &mut u64, sent: &mut u64, total: u64) -> bool {
    let part = (*room).min(total.saturating_sub(*sent));
    *sent += part;
    *room -= part;
    *sent >= total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_as_fast_as_the_line_allows_and_in_order() {
        let mut line = Line::new(1_000_000);
        let id = |n| BlockId([n; 32]);
        line.push(LeaseId(1), Load::Bodies([(id(1), 25_000), (id(2), 5_000)].into()), Duration::ZERO);
        line.push(LeaseId(2), Load::Bodies([(id(3), 1)].into()), Duration::ZERO);
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
        line.push(LeaseId(1), Load::Bodies([(BlockId([1; 32]), 25_000)].into()), Duration::ZERO);
        assert!(line.next().is_some());
        line.cancel(LeaseId(1));
        assert!(line.next().is_none());
    }
}
