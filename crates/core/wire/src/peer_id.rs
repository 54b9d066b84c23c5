//! Who a peer is: libp2p's name for it, without libp2p.

use core::fmt;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::limits::MAX_PEER_ID_CHARS;

/// A peer's identity: the multihash of its public key, at most 44 bytes (an Ed25519 key needs 38). Shown, read and stored in base58, as
/// everywhere in libp2p. Whether a key can have this id is checked by the transport, when the peer proves that it holds the key.
///
/// Source: libp2p peer-ids specification.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId {
    len: u8,
    bytes: [u8; Self::MAX_BYTES],
}

/// Text that is no peer id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PeerIdError {
    /// A letter that base58 does not have.
    #[error("a peer id is written in base58 (as in 12D3KooW...), this is not")]
    Base58,
    /// Nothing, or more than an id can have.
    #[error("a peer id has 1 to {} bytes", PeerId::MAX_BYTES)]
    Length,
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

impl FromStr for PeerId {
    type Err = PeerIdError;

    fn from_str(text: &str) -> Result<Self, PeerIdError> {
        // Base58 takes quadratic time: the length comes first.
        if text.len() > MAX_PEER_ID_CHARS {
            return Err(PeerIdError::Length);
        }
        let mut bytes = [0; MAX_PEER_ID_CHARS];
        let len = bs58::decode(text).onto(&mut bytes[..]).map_err(|_| PeerIdError::Base58)?;
        Self::from_bytes(&bytes[..len]).ok_or(PeerIdError::Length)
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

impl Serialize for PeerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PeerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An example of the libp2p peer-ids specification (Ed25519).
    const ED25519: &str = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";
    /// One of the same specification (the SHA-256 of a longer key).
    const HASHED: &str = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";

    #[test]
    fn an_id_is_read_and_shown_in_base58() {
        for (text, len) in [(ED25519, 38), (HASHED, 34)] {
            let id: PeerId = text.parse().unwrap();
            assert_eq!(id.as_bytes().len(), len);
            assert_eq!(id.to_string(), text);
        }
        assert_eq!(format!("{:?}", ED25519.parse::<PeerId>().unwrap()), "..AJU5SA");
    }

    #[test]
    fn an_id_of_any_length_survives_its_text() {
        for len in 1..=PeerId::MAX_BYTES {
            for byte in [0, 1, 0xff] {
                let id = PeerId::from_bytes(&vec![byte; len]).unwrap();
                assert_eq!(id.to_string().parse(), Ok(id), "{len} times {byte}");
            }
        }
    }

    #[test]
    fn other_text_is_refused() {
        let long = "1".repeat(MAX_PEER_ID_CHARS + 1);
        let many = "1".repeat(PeerId::MAX_BYTES + 1);
        for (text, error) in [
            ("", PeerIdError::Length),
            (&long, PeerIdError::Length),
            (&many, PeerIdError::Length),
            ("0OIl", PeerIdError::Base58),
            ("ünicode", PeerIdError::Base58),
        ] {
            assert_eq!(text.parse::<PeerId>(), Err(error), "{text}");
        }
        assert_eq!(PeerId::from_bytes(&[]), None);
        assert_eq!(PeerId::from_bytes(&[0; 45]), None);
    }

    #[test]
    fn it_is_stored_as_text() {
        let id: PeerId = ED25519.parse().unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{ED25519}\""));
        assert_eq!(serde_json::from_str::<PeerId>(&format!("\"{ED25519}\"")).unwrap(), id);
        assert!(serde_json::from_str::<PeerId>("\"0\"").is_err());
    }
}
