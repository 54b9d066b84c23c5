//! Proof that a block is final, for whoever holds nothing but genesis.
//!
//! A block is final with its ancestors once two certified blocks above it stand in consecutive slots. Which sets must vouch for a certificate
//! follows from the ancestry, of which a newcomer holds nothing; two blocks in consecutive slots *below* the block settle that as well, since the
//! lower of them is final to all that stands on both. So a proof is a linked range of certified headers that begins and ends with such a pair.
//!
//! - **Decides**: whether a range proves that one of its blocks is final, and the lineage of that block.
//! - **In**: certified headers, the rules, the time. **Out**: the block, ready to be stood on.
//! - **On failure**: a [`ProofFault`]; but for a header whose slot has not begun it is the fault of who served it.

use rand_core::CryptoRng;
use thiserror::Error;

use crate::batch::{self, Search};
use crate::certificate::{Certificate, CertifiedHeader};
use crate::error::{Early, Invalid};
use crate::header::Header;
use crate::lineage::Lineage;
use crate::rules::Rules;
use crate::time::UnixMillis;
use crate::verify::{self, Linked, Parent, RangeFault};

/// The shortest proof: a pair in consecutive slots, the block, its child in the next slot.
pub const LEAST_HEADERS: usize = 4;

/// The longest proof in headers: 17 KB. Pairs in consecutive slots are what finality lives from, so both are near wherever the chain is healthy; a
/// block that needs more is not offered.
pub const MOST_HEADERS: usize = 64;

/// A range of certified headers that proves one of them final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalityProof {
    /// The place of the block in `headers`.
    at: u8,
    /// Ascending, linked.
    headers: Vec<CertifiedHeader>,
}

/// A block that is proven to be final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvenFinal {
    /// Its header, with its own lineage.
    pub block: Parent,
    /// Its certificate.
    pub certificate: Certificate,
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProofFault {
    /// It does not begin or end with two blocks in consecutive slots, or the block stands outside of them.
    #[error("the range proves no block final")]
    Shape,
    /// One of its headers is provably wrong.
    #[error("{0}")]
    Header(#[from] RangeFault),
    /// A slot of it has not begun. Nobody's fault.
    #[error("{0}")]
    Early(Early),
}

impl FinalityProof {
    /// The longest encoding in bytes.
    pub const MAX_SIZE: usize = 1 + MOST_HEADERS * CertifiedHeader::SIZE;

    /// The shortest proof for the block at `at` that a linked range holds; `None` if it holds none.
    #[must_use]
    pub fn within(chain: &[CertifiedHeader], at: usize) -> Option<Self> {
        let pair = |i: usize| follows(&chain.get(i)?.header, &chain.get(i + 1)?.header).then_some(i);
        let start = (0..at.checked_sub(1)?).rev().find_map(pair)?;
        let end = (at..chain.len()).find_map(pair)? + 1;
        let headers = chain.get(start..=end).filter(|headers| headers.len() <= MOST_HEADERS)?.to_vec();
        Some(Self { at: u8::try_from(at - start).ok()?, headers })
    }

    /// The header that it is about.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.subject().header
    }

    /// The header with its certificate that it is about.
    #[must_use]
    pub fn subject(&self) -> &CertifiedHeader {
        &self.headers[usize::from(self.at)]
    }

    /// The place of the block, then the headers.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + self.headers.len() * CertifiedHeader::SIZE);
        out.push(self.at);
        self.headers.iter().for_each(|header| out.extend_from_slice(&header.encode()));
        out
    }

    /// What [`FinalityProof::encode`] wrote. Nothing but the sizes is checked.
    ///
    /// # Errors
    /// [`Invalid`]: malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        let malformed = |why| Invalid::Malformed { what: "finality proof", why };
        let (at, rest) = bytes.split_first().ok_or_else(|| malformed("it is empty"))?;
        let (headers, rest) = rest.as_chunks::<{ CertifiedHeader::SIZE }>();
        if !rest.is_empty() {
            return Err(malformed("it ends within a header"));
        }
        if !(LEAST_HEADERS..=MOST_HEADERS).contains(&headers.len()) {
            return Err(malformed("it has too few or too many headers"));
        }
        if usize::from(*at) >= headers.len() {
            return Err(malformed("its block is outside of it"));
        }
        let headers =
            headers.iter().map(|header| CertifiedHeader::decode(header)).collect::<Result<_, _>>()?;
        Ok(Self { at: *at, headers })
    }

    /// Checks the links and the certificates.
    ///
    /// # Errors
    /// [`ProofFault`].
    pub fn verify(
        &self,
        rules: &Rules,
        now: UnixMillis,
        rng: &mut impl CryptoRng,
    ) -> Result<ProvenFinal, ProofFault> {
        self.check_shape()?;
        let rest = &self.headers[2..];
        let settled = settle(rules, &self.headers)?;
        let offset = |fault: RangeFault| RangeFault { index: fault.index + 2, ..fault };
        let linked = verify::link_range(rules, &settled, rest, now).map_err(offset)?;
        if let Some(early) = linked.outcome.early {
            return Err(ProofFault::Early(early));
        }
        check_certificates(rules, rest, &linked, rng).map_err(offset)?;
        let (mut block, mut headers) = (settled, rest.iter());
        for header in headers.by_ref().take(usize::from(self.at) - 1) {
            block = block.child(header.header);
        }
        Ok(ProvenFinal { block, certificate: self.subject().certificate })
    }

    /// A pair, then the block and whatever is between, and a pair again that does not begin below the block.
    fn check_shape(&self) -> Result<(), ProofFault> {
        let (at, n) = (usize::from(self.at), self.headers.len());
        let pair = |i: usize| follows(&self.headers[i].header, &self.headers[i + 1].header);
        if n >= LEAST_HEADERS && at >= 2 && at + 1 < n && pair(0) && pair(n - 2) {
            Ok(())
        } else {
            Err(ProofFault::Shape)
        }
    }
}

/// The second of two linked headers in consecutive slots as the parent of what follows: what it says of the final slot is exact for its
/// children, as they settle on the first of the two.
///
/// # Errors
/// [`RangeFault`] when they are not linked.
///
/// # Panics
/// With fewer than two headers.
pub fn settle(rules: &Rules, headers: &[CertifiedHeader]) -> Result<Parent, RangeFault> {
    let (first, second) = (&headers[0].header, &headers[1].header);
    verify::check_child(rules, first.id(), first, second)
        .map_err(|invalid| RangeFault { index: 1, invalid })?;
    Ok(Parent { header: *second, lineage: Lineage::GENESIS.advance(first) })
}

/// Whether the slot of `second` is the one behind that of `first`.
#[must_use]
pub fn follows(first: &Header, second: &Header) -> bool {
    first.slot.next() == Some(second.slot)
}

fn check_certificates(
    rules: &Rules,
    headers: &[CertifiedHeader],
    linked: &Linked,
    rng: &mut impl CryptoRng,
) -> Result<(), RangeFault> {
    let entries: Vec<_> = linked.entries(headers).collect();
    match batch::verify(rules, &entries, Search::First, rng).faults.pop_first() {
        Some((index, invalid)) => Err(RangeFault { index, invalid }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
