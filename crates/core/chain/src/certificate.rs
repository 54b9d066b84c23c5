//! Approvals and certificates: who vouches for a block.
//!
//! - **Decides**: whether a certificate is valid, given which sets must vouch ([`Required`]). Many at once: [`crate::batch`].
//! - **In**: certificates, or their bytes. **Out**: `Ok`, or the provable fault.

use crate::block::Block;
use crate::bls::{KeySum, PublicKey, Signature};
use crate::error::Invalid;
use crate::header::Header;
use crate::ids::{AuthorityIndex, BlockId, Height, SetId, Slot};
use crate::lineage::Required;
use crate::read::Reader;
use crate::rules::{Rules, SigningDomain};
use crate::schedule::{AuthoritySet, Schedule};

/// One authority's signature under one block: BLS12-381, signature in G1 (48 bytes, compressed). It signs domain, genesis, set id, slot,
/// height and block id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Approval {
    /// The set that the authority signs as a member of.
    pub set: SetId,
    /// The slot of the block.
    pub slot: Slot,
    /// The height of the block.
    pub height: Height,
    /// The block.
    pub block: BlockId,
    /// Who signed.
    pub authority: AuthorityIndex,
    /// The signature, compressed G1.
    pub signature: [u8; 48],
}

/// What the members of one authority set say of a block: who signed, and the sum of their signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SetQuorum {
    /// The set.
    pub set: SetId,
    /// Bit `i` stands for authority `i`; bits from `n` on are zero.
    pub signers: u16,
    /// The aggregate signature, compressed G1.
    pub signature: [u8; 48],
}

/// A quorum's approval of one block. Certificates of one block may differ in their signers: compare block ids only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Certificate {
    /// The slot of the block.
    pub slot: Slot,
    /// The height of the block.
    pub height: Height,
    /// The block.
    pub block: BlockId,
    /// The quorum of the slot's authority set.
    pub quorum: SetQuorum,
    /// After a change of the set, until a block of the new time is final in the block's own ancestry: the quorum of the old set as well.
    pub joint: Option<SetQuorum>,
}

/// A header and the certificate of its block. Genesis has none: it is certified by definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertifiedHeader {
    /// The header.
    pub header: Header,
    /// Its quorum.
    pub certificate: Certificate,
}

/// A block and its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedBlock {
    /// The block.
    pub block: Block,
    /// Its quorum.
    pub certificate: Certificate,
}

impl SetQuorum {
    /// The size of the encoding in bytes.
    pub const SIZE: usize = 4 + 2 + 48;

    /// The keys of the signers; bits beyond the set are passed over.
    pub(crate) fn keys<'a>(&self, set: &'a AuthoritySet) -> impl Iterator<Item = &'a PublicKey> {
        let signers = self.signers;
        set.keys().iter().enumerate().filter(move |(i, _)| signers >> i & 1 == 1).map(|(_, key)| key)
    }

    /// Everything but the signature: the set is known, no bit is beyond it, the signers are a quorum.
    fn check_signers<'a>(&self, schedule: &'a Schedule) -> Result<&'a AuthoritySet, Invalid> {
        let set = schedule.set(self.set).expect("the required sets are the schedule's");
        if self.signers & !set.mask() != 0 {
            return Err(Invalid::Signers { set: self.set, size: set.len(), signers: self.signers });
        }
        let (got, quorum) = (self.signers.count_ones() as usize, set.quorum());
        if !quorum.reached_by(got) {
            return Err(Invalid::NoQuorum { set: self.set, quorum: quorum.get(), got });
        }
        Ok(set)
    }

    fn encode_into(&self, out: &mut [u8]) {
        out[..4].copy_from_slice(&self.set.0.to_le_bytes());
        out[4..6].copy_from_slice(&self.signers.to_le_bytes());
        out[6..].copy_from_slice(&self.signature);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Invalid> {
        Ok(Self { set: SetId(from.u32()?), signers: from.u16()?, signature: *from.array()? })
    }
}

impl Certificate {
    /// The size of the encoding in bytes.
    pub const SIZE: usize = 8 + 8 + 32 + SetQuorum::SIZE + 1 + SetQuorum::SIZE;

    /// Whether the required sets vouch for the block that it names. That this is the block at hand is [`Certificate::check_subject`].
    ///
    /// # Errors
    /// [`Invalid`]: provably the sender's fault.
    pub fn verify(&self, rules: &Rules, required: Required) -> Result<(), Invalid> {
        for (quorum, set) in self.check_quorums(rules.schedule(), required)? {
            let signature = Signature::from_bytes(&quorum.signature)?;
            let keys = KeySum::of(quorum.keys(set)).ok_or(Invalid::Signature { what: "certificate" })?;
            if !keys.verify(&self.message(rules.domain(), quorum.set), &signature) {
                return Err(Invalid::Signature { what: "certificate" });
            }
        }
        Ok(())
    }

    /// Whether it speaks of this block.
    ///
    /// # Errors
    /// [`Invalid::Subject`] or [`Invalid::Place`].
    pub fn check_subject(&self, header: &Header) -> Result<(), Invalid> {
        let block = header.id();
        if self.block != block {
            return Err(Invalid::Subject { expected: block, got: self.block });
        }
        if (self.slot, self.height) != (header.slot, header.height) {
            return Err(Invalid::Place {
                slot: header.slot,
                height: header.height,
                got_slot: self.slot,
                got_height: self.height,
            });
        }
        Ok(())
    }

    /// Everything but the signatures: the right sets, no bits beyond them, quorums. Gives each quorum with its set.
    pub(crate) fn check_quorums<'a>(
        &'a self,
        schedule: &'a Schedule,
        required: Required,
    ) -> Result<impl Iterator<Item = (&'a SetQuorum, &'a AuthoritySet)> + use<'a>, Invalid> {
        if self.quorum.set != required.own {
            return Err(Invalid::Set { slot: self.slot, expected: required.own, got: self.quorum.set });
        }
        let joint = self.joint.as_ref().map(|joint| joint.set);
        if joint != required.old {
            return Err(Invalid::Joint { expected: required.old, got: joint });
        }
        let own = self.quorum.check_signers(schedule)?;
        let old = match &self.joint {
            Some(joint) => Some((joint, joint.check_signers(schedule)?)),
            None => None,
        };
        Ok(core::iter::once((&self.quorum, own)).chain(old))
    }

    /// What the members of a set signed.
    #[must_use]
    pub fn message(&self, domain: &SigningDomain, set: SetId) -> [u8; SigningDomain::APPROVAL_BYTES] {
        domain.approval_message(set, self.slot, self.height, self.block)
    }

    /// Slot, height, block, quorum, then one byte (1 with a joint quorum, else 0) and the joint quorum or zeros; integers little-endian.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[..8].copy_from_slice(&self.slot.0.to_le_bytes());
        out[8..16].copy_from_slice(&self.height.0.to_le_bytes());
        out[16..48].copy_from_slice(self.block.as_bytes());
        self.quorum.encode_into(&mut out[48..102]);
        if let Some(joint) = &self.joint {
            out[102] = 1;
            joint.encode_into(&mut out[103..]);
        }
        out
    }

    /// What [`Certificate::encode`] wrote. The signatures are not looked at.
    ///
    /// # Errors
    /// [`Invalid::Length`], or [`Invalid::Malformed`] when it is no canonical encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        let mut from = Reader::sized("certificate", bytes, Self::SIZE)?;
        let (slot, height) = (Slot(from.u64()?), Height(from.u64()?));
        let (block, quorum) = (BlockId(*from.array()?), SetQuorum::read(&mut from)?);
        let joint = match from.u8()? {
            0 if from.array::<{ SetQuorum::SIZE }>()?.iter().all(|b| *b == 0) => None,
            1 => Some(SetQuorum::read(&mut from)?),
            _ => {
                return Err(Invalid::Malformed { what: "certificate", why: "joint quorum without its mark" });
            }
        };
        Ok(Self { slot, height, block, quorum, joint })
    }
}

impl CertifiedHeader {
    /// The size of the encoding in bytes.
    pub const SIZE: usize = Header::SIZE + Certificate::SIZE;

    /// Header, then certificate.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[..Header::SIZE].copy_from_slice(&self.header.encode());
        out[Header::SIZE..].copy_from_slice(&self.certificate.encode());
        out
    }

    /// What [`CertifiedHeader::encode`] wrote. Nothing is verified.
    ///
    /// # Errors
    /// [`Invalid::Length`] or [`Invalid::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        let mut from = Reader::sized("certified header", bytes, Self::SIZE)?;
        let header = Header::decode(from.bytes(Header::SIZE)?)?;
        let certificate = Certificate::decode(from.bytes(Certificate::SIZE)?)?;
        Ok(Self { header, certificate })
    }
}

#[cfg(test)]
mod tests;
