//! An authority's signed word on how far it knows the chain: what lets a network start again that stood still as a whole.
//!
//! - **Decides**: whether a report holds. **In**: the report, and the nonce that the asker drew itself, so that no old report can be shown again.
//! - **Out**: the seat. Whether that seat's set counts in this slot is the caller's to look up.
//! - **On failure**: [`Invalid`], the fault of who made it. A report proves what its signer says, not that it is so: only a quorum counts.

use crate::bls::{SecretKey, Signature};
use crate::error::Invalid;
use crate::ids::{AuthorityIndex, BlockId, SetId, Slot};
use crate::read::Reader;
use crate::rules::{Rules, SigningDomain};
use crate::schedule::Seat;

/// Separates reports from everything else that authorities sign.
const REPORT_DOMAIN: &[u8] = b"alys/report/1";

/// The best certified block that an authority knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    /// Its slot: of two certified blocks the one with the higher slot counts.
    pub slot: Slot,
    /// The block.
    pub block: BlockId,
}

/// "I know of no certified block above this one."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who says so.
    pub seat: Seat,
    /// The block.
    pub best: Best,
    /// The seat's signature, compressed G1.
    pub signature: [u8; 48],
}

impl Report {
    /// The size of the encoding in bytes.
    pub const SIZE: usize = 4 + 1 + 8 + 32 + 48;

    /// Reports to whoever drew this nonce.
    #[must_use]
    pub fn sign(domain: &SigningDomain, nonce: &[u8; 32], seat: Seat, best: Best, key: &SecretKey) -> Self {
        let signature = key.sign(&message(domain, nonce, seat, best)).to_bytes();
        Self { seat, best, signature }
    }

    /// Whether the holder of the seat's key made this report over this nonce.
    ///
    /// # Errors
    /// [`Invalid`]: the fault of who served it.
    pub fn verify(&self, rules: &Rules, nonce: &[u8; 32]) -> Result<Seat, Invalid> {
        let Seat { set, authority } = self.seat;
        let sets = rules.schedule().sets().len();
        let members = rules.schedule().set(set).ok_or(Invalid::UnknownSet { set, sets })?;
        let key =
            members.key(authority).ok_or(Invalid::Authority { set, size: members.len(), got: authority })?;
        let signature = Signature::from_bytes(&self.signature)?;
        if key.verify(&message(rules.domain(), nonce, self.seat, self.best), &signature) {
            Ok(self.seat)
        } else {
            Err(Invalid::Signature { what: "report" })
        }
    }

    /// Set, authority, slot, block, signature; integers little-endian.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[..4].copy_from_slice(&self.seat.set.0.to_le_bytes());
        out[4] = self.seat.authority.0;
        out[5..13].copy_from_slice(&self.best.slot.0.to_le_bytes());
        out[13..45].copy_from_slice(self.best.block.as_bytes());
        out[45..].copy_from_slice(&self.signature);
        out
    }

    /// What [`Report::encode`] wrote. Nothing is verified.
    ///
    /// # Errors
    /// [`Invalid::Length`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        let mut from = Reader::sized("report", bytes, Self::SIZE)?;
        let seat = Seat { set: SetId(from.u32()?), authority: AuthorityIndex(from.u8()?) };
        let best = Best { slot: Slot(from.u64()?), block: BlockId(*from.array()?) };
        Ok(Self { seat, best, signature: *from.array()? })
    }
}

/// Domain tag, genesis id, seat, nonce, slot, block; every field has a fixed length.
fn message(domain: &SigningDomain, nonce: &[u8; 32], seat: Seat, best: Best) -> Vec<u8> {
    let mut out = Vec::with_capacity(REPORT_DOMAIN.len() + 32 + 5 + 32 + 40);
    out.extend_from_slice(REPORT_DOMAIN);
    out.extend_from_slice(domain.0.as_bytes());
    out.extend_from_slice(&seat.set.0.to_le_bytes());
    out.push(seat.authority.0);
    out.extend_from_slice(nonce);
    out.extend_from_slice(&best.slot.0.to_le_bytes());
    out.extend_from_slice(best.block.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{key, world};

    const NONCE: [u8; 32] = [7; 32];
    const SEAT: Seat = Seat { set: SetId(0), authority: AuthorityIndex(1) };
    const BEST: Best = Best { slot: Slot(9), block: BlockId([5; 32]) };

    #[test]
    fn a_report_holds_for_its_nonce_and_as_it_was_signed() {
        let world = world(3);
        let report = Report::sign(world.rules.domain(), &NONCE, SEAT, BEST, &key(2));
        assert_eq!(report.verify(&world.rules, &NONCE), Ok(SEAT));
        assert_eq!(Report::decode(&report.encode()), Ok(report));

        let wrong = Err(Invalid::Signature { what: "report" });
        assert_eq!(report.verify(&world.rules, &[8; 32]), wrong, "an old one, shown again");
        let other = |seat, best| Report { seat, best, ..report }.verify(&world.rules, &NONCE);
        assert_eq!(other(Seat { authority: AuthorityIndex(2), ..SEAT }, BEST), wrong);
        assert_eq!(other(SEAT, Best { slot: Slot(8), ..BEST }), wrong);
        assert_eq!(other(SEAT, Best { block: BlockId([6; 32]), ..BEST }), wrong);
        let foreign = SigningDomain(BlockId([1; 32]));
        let theirs = Report::sign(&foreign, &NONCE, SEAT, BEST, &key(2));
        assert_eq!(theirs.verify(&world.rules, &NONCE), wrong, "of another network");
    }

    #[test]
    fn seats_that_do_not_exist_and_points_that_are_none_are_named() {
        let world = world(3);
        let report = Report::sign(world.rules.domain(), &NONCE, SEAT, BEST, &key(2));
        let set = Report { seat: Seat { set: SetId(4), ..SEAT }, ..report };
        assert_eq!(set.verify(&world.rules, &NONCE), Err(Invalid::UnknownSet { set: SetId(4), sets: 1 }));
        let member = Report { seat: Seat { authority: AuthorityIndex(3), ..SEAT }, ..report };
        assert!(matches!(member.verify(&world.rules, &NONCE), Err(Invalid::Authority { .. })));
        let point = Report { signature: [0xff; 48], ..report };
        assert!(matches!(point.verify(&world.rules, &NONCE), Err(Invalid::Point { .. })));
        assert!(Report::decode(&report.encode()[1..]).is_err());
    }
}
