//! The chain's fixed-size types as bytes.

use alys_chain::{
    Approval, AuthorityIndex, BlockId, Certificate, CertifiedHeader, Hash, Header, Height, SetId, SetQuorum,
    Slot,
};
use bytes::{BufMut, BytesMut};

use crate::limits::MAX_CERTIFIED_HEADER_BYTES;
use crate::malformed::Malformed;
use crate::ssz::{Fields, at_most};

/// Set id, signers, signature.
const QUORUM_BYTES: usize = 4 + 2 + 48;
/// Slot, height, block id, one quorum.
const CERTIFICATE_BYTES: usize = 8 + 8 + 32 + QUORUM_BYTES;
/// With the quorum of the old set.
pub(crate) const MAX_CERTIFICATE_BYTES: usize = CERTIFICATE_BYTES + QUORUM_BYTES;
/// Set id, slot, height, block id, authority, signature.
pub(crate) const APPROVAL_BYTES: usize = 4 + 8 + 8 + 32 + 1 + 48;

/// The header at the front.
pub(crate) fn header(fields: &mut Fields<'_>) -> Result<Header, Malformed> {
    Ok(Header {
        height: Height(fields.u64()?),
        slot: Slot(fields.u64()?),
        parent: BlockId(fields.array()?),
        body_root: Hash(fields.array()?),
        state_root: Hash(fields.array()?),
        proposer: AuthorityIndex(fields.u8()?),
    })
}

/// The approval at the front.
pub(crate) fn approval(fields: &mut Fields<'_>) -> Result<Approval, Malformed> {
    Ok(Approval {
        set: SetId(fields.u32()?),
        slot: Slot(fields.u64()?),
        height: Height(fields.u64()?),
        block: BlockId(fields.array()?),
        authority: AuthorityIndex(fields.u8()?),
        signature: fields.array()?,
    })
}

pub(crate) fn put_approval(out: &mut BytesMut, approval: &Approval) {
    out.put_u32_le(approval.set.0);
    out.put_u64_le(approval.slot.0);
    out.put_u64_le(approval.height.0);
    out.put_slice(approval.block.as_bytes());
    out.put_u8(approval.authority.0);
    out.put_slice(&approval.signature);
}

fn quorum(fields: &mut Fields<'_>) -> Result<SetQuorum, Malformed> {
    let set = SetId(fields.u32()?);
    let signers = u16::from_le_bytes(fields.array()?);
    Ok(SetQuorum { set, signers, signature: fields.array()? })
}

fn put_quorum(out: &mut BytesMut, quorum: &SetQuorum) {
    out.put_u32_le(quorum.set.0);
    out.put_u16_le(quorum.signers);
    out.put_slice(&quorum.signature);
}

/// The certificate that `bytes` consist of.
pub(crate) fn certificate(bytes: &[u8]) -> Result<Certificate, Malformed> {
    let mut fields = Fields::new("certificate", bytes);
    let (slot, height) = (Slot(fields.u64()?), Height(fields.u64()?));
    let block = BlockId(fields.array()?);
    let first = quorum(&mut fields)?;
    let joint = if fields.rest().is_empty() { None } else { Some(quorum(&mut fields)?) };
    fields.end()?;
    Ok(Certificate { slot, height, block, quorum: first, joint })
}

pub(crate) fn put_certificate(out: &mut BytesMut, certificate: &Certificate) {
    out.put_u64_le(certificate.slot.0);
    out.put_u64_le(certificate.height.0);
    out.put_slice(certificate.block.as_bytes());
    put_quorum(out, &certificate.quorum);
    if let Some(joint) = &certificate.joint {
        put_quorum(out, joint);
    }
}

/// The header and certificate that `bytes` consist of.
pub(crate) fn certified_header(bytes: &[u8]) -> Result<CertifiedHeader, Malformed> {
    at_most("certified header", MAX_CERTIFIED_HEADER_BYTES, bytes.len())?;
    let mut fields = Fields::new("header", bytes);
    Ok(CertifiedHeader { header: header(&mut fields)?, certificate: certificate(fields.rest())? })
}

pub(crate) fn put_certified_header(out: &mut BytesMut, certified: &CertifiedHeader) {
    out.put_slice(&certified.header.encode());
    put_certificate(out, &certified.certificate);
}
