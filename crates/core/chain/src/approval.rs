//! Approvals, one by one, and the certificate that a quorum of them makes.
//!
//! - **Decides**: whether one approval is valid; when approvals suffice.
//! - **In**: approvals in any order, before or after their block, any number of times. **Out**: a [`Certificate`].
//! - **On failure**: [`Invalid`] names what is wrong with the approval; the tally stays as it was.

use std::collections::BTreeMap;

use crate::bls::{SecretKey, Signature};
use crate::certificate::{Approval, Certificate, SetQuorum};
use crate::error::Invalid;
use crate::header::Header;
use crate::ids::{AuthorityIndex, BlockId, Height, SetId, Slot};
use crate::lineage::Required;
use crate::read::Reader;
use crate::rules::{Rules, SigningDomain};
use crate::schedule::{AuthoritySet, Schedule, Seat};

impl Approval {
    /// The size of the encoding in bytes.
    pub const SIZE: usize = 4 + 8 + 8 + 32 + 1 + 48;

    /// Approves a block. Whether that is allowed (never twice for a slot, never below the lock) is the caller's to know.
    #[must_use]
    pub fn sign(domain: &SigningDomain, header: &Header, seat: Seat, key: &SecretKey) -> Self {
        let (slot, height, block) = (header.slot, header.height, header.id());
        let signature = key.sign(&domain.approval_message(seat.set, slot, height, block)).to_bytes();
        Self { set: seat.set, slot, height, block, authority: seat.authority, signature }
    }

    /// Whether a member of a set that may vouch for the slot (the slot's own or an earlier one) signed this. Whether that set's approvals
    /// still count is decided by the block's lineage, not here.
    ///
    /// # Errors
    /// [`Invalid`]: provably the sender's fault.
    pub fn verify(&self, rules: &Rules) -> Result<Signature, Invalid> {
        let set = known_set(rules.schedule(), self.set, self.slot)?;
        let key = set.key(self.authority).ok_or(Invalid::Authority {
            set: self.set,
            size: set.len(),
            got: self.authority,
        })?;
        let signature = Signature::from_bytes(&self.signature)?;
        if key.verify(&self.message(rules.domain()), &signature) {
            Ok(signature)
        } else {
            Err(Invalid::Signature { what: "approval" })
        }
    }

    /// The bytes that the signature is made over.
    #[must_use]
    pub fn message(&self, domain: &SigningDomain) -> [u8; SigningDomain::APPROVAL_BYTES] {
        domain.approval_message(self.set, self.slot, self.height, self.block)
    }

    /// Whose approval it is.
    #[must_use]
    pub const fn seat(&self) -> Seat {
        Seat { set: self.set, authority: self.authority }
    }

    /// Set, slot, height, block, authority, signature; integers little-endian.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[..4].copy_from_slice(&self.set.0.to_le_bytes());
        out[4..12].copy_from_slice(&self.slot.0.to_le_bytes());
        out[12..20].copy_from_slice(&self.height.0.to_le_bytes());
        out[20..52].copy_from_slice(self.block.as_bytes());
        out[52] = self.authority.0;
        out[53..].copy_from_slice(&self.signature);
        out
    }

    /// What [`Approval::encode`] wrote. The signature is not looked at.
    ///
    /// # Errors
    /// [`Invalid::Length`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        let mut from = Reader::sized("approval", bytes, Self::SIZE)?;
        Ok(Self {
            set: SetId(from.u32()?),
            slot: Slot(from.u64()?),
            height: Height(from.u64()?),
            block: BlockId(*from.array()?),
            authority: AuthorityIndex(from.u8()?),
            signature: *from.array()?,
        })
    }
}

/// The set with this id, if it may vouch for the slot: the slot's own, or an earlier one during a change.
fn known_set(schedule: &Schedule, id: SetId, slot: Slot) -> Result<&AuthoritySet, Invalid> {
    let own = schedule.set_at(slot).id();
    let refused = Invalid::Set { slot, expected: own, got: id };
    schedule.set(id).filter(|set| set.id() <= own).ok_or(refused)
}

/// What became of an approval that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It is the first of its seat.
    New,
    /// The seat had approved already. (A BLS signature is unique, so it is the same one.)
    Duplicate,
}

/// The valid approvals of one block. It needs neither the block nor its lineage before the certificate is asked for, so approvals may come
/// early. It holds at most one approval of every seat in the schedule.
#[derive(Clone, Debug)]
pub struct Tally {
    slot: Slot,
    height: Height,
    block: BlockId,
    signatures: BTreeMap<Seat, Signature>,
}

impl Tally {
    /// Nobody has approved yet.
    #[must_use]
    pub const fn new(slot: Slot, height: Height, block: BlockId) -> Self {
        Self { slot, height, block, signatures: BTreeMap::new() }
    }

    /// The tally for the block of this header.
    #[must_use]
    pub fn of(header: &Header) -> Self {
        Self::new(header.slot, header.height, header.id())
    }

    /// Checks an approval and counts it.
    ///
    /// # Errors
    /// [`Invalid`] when it speaks of another block or is not valid.
    pub fn add(&mut self, rules: &Rules, approval: &Approval) -> Result<Counted, Invalid> {
        self.check_subject(approval)?;
        if self.signatures.contains_key(&approval.seat()) {
            // Not worth a pairing: whether this copy is forged changes nothing.
            return Ok(Counted::Duplicate);
        }
        self.insert(approval, approval.verify(rules)?)
    }

    /// Counts an approval that was checked before, with the signature that came of it.
    ///
    /// # Errors
    /// [`Invalid`] when it speaks of another block.
    pub fn insert(&mut self, approval: &Approval, signature: Signature) -> Result<Counted, Invalid> {
        self.check_subject(approval)?;
        match self.signatures.insert(approval.seat(), signature) {
            None => Ok(Counted::New),
            Some(_) => Ok(Counted::Duplicate),
        }
    }

    fn check_subject(&self, approval: &Approval) -> Result<(), Invalid> {
        if approval.block != self.block {
            return Err(Invalid::Subject { expected: self.block, got: approval.block });
        }
        if (approval.slot, approval.height) != (self.slot, self.height) {
            return Err(Invalid::Place {
                slot: self.slot,
                height: self.height,
                got_slot: approval.slot,
                got_height: approval.height,
            });
        }
        Ok(())
    }

    /// The block that is approved.
    #[must_use]
    pub const fn block(&self) -> BlockId {
        self.block
    }

    /// How many members of a set have approved.
    #[must_use]
    pub fn count(&self, set: SetId) -> usize {
        self.signatures.keys().filter(|seat| seat.set == set).count()
    }

    /// Who has approved.
    pub fn seats(&self) -> impl Iterator<Item = Seat> {
        self.signatures.keys().copied()
    }

    /// The certificate, once every required set has its quorum.
    #[must_use]
    pub fn certificate(&self, schedule: &Schedule, required: Required) -> Option<Certificate> {
        let quorum = self.set_quorum(schedule, required.own)?;
        let joint = match required.old {
            Some(old) => Some(self.set_quorum(schedule, old)?),
            None => None,
        };
        Some(Certificate { slot: self.slot, height: self.height, block: self.block, quorum, joint })
    }

    fn set_quorum(&self, schedule: &Schedule, id: SetId) -> Option<SetQuorum> {
        let members = self.signatures.iter().filter(|(seat, _)| seat.set == id);
        let (mut signers, mut signatures) = (0u16, Vec::new());
        for (seat, signature) in members {
            signers |= 1 << seat.authority.0;
            signatures.push(*signature);
        }
        if !schedule.set(id)?.quorum().reached_by(signatures.len()) {
            return None;
        }
        let signature = Signature::aggregate(&signatures)?.to_bytes();
        Some(SetQuorum { set: id, signers, signature })
    }
}

#[cfg(test)]
mod tests;
