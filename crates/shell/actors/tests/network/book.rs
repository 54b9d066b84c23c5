//! The peer book between runs.

use alys_actors::peer::Book;
use alys_peers::BanReason;

use crate::kit::{SECOND, World, eventually, pass};

#[tokio::test(start_paused = true)]
async fn bans_and_addresses_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let book = Book::file(directory.path().join("peers"));
    let mut world = World::new();
    let other = world.node().start().await;
    let enemy = world.node().start().await;
    let node = world.node().book(&book).knows(&other).knows(&enemy).start().await;
    node.meet(&other).await;
    node.meet(&enemy).await;
    node.peers.ban_peer(enemy.peer, SECOND * 86_400).unwrap();
    eventually!("it is gone", node.identified().await == [other.peer]);
    node.supervisor.shutdown().await;
    let peer = node.peer;
    world.net.crash(peer);
    drop(node);

    // Another process, that reads the file anew and is told of nobody.
    let book = Book::file(directory.path().join("peers"));
    let node = world.node().peer(peer).book(&book).start().await;
    node.meet(&other).await;
    assert_eq!(node.knows(enemy.peer).await.ban.unwrap().1, BanReason::Operator);
    pass(SECOND * 120).await;
    assert_eq!(node.identified().await, [other.peer], "the ban still holds");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_lost_its_book_goes_by_the_one_in_a_checkpoint_and_no_other_node_does() {
    let mut world = World::new();
    let other = world.node().start().await;
    let enemy = world.node().start().await;
    let node = world.node().knows(&other).knows(&enemy).start().await;
    node.meet(&other).await;
    node.meet(&enemy).await;
    node.peers.ban_peer(enemy.peer, SECOND * 86_400).unwrap();
    eventually!("it is gone", node.identified().await == [other.peer]);
    let kept = node.peers.get_states().await.unwrap();
    let peer = node.peer;
    node.supervisor.shutdown().await;
    world.net.crash(peer);
    drop(node);

    let lost = world.node().peer(peer).start().await;
    lost.peers.recall_states(kept.clone()).unwrap();
    pass(SECOND * 2).await;
    assert_eq!(lost.knows(enemy.peer).await.ban.unwrap().1, BanReason::Operator);
    lost.peers.unban_peer(enemy.peer).unwrap();
    pass(SECOND).await;
    lost.peers.recall_states(kept).unwrap();
    pass(SECOND).await;
    assert_eq!(lost.knows(enemy.peer).await.ban, None, "once, and what was lifted stays so");
    lost.peers.recall_states(b"no book".as_slice().into()).unwrap();
    pass(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_damaged_book_is_put_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("peers");
    std::fs::write(&path, b"\x01 this is no book").unwrap();
    let mut world = World::new();
    let other = world.node().start().await;
    let node = world.node().book(&Book::file(path.clone())).knows(&other).start().await;
    node.meet(&other).await;
    assert!(directory.path().join("peers.damaged").exists());
    node.supervisor.shutdown().await;
    assert!(path.exists(), "a new one is written at the stop");
}

#[tokio::test(start_paused = true)]
async fn a_book_that_cannot_be_read_or_written_stops_nobody() {
    let directory = tempfile::tempdir().unwrap();
    // A directory in the place of the file.
    let path = directory.path().join("peers");
    std::fs::create_dir(&path).unwrap();
    let mut world = World::new();
    let other = world.node().start().await;
    let node = world.node().book(&Book::file(path)).knows(&other).start().await;
    node.meet(&other).await;
    node.peers.ban_peer(other.peer, SECOND).unwrap();
    eventually!("the save fails", node.peer_metrics.failed_saves.get() > 0);
}

#[tokio::test(start_paused = true)]
async fn a_book_in_memory_outlives_its_node_and_is_emptied_when_damaged() {
    let book = Book::memory();
    book.save(vec![9, 9, 9]).await.unwrap();
    let mut world = World::new();
    let other = world.node().start().await;
    let node = world.node().book(&book).knows(&other).start().await;
    node.meet(&other).await;
    assert_eq!(book.load().await.unwrap(), None);
    node.supervisor.shutdown().await;
    assert!(book.load().await.unwrap().is_some());
}

#[tokio::test]
async fn of_overlapping_saves_the_last_one_called_for_stays() {
    let directory = tempfile::tempdir().unwrap();
    let book = Book::file(directory.path().join("peers"));
    let first = book.save(b"first".to_vec());
    let second = book.save(b"second".to_vec());
    second.await.unwrap();
    first.await.unwrap();
    assert_eq!(book.load().await.unwrap().as_deref(), Some(&b"second"[..]));
}
