//! Three bounded queues and the order in which they are drained. Pure: no lock, no waiting.

use std::any::TypeId;
use std::collections::VecDeque;

use crate::actor::{Lane, Overflow};
use crate::addr::SendError;
use crate::letter::Head;
use crate::mailbox::LaneLimit;

/// How many messages a lane may deliver before the next one's turn comes, while all are busy. Consensus messages (High)
/// are thus behind at most eight control messages and one normal one; a flood above leaves Normal one message in thirteen,
/// which keeps serving and metrics alive. Larger numbers would lengthen the worst wait, smaller ones would blunt the order.
pub(crate) const WEIGHTS: [u32; 3] = [8, 4, 1];

/// Senders in line are woken when this share of a lane is free, rather than for each place: a sender that fills the lane
/// alone would otherwise be woken for every message. A larger share would leave the lane short of work, and refuse those
/// who cannot wait for longer.
const CALL_SHARE: usize = 8;

/// What waits in a lane.
pub(crate) trait Headed {
    fn head(&self) -> &Head;
    fn head_mut(&mut self) -> &mut Head;
}

/// What an offer displaced; or why it was refused, with what was offered.
pub(crate) type Offered<T> = Result<Vec<T>, (SendError, T)>;

struct Queue<T> {
    limit: LaneLimit,
    entries: VecDeque<T>,
    bytes: usize,
    credit: u32,
    /// Senders standing in line for room. While there are any, nobody overtakes them.
    waiters: usize,
}

impl<T: Headed> Queue<T> {
    fn has_room(&self, bytes: usize) -> bool {
        self.entries.len() < self.limit.messages && self.bytes.saturating_add(bytes) <= self.limit.bytes
    }

    fn push(&mut self, entry: T) {
        self.bytes = self.bytes.saturating_add(entry.head().bytes);
        self.entries.push_back(entry);
    }

    fn remove(&mut self, at: usize) -> Option<T> {
        let entry = self.entries.remove(at)?;
        self.bytes = self.bytes.saturating_sub(entry.head().bytes);
        Some(entry)
    }

    /// Linear, and short enough: a lane holds about a thousand entries.
    fn coalesce(&mut self, mut entry: T, key: u64) -> Offered<T> {
        let same = |old: &T| old.head().kind == entry.head().kind && old.head().key == Some(key);
        let Some(at) = self.entries.iter().position(same) else {
            return self.append(entry);
        };
        let Some(old) = self.entries.get_mut(at) else {
            return self.append(entry);
        };
        let bytes = self.bytes.saturating_sub(old.head().bytes).saturating_add(entry.head().bytes);
        if bytes > self.limit.bytes {
            return Err((SendError::Full, entry));
        }
        // The place is the old one's, and so is the wait.
        entry.head_mut().entered = old.head().entered;
        self.bytes = bytes;
        Ok(vec![std::mem::replace(old, entry)])
    }

    fn append(&mut self, entry: T) -> Offered<T> {
        if self.waiters > 0 || !self.has_room(entry.head().bytes) {
            return Err((SendError::Full, entry));
        }
        self.push(entry);
        Ok(Vec::new())
    }

    fn drop_oldest(&mut self, entry: T) -> Offered<T> {
        let kind = entry.head().kind;
        let (count, bytes) = self.of_kind(kind);
        let frees_enough = self.entries.len().saturating_sub(count) < self.limit.messages
            && self.bytes.saturating_sub(bytes).saturating_add(entry.head().bytes) <= self.limit.bytes
            && (count > 0 || self.waiters == 0);
        if !frees_enough {
            return Err((SendError::Full, entry));
        }
        let mut displaced = Vec::new();
        // Where senders wait in line it must pay with one of its own kind even if there is room.
        while !self.has_room(entry.head().bytes) || (self.waiters > 0 && displaced.is_empty()) {
            let oldest = self.entries.iter().position(|old| old.head().kind == kind);
            let Some(old) = oldest.and_then(|at| self.remove(at)) else { break };
            displaced.push(old);
        }
        self.push(entry);
        Ok(displaced)
    }

    fn of_kind(&self, kind: TypeId) -> (usize, usize) {
        let same = self.entries.iter().filter(|entry| entry.head().kind == kind);
        same.fold((0, 0), |(count, bytes), entry| (count + 1, entry.head().bytes.saturating_add(bytes)))
    }
}

/// The lanes of one mailbox.
pub(crate) struct Lanes<T> {
    queues: [Queue<T>; 3],
}

impl<T: Headed> Lanes<T> {
    pub(crate) fn new(limits: [LaneLimit; 3]) -> Self {
        let queue = |limit| Queue { limit, entries: VecDeque::new(), bytes: 0, credit: 0, waiters: 0 };
        Self { queues: limits.map(queue) }
    }

    /// Puts `entry` into its lane by its overflow rule and returns what it displaced. `Wait` is refused here as `Full`;
    /// waiting is the caller's business.
    pub(crate) fn offer(&mut self, entry: T, rule: Overflow) -> Offered<T> {
        let queue = self.queue_mut(entry.head().lane);
        if entry.head().bytes > queue.limit.bytes {
            return Err((SendError::TooLarge, entry));
        }
        match rule {
            Overflow::Coalesce(key) => queue.coalesce(entry, key),
            Overflow::DropOldest if queue.waiters > 0 || !queue.has_room(entry.head().bytes) => {
                queue.drop_oldest(entry)
            }
            Overflow::Wait | Overflow::Reject | Overflow::DropOldest => queue.append(entry),
        }
    }

    /// As [`Self::offer`] for the first sender in line.
    pub(crate) fn offer_first_in_line(&mut self, entry: T) -> Result<(), (SendError, T)> {
        let queue = self.queue_mut(entry.head().lane);
        if !queue.has_room(entry.head().bytes) {
            return Err((SendError::Full, entry));
        }
        queue.push(entry);
        Ok(())
    }

    /// Puts `entry` at the end of its lane whatever its limit: for an actor's own results and ticks, whose number the
    /// actor bounds itself.
    pub(crate) fn push(&mut self, entry: T) {
        self.queue_mut(entry.head().lane).push(entry);
    }

    /// Puts `entry` back to where it came from.
    pub(crate) fn push_front(&mut self, entry: T) {
        let queue = self.queue_mut(entry.head().lane);
        queue.bytes = queue.bytes.saturating_add(entry.head().bytes);
        queue.entries.push_front(entry);
    }

    /// The next entry by urgency and weight.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let queue = match self.queues.iter().position(|queue| queue.credit > 0 && !queue.entries.is_empty()) {
            Some(at) => &mut self.queues[at],
            None => {
                self.refill();
                self.queues.iter_mut().find(|queue| !queue.entries.is_empty())?
            }
        };
        queue.credit -= 1;
        queue.remove(0)
    }

    fn refill(&mut self) {
        for (queue, weight) in self.queues.iter_mut().zip(WEIGHTS) {
            queue.credit = weight;
        }
    }

    /// Takes out every entry that `belongs` names.
    pub(crate) fn extract(&mut self, belongs: impl Fn(&Head) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for queue in &mut self.queues {
            for entry in std::mem::take(&mut queue.entries) {
                if belongs(entry.head()) {
                    queue.bytes = queue.bytes.saturating_sub(entry.head().bytes);
                    taken.push(entry);
                } else {
                    queue.entries.push_back(entry);
                }
            }
        }
        taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.iter().all(|queue| queue.entries.is_empty())
    }

    /// Messages and bytes in `lane`.
    pub(crate) fn depth(&self, lane: Lane) -> (usize, usize) {
        let queue = &self.queues[lane.index()];
        (queue.entries.len(), queue.bytes)
    }

    /// The entry that has waited longest.
    pub(crate) fn oldest(&self) -> Option<&Head> {
        let fronts = self.queues.iter().filter_map(|queue| queue.entries.front());
        fronts.map(Headed::head).min_by_key(|head| head.entered)
    }

    /// Whether the first sender in line is to be woken now that a message has left `lane`.
    pub(crate) fn calls_line(&self, lane: Lane) -> bool {
        let queue = &self.queues[lane.index()];
        let call_at = queue.limit.messages.saturating_sub((queue.limit.messages / CALL_SHARE).max(1));
        queue.waiters > 0 && queue.entries.len() <= call_at
    }

    pub(crate) fn enter_line(&mut self, lane: Lane) {
        self.queue_mut(lane).waiters += 1;
    }

    pub(crate) fn leave_line(&mut self, lane: Lane) {
        self.queue_mut(lane).waiters -= 1;
    }

    fn queue_mut(&mut self, lane: Lane) -> &mut Queue<T> {
        &mut self.queues[lane.index()]
    }
}

#[cfg(test)]
mod tests;
