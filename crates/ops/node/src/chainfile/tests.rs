use alys_chain::{AuthorityIndex, Certificate, Hash, Header, SetId, SetQuorum, Slot};
use proptest::prelude::*;

use super::*;

const GENESIS: BlockId = BlockId([7; 32]);

/// Headers and certificates as a file holds them; nothing here verifies them.
fn record(height: u64, body: &'static [u8]) -> Record {
    let header = Header {
        height: Height(height),
        slot: Slot(height + 2),
        parent: BlockId([1; 32]),
        body_root: Hash([2; 32]),
        state_root: Hash([3; 32]),
        proposer: AuthorityIndex(0),
    };
    let quorum = SetQuorum { set: SetId(0), signers: 7, signature: [4; 48] };
    let (slot, block) = (header.slot, header.id());
    let certificate = Certificate { slot, height: header.height, block, quorum, joint: None };
    Record { header: CertifiedHeader { header, certificate }, body: Body(Bytes::from_static(body)) }
}

fn three() -> Vec<Record> {
    vec![record(5, b""), record(6, b"some body"), record(7, b"")]
}

fn write(path: &Path, records: &[Record]) -> Result<u64, Error> {
    let mut writer = Writer::create(path, GENESIS)?;
    for record in records {
        writer.append(record.header.header.id(), &record.header.encode(), &record.body.0)?;
    }
    writer.finish()
}

fn bytes_of(records: &[Record]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chain");
    write(&path, records).unwrap();
    std::fs::read(path).unwrap()
}

/// What comes out of a file with these bytes, up to the first error.
fn read(bytes: &[u8]) -> (Vec<Record>, Option<Error>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chain");
    std::fs::write(&path, bytes).unwrap();
    let mut reader = match Reader::open(&path) {
        Ok(reader) => reader,
        Err(error) => return (vec![], Some(error)),
    };
    let mut records = vec![];
    while let Some(next) = reader.next() {
        match next {
            Ok(record) => records.push(record),
            Err(error) => {
                assert!(reader.next().is_none(), "nothing comes behind an error");
                return (records, Some(error));
            }
        }
    }
    (records, None)
}

#[test]
fn what_was_written_is_read_back() {
    let (records, error) = read(&bytes_of(&three()));
    assert!(error.is_none(), "{error:?}");
    assert_eq!(records, three());
    let (none, error) = read(&bytes_of(&[]));
    assert!(none.is_empty() && error.is_none(), "a chain without blocks is a chain");
}

#[test]
fn a_reader_knows_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chain");
    assert_eq!(write(&path, &three()).unwrap(), 3);
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.genesis(), GENESIS);
    assert_eq!(reader.announced(), Some(3));
    reader.next().unwrap().unwrap();
    assert_eq!(reader.position().0, (HEAD_BYTES + CHECKSUM_BYTES) as u64 + three()[0].bytes() as u64);
    reader.expect_genesis(GENESIS).unwrap();
    let error = reader.expect_genesis(BlockId([8; 32])).unwrap_err().to_string();
    assert!(error.contains(&"07".repeat(32)) && error.contains(&"08".repeat(32)), "{error}");
}

#[test]
fn a_file_is_never_overwritten_and_never_half_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chain");
    let writer = Writer::create(&path, GENESIS).unwrap();
    assert!(!path.exists());
    std::fs::write(&path, b"precious").unwrap();
    assert!(matches!(writer.finish(), Err(Error::Exists(_))));
    assert!(matches!(Writer::create(&path, GENESIS), Err(Error::Exists(_))));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    assert!(matches!(Writer::create(Path::new("/nowhere/chain"), GENESIS), Err(Error::Io { .. })));
}

#[test]
fn a_gap_between_heights_is_damage() {
    let (records, error) = read(&bytes_of(&[record(1, b""), record(3, b"")]));
    assert_eq!(records.len(), 1);
    assert!(error.unwrap().to_string().contains("behind height 1"));
}

#[test]
fn something_behind_the_end_is_damage() {
    let mut bytes = bytes_of(&three());
    bytes.push(0);
    let (records, error) = read(&bytes);
    assert_eq!(records.len(), 3);
    assert!(error.unwrap().to_string().contains("something follows"));
}

#[test]
fn a_block_that_was_cut_out_is_missed() {
    let bytes = bytes_of(&three());
    let last = three()[2].bytes();
    let trailer = 4 + TRAILER_BYTES + CHECKSUM_BYTES;
    let shorter = [&bytes[..bytes.len() - trailer - last], &bytes[bytes.len() - trailer..]].concat();
    let (records, error) = read(&shorter);
    assert_eq!(records.len(), 2);
    assert!(error.unwrap().to_string().contains("some are missing"));
}

#[test]
fn other_files_and_other_versions_are_told_apart() {
    assert!(matches!(read(b"hello").1, Some(Error::NoChainFile(_))));
    let mut bytes = bytes_of(&three());
    bytes[MAGIC.len()] = 9;
    let sum = crc32c::crc32c(&bytes[..HEAD_BYTES]).to_le_bytes();
    bytes[HEAD_BYTES..HEAD_BYTES + CHECKSUM_BYTES].copy_from_slice(&sum);
    assert!(matches!(read(&bytes).1, Some(Error::Version { found: 9, .. })));
    assert!(matches!(Reader::open(Path::new("/nowhere")), Err(Error::Io { .. })));
}

#[test]
fn a_length_that_no_block_has_is_refused_before_it_is_allocated() {
    let mut bytes = bytes_of(&three());
    let at = HEAD_BYTES + CHECKSUM_BYTES;
    bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(read(&bytes).1.unwrap().to_string().contains("no block has such a length"));
}

proptest! {
    /// Wherever a file is cut, it says so, and what came before the cut is good.
    #[test]
    fn a_truncated_file_is_noticed(cut in 0usize..2_000) {
        let bytes = bytes_of(&three());
        let cut = cut % bytes.len();
        let (records, error) = read(&bytes[..cut]);
        prop_assert!(error.is_some());
        prop_assert_eq!(&records[..], &three()[..records.len()]);
    }

    /// Whichever bit is flipped, it is noticed.
    #[test]
    fn a_flipped_bit_is_noticed(at in 0usize..2_000, bit in 0u8..8) {
        let mut bytes = bytes_of(&three());
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let (records, error) = read(&bytes);
        prop_assert!(error.is_some());
        prop_assert_eq!(&records[..], &three()[..records.len()]);
    }
}
