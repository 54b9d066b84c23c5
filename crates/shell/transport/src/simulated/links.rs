//! The lines between nodes: how long, how wide, how reliable, and whether they are up.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use alys_wire::PeerId;
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;
use tokio::time::Instant;

/// A line between two nodes, the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The shortest time on the way.
    pub latency: Duration,
    /// What chance adds to it at most, evenly distributed. Order is kept, as on a connection.
    pub jitter: Duration,
    /// Bytes a second in each direction; unlimited if `None`.
    pub bandwidth: Option<u64>,
    /// How many gossip messages of a thousand are lost.
    pub gossip_loss: u16,
    /// How long a connection lasts at most before it breaks by itself: a random time up to twice this. For ever if `None`.
    pub lifetime: Option<Duration>,
}

impl Default for Link {
    /// A line within a continent that loses nothing.
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(10),
            jitter: Duration::from_millis(10),
            bandwidth: None,
            gossip_loss: 0,
            lifetime: None,
        }
    }
}

/// When a line is free again, and when the last thing sent arrives.
#[derive(Clone, Copy, Debug)]
struct Lane {
    free: Instant,
    last: Instant,
}

/// All lines.
#[derive(Debug, Default)]
pub(super) struct Links {
    pub default: Link,
    own: BTreeMap<(PeerId, PeerId), Link>,
    down: BTreeSet<(PeerId, PeerId)>,
    groups: BTreeMap<PeerId, usize>,
    lanes: BTreeMap<(PeerId, PeerId), Lane>,
}

/// When something leaves its sender (the line is free for the next) and when it arrives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transit {
    pub sent: Instant,
    pub arrives: Instant,
}

impl Links {
    pub fn set(&mut self, a: PeerId, b: PeerId, link: Link) {
        self.own.insert(pair(a, b), link);
    }

    pub fn of(&self, a: PeerId, b: PeerId) -> Link {
        self.own.get(&pair(a, b)).copied().unwrap_or(self.default)
    }

    pub fn set_up(&mut self, a: PeerId, b: PeerId, up: bool) {
        if up {
            self.down.remove(&pair(a, b));
        } else {
            self.down.insert(pair(a, b));
        }
    }

    pub fn partition(&mut self, groups: &[Vec<PeerId>]) {
        let numbered = groups.iter().enumerate();
        self.groups = numbered.flat_map(|(n, group)| group.iter().map(move |&peer| (peer, n))).collect();
    }

    pub fn is_down(&self, a: PeerId, b: PeerId) -> bool {
        self.down.contains(&pair(a, b)) || self.groups.get(&a) != self.groups.get(&b)
    }

    /// Sends this many bytes.
    pub fn transit(&mut self, rng: &mut ChaCha8Rng, way: (PeerId, PeerId), bytes: usize) -> Transit {
        let now = Instant::now();
        let link = self.of(way.0, way.1);
        let lane = self.lanes.entry(way).or_insert(Lane { free: now, last: now });
        let sent = lane.free.max(now) + sending(bytes, link.bandwidth);
        let arrives = (sent + link.latency + chance(rng, link.jitter)).max(lane.last);
        *lane = Lane { free: sent, last: arrives };
        Transit { sent, arrives }
    }
}

fn sending(bytes: usize, bandwidth: Option<u64>) -> Duration {
    let nanos = |rate: u64| (bytes as u64).saturating_mul(1_000_000_000) / rate.max(1);
    bandwidth.map_or(Duration::ZERO, |rate| Duration::from_nanos(nanos(rate)))
}

/// A random time up to this one.
pub(super) fn chance(rng: &mut ChaCha8Rng, up_to: Duration) -> Duration {
    let micros = u64::try_from(up_to.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(rng.next_u64() % micros.saturating_add(1).max(1))
}

fn pair(a: PeerId, b: PeerId) -> (PeerId, PeerId) {
    if a < b { (a, b) } else { (b, a) }
}
