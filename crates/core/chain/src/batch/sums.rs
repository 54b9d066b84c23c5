//! One weighted sum of statements, and the product of pairings that it is checked with.
//!
//! Statements hold if e(sum of w*signature, g2) is the product of e(sum of w*hash, keys) over the groups of statements with equal keys. A
//! group is a signer set, or, where there are more signer sets than authorities, all statements of one authority: so no authority set takes
//! more than 15 pairings, and the signatures one.

use std::collections::BTreeMap;

use blst::min_sig::AggregateSignature;
use blst::{Pairing, blst_fp12, blst_p1, blst_p1_affine, blst_p2_affine, p1_affines};

use super::combination::{Group, combinations};
use super::membership::Weighted;
use super::prepare::Statement;
use crate::bls::{KeySum, clear_cofactor};
use crate::ids::SetId;
use crate::limits::MAX_AUTHORITIES;
use crate::schedule::{AuthoritySet, Schedule};

/// Authorities a block of the per-authority sums: three blocks of five have 31 patterns each, so a statement is added three times, not up
/// to fifteen times.
const BLOCK: usize = 5;
const PATTERNS: usize = 1 << BLOCK;

/// Sums of keys, kept for the whole batch.
pub(super) struct Sums<'a> {
    schedule: &'a Schedule,
    keys: BTreeMap<(SetId, u16), blst_p2_affine>,
}

/// What is multiplied in the end.
#[derive(Default)]
struct Pairs {
    keys: Vec<blst_p2_affine>,
    /// Their cofactor is not cleared yet.
    hashes: Vec<blst_p1>,
}

impl<'a> Sums<'a> {
    pub(super) fn new(schedule: &'a Schedule) -> Self {
        Self { schedule, keys: BTreeMap::new() }
    }

    /// Whether all statements, for which these weights were drawn, hold. Wrong ones pass with a probability of 3^-41; right ones always do.
    pub(super) fn hold(&mut self, part: &[Statement], weighted: &Weighted) -> bool {
        // The hashes under which one signer set put its name.
        let mut groups: BTreeMap<(SetId, u16), Group> = BTreeMap::new();
        for (statement, weight) in part.iter().zip(&weighted.weights) {
            let group = groups.entry((statement.set, statement.signers)).or_default();
            group.points.push(statement.hash);
            group.weights.push(*weight);
        }
        let mut by_set: BTreeMap<SetId, Vec<(u16, AggregateSignature)>> = BTreeMap::new();
        let (names, groups): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        for ((set, signers), sum) in names.into_iter().zip(combinations(&groups)) {
            by_set.entry(set).or_default().push((signers, sum.into()));
        }
        let mut pairs = Pairs::default();
        for (id, sums) in &by_set {
            let set = self.schedule.set(*id).expect("the sets were looked up when the batch was prepared");
            if sums.len() <= set.len() {
                self.pair_by_signers(&mut pairs, set, sums);
            } else {
                pair_by_authority(&mut pairs, set, sums);
            }
        }
        pairs.equal(&weighted.signatures)
    }

    fn pair_by_signers(&mut self, pairs: &mut Pairs, set: &AuthoritySet, sums: &[(u16, AggregateSignature)]) {
        for (signers, sum) in sums {
            let keys = *self.keys.entry((set.id(), *signers)).or_insert_with(|| sum_keys(set, *signers));
            pairs.push(keys, sum);
        }
    }
}

impl Pairs {
    /// Pairs with the identity are one, and left out.
    fn push(&mut self, keys: blst_p2_affine, sum: &AggregateSignature) {
        let sum = blst_p1::from(*sum);
        if keys != blst_p2_affine::default() && sum != blst_p1::default() {
            self.keys.push(keys);
            self.hashes.push(sum);
        }
    }

    /// Whether their product is the pairing of the signatures with the generator.
    fn equal(&self, signatures: &blst_p1) -> bool {
        let mut expected = blst_fp12::default();
        let signatures = AggregateSignature::from(*signatures).to_signature();
        Pairing::aggregated(&mut expected, &blst_p1_affine::from(signatures));
        let product = if self.keys.is_empty() {
            blst_fp12::default()
        } else {
            blst_fp12::miller_loop_n(&self.keys, &self.cleared())
        };
        blst_fp12::finalverify(&product, &expected)
    }

    fn cleared(&self) -> Vec<blst_p1_affine> {
        let cleared: Vec<blst_p1> =
            p1_affines::from(&self.hashes).as_slice().iter().map(clear_cofactor).collect();
        p1_affines::from(&cleared).as_slice().to_vec()
    }
}

fn sum_keys(set: &AuthoritySet, signers: u16) -> blst_p2_affine {
    let members = set.keys().iter().enumerate().filter(|(i, _)| signers >> i & 1 == 1);
    KeySum::of(members.map(|(_, key)| key)).map_or_else(blst_p2_affine::default, |sum| sum.point())
}

/// Sums by authority: first by the pattern of signers within each block of five, then the patterns of each authority.
fn pair_by_authority(pairs: &mut Pairs, set: &AuthoritySet, sums: &[(u16, AggregateSignature)]) {
    for block in 0..MAX_AUTHORITIES.div_ceil(BLOCK) {
        let mut patterns: [Option<AggregateSignature>; PATTERNS] = [None; PATTERNS];
        for (signers, sum) in sums {
            add_to(&mut patterns[usize::from(signers >> (block * BLOCK)) % PATTERNS], sum);
        }
        let members = set.keys().iter().enumerate().skip(block * BLOCK).take(BLOCK);
        for (authority, key) in members {
            let bit = 1 << (authority % BLOCK);
            let mut total = None;
            let holding = patterns.iter().enumerate().filter(|(pattern, _)| pattern & bit != 0);
            holding.filter_map(|(_, sum)| sum.as_ref()).for_each(|sum| add_to(&mut total, sum));
            if let Some(total) = total {
                pairs.push(key.point(), &total);
            }
        }
    }
}

fn add_to(total: &mut Option<AggregateSignature>, sum: &AggregateSignature) {
    match total {
        Some(total) => total.add_aggregate(sum),
        None => *total = Some(*sum),
    }
}
