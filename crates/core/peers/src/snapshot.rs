//! The book on disk: a version byte, then postcard. Times are wall-clock times, so that a ban goes on over a restart.
//!
//! Not saved: what is true only while the process runs (connections, dials, claims of federation) and what the operator sets anew at each
//! start (trust, bootnodes).

use core::cmp::Reverse;
use core::time::Duration;

use alys_chain::{Moment, UnixMillis};
use alys_wire::{Address, IpPrefix, PeerId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bans::{Ban, BanReason, MAX_BAN, MAX_BANS};
use crate::book::{Entry, MAX_ADDRESSES};
use crate::event::Action;
use crate::machine::PeerMachine;
use crate::score::{Misbehaviour, Performance};

/// The version of the format.
const VERSION: u8 = 1;
/// The longest snapshot: what a checkpoint has room for.
const MAX_SNAPSHOT_BYTES: usize = alys_chain::checkpoint::MAX_PEERS;
/// What the bans may take of it: an id in base58, a time, a count, a reason and a prefix each.
const BAN_BYTES: usize = MAX_BANS * 96;
/// What the peers may take of it; those that were seen last come first.
const PEERS_BYTES: usize = MAX_SNAPSHOT_BYTES - BAN_BYTES - 64;

/// Why a saved book cannot be used. Start with an empty one: what was known is learnt again, but bans are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// It was written by another version.
    #[error("the saved peer book has version {got}, this program reads {VERSION}")]
    Version {
        /// The version found.
        got: u8,
    },
    /// It is too long, cut off, or overwritten.
    #[error("the saved peer book is damaged")]
    Damaged,
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    saved_at: UnixMillis,
    peers: Vec<SavedPeer>,
    bans: Vec<SavedBan>,
}

#[derive(Serialize, Deserialize)]
struct SavedPeer {
    peer: PeerId,
    addresses: Vec<Address>,
    last_seen: Option<UnixMillis>,
    bandwidth: Option<u64>,
    rtt: Option<Duration>,
    in_time: u32,
    millipoints: u32,
    offences: u8,
}

#[derive(Serialize, Deserialize)]
struct SavedBan {
    peer: PeerId,
    until: UnixMillis,
    times: u32,
    reason: BanReason,
    prefix: Option<IpPrefix>,
}

impl SavedPeer {
    fn of(now: Moment, peer: PeerId, entry: &Entry) -> Self {
        Self {
            peer,
            addresses: entry.addresses.clone(),
            last_seen: entry.last_seen,
            bandwidth: entry.performance.bandwidth,
            rtt: entry.performance.rtt,
            in_time: entry.performance.in_time,
            millipoints: entry.misbehaviour.millipoints(now),
            offences: entry.misbehaviour.offences(now),
        }
    }

    /// At most what it takes in a snapshot: the id and the numbers below 128 bytes, the addresses with two bytes of length each.
    fn size(&self) -> usize {
        128 + self.addresses.iter().map(|address| address.0.len() + 2).sum::<usize>()
    }
}

fn decode(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
    match bytes {
        _ if bytes.len() > MAX_SNAPSHOT_BYTES => Err(SnapshotError::Damaged),
        [VERSION, content @ ..] => {
            let (snapshot, rest) =
                postcard::take_from_bytes::<Snapshot>(content).map_err(|_| SnapshotError::Damaged)?;
            if rest.is_empty() { Ok(snapshot) } else { Err(SnapshotError::Damaged) }
        }
        [got, ..] => Err(SnapshotError::Version { got: *got }),
        [] => Err(SnapshotError::Damaged),
    }
}

impl PeerMachine {
    /// What [`PeerMachine::restore`] reads.
    #[must_use]
    pub fn snapshot(&self, now: Moment) -> Vec<u8> {
        let snapshot = Snapshot {
            saved_at: self.wall(now),
            peers: self.saved_peers(now),
            bans: self.bans.iter().map(|(peer, ban)| self.saved_ban(peer, ban)).collect(),
        };
        postcard::to_extend(&snapshot, vec![VERSION]).expect("a vector takes any number of bytes")
    }

    fn saved_peers(&self, now: Moment) -> Vec<SavedPeer> {
        // Hearsay that nothing came of is not worth a place on disk.
        let worth_it = |entry: &Entry| entry.last_seen.is_some() || entry.dialing.failures() == 0;
        let mut known: Vec<_> = self.book.iter().filter(|(_, entry)| worth_it(entry)).collect();
        known.sort_by_key(|(peer, entry)| (Reverse(entry.last_seen), *peer));
        let mut bytes = 0;
        known
            .into_iter()
            .map(|(peer, entry)| SavedPeer::of(now, peer, entry))
            .take_while(|saved| {
                bytes += saved.size();
                bytes <= PEERS_BYTES
            })
            .collect()
    }

    fn saved_ban(&self, peer: PeerId, ban: &Ban) -> SavedBan {
        SavedBan {
            peer,
            until: self.wall(ban.until),
            times: ban.times,
            reason: ban.reason,
            prefix: ban.prefix,
        }
    }

    /// Takes over a saved book. For the time between `new` and the first step.
    ///
    /// # Errors
    /// [`SnapshotError`]; the machine is then as it was.
    pub fn restore(&mut self, now: Moment, bytes: &[u8]) -> Result<(), SnapshotError> {
        let snapshot = decode(bytes)?;
        let age = self.age(now, &snapshot);
        for saved in snapshot.bans {
            self.restore_ban(now, saved);
        }
        for saved in snapshot.peers.into_iter().take(self.settings.max_book) {
            self.restore_peer(now, age, saved);
        }
        Ok(())
    }

    /// Takes from a book that was kept elsewhere what this one does not know, at any time: peers, and bans that still hold. For a node that lost its
    /// own book; what is known here is newer, and stays. Who is banned by it is told to the network.
    ///
    /// # Errors
    /// [`SnapshotError`]; the machine is then as it was.
    pub fn recall(&mut self, now: Moment, bytes: &[u8]) -> Result<Vec<Action>, SnapshotError> {
        let snapshot = decode(bytes)?;
        let age = self.age(now, &snapshot);
        let mut out = Vec::new();
        for saved in snapshot.bans {
            let peer = saved.peer;
            let is_protected = self.book.get(peer).is_some_and(Entry::is_protected);
            if is_protected || self.bans.iter().any(|(known, _)| known == peer) {
                continue;
            }
            self.restore_ban(now, saved);
            out.extend(self.bans.of(peer).map(|_| Action::Ban { peer }));
        }
        for saved in snapshot.peers.into_iter().take(self.settings.max_book) {
            if self.book.get(saved.peer).is_none() {
                self.restore_peer(now, age, saved);
            }
        }
        Ok(out)
    }

    fn age(&self, now: Moment, snapshot: &Snapshot) -> Duration {
        Duration::from_millis(self.wall(now).0.saturating_sub(snapshot.saved_at.0))
    }

    fn restore_ban(&mut self, now: Moment, saved: SavedBan) {
        let left = Duration::from_millis(saved.until.0.saturating_sub(self.wall(now).0));
        // A clock that was wrong when this was saved must not ban anybody for years.
        let until = now.after(left.min(MAX_BAN));
        let SavedBan { peer, times, reason, prefix, .. } = saved;
        self.bans.put(peer, Ban { until, times, reason, prefix, active: !left.is_zero() });
    }

    fn restore_peer(&mut self, now: Moment, age: Duration, saved: SavedPeer) {
        if saved.peer == self.settings.local {
            return;
        }
        let entry = self.book.insert(saved.peer);
        entry.learn(&saved.addresses[..saved.addresses.len().min(MAX_ADDRESSES)]);
        entry.last_seen = saved.last_seen;
        entry.performance = Performance {
            bandwidth: saved.bandwidth,
            rtt: saved.rtt,
            in_time: saved.in_time.min(1_000),
            refuses_until: now,
        };
        entry.misbehaviour = Misbehaviour::aged(saved.millipoints, saved.offences, age, now);
    }
}
