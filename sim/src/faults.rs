//! What goes wrong, and when: drawn from the seed before the run.
//!
//! - **Decides**: a schedule in which every fault ends before the quiet time begins.
//! - **In**: randomness, and who is there. **Out**: faults, ascending in time.
//! - **On failure**: nothing can fail.

use core::fmt;
use std::time::Duration;

use alys_transport::simulated::Link;
use rand_core::Rng;

use crate::plan::{SLOT, start_of};

/// One thing that goes wrong, or well again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node starts, from whatever is on its disk.
    Start {
        /// Which.
        node: usize,
    },
    /// A node is killed. With `power`, its disk loses what was not synced.
    Crash {
        /// Which.
        node: usize,
        /// Whether the power fails, or only the process.
        power: bool,
    },
    /// The network falls apart into these groups.
    Partition(Vec<Vec<usize>>),
    /// The groups are together again.
    Heal,
    /// The line between two nodes goes silent, or comes back.
    Line {
        /// One end.
        a: usize,
        /// The other.
        b: usize,
        /// Whether it works now.
        up: bool,
    },
    /// The connection of two nodes breaks.
    Break {
        /// One end.
        a: usize,
        /// The other.
        b: usize,
    },
    /// All lines are like this from now on.
    Weather(Link),
    /// A clock is wrong by so many milliseconds.
    Skew {
        /// Whose.
        node: usize,
        /// Positive when it is fast.
        millis: i64,
    },
    /// A disk is full, or has room again.
    DiskFull {
        /// Whose.
        node: usize,
        /// Whether it is.
        full: bool,
    },
}

impl Fault {
    /// Whether the node runs after this; `None` when that does not change.
    #[must_use]
    pub fn runs(&self, node: usize) -> Option<bool> {
        match self {
            Self::Start { node: of } if *of == node => Some(true),
            Self::Crash { node: of, .. } if *of == node => Some(false),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { node } => write!(f, "node {node} starts"),
            Self::Crash { node, power: true } => write!(f, "node {node} loses power"),
            Self::Crash { node, power: false } => write!(f, "node {node} is killed"),
            Self::Partition(groups) => write!(f, "the network falls apart into {groups:?}"),
            Self::Heal => f.write_str("the network is one again"),
            Self::Line { a, b, up } => {
                write!(f, "the line {a}-{b} {}", if *up { "is back" } else { "is cut" })
            }
            Self::Break { a, b } => write!(f, "the connection {a}-{b} breaks"),
            Self::Weather(link) => write!(
                f,
                "all lines have {:?} and up to {:?} more, and lose {} of 1000 messages",
                link.latency, link.jitter, link.gossip_loss
            ),
            Self::Skew { node, millis } => write!(f, "the clock of node {node} is off by {millis} ms"),
            Self::DiskFull { node, full: true } => write!(f, "the disk of node {node} is full"),
            Self::DiskFull { node, full: false } => write!(f, "the disk of node {node} has room again"),
        }
    }
}

/// A fault and its time since the beginning of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// When.
    pub at: Duration,
    /// What.
    pub fault: Fault,
}

/// In which time faults happen, and to whom.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// How many nodes.
    pub nodes: usize,
    /// From this slot on.
    pub from: u64,
    /// Everything is well again before this slot.
    pub quiet: u64,
}

/// The most episodes of a run: with more of them, few happen to a network that still works.
const MOST_EPISODES: u64 = 6;
/// The longest episode in slots: longer than it takes to notice a silent line (50 seconds), so that this is seen as well.
const LONGEST_SLOTS: u64 = 30;
/// How wrong clocks are, in milliseconds: up to half a slot. A node whose clock is wronger than a slot is a faulty one.
const MOST_SKEW: u64 = 1_000;

/// Draws numbers.
pub struct Dice<R>(pub R);

impl<R: Rng> Dice<R> {
    /// A number below this one; zero below zero or one.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit.max(1)
    }

    /// An index below this length.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below a length")
    }

    /// True in so many cases of a hundred.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// A random time up to this one, to the millisecond.
    pub fn time(&mut self, up_to: Duration) -> Duration {
        Duration::from_millis(self.below(u64::try_from(up_to.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The order of so many things, shuffled.
    pub fn order(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        for last in (1..len).rev() {
            let with = self.index(last + 1);
            order.swap(last, with);
        }
        order
    }
}

/// The lines of the world on a normal day: 5 to 60 ms, at most a little loss.
pub fn weather<R: Rng>(dice: &mut Dice<R>) -> Link {
    Link {
        latency: Duration::from_millis(5 + dice.below(55)),
        jitter: Duration::from_millis(dice.below(40)),
        gossip_loss: u16::try_from(dice.below(20)).expect("below 20"),
        ..Link::default()
    }
}

/// Draws what goes wrong.
pub fn draw<R: Rng>(dice: &mut Dice<R>, frame: Frame, calm: Link) -> Vec<Timed> {
    let mut faults = Vec::new();
    let episodes = 1 + dice.below(MOST_EPISODES);
    let (mut disk, mut parted) = (false, false);
    let mut down = Busy::default();
    for _ in 0..episodes {
        let Some((from, to)) = span(dice, frame) else { continue };
        let timed = |at, fault| Timed { at, fault };
        let node = dice.index(frame.nodes);
        let other = (node + 1 + dice.index(frame.nodes - 1)) % frame.nodes;
        match dice.below(100) {
            0..28 if down.take(node, from, to) => {
                faults.push(timed(from, Fault::Crash { node, power: dice.percent(50) }));
                faults.push(timed(to, Fault::Start { node }));
            }
            28..48 if !parted => {
                parted = true;
                faults.push(timed(from, Fault::Partition(groups(dice, frame.nodes))));
                faults.push(timed(to, Fault::Heal));
            }
            48..60 => {
                faults.push(timed(from, Fault::Line { a: node, b: other, up: false }));
                faults.push(timed(to, Fault::Line { a: node, b: other, up: true }));
            }
            60..68 => faults.push(timed(from, Fault::Break { a: node, b: other })),
            68..82 => {
                faults.push(timed(from, Fault::Weather(storm(dice))));
                faults.push(timed(to, Fault::Weather(calm)));
            }
            82..92 => {
                let millis =
                    i64::try_from(dice.below(2 * MOST_SKEW)).expect("small") - MOST_SKEW.cast_signed();
                faults.push(timed(from, Fault::Skew { node, millis }));
                faults.push(timed(to, Fault::Skew { node, millis: 0 }));
            }
            92.. if !disk => {
                disk = true;
                faults.push(timed(from, Fault::DiskFull { node, full: true }));
                faults.push(timed(to, Fault::DiskFull { node, full: false }));
            }
            _ => {}
        }
    }
    faults.sort_by_key(|timed| timed.at);
    faults
}

/// Which nodes are down when, so that none is killed twice.
#[derive(Default)]
struct Busy(Vec<(usize, Duration, Duration)>);

impl Busy {
    fn take(&mut self, node: usize, from: Duration, to: Duration) -> bool {
        let free = self.0.iter().all(|&(of, start, end)| of != node || to < start || from > end);
        if free {
            self.0.push((node, from, to));
        }
        free
    }
}

fn span<R: Rng>(dice: &mut Dice<R>, frame: Frame) -> Option<(Duration, Duration)> {
    let slots = frame.quiet.checked_sub(frame.from).filter(|slots| *slots > 1)?;
    let last = start_of(frame.quiet) - Duration::from_millis(1);
    let from = start_of(frame.from) + dice.time(SLOT * u32::try_from(slots - 1).ok()?);
    let length = Duration::from_millis(100) + dice.time(SLOT * u32::try_from(LONGEST_SLOTS.min(slots)).ok()?);
    Some((from, (from + length).min(last)))
}

/// Two or three groups, of any sizes.
fn groups<R: Rng>(dice: &mut Dice<R>, nodes: usize) -> Vec<Vec<usize>> {
    let mut order = dice.order(nodes);
    let mut rest = order.split_off(1 + dice.index(nodes - 1));
    order.sort_unstable();
    rest.sort_unstable();
    if rest.len() > 2 && dice.percent(30) {
        let third = rest.split_off(1 + dice.index(rest.len() - 1));
        return vec![order, rest, third];
    }
    vec![order, rest]
}

fn storm<R: Rng>(dice: &mut Dice<R>) -> Link {
    Link {
        latency: Duration::from_millis(50 + dice.below(450)),
        jitter: Duration::from_millis(dice.below(700)),
        gossip_loss: u16::try_from(dice.below(400)).expect("below 400"),
        bandwidth: dice.percent(30).then_some(100_000),
        lifetime: dice.percent(30).then_some(Duration::from_secs(20)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use alys_actor::Randomness;

    use super::*;

    const FRAME: Frame = Frame { nodes: 6, from: 4, quiet: 40 };

    fn drawn(seed: u64) -> Vec<Timed> {
        draw(&mut Dice(Randomness::seeded(seed).stream("faults")), FRAME, Link::default())
    }

    #[test]
    fn everything_is_well_again_when_the_quiet_time_begins() {
        for seed in 0..500 {
            let (mut off, mut weather) = (BTreeSet::new(), Link::default());
            let mut skew = BTreeMap::new();
            for Timed { at, fault } in drawn(seed) {
                assert!(at < start_of(FRAME.quiet), "seed {seed}");
                let (what, on) = match fault {
                    Fault::Start { node } => (format!("node {node}"), true),
                    Fault::Crash { node, .. } => (format!("node {node}"), false),
                    Fault::Partition(groups) => {
                        assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), FRAME.nodes, "seed {seed}");
                        assert!(groups.iter().all(|group| !group.is_empty()), "seed {seed}");
                        ("partition".to_owned(), false)
                    }
                    Fault::Heal => ("partition".to_owned(), true),
                    Fault::Line { a, b, up } => {
                        assert_ne!(a, b, "seed {seed}");
                        (format!("{a}-{b}"), up)
                    }
                    Fault::DiskFull { node, full } => (format!("disk {node}"), !full),
                    Fault::Weather(link) => {
                        weather = link;
                        continue;
                    }
                    Fault::Skew { node, millis } => {
                        skew.insert(node, millis);
                        continue;
                    }
                    Fault::Break { .. } => continue,
                };
                if on {
                    off.remove(&what)
                } else {
                    off.insert(what)
                };
            }
            assert_eq!((off, weather), (BTreeSet::new(), Link::default()), "seed {seed}");
            assert!(skew.values().all(|millis| *millis == 0), "seed {seed}");
        }
    }

    #[test]
    fn every_kind_of_fault_is_drawn_by_some_seed() {
        let words = (0..100).flat_map(drawn).map(|timed| timed.fault.to_string());
        let all: String = words.collect::<Vec<_>>().join("\n");
        for part in ["starts", "power", "killed", "apart", "one again", "cut", "back", "breaks"] {
            assert!(all.contains(part), "{part}");
        }
        for part in ["lines have", "clock of", "is full", "has room"] {
            assert!(all.contains(part), "{part}");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
    }
}
