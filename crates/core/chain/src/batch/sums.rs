//! One weighted sum of statements, and the product of pairings that it is checked with.
//!
//! Statements hold if e(sum of w*signature, g2) is the product of e(sum of w*hash, keys) over the groups of statements with equal keys. A
//! group is a signer set, or, where there are more signer sets than authorities, all statements of one authority: so no authority set takes
//! more than 15 pairings, and the signatures one.

use std::collections::BTreeMap;

use blst::min_sig::AggregateSignature;
use blst::{Pairing, blst_fp12, blst_p1, blst_p1_affine, blst_p2_affine, p1_affines};
use blstrs::G1Projective;

use super::combination::{Terms, add_groups, put_together};
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
/// From so many signer sets on their sums are added place by place, and put together by authority: a sum takes 68 doublings, which 15 authorities need
/// but once each, but an addition is 17 then.
const WORTH_ADDING_PLACES: usize = 4 * MAX_AUTHORITIES;

/// The positions of the statements that one signer set made.
type BySigners = BTreeMap<u16, Vec<usize>>;

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
        // Which statements one signer set made.
        let mut by_set: BTreeMap<SetId, BySigners> = BTreeMap::new();
        for (i, statement) in part.iter().enumerate() {
            by_set.entry(statement.set).or_default().entry(statement.signers).or_default().push(i);
        }
        let terms = Terms::new(part.iter().map(|statement| statement.hash), &weighted.weights);
        let mut pairs = Pairs::default();
        for (id, by_signers) in by_set {
            let set = self.schedule.set(id).expect("the sets were looked up when the batch was prepared");
            if by_signers.len() <= set.len() {
                self.pair_by_signers(&mut pairs, set, by_signers, &terms);
            } else {
                pair_by_authority(&mut pairs, set, by_signers, &terms);
            }
        }
        pairs.equal(&weighted.signatures)
    }

    fn pair_by_signers(
        &mut self,
        pairs: &mut Pairs,
        set: &AuthoritySet,
        by_signers: BySigners,
        terms: &Terms,
    ) {
        let (signers, groups): (Vec<u16>, Vec<_>) = by_signers.into_iter().unzip();
        for (signers, sum) in signers.into_iter().zip(terms.sum_groups(&groups)) {
            let keys = *self.keys.entry((set.id(), signers)).or_insert_with(|| sum_keys(set, signers));
            pairs.push(keys, &put_together(&sum));
        }
    }
}

impl Pairs {
    /// Pairs with the identity are one, and left out.
    fn push(&mut self, keys: blst_p2_affine, sum: &G1Projective) {
        let sum = *sum.as_ref();
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

/// One pair for each authority: with the sum of all statements that have its name.
fn pair_by_authority(pairs: &mut Pairs, set: &AuthoritySet, by_signers: BySigners, terms: &Terms) {
    let (signers, groups): (Vec<u16>, Vec<_>) = by_signers.into_iter().unzip();
    let sums = terms.sum_groups(&groups);
    let sums: Vec<G1Projective> = if sums.len() < WORTH_ADDING_PLACES {
        let sums: Vec<_> = sums.iter().map(put_together).collect();
        by_authority(set, &signers, &sums, |lists| {
            lists.iter().map(|list| list.iter().copied().sum()).collect()
        })
    } else {
        by_authority(set, &signers, &sums, add_groups).iter().map(put_together).collect()
    };
    set.keys().iter().zip(&sums).for_each(|(key, sum)| pairs.push(key.point(), sum));
}

/// From the sum of each signer set that of each authority: first by the pattern of signers within each block of five.
fn by_authority<T>(
    set: &AuthoritySet,
    signers: &[u16],
    sums: &[T],
    add: impl Fn(&[Vec<&T>]) -> Vec<T>,
) -> Vec<T> {
    let blocks = MAX_AUTHORITIES.div_ceil(BLOCK);
    let with_pattern = |block: usize, pattern: usize| -> Vec<&T> {
        let has_pattern = |signers: u16| usize::from(signers >> (block * BLOCK)) % PATTERNS == pattern;
        signers.iter().zip(sums).filter(|(signers, _)| has_pattern(**signers)).map(|(_, sum)| sum).collect()
    };
    let patterns = (0..blocks).flat_map(|block| (0..PATTERNS).map(move |pattern| (block, pattern)));
    let patterns: Vec<_> = patterns.map(|(block, pattern)| with_pattern(block, pattern)).collect();
    let by_pattern = add(&patterns);
    let of = |authority: usize| -> Vec<&T> {
        let sums = by_pattern.iter().enumerate().skip(authority / BLOCK * PATTERNS).take(PATTERNS);
        sums.filter(|(pattern, _)| pattern >> (authority % BLOCK) & 1 == 1).map(|(_, sum)| sum).collect()
    };
    add(&(0..set.len()).map(of).collect::<Vec<_>>())
}
