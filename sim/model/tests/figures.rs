//! What the scheduler must show, in virtual time.

use std::time::Duration;

use alys_model::{Conduct, Outcome, PeerModel, Scenario, play};

/// Blocks of a run among uneven peers: long enough that the start, in which nobody is known, is a small part of it.
const BLOCKS: u64 = 200_000;
const SEEDS: std::ops::Range<u64> = 0..2;

/// Plays it to the end.
fn finish(scenario: &Scenario) -> Outcome {
    let out = play(scenario);
    assert!(out.done, "seed {}: {} blocks/s, {:?}", scenario.seed, out.rate(), out.took);
    out
}

fn offences(out: &Outcome) -> usize {
    out.peers.iter().map(|peer| peer.offences.len()).sum()
}

#[test]
fn eight_uneven_peers_keep_a_capped_importer_busy() {
    for scenario in SEEDS.map(|seed| Scenario::uneven(seed, BLOCKS)) {
        let out = finish(&scenario);
        assert!(out.rate() * 100 >= scenario.import_rate * 90);
        assert_eq!(offences(&out), 0);
    }
}

#[test]
fn a_black_hole_costs_little_and_stalled_requests_not_much_more() {
    for mut scenario in SEEDS.map(|seed| Scenario::uneven(seed, BLOCKS)) {
        scenario.peers[6].conduct = Conduct::BlackHole;
        let hole = finish(&scenario);
        assert!(hole.rate() * 100 >= scenario.import_rate * 85);
        scenario.stalled_permille = 20;
        let stalls = finish(&scenario);
        assert!(stalls.rate() * 100 >= scenario.import_rate * 75);
        assert_eq!(offences(&hole) + offences(&stalls), 0, "slowness is no offence");
    }
}

#[test]
fn lines_that_stand_still_for_seconds_cost_less_than_a_quarter() {
    let mut rates = 0;
    for mut scenario in (0..8).map(|seed| Scenario::uneven(seed, BLOCKS)) {
        // The third best, as in the bench. Without the second best too little is left for this bar (docs/performance.md).
        scenario.peers[5].conduct = Conduct::BlackHole;
        (scenario.stalled_permille, scenario.stalled_for) = (20, Some(Duration::from_secs(5)));
        let out = finish(&scenario);
        assert_eq!(offences(&out), 0, "slowness is no offence");
        rates += out.rate() * 100 / scenario.import_rate;
    }
    // Who stands still when is a matter of luck, so the seeds are judged together.
    assert!(rates >= 8 * 75, "{rates}");
}

#[test]
fn where_the_network_is_the_limit_nine_tenths_of_it_carry_blocks() {
    for seed in SEEDS {
        let scenario = Scenario { import_rate: 1_000_000, ..Scenario::uneven(seed, BLOCKS) };
        let out = finish(&scenario);
        assert!(out.rate() * scenario.body_bytes * 100 >= scenario.honest_bandwidth() * 90);
        assert!(out.duplicate_bytes * 20 <= out.bytes);
    }
}

#[test]
fn a_hundred_milliseconds_of_round_trip_cost_less_than_a_fifth() {
    let near = Scenario::alone(1, 100_000, PeerModel::honest(400_000_000, 1));
    let near = Scenario { body_bytes: 10, ..near };
    let far = Scenario { peers: vec![PeerModel::honest(400_000_000, 100)], ..near.clone() };
    assert!(finish(&far).rate() * 100 >= finish(&near).rate() * 80);
}

/// A siege by nine of ten, beside the honest one alone; and the most that it may take, in percent of that.
fn besieged(conduct: Conduct, percent: u32) -> Vec<Outcome> {
    let clean = finish(&Scenario::alone(0, 20_000, PeerModel::honest(20_000_000, 50))).took;
    let sieges = (0..5).map(|seed| Scenario::besieged(seed, 20_000, conduct));
    let fits = |scenario: Scenario| {
        let out = finish(&scenario);
        assert!(out.took <= clean * percent / 100, "{conduct:?}: {:?} beside {clean:?}", out.took);
        for (model, seen) in scenario.peers.iter().zip(&out.peers) {
            assert!(
                model.conduct != Conduct::Honest || seen.offences.is_empty(),
                "an honest peer was reported"
            );
            assert!(seen.offences.len() <= 3, "{conduct:?}: reported {} times", seen.offences.len());
        }
        out
    };
    sieges.map(fits).collect()
}

#[test]
fn nine_that_claim_the_greatest_height_change_nothing() {
    besieged(Conduct::Boasting, 120);
}

#[test]
fn nine_that_withhold_or_drip_get_no_more_bodies_to_serve_after_three_requests() {
    for conduct in [Conduct::Withholding, Conduct::Dripping] {
        for out in besieged(conduct, 125) {
            let most = out.peers.iter().map(|peer| peer.fruitless).max();
            assert!(most <= Some(3), "{most:?} fruitless requests");
        }
    }
}

#[test]
fn nine_that_serve_bad_bodies_are_banned_within_three_offences() {
    for out in besieged(Conduct::BadBodies, 120) {
        assert_eq!(out.peers.iter().filter(|peer| peer.banned_at.is_some()).count(), 9);
    }
}

#[test]
fn nine_that_serve_bad_approvals_cost_one_verification_an_offence() {
    for out in besieged(Conduct::BadApprovals, 120) {
        let forgers = out.peers.iter().filter(|peer| !peer.offences.is_empty());
        let worst = forgers.map(|peer| peer.ranges_verified).max();
        assert!(worst <= Some(3), "{worst:?} ranges verified");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let mut scenario = Scenario::uneven(7, 5_000);
    scenario.stalled_permille = 20;
    assert_eq!(play(&scenario), play(&scenario));
    assert!(play(&scenario).took > Duration::from_secs(1), "5,000 blocks at 5,000 a second");
}
