//! The signing record: all that an authority must remember so that it never contradicts itself.
//!
//! - **Owns**: the layout of the record on disk.
//! - **In / out**: [`SigningRecord`] to 53 bytes and back.
//! - **On failure**: a record that does not decode counts as lost, and a lost record has a rule of its own (see
//!   [`SigningState`](crate::consensus::SigningState)): better silent for a while than sign twice.

use thiserror::Error;

use crate::ids::{BlockId, Slot};

/// The layout that this code writes.
const VERSION: u8 = 1;

/// What an authority has signed so far. It is durable before a signature that rests on it leaves the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SigningRecord {
    /// The highest slot in which it approved a block.
    pub last: Slot,
    /// The block that it approved in that slot: this one it may approve again (the same signature, sent twice).
    pub block: BlockId,
    /// The highest slot among the parents of the blocks that it approved. It approves nothing on an older parent.
    pub lock: Slot,
}

/// Why bytes are no signing record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Too short or too long.
    #[error("a signing record has {expected} bytes, not {0}", expected = SigningRecord::SIZE)]
    Size(usize),
    /// Written by another version of this program.
    #[error("signing record of version {0} is not known here")]
    Version(u8),
    /// Damaged on disk.
    #[error("the checksum of the signing record does not match")]
    Checksum,
}

impl SigningRecord {
    /// The size of the encoding in bytes: version, last slot, block, lock, checksum.
    pub const SIZE: usize = 1 + 8 + 32 + 8 + 4;

    /// The record of an authority that has never signed: nothing but genesis, which is certified by definition. Only a key that is new on this
    /// network may start with it; any other start without a record is a lost one.
    #[must_use]
    pub const fn unused(genesis: BlockId) -> Self {
        Self { last: Slot::ZERO, block: genesis, lock: Slot::ZERO }
    }

    /// The bytes to store: integers little-endian, CRC-32C over everything before it.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[0] = VERSION;
        out[1..9].copy_from_slice(&self.last.0.to_le_bytes());
        out[9..41].copy_from_slice(self.block.as_bytes());
        out[41..49].copy_from_slice(&self.lock.0.to_le_bytes());
        let sum = crc32c::crc32c(&out[..49]);
        out[49..].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// The record that `bytes` hold.
    ///
    /// # Errors
    /// When the size, the version or the checksum is wrong: the caller treats the record as lost.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let bytes: &[u8; Self::SIZE] = bytes.try_into().map_err(|_| RecordError::Size(bytes.len()))?;
        if bytes[0] != VERSION {
            return Err(RecordError::Version(bytes[0]));
        }
        if crc32c::crc32c(&bytes[..49]).to_le_bytes() != bytes[49..] {
            return Err(RecordError::Checksum);
        }
        let number = |at: usize| {
            let mut n = [0; 8];
            n.copy_from_slice(&bytes[at..at + 8]);
            Slot(u64::from_le_bytes(n))
        };
        let mut block = [0; 32];
        block.copy_from_slice(&bytes[9..41]);
        Ok(Self { last: number(1), block: BlockId(block), lock: number(41) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> SigningRecord {
        SigningRecord { last: Slot(300), block: BlockId([7; 32]), lock: Slot(299) }
    }

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        assert_eq!(SigningRecord::decode(&record().encode()), Ok(record()));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for bit in 0..SigningRecord::SIZE * 8 {
            let mut bytes = record().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(SigningRecord::decode(&bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn another_version_and_another_size_are_named() {
        let mut bytes = record().encode();
        bytes[0] = 2;
        assert_eq!(SigningRecord::decode(&bytes), Err(RecordError::Version(2)));
        assert_eq!(SigningRecord::decode(&bytes[1..]), Err(RecordError::Size(52)));
        assert_eq!(RecordError::Size(52).to_string(), "a signing record has 53 bytes, not 52");
    }
}
