//! Checkpoints: a final block with what a restart or an operator wants to hold against it.
//!
//! - **Decides**: when a checkpoint is due, which ones are kept, whether one fits the store.
//! - **In / out**: [`Checkpoint`] to bytes and back. Storage compresses the bytes and writes them atomically.
//! - **On failure**: [`CheckpointError`]. A checkpoint is a convenience, never the truth: a damaged or foreign one is passed over and the next older one
//!   is tried; the store stays as it is.
//!
//! Layout, integers little-endian: magic (8 bytes), version (2), length of the payload (4), CRC-32C of the payload (4), payload. The payload is
//! genesis, height, slot, block, state root; then the certificate (absent only at genesis), the federation and the peer states.

use core::num::NonZeroU64;

use bytes::Bytes;
use thiserror::Error;

use crate::certificate::Certificate;
use crate::error::Invalid;
use crate::ids::{BlockId, Hash, Height, SetId, Slot};
use crate::lineage::Lineage;
use crate::read::Reader;

/// Marks the file type.
const MAGIC: [u8; 8] = *b"ALYSCKPT";
/// The layout that this code writes.
const VERSION: u16 = 1;
/// Magic, version, length, checksum.
const ENVELOPE: usize = 8 + 2 + 4 + 4;

/// The greatest encoding of the peer states in bytes: some 10,000 peers of the book at 200 bytes. More would make a checkpoint slower to write than
/// the hundred blocks that it stands for.
pub const MAX_PEERS: usize = 2 * 1024 * 1024;
/// The greatest checkpoint in bytes; the fixed part stays far below 1 KB. Checked before anything is allocated.
pub const MAX_CHECKPOINT: usize = MAX_PEERS + 1024;

/// Blocks between checkpoints: 200 s at 2-second slots. A restart loses no more of the peer states than that; writing one more often would cost more
/// than it saves.
pub const INTERVAL: NonZeroU64 = NonZeroU64::new(100).expect("100 is not zero");
/// Checkpoints kept: the newest may be damaged, the ones before it are the way back.
pub const KEPT: usize = 10;

/// Who must approve what follows the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Federation {
    /// The set of the block's slot.
    pub set: SetId,
    /// The lineage of the block's children.
    pub lineage: Lineage,
}

/// A final block and the state of this node at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The network.
    pub genesis: BlockId,
    /// The height of the block.
    pub height: Height,
    /// Its slot.
    pub slot: Slot,
    /// The block.
    pub block: BlockId,
    /// All accounts after it.
    pub state_root: Hash,
    /// Its quorum; genesis has none.
    pub certificate: Option<Certificate>,
    /// The authority sets.
    pub federation: Federation,
    /// What this node thought of its peers, in the encoding of the peer book; at most [`MAX_PEERS`] bytes.
    pub peers: Bytes,
}

/// What a checkpoint is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreFacts {
    /// The network of the store.
    pub genesis: BlockId,
    /// The highest durable block.
    pub tip: Height,
    /// The block at the checkpoint's height, and its state root; `None` if the store has none there.
    pub at_height: Option<(BlockId, Hash)>,
}

/// Why a checkpoint is passed over, or cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// The peer states, or the whole, exceed their bound.
    #[error("{size} bytes in a checkpoint, at most {max}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The bound in bytes.
        max: usize,
    },
    /// Not a checkpoint file.
    #[error("not a checkpoint")]
    NotACheckpoint,
    /// Written by another version of this program.
    #[error("checkpoint of version {0} is not known here")]
    Version(u16),
    /// Truncated, altered, or longer than it says.
    #[error("damaged checkpoint: {0}")]
    Damaged(&'static str),
    /// Of another network.
    #[error("checkpoint of network {theirs}, not of {ours}")]
    Foreign {
        /// The store's genesis.
        ours: BlockId,
        /// The checkpoint's genesis.
        theirs: BlockId,
    },
    /// The store ends below it.
    #[error("checkpoint at height {height} is ahead of the store, which ends at {tip}")]
    AheadOfStore {
        /// The checkpoint's height.
        height: Height,
        /// The store's tip.
        tip: Height,
    },
    /// The store does not reach down to it: its bodies and headers were never filled in.
    #[error("the store has no block at height {0}")]
    NotInStore(Height),
    /// The store has another block at that height.
    #[error("the store has block {ours} at that height, not {theirs}")]
    OtherBlock {
        /// The store's block.
        ours: BlockId,
        /// The checkpoint's block.
        theirs: BlockId,
    },
    /// The same block with another state root: one of the two is damaged.
    #[error("the store has state root {ours} at that height, not {theirs}")]
    OtherState {
        /// The store's state root.
        ours: Hash,
        /// The checkpoint's state root.
        theirs: Hash,
    },
}

/// Whether a checkpoint is due at a final block of this height. Genesis needs none.
#[must_use]
pub fn due(height: Height, interval: NonZeroU64) -> bool {
    height > Height::ZERO && height.get().is_multiple_of(interval.get())
}

/// The checkpoints to delete: all but the `keep` highest.
#[must_use]
pub fn superseded(mut heights: Vec<Height>, keep: usize) -> Vec<Height> {
    heights.sort_unstable();
    heights.dedup();
    heights.truncate(heights.len().saturating_sub(keep));
    heights
}

impl Checkpoint {
    /// The bytes to compress and store.
    ///
    /// # Errors
    /// [`CheckpointError::TooLarge`]: what could not be read back is not written.
    pub fn encode(&self) -> Result<Vec<u8>, CheckpointError> {
        let payload = self.payload()?;
        let length = length_of(&payload, MAX_CHECKPOINT)?;
        let mut out = Vec::with_capacity(ENVELOPE + payload.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&length);
        out.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
        out.extend_from_slice(&payload);
        Ok(out)
    }

    fn payload(&self) -> Result<Vec<u8>, CheckpointError> {
        let peers = length_of(&self.peers, MAX_PEERS)?;
        let mut out = Vec::with_capacity(1024 + self.peers.len());
        out.extend_from_slice(self.genesis.as_bytes());
        out.extend_from_slice(&self.height.get().to_le_bytes());
        out.extend_from_slice(&self.slot.get().to_le_bytes());
        out.extend_from_slice(self.block.as_bytes());
        out.extend_from_slice(self.state_root.as_bytes());
        out.push(u8::from(self.certificate.is_some()));
        if let Some(certificate) = &self.certificate {
            out.extend_from_slice(&certificate.encode());
        }
        out.extend_from_slice(&self.federation.set.0.to_le_bytes());
        out.extend_from_slice(&self.federation.lineage.encode());
        out.extend_from_slice(&peers);
        out.extend_from_slice(&self.peers);
        Ok(out)
    }

    /// The checkpoint that `bytes` (already decompressed, into a buffer of at most [`MAX_CHECKPOINT`] bytes) hold.
    ///
    /// # Errors
    /// When it is no checkpoint, of another version, or damaged. All sizes and the checksum are checked before anything is allocated.
    pub fn decode(bytes: &[u8]) -> Result<Self, CheckpointError> {
        length_of(bytes, MAX_CHECKPOINT)?;
        let mut from = Reader::new("checkpoint", bytes);
        if from.array() != Ok(&MAGIC) {
            return Err(CheckpointError::NotACheckpoint);
        }
        let version = u16::from_le_bytes(*from.array().map_err(damaged)?);
        if version != VERSION {
            return Err(CheckpointError::Version(version));
        }
        let (length, sum) = (from.array().map_err(damaged)?, from.u32().map_err(damaged)?);
        let payload = &bytes[ENVELOPE..];
        if length_of(payload, MAX_CHECKPOINT)? != *length {
            return Err(CheckpointError::Damaged("length"));
        }
        if crc32c::crc32c(payload) != sum {
            return Err(CheckpointError::Damaged("checksum"));
        }
        let checkpoint = Self::from_payload(Reader::new("checkpoint", payload)).map_err(damaged)?;
        checkpoint.is_proven().then_some(checkpoint).ok_or(CheckpointError::Damaged("certificate"))
    }

    fn from_payload(mut from: Reader<'_>) -> Result<Self, Invalid> {
        let genesis = BlockId(*from.array()?);
        let (height, slot) = (Height(from.u64()?), Slot(from.u64()?));
        let (block, state_root) = (BlockId(*from.array()?), Hash(*from.array()?));
        let certificate = match from.u8()? {
            0 => None,
            _ => Some(Certificate::decode(from.bytes(Certificate::SIZE)?)?),
        };
        let set = SetId(from.u32()?);
        let lineage = Lineage::decode(from.bytes(Lineage::SIZE)?)?;
        let count = from.count(MAX_PEERS, 1)?;
        let peers = Bytes::copy_from_slice(from.bytes(count)?);
        from.end()?;
        let federation = Federation { set, lineage };
        Ok(Self { genesis, height, slot, block, state_root, certificate, federation, peers })
    }

    /// Whether there is a certificate and it names the block. Genesis needs none.
    fn is_proven(&self) -> bool {
        match &self.certificate {
            Some(c) => (c.slot, c.height, c.block) == (self.slot, self.height, self.block),
            None => (self.height, self.slot, self.block) == (Height::ZERO, Slot::ZERO, self.genesis),
        }
    }

    /// Whether the checkpoint belongs to the store. The certificate's signatures are the caller's to check, with the store's authority sets.
    ///
    /// # Errors
    /// When it is of another network, ahead of the store, or of another block or state.
    pub fn agrees_with(&self, store: &StoreFacts) -> Result<(), CheckpointError> {
        if self.genesis != store.genesis {
            return Err(CheckpointError::Foreign { ours: store.genesis, theirs: self.genesis });
        }
        if self.height > store.tip {
            return Err(CheckpointError::AheadOfStore { height: self.height, tip: store.tip });
        }
        let (block, state_root) = store.at_height.ok_or(CheckpointError::NotInStore(self.height))?;
        if self.block != block {
            return Err(CheckpointError::OtherBlock { ours: block, theirs: self.block });
        }
        if self.state_root != state_root {
            return Err(CheckpointError::OtherState { ours: state_root, theirs: self.state_root });
        }
        Ok(())
    }
}

/// The length as it is written, if it is within the bound (which is far below 4 GiB).
fn length_of(bytes: &[u8], max: usize) -> Result<[u8; 4], CheckpointError> {
    let size = bytes.len();
    let length = u32::try_from(size).ok().filter(|_| size <= max);
    length.map(u32::to_le_bytes).ok_or(CheckpointError::TooLarge { size, max })
}

fn damaged(_: Invalid) -> CheckpointError {
    CheckpointError::Damaged("payload")
}

#[cfg(test)]
mod tests;
