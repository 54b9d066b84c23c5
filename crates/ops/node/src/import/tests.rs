use std::path::Path;

use alys_chain::{AuthorityIndex, Body, CertifiedHeader, Hash, Header, Height};
use tempfile::TempDir;

use super::*;
use crate::chainfile::{Record, Writer};
use crate::exit::Exit;
use crate::generate::{Load, Plan, genesis_of, history};
use crate::{export, fixture};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const BLOCKS: u64 = 20;

/// A directory with a chain, and the chain as records of a file.
struct World {
    dir: TempDir,
    source: Home,
    records: Vec<Record>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (template, keys) = fixture::federation(4);
        let genesis = genesis_of(template, BLOCKS, NOW);
        let source = Home::init(&dir.path().join("source"), &genesis).unwrap();
        let plan = Plan { blocks: BLOCKS, load: Load::new(1, 0) };
        history(std::slice::from_ref(&source), &keys, plan, drop).unwrap();
        let file = dir.path().join("chain");
        export::write(&source.store().unwrap(), &file, Height(1), Height(BLOCKS)).unwrap();
        let records = Reader::open(&file).unwrap().collect::<Result<_, _>>().unwrap();
        Self { dir, source, records }
    }

    fn newcomer(&self, name: &str) -> Home {
        Home::init(&self.dir.path().join(name), self.source.genesis()).unwrap()
    }

    /// What becomes of a newcomer that imports these records.
    fn import(&self, name: &str, records: &[Record]) -> (LocalChain, Result<u64, Failure>) {
        let file = self.dir.path().join(format!("{name}.chain"));
        write(&file, self.source.network().rules.genesis_id(), records);
        let mut chain = self.newcomer(name).chain().unwrap();
        let result = import_file(&mut chain, &file);
        (chain, result)
    }
}

fn write(file: &Path, genesis: alys_chain::BlockId, records: &[Record]) {
    let mut writer = Writer::create(file, genesis).unwrap();
    for Record { header, body } in records {
        writer.append(header.header.id(), &header.encode(), &body.0).unwrap();
    }
    writer.finish().unwrap();
}

fn import_file(chain: &mut LocalChain, file: &Path) -> Result<u64, Failure> {
    let mut count = 0;
    import(chain, Reader::open(file).unwrap(), NOW, &mut |blocks| count += blocks).map(|()| count)
}

/// A header that says something else, with a certificate that speaks of it all the same.
fn forged(record: &Record, change: impl FnOnce(&mut Header)) -> Record {
    let CertifiedHeader { mut header, mut certificate } = record.header;
    change(&mut header);
    (certificate.block, certificate.height, certificate.slot) = (header.id(), header.height, header.slot);
    Record { header: CertifiedHeader { header, certificate }, body: record.body.clone() }
}

#[test]
fn a_chain_travels_as_a_file() {
    let world = World::new();
    let (chain, result) = world.import("newcomer", &world.records);
    assert_eq!(result.unwrap(), BLOCKS);
    assert_eq!(chain.head(), world.source.chain().unwrap().head());
    // Once more: everything is here, and nothing is checked again.
    let mut chain = chain;
    let file = world.dir.path().join("newcomer.chain");
    assert_eq!(import_file(&mut chain, &file).unwrap(), BLOCKS);
}

#[test]
fn an_import_goes_on_where_the_last_one_ended() {
    let world = World::new();
    let (mut chain, _) = world.import("newcomer", &world.records[..8]);
    assert_eq!(chain.head().height, Height(8));
    for (name, part) in [("overlap", &world.records[4..12]), ("rest", &world.records[12..])] {
        let file = world.dir.path().join(name);
        write(&file, chain.network().rules.genesis_id(), part);
        import_file(&mut chain, &file).unwrap();
    }
    assert_eq!(chain.head().height, Height(BLOCKS));
}

#[test]
fn a_part_without_its_beginning_is_refused() {
    let world = World::new();
    let (chain, result) = world.import("newcomer", &world.records[3..]);
    let failure = result.unwrap_err();
    assert_eq!((failure.exit, chain.head().height), (Exit::ChainFile, Height(0)));
    assert!(failure.message.contains("block 4"), "{failure}");
}

#[test]
fn a_truncated_file_brings_what_is_in_front_of_the_damage() {
    let world = World::new();
    let file = world.dir.path().join("chain");
    let bytes = std::fs::read(&file).unwrap();
    let cut = world.dir.path().join("cut");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let mut chain = world.newcomer("newcomer").chain().unwrap();
    let failure = import_file(&mut chain, &cut).unwrap_err();
    assert_eq!(failure.exit, Exit::ChainFile);
    let height = chain.head().height;
    assert!(height > Height(5) && failure.message.contains(&format!("behind height {height}")), "{failure}");
}

#[test]
fn every_kind_of_bad_block_ends_the_import_in_front_of_it() {
    let world = World::new();
    let good = world.records[9].clone();
    let other_body = Body::encode(&[&[2u8; 10]]).unwrap();
    let mut bad_approval = good.clone();
    bad_approval.header.certificate.quorum.signature = world.records[8].header.certificate.quorum.signature;
    let mut too_few = good.clone();
    too_few.header.certificate.quorum.signers = 0b11;
    let variants = [
        ("approval", bad_approval, "wrong signature"),
        ("quorum", too_few, "quorum"),
        ("author", forged(&good, |header| header.proposer = AuthorityIndex(0)), "belongs to authority"),
        ("state", forged(&good, |header| header.state_root = Hash([1; 32])), "wrong signature"),
        ("body", Record { body: other_body, ..good.clone() }, "body root"),
        ("malformed", Record { body: Body(vec![1, 2, 3].into()), ..good.clone() }, "malformed"),
        ("slot", forged(&good, |header| header.slot = alys_chain::Slot(30)), "begins at"),
    ];
    for (name, bad, reason) in variants {
        let mut records = world.records.clone();
        records[9] = bad;
        let (chain, result) = world.import(name, &records);
        let failure = result.unwrap_err();
        assert_eq!(failure.exit, Exit::InvalidBlock, "{name}: {failure}");
        assert!(failure.message.contains("block 10 is invalid"), "{name}: {failure}");
        assert!(failure.message.contains(reason), "{name}: {failure}");
        assert_eq!(chain.head().height, Height(9), "{name}");
    }
}
