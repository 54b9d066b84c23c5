use core::time::Duration;
use std::collections::BTreeMap;

use alys_chain::{BlockId, Height, Slot};
use alys_peers::{Observation, Offence};
use alys_wire::PeerId;
use proptest::prelude::*;

use super::plan::PER_SERVER;
use super::*;
use crate::blame::Fault;
use crate::event::{LeaseEnd, LeaseId};

fn peer(n: u8) -> PeerId {
    PeerId::from_bytes(&[n; 38]).unwrap()
}

fn block(height: u64) -> BlockRef {
    BlockRef { slot: Slot(height), height: Height(height), id: BlockId([1; 32]) }
}

fn at(millis: u64) -> Moment {
    Moment(Duration::from_millis(millis))
}

/// A machine, the time, and what it wants.
struct Story {
    machine: SnapshotMachine,
    now: u64,
    wanted: Vec<Action>,
}

impl Story {
    fn new(begun: Option<Begun>) -> Self {
        Self { machine: SnapshotMachine::new(at(0), begun), now: 0, wanted: Vec::new() }
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        let actions = self.machine.step(at(self.now), event);
        self.wanted.extend(actions.clone());
        actions
    }

    /// Ticks each second.
    fn wait(&mut self, seconds: u64) -> Vec<Action> {
        (0..seconds)
            .flat_map(|_| {
                self.now += 1_000;
                self.tell(Event::Tick)
            })
            .collect()
    }

    /// Connects peers that offer these heights.
    fn meet(&mut self, n: u8, heights: &[u64]) -> Vec<Action> {
        let asked = self.tell(Event::PeerConnected { peer: peer(n) });
        let lease = asked.iter().find_map(|action| match action {
            Action::AskOffers { lease, peer: asked } if *asked == peer(n) => Some(*lease),
            _ => None,
        });
        let blocks = heights.iter().copied().map(block).collect();
        self.tell(Event::Offered { lease: lease.expect("whoever is new is asked"), blocks })
    }

    /// The one request for sums among these.
    fn sums(actions: &[Action]) -> (LeaseId, PeerId, u64) {
        let found = actions.iter().find_map(|action| match action {
            Action::AskSums { lease, peer, block } => Some((*lease, *peer, block.height.get())),
            _ => None,
        });
        found.expect("sums are asked for")
    }
}

fn buckets(actions: &[Action]) -> Vec<(LeaseId, PeerId, u8)> {
    let asked = |action: &Action| match action {
        Action::AskBucket { lease, peer, bucket } => Some((*lease, *peer, *bucket)),
        _ => None,
    };
    actions.iter().filter_map(asked).collect()
}

fn observed(actions: &[Action]) -> Vec<(PeerId, Observation)> {
    let seen = |action: &Action| match action {
        Action::Observe { peer, what } => Some((*peer, *what)),
        _ => None,
    };
    actions.iter().filter_map(seen).collect()
}

#[test]
fn a_state_is_chosen_fetched_from_all_and_installed() {
    let mut story = Story::new(None);
    let first = story.meet(1, &[3_000, 2_000]);
    assert_eq!(Story::sums(&first), (LeaseId(1), peer(1), 3_000));
    story.meet(2, &[3_000]);
    let mut open = buckets(&story.tell(Event::SumsStored { lease: LeaseId(1) }));
    let shares: Vec<(PeerId, u8)> = open.iter().map(|(_, peer, bucket)| (*peer, *bucket)).collect();
    assert_eq!(shares, [(peer(1), 0), (peer(2), 1), (peer(1), 2), (peer(2), 3)]);
    let mut last = Vec::new();
    while let Some((lease, ..)) = open.pop() {
        last = story.tell(Event::BucketStored { lease });
        open.extend(buckets(&last));
    }
    assert_eq!(last, [Action::Install]);
    assert_eq!(story.machine.progress().buckets, 256);
    assert!(story.tell(Event::Installed).is_empty());
    assert!(story.machine.is_over() && story.wait(60).is_empty());
}

#[test]
fn offers_are_collected_before_the_choice() {
    let mut story = Story::new(None);
    story.tell(Event::PeerConnected { peer: peer(9) });
    assert!(story.meet(1, &[1_000]).is_empty(), "another peer has not answered yet");
    story.meet(2, &[2_000]);
    story.meet(3, &[2_000]);
    let chosen = story.wait(2);
    assert_eq!(chosen[0], Action::Report(Report::Chosen { block: block(2_000), servers: 2 }));
    assert_eq!(Story::sums(&chosen).2, 2_000);
}

#[test]
fn wrong_bytes_exclude_their_server_and_another_one_is_asked() {
    let mut story = Story::new(None);
    story.meet(1, &[10]);
    story.meet(2, &[10]);
    let open = buckets(&story.tell(Event::SumsStored { lease: LeaseId(1) }));
    let (lease, liar, bucket) = open[0];
    let end = LeaseEnd::Failed(Fault::Peer(Offence::BadState));
    let after = story.tell(Event::Ended { lease, end });
    assert_eq!(observed(&after), [(liar, Observation::Offence(Offence::BadState))]);
    let honest = open.iter().find(|(_, peer, _)| *peer != liar).unwrap().0;
    let next = buckets(&story.tell(Event::BucketStored { lease: honest }));
    assert_eq!(
        next.iter().map(|(_, peer, bucket)| (*peer, *bucket)).collect::<Vec<_>>(),
        [(peer(2), bucket)]
    );
    story.tell(Event::PeerDisconnected { peer: liar });
    story.wanted.clear();
    story.tell(Event::PeerConnected { peer: liar });
    story.wait(30);
    let asked = |action: &Action| matches!(action, Action::AskOffers { peer, .. } if *peer == liar);
    assert!(!story.wanted.iter().any(asked), "not even when it comes back");
}

#[test]
fn a_server_that_vanishes_or_falls_silent_loses_its_buckets() {
    let mut story = Story::new(None);
    story.meet(1, &[10]);
    story.meet(2, &[10]);
    let open = buckets(&story.tell(Event::SumsStored { lease: LeaseId(1) }));
    let gone = story.tell(Event::PeerDisconnected { peer: peer(1) });
    let cancelled = gone.iter().filter(|action| matches!(action, Action::Cancel { .. })).count();
    assert_eq!(cancelled, 2);
    let coming = open.iter().find(|(_, server, _)| *server == peer(2)).unwrap().0;
    story.now += 4_000;
    story.tell(Event::Progress { lease: coming });
    assert!(observed(&story.wait(4)).is_empty(), "the second comes behind the first");
    let late = story.wait(1);
    assert_eq!(observed(&late), [(peer(2), Observation::TimedOut); 2]);
    assert!(buckets(&late).is_empty(), "it rests");
    assert_eq!(buckets(&story.wait(2)).len(), 2);
}

#[test]
fn a_drip_ends_at_the_longest_time() {
    let mut story = Story::new(None);
    story.meet(1, &[10]);
    let open = buckets(&story.tell(Event::SumsStored { lease: LeaseId(1) }));
    for second in 1..60 {
        story.tell(Event::Progress { lease: open[0].0 });
        for action in story.wait(1) {
            assert!(!matches!(action, Action::Observe { .. }), "after {second} s");
            if let Action::AskOffers { lease, .. } = action {
                story.tell(Event::Offered { lease, blocks: vec![block(10)] });
            }
        }
    }
    story.tell(Event::Progress { lease: open[0].0 });
    assert_eq!(observed(&story.wait(1)).len(), 2);
}

#[test]
fn refusals_and_our_own_faults_blame_nobody() {
    let mut story = Story::new(None);
    story.meet(1, &[10]);
    let open = buckets(&story.tell(Event::SumsStored { lease: LeaseId(1) }));
    let retry_after = Duration::from_secs(3);
    let refused = story.tell(Event::Ended { lease: open[0].0, end: LeaseEnd::Refused { retry_after } });
    assert_eq!(observed(&refused), [(peer(1), Observation::Refused { retry_after })]);
    let ours = LeaseEnd::Failed(Fault::Ours("the disk is full".into()));
    assert!(story.tell(Event::Ended { lease: open[1].0, end: ours }).is_empty());
    assert!(buckets(&story.wait(2)).is_empty());
    assert_eq!(buckets(&story.wait(1)).len(), 2, "after its rest it is asked for both again");
}

#[test]
fn a_restart_goes_on_with_what_is_durable() {
    let complete: BTreeSet<u8> = (0..=u8::MAX).filter(|bucket| *bucket != 77).collect();
    let mut story = Story::new(Some(Begun { block: block(10), complete }));
    assert!(buckets(&story.meet(1, &[20])).is_empty(), "it does not have this one");
    let asked = buckets(&story.meet(2, &[10]));
    assert_eq!(asked.iter().map(|(_, peer, bucket)| (*peer, *bucket)).collect::<Vec<_>>(), [(peer(2), 77)]);
    assert_eq!(story.tell(Event::BucketStored { lease: asked[0].0 }), [Action::Install]);
}

#[test]
fn a_complete_state_needs_no_server() {
    let complete = (0..=u8::MAX).collect();
    let mut story = Story::new(Some(Begun { block: block(10), complete }));
    assert_eq!(story.tell(Event::Tick), [Action::Install]);
}

#[test]
fn an_installation_that_fails_is_tried_again_after_a_while_with_no_server_left() {
    let complete = (0..=u8::MAX).collect();
    let mut story = Story::new(Some(Begun { block: block(10), complete }));
    assert_eq!(story.tell(Event::Tick), [Action::Install]);
    assert!(story.tell(Event::InstallFailed).is_empty(), "a full disk is not emptied by haste");
    assert!(story.wait(4).is_empty());
    assert_eq!(story.wait(1), [Action::Install]);
    assert!(story.wait(60).is_empty(), "one at a time");
}

#[test]
fn a_staged_state_that_turns_out_to_be_another_is_fetched_anew() {
    let complete = (0..=u8::MAX).collect();
    let mut story = Story::new(Some(Begun { block: block(10), complete }));
    story.meet(1, &[10]);
    let again = story.tell(Event::StagedWrong);
    assert_eq!(again[0], Action::Report(Report::Chosen { block: block(10), servers: 1 }));
    let (lease, ..) = Story::sums(&again);
    assert_eq!(story.machine.progress().buckets, 0);
    assert_eq!(buckets(&story.tell(Event::SumsStored { lease })).len(), 2, "from the first bucket on");
}

#[test]
fn when_all_servers_are_gone_it_waits_and_keeps_what_it_has() {
    let mut story = Story::new(None);
    story.meet(1, &[10]);
    story.meet(2, &[10]);
    let open = buckets(&story.tell(Event::SumsStored { lease: LeaseId(1) }));
    story.tell(Event::BucketStored { lease: open[0].0 });
    story.tell(Event::PeerDisconnected { peer: peer(1) });
    story.tell(Event::PeerDisconnected { peer: peer(2) });
    assert!(story.wait(600).is_empty(), "there is nobody to ask, and nothing better");
    let back = buckets(&story.meet(3, &[10]));
    assert_eq!(story.machine.progress().buckets, 1);
    assert!(!back.is_empty() && back.iter().all(|(_, _, bucket)| *bucket != open[0].2));
}

#[test]
fn where_nobody_has_a_state_it_is_done_without() {
    let mut story = Story::new(None);
    assert!(story.wait(100).is_empty(), "nobody is there: nothing is known");
    story.meet(1, &[]);
    let none = |story: &mut Story, actions: &[Action]| {
        for action in actions {
            if let Action::AskOffers { lease, .. } = action {
                story.tell(Event::Offered { lease: *lease, blocks: vec![] });
            }
        }
    };
    for _ in 0..59 {
        let asked = story.wait(1);
        assert!(!asked.contains(&Action::Forgo));
        none(&mut story, &asked);
    }
    assert_eq!(story.wait(1), [Action::Forgo]);
    assert!(story.machine.is_over() && story.wait(100).is_empty());
    let mut story = Story::new(None);
    story.meet(1, &[]);
    story.wait(50);
    story.meet(2, &[10]);
    story.wait(100);
    assert!(!story.wanted.contains(&Action::Forgo), "one is enough");
}

#[test]
fn a_state_that_nobody_offers_any_more_is_given_up_for_another() {
    let mut story = Story::new(Some(Begun { block: block(10), complete: BTreeSet::from([1]) }));
    assert!(story.wait(40).is_empty(), "nobody offers anything: there is nothing better");
    story.meet(1, &[20]);
    let later = story.wait(31);
    assert!(story.wanted.contains(&Action::Report(Report::GivenUp { block: block(10) })));
    assert!(story.wanted.contains(&Action::Report(Report::Chosen { block: block(20), servers: 1 })));
    drop(later);
    assert_eq!(story.machine.progress().buckets, 0);
}

#[test]
fn who_says_that_it_has_a_state_and_serves_none_is_asked_for_its_offers_again() {
    let mut story = Story::new(None);
    story.meet(1, &[10]);
    let open = buckets(&story.tell(Event::SumsStored { lease: LeaseId(1) }));
    let late = story.tell(Event::Ended { lease: open[0].0, end: LeaseEnd::Served });
    assert_eq!(observed(&late), [(peer(1), Observation::Late)]);
    assert_eq!(story.machine.progress().servers, 0);
    let again = story.wait(10);
    assert!(again.iter().any(|action| matches!(action, Action::AskOffers { .. })));
    let gone = LeaseEnd::Failed(Fault::Moment("lost".into()));
    let lost = story.tell(Event::Ended { lease: open[1].0, end: gone });
    assert!(lost.is_empty(), "it was silent for too long, and is not a lease any more");
    assert!(story.tell(Event::SumsStored { lease: LeaseId(99) }).is_empty());
    assert!(story.tell(Event::Offered { lease: LeaseId(99), blocks: vec![] }).is_empty());
}

/// How a server behaves: 0 honest, 1 wrong bytes, 2 silent, 3 leaves and comes back, 4 busy.
fn answer(kind: u8, dice: u8) -> Option<LeaseEnd> {
    match kind {
        1 => Some(LeaseEnd::Failed(Fault::Peer(Offence::BadState))),
        4 if dice > 100 => Some(LeaseEnd::Refused { retry_after: Duration::from_millis(700) }),
        3 if dice > 200 => Some(LeaseEnd::Failed(Fault::Moment("lost".into()))),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the others do, one honest server is enough, no bucket is on its way twice, and nobody has more than two.
    #[test]
    fn one_honest_server_is_enough(kinds in prop::collection::vec(0u8..5, 0..6), dice in prop::collection::vec(any::<u8>(), 64)) {
        let mut machine = SnapshotMachine::new(at(0), None);
        let kinds: Vec<u8> = core::iter::once(0).chain(kinds).collect();
        let mut open: BTreeMap<LeaseId, (PeerId, Option<u8>)> = BTreeMap::new();
        let (mut queue, mut now, mut turn) = (Vec::new(), 0, 0_usize);
        for n in 0..kinds.len() {
            queue.push(Event::PeerConnected { peer: peer(u8::try_from(n).unwrap()) });
        }
        while !machine.is_over() {
            turn += 1;
            prop_assert!(turn < 40_000, "it comes to an end");
            let event = queue.pop().unwrap_or_else(|| {
                now += 1_000;
                Event::Tick
            });
            for action in machine.step(at(now), event) {
                match action {
                    Action::AskOffers { lease, .. } => queue.push(Event::Offered { lease, blocks: vec![block(7)] }),
                    Action::AskSums { lease, peer, .. } => drop(open.insert(lease, (peer, None))),
                    Action::AskBucket { lease, peer, bucket } => {
                        prop_assert!(open.values().all(|(_, other)| *other != Some(bucket)));
                        open.insert(lease, (peer, Some(bucket)));
                        prop_assert!(open.values().filter(|(other, _)| *other == peer).count() <= PER_SERVER);
                    }
                    Action::Cancel { lease } => drop(open.remove(&lease)),
                    Action::Install => queue.push(Event::Installed),
                    Action::Observe { .. } | Action::Report(_) | Action::Forgo => {}
                }
            }
            let dice = dice[turn % dice.len()];
            let at_turn = open.keys().nth(usize::from(dice) % open.len().max(1)).copied();
            let Some((lease, (server, bucket))) = at_turn.and_then(|lease| Some((lease, open.remove(&lease)?))) else { continue };
            let kind = kinds[usize::from(server.as_bytes()[0])];
            match (answer(kind, dice), bucket) {
                (Some(end), _) => queue.push(Event::Ended { lease, end }),
                (None, _) if kind == 2 => drop(open.insert(lease, (server, bucket))),
                (None, Some(_)) => queue.push(Event::BucketStored { lease }),
                (None, None) => queue.push(Event::SumsStored { lease }),
            }
        }
        prop_assert_eq!(machine.progress().buckets, 256);
    }

    /// The same events at the same times give the same actions.
    #[test]
    fn the_same_story_is_the_same_run(steps in prop::collection::vec((0u8..6, 0u8..4, 0u64..3_000), 1..60)) {
        let run = || {
            let (mut machine, mut now, mut all) = (SnapshotMachine::new(at(0), None), 0, Vec::new());
            for (kind, n, pause) in &steps {
                now += pause;
                let (peer, lease) = (peer(*n), LeaseId(u64::from(*n)));
                all.extend(machine.step(at(now), match kind {
                    0 => Event::PeerConnected { peer },
                    1 => Event::PeerDisconnected { peer },
                    2 => Event::Offered { lease, blocks: vec![block(u64::from(*n))] },
                    3 => Event::SumsStored { lease },
                    4 => Event::BucketStored { lease },
                    _ => Event::Tick,
                }));
            }
            all
        };
        prop_assert_eq!(run(), run());
    }
}
