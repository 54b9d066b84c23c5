//! The parts of the actor, each alone.

use core::time::Duration;
use std::sync::Arc;

use alys_actor::Clock;
use alys_chain::verify::Parent;
use alys_chain::{BlockId, CertifiedHeader, Height, Moment, UnixMillis};
use alys_sync::{Fault, LeaseEnd, LeaseId, Offence};
use alys_transport::{Answer, Outcome, Violation, answers};
use alys_wire::PeerId;
use futures::StreamExt;

use super::history::HISTORY;
use crate::sync::news::{self, News};
use crate::sync::ranges::Ranges;

const LEASE: LeaseId = LeaseId(7);

fn range(heights: std::ops::RangeInclusive<u64>) -> Arc<[CertifiedHeader]> {
    heights.map(|height| HISTORY.header(height)).collect()
}

fn genesis() -> Parent {
    Parent::genesis(&HISTORY.network.rules)
}

fn id(height: u64) -> BlockId {
    HISTORY.header(height).certificate.block
}

const fn at(secs: u64) -> Moment {
    Moment(Duration::from_secs(secs))
}

#[test]
fn a_linked_range_is_cut_to_what_its_certificates_vouch_for() {
    let mut ranges = Ranges::default();
    ranges.insert(genesis(), range(1..=20), 20);
    assert!(ranges.parent(Height(20), id(20)).is_some(), "linked: the next range need not wait");
    ranges.insert(genesis(), range(1..=20), 10);
    assert_eq!(ranges.parent(Height(11), id(11)), None, "its certificate is wrong");
    assert!(ranges.parent(Height(10), id(10)).is_some());
    ranges.insert(genesis(), range(1..=20), 0);
    assert_eq!(ranges.parent(Height(1), id(1)), None);
}

#[test]
fn any_block_of_a_verified_range_is_a_parent_with_its_own_lineage() {
    let mut ranges = Ranges::default();
    ranges.insert(genesis(), range(1..=20), 10);
    let mut expected = genesis();
    for height in 1..=10 {
        expected = expected.child(HISTORY.header(height).header);
        assert_eq!(ranges.parent(Height(height), id(height)), Some(expected));
    }
    assert_eq!(ranges.parent(Height(11), id(11)), None, "not verified");
    assert_eq!(ranges.parent(Height(5), id(6)), None, "another block");
    ranges.settle(Height(9));
    assert!(ranges.parent(Height(10), id(10)).is_some());
    ranges.settle(Height(10));
    assert_eq!(ranges.parent(Height(10), id(10)), None, "it is final in the store");
}

#[test]
fn a_range_waits_for_the_one_below_and_no_longer_than_that_may_take() {
    let mut ranges = Ranges::default();
    ranges.park(LEASE, range(11..=20), at(0));
    ranges.park(LeaseId(8), range(31..=40), at(3));
    assert!(ranges.wake().ready.is_empty());
    ranges.insert(genesis(), range(1..=10), 10);
    let woken = ranges.wake();
    assert_eq!((woken.ready, woken.dead), (vec![(LEASE, range(11..=20))], Vec::new()));
    assert_eq!(ranges.expire(at(12)), []);
    assert_eq!(ranges.expire(at(13)), [LeaseId(8)]);
    assert_eq!(ranges.expire(at(99)), []);
}

#[test]
fn a_range_on_another_branch_is_given_back() {
    let mut ranges = Ranges::default();
    let mut other: Vec<CertifiedHeader> = range(11..=20).to_vec();
    other[0].header.parent = BlockId([9; 32]);
    ranges.park(LEASE, other.into(), at(0));
    ranges.insert(genesis(), range(1..=10), 10);
    assert_eq!(ranges.wake().dead, [LEASE]);
}

fn peer() -> PeerId {
    PeerId::from_bytes(&[7; 38]).unwrap()
}

async fn all(news: impl futures::Stream<Item = news::LeaseNews>) -> Vec<News> {
    news.map(|news| news.news).collect().await
}

#[tokio::test(start_paused = true)]
async fn headers_go_as_one_message_with_a_sign_of_life_now_and_then() {
    let (clock, _) = Clock::simulated(UnixMillis(0));
    let (sink, reader) = answers(1 << 20);
    tokio::spawn(async move {
        for height in 1..=4 {
            sink.push(Answer::Headers(range(height..=height).to_vec())).await.unwrap();
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        sink.end(Outcome::Done);
    });
    let news = all(news::of_headers(reader, (LEASE, peer()), clock)).await;
    let [News::Progress, News::Headers { headers, bytes }] = &news[..] else { panic!("{news:?}") };
    assert_eq!((&headers[..], *bytes), (&range(1..=4)[..], 4 * 270));
}

#[tokio::test(start_paused = true)]
async fn what_came_counts_however_it_ended_but_for_a_broken_protocol() {
    let read = |outcome: Outcome, headers: bool| async move {
        let (clock, _) = Clock::simulated(UnixMillis(0));
        let (sink, reader) = answers(1 << 20);
        if headers {
            sink.push(Answer::Headers(range(1..=2).to_vec())).await.unwrap();
        }
        sink.end(outcome);
        all(news::of_headers(reader, (LEASE, peer()), clock)).await
    };
    assert!(matches!(&read(Outcome::Lost, true).await[..], [News::Headers { .. }]));
    assert!(matches!(&read(Outcome::Done, false).await[..], [News::Headers { .. }]));
    let lost = read(Outcome::Lost, false).await;
    assert!(matches!(&lost[..], [News::End(LeaseEnd::Failed(Fault::Moment(_)))]));
    let broken = read(Outcome::Violated(Violation::TooMuch), true).await;
    assert!(matches!(&broken[..], [News::End(LeaseEnd::Failed(Fault::Peer(Offence::Unrequested)))]));
}

#[tokio::test(start_paused = true)]
async fn bodies_that_wait_together_go_together_and_missing_ones_do_not_come() {
    let body = |height: u64| HISTORY.block(height).block.body;
    let (sink, reader) = answers(1 << 20);
    sink.push(Answer::Bodies(vec![(id(1), Some(body(1))), (id(2), None)])).await.unwrap();
    sink.push(Answer::Bodies(vec![(id(10), Some(body(10)))])).await.unwrap();
    sink.end(Outcome::Refused { retry_after: Duration::from_secs(3) });
    let news = all(news::of_bodies(reader, (LEASE, peer()))).await;
    let [News::Bodies(bodies), News::End(end)] = &news[..] else { panic!("{news:?}") };
    assert_eq!(bodies[..], [(id(1), body(1)), (id(10), body(10))]);
    assert_eq!(*end, LeaseEnd::Refused { retry_after: Duration::from_secs(3) });
}

#[test]
fn every_end_of_an_answer_says_whose_fault_it_was() {
    let malformed = news::end_of(Outcome::Violated(Violation::Malformed));
    assert_eq!(malformed, LeaseEnd::Failed(Fault::Peer(Offence::Malformed)));
    assert_eq!(news::end_of(Outcome::Done), LeaseEnd::Served);
    assert!(matches!(news::end_of(Outcome::Unavailable), LeaseEnd::Refused { .. }));
    assert!(matches!(news::end_of(Outcome::Unsupported), LeaseEnd::Failed(Fault::Moment(_))));
    for ours in [Outcome::Cancelled, Outcome::Overloaded] {
        assert!(matches!(news::end_of(ours), LeaseEnd::Failed(Fault::Ours(_))));
    }
}
