//! The binary as people and scripts meet it: what it prints, how it ends, and what is left on disk when it ends badly.

#[allow(dead_code, reason = "these tests need a part of it")]
mod world;

use std::fs;

use alys_chain::{AuthorityIndex, Body, Hash};
use alys_node::home::Home;
use world::{BLOCKS, Running, World, alys, close};

#[test]
fn a_history_is_generated_exported_and_imported_whole() {
    let world = World::new();
    world.generate();
    let first = world.path("first.chain");
    alys(&["export", &first, "--data-dir", &world.path("source")]).ok("exported 30 blocks");
    alys(&["init", "--data-dir", &world.path("copy"), "--genesis", &world.path("source/genesis.json")])
        .ok("peer id");
    let figure = alys(&["import", &first, "--data-dir", &world.path("copy"), "--json"]).ok("blocks/s");
    let figure: serde_json::Value = serde_json::from_str(&figure.stdout).unwrap();
    assert_eq!((&figure["name"], &figure["blocks"]), (&"import".into(), &BLOCKS.into()));
    let second = world.path("second.chain");
    alys(&["export", &second, "--data-dir", &world.path("copy")]).ok("exported 30 blocks");
    assert!(fs::read(first).unwrap() == fs::read(second).unwrap(), "the copy is the chain, bit for bit");
}

#[test]
fn a_truncated_chain_file_brings_what_it_holds_and_names_the_rest() {
    let world = World::new();
    world.generate();
    let whole = fs::read(world.export()).unwrap();
    let cut = world.path("cut.chain");
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let ended = world.import("copy", &cut);
    ended.fails(9, "it is truncated");
    let height = world.height("copy");
    assert!(height > 5 && height < BLOCKS, "{height}");
    assert!(ended.stderr.contains(&format!("behind height {height}, at byte ")), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("the head is at height {height}")), "{}", ended.stderr);
    // The whole file goes on from there.
    world.import("copy", &world.path("source.chain")).ok("imported 30 blocks");
}

#[test]
fn a_file_that_is_no_chain_is_refused() {
    let world = World::new();
    world.generate();
    let file = world.path("text");
    fs::write(&file, "not a chain, whatever its name says, and long enough to be one").unwrap();
    world.import("copy", &file).fails(9, "no chain file");
}

/// Each of these blocks has a real quorum under it where that makes it worse: what stops it is the rule that it breaks.
#[test]
fn whatever_is_wrong_with_a_block_the_last_good_one_stays_the_head() {
    let world = World::new();
    world.generate();
    let good = world.records();
    let signed = |name: &str, change: &dyn Fn(&mut alys_chain::Header)| {
        let mut records = good.clone();
        records[9] = world.forge(&good[9], change);
        (name.to_owned(), records)
    };
    let other_body = Body::encode(&[&[2u8; 20]]).unwrap();
    let mut wrong_body = good.clone();
    wrong_body[9].body = other_body;
    let mut wrong_approval = good.clone();
    wrong_approval[9].header.certificate.quorum.signature = good[8].header.certificate.quorum.signature;
    let variants = [
        ("wrong signature".to_owned(), wrong_approval),
        ("body root".to_owned(), wrong_body),
        signed("wrong state root", &|header| header.state_root = Hash([1; 32])),
        signed("belongs to authority", &|header| header.proposer = AuthorityIndex(0)),
        signed("height 11", &|header| header.height = alys_chain::Height(11)),
        signed("begins at", &|header| header.slot = alys_chain::Slot(1_000_002)),
    ];
    for (i, (reason, records)) in variants.into_iter().enumerate() {
        let (name, file) = (format!("copy-{i}"), world.path(&format!("bad-{i}.chain")));
        world.write(&file, &records);
        let ended = world.import(&name, &file);
        // A file whose heights do not ascend is found out before anything is verified.
        let code = if reason == "height 11" { 9 } else { 10 };
        ended.fails(code, if code == 9 { "a height is missing" } else { &reason });
        assert_eq!(world.height(&name), 9, "{reason}: {}", ended.stderr);
    }
}

#[test]
fn another_genesis_is_refused_with_both_names() {
    let world = World::new();
    world.generate();
    alys(&["init", "--data-dir", &world.path("other"), "--genesis", &world.path("genesis.json")])
        .ok("network");
    let (ours, theirs) = (world.genesis_id("source"), world.genesis_id("other"));
    let into_other =
        alys(&["init", "--data-dir", &world.path("other"), "--genesis", &world.path("source/genesis.json")]);
    into_other.fails(5, &ours);
    into_other.fails(5, &theirs);
    let file = world.export();
    let ended = alys(&["import", &file, "--data-dir", &world.path("other")]);
    ended.fails(5, &ours);
    ended.fails(5, &theirs);
    alys(&["export", &world.path("x"), "--data-dir", &world.path("nothing")]).fails(5, "alys init");
}

#[test]
fn a_directory_belongs_to_one_process() {
    let world = World::new();
    world.generate();
    let home = Home::open(world.path("source").as_ref(), None).unwrap();
    let ended = alys(&["export", &world.path("x"), "--data-dir", &world.path("source")]);
    ended.fails(6, &format!("in use by the process {}", std::process::id()));
    close(home);
    alys(&["export", &world.path("x"), "--data-dir", &world.path("source")]).ok("exported");
}

#[test]
fn a_damaged_key_is_named_and_never_shown() {
    let world = World::new();
    let file = world.path("damaged.key");
    alys(&["keys", "new", "authority", &file]).ok("possession proof");
    let secret = fs::read_to_string(&file).unwrap();
    fs::write(&file, &secret[..secret.len() - 10]).unwrap();
    let ended = alys(&["keys", "show", &file]);
    ended.fails(4, "damaged.key is damaged");
    assert!(!ended.stderr.contains(secret.split(' ').nth(1).unwrap().trim()));
    let to = ["--data-dir", &world.path("node"), "--genesis", &world.path("genesis.json")];
    alys(&["init", to[0], to[1], to[2], to[3], "--authority-key", &file]).fails(4, "is damaged");
    alys(&["keys", "new", "authority", &file]).fails(4, "not overwritten");
}

#[test]
fn a_damaged_database_is_not_taken_for_an_empty_one() {
    let world = World::new();
    world.generate();
    let journal = fs::read_dir(world.path("source/chain"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "jnl"))
        .unwrap();
    let mut bytes = fs::read(&journal).unwrap();
    let middle = bytes.iter().rposition(|byte| *byte != 0).unwrap() / 2;
    bytes[middle] ^= 1;
    fs::write(&journal, bytes).unwrap();
    alys(&["export", &world.path("x"), "--data-dir", &world.path("source")]).fails(8, "damaged");
}

#[test]
fn wrong_arguments_and_absent_nodes_have_codes_of_their_own() {
    alys(&["fly"]).fails(2, "fly");
    alys(&[]).fails(2, "Exit codes");
    // Port 1 needs rights that no test has, so nobody listens there.
    alys(&["status", "--rpc", "127.0.0.1:1"]).fails(11, "no node answers at 127.0.0.1:1");
    alys(&["peers", "--rpc", "127.0.0.1:1", "--json"]).fails(11, "no node answers");
}

#[test]
fn a_node_tells_its_state_keeps_its_directory_and_ends_when_asked() {
    let world = World::new();
    world.generate();
    let source = world.path("source");
    let mut node = Running::start(&source, &[]);
    let rpc = node.says("RPC at http://");
    node.says("height 30, waiting for peers");
    alys(&["status", "--rpc", &rpc]).ok("height 30, slot 30").ok("full node");
    alys(&["peers", "--rpc", &rpc]).ok("no peers");
    let status = alys(&["status", "--rpc", &rpc, "--json"]).ok("finalized");
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["finalized"]["height"], 29);
    alys(&["node", "--data-dir", &source]).fails(6, "in use by the process");
    assert_eq!(node.stop(), Some(0));
    assert_eq!(world.height("source"), BLOCKS, "and leaves its directory in order");
}

#[test]
fn checkpoints_of_a_stopped_node_go_out_and_come_in_and_unfit_ones_are_named() {
    let world = World::new();
    world.generate();
    let source = world.path("source");
    let at = ["--data-dir", &source];
    alys(&["checkpoint", "list", at[0], at[1]]).ok("no checkpoints");
    alys(&["checkpoint", "verify", at[0], at[1]]).fails(13, "no such checkpoint");
    alys(&["checkpoint", "create", at[0], at[1]]).ok("height 29 written");
    alys(&["checkpoint", "list", at[0], at[1]]).ok("fits");
    alys(&["checkpoint", "verify", "29", at[0], at[1]]).ok("fits the store");
    let file = world.path("out.checkpoint");
    alys(&["checkpoint", "export", "29", &file, at[0], at[1]]).ok("copied");
    alys(&["checkpoint", "export", "29", &file, at[0], at[1]]).fails(8, "out.checkpoint");

    let kept = format!("{source}/checkpoints/{:020}.checkpoint", 29);
    let mut bytes = fs::read(&kept).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&kept, bytes).unwrap();
    alys(&["checkpoint", "verify", at[0], at[1]]).fails(13, "height 29 is unfit");
    alys(&["checkpoint", "import", &file, at[0], at[1]]).ok("height 29 taken in");
    alys(&["checkpoint", "verify", at[0], at[1]]).ok("fits the store");
    let list = alys(&["checkpoint", "list", at[0], at[1], "--json"]).ok("height");
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!((&list[0]["height"], &list[0]["block"]["slot"]), (&29.into(), &29.into()));

    let other = world.path("other");
    alys(&["init", "--data-dir", &other, "--genesis", &world.path("genesis.json")]).ok("network");
    alys(&["checkpoint", "import", &file, "--data-dir", &other]).fails(13, "checkpoint of network");
    alys(&["checkpoint", "create", "--data-dir", &other]).fails(13, "no block but genesis is final");
    let empty = world.path("empty");
    alys(&["init", "--data-dir", &empty, "--genesis", &world.path("source/genesis.json")]).ok("network");
    alys(&["checkpoint", "import", &file, "--data-dir", &empty]).fails(13, "ahead of the store");
}

#[test]
fn the_sync_of_a_running_node_is_shown_explained_and_steered() {
    let world = World::new();
    world.generate();
    let mut node = Running::start(&world.path("source"), &[]);
    let rpc = node.says("RPC at http://");
    let at = ["--rpc", &rpc];
    alys(&["sync", "status", at[0], at[1]])
        .ok("closed: this node may not produce")
        .ok("NO   member")
        .ok("partition");
    alys(&["sync", "explain", at[0], at[1]]).ok("limit    nothing").ok("peers    none");
    let explained = alys(&["sync", "explain", at[0], at[1], "--json"]).ok("recorder");
    let explained: serde_json::Value = serde_json::from_str(&explained.stdout).unwrap();
    assert_eq!(explained["height"], 30);
    alys(&["sync", "resume", at[0], at[1]]).fails(14, "sync is not paused");
    alys(&["sync", "pause", at[0], at[1]]).ok("paused");
    alys(&["sync", "pause", at[0], at[1]]).fails(14, "sync is paused already");
    alys(&["sync", "resume", at[0], at[1]]).ok("waiting for peers");
    alys(&["sync", "target", "20", at[0], at[1]]).fails(14, "not above the durable head");
    alys(&["sync", "target", "99", at[0], at[1]]).ok("height 30");
    alys(&["sync", "target", "--follow", at[0], at[1]]).ok("height 30");
    alys(&["checkpoint", "create", at[0], at[1]]).ok("height 29 written");
    alys(&["checkpoint", "list", at[0], at[1]]).ok("fits");
    alys(&["checkpoint", "verify", "29", at[0], at[1]]).ok("fits the store");
    alys(&["checkpoint", "list", "--data-dir", &world.path("source")]).fails(6, "in use");
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn a_taken_port_is_named_with_the_flag_that_changes_it() {
    let world = World::new();
    world.generate();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listener = std::net::TcpListener::bind(taken).unwrap();
    let (source, free, port) = (world.path("source"), "/ip4/127.0.0.1/tcp/0", taken.port().to_string());
    let listen = format!("/ip4/127.0.0.1/tcp/{port}");
    let ended = alys(&["node", "--data-dir", &source, "--listen", &listen, "--rpc", "127.0.0.1:0"]);
    ended.fails(7, &port);
    ended.fails(7, "--listen");
    let ended = alys(&["node", "--data-dir", &source, "--listen", free, "--rpc", &taken.to_string()]);
    ended.fails(7, "--rpc");
    drop(listener);
}

#[test]
fn what_a_node_needs_to_start_is_checked_before_it_starts() {
    let world = World::new();
    world.generate();
    let source = world.path("source");
    alys(&["node", "--data-dir", &source, "--set", "network.outbund=3"]).fails(3, "did you mean");
    alys(&["node", "--data-dir", &source, "--set", "log.filter=x=y"]).fails(3, "log.filter");
    alys(&["node", "--data-dir", &source, "--genesis", &world.path("genesis.json")]).fails(5, "another");
    let key = format!("{source}/keys/node.key");
    fs::write(&key, "alys-node-key 00").unwrap();
    alys(&["node", "--data-dir", &source]).fails(4, "node.key is damaged");
}

#[test]
fn a_node_of_another_network_is_refused_with_both_names() {
    let world = World::new();
    world.generate();
    let other = world.path("other");
    alys(&["init", "--data-dir", &other, "--genesis", &world.path("genesis.json")]).ok("network");
    let (ours, theirs) = (world.genesis_id("source"), world.genesis_id("other"));
    let mut first = Running::start(&world.path("source"), &[]);
    let peer = first.says("peer id ");
    let bootnode = format!("{}/p2p/{peer}", first.says("listening address="));
    let mut second = Running::start(&other, &["--bootnode", &bootnode]);
    let line = second.says("another network");
    assert!(line.contains(&ours) && line.contains(&theirs), "{line}");
    assert_eq!((first.stop(), second.stop()), (Some(0), Some(0)));
}
