//! What the operator decides.

use alys_chain::UnixMillis;
use alys_wire::{Address, PeerId};

/// The settings of the peer machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our own id: never dialled.
    pub local: PeerId,
    /// The wall clock at [`Moment::START`](alys_chain::Moment::START), so that bans survive a restart.
    pub epoch: UnixMillis,
    /// Feeds the jitter.
    pub seed: u64,
    /// How many ordinary peers we dial and keep. Authorities and trusted peers come on top.
    pub outbound: usize,
    /// How many ordinary peers may be connected, in both directions.
    pub max_peers: usize,
    /// How many peers the book holds.
    pub max_book: usize,
    /// Where to begin, when the book knows nobody.
    pub bootnodes: Vec<Address>,
}

impl Settings {
    /// Outbound connections by default. Gossip needs some eight, and meshes of degree 10 delivered every message; twice that leaves a choice
    /// of whom to sync from, and whoever wants to surround us must fill all of them. More would take the places of others for nothing.
    pub const OUTBOUND: usize = 16;
    /// Connected peers by default.
    pub const MAX_PEERS: usize = 1_000;
    /// Known peers by default: some 600 bytes each.
    pub const MAX_BOOK: usize = 4_096;

    /// The defaults for this node.
    #[must_use]
    pub const fn new(local: PeerId, epoch: UnixMillis, seed: u64) -> Self {
        Self {
            local,
            epoch,
            seed,
            outbound: Self::OUTBOUND,
            max_peers: Self::MAX_PEERS,
            max_book: Self::MAX_BOOK,
            bootnodes: Vec::new(),
        }
    }
}
