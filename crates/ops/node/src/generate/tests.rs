use alys_actors::chain::local::Network;
use alys_chain::{CertifiedHeader, Height, Parent, Period, Schedule, verify};
use alys_storage::{Limit, Store};

use super::*;
use crate::fixture;
use crate::keyfile::{self, Kind};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const LOAD: Load = Load::new(2, 10);

fn homes(root: &std::path::Path, genesis: &Genesis, count: usize) -> Vec<Home> {
    (0..count).map(|i| Home::init(&root.join(format!("node-{i}")), genesis).unwrap()).collect()
}

fn headers(store: &dyn Store) -> Vec<CertifiedHeader> {
    let rows = store.certified_headers(Height(1), Limit { count: 10_000, bytes: usize::MAX }).unwrap();
    rows.iter().map(|row| CertifiedHeader::decode(&row.bytes).unwrap()).collect()
}

#[test]
fn a_history_is_the_same_everywhere_and_passes_every_check() {
    let dir = tempfile::tempdir().unwrap();
    let (template, keys) = fixture::federation(4);
    let genesis = genesis_of(template, 300, NOW);
    let homes = homes(dir.path(), &genesis, 2);
    let mut heard = 0;
    history(&homes, &keys, Plan { blocks: 300, load: LOAD }, |blocks| heard += blocks).unwrap();
    assert_eq!(heard, 300);
    let (first, second) = (homes[0].chain().unwrap(), homes[1].chain().unwrap());
    assert_eq!(first.head().height, Height(300));
    assert_eq!(first.finalized().height, Height(299));
    assert_eq!(first.head(), second.head());
    let rules = &first.network().rules;
    assert_eq!(rules.slot_at(NOW), Some(Slot(301)), "the last slot has just ended");
    let mut rng = alys_actor::Randomness::seeded(1).stream("weights");
    let headers = headers(first.store().as_ref());
    let verified = verify::verify_range(rules, &Parent::genesis(rules), &headers, NOW, &mut rng).unwrap();
    assert_eq!((verified.count, verified.early), (300, None));
    let body = first.store().body(headers[0].header.id()).unwrap().unwrap();
    assert_eq!(body.transactions().unwrap().len(), 2);
}

#[test]
fn a_change_of_the_set_gets_both_quorums() {
    let dir = tempfile::tempdir().unwrap();
    let (mut template, keys) = fixture::federation(5);
    let mut first = template.schedule.periods()[0].clone();
    let second = Period { from_slot: Slot(5), ..first.clone() };
    first.authorities.pop();
    template.schedule = Schedule::new(vec![first, second]).unwrap();
    let genesis = genesis_of(template, 10, NOW);
    let homes = homes(dir.path(), &genesis, 1);
    history(&homes, &keys, Plan { blocks: 10, load: Load::new(0, 0) }, drop).unwrap();
    let chain = homes[0].chain().unwrap();
    let headers = headers(chain.store().as_ref());
    assert!(headers[4].certificate.joint.is_some() && headers[9].certificate.joint.is_none());
    let rules = &chain.network().rules;
    let mut rng = alys_actor::Randomness::seeded(1).stream("weights");
    assert_eq!(
        verify::verify_range(rules, &Parent::genesis(rules), &headers, NOW, &mut rng).unwrap().count,
        10
    );
}

#[test]
fn too_few_keys_are_no_quorum() {
    let dir = tempfile::tempdir().unwrap();
    let (template, keys) = fixture::federation(4);
    let homes = homes(dir.path(), &genesis_of(template, 10, NOW), 1);
    let failure = history(&homes, &keys[..2], Plan { blocks: 10, load: LOAD }, drop).unwrap_err();
    assert_eq!(failure.exit, Exit::KeyFile);
    assert!(failure.message.contains("3 of its 4 members"), "{failure}");
}

#[test]
fn a_block_holds_only_what_fits() {
    let dir = tempfile::tempdir().unwrap();
    let (template, keys) = fixture::federation(1);
    let homes = homes(dir.path(), &genesis_of(template, 3, NOW), 1);
    let load = Load::new(40, 100_000);
    let failure = history(&homes, &keys, Plan { blocks: 3, load }, drop).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.message.contains("fewer or smaller"), "{failure}");
}

#[test]
fn a_chain_is_not_continued_by_another_history() {
    let dir = tempfile::tempdir().unwrap();
    let (template, keys) = fixture::federation(1);
    let homes = homes(dir.path(), &genesis_of(template, 3, NOW), 1);
    let plan = Plan { blocks: 3, load: LOAD };
    history(&homes, &keys, plan, drop).unwrap();
    assert!(history(&homes, &keys, plan, drop).unwrap_err().message.contains("height 3 already"));
}

#[test]
fn the_command_makes_its_own_genesis_in_each_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (template, keys) = fixture::federation(2);
    let (file, nodes) = (dir.path().join("genesis.json"), ["a", "b"].map(|name| dir.path().join(name)));
    genesis::write(&file, &template).unwrap();
    let authority_key: Vec<_> = (0..2).map(|i| dir.path().join(format!("{i}.key"))).collect();
    for (path, key) in authority_key.iter().zip(&keys) {
        keyfile::create(path, Kind::Authority, &key.to_bytes()).unwrap();
    }
    let data_dir = nodes.to_vec();
    run(&Generate { genesis: file, authority_key, data_dir, blocks: 5, txs: 1, calldata: 0 }).unwrap();
    let home = Home::open(&nodes[0], None).unwrap();
    let record = home.store().unwrap().signing_record().unwrap().unwrap();
    assert_eq!((record.last, record.lock), (Slot(5), Slot(4)), "whoever holds a key may go on from here");
    drop(home);
    let network = |root| Home::open(root, None).unwrap().network().rules.genesis_id();
    assert_eq!(network(&nodes[0]), network(&nodes[1]));
    assert_ne!(network(&nodes[0]), Network::new(&template).unwrap().rules.genesis_id());
}
