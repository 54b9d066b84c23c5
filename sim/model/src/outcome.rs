//! What became of a run.

use core::time::Duration;
use std::collections::BTreeMap;

use alys_peers::Offence;
use alys_sync::Report;
use alys_wire::PeerId;

/// What was seen of one peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerOutcome {
    /// Requests for headers and bodies.
    pub leases: u64,
    /// Of these, how many brought nothing.
    pub fruitless: u64,
    /// What it was reported for.
    pub offences: Vec<Offence>,
    /// When it was banned.
    pub banned_at: Option<Duration>,
    /// Ranges of its headers that were verified.
    pub ranges_verified: u64,
    /// Bytes of bodies that it served.
    pub bytes: u64,
}

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the tip was reached.
    pub done: bool,
    /// How long that took in virtual time.
    pub took: Duration,
    /// Blocks that became durable.
    pub blocks: u64,
    /// Bytes of bodies that came.
    pub bytes: u64,
    /// Bytes of bodies that came although they were held or durable.
    pub duplicate_bytes: u64,
    /// Bytes of requests, statuses and headers.
    pub overhead_bytes: u64,
    /// Most bytes of bodies in memory at once.
    pub most_held: u64,
    /// The peers, in the order of the scenario.
    pub peers: Vec<PeerOutcome>,
    /// What was reported.
    pub reports: Vec<Report>,
}

impl Outcome {
    /// Blocks a second.
    #[must_use]
    pub fn rate(&self) -> u64 {
        let millis = self.took.as_millis().max(1);
        u64::try_from(u128::from(self.blocks) * 1_000 / millis).unwrap_or(u64::MAX)
    }
}

/// Names the peers of a scenario by their place.
pub fn names(count: usize) -> Vec<PeerId> {
    let name = |n: usize| PeerId::from_bytes(&[7, u8::try_from(n / 250).ok()?, u8::try_from(n % 250).ok()?]);
    (0..count).filter_map(name).collect()
}

/// The place of each name.
pub fn places(names: &[PeerId]) -> BTreeMap<PeerId, usize> {
    names.iter().enumerate().map(|(place, &name)| (name, place)).collect()
}
