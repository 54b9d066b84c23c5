//! A node that syncs from ten peers, nine of which lie: how long it takes, and what becomes of the nine.
//!
//! - **Decides**: whether an attack cost too much time, and whether the liars got what they deserve.
//! - **In**: an [`Attack`] and a seed. **Out**: a [`Siege`].
//! - **On failure**: a violation names its time and rule; the seed replays it.
//!
//! The node is the real one. Its peers are sources of a finished history on the same simulated network; the lies are theirs, so that no code of
//! the node knows of them. The measure is the same seed without the nine: the honest peer alone, with its line.

mod field;
pub mod history;
pub mod kills;
pub mod peer;
mod run;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use alys_actor::Stream;

use crate::faults::Dice;
use crate::invariants::Violation;
use crate::plan::Plan;
use crate::site::Site;
use crate::trace::{Digest, Log, Trace};
use history::History;
pub use peer::Lie;

/// How many peers there are, the honest one included.
pub const PEERS: usize = 10;
/// The first so many of them are authorities, whoever is honest.
pub const AUTHORITIES: usize = 4;
/// What all sieges are built on: keys and history are the same for every seed, as they take longer to make than a run.
const SITE_SEED: u64 = 0;

/// What nine of ten peers do, and what must come of it.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// As it is called.
    pub name: &'static str,
    /// How long sync may take at most, in thousandths of the time of the honest peer alone.
    pub within_permille: u32,
    /// What one of the nine does.
    pub lie: fn(&mut Dice<Stream>) -> Lie,
    /// What happens to it.
    pub end: End,
}

/// What becomes of a liar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is banned within three offences, unless it is an authority.
    Banned,
    /// It gets no more work after so many leases in vain.
    NoMoreWork(u64),
}

/// How a siege ended.
#[derive(Clone, Debug)]
pub struct Siege {
    /// The attack.
    pub name: &'static str,
    /// The seed that replays it.
    pub seed: u64,
    /// How long sync took with the honest peer alone.
    pub clean: Duration,
    /// How long it took under attack; `None` if it did not come to its end.
    pub besieged: Option<Duration>,
    /// The most offences of one liar that is no authority, as they were reported to the peer book.
    pub offences: u64,
    /// The most leases of one liar that did not serve.
    pub leases: u64,
    /// What happened under attack, as one number.
    pub digest: Digest,
    /// What was broken.
    pub violations: Vec<Violation>,
    /// Every event under attack, if they were to be kept.
    pub log: Vec<String>,
}

impl Siege {
    /// A seed that ended in a panic: its clean run does not come to its end, or the world has a defect.
    #[must_use]
    pub fn panicked(seed: u64) -> Self {
        Self {
            name: "panicked",
            seed,
            clean: Duration::ZERO,
            besieged: None,
            offences: 0,
            leases: 0,
            digest: Trace::new(Log::Drop).digest(),
            violations: vec![Violation::panicked()],
            log: Vec::new(),
        }
    }

    /// Whether every rule held.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.violations.is_empty()
    }

    /// How long it took, in thousandths of the clean run.
    #[must_use]
    pub fn permille(&self) -> Option<u128> {
        Some(self.besieged?.as_millis() * 1_000 / self.clean.as_millis().max(1))
    }
}

/// What is the same for every seed.
pub struct Ground {
    /// Identities and keys. The first ten nodes are the peers, the last one is the node under siege.
    pub site: Site,
    /// What there is to sync.
    pub history: Arc<History>,
}

impl Ground {
    /// The one that all sieges of this process share.
    #[must_use]
    pub fn shared() -> &'static Self {
        static GROUND: OnceLock<Ground> = OnceLock::new();
        GROUND.get_or_init(|| {
            let site = Site::new(&Plan { nodes: PEERS + 1, ..Plan::calm("siege", SITE_SEED, AUTHORITIES) });
            let history = Arc::new(History::new(&site));
            Self { site, history }
        })
    }
}

/// How long sync takes with the honest peer of a seed alone.
///
/// # Panics
/// If it does not come to its end, or the node fails to start: both are defects.
#[must_use]
pub fn clean(seed: u64) -> Duration {
    run::alone(Ground::shared(), seed).expect("an honest peer is enough to sync from")
}

/// An attack with a seed, beside the time of its clean run.
///
/// # Panics
/// If the node fails to start, which is a defect.
#[must_use]
pub fn besieged(attack: &Attack, seed: u64, clean: Duration, log: Log) -> Siege {
    run::besieged(Ground::shared(), attack, seed, clean, log)
}

/// All these attacks with a seed, and the kills.
///
/// # Panics
/// See [`clean`] and [`besieged`].
#[must_use]
pub fn run(attacks: &[Attack], seed: u64) -> Vec<Siege> {
    let clean = clean(seed);
    let attacked = attacks.iter().map(|attack| besieged(attack, seed, clean, Log::Drop));
    attacked.chain([kills::run(seed, clean, Log::Drop)]).collect()
}
