//! What is played.

use core::time::Duration;

use alys_sync::Config;

/// How a peer behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conduct {
    /// Serves everything.
    Honest,
    /// Takes requests for headers and bodies, and never answers.
    BlackHole,
    /// Serves headers, and answers requests for bodies with none.
    Withholding,
    /// Its bodies are not the blocks'.
    BadBodies,
    /// Its headers carry no quorum.
    BadApprovals,
    /// Serves headers, and of bodies one byte a second.
    Dripping,
    /// Claims the greatest height there is, and serves nothing.
    Boasting,
}

/// A peer and its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerModel {
    /// Bytes a second that reach us.
    pub bandwidth: u64,
    /// There and back.
    pub rtt: Duration,
    /// How it behaves.
    pub conduct: Conduct,
}

impl PeerModel {
    /// An honest one.
    #[must_use]
    pub const fn honest(bandwidth: u64, rtt_millis: u64) -> Self {
        Self { bandwidth, rtt: Duration::from_millis(rtt_millis), conduct: Conduct::Honest }
    }

    /// The same line with another behaviour.
    #[must_use]
    pub const fn that(self, conduct: Conduct) -> Self {
        Self { conduct, ..self }
    }
}

/// A sync from genesis to the end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Draws which requests stall.
    pub seed: u64,
    /// Blocks of the chain.
    pub blocks: u64,
    /// Bytes of each body.
    pub body_bytes: u64,
    /// What the importer takes, in blocks a second.
    pub import_rate: u64,
    /// Bytes that the scheduler may hold.
    pub budget_bytes: u64,
    /// Of 1,000 requests for headers or bodies so many stall at an honest peer.
    pub stalled_permille: u64,
    /// Without it a request that stalls is never answered, and the line goes on. With it requests for headers do not stall, and one for bodies holds up
    /// its line, and all that was asked behind it, for so long.
    pub stalled_for: Option<Duration>,
    /// Who serves.
    pub peers: Vec<PeerModel>,
    /// After this much virtual time the run is given up.
    pub give_up_after: Duration,
}

impl Scenario {
    /// Eight uneven peers, 87.5 MB/s together, blocks of 10 KB, an importer that takes 5,000 of them a second.
    #[must_use]
    pub fn uneven(seed: u64, blocks: u64) -> Self {
        let mut dice = crate::Dice(seed);
        let mut rtts = [20, 40, 60, 90, 120, 160, 200, 250];
        for at in (1..rtts.len()).rev() {
            let other = usize::try_from(dice.below(at as u64 + 1)).unwrap_or_default();
            rtts.swap(at, other);
        }
        let bandwidths =
            [500_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 12_000_000, 20_000_000, 40_000_000];
        let peers = bandwidths.into_iter().zip(rtts).map(|(b, rtt)| PeerModel::honest(b, rtt)).collect();
        Self { peers, ..Self::of(seed, blocks) }
    }

    /// One honest peer at 20 MB/s and 50 ms, and nine of the same line that behave otherwise.
    #[must_use]
    pub fn besieged(seed: u64, blocks: u64, conduct: Conduct) -> Self {
        let line = PeerModel::honest(20_000_000, 50);
        let mut peers = vec![line.that(conduct); 10];
        let honest = usize::try_from(crate::Dice(seed).below(10)).unwrap_or_default();
        peers[honest] = line;
        Self { peers, import_rate: 50_000, ..Self::of(seed, blocks) }
    }

    /// One peer and no limit but its line and the pipeline.
    #[must_use]
    pub fn alone(seed: u64, blocks: u64, peer: PeerModel) -> Self {
        Self { peers: vec![peer], import_rate: 50_000, ..Self::of(seed, blocks) }
    }

    fn of(seed: u64, blocks: u64) -> Self {
        Self {
            seed,
            blocks,
            body_bytes: 10_000,
            import_rate: 5_000,
            budget_bytes: Config::default().budget_bytes,
            stalled_permille: 0,
            stalled_for: None,
            peers: Vec::new(),
            give_up_after: Duration::from_secs(3_600),
        }
    }

    /// The bandwidth of all honest peers together.
    #[must_use]
    pub fn honest_bandwidth(&self) -> u64 {
        let honest = self.peers.iter().filter(|peer| peer.conduct == Conduct::Honest);
        honest.map(|peer| peer.bandwidth).sum()
    }
}
