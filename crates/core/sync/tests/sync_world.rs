//! Whatever the peers are: one honest peer is enough, nothing is imported out of order, no lie moves the target.
#![allow(clippy::unwrap_used, reason = "a test that meets None has failed")]

mod world;

use std::collections::BTreeSet;

use alys_chain::Height;
use alys_sync::{Mode, Observation, Report};
use proptest::prelude::*;
use world::{Dice, Kind, Setup, World};

fn run(setup: Setup, secs: u64) -> World {
    run_until(setup, secs, World::is_synced)
}

fn run_until(setup: Setup, secs: u64, done: fn(&World) -> bool) -> World {
    let (seed, peers) = (setup.seed, setup.peers.clone());
    let mut world = World::new(setup);
    world.start();
    let done = world.run_until(secs, done);
    assert!(done, "seed {seed}, {peers:?}: {:?}", world.machine.status(world.now));
    world
}

fn with(peers: &[Kind]) -> Setup {
    Setup { peers: peers.to_vec(), ..Setup::default() }
}

#[test]
fn two_honest_peers() {
    let world = run(Setup::default(), 20);
    assert!(world.offences().is_empty());
    assert!(world.shell.asked.values().all(|&n| n == 1), "nothing was asked for twice");
    assert_eq!(world.shell.held_bytes(), 0, "nothing is left in memory");
    assert!(world.reports.contains(&Report::TargetChanged { target: world.chain.tip() }));
}

#[test]
fn each_kind_of_bad_peer_beside_an_honest_one() {
    let kinds = [
        Kind::Vanishing,
        Kind::Withholding,
        Kind::BlackHole,
        Kind::BadCertificates,
        Kind::BadLinks,
        Kind::BadBodies,
        Kind::Short,
        Kind::Dripping,
        Kind::Boasting,
        Kind::DeadEnds,
        Kind::Refusing,
        Kind::Unrequested,
    ];
    for kind in kinds {
        let world = run(with(&[kind, kind, Kind::Honest]), 60);
        let provable = [Kind::BadCertificates, Kind::BadLinks, Kind::BadBodies, Kind::Unrequested];
        let offenders: BTreeSet<_> = world.offences().into_keys().collect();
        let guilty = if provable.contains(&kind) { world.peers_of(kind) } else { BTreeSet::new() };
        assert!(offenders.is_subset(&guilty), "{kind:?}: an innocent peer was reported");
        assert_ne!(provable.contains(&kind), offenders.is_empty(), "{kind:?}: the offence was not seen");
    }
}

#[test]
fn nine_of_ten_withhold_and_soon_get_no_more_work() {
    let mut peers = vec![Kind::Withholding; 9];
    peers.push(Kind::Honest);
    let world = run(Setup { peers, ..Setup::default() }, 60);
    let held_back = world.peers_of(Kind::Withholding);
    for peer in held_back {
        let shorts =
            world.observed.iter().filter(|(p, what)| *p == peer && *what == Observation::Late).count();
        assert!(shorts <= 4, "asked {shorts} times");
    }
}

#[test]
fn an_importer_that_fails_now_and_then_is_waited_for_and_nobody_is_blamed() {
    let world = run(Setup { imports_fail: 3, ..with(&[Kind::Honest, Kind::Honest, Kind::Honest]) }, 120);
    let failed = world.reports.iter().filter(|r| matches!(r, Report::ImportFailing { .. })).count();
    let recovered = world.reports.iter().filter(|r| matches!(r, Report::ImportRecovered { .. })).count();
    assert!(failed > 0 && recovered > 0);
    assert!(world.offences().is_empty());
    assert!(
        world.shell.asked.values().all(|&n| n == 1),
        "the same bodies were tried again, not fetched again"
    );
}

#[test]
fn a_small_budget_is_slow_and_enough() {
    let setup =
        Setup { budget: 0, largest_body: 600_000, blocks: 120, ..with(&[Kind::Honest, Kind::Honest]) };
    let world = run(setup, 120);
    assert_eq!(world.machine.status(world.now).budget_total, 4 << 20);
}

#[test]
fn a_growing_chain_is_followed() {
    let mut world = run(Setup { grows: true, slot_ms: 500, ..with(&[Kind::Honest, Kind::Short]) }, 60);
    let height = world.tip.head.height;
    assert!(world.run_until(60, |w| w.tip.head.height.0 > height.0 + 40));
    assert!(world.run_until(60, World::is_synced));
}

#[test]
fn a_network_that_stands_still_counts_as_synced_once_a_quorum_signs_that_nothing_is_above() {
    let setup = || Setup { slot_ms: 100, blocks: 40, ..with(&[Kind::Honest, Kind::Honest, Kind::Honest]) };
    let mut world = run(setup(), 60);
    assert!(!world.run_until(30, |w| !w.is_synced()), "30 s are 300 slots, and still synced");
    let gate = world.machine.may_produce(world.now, world.slot(), None);
    assert!(gate.open, "{gate}");

    let mut two = World::new(Setup { peers: vec![Kind::Honest; 2], ..setup() });
    two.start();
    two.run_until(20, |_| false);
    assert!(two.has_arrived() && !two.is_synced(), "two of the others are no quorum with us");
    assert!(!two.machine.may_produce(two.now, two.slot(), None).open);
}

#[test]
fn without_an_honest_peer_there_is_no_progress_and_no_lie_is_believed() {
    let mut world = World::new(with(&[Kind::Boasting, Kind::BlackHole, Kind::Withholding]));
    world.start();
    assert!(!world.run_until(100, World::is_synced));
    assert_eq!(world.tip.head.height, Height(0));
    assert!(world.reports.iter().any(|r| matches!(r, Report::Stalled { .. })), "people are told why");
    assert!(world.reports.iter().any(|r| matches!(r, Report::TargetDropped { .. })));
    let modes: Vec<_> = world
        .reports
        .iter()
        .filter_map(|r| match r {
            Report::ModeChanged { to, .. } => Some(*to),
            _ => None,
        })
        .collect();
    assert!(!modes.contains(&Mode::Synced));
}

#[test]
fn the_same_seed_is_the_same_run() {
    let setup = || Setup {
        imports_fail: 5,
        ..with(&[Kind::Honest, Kind::Vanishing, Kind::BadBodies, Kind::Refusing, Kind::DeadEnds])
    };
    assert_eq!(run(setup(), 120).trace, run(setup(), 120).trace);
    assert_ne!(run(setup(), 120).trace, run(Setup { seed: 2, ..setup() }, 120).trace);
}

const KINDS: [Kind; 13] = [
    Kind::Honest,
    Kind::Vanishing,
    Kind::Withholding,
    Kind::BlackHole,
    Kind::BadCertificates,
    Kind::BadLinks,
    Kind::BadBodies,
    Kind::Short,
    Kind::Dripping,
    Kind::Boasting,
    Kind::DeadEnds,
    Kind::Refusing,
    Kind::Unrequested,
];

/// Up to eight peers of any kind, and an honest one.
fn random(seed: u64) -> Setup {
    let mut dice = Dice(seed);
    let mut peers: Vec<Kind> =
        (0..dice.below(9)).map(|_| KINDS[usize::try_from(dice.below(13)).unwrap()]).collect();
    peers.push(Kind::Honest);
    Setup {
        seed,
        blocks: 1 + dice.below(1_200),
        largest_body: [0, 300, 20_000, 400_000][usize::try_from(dice.below(4)).unwrap()],
        budget: [4 << 20, 16 << 20, 256 << 20][usize::try_from(dice.below(3)).unwrap()],
        slot_ms: 2_000,
        imports_fail: [0, 4, 20][usize::try_from(dice.below(3)).unwrap()],
        grows: dice.one_in(3),
        peers,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn one_honest_peer_is_enough(seed: u64) {
        let setup = random(seed);
        println!("seed {seed}: {:?}", setup.peers);
        let world = run_until(setup, 600, World::has_arrived);
        let honest = world.peers_of(Kind::Honest);
        prop_assert!(world.offences().keys().all(|peer| !honest.contains(peer)), "an honest peer was reported");
    }
}

/// In these a dead end was imported as the head, and then again after the step back from it.
#[test]
fn a_dead_end_that_is_served_twice_is_left_twice() {
    run_until(random(8_743_690_719_777_003_667), 600, World::has_arrived);
}

/// In this one a forger, who rests most of the time, kept the honest peer from being asked, which had lost some requests.
#[test]
fn who_rests_keeps_nobody_from_being_asked() {
    run_until(random(14_591_854_472_711_161_878), 600, World::has_arrived);
}

/// In this one bodies above the head had used its share of a small budget, and then the head turned out to be bad.
#[test]
fn the_head_always_finds_room() {
    run_until(random(12_130_867_993_168_605_041), 600, World::has_arrived);
}

/// In this one a peer that was late with many bodies had the same ones asked for a third time, which a second peer had brought.
#[test]
fn what_a_second_peer_has_brought_is_not_asked_for_again() {
    run_until(random(8_742_066_310_819_836_644), 600, World::has_arrived);
}
