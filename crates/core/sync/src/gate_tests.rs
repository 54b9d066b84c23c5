//! The decision table of the gate, row by row.

use alys_chain::{BlockId, Height};

use super::*;

fn block(height: u64, slot: u64) -> BlockRef {
    BlockRef {
        slot: Slot(slot),
        height: Height(height),
        id: BlockId([u8::try_from(height % 251).unwrap(); 32]),
    }
}

/// One of five authorities, synced at height 1000 in slot 2000, all others there.
fn healthy() -> GateInput {
    GateInput {
        slot: Slot(2000),
        last_signed: Some(Slot(1995)),
        threshold_e4: THRESHOLD_E4,
        activity: Activity::Running,
        head: block(1000, 1999),
        target: Some(block(1000, 1999)),
        import_failing: None,
        federation: Federation::new(5, true),
        reachable: 4,
        heard: 4,
        cut_off: None,
        agreeing: 0,
    }
}

/// What is changed, and which conditions fail then.
type Row = (&'static str, fn(&mut GateInput), &'static [ConditionName]);

use ConditionName as C;

const TABLE: &[Row] = &[
    ("healthy", |_| {}, &[]),
    // who we are and what sync does
    ("not a member", |i| i.federation.member = false, &[C::Member]),
    ("set unknown", |i| i.federation = Federation::default(), &[C::Member, C::Federation, C::Partition]),
    ("stopped", |i| i.activity = Activity::Stopped, &[C::Running]),
    ("paused", |i| i.activity = Activity::Paused, &[C::Running]),
    ("failed", |i| i.activity = Activity::Failed, &[C::Running]),
    ("import failing", |i| i.import_failing = Some("disk full".into()), &[C::Import]),
    // how far behind
    ("half of the chain", |i| i.target = Some(block(2000, 2000)), &[C::Ratio, C::Behind]),
    ("5 of 1000 missing", |i| (i.head, i.target) = (block(995, 1990), Some(block(1000, 1999))), &[]),
    ("6 of 1000 missing", |i| (i.head, i.target) = (block(994, 1990), Some(block(1000, 1999))), &[C::Ratio]),
    ("10 of 100,000", |i| (i.head, i.target) = (block(99_990, 1990), Some(block(100_000, 1999))), &[]),
    (
        "11 of 100,000",
        |i| (i.head, i.target) = (block(99_989, 1990), Some(block(100_000, 1999))),
        &[C::Behind],
    ),
    (
        "exactly 99.5 %, and 10 behind",
        |i| (i.slot, i.head, i.target) = (Slot(2500), block(1990, 2400), Some(block(2000, 2499))),
        &[],
    ),
    (
        "one block less than 99.5 %",
        |i| (i.slot, i.head, i.target) = (Slot(2500), block(1989, 2400), Some(block(2000, 2499))),
        &[C::Ratio, C::Behind],
    ),
    (
        "a hair less than 99.5 %, and 10 behind",
        |i| (i.slot, i.head, i.target) = (Slot(2500), block(1989, 2400), Some(block(1999, 2499))),
        &[C::Ratio],
    ),
    (
        "a stricter threshold, met",
        |i| (i.threshold_e4, i.head, i.target) = (9_990, block(999, 1990), Some(block(1000, 1999))),
        &[],
    ),
    (
        "a stricter threshold, missed",
        |i| (i.threshold_e4, i.head, i.target) = (9_990, block(998, 1990), Some(block(1000, 1999))),
        &[C::Ratio],
    ),
    (
        "a laxer threshold opens nothing",
        |i| (i.threshold_e4, i.head, i.target) = (0, block(994, 1990), Some(block(1000, 1999))),
        &[C::Ratio],
    ),
    ("a threshold beyond the whole is the whole", |i| i.threshold_e4 = u32::MAX, &[]),
    ("target below our head", |i| i.target = Some(block(900, 1900)), &[]),
    ("no target: our own head alone proves nothing", |i| i.target = None, &[C::Target]),
    ("longer branch of a lower slot is no target", |i| i.target = Some(block(5000, 1998)), &[]),
    ("greatest height", |i| i.target = Some(block(u64::MAX, 2000)), &[C::Ratio, C::Behind]),
    // proof and freshness
    ("30 slots old", |i| i.slot = Slot(2029), &[]),
    ("31 slots old", |i| i.slot = Slot(2030), &[C::Target]),
    ("halted, quorum agrees", |i| (i.slot, i.agreeing) = (Slot(9000), 3), &[]),
    ("halted, one too few", |i| (i.slot, i.agreeing) = (Slot(9000), 2), &[C::Target]),
    (
        "halted, but a better block is proven",
        |i| (i.slot, i.agreeing, i.target) = (Slot(9000), 4, Some(block(1001, 2001))),
        &[C::Target],
    ),
    (
        "genesis, quorum agrees",
        |i| (i.slot, i.head, i.target, i.agreeing, i.last_signed) = (Slot(5), block(0, 0), None, 3, None),
        &[],
    ),
    (
        "genesis, one too few",
        |i| (i.slot, i.head, i.target, i.agreeing, i.last_signed) = (Slot(5), block(0, 0), None, 2, None),
        &[C::Target],
    ),
    (
        "genesis is never recent",
        |i| (i.slot, i.head, i.target, i.last_signed) = (Slot(1), block(0, 0), None, None),
        &[C::Target],
    ),
    (
        "genesis, but somebody has a block",
        |i| {
            (i.slot, i.head, i.target, i.agreeing, i.last_signed) =
                (Slot(5), block(0, 0), Some(block(1, 4)), 3, None)
        },
        &[C::Ratio],
    ),
    (
        "a single authority needs nobody",
        |i| {
            (i.federation, i.reachable, i.heard, i.slot) = (Federation::new(1, true), 0, 0, Slot(9000));
            i.target = None;
        },
        &[],
    ),
    (
        "a single authority that is not us",
        |i| (i.federation, i.reachable, i.heard, i.slot) = (Federation::new(1, false), 0, 0, Slot(9000)),
        &[C::Member, C::Target],
    ),
    (
        "a single authority behind its own chain",
        |i| {
            (i.federation, i.reachable, i.heard, i.target) =
                (Federation::new(1, true), 0, 0, Some(block(2000, 2000)))
        },
        &[C::Ratio, C::Behind],
    ),
    // the federation
    ("three others reachable", |i| i.reachable = 3, &[]),
    ("two others reachable", |i| i.reachable = 2, &[C::Federation]),
    ("three others heard", |i| i.heard = 3, &[]),
    ("minority side of a split", |i| i.heard = 2, &[C::Partition]),
    (
        "another branch of the same height has the higher slot",
        |i| i.target = Some(block(1000, 2000)),
        &[C::Partition],
    ),
    ("a shorter branch has the higher slot", |i| i.target = Some(block(999, 2000)), &[C::Partition]),
    ("a block of the slot after the cut", |i| i.cut_off = Some(Slot(1998)), &[]),
    (
        "heard again, but nothing is known from after the cut",
        |i| i.cut_off = Some(Slot(1999)),
        &[C::Partition],
    ),
    (
        "heard again, and a quorum knows nothing better",
        |i| (i.cut_off, i.agreeing) = (Some(Slot(1999)), 3),
        &[],
    ),
    (
        "heard again, and one too few know nothing better",
        |i| (i.cut_off, i.agreeing) = (Some(Slot(1999)), 2),
        &[C::Partition],
    ),
    (
        "heard again, and a block of after the cut is proven that is not here",
        |i| (i.cut_off, i.target) = (Some(Slot(1999)), Some(block(1001, 2000))),
        &[],
    ),
    ("cut off", |i| (i.reachable, i.heard) = (0, 0), &[C::Federation, C::Partition]),
    // the signing record
    ("never signed", |i| i.last_signed = None, &[]),
    ("signed in the slot before", |i| i.last_signed = Some(Slot(1999)), &[]),
    ("signed in this slot", |i| i.last_signed = Some(Slot(2000)), &[C::Unsigned]),
    ("signed in a later slot", |i| i.last_signed = Some(Slot(2001)), &[C::Unsigned]),
];

#[test]
fn the_table_row_by_row() {
    for (name, change, expected) in TABLE {
        let mut input = healthy();
        change(&mut input);
        let report = decide(&input);
        let missing: Vec<ConditionName> = report.missing().map(|c| c.name).collect();
        assert_eq!(missing, *expected, "{name}: {report}");
        assert_eq!(report.open, expected.is_empty(), "{name}");
        assert_eq!(report.conditions.len(), ConditionName::ALL.len(), "{name}: every condition is reported");
    }
}

#[test]
fn every_condition_can_close_the_gate_alone_or_is_reported() {
    let closing: std::collections::BTreeSet<ConditionName> =
        TABLE.iter().flat_map(|(_, _, expected)| expected.iter().copied()).collect();
    assert_eq!(closing.len(), ConditionName::ALL.len());
}

#[test]
fn quorums_are_two_thirds_rounded_up() {
    let quorums: Vec<u8> = (0..=15).map(|n| Federation::new(n, true).quorum).collect();
    assert_eq!(quorums, [0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9, 10, 10]);
    assert_eq!(Federation::new(5, true).others_needed(), 3);
    assert_eq!(Federation::default().others_needed(), 0);
}

#[test]
fn evidence_has_a_name_for_each_rule() {
    let mut input = healthy();
    assert_eq!(input.evidence(), Evidence::Recent);
    (input.slot, input.agreeing) = (Slot(9000), 3);
    assert_eq!(input.evidence(), Evidence::Halted);
    input.federation.member = false;
    assert_eq!(input.evidence(), Evidence::None, "three of five others are no quorum without us");
    input.agreeing = 4;
    assert_eq!(input.evidence(), Evidence::Halted, "a node that is no authority can learn it as well");
    (input.head, input.target) = (block(0, 0), None);
    assert_eq!(input.evidence(), Evidence::Genesis);
    (input.federation, input.agreeing) = (Federation::default(), 15);
    assert_eq!(input.evidence(), Evidence::None, "without a known set nobody is a quorum");
    input.federation = Federation::new(1, true);
    assert_eq!(input.evidence(), Evidence::Alone);
}

#[test]
fn the_report_is_readable() {
    let mut input = healthy();
    assert_eq!(decide(&input).to_string(), "open");
    (input.heard, input.last_signed) = (1, None);
    let text = decide(&input).to_string();
    assert_eq!(text, "closed: partition is 1 other authorities heard lately, required at least 3");
    (input.heard, input.cut_off) = (3, Some(Slot(1999)));
    assert_eq!(
        decide(&input).to_string(),
        "closed: partition is 3 other authorities heard lately; no block is known from after slot 1999, until which we were cut off, \
         required at least 3, and a later block, or a quorum that knows nothing better"
    );
    input.heard = 1;
    input.activity = Activity::Paused;
    let text = decide(&input).to_string();
    assert!(text.starts_with("closed: running is paused, required running; partition is 1"), "{text}");
    for activity in [Activity::Stopped, Activity::Failed] {
        assert!(!activity.to_string().is_empty());
    }
    for name in ConditionName::ALL {
        assert_eq!(name.to_string(), name.label());
    }
    for evidence in [Evidence::Recent, Evidence::Genesis, Evidence::Halted, Evidence::Alone, Evidence::None] {
        assert!(!evidence.to_string().is_empty());
    }
    input.last_signed = None;
    input.import_failing = Some("disk full".to_owned());
    let report = decide(&input);
    let value = |name| report.conditions.iter().find(|c| c.name == name).unwrap().value.clone();
    assert_eq!(value(ConditionName::Unsigned), "nothing signed yet");
    assert_eq!(value(ConditionName::Import), "disk full");
    assert_eq!(value(ConditionName::Target), "height 1000, 1 slots old, recent");
    assert_eq!(value(ConditionName::Ratio), "1000 of 1000 blocks");
}
