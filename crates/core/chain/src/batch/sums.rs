//! One weighted sum of statements, and the product of pairings that it is checked with.
//!
//! Statements hold if e(sum of w*signature, g2) is the product of e(sum of w*hash, keys) over the groups of statements with equal keys. A
//! group is a signer set, or, where there are more signer sets than authorities, all statements of one authority: so no authority set takes
//! more than 15 pairings, and the signatures one.

use std::collections::BTreeMap;

use blst::min_sig::AggregateSignature;
use blst::{MultiPoint, Pairing, blst_fp12, blst_p1_affine, blst_p2_affine};
use rand_core::CryptoRng;

use super::prepare::{Prepared, Statement};
use crate::bls::KeySum;
use crate::ids::SetId;
use crate::limits::MAX_AUTHORITIES;
use crate::schedule::{AuthoritySet, Schedule};

/// The bytes of a weight. Not fewer: 64 bits are the chance of a forger, once. Not more: the sums take time in proportion.
const WEIGHT_BYTES: usize = 8;

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
    hashes: Vec<blst_p1_affine>,
}

impl<'a> Sums<'a> {
    pub(super) fn new(schedule: &'a Schedule) -> Self {
        Self { schedule, keys: BTreeMap::new() }
    }

    /// Whether all statements hold. Wrong ones pass with a probability of 2^-64; right ones always do. `part` is a run of the statements.
    pub(super) fn hold(&mut self, all: &Prepared, part: &[Statement], rng: &mut impl CryptoRng) -> bool {
        let first = part[0].at;
        let weights = draw_weights(part.len(), rng);
        let signatures = all.signatures[first..first + part.len()].mult(&weights, 8 * WEIGHT_BYTES);
        let mut groups: BTreeMap<(SetId, u16), Group> = BTreeMap::new();
        for (statement, weight) in part.iter().zip(weights.chunks_exact(WEIGHT_BYTES)) {
            let group = groups.entry((statement.set, statement.signers)).or_default();
            group.hashes.push(all.hashes[statement.at]);
            group.weights.extend_from_slice(weight);
        }
        let mut by_set: BTreeMap<SetId, Vec<(u16, AggregateSignature)>> = BTreeMap::new();
        for ((set, signers), group) in groups {
            by_set.entry(set).or_default().push((signers, group.sum()));
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
        pairs.equal(&signatures)
    }

    fn pair_by_signers(&mut self, pairs: &mut Pairs, set: &AuthoritySet, sums: &[(u16, AggregateSignature)]) {
        for (signers, sum) in sums {
            let keys = *self.keys.entry((set.id(), *signers)).or_insert_with(|| sum_keys(set, *signers));
            pairs.push(keys, sum);
        }
    }
}

/// The hashes under which one signer set put its name.
#[derive(Default)]
struct Group {
    hashes: Vec<blst_p1_affine>,
    weights: Vec<u8>,
}

impl Group {
    fn sum(&self) -> AggregateSignature {
        self.hashes.mult(&self.weights, 8 * WEIGHT_BYTES).into()
    }
}

impl Pairs {
    /// Pairs with the identity are one, and left out.
    fn push(&mut self, keys: blst_p2_affine, sum: &AggregateSignature) {
        let hashes: blst_p1_affine = sum.to_signature().into();
        if keys != blst_p2_affine::default() && hashes != blst_p1_affine::default() {
            self.keys.push(keys);
            self.hashes.push(hashes);
        }
    }

    /// Whether their product is the pairing of the signatures with the generator.
    fn equal(&self, signatures: &AggregateSignature) -> bool {
        let mut expected = blst_fp12::default();
        let signatures: blst_p1_affine = signatures.to_signature().into();
        Pairing::aggregated(&mut expected, &signatures);
        let product = if self.keys.is_empty() {
            blst_fp12::default()
        } else {
            blst_fp12::miller_loop_n(&self.keys, &self.hashes)
        };
        blst_fp12::finalverify(&product, &expected)
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

/// Nonzero weights, little-endian.
fn draw_weights(n: usize, rng: &mut impl CryptoRng) -> Vec<u8> {
    let mut weights = vec![0; n * WEIGHT_BYTES];
    rng.fill_bytes(&mut weights);
    for weight in weights.chunks_exact_mut(WEIGHT_BYTES) {
        while weight.iter().all(|b| *b == 0) {
            rng.fill_bytes(weight);
        }
    }
    weights
}
