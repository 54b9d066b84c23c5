use proptest::prelude::*;

use super::*;
use crate::bls::SecretKey;

fn authority(n: u8) -> Authority {
    Authority::of(&SecretKey::from_seed(&[n; 32]))
}

fn period(from_slot: u64, slot_ms: u64, members: &[u8]) -> Period {
    let authorities = members.iter().map(|n| authority(*n)).collect();
    Period { from_slot: Slot(from_slot), slot_ms, authorities }
}

fn why(periods: Vec<Period>) -> (usize, &'static str) {
    match Schedule::new(periods) {
        Err(Invalid::Schedule { entry, why }) => (entry, why),
        other => panic!("expected a schedule fault, got {other:?}"),
    }
}

#[test]
fn quorums_are_two_thirds_rounded_up() {
    let quorums: Vec<usize> = (1..=15).map(|n| Quorum::of(n).get()).collect();
    assert_eq!(quorums, [1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9, 10, 10]);
    assert!(!Quorum::of(5).reached_by(3));
    assert!(Quorum::of(5).reached_by(4));
}

#[test]
fn authorities_take_turns() {
    let schedule = Schedule::constant(2_000, vec![authority(1), authority(2), authority(3)]).unwrap();
    let turns: Vec<u8> = (0..7).map(|s| schedule.proposer(Slot(s)).0).collect();
    assert_eq!(turns, [0, 1, 2, 0, 1, 2, 0]);
    assert_eq!(schedule.proposer(Slot(u64::MAX)).0, 0);
    let set = schedule.set_at(Slot(9));
    assert_eq!((set.id(), set.len(), set.mask(), set.quorum().get()), (SetId(0), 3, 0b111, 2));
    assert_eq!(set.index_of(&authority(2).key), Some(AuthorityIndex(1)));
    assert_eq!(set.index_of(&authority(9).key), None);
    assert_eq!(set.key(AuthorityIndex(2)), Some(&authority(3).key));
    assert_eq!(set.key(AuthorityIndex(3)), None);
}

#[test]
fn sets_change_at_their_slot_and_keep_their_id_when_only_the_slot_length_changes() {
    let schedule = Schedule::new(vec![
        period(0, 2_000, &[1, 2, 3]),
        period(10, 1_000, &[1, 2, 3]),
        period(20, 1_000, &[2, 4]),
        period(30, 1_000, &[1, 2, 3]),
    ])
    .unwrap();
    let ids: Vec<u32> = [0, 9, 10, 19, 20, 29, 30, 99].map(|s| schedule.set_at(Slot(s)).id().0).to_vec();
    assert_eq!(ids, [0, 0, 0, 0, 1, 1, 2, 2]);
    assert_eq!(schedule.slot_ms(Slot(9)), 2_000);
    assert_eq!(schedule.slot_ms(Slot(10)), 1_000);
    assert_eq!(schedule.sets().len(), 3);
    assert_eq!(schedule.set(SetId(1)).map(AuthoritySet::len), Some(2));
    assert_eq!(schedule.set(SetId(3)), None);
    let key = authority(2).key;
    let seats: Vec<(u32, u8)> = schedule.seats_of(&key).map(|s| (s.set.0, s.authority.0)).collect();
    assert_eq!(seats, [(0, 1), (1, 0), (2, 1)]);
}

#[test]
fn a_schedule_with_a_broken_rule_is_refused_and_the_entry_is_named() {
    assert_eq!(why(vec![]).0, 0);
    assert_eq!(why(vec![period(1, 2_000, &[1])]), (0, "the first entry must begin at slot 0"));
    let order = (2, "entries must begin at ascending slots");
    assert_eq!(why(vec![period(0, 2_000, &[1]), period(5, 2_000, &[1]), period(5, 2_000, &[2])]), order);
    let length = "the slot length must be between 50 ms and one hour";
    assert_eq!(why(vec![period(0, 2_000, &[1]), period(5, 49, &[1])]), (1, length));
    assert_eq!(why(vec![period(0, 3_600_001, &[1])]), (0, length));
    let size = "a set has 1 to 15 authorities";
    assert_eq!(why(vec![period(0, 2_000, &[])]), (0, size));
    assert_eq!(why(vec![period(0, 2_000, &(1..=16).collect::<Vec<u8>>())]), (0, size));
    assert_eq!(why(vec![period(0, 2_000, &[1, 2, 1])]), (0, "an authority stands twice in the set"));
    let many = vec![period(0, 2_000, &[1]); MAX_PERIODS + 1];
    assert!(matches!(Schedule::new(many), Err(Invalid::TooMany { got: 1_025, .. })));
}

#[test]
fn a_key_without_its_own_proof_of_possession_is_refused() {
    let mut periods = vec![period(0, 2_000, &[1, 2]), period(5, 2_000, &[1, 3])];
    periods[1].authorities[1].proof = authority(1).proof;
    assert_eq!(why(periods), (1, "a proof of possession is wrong"));
}

#[test]
fn a_schedule_survives_json_and_is_checked_on_the_way_in() {
    let schedule = Schedule::new(vec![period(0, 2_000, &[1, 2]), period(7, 500, &[2, 3])]).unwrap();
    let text = serde_json::to_string(&schedule).unwrap();
    assert_eq!(serde_json::from_str::<Schedule>(&text).unwrap(), schedule);
    let broken = text.replace("\"from_slot\":7", "\"from_slot\":0");
    let error = serde_json::from_str::<Schedule>(&broken).unwrap_err().to_string();
    assert!(error.contains("schedule entry 1"), "{error}");
}

fn schedules() -> impl Strategy<Value = Schedule> {
    // The keys do not matter here; one keeps the proofs of possession cheap.
    let member = authority(1);
    prop::collection::vec((1u64..1_000, 50u64..5_000), 1..6).prop_map(move |entries| {
        let mut from = 0;
        let periods = entries
            .into_iter()
            .map(|(slots, slot_ms)| {
                let period = Period { from_slot: Slot(from), slot_ms, authorities: vec![member] };
                from += slots;
                period
            })
            .collect();
        Schedule::new(periods).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_slot_runs_from_its_start_to_the_next_ones(schedule in schedules(), slot in 0u64..6_000) {
        let (start, end) = (schedule.offset_of(Slot(slot)), schedule.offset_of(Slot(slot + 1)));
        prop_assert_eq!(end - start, schedule.slot_ms(Slot(slot)));
        prop_assert_eq!(schedule.slot_after(start), Slot(slot));
        prop_assert_eq!(schedule.slot_after(end - 1), Slot(slot));
        prop_assert_eq!(schedule.slot_after(end), Slot(slot + 1));
    }

    #[test]
    fn no_time_and_no_slot_overflows(schedule in schedules(), far in any::<u64>()) {
        let slot = schedule.slot_after(far);
        prop_assert!(schedule.offset_of(slot) <= far);
        prop_assert!(schedule.offset_of(Slot(far)) >= schedule.offset_of(Slot(far / 2)));
    }
}
