//! The requests that are out: what each is for, of whom, since when.

use core::time::Duration;
use std::collections::BTreeMap;

use alys_chain::Moment;
use alys_wire::PeerId;

use crate::event::LeaseId;

/// A request without a byte for this long is given up: several round trips of the worst line, and far less than a user waits.
pub const SILENCE: Duration = Duration::from_secs(5);

/// A request may take this long in all, or a server could drip. The largest bucket allowed has 63 MB: 1 MB/s is enough for it.
pub const LONGEST: Duration = Duration::from_secs(60);

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Offers,
    Sums,
    Bucket(u8),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    pub peer: PeerId,
    pub work: Work,
    asked: Moment,
    last_byte: Moment,
}

/// All that are out.
#[derive(Debug, Default)]
pub(super) struct Leases {
    out: BTreeMap<LeaseId, Lease>,
    next: u64,
}

impl Lease {
    const fn bucket(&self) -> Option<u8> {
        match self.work {
            Work::Bucket(bucket) => Some(bucket),
            Work::Offers | Work::Sums => None,
        }
    }

    fn is_late(&self, now: Moment) -> bool {
        now.since(self.last_byte) >= SILENCE || now.since(self.asked) >= LONGEST
    }
}

impl Leases {
    /// A new one.
    pub fn grant(&mut self, now: Moment, peer: PeerId, work: Work) -> LeaseId {
        let id = LeaseId(self.next);
        self.next += 1;
        self.out.insert(id, Lease { peer, work, asked: now, last_byte: now });
        id
    }

    /// It is over, however it ended.
    pub fn end(&mut self, lease: LeaseId) -> Option<Lease> {
        self.out.remove(&lease)
    }

    /// Bytes came. Answers of one peer come one behind the other: while one is coming, those behind it are not silent.
    pub fn progress(&mut self, now: Moment, lease: LeaseId) {
        let Some(peer) = self.out.get(&lease).map(|lease| lease.peer) else { return };
        self.out.values_mut().filter(|lease| lease.peer == peer).for_each(|lease| lease.last_byte = now);
    }

    /// How many are out.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether one for this is out.
    pub fn any(&self, work: Work) -> bool {
        self.out.values().any(|lease| lease.work == work)
    }

    /// The buckets that are on their way.
    pub fn buckets(&self) -> impl Iterator<Item = u8> {
        self.out.values().filter_map(Lease::bucket)
    }

    /// How many buckets are on their way from this peer.
    pub fn buckets_of(&self, peer: PeerId) -> usize {
        self.out.values().filter(|lease| lease.peer == peer && lease.bucket().is_some()).count()
    }

    /// Those of a peer.
    pub fn of_peer(&self, peer: PeerId) -> Vec<LeaseId> {
        self.ids(|lease| lease.peer == peer)
    }

    /// Those for parts of a state.
    pub fn working(&self) -> Vec<LeaseId> {
        self.ids(|lease| lease.work != Work::Offers)
    }

    /// Those that are silent, or take too long.
    pub fn late(&self, now: Moment) -> Vec<(LeaseId, PeerId)> {
        let late = self.out.iter().filter(|(_, lease)| lease.is_late(now));
        late.map(|(id, lease)| (*id, lease.peer)).collect()
    }

    fn ids(&self, wanted: impl Fn(&Lease) -> bool) -> Vec<LeaseId> {
        self.out.iter().filter(|(_, lease)| wanted(lease)).map(|(id, _)| *id).collect()
    }
}
