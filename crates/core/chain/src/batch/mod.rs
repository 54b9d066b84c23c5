//! Many certificates at once, for a ninth of what they cost one by one.
//!
//! Every signature is multiplied by a random weight, a number below 2^64 and a sign, and one product of pairings checks the weighted sum. Wrong
//! signatures cancel out with a probability below 2^-64, as the weights are drawn after the batch is fixed. Equal keys share a pairing: the
//! weighted message hashes are summed by signer set, and, where there are more signer sets than authorities, by authority ([`sums`]). A weighted
//! sum does not replace the subgroup check; that is made for sums as well, by the digits of the weights ([`membership`], ADR 6).
//!
//! - **Decides**: which certificates of a batch are valid. **In**: certificates of one peer (a batch never mixes peers: a guilty one would
//!   make the honest ones' wait), randomness. **Out**: the bad ones, each with its fault.
//! - **On failure** of a sum: halves are checked with fresh weights until the bad ones are found; one bad in 256 takes 17 sums at most.

mod combination;
mod membership;
mod prepare;
mod sums;
mod weights;

use std::collections::BTreeMap;

use blst::blst_p1_affine;
use rand_core::CryptoRng;

use crate::certificate::Certificate;
use crate::error::Invalid;
use crate::lineage::Required;
use crate::rules::Rules;

use membership::Weighted;
use prepare::Statement;
use sums::Sums;

/// A certificate, and whose quorums it must show.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The certificate.
    pub certificate: &'a Certificate,
    /// From the lineage of its block.
    pub required: Required,
}

/// What a batch came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The bad certificates by their position in the batch, each with its fault.
    pub faults: BTreeMap<usize, Invalid>,
    /// How many weighted sums were checked: 1 if all is well.
    pub sums: u32,
}

/// When the search for bad certificates ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// At the first of them (by position): enough where nothing behind it counts. At most 9 sums for 256 certificates.
    First,
    /// When all are found. Up to two sums for each bad one and each halving above it: not for peers that may send bad ones only.
    All,
}

/// Verifies all certificates. The weights are 9 bytes of `rng` for each quorum and each halving, now and then 18; outside of simulations it
/// must be the system's.
pub fn verify(rules: &Rules, entries: &[Entry<'_>], search: Search, rng: &mut impl CryptoRng) -> Verdict {
    let (mut statements, mut faults) = prepare::prepare(rules, entries, search);
    let weighted = membership::check(&mut statements, &mut faults, search, rng);
    let sums = Sums::new(rules.schedule());
    let mut bisection = Bisection { weighted, sums, search, rng, found: Verdict::default() };
    bisection.judge(&statements, Known::Nothing);
    let mut verdict = bisection.found;
    // What a sum finds is before the first entry that was refused without one, if that ended the search.
    if search == Search::All || verdict.faults.is_empty() {
        verdict.faults.append(&mut faults);
    }
    verdict
}

/// What is known of a part before it is checked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    /// The whole failed and the other half is good.
    Bad,
}

struct Bisection<'a, R> {
    /// The sum of all, if it is known before the first check.
    weighted: Option<Weighted>,
    sums: Sums<'a>,
    search: Search,
    rng: &'a mut R,
    found: Verdict,
}

impl<R: CryptoRng> Bisection<'_, R> {
    /// Finds the bad ones among the statements of some entries.
    fn judge(&mut self, part: &[Statement], known: Known) {
        if part.is_empty() || known == Known::Nothing && self.holds(part) {
            return;
        }
        let (left, right) = halve(part);
        if right.is_empty() {
            self.found.faults.insert(part[0].entry, Invalid::Signature { what: "certificate" });
            return;
        }
        if self.holds(left) {
            return self.judge(right, Known::Bad);
        }
        self.judge(left, Known::Bad);
        if self.search == Search::All {
            self.judge(right, Known::Nothing);
        }
    }

    fn holds(&mut self, part: &[Statement]) -> bool {
        self.found.sums += 1;
        let weighted = self.weighted.take().unwrap_or_else(|| {
            let signatures: Vec<blst_p1_affine> = part.iter().map(|statement| statement.signature).collect();
            Weighted::draw(&signatures, self.rng)
        });
        self.sums.hold(part, &weighted)
    }
}

/// Two halves, no entry in both; all in the left one if there is only one entry.
fn halve(part: &[Statement]) -> (&[Statement], &[Statement]) {
    let first = part[0].entry;
    // Entries may be missing between them, or be there twice: cut at the middle statement, then at an entry's edge.
    let middle = part[part.len() / 2].entry.max(first + 1);
    part.split_at(part.partition_point(|s| s.entry < middle))
}

#[cfg(test)]
mod tests;
