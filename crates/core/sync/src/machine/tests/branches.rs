//! Forks: which branch is followed, and what is never undone.

use super::*;

#[test]
fn on_a_dead_branch_it_steps_back_to_the_final_block_and_skips_what_is_held() {
    let trunk = chain(GENESIS, 81..=90, 1);
    let fork = BlockRef::of(&trunk[7]);
    let theirs: Vec<_> = trunk[..8].iter().copied().chain(chain(fork, 92..=99, 2)).collect();
    // Ours: 10 blocks, final is the sixth. Theirs leaves at the eighth.
    let ours = tip(&trunk[9], BlockRef::of(&trunk[5]));
    let mut story = Story::started(ours);
    story.connect(1, theirs.last().copied());
    let (lease, _, from, _) = story.headers_asked().unwrap();
    assert_eq!(from, Height(11));
    // They stand on a block that is not here, so that nobody could say what their certificates are worth.
    story.send(Event::HeadersArrived { lease, headers: theirs[10..].to_vec(), bytes: 1000 });
    let stepped = Report::SteppedBack { head: ours.head, finalized: ours.finalized };
    assert!(story.out.contains(&Action::Report(stepped)));
    assert_eq!(story.headers_asked().map(|asked| (asked.2, asked.3)), Some((Height(7), 10)));
    story.serve_headers(&theirs, 2);
    let (_, _, ids) = story.bodies_asked().unwrap();
    assert_eq!(ids[0], theirs[8].certificate.block, "the two that are held are not fetched");
    assert_eq!(ids.len(), 8);
    story.serve_bodies();
    let (batch, headers) = story.import().unwrap();
    assert_eq!(headers[0].header.height, Height(9));
    story.send(Event::Imported {
        batch,
        tip: tip(theirs.last().unwrap(), BlockRef::of(&theirs[14])),
        took: ImportTook::default(),
    });
    assert_eq!(story.mode(), Mode::Synced);
}

#[test]
fn a_shorter_branch_of_a_higher_slot_is_better() {
    let trunk = chain(GENESIS, 81..=90, 1);
    let theirs: Vec<_> =
        trunk[..6].iter().copied().chain(chain(BlockRef::of(&trunk[5]), 98..=99, 2)).collect();
    let ours = tip(&trunk[9], BlockRef::of(&trunk[4]));
    let mut story = Story::started(ours);
    story.connect(1, theirs.last().copied());
    assert_ne!(story.mode(), Mode::Synced);
    assert_eq!(story.headers_asked().map(|asked| (asked.2, asked.3)), Some((Height(6), 3)));
    story.serve_headers(&theirs, 1);
    story.serve_bodies();
    let (batch, headers) = story.import().unwrap();
    assert_eq!(headers.iter().map(|h| h.header.height.0).collect::<Vec<_>>(), [7, 8]);
    story.send(Event::Imported {
        batch,
        tip: tip(&theirs[7], BlockRef::of(&theirs[6])),
        took: ImportTook::default(),
    });
    assert_eq!(story.mode(), Mode::Synced);
}

#[test]
fn never_below_finality() {
    let ours = chain(GENESIS, 81..=90, 1);
    let theirs = chain(GENESIS, 90..=100, 2);
    let head = BlockRef::of(&ours[9]);
    let mut story = Story::started(Tip { head, finalized: head });
    story.connect(1, theirs.last().copied());
    story.serve_headers(&theirs, 0);
    assert!(story.out.contains(&Action::Report(Report::Unlinked { height: Height(11) })));
    assert!(!story.out.iter().any(|a| matches!(a, Action::Report(Report::SteppedBack { .. }))));
    assert!(story.bodies_asked().is_none() && story.headers_asked().is_none(), "the server rests");
    assert_eq!(story.observed(), [], "certified on both sides: nobody is blamed");
}

#[test]
fn the_checkpoint_forbids_other_chains() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::at(Tip::genesis(GENESIS.id));
    let checkpoint = Some(BlockRef { id: BlockId([9; 32]), ..BlockRef::of(&blocks[4]) });
    story.send(Event::Start(Start { tip: Tip::genesis(GENESIS.id), until: None, checkpoint }));
    story.connect(1, blocks.last().copied());
    story.serve_headers(&blocks, 0);
    story.wait(1_000);
    assert_eq!(story.bodies_asked().map(|asked| asked.2.len()), Some(4), "only what is below it");
}

#[test]
fn gossip_may_be_faster() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    story.serve_headers(&blocks, 0);
    let (lease, _, ids) = story.bodies_asked().unwrap();
    story.send(Event::TipChanged(tip(&blocks[4], GENESIS)));
    let bodies = ids.iter().map(|&id| ArrivedBody { id, bytes: 100 }).collect();
    story.send(Event::BodiesArrived { lease, bodies });
    let let_go: Vec<_> = story.out.iter().filter(|a| matches!(a, Action::Release { .. })).collect();
    assert_eq!(let_go.len(), 5, "those that are durable already");
    story.send(Event::TipChanged(tip(&blocks[9], BlockRef::of(&blocks[8]))));
    assert_eq!(story.mode(), Mode::Synced);
    assert_eq!(story.machine.status(story.now).budget_used, 0);
    // Beyond what the skeleton knows, and on.
    let more = chain(BlockRef::of(&blocks[9]), 101..=101, 1);
    story.send(Event::TipChanged(tip(&more[0], BlockRef::of(&blocks[9]))));
    assert_eq!(story.machine.tip().head.height, Height(11));
}

#[test]
fn when_another_branch_became_final_the_skeleton_is_dropped() {
    let dead = chain(GENESIS, 91..=95, 2);
    let live = chain(GENESIS, 96..=98, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, dead.last().copied());
    story.serve_headers(&dead, 0);
    let (lease, ..) = story.bodies_asked().unwrap();
    story.send(Event::TipChanged(tip(&live[1], BlockRef::of(&live[0]))));
    assert!(story.out.contains(&Action::Cancel { lease }));
    assert_eq!(story.machine.status(story.now).budget_used, 0);
}

#[test]
fn a_synced_node_leaves_the_next_block_to_gossip_for_a_moment() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(tip(&blocks[8], BlockRef::of(&blocks[7])));
    story.connect(1, Some(blocks[8]));
    assert_eq!(story.mode(), Mode::Synced);
    story.send(Event::PeerStatus { peer: peer(1), head: Some(blocks[9]), earliest: Height(0) });
    assert_eq!((story.mode(), story.headers_asked()), (Mode::Synced, None));
    story.wait(2_999);
    assert_eq!(story.headers_asked(), None);
    story.wait(1);
    assert_eq!(story.headers_asked().map(|asked| asked.2), Some(Height(10)));
}
