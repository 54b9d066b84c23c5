//! Where the time of the last seconds went, stage by stage.
//!
//! - **Owns**: for each second what the importer did or waited for, and on whom.
//! - **In**: the stage of each stretch of time, the durations that the importer tells. **Out**: sums over the window.
//! - **On failure**: bounded: a second knows at most [`PEERS_A_SECOND`] peers, the window at most [`SECONDS`] seconds.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use alys_chain::Moment;
use alys_wire::PeerId;
use serde::Serialize;

/// Over how many seconds the limit is judged. Long enough that one late answer is not the limit, short enough to follow a change.
const SECONDS: usize = 10;
/// How many peers one second tells apart: more than this many do not hold the head within one.
const PEERS_A_SECOND: usize = 32;

/// What the importer did or waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was to be done.
    #[default]
    Idle,
    /// It waited for headers or for a body, perhaps of this peer.
    Network(Option<PeerId>),
    /// It waited for a verification.
    Verify,
    /// It had a batch.
    Import,
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spent {
    /// Nothing was to be done.
    pub idle: Duration,
    /// The importer waited for peers.
    pub network: Duration,
    /// It waited for the verification.
    pub verify: Duration,
    /// It had a batch. The next two are within it.
    pub import: Duration,
    /// It executed, by what it told.
    pub execute: Duration,
    /// It committed, by what it told.
    pub commit: Duration,
}

impl Spent {
    fn add(&mut self, other: &Self) {
        self.idle += other.idle;
        self.network += other.network;
        self.verify += other.verify;
        self.import += other.import;
        self.execute += other.execute;
        self.commit += other.commit;
    }
}

#[derive(Clone, Debug, Default)]
struct Second {
    since: Moment,
    spent: Spent,
    by_peer: BTreeMap<PeerId, Duration>,
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Account {
    seconds: VecDeque<Second>,
    stage: Stage,
    since: Moment,
    /// Time with the batch that is out: the importer tells where it went when it is done.
    untold: Duration,
}

impl Account {
    /// Books the time since the last call to the stage of that call; from now on it is this one.
    pub fn turn(&mut self, now: Moment, stage: Stage) {
        let took = now.since(self.since);
        self.since = now;
        let before = core::mem::replace(&mut self.stage, stage);
        if took.is_zero() {
            return;
        }
        if before == Stage::Import {
            self.untold += took;
        }
        let second = self.second(now);
        match before {
            Stage::Idle => second.spent.idle += took,
            Stage::Verify => second.spent.verify += took,
            Stage::Import => second.spent.import += took,
            Stage::Network(peer) => {
                second.spent.network += took;
                if let Some(peer) = peer
                    && (second.by_peer.len() < PEERS_A_SECOND || second.by_peer.contains_key(&peer))
                {
                    *second.by_peer.entry(peer).or_default() += took;
                }
            }
        }
    }

    /// Books what the importer told of a batch.
    pub fn imported(&mut self, now: Moment, execute: Duration, commit: Duration) {
        self.turn(now, self.stage);
        self.untold = Duration::ZERO;
        let second = self.second(now);
        second.spent.execute += execute;
        second.spent.commit += commit;
    }

    fn second(&mut self, now: Moment) -> &mut Second {
        let is_over = self.seconds.back().is_none_or(|second| now.since(second.since).as_secs() >= 1);
        if is_over {
            self.seconds.push_back(Second { since: now, ..Second::default() });
        }
        if self.seconds.len() > SECONDS {
            self.seconds.pop_front();
        }
        let last = self.seconds.len().saturating_sub(1);
        &mut self.seconds[last]
    }

    /// Time with the batch that is out, of which nothing is told yet.
    #[must_use]
    pub const fn untold(&self) -> Duration {
        self.untold
    }

    /// The sums over the window.
    #[must_use]
    pub fn spent(&self) -> Spent {
        let mut sum = Spent::default();
        self.seconds.iter().for_each(|second| sum.add(&second.spent));
        sum
    }

    /// Who was waited for the longest in the window, and how long.
    #[must_use]
    pub fn slowest(&self) -> Option<(PeerId, Duration)> {
        let mut sums: BTreeMap<PeerId, Duration> = BTreeMap::new();
        for (&peer, &waited) in self.seconds.iter().flat_map(|second| &second.by_peer) {
            *sums.entry(peer).or_default() += waited;
        }
        sums.into_iter().max_by_key(|&(_, waited)| waited)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn peer(n: u8) -> PeerId {
        PeerId::from_bytes(&[n]).unwrap()
    }

    #[test]
    fn time_goes_to_the_stage_that_it_was_spent_in() {
        let mut account = Account::default();
        account.turn(at(0), Stage::Network(Some(peer(1))));
        account.turn(at(100), Stage::Network(Some(peer(2))));
        account.turn(at(150), Stage::Verify);
        account.turn(at(170), Stage::Import);
        account.turn(at(200), Stage::Idle);
        account.imported(at(200), ms(20), ms(5));
        account.turn(at(205), Stage::Idle);
        let spent = account.spent();
        assert_eq!((spent.network, spent.verify, spent.import, spent.idle), (ms(150), ms(20), ms(30), ms(5)));
        assert_eq!((spent.execute, spent.commit), (ms(20), ms(5)));
        assert_eq!(account.slowest(), Some((peer(1), ms(100))));
    }

    #[test]
    fn of_the_batch_that_is_out_nothing_is_told_yet() {
        let mut account = Account::default();
        account.turn(at(0), Stage::Import);
        account.turn(at(100), Stage::Import);
        assert_eq!(account.untold(), ms(100));
        account.imported(at(130), ms(20), ms(5));
        account.turn(at(130), Stage::Import);
        assert_eq!((account.untold(), account.spent().import), (ms(0), ms(130)));
        account.turn(at(140), Stage::Idle);
        account.turn(at(190), Stage::Idle);
        assert_eq!(account.untold(), ms(10));
    }

    #[test]
    fn old_seconds_are_forgotten() {
        let mut account = Account::default();
        account.turn(at(0), Stage::Verify);
        account.turn(at(900), Stage::Import);
        (1..=SECONDS as u64 + 1).for_each(|n| account.turn(at(900 + n * 1_000), Stage::Import));
        assert_eq!(account.spent().verify, Duration::ZERO);
        assert_eq!(account.spent().import, ms(1_000 * SECONDS as u64));
    }

    proptest! {
        #[test]
        fn no_time_is_lost_or_counted_twice(steps in prop::collection::vec((0u64..80, 0u8..6), 1..60)) {
            let mut account = Account::default();
            let mut now = 0;
            for (step, stage) in steps {
                now += step;
                let stage = match stage {
                    0 => Stage::Idle,
                    1 => Stage::Verify,
                    2 => Stage::Import,
                    n => Stage::Network((n < 5).then(|| peer(n))),
                };
                account.turn(at(now), stage);
            }
            let spent = account.spent();
            prop_assert_eq!(spent.idle + spent.network + spent.verify + spent.import, ms(now));
            prop_assert!(account.slowest().is_none_or(|(_, waited)| waited <= spent.network));
        }
    }
}
