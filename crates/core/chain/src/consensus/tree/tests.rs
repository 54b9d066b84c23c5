use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;
use crate::bls::SecretKey;
use crate::certificate::SetQuorum;
use crate::ids::{AuthorityIndex, Hash};
use crate::schedule::{Authority, Period};

const GENESIS: BlockId = BlockId([0xee; 32]);
/// The clock of these tests: nothing is ahead of it, nothing long over.
const NOW: Slot = Slot(30);

/// Sets of four; where there are several, each begins at one of the slots.
fn tree_with(changes: &[u64]) -> Tree {
    let periods = changes.iter().zip(0u8..).map(|(from, set)| Period {
        from_slot: Slot(*from),
        slot_ms: 2000,
        authorities: (0..4).map(|i| Authority::of(&SecretKey::from_seed(&[set * 4 + i + 1; 32]))).collect(),
    });
    Tree::new(Anchor::genesis(GENESIS), Arc::new(Schedule::new(periods.collect()).unwrap()))
}

/// One set for ever; its proofs of possession are checked once.
fn tree() -> Tree {
    static TREE: OnceLock<Tree> = OnceLock::new();
    TREE.get_or_init(|| tree_with(&[0])).clone()
}

fn genesis() -> BlockRef {
    Anchor::genesis(GENESIS).tip
}

fn header(slot: u64, parent: BlockRef) -> Header {
    Header {
        height: parent.height.next().unwrap(),
        slot: Slot(slot),
        parent: parent.id,
        body_root: Hash::default(),
        state_root: Hash::default(),
        proposer: AuthorityIndex(0),
    }
}

fn variant(header: Header, n: u8) -> Header {
    Header { body_root: Hash([n; 32]), ..header }
}

fn tip(header: &Header) -> BlockRef {
    BlockRef::new(header.id(), header)
}

fn quorum(set: u32) -> SetQuorum {
    SetQuorum { set: SetId(set), signers: 0b0111, signature: [0; 48] }
}

fn certificate(header: &Header, set: u32, joint: Option<u32>) -> Certificate {
    let at = tip(header);
    let joint = joint.map(quorum);
    Certificate { slot: at.slot, height: at.height, block: at.id, quorum: quorum(set), joint }
}

fn certified(header: &Header) -> CertifiedHeader {
    CertifiedHeader { header: *header, certificate: certificate(header, 0, None) }
}

fn approval(header: &Header, set: u32, authority: u8) -> Approval {
    let (at, authority) = (tip(header), AuthorityIndex(authority));
    Approval {
        set: SetId(set),
        slot: at.slot,
        height: at.height,
        block: at.id,
        authority,
        signature: [0; 48],
    }
}

fn ids(changed: &Changed) -> Vec<BlockId> {
    changed.certified.iter().map(|c| c.block).collect()
}

/// A chain of certified blocks in these slots, inserted; their headers.
fn grow(tree: &mut Tree, mut parent: BlockRef, slots: &[u64]) -> Vec<Header> {
    let mut headers = Vec::new();
    for slot in slots {
        let next = header(*slot, parent);
        tree.insert_certified(&certified(&next)).unwrap();
        parent = tip(&next);
        headers.push(next);
    }
    headers
}

#[test]
fn a_block_is_final_once_its_child_in_the_very_next_slot_is_certified() {
    let mut tree = tree();
    let chain = grow(&mut tree, genesis(), &[2, 4, 6]);
    assert_eq!(tree.anchor(), Anchor::genesis(GENESIS));
    assert_eq!(tree.head(), tip(&chain[2]));
    let child = header(7, tip(&chain[2]));
    let changed = tree.insert_certified(&certified(&child)).unwrap();
    let way = Route { from: chain[2].id(), to: child.id(), undo: vec![], apply: vec![child.id()] };
    assert_eq!(changed.head, Some(way));
    let finalized = changed.finalized.unwrap();
    assert_eq!(finalized.blocks, chain.iter().map(Header::id).collect::<Vec<_>>());
    assert_eq!((finalized.anchor.tip, finalized.pruned), (tip(&chain[2]), vec![]));
    assert_eq!(tree.ancestors(child.id()), Some(vec![child.id()]));
    assert!(tree.is_certified(chain[2].id()) && !tree.is_certified(chain[1].id()));
    assert_eq!(tree.certified_slot(chain[2].id()), Some(Slot(6)));
    assert_eq!(tree.insert_certified(&certified(&chain[2])), Ok(Changed::default()));
    assert_eq!(tree.insert_certified(&certified(&chain[1])), Err(TreeRefusal::NotAboveFinal));
}

#[test]
fn three_approvals_of_four_certify_whether_they_come_before_the_block_or_after() {
    let block = header(3, genesis());
    for early in 0..=3 {
        let mut tree = tree();
        let mut certified = Vec::new();
        for authority in 0..3 {
            if authority == early {
                certified.extend(tree.insert_header(&block, NOW).unwrap().certified);
            }
            certified.extend(tree.insert_approval(&approval(&block, 0, authority), NOW).unwrap().certified);
        }
        certified.extend(tree.insert_header(&block, NOW).unwrap().certified);
        let Proof::Approvals(approvals) = &certified[0].proof else { panic!("no certificate came") };
        assert_eq!(
            (certified.len(), certified[0].block, approvals.len()),
            (1, block.id(), 3),
            "{early} early"
        );
        assert_eq!(tree.head(), tip(&block));
        assert_eq!(tree.approvals(block.id(), SetId(0)).len(), 3);
        assert_eq!(tree.certificate(block.id()), None);
        let whole = certificate(&block, 0, None);
        assert!(tree.insert_certificate(&whole).unwrap().is_empty());
        assert_eq!(tree.certificate(block.id()), Some(&whole));
    }
}

#[test]
fn one_authority_that_approves_twice_is_evidence_and_counts_once_for_each_block() {
    let mut tree = tree();
    let blocks: Vec<_> = (0..3).map(|n| variant(header(3, genesis()), n)).collect();
    let first = approval(&blocks[0], 0, 1);
    let second = approval(&blocks[1], 0, 1);
    assert_eq!(tree.insert_approval(&first, NOW), Ok(Changed::default()));
    assert_eq!(tree.insert_approval(&first, NOW), Ok(Changed::default()));
    assert_eq!(tree.insert_approval(&second, NOW).unwrap().evidence, Some(Evidence { first, second }));
    let third = approval(&blocks[2], 0, 1);
    assert_eq!(tree.insert_approval(&third, NOW), Err(TreeRefusal::TooManyApprovals));
    let other_slot = approval(&header(4, genesis()), 0, 1);
    assert_eq!(tree.insert_approval(&other_slot, NOW), Ok(Changed::default()));
    assert_eq!(tree.sizes(), (0, 0, 3));
}

#[test]
fn the_head_follows_the_highest_certified_slot_and_tells_what_to_undo() {
    let mut tree = tree();
    let left = grow(&mut tree, genesis(), &[1, 3]);
    let right = header(5, genesis());
    let child = header(7, tip(&right));
    let loose = tree.insert_certified(&certified(&child)).unwrap();
    assert!(loose.is_empty());
    let changed = tree.insert_certified(&certified(&right)).unwrap();
    assert_eq!(ids(&changed), [right.id(), child.id()]);
    let way = Route {
        from: left[1].id(),
        to: child.id(),
        undo: vec![left[1].id(), left[0].id()],
        apply: vec![right.id(), child.id()],
    };
    assert_eq!(changed.head.as_ref(), Some(&way));
    assert_eq!(tree.route(left[1].id(), left[1].id()).map(|r| (r.undo, r.apply)), Some((vec![], vec![])));
    assert_eq!(tree.route(left[1].id(), BlockId([1; 32])), None);
    // The old head does not come back, but its blocks are forgotten only when the other side is final.
    let last = tree.insert_certified(&certified(&header(8, tip(&child)))).unwrap();
    let finalized = last.finalized.unwrap();
    assert_eq!(finalized.blocks, [right.id(), child.id()]);
    let mut beside: Vec<_> = left.iter().map(Header::id).collect();
    beside.sort();
    assert_eq!(finalized.pruned, beside);
    assert_eq!(tree.sizes(), (1, 0, 0));
}

#[test]
fn a_long_time_without_finality_costs_no_more_a_block_and_ends_in_one_step() {
    let mut tree = tree();
    let odd: Vec<_> = (0..5_000).map(|i| 2 * i + 1).collect();
    let chain = grow(&mut tree, genesis(), &odd);
    assert_eq!((tree.anchor().tip, tree.sizes()), (genesis(), (5_000, 0, 0)));
    let changed = tree.insert_certified(&certified(&header(10_000, tip(&chain[4_999])))).unwrap();
    assert_eq!(changed.finalized.unwrap().blocks.len(), 5_000);
}

#[test]
fn when_finality_and_head_move_together_the_way_starts_at_the_old_head() {
    let mut tree = tree();
    let old = grow(&mut tree, genesis(), &[1]);
    let a = header(2, genesis());
    let (b, c) = (header(3, tip(&a)), header(5, tip(&header(3, tip(&a)))));
    tree.insert_certified(&certified(&c)).unwrap();
    tree.insert_certified(&certified(&b)).unwrap();
    let changed = tree.insert_certified(&certified(&a)).unwrap();
    let way = changed.head.as_ref().unwrap();
    assert_eq!((&way.undo, &way.apply), (&vec![old[0].id()], &vec![a.id(), b.id(), c.id()]));
    assert_eq!(changed.finalized.unwrap().anchor.tip, tip(&a));
    // The final one comes with its proof although the tree has forgotten it.
    assert_eq!(changed.certified[0].proof, Proof::Certificate(certificate(&a, 0, None)));
    assert_eq!(tree.header(a.id()), None);
    assert_eq!(tree.head(), tip(&c));
}

#[test]
fn what_conflicts_with_the_final_block_is_named_as_such() {
    let mut tree = tree();
    let chain = grow(&mut tree, genesis(), &[1, 2, 3]);
    assert_eq!(tree.anchor().tip, tip(&chain[1]));
    let rival = header(5, genesis());
    assert_eq!(tree.insert_certified(&certified(&rival)), Err(TreeRefusal::ConflictsWithFinal));
    let rival_child = header(6, tip(&chain[0]));
    let rival_grandchild = header(7, tip(&rival_child));
    assert_eq!(tree.insert_header(&rival_grandchild, NOW), Err(TreeRefusal::ConflictsWithFinal));
    let below = approval(&header(2, genesis()), 0, 0);
    assert_eq!(tree.insert_approval(&below, NOW), Err(TreeRefusal::NotAboveFinal));
}

#[test]
fn what_no_quorum_vouches_for_is_bounded() {
    let mut tree = tree();
    let block = |slot, n| variant(header(slot, genesis()), n);
    for n in 0..4 {
        tree.insert_header(&block(20, n), NOW).unwrap();
    }
    assert_eq!(tree.insert_header(&block(20, 4), NOW), Err(TreeRefusal::TooManyBlocks));
    assert!(tree.insert_certified(&certified(&block(20, 4))).is_ok());
    assert_eq!(tree.insert_header(&block(32, 0), NOW), Err(TreeRefusal::Future));
    assert!(tree.insert_header(&block(31, 0), NOW).is_ok());
    let later = Slot(53);
    assert_eq!(tree.insert_header(&block(20, 5), later), Err(TreeRefusal::Stale));
    assert_eq!(tree.insert_approval(&approval(&block(20, 0), 0, 0), later), Err(TreeRefusal::Stale));
    // The stale ones are gone, the certified one and the recent one are not.
    assert_eq!(tree.sizes(), (2, 0, 0));
    assert!(tree.header(block(20, 0).id()).is_none() && tree.header(block(20, 4).id()).is_some());
    let unknown = approval(&block(31, 0), 0, 4);
    assert_eq!(tree.insert_approval(&unknown, NOW), Err(TreeRefusal::UnknownAuthority));
}

#[test]
fn approvals_and_uncertified_blocks_without_a_parent_go_with_their_time() {
    let mut tree = tree();
    let orphan = header(21, tip(&header(20, genesis())));
    tree.insert_header(&orphan, NOW).unwrap();
    tree.insert_approval(&approval(&orphan, 0, 0), NOW).unwrap();
    assert_eq!(tree.sizes(), (0, 1, 1));
    tree.insert_header(&header(50, genesis()), Slot(54)).unwrap();
    assert_eq!(tree.sizes(), (1, 0, 0));
}

#[test]
fn an_uncertified_block_below_a_certified_one_is_kept() {
    let mut tree = tree();
    let below = header(10, genesis());
    tree.insert_header(&below, NOW).unwrap();
    let above = header(12, tip(&below));
    tree.insert_certified(&certified(&above)).unwrap();
    tree.insert_header(&header(60, genesis()), Slot(60)).unwrap();
    assert_eq!(tree.ancestors(above.id()), Some(vec![above.id(), below.id()]));
}

#[test]
fn the_greatest_slots_are_kept_when_too_many_blocks_have_no_parent() {
    let mut tree = tree();
    let orphan = |slot: u64| {
        let unknown = BlockRef { id: BlockId([1; 32]), height: Height(5), slot: Slot(slot - 1) };
        certified(&header(slot, unknown))
    };
    for slot in 100..1124 {
        tree.insert_certified(&orphan(slot)).unwrap();
    }
    assert_eq!(tree.insert_certified(&orphan(99)), Err(TreeRefusal::TooManyLoose));
    assert!(tree.insert_certified(&orphan(1124)).is_ok());
    assert_eq!(tree.sizes(), (0, 1024, 0));
    assert!(tree.header(orphan(100).certificate.block).is_none());
    // A full waiting room stops no block whose parent is here.
    assert_eq!(grow(&mut tree, genesis(), &[1, 2]).len(), 2);
    assert_eq!(tree.anchor().tip.slot, Slot(1));
}

#[test]
fn it_names_the_blocks_that_a_quorum_vouches_for_and_that_are_not_here() {
    let mut tree = tree();
    let a = header(1, genesis());
    let b = header(3, tip(&a));
    tree.insert_certificate(&certificate(&b, 0, None)).unwrap();
    assert_eq!(tree.missing().into_iter().collect::<Vec<_>>(), [b.id()]);
    tree.insert_header(&b, NOW).unwrap();
    assert_eq!(tree.missing().into_iter().collect::<Vec<_>>(), [a.id()]);
    assert!(tree.header(b.id()).is_some() && !tree.is_certified(b.id()));
    let changed = tree.insert_header(&a, NOW).unwrap();
    assert_eq!(ids(&changed), [b.id()]);
    assert!(tree.missing().is_empty());
}

#[test]
fn headers_that_do_not_fit_and_certificates_of_something_else_are_refused() {
    let mut tree = tree();
    let a = grow(&mut tree, genesis(), &[5])[0];
    let too_high = Header { height: Height(3), ..header(6, tip(&a)) };
    assert_eq!(tree.insert_header(&too_high, NOW), Err(TreeRefusal::BadLink));
    assert_eq!(tree.insert_header(&header(5, tip(&a)), NOW), Err(TreeRefusal::BadLink));
    let other_slot = Certificate { slot: Slot(6), ..certificate(&a, 0, None) };
    assert_eq!(tree.insert_certificate(&other_slot), Err(TreeRefusal::Mismatch));
    let of_another = CertifiedHeader { header: header(7, genesis()), ..certified(&a) };
    assert_eq!(tree.insert_certified(&of_another), Err(TreeRefusal::Mismatch));
    assert_eq!(tree.insert_certificate(&certificate(&a, 1, None)), Err(TreeRefusal::WrongSets));
    // One that does not fit hangs in the air until its parent shows it.
    let parent = header(9, tip(&a));
    let misfit = Header { height: Height(9), ..header(11, tip(&parent)) };
    tree.insert_header(&misfit, NOW).unwrap();
    tree.insert_header(&parent, NOW).unwrap();
    assert_eq!(tree.sizes(), (2, 0, 0));
}

#[test]
fn across_a_change_of_the_set_both_sets_must_approve_until_the_new_time_has_a_final_block() {
    let mut tree = tree_with(&[0, 10]);
    let old = grow(&mut tree, genesis(), &[8, 9]);
    assert_eq!(tree.anchor().tip, tip(&old[0]));
    let first = header(10, tip(&old[1]));
    tree.insert_header(&first, NOW).unwrap();
    assert_eq!(tree.required(first.id()), Some(Required { own: SetId(1), old: Some(SetId(0)) }));
    let new_alone = certificate(&first, 1, None);
    assert_eq!(tree.insert_certificate(&new_alone), Err(TreeRefusal::WrongSets));
    for authority in 0..4 {
        assert!(tree.insert_approval(&approval(&first, 1, authority), NOW).unwrap().is_empty());
    }
    for authority in 0..2 {
        assert!(tree.insert_approval(&approval(&first, 0, authority), NOW).unwrap().is_empty());
    }
    let changed = tree.insert_approval(&approval(&first, 0, 3), NOW).unwrap();
    assert_eq!(ids(&changed), [first.id()]);
    let second = header(11, tip(&first));
    // Certificates without the header wait with their sets: the incomplete one certifies nothing.
    tree.insert_certificate(&certificate(&second, 1, None)).unwrap();
    tree.insert_certificate(&certificate(&second, 1, Some(0))).unwrap();
    assert_eq!(ids(&tree.insert_header(&second, NOW).unwrap()), [second.id()]);
    assert_eq!(tree.anchor().tip, tip(&first));
    let alone = Required { own: SetId(1), old: None };
    assert_eq!(tree.required_on(second.id(), Slot(12)), Some(alone));
}

#[derive(Clone, Debug)]
enum Fact {
    Header(Header),
    Certificate(Certificate),
    Approval(Approval),
}

/// What a network of four that keeps the rule can come to know in `choices.len()` slots: each choice is a parent and the voters.
fn facts_of(choices: &[(usize, u8, bool)]) -> Vec<Fact> {
    let (mut certified, mut locks, mut facts) = (vec![genesis()], [Slot::ZERO; 4], Vec::new());
    for ((parent, voters, whole), slot) in choices.iter().zip(1..) {
        let parent = certified[certified.len() - 1 - parent % certified.len().min(3)];
        let block = header(slot, parent);
        let able: Vec<u8> =
            (0..4).filter(|i| voters & (1 << i) != 0 && locks[usize::from(*i)] <= parent.slot).collect();
        facts.push(Fact::Header(block));
        facts.extend(able.iter().map(|i| Fact::Approval(approval(&block, 0, *i))));
        able.iter().for_each(|i| locks[usize::from(*i)] = parent.slot);
        if able.len() >= 3 {
            certified.push(tip(&block));
            facts.extend(whole.then(|| Fact::Certificate(certificate(&block, 0, None))));
        }
    }
    facts
}

/// Inserts the facts; on the way the final block only moves up, and each way of the head starts where the last one ended.
fn replay(facts: &[Fact]) -> (BlockRef, BlockRef) {
    let mut tree = tree();
    let (mut last_final, mut head) = (tree.anchor().tip, tree.head());
    for fact in facts {
        let changed = match fact {
            Fact::Header(header) => tree.insert_header(header, NOW),
            Fact::Certificate(certificate) => tree.insert_certificate(certificate),
            Fact::Approval(approval) => tree.insert_approval(approval, NOW),
        };
        let changed = match changed {
            Ok(changed) => changed,
            Err(TreeRefusal::NotAboveFinal | TreeRefusal::ConflictsWithFinal) => continue,
            Err(refusal) => panic!("{refusal}: {fact:?}"),
        };
        if let Some(way) = &changed.head {
            assert_eq!((way.from, way.to), (head.id, tree.head().id));
        }
        head = tree.head();
        if let Some(finalized) = changed.finalized {
            assert!(
                finalized.anchor.tip.slot > last_final.slot
                    && finalized.anchor.tip.height > last_final.height
            );
            assert_eq!(
                finalized.blocks.len() as u64,
                finalized.anchor.tip.height.ahead_of(last_final.height)
            );
        }
        last_final = tree.anchor().tip;
        assert!(tree.ancestors(head.id).is_some());
    }
    (tree.head(), last_final)
}

proptest! {
    #[test]
    fn any_order_of_the_same_facts_gives_the_same_head_and_the_same_final_block(
        choices in prop::collection::vec((0usize..3, prop::sample::select(vec![15u8, 15, 7, 11, 13, 14, 3, 12]), any::<bool>()), 1..24),
        seed in any::<u64>(),
    ) {
        let in_order = facts_of(&choices);
        let mut shuffled = in_order.clone();
        // A plain linear congruence: which order it gives does not matter, only that the seed decides.
        let mut state = seed;
        for i in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(i, usize::try_from((state >> 33) % (i as u64 + 1)).unwrap());
        }
        prop_assert_eq!(replay(&in_order), replay(&shuffled));
    }
}
