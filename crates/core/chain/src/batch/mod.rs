//! Many certificates at once, for an eighth of what they cost one by one.
//!
//! Every signature is multiplied by a random 64-bit weight, and one product of pairings checks the weighted sum. Wrong signatures cancel out
//! with a probability of 2^-64, as the weights are drawn after the batch is fixed. Equal keys share a pairing: the weighted message hashes
//! are summed by signer set, and, where there are more signer sets than authorities, by authority ([`sums`]). Weights do not replace the
//! subgroup check, which every signature still gets.
//!
//! - **Decides**: which certificates of a batch are valid. **In**: certificates of one peer (a batch never mixes peers: a guilty one would
//!   make the honest ones' wait), randomness. **Out**: the bad ones, each with its fault.
//! - **On failure** of a sum: halves are checked with fresh weights until the bad ones are found; one bad in 256 takes 17 sums at most.

mod prepare;
mod sums;

use std::collections::BTreeMap;

use rand_core::CryptoRng;

use crate::certificate::Certificate;
use crate::error::Invalid;
use crate::lineage::Required;
use crate::rules::Rules;

use prepare::{Prepared, Statement};
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

/// Verifies all certificates. The weights are 8 bytes of `rng` for each quorum and each halving; outside of simulations it must be the
/// system's.
pub fn verify(rules: &Rules, entries: &[Entry<'_>], search: Search, rng: &mut impl CryptoRng) -> Verdict {
    let (prepared, mut faults) = prepare::prepare(rules, entries);
    if search == Search::First {
        // What a sum finds before the first malformed one still comes first.
        faults = faults.into_iter().take(1).collect();
    }
    let before = faults.keys().next().copied().filter(|_| search == Search::First);
    let mut bisection = Bisection {
        prepared: &prepared,
        sums: Sums::new(rules.schedule()),
        search,
        rng,
        found: Verdict::default(),
    };
    let sound = prepared.statements.partition_point(|s| before.is_none_or(|b| s.entry < b));
    bisection.judge(&prepared.statements[..sound], Known::Nothing);
    let mut verdict = bisection.found;
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
    prepared: &'a Prepared,
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
        self.sums.hold(self.prepared, part, self.rng)
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
