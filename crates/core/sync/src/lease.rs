//! Requests in flight: each has an owner, a deadline and an end.
//!
//! - **Owns**: every lease from the request to its end. What a lease still owes is missing again the moment that it ends.
//! - **In**: grants, bytes, ends. **Out**: which leases are overdue, what is in flight.
//! - **On failure**: nothing can be lost here: an id that is unknown has ended, and whatever comes for it is ignored.

use core::time::Duration;
use std::collections::BTreeMap;

use alys_chain::{BlockId, Height, HeightRange, Moment};
use alys_wire::PeerId;

use crate::event::LeaseId;
use crate::gaps::HeightRanges;
use crate::peers::Kind;
use crate::scheduler::HEADER_BYTES;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// The peer's status.
    Status,
    /// The headers of these heights.
    Headers(HeightRange),
    /// Bodies.
    Bodies(BodyWork),
}

/// The bodies that are still to come, and the bytes set aside for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyWork {
    /// The blocks.
    pub wanted: BTreeMap<BlockId, Height>,
    /// The same as heights.
    pub heights: HeightRanges,
    /// Bytes of the budget that are reserved and not yet used.
    pub reserved: u64,
    /// Whether another peer, which is late with them, owes them as well.
    pub is_second: bool,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who was asked.
    pub peer: PeerId,
    /// For what.
    pub work: Work,
    /// When.
    pub asked: Moment,
    /// When it ends at the latest.
    pub deadline: Moment,
    /// How long it may go without a byte.
    pub silence: Duration,
    /// Whether the peer had nothing else to send when it was asked: only then does the first byte measure the round trip.
    pub alone: bool,
    /// Bytes that the peer had to send before, when it was asked.
    pub ahead: u64,
    /// When the first byte came.
    pub first_byte: Option<Moment>,
    /// How many bytes came.
    pub bytes: u64,
}

impl Lease {
    /// A lease whose peer has nothing else to do, without bytes yet.
    #[must_use]
    pub const fn new(peer: PeerId, work: Work, asked: Moment, deadline: Moment, silence: Duration) -> Self {
        Self { peer, work, asked, deadline, silence, alone: true, ahead: 0, first_byte: None, bytes: 0 }
    }

    /// Notes that something came, worth `bytes` once it was complete.
    pub fn receive(&mut self, now: Moment, bytes: u64) {
        self.first_byte.get_or_insert(now);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// When it ends if nothing more comes from its peer, of which the last byte came at `last_byte`.
    #[must_use]
    pub fn expires(&self, last_byte: Moment) -> Moment {
        self.deadline.min(self.asked.max(last_byte).after(self.silence))
    }

    /// What its peer was asked for, if it is part of the chain.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        match &self.work {
            Work::Status => None,
            Work::Headers(_) => Some(Kind::Headers),
            Work::Bodies(_) => Some(Kind::Bodies),
        }
    }

    /// The heights that it still owes, from the first to the last.
    #[must_use]
    pub fn heights(&self) -> Option<HeightRange> {
        match &self.work {
            Work::Status => None,
            Work::Headers(range) => Some(*range),
            Work::Bodies(work) => {
                let (first, last) = (work.heights.first()?, work.heights.last()?);
                Some(HeightRange::new(first, last.saturating_add(1)))
            }
        }
    }

    /// Whether a good part of what was asked for has come: a tenth. A peer that drips is told from one that is slow.
    #[must_use]
    pub fn is_flowing(&self) -> bool {
        let left = self.bodies().map_or(u64::MAX, |work| work.reserved);
        self.bytes > 0 && self.bytes.saturating_mul(9) >= left
    }

    /// Its body work, if it is of that kind.
    #[must_use]
    pub const fn bodies(&self) -> Option<&BodyWork> {
        match &self.work {
            Work::Bodies(work) => Some(work),
            _ => None,
        }
    }
}

/// The leases of this machine.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    next: u64,
    live: BTreeMap<LeaseId, Lease>,
}

impl Leases {
    /// Begins a lease.
    pub fn grant(&mut self, lease: Lease) -> LeaseId {
        let id = LeaseId(self.next);
        self.next = self.next.saturating_add(1);
        self.live.insert(id, lease);
        id
    }

    /// Ends a lease; `None` if it has ended before.
    pub fn end(&mut self, id: LeaseId) -> Option<Lease> {
        self.live.remove(&id)
    }

    /// A live lease.
    #[must_use]
    pub fn get(&self, id: LeaseId) -> Option<&Lease> {
        self.live.get(&id)
    }

    /// A live lease, to change.
    pub fn get_mut(&mut self, id: LeaseId) -> Option<&mut Lease> {
        self.live.get_mut(&id)
    }

    /// All live leases, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (LeaseId, &Lease)> {
        self.live.iter().map(|(&id, lease)| (id, lease))
    }

    /// Nobody was there for so long: all leases are as old as they were before.
    pub fn postpone(&mut self, away: Duration) {
        for lease in self.live.values_mut() {
            lease.asked = lease.asked.after(away);
            lease.deadline = lease.deadline.after(away);
            lease.first_byte = lease.first_byte.map(|first| first.after(away));
        }
    }

    /// The clock stood from `since` to `now`: every lease may take that much longer, or the part of it in which it was out.
    pub fn go_on(&mut self, since: Moment, now: Moment) {
        for lease in self.live.values_mut() {
            lease.deadline = lease.deadline.after(now.since(since.max(lease.asked)));
        }
    }

    /// How many are live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// The leases of one peer, the oldest first.
    pub fn of_peer(&self, peer: PeerId) -> impl Iterator<Item = (LeaseId, &Lease)> {
        self.iter().filter(move |(_, lease)| lease.peer == peer)
    }

    /// The heights whose headers are in flight.
    #[must_use]
    pub fn headers_in_flight(&self) -> HeightRanges {
        self.live
            .values()
            .filter_map(|lease| match lease.work {
                Work::Headers(range) => Some(range),
                _ => None,
            })
            .collect()
    }

    /// How many headers are in flight.
    #[must_use]
    pub fn headers_owed(&self) -> u64 {
        let count = |lease: &Lease| if let Work::Headers(range) = &lease.work { range.len() } else { 0 };
        self.live.values().map(count).sum()
    }

    /// The heights whose bodies are in flight.
    #[must_use]
    pub fn bodies_in_flight(&self) -> HeightRanges {
        let mut set = HeightRanges::EMPTY;
        self.live.values().filter_map(Lease::bodies).for_each(|work| set.add(&work.heights));
        set
    }

    /// Bytes that a peer still owes us: bodies by their reservations, headers by their number.
    #[must_use]
    pub fn owed_by(&self, peer: PeerId) -> u64 {
        let owed = |lease: &Lease| match &lease.work {
            Work::Status => 0,
            Work::Headers(range) => HEADER_BYTES.saturating_mul(range.len()),
            Work::Bodies(work) => work.reserved,
        };
        self.of_peer(peer).map(|(_, lease)| owed(lease)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> PeerId {
        PeerId::from_bytes(&[n]).unwrap()
    }

    const fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    fn lease(n: u8, work: Work) -> Lease {
        Lease::new(peer(n), work, at(100), at(5_000), Duration::from_millis(1_000))
    }

    fn bodies(start: u64, end: u64, reserved: u64) -> Work {
        let wanted = (start..end).map(|h| (BlockId([u8::try_from(h).unwrap(); 32]), Height(h))).collect();
        let heights = HeightRange::new(Height(start), Height(end)).into();
        Work::Bodies(BodyWork { wanted, heights, reserved, is_second: false })
    }

    #[test]
    fn silence_ends_a_lease_before_its_deadline() {
        let mut lease = lease(1, Work::Status);
        assert_eq!(lease.expires(at(0)), at(1_100), "silence counts from the request");
        assert_eq!(lease.expires(at(900)), at(1_900), "or from the last byte that the peer sent");
        assert_eq!(lease.expires(at(4_900)), at(5_000), "but never beyond the deadline");
        lease.receive(at(200), 0);
        lease.receive(at(250), 10);
        lease.receive(at(300), 5);
        assert_eq!((lease.first_byte, lease.bytes), (Some(at(200)), 15));
    }

    #[test]
    fn what_is_in_flight_is_the_sum_of_the_leases() {
        let mut leases = Leases::default();
        let first = leases.grant(lease(1, bodies(5, 8, 30)));
        leases.grant(lease(1, bodies(8, 10, 20)));
        leases.grant(lease(2, Work::Headers(HeightRange::new(Height(10), Height(20)))));
        assert_eq!(leases.bodies_in_flight(), HeightRange::new(Height(5), Height(10)).into());
        assert_eq!(leases.headers_in_flight(), HeightRange::new(Height(10), Height(20)).into());
        assert_eq!((leases.owed_by(peer(1)), leases.owed_by(peer(2))), (50, 3_000));
        assert_eq!(leases.of_peer(peer(1)).count(), 2);

        assert!(leases.end(first).is_some());
        assert!(leases.end(first).is_none(), "a lease ends once");
        assert!(leases.get(first).is_none() && leases.get_mut(first).is_none());
        assert_eq!(leases.bodies_in_flight(), HeightRange::new(Height(8), Height(10)).into());
        assert_eq!(leases.len(), 2);
        let again = leases.grant(lease(1, Work::Status));
        assert!(again > first, "ids are never used twice");
    }
}
