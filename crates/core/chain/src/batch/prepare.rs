//! What must be done once for every certificate, however often it is summed: signers checked, the signature decoded and in the subgroup,
//! the message hashed to the curve.

use std::collections::BTreeMap;

use blst::{blst_p1, blst_p1_affine, min_sig, p1_affines};

use super::Entry;
use crate::bls::{MESSAGE_DST, Signature, hash_to_g1};
use crate::error::Invalid;
use crate::ids::SetId;
use crate::rules::Rules;

/// The members of one set say that they signed one message. A certificate has one statement, or two while a set changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// The certificate's position in the batch.
    pub(super) entry: usize,
    /// Where its points are.
    pub(super) at: usize,
    pub(super) set: SetId,
    pub(super) signers: u16,
}

/// The statements of all certificates that are well-formed, in order; points of statement `i` at position `i`.
pub(super) struct Prepared {
    pub(super) statements: Vec<Statement>,
    pub(super) signatures: Vec<min_sig::Signature>,
    pub(super) hashes: Vec<blst_p1_affine>,
}

/// The statements, and the entries that need no sum to be refused.
pub(super) fn prepare(rules: &Rules, entries: &[Entry<'_>]) -> (Prepared, BTreeMap<usize, Invalid>) {
    let mut prepared = Prepared { statements: Vec::new(), signatures: Vec::new(), hashes: Vec::new() };
    let (mut hashes, mut faults) = (Vec::new(), BTreeMap::new());
    for (i, entry) in entries.iter().enumerate() {
        let before = prepared.statements.len();
        if let Err(fault) = add(&mut prepared, &mut hashes, rules, (i, entry)) {
            prepared.statements.truncate(before);
            prepared.signatures.truncate(before);
            hashes.truncate(before);
            faults.insert(i, fault);
        }
    }
    if !hashes.is_empty() {
        // One inversion for all of them.
        prepared.hashes = p1_affines::from(&hashes).as_slice().to_vec();
    }
    (prepared, faults)
}

fn add(
    to: &mut Prepared,
    hashes: &mut Vec<blst_p1>,
    rules: &Rules,
    (entry, Entry { certificate, required }): (usize, &Entry<'_>),
) -> Result<(), Invalid> {
    for (quorum, _) in certificate.check_quorums(rules.schedule(), *required)? {
        let signature = Signature::from_bytes(&quorum.signature)?;
        let (at, set, signers) = (to.statements.len(), quorum.set, quorum.signers);
        to.statements.push(Statement { entry, at, set, signers });
        to.signatures.push(*signature.point());
        hashes.push(hash_to_g1(&certificate.message(rules.domain(), set), MESSAGE_DST));
    }
    Ok(())
}
