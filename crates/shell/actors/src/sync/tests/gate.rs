//! When this node may produce.

use alys_chain::{AuthorityIndex, SetId, Slot};
use alys_sync::{ConditionName, GateReport, Mode, Offence, Side};

use super::history::{BLOCKS, Lie, Served};
use super::world::{Setting, World};
use crate::chain::{ChainEvent, Gate};

fn missing(report: &GateReport) -> Vec<ConditionName> {
    report.missing().map(|condition| condition.name).collect()
}

fn authority(height: u64, place: u8) -> Served {
    Served { authority: Some(place), ..Served::honest(height) }
}

#[tokio::test(start_paused = true)]
async fn the_gate_opens_with_the_last_block_and_closes_when_paused_or_signed() {
    let mut world = World::new(Setting { authority: Some(0), ..Setting::default() }).await;
    let report = world.sync.can_produce(world.slot()).await.unwrap();
    assert!(!report.open, "{report}");
    world.peer(authority(BLOCKS, 1)).await;
    world.peer(authority(BLOCKS, 2)).await;
    world.reaches(BLOCKS).await;
    world.until("synced", |world| world.status().mode == Mode::Synced).await;
    // The others sign that there is nothing above.
    world.passes(2).await;
    let report = world.sync.can_produce(world.slot()).await.unwrap();
    assert!(report.open, "{report}");

    let slot = world.slot();
    world.chain.change(|view| view.last_signed = Some(slot));
    assert_eq!(missing(&world.sync.ask(slot).await), [ConditionName::Unsigned]);
    world.chain.change(|view| view.last_signed = None);
    world.sync.pause_sync().await.unwrap();
    assert_eq!(missing(&world.sync.ask(slot).await), [ConditionName::Running]);
}

#[tokio::test(start_paused = true)]
async fn without_a_way_to_the_federation_it_stays_closed_until_it_is_heard_and_says_what_it_knows() {
    let mut world = World::new(Setting { authority: Some(0), ..Setting::default() }).await;
    world.peer(Served::honest(BLOCKS)).await;
    world.reaches(BLOCKS).await;
    world.until("synced", |world| world.status().mode == Mode::Synced).await;
    let ask = || world.sync.can_produce(world.slot());
    let closed = [ConditionName::Federation, ConditionName::Partition];
    assert_eq!(missing(&ask().await.unwrap()), closed);
    let heard = |authority, set| {
        let slot = Slot(BLOCKS);
        let event = ChainEvent::AuthorityHeard { authority: AuthorityIndex(authority), set, slot };
        world.chain.events.send(event).unwrap();
    };
    heard(0, SetId(0));
    heard(1, SetId(9));
    world.passes(1).await;
    assert_eq!(missing(&ask().await.unwrap()), closed, "our own voice, and one of another set");
    heard(1, SetId(0));
    world.passes(1).await;
    let report = ask().await.unwrap();
    assert_eq!(missing(&report), [ConditionName::Partition], "heard, but it may have gone on without us");
    world.peer(authority(BLOCKS, 1)).await;
    world.passes(3).await;
    let report = world.sync.can_produce(world.slot()).await.unwrap();
    assert!(report.open, "it signed that there is nothing above: {report}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_no_authority_never_may() {
    let mut world = World::new(Setting::default()).await;
    world.peer(authority(BLOCKS, 1)).await;
    world.peer(authority(BLOCKS, 2)).await;
    world.reaches(BLOCKS).await;
    world.passes(2).await;
    let report = world.sync.can_produce(world.slot()).await.unwrap();
    assert_eq!(missing(&report), [ConditionName::Member]);
}

#[tokio::test(start_paused = true)]
async fn a_network_that_stood_still_starts_again_by_signed_reports() {
    let late = Setting { authority: Some(0), slot: BLOCKS + 5_000, ..Setting::default() };
    let mut world = World::new(late).await;
    world.peer(authority(BLOCKS, 1)).await;
    world.reaches(BLOCKS).await;
    world.passes(5).await;
    let report = world.sync.can_produce(world.slot()).await.unwrap();
    assert!(report.open, "two of three say that there is nothing above: {report}");
}

#[tokio::test(start_paused = true)]
async fn a_report_that_nobody_signed_opens_nothing_and_is_an_offence() {
    let late = Setting { authority: Some(0), slot: BLOCKS + 5_000, ..Setting::default() };
    let mut world = World::new(late).await;
    let liar = world.peer(Served { lie: Lie::Reports, ..authority(BLOCKS, 1) }).await;
    world.reaches(BLOCKS).await;
    world.passes(5).await;
    let report = world.sync.can_produce(world.slot()).await.unwrap();
    assert_eq!(missing(&report), [ConditionName::Target, ConditionName::Partition]);
    assert!(world.offences(liar).contains(&Offence::BadClaim));
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_does_not_answer_is_a_closed_gate() {
    let world = World::new(Setting::default()).await;
    world.supervisor.shutdown().await;
    let report = world.sync.ask(world.slot()).await;
    assert!(!report.open && report.to_string().contains("mailbox"), "{report}");
}

/// One of three authorities: alone it is no quorum, with one other it is.
#[tokio::test(start_paused = true)]
async fn the_minority_side_stops_and_goes_on_by_itself_after_the_heal() {
    let mut world = World::new(Setting { authority: Some(0), ..Setting::default() }).await;
    let first = world.peer(authority(BLOCKS, 1)).await;
    let second = world.peer(authority(BLOCKS, 2)).await;
    world.reaches(BLOCKS).await;
    world.passes(14).await;
    assert_eq!((world.metrics.crossed(true), world.metrics.crossed(false)), (1, 0), "open, and it held");
    assert_eq!(world.sync.get_partition().await.unwrap().side, Side::Whole);

    for peer in [first, second] {
        world.disconnects(peer).await;
    }
    world.passes(17).await;
    let report = world.sync.can_produce(world.slot()).await.unwrap();
    assert_eq!(missing(&report), [ConditionName::Federation, ConditionName::Partition]);
    assert_eq!(world.sync.get_partition().await.unwrap().side, Side::Minority);
    assert_eq!(world.metrics.crossed(false), 1);

    world.peer(authority(BLOCKS, 1)).await;
    world.passes(14).await;
    let view = world.sync.get_partition().await.unwrap();
    assert_eq!((view.side, view.heads.len()), (Side::Majority, 1), "two of three are a quorum");
    assert!(world.sync.can_produce(world.slot()).await.unwrap().open);
    assert_eq!((world.metrics.crossed(true), world.metrics.crossed(false)), (2, 1));
}
