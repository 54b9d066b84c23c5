//! Keys and rows as bytes. Integers in keys are big-endian, so that the order of bytes is the order of numbers; a row that does not have its
//! exact size is damage, never a guess.

use alys_chain::consensus::SigningRecord;
use alys_chain::{BlockId, Certificate, Header, Height, Lineage};
use bytes::Bytes;

use crate::generation::prefix;
use crate::{BlockKey, Location, StateKey, StoreError};

/// Height and id.
const BLOCK_KEY: usize = 8 + 32;
/// Distinguishes what is stored under one block in the table of headers: the header first.
const HEADER: u8 = 0;
/// Its certificate behind it.
const CERTIFICATE: u8 = 1;
/// Behind every key that starts with a height.
pub(crate) const END_OF_HEIGHTS: [u8; BLOCK_KEY + 2] = [0xff; BLOCK_KEY + 2];

/// What a row of the table of headers is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Header,
    Certificate,
}

pub(crate) fn height(height: Height) -> Bytes {
    Bytes::copy_from_slice(&height.get().to_be_bytes())
}

pub(crate) fn block_key(block: BlockKey) -> Vec<u8> {
    let mut key = Vec::with_capacity(BLOCK_KEY + 1);
    key.extend_from_slice(&block.height.get().to_be_bytes());
    key.extend_from_slice(block.id.as_bytes());
    key
}

pub(crate) fn header_key(block: BlockKey) -> Vec<u8> {
    let mut key = block_key(block);
    key.push(HEADER);
    key
}

pub(crate) fn certificate_key(block: BlockKey) -> Vec<u8> {
    let mut key = block_key(block);
    key.push(CERTIFICATE);
    key
}

pub(crate) fn block_row(block: BlockKey) -> Bytes {
    block_key(block).into()
}

pub(crate) fn header_row(header: &Header, lineage: Lineage) -> Bytes {
    let mut row = Vec::with_capacity(Header::SIZE + Lineage::SIZE);
    row.extend_from_slice(&header.encode());
    row.extend_from_slice(&lineage.encode());
    row.into()
}

/// The first byte of an account's key.
pub(crate) const ACCOUNTS: u8 = 0;
/// The first byte of a bucket's key.
pub(crate) const BUCKETS: u8 = 1;

/// Accounts lie under `[0, address]`, buckets under `[1, bucket]`; in the second generation under 2 and 3.
pub(crate) fn state_key(key: StateKey, generation: u8) -> Vec<u8> {
    match key {
        StateKey::Account(address) => [&[prefix(ACCOUNTS, generation)][..], &address].concat(),
        StateKey::Bucket(bucket) => vec![prefix(BUCKETS, generation), bucket],
    }
}

/// The first key of the accounts of a bucket, or the least one behind the account `after`.
pub(crate) fn state_start(bucket: u8, after: Option<[u8; 20]>, generation: u8) -> Vec<u8> {
    let kind = prefix(ACCOUNTS, generation);
    match after {
        None => vec![kind, bucket],
        Some(address) => [&[kind][..], &address, &[0]].concat(),
    }
}

/// A key behind all accounts of a bucket: longer than any of theirs.
pub(crate) fn state_end(bucket: u8, generation: u8) -> Vec<u8> {
    [&[prefix(ACCOUNTS, generation), bucket][..], &[0xff; 20]].concat()
}

pub(crate) fn location_row(location: Location) -> Bytes {
    let mut row = Vec::with_capacity(12);
    row.extend_from_slice(&location.height.get().to_be_bytes());
    row.extend_from_slice(&location.position.to_be_bytes());
    row.into()
}

/// The number of a commit, and the least sequence number that the backend can have given it (0 where there are none).
pub(crate) fn commits_row(number: u64, floor: u64) -> Bytes {
    let mut row = Vec::with_capacity(16);
    row.extend_from_slice(&number.to_be_bytes());
    row.extend_from_slice(&floor.to_be_bytes());
    row.into()
}

/// Reads fixed-size fields from the front of a row.
struct Fields<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    const fn of(what: &'static str, row: &'a [u8]) -> Self {
        Self { rest: row, what }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (field, rest) =
            self.rest.split_first_chunk::<N>().ok_or_else(|| StoreError::corrupted(self.what))?;
        self.rest = rest;
        Ok(*field)
    }

    fn end(self) -> Result<(), StoreError> {
        if self.rest.is_empty() { Ok(()) } else { Err(StoreError::corrupted(self.what)) }
    }
}

pub(crate) fn read_height(row: &[u8]) -> Result<Height, StoreError> {
    let mut fields = Fields::of("a height", row);
    let height = Height(u64::from_be_bytes(fields.take()?));
    fields.end()?;
    Ok(height)
}

pub(crate) fn read_number(row: &[u8]) -> Result<u64, StoreError> {
    read_height(row).map(Height::get)
}

pub(crate) fn read_commits(row: &[u8]) -> Result<(u64, u64), StoreError> {
    let mut fields = Fields::of("the number of commits", row);
    let commits = (u64::from_be_bytes(fields.take()?), u64::from_be_bytes(fields.take()?));
    fields.end()?;
    Ok(commits)
}

pub(crate) fn read_id(row: &[u8]) -> Result<BlockId, StoreError> {
    let mut fields = Fields::of("a block id", row);
    let id = BlockId(fields.take()?);
    fields.end()?;
    Ok(id)
}

pub(crate) fn read_block(row: &[u8]) -> Result<BlockKey, StoreError> {
    let mut fields = Fields::of("a block pointer", row);
    let block = read_block_fields(&mut fields)?;
    fields.end()?;
    Ok(block)
}

fn read_block_fields(fields: &mut Fields<'_>) -> Result<BlockKey, StoreError> {
    Ok(BlockKey { height: Height(u64::from_be_bytes(fields.take()?)), id: BlockId(fields.take()?) })
}

/// The key of a row in the table of headers.
pub(crate) fn read_header_key(key: &[u8]) -> Result<(BlockKey, Kind), StoreError> {
    let mut fields = Fields::of("the key of a header", key);
    let block = read_block_fields(&mut fields)?;
    let [kind] = fields.take::<1>()?;
    fields.end()?;
    match kind {
        HEADER => Ok((block, Kind::Header)),
        CERTIFICATE => Ok((block, Kind::Certificate)),
        _ => Err(StoreError::corrupted("the key of a header")),
    }
}

/// The encoded header and the encoded lineage behind it.
pub(crate) fn split_header_row(row: &[u8]) -> Result<(&[u8], &[u8]), StoreError> {
    let whole = row.len() == Header::SIZE + Lineage::SIZE;
    whole.then(|| row.split_at(Header::SIZE)).ok_or_else(|| StoreError::corrupted("a header"))
}

pub(crate) fn read_header_row(row: &[u8]) -> Result<(Header, Lineage), StoreError> {
    let (header, lineage) = split_header_row(row)?;
    let header = Header::decode(header).map_err(|error| damaged("a header", &error))?;
    let lineage = Lineage::decode(lineage).map_err(|error| damaged("a lineage", &error))?;
    Ok((header, lineage))
}

pub(crate) fn read_certificate(row: &[u8]) -> Result<Certificate, StoreError> {
    Certificate::decode(row).map_err(|error| damaged("a certificate", &error))
}

fn damaged(what: &str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::corrupted(format!("{what}: {error}"))
}

pub(crate) fn read_account_key(key: &[u8]) -> Result<[u8; 20], StoreError> {
    let mut fields = Fields::of("the key of an account", key);
    let _kind: [u8; 1] = fields.take()?;
    let address = fields.take()?;
    fields.end()?;
    Ok(address)
}

pub(crate) fn read_location(row: &[u8]) -> Result<Location, StoreError> {
    let mut fields = Fields::of("the location of a transaction", row);
    let location = Location {
        height: Height(u64::from_be_bytes(fields.take()?)),
        position: u32::from_be_bytes(fields.take()?),
    };
    fields.end()?;
    Ok(location)
}

pub(crate) fn read_signing(row: &[u8]) -> Result<SigningRecord, StoreError> {
    SigningRecord::decode(row).map_err(|error| damaged("the signing record", &error))
}

#[cfg(test)]
mod tests {
    use alys_chain::{AuthorityIndex, Hash, Slot};

    use super::*;

    fn header() -> Header {
        Header {
            height: Height(7),
            slot: Slot(9),
            parent: BlockId([1; 32]),
            body_root: Hash([2; 32]),
            state_root: Hash([3; 32]),
            proposer: AuthorityIndex(4),
        }
    }

    #[test]
    fn rows_come_back_as_they_went_in() {
        let block = BlockKey::new(Height(7), BlockId([9; 32]));
        assert_eq!(read_block(&block_row(block)).unwrap(), block);
        let lineage = Lineage::GENESIS.advance(&header());
        assert_eq!(read_header_row(&header_row(&header(), lineage)).unwrap(), (header(), lineage));
        let location = Location { height: Height(3), position: 5 };
        assert_eq!(read_location(&location_row(location)).unwrap(), location);
        assert_eq!(read_commits(&commits_row(3, 9)).unwrap(), (3, 9));
        assert_eq!(read_header_key(&certificate_key(block)).unwrap(), (block, Kind::Certificate));
    }

    #[test]
    fn a_row_of_another_size_is_damage() {
        let block = BlockKey::new(Height(7), BlockId([9; 32]));
        assert!(read_block(&block_row(block)[..39]).is_err());
        assert!(read_block(&[0; 41]).is_err());
        assert!(read_height(&[0; 7]).is_err());
        assert!(read_id(&[0; 33]).is_err());
        assert!(read_header_row(&[0; Header::SIZE]).is_err());
        assert!(read_certificate(&[0; 5]).is_err());
        assert!(read_signing(&[0; 53]).is_err());
        assert!(read_header_key(&[9; 41]).is_err(), "an unknown kind");
        assert!(read_account_key(&[0; 20]).is_err());
    }

    #[test]
    fn every_key_of_a_bucket_lies_before_its_end_and_behind_its_start() {
        let account = |bucket: u8, rest: u8| {
            let mut address = [rest; 20];
            address[0] = bucket;
            address
        };
        let key = |bucket, rest| state_key(StateKey::Account(account(bucket, rest)), 0);
        assert!(
            state_start(6, None, 0) <= key(6, 0)
                && key(6, 0xff) < state_end(6, 0)
                && state_end(6, 0) < key(7, 0)
        );
        assert!(key(255, 0xff) < state_end(255, 0) && state_end(255, 0) < state_key(StateKey::Bucket(0), 0));
        let behind = state_start(6, Some(account(6, 9)), 0);
        assert!(key(6, 9) < behind && behind < key(6, 10));
    }
}
