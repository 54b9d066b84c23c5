//! Who a peer is, and where: libp2p's names for both, without libp2p.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A peer's identity: the multihash of its public key, at most 42 bytes (an Ed25519 key needs 38). Shown in base58, as everywhere in libp2p.
///
/// Source: libp2p peer-ids specification.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId {
    len: u8,
    bytes: [u8; Self::MAX_BYTES],
}

impl PeerId {
    /// The longest id that the specification allows: a two-byte prefix and an inlined key of 42 bytes at most, or a SHA-256.
    pub const MAX_BYTES: usize = 44;

    /// The id in these bytes; `None` if there are none, or too many.
    #[must_use]
    pub fn from_bytes(raw: &[u8]) -> Option<Self> {
        let len = u8::try_from(raw.len()).ok().filter(|&n| n > 0)?;
        let mut bytes = [0; Self::MAX_BYTES];
        bytes.get_mut(..raw.len())?.copy_from_slice(raw);
        Some(Self { len, bytes })
    }

    /// The multihash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.as_bytes()).into_string())
    }
}

impl fmt::Debug for PeerId {
    /// The last six characters: what tells two peers apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_string();
        write!(f, "..{}", text.get(text.len().saturating_sub(6)..).unwrap_or(&text))
    }
}

/// Where a peer can be reached: a multiaddr in its text form, such as `/ip4/127.0.0.1/tcp/30300`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(pub String);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
