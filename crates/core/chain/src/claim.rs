//! A peer's claim to be an authority: the BLS key of a seat signs the peer's id, for one asker and for a while.
//!
//! - **Decides**: whether a claim holds. **In**: the claim, and what the asker knows itself: both peer ids, its own nonce, the network, the
//!   time. None of these is taken from the claim, so a claim that was made for anybody else, or before, fits nothing.
//! - **Out**: the seat. Whether that seat's set counts in this slot is the caller's to look up, again at every change of set.
//! - **On failure**: [`ClaimError`] says whether it is wrong (provable) or over (perhaps our clock).

use crate::bls::{SecretKey, Signature};
use crate::error::{ClaimError, Invalid};
use crate::ids::{AuthorityIndex, SetId};
use crate::read::Reader;
use crate::rules::{Rules, SigningDomain};
use crate::schedule::Seat;
use crate::time::UnixMillis;

/// Separates claims from everything else that authorities sign.
const CLAIM_DOMAIN: &[u8] = b"alys/claim/1";

/// Between whom a claim is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parties<'a> {
    /// The peer id of the one that claims to be an authority, in bytes.
    pub claimant: &'a [u8],
    /// The peer id of the one that asked, in bytes.
    pub asker: &'a [u8],
    /// Drawn freshly by the one that asked.
    pub nonce: &'a [u8; 32],
}

/// "The peer that shows you this holds the key of this seat."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The seat.
    pub seat: Seat,
    /// The last moment that it holds at.
    pub until: UnixMillis,
    /// The seat's signature, compressed G1.
    pub signature: [u8; 48],
}

impl Claim {
    /// The size of the encoding in bytes.
    pub const SIZE: usize = 4 + 1 + 8 + 48;

    /// Claims the seat of this key.
    #[must_use]
    pub fn sign(
        domain: &SigningDomain,
        parties: &Parties<'_>,
        seat: Seat,
        until: UnixMillis,
        key: &SecretKey,
    ) -> Self {
        let signature = key.sign(&message(domain, parties, seat, until)).to_bytes();
        Self { seat, until, signature }
    }

    /// Whether the holder of the seat's key made this claim for these parties, and it still holds.
    ///
    /// # Errors
    /// [`ClaimError::Invalid`]: the claimant's fault; [`ClaimError::Over`]: too old by our clock.
    pub fn verify(&self, rules: &Rules, parties: &Parties<'_>, now: UnixMillis) -> Result<Seat, ClaimError> {
        if now > self.until {
            return Err(ClaimError::Over { until: self.until, now });
        }
        let Seat { set, authority } = self.seat;
        let last = rules.schedule().sets().len();
        let members = rules.schedule().set(set).ok_or(Invalid::UnknownSet { set, sets: last })?;
        let key =
            members.key(authority).ok_or(Invalid::Authority { set, size: members.len(), got: authority })?;
        let signature = Signature::from_bytes(&self.signature)?;
        if key.verify(&message(rules.domain(), parties, self.seat, self.until), &signature) {
            Ok(self.seat)
        } else {
            Err(Invalid::Signature { what: "claim" }.into())
        }
    }

    /// Set, authority, end, signature; integers little-endian.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[..4].copy_from_slice(&self.seat.set.0.to_le_bytes());
        out[4] = self.seat.authority.0;
        out[5..13].copy_from_slice(&self.until.0.to_le_bytes());
        out[13..].copy_from_slice(&self.signature);
        out
    }

    /// What [`Claim::encode`] wrote. Nothing is verified.
    ///
    /// # Errors
    /// [`Invalid::Length`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        let mut from = Reader::sized("claim", bytes, Self::SIZE)?;
        let seat = Seat { set: SetId(from.u32()?), authority: AuthorityIndex(from.u8()?) };
        Ok(Self { seat, until: UnixMillis(from.u64()?), signature: *from.array()? })
    }
}

/// What a claim signs: domain tag, genesis id, set, authority, end, nonce, then both peer ids, each behind its length in 8 bytes.
fn message(domain: &SigningDomain, parties: &Parties<'_>, seat: Seat, until: UnixMillis) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(CLAIM_DOMAIN);
    out.extend_from_slice(domain.0.as_bytes());
    out.extend_from_slice(&seat.set.0.to_le_bytes());
    out.push(seat.authority.0);
    out.extend_from_slice(&until.0.to_le_bytes());
    out.extend_from_slice(parties.nonce);
    for peer in [parties.claimant, parties.asker] {
        out.extend_from_slice(&(peer.len() as u64).to_le_bytes());
        out.extend_from_slice(peer);
    }
    out
}

#[cfg(test)]
mod tests;
