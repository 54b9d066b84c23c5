//! What opens the gate, and what does not.

use super::*;

#[test]
fn at_genesis_a_quorum_that_has_nothing_opens_the_gate() {
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    for n in 0..3 {
        assert!(!story.machine.may_produce(story.now, story.slot, None).open);
        story.connect(n + 1, None);
        story.send(Event::PeerIdentified { peer: peer(n + 1), authority: Some(AuthorityIndex(n)) });
    }
    let gate = story.machine.may_produce(story.now, story.slot, None);
    assert!(gate.open, "{gate}");
    assert_eq!(story.mode(), Mode::Synced);
    story.send(Event::PeerIdentified { peer: peer(1), authority: None });
    assert!(!story.machine.may_produce(story.now, story.slot, None).open);
    story.send(Event::FederationChanged(Federation::new(1, true)));
    assert!(story.machine.may_produce(story.now, story.slot, None).open, "alone");
    story.wait(5_000);
    assert!(!story.out.iter().any(|a| matches!(a, Action::AskReports { .. })), "nobody to ask");
}

#[test]
fn signed_reports_and_signs_of_life_count_for_the_gate() {
    let blocks = chain(GENESIS, 1..=10, 1);
    let mut story = Story::started(tip(&blocks[9], BlockRef::of(&blocks[8])));
    story.wait(1000);
    let round = story.out.iter().find_map(|a| match a {
        Action::AskReports { round } => Some(*round),
        _ => None,
    });
    let round = round.expect("the head is 90 slots old: authorities are asked");
    for n in 0..3 {
        story.send(Event::AuthorityReport { round, authority: AuthorityIndex(n), slot: Slot(10) });
    }
    assert!(story.machine.may_produce(story.now, story.slot, None).open);
    let status = story.machine.status(story.now);
    assert_eq!((status.mode, status.eta), (Mode::Synced, None));
    story.wait(16_000);
    assert!(
        !story.machine.may_produce(story.now, story.slot, None).open,
        "reports and signs of life grow old"
    );
    story.send(Event::AuthorityHeard { authority: AuthorityIndex(0) });
    let gate = story.machine.may_produce(story.now, story.slot, None);
    assert!(gate.conditions.iter().any(|c| c.value == "1 other authorities heard lately"));
}

#[test]
fn a_head_beyond_the_clock_is_no_target_and_no_word_about_genesis() {
    let blocks = chain(GENESIS, 191..=200, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    story.send(Event::PeerIdentified { peer: peer(1), authority: Some(AuthorityIndex(1)) });
    let status = story.machine.status(story.now);
    assert_eq!((status.target, status.mode), (None, Mode::Discovering));
    assert_eq!(status.waiting_for, WaitingFor::Proof);
    story.send(Event::PeerStatus { peer: peer(9), head: None, earliest: Height(0) });
    assert_eq!(story.machine.status(story.now).peers, 1, "a status of a stranger is ignored");
}

fn partition(story: &Story) -> (bool, String) {
    let gate = story.machine.may_produce(story.now, story.slot, None);
    let condition = gate.conditions.into_iter().find(|c| c.name == crate::ConditionName::Partition).unwrap();
    (condition.holds, condition.value)
}

/// After a cut the approvals of others are heard before the blocks that were missed are known.
#[test]
fn after_a_cut_the_gate_waits_for_a_block_of_after_it() {
    let blocks = chain(GENESIS, 96..=101, 1);
    let mut story = Story::started(tip(&blocks[3], BlockRef::of(&blocks[2])));
    let hear = |story: &mut Story| {
        (0..3).for_each(|n| story.send(Event::AuthorityHeard { authority: AuthorityIndex(n) }))
    };
    story.connect(1, Some(blocks[3]));
    hear(&mut story);
    story.wait(1000);
    let (open, value) = partition(&story);
    assert!(!open, "cut off until slot 100, and the best block is of slot 99");
    assert!(value.contains("after slot 100"), "{value}");
    assert!(
        story.out.iter().any(|a| matches!(a, Action::AskReports { .. })),
        "if the others stand still, they say so"
    );

    story.slot = Slot(101);
    story.send(Event::PeerStatus { peer: peer(1), head: Some(blocks[4]), earliest: Height(0) });
    assert!(!partition(&story).0, "a block of the slot of the cut is none of after it");
    story.send(Event::PeerStatus { peer: peer(1), head: Some(blocks[5]), earliest: Height(0) });
    story.wait(0);
    assert!(partition(&story).0);
    story.wait(13_000);
    assert!(partition(&story).0, "one sign of life in 14 seconds is no cut");
    story.wait(2_000);
    hear(&mut story);
    story.wait(1_000);
    assert!(!partition(&story).0, "none in 16 seconds is one");
}

/// What has waited in the sockets of a process that was stopped is heard before its next tick.
#[test]
fn a_process_that_was_stopped_was_cut_off() {
    let blocks = chain(GENESIS, 96..=121, 1);
    let mut story = Story::started(tip(&blocks[4], BlockRef::of(&blocks[3])));
    let hear = |story: &mut Story| {
        (0..3).for_each(|n| story.send(Event::AuthorityHeard { authority: AuthorityIndex(n) }))
    };
    hear(&mut story);
    story.slot = Slot(101);
    story.connect(1, Some(blocks[5]));
    story.wait(0);
    assert!(partition(&story).0, "a block of slot 101, cut off until slot 100");

    story.now = story.now.after(Duration::from_secs(40));
    story.slot = Slot(121);
    hear(&mut story);
    assert!(!partition(&story).0, "before the tick");
    story.wait(0);
    assert!(!partition(&story).0, "and behind it");
    story.send(Event::PeerStatus { peer: peer(1), head: Some(blocks[25]), earliest: Height(0) });
    story.slot = Slot(122);
    story.wait(1_000);
    assert!(!partition(&story).0, "a block of the slot of the return may be what waited as well");
}
