//! The rules that a header keeps, alone and in a range.
//!
//! - **Decides**: whether headers are valid on a known parent. Bodies are checked by [`Block::check_body`](crate::block::Block::check_body),
//!   state roots by the ledger.
//! - **In**: headers with their certificates, the parent, the time. **Out**: the parent of what comes next, or which header is at fault.
//! - **On failure**: a provable fault names its header; a header whose slot has not begun only ends the range.

use rand_core::CryptoRng;
use thiserror::Error;

use crate::batch::{self, Entry, Search};
use crate::certificate::CertifiedHeader;
use crate::error::{Early, Invalid};
use crate::header::Header;
use crate::ids::BlockId;
use crate::lineage::{Lineage, Required};
use crate::rules::Rules;
use crate::time::UnixMillis;

/// A valid header with its lineage: all that must be known to check its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The header.
    pub header: Header,
    /// Its own lineage.
    pub lineage: Lineage,
}

impl Parent {
    /// Where every chain begins.
    #[must_use]
    pub const fn genesis(rules: &Rules) -> Self {
        Self { header: *rules.genesis(), lineage: Lineage::GENESIS }
    }

    /// A child of this block as the parent of its own children. Nothing is checked.
    #[must_use]
    pub fn child(&self, header: Header) -> Self {
        Self { header, lineage: self.lineage.advance(&self.header) }
    }

    /// Whose quorums the certificate of a child in this slot must show.
    #[must_use]
    pub fn required(&self, rules: &Rules, child: &Header) -> Required {
        self.lineage.advance(&self.header).required(rules.schedule(), child.slot)
    }
}

/// The rules that a header breaks or keeps by itself: its author, and that each block takes a slot (so no height is above its slot).
///
/// # Errors
/// The provable fault.
pub fn check_header(rules: &Rules, header: &Header) -> Result<(), Invalid> {
    if header.height.0 > header.slot.0 {
        return Err(Invalid::HeightAboveSlot { height: header.height, slot: header.slot });
    }
    let expected = rules.schedule().proposer(header.slot);
    if header.proposer != expected {
        return Err(Invalid::Proposer { slot: header.slot, expected, got: header.proposer });
    }
    Ok(())
}

/// [`check_header`], and that it stands on this parent, whose hash is `expected`: who checks many knows it from the one before.
///
/// # Errors
/// The provable fault.
pub fn check_child(
    rules: &Rules,
    expected: BlockId,
    parent: &Header,
    header: &Header,
) -> Result<(), Invalid> {
    if header.parent != expected {
        return Err(Invalid::Parent { expected, got: header.parent });
    }
    if Some(header.height) != parent.height.next() {
        return Err(Invalid::Height { parent: parent.height, got: header.height });
    }
    if header.slot <= parent.slot {
        return Err(Invalid::SlotOrder { parent: parent.slot, got: header.slot });
    }
    check_header(rules, header)
}

/// Whether the header's slot has begun. (With [`check_header`] no height is then above what the slot clock allows.)
///
/// # Errors
/// [`Early`]: nobody's fault.
pub fn check_time(rules: &Rules, header: &Header, now: UnixMillis) -> Result<(), Early> {
    if rules.slot_at(now).is_some_and(|slot| header.slot <= slot) {
        return Ok(());
    }
    Err(Early { slot: header.slot, starts: rules.start_of(header.slot), now })
}

/// A range that is valid, as far as its slots have begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many of the headers are valid: all of them, unless one is early.
    pub count: usize,
    /// The last of them (or the parent, if there are none): the parent of what comes next.
    pub last: Parent,
    /// Why the range ends before its end.
    pub early: Option<Early>,
}

/// The first header of a range that is provably at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("header {index} of the range: {invalid}")]
pub struct RangeFault {
    /// Its position. If its certificate is at fault, all headers before it are valid; if its link is, their certificates were not checked.
    pub index: usize,
    /// What is wrong with it.
    pub invalid: Invalid,
}

/// A range whose links are right: everything but the certificates is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// What the range comes to if the certificates are valid as well.
    pub outcome: Verified,
    /// Whose quorums each certificate must show; as many as the outcome counts.
    pub required: Vec<Required>,
}

impl Linked {
    /// What is left to check, for one batch or, cut in pieces, for several cores. `headers` are those that were linked.
    pub fn entries<'a>(&'a self, headers: &'a [CertifiedHeader]) -> impl Iterator<Item = Entry<'a>> {
        headers
            .iter()
            .zip(&self.required)
            .map(|(header, required)| Entry { certificate: &header.certificate, required: *required })
    }
}

/// Checks the links of a range on a valid parent: hashes, places, authors, time, and that each certificate is for its header. Costs next to
/// nothing, so it comes before the certificates.
///
/// # Errors
/// [`RangeFault`] names the first header that whoever served the range is to blame for.
pub fn link_range(
    rules: &Rules,
    parent: &Parent,
    headers: &[CertifiedHeader],
    now: UnixMillis,
) -> Result<Linked, RangeFault> {
    let mut outcome = Verified { count: 0, last: *parent, early: None };
    let mut required = Vec::with_capacity(headers.len());
    // Each header is hashed once: its certificate has its hash when the two belong together.
    let mut last_id = parent.header.id();
    for (index, CertifiedHeader { header, certificate }) in headers.iter().enumerate() {
        let last = &outcome.last;
        check_child(rules, last_id, &last.header, header)
            .and_then(|()| certificate.check_subject(header))
            .map_err(|invalid| RangeFault { index, invalid })?;
        if let Err(early) = check_time(rules, header, now) {
            outcome.early = Some(early);
            break;
        }
        required.push(last.required(rules, header));
        (last_id, outcome.last) = (certificate.block, last.child(*header));
        outcome.count = index + 1;
    }
    Ok(Linked { outcome, required })
}

/// Verifies a range of headers on a valid parent: [`link_range`], then all certificates in one batch.
///
/// # Errors
/// [`RangeFault`] names the first header that whoever served the range is to blame for.
pub fn verify_range(
    rules: &Rules,
    parent: &Parent,
    headers: &[CertifiedHeader],
    now: UnixMillis,
    rng: &mut impl CryptoRng,
) -> Result<Verified, RangeFault> {
    let linked = link_range(rules, parent, headers, now)?;
    let entries: Vec<Entry<'_>> = linked.entries(headers).collect();
    match batch::verify(rules, &entries, Search::First, rng).faults.pop_first() {
        Some((index, invalid)) => Err(RangeFault { index, invalid }),
        None => Ok(linked.outcome),
    }
}

#[cfg(test)]
mod tests;
