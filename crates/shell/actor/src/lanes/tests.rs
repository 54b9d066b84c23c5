use std::any::TypeId;

use tokio::time::Instant;
use tracing::Span;

use super::*;
use crate::letter::Correlation;

struct Apple;
struct Pear;

impl Headed for Head {
    fn head(&self) -> &Head {
        self
    }

    fn head_mut(&mut self) -> &mut Head {
        self
    }
}

fn head<K: 'static>(lane: Lane, number: u64) -> Head {
    Head {
        name: "fruit",
        kind: TypeId::of::<K>(),
        lane,
        key: None,
        bytes: 10,
        entered: Instant::now(),
        deadline: None,
        correlation: Correlation { mailbox: "test", number },
        crashes: 0,
        origin: None,
        span: Span::none(),
    }
}

fn keyed(number: u64, key: u64, bytes: usize) -> Head {
    Head { key: Some(key), bytes, ..head::<Apple>(Lane::Normal, number) }
}

/// Three messages or a hundred bytes in every lane.
fn lanes() -> Lanes<Head> {
    Lanes::new([LaneLimit { messages: 3, bytes: 100 }; 3])
}

fn numbers(heads: &[Head]) -> Vec<u64> {
    heads.iter().map(|head| head.correlation.number).collect()
}

fn drain(lanes: &mut Lanes<Head>) -> Vec<u64> {
    std::iter::from_fn(|| lanes.pop()).map(|head| head.correlation.number).collect()
}

fn offer(lanes: &mut Lanes<Head>, head: Head, rule: Overflow) -> Result<Vec<u64>, SendError> {
    lanes.offer(head, rule).map(|displaced| numbers(&displaced)).map_err(|(why, _)| why)
}

fn fill(lanes: &mut Lanes<Head>, heads: impl IntoIterator<Item = Head>) {
    for head in heads {
        assert!(lanes.offer(head, Overflow::Reject).is_ok());
    }
}

fn apples(numbers: std::ops::Range<u64>) -> impl Iterator<Item = Head> {
    numbers.map(|number| head::<Apple>(Lane::Normal, number))
}

#[test]
fn busy_lanes_share_by_weight_and_an_idle_lane_costs_nothing() {
    let mut lanes = Lanes::new([LaneLimit { messages: 100, bytes: 10_000 }; 3]);
    for lane in Lane::ALL {
        fill(&mut lanes, (0..40).map(|_| head::<Apple>(lane, lane.index() as u64)));
    }
    let round: Vec<u64> = (0..26).filter_map(|_| lanes.pop()).map(|head| head.correlation.number).collect();
    let once = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2];
    assert_eq!(round, [once, once].concat());
    drain(&mut lanes);
    fill(&mut lanes, (0..40).map(|number| head::<Apple>(Lane::Normal, number)));
    assert_eq!(drain(&mut lanes), (0..40).collect::<Vec<_>>());
    assert!(lanes.is_empty());
}

#[test]
fn a_full_lane_refuses_in_count_and_in_bytes() {
    let mut lanes = lanes();
    fill(&mut lanes, apples(0..3));
    assert_eq!(offer(&mut lanes, head::<Apple>(Lane::Normal, 3), Overflow::Reject), Err(SendError::Full));
    assert_eq!(
        offer(&mut lanes, head::<Apple>(Lane::High, 4), Overflow::Reject),
        Ok(vec![]),
        "other lanes have room"
    );
    drain(&mut lanes);
    fill(&mut lanes, [keyed(5, 0, 60)]);
    assert_eq!(offer(&mut lanes, keyed(6, 0, 41), Overflow::Reject), Err(SendError::Full));
    assert_eq!(offer(&mut lanes, keyed(7, 0, 40), Overflow::Wait), Ok(vec![]));
    assert_eq!(offer(&mut lanes, keyed(8, 0, 101), Overflow::Wait), Err(SendError::TooLarge));
    assert_eq!(lanes.depth(Lane::Normal), (2, 100));
}

#[test]
fn the_oldest_of_the_same_kind_makes_room_and_no_other() {
    let mut lanes = lanes();
    fill(&mut lanes, [head::<Pear>(Lane::Normal, 0)]);
    fill(&mut lanes, apples(1..3));
    assert_eq!(offer(&mut lanes, head::<Apple>(Lane::Normal, 3), Overflow::DropOldest), Ok(vec![1]));
    let large = Head { bytes: 90, ..head::<Apple>(Lane::Normal, 4) };
    assert_eq!(offer(&mut lanes, large, Overflow::DropOldest), Ok(vec![2, 3]), "as many as it takes");
    let hopeless = Head { bytes: 95, ..head::<Apple>(Lane::Normal, 5) };
    assert_eq!(
        offer(&mut lanes, hopeless, Overflow::DropOldest),
        Err(SendError::Full),
        "not at the pear's cost"
    );
    assert_eq!(drain(&mut lanes), [0, 4], "and nothing was dropped in vain");
    fill(&mut lanes, apples(6..9));
    assert_eq!(offer(&mut lanes, head::<Pear>(Lane::Normal, 9), Overflow::DropOldest), Err(SendError::Full));
}

#[test]
fn a_newer_message_of_the_same_key_takes_the_place_and_the_wait_of_the_older() {
    let mut lanes = lanes();
    let first = keyed(0, 7, 10);
    let entered = first.entered;
    fill(&mut lanes, [first, keyed(1, 8, 10), head::<Pear>(Lane::Normal, 2)]);
    assert_eq!(offer(&mut lanes, keyed(3, 7, 20), Overflow::Coalesce(7)), Ok(vec![0]), "even in a full lane");
    assert_eq!(lanes.depth(Lane::Normal), (3, 40));
    assert_eq!(lanes.oldest().map(|head| head.entered), Some(entered));
    assert_eq!(
        offer(&mut lanes, keyed(4, 9, 10), Overflow::Coalesce(9)),
        Err(SendError::Full),
        "a new key needs room"
    );
    assert_eq!(
        offer(&mut lanes, keyed(5, 8, 71), Overflow::Coalesce(8)),
        Err(SendError::Full),
        "and growth as well"
    );
    let pear = Head { key: Some(7), ..head::<Pear>(Lane::Normal, 6) };
    assert_eq!(
        offer(&mut lanes, pear, Overflow::Coalesce(7)),
        Err(SendError::Full),
        "another kind, another key"
    );
    assert_eq!(drain(&mut lanes), [3, 1, 2]);
    assert_eq!(offer(&mut lanes, keyed(7, 7, 10), Overflow::Coalesce(7)), Ok(vec![]));
}

#[test]
fn nobody_overtakes_those_who_stand_in_line() {
    let mut lanes = lanes();
    fill(&mut lanes, apples(0..1));
    lanes.enter_line(Lane::Normal);
    assert_eq!(offer(&mut lanes, head::<Apple>(Lane::Normal, 1), Overflow::Reject), Err(SendError::Full));
    assert_eq!(offer(&mut lanes, head::<Pear>(Lane::Normal, 2), Overflow::DropOldest), Err(SendError::Full));
    let paid = offer(&mut lanes, head::<Apple>(Lane::Normal, 3), Overflow::DropOldest);
    assert_eq!(paid, Ok(vec![0]), "it takes its own kind's place only");
    assert!(lanes.offer_first_in_line(head::<Apple>(Lane::Normal, 4)).is_ok());
    lanes.leave_line(Lane::Normal);
    fill(&mut lanes, apples(5..6));
    assert!(matches!(lanes.offer_first_in_line(head::<Apple>(Lane::Normal, 6)), Err((SendError::Full, _))));
    assert_eq!(drain(&mut lanes), [3, 4, 5]);
}

#[test]
fn what_belongs_to_an_incarnation_can_be_taken_out_again() {
    let mut lanes = lanes();
    fill(&mut lanes, apples(0..3));
    lanes.push(head::<Pear>(Lane::Normal, 3));
    lanes.push_front(head::<Pear>(Lane::Normal, 4));
    assert_eq!(lanes.depth(Lane::Normal), (5, 50), "its own messages go past the limit");
    let pears = lanes.extract(|head| head.kind == TypeId::of::<Pear>());
    assert_eq!(numbers(&pears), [4, 3]);
    assert_eq!(lanes.depth(Lane::Normal), (3, 30));
    assert_eq!(drain(&mut lanes), [0, 1, 2]);
}

#[test]
fn the_line_is_called_when_an_eighth_of_the_lane_is_free() {
    let mut lanes = Lanes::new([LaneLimit { messages: 16, bytes: 1_000 }; 3]);
    fill(&mut lanes, apples(0..16));
    lanes.pop();
    lanes.pop();
    assert!(!lanes.calls_line(Lane::Normal), "nobody stands in line");
    lanes.enter_line(Lane::Normal);
    assert!(lanes.calls_line(Lane::Normal));
    assert!(lanes.offer_first_in_line(head::<Apple>(Lane::Normal, 16)).is_ok());
    assert!(!lanes.calls_line(Lane::Normal), "one place is too few to wake anybody");
}
