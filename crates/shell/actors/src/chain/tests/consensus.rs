//! Several authorities make one chain.

use std::sync::atomic::Ordering;

use alys_chain::schedule::{Authority, Period, Schedule};
use alys_chain::{Body, Hash, Header, Height, SetId, Slot};
use alys_ledger::U256;
use alys_storage::memory::MemoryDisk;
use alys_transport::Verdict;

use super::world::*;
use crate::chain::*;

#[tokio::test(start_paused = true)]
async fn four_authorities_make_a_chain_and_finalise_it() {
    let world = World::new(4);
    let mut nodes = world.nodes().await;
    world.until(8, 1_900).await;
    for node in &mut nodes {
        let view = node.view();
        assert_eq!((view.head.height, view.head.slot), (Height(8), Slot(8)));
        assert_eq!(view.finalized.height, Height(7));
        assert_eq!((view.last_signed, view.produced), (Some(Slot(8)), 2));
        assert_eq!(view.head_certificate.unwrap().block, view.head.id);
        assert_eq!((view.highest_certified, view.highest_block), (Slot(8), view.head.id));
        assert_eq!(view.federation(), alys_sync::Federation::new(4, true));
        let news = node.news();
        assert_eq!(news.iter().filter(|event| matches!(event, ChainEvent::Produced(_))).count(), 2);
        assert!(news.contains(&ChainEvent::Finalized(view.finalized)));
        assert!(news.contains(&ChainEvent::NewHead(view.head)));
    }
    let heads: Vec<_> = nodes.iter().map(|node| node.view().head).collect();
    assert!(heads.windows(2).all(|pair| pair[0] == pair[1]));
    // All others were heard of, and nobody hears of itself.
    let own = nodes[0].view().authority.unwrap();
    world.until(12, 1_900).await;
    let heard: std::collections::BTreeSet<_> = nodes[0]
        .news()
        .into_iter()
        .filter_map(|event| match event {
            ChainEvent::AuthorityHeard { authority, .. } => Some(authority),
            _ => None,
        })
        .collect();
    assert!(heard.len() == 3 && !heard.contains(&own));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_one_node_takes_is_in_the_chain_of_all() {
    let world = World::new(4);
    let nodes = world.nodes().await;
    for nonce in 0..3 {
        nodes[1].mailbox.submit(world.pay(nonce, 0)).await.unwrap();
    }
    let account = nodes[1].mailbox.account(world.wallet.address()).await.unwrap();
    assert_eq!((account.nonce, account.next_nonce), (0, 3));
    world.until(3, 1_900).await;
    for node in &nodes {
        assert_eq!(node.mailbox.account(BOB).await.unwrap().balance, U256::from(15));
        assert_eq!(node.view().transactions, 0, "what is in the chain waits no more");
    }
}

#[tokio::test(start_paused = true)]
async fn with_one_of_four_silent_the_chain_goes_on_and_becomes_final() {
    let world = World::new(4);
    let nodes = world.nodes().await;
    nodes[2].cut_off(true);
    world.until(9, 1_900).await;
    let view = nodes[0].view();
    // Slots 2 and 6 are the silent one's.
    assert_eq!((view.head.slot, view.head.height), (Slot(9), Height(7)));
    assert_eq!(view.finalized.slot, Slot(8));
    assert_eq!(nodes[2].view().head.height, Height(0));
}

#[tokio::test(start_paused = true)]
async fn with_two_of_four_silent_nothing_is_certified() {
    let world = World::new(4);
    let nodes = world.nodes().await;
    nodes[1].cut_off(true);
    nodes[2].cut_off(true);
    world.until(8, 1_900).await;
    assert!(nodes.iter().all(|node| node.view().head.height == Height(0)));
    // They come back, and with them the chain.
    nodes[1].cut_off(false);
    world.until(13, 1_900).await;
    assert!(nodes[0].view().head.height >= Height(3));
}

#[tokio::test(start_paused = true)]
async fn an_authority_alone_certifies_by_itself() {
    let world = World::new(1);
    let node = world.node(0).await;
    world.until(5, 100).await;
    let view = node.view();
    assert_eq!((view.head.height, view.finalized.height, view.produced), (Height(5), Height(4), 5));
}

#[tokio::test(start_paused = true)]
async fn the_federation_changes_and_both_quorums_vouch_until_that_is_final() {
    let keys = keys(4);
    let authorities = |who: [usize; 3]| who.iter().map(|i| Authority::of(&keys[*i])).collect();
    let period =
        |from_slot, who| Period { from_slot: Slot(from_slot), slot_ms: 2_000, authorities: authorities(who) };
    let schedule = Schedule::new(vec![period(0, [0, 1, 2]), period(5, [1, 2, 3])]).unwrap();
    let world = World::with(keys.clone(), schedule);
    let nodes = world.nodes().await;
    world.until(5, 100).await;
    assert!(nodes[0].view().votes, "the old set must still vouch");
    assert_eq!((nodes[0].view().authority, nodes[0].view().set), (None, SetId(1)));
    world.until(12, 1_900).await;
    for node in &nodes {
        assert_eq!(node.view().head.slot, Slot(12));
        assert_eq!(node.view().finalized.slot, Slot(11));
    }
    assert!(!nodes[0].view().votes);
    let joint: Vec<_> = (1..=12).map(|h| nodes[3].certified(Height(h)).certificate.joint.is_some()).collect();
    let last = joint.iter().rposition(|joint| *joint).unwrap();
    assert!(joint[4] && last < 8, "{joint:?}");
}

#[tokio::test(start_paused = true)]
async fn an_author_that_signs_two_blocks_of_one_slot_gives_evidence() {
    let world = World::new(4);
    let mut node = world.node(0).await;
    world.until(1, 10).await;
    let good = world.proposal(1, &world.genesis(), world.genesis().state_root);
    // The same author, the same slot, another block; that it is invalid changes nothing about the signature.
    let other = world.approval(&Header { state_root: Hash([1; 32]), ..good.header }, 1);
    assert_eq!(node.hear(good.clone()).await.0, Verdict::Accept);
    assert_eq!(node.hear_approval(other).await.0, Verdict::Accept);
    let evidence = node.news().into_iter().find_map(|event| match event {
        ChainEvent::Evidence(evidence) => Some(evidence),
        _ => None,
    });
    assert_eq!(evidence.unwrap().second, other);
    assert_eq!(node.mailbox.metrics().evidence.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_crash_of_the_actor_costs_no_block() {
    let world = World::new(4);
    let nodes = world.nodes().await;
    world.until(2, 1_900).await;
    nodes[3].port.panics.store(true, Ordering::Relaxed);
    world.until(8, 1_900).await;
    let status = nodes[3].supervisor.status();
    assert_eq!(status[0].incarnation, 2, "{status:?}");
    assert_eq!(nodes[3].view().head.slot, Slot(8));
    assert_eq!(nodes[3].view().produced, 2);
    assert_eq!(nodes[0].view().head.height, Height(8));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_restarts_after_a_loss_of_power_signs_no_slot_twice() {
    let world = World::new(4);
    let node = world.node(1).await;
    world.until(1, 100).await;
    let first = node.port.proposals.lock().unwrap().clone();
    assert_eq!(first.len(), 1);
    let disk = node.kill().await;
    disk.crash();
    let again = world.start(Some(1), &disk, true).await;
    assert_eq!(again.signer.as_ref().unwrap().last_signed(), Some(Slot(1)));
    world.until(1, 1_000).await;
    assert!(again.port.proposals.lock().unwrap().is_empty());
    let refused = again.mailbox.produce().await.unwrap_err();
    assert!(matches!(refused, NotProduced::Rule(_)), "{refused}");
    assert!(
        again.mailbox.has_block(first[0].header.id()).await.unwrap(),
        "the block that was signed is there"
    );
}

#[tokio::test(start_paused = true)]
async fn an_authority_without_its_record_waits_for_the_network_to_move_on() {
    let world = World::new(4);
    let nodes = world.nodes().await;
    nodes[3].cut_off(true);
    world.until(4, 1_900).await;
    // The disk is gone; its owner does not claim that the key is new.
    let back = world.start(Some(3), &MemoryDisk::new(), false).await;
    let status = back.mailbox.status().await.unwrap();
    assert_eq!(status.signer, SignerState::Lost { restart: Slot(4) });
    assert_eq!(status.view.last_signed, None);
    back.mailbox.import(world.verified(&nodes[0], 1..=2)).await.unwrap();
    world.until(6, 1_900).await;
    back.mailbox.import(world.verified(&nodes[0], 3..=5)).await.unwrap();
    assert_eq!(back.mailbox.status().await.unwrap().signer, SignerState::Ready);
    world.until(8, 1_900).await;
    assert_eq!(back.view().last_signed, Some(Slot(8)));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_signed_while_the_gate_is_closed() {
    let world = World::new(1);
    let node = world.node(0).await;
    node.shut(true);
    world.until(3, 100).await;
    assert_eq!(node.view().last_signed, None);
    assert!(node.mailbox.status().await.unwrap().not_produced.unwrap().contains("not synced: closed"));
    assert!(matches!(node.mailbox.produce().await, Err(NotProduced::Gate(_))));
    // Two slots that are over, and the demand; slot 3 still has time.
    assert_eq!(node.mailbox.metrics().missed.get(), 3);
    node.shut(false);
    assert_eq!(node.mailbox.produce().await.unwrap().slot, Slot(3));
    assert_eq!(node.mailbox.status().await.unwrap().not_produced, None);
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_opens_within_the_slot_costs_no_turn() {
    let world = World::new(1);
    let node = world.node(0).await;
    node.shut(true);
    world.until(3, 300).await;
    node.shut(false);
    world.until(3, 600).await;
    assert_eq!(node.view().last_signed, Some(Slot(3)));
}

#[tokio::test(start_paused = true)]
async fn who_is_no_authority_produces_nothing() {
    let world = World::new(2);
    let observer = world.start(None, &MemoryDisk::new(), true).await;
    assert_eq!(observer.mailbox.produce().await, Err(NotProduced::NoAuthority));
    assert_eq!(observer.mailbox.status().await.unwrap().signer, SignerState::None);
    let node = world.node(0).await;
    world.until(1, 100).await;
    assert_eq!(node.mailbox.produce().await, Err(NotProduced::NotOurSlot));
    assert!(!observer.view().votes && node.view().votes);
}

#[tokio::test(start_paused = true)]
async fn a_block_of_the_next_slot_is_approved_when_that_begins() {
    let world = World::new(4);
    let node = world.node(0).await;
    world.until(0, 1_800).await;
    let early = world.proposal(1, &world.genesis(), world.genesis().state_root);
    assert_eq!(node.hear(early.clone()).await.0, Verdict::Accept);
    assert_eq!(node.port.approvals.lock().unwrap().len(), 0);
    world.until(1, 100).await;
    let approvals = node.port.approvals.lock().unwrap().clone();
    assert_eq!(approvals.iter().map(|a| a.block).collect::<Vec<_>>(), [early.header.id()]);
}

#[tokio::test(start_paused = true)]
async fn a_body_above_the_inline_limit_is_fetched_from_who_announced_it() {
    let world = World::new(4);
    let nodes = world.nodes().await;
    for nonce in 0..2 {
        let raw = world.send(nonce, 0, vec![7; 100_000].into());
        nodes[0].mailbox.submit(raw).await.unwrap();
    }
    world.until(2, 1_900).await;
    assert!(nodes.iter().all(|node| node.view().head.height == Height(2)));
    let large = nodes[3].certified(Height(1)).block.body;
    assert!(large.0.len() > alys_wire::limits::INLINE_BODY_BYTES);
    assert!(nodes[1].port.proposals.lock().unwrap()[0].body.is_none());
    assert_ne!(large, Body::default());
}
