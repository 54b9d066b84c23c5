//! Who we are: an Ed25519 key. Where it is kept is the node's business.

use alys_wire::PeerId;
use core::fmt;
use libp2p::identity::Keypair;
use thiserror::Error;
use zeroize::Zeroizing;

use super::address;

/// The key of this node. Its public half is the [`PeerId`].
#[derive(Clone)]
pub struct Identity {
    pair: Keypair,
}

/// These bytes are no Ed25519 secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an identity has {expected} bytes, these are {found}", expected = Identity::SECRET_BYTES)]
pub struct BadIdentity {
    /// How many there were.
    pub found: usize,
}

impl Identity {
    /// The size of the secret in bytes.
    pub const SECRET_BYTES: usize = 32;

    /// A new identity, from the system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self { pair: Keypair::generate_ed25519() }
    }

    /// The identity with this secret (RFC 8032, 32 bytes).
    ///
    /// # Errors
    /// [`BadIdentity`] when the length is wrong.
    pub fn from_secret(secret: &[u8]) -> Result<Self, BadIdentity> {
        let mut copy = Zeroizing::new(secret.to_vec());
        let pair =
            Keypair::ed25519_from_bytes(&mut copy[..]).map_err(|_| BadIdentity { found: secret.len() })?;
        Ok(Self { pair })
    }

    /// The secret, to be kept in a file that only its owner can read.
    #[must_use]
    pub fn secret(&self) -> Zeroizing<Vec<u8>> {
        let pair = self.pair.clone().try_into_ed25519().expect("every constructor makes an Ed25519 key");
        Zeroizing::new(pair.secret().as_ref().to_vec())
    }

    /// The name under which peers know us.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        address::peer(&self.pair.public().to_peer_id())
    }

    pub(super) fn pair(&self) -> &Keypair {
        &self.pair
    }
}

impl fmt::Debug for Identity {
    /// Never the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.peer()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_secret_gives_the_same_peer_again() {
        let identity = Identity::generate();
        let again = Identity::from_secret(&identity.secret()).unwrap();
        assert_eq!(again.peer(), identity.peer());
        assert_ne!(Identity::generate().peer(), identity.peer());
    }

    #[test]
    fn a_secret_of_the_wrong_length_is_refused() {
        let error = Identity::from_secret(&[1; 31]).unwrap_err();
        assert_eq!(error.to_string(), "an identity has 32 bytes, these are 31");
    }

    #[test]
    fn the_secret_is_not_shown() {
        let identity = Identity::generate();
        assert!(format!("{identity:?}").starts_with("Identity(.."));
    }
}
