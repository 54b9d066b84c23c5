//! What must be done once for every certificate, however often it is summed: signers checked, the signature decoded, the message hashed to the
//! curve. Whether the signatures are in the subgroup comes after it ([`super::membership`]).

use std::collections::BTreeMap;

use blst::{blst_p1_affine, p1_affines};

use super::{Entry, Search};
use crate::bls::{MESSAGE_DST, Signature, hash_without_clearing};
use crate::error::Invalid;
use crate::ids::SetId;
use crate::rules::{Rules, SigningDomain};

/// The members of one set say that they signed one message. A certificate has one statement, or two while a set changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    /// The certificate's position in the batch.
    pub(super) entry: usize,
    pub(super) set: SetId,
    pub(super) signers: u16,
    pub(super) signature: blst_p1_affine,
    /// The hash of the message, its cofactor not cleared: that is done for sums of them.
    pub(super) hash: blst_p1_affine,
}

type Message = [u8; SigningDomain::APPROVAL_BYTES];

/// The statements in the order of their entries, and the entries that are refused as they are. Where only the first fault counts, nothing
/// behind it is looked at.
pub(super) fn prepare(
    rules: &Rules,
    entries: &[Entry<'_>],
    search: Search,
) -> (Vec<Statement>, BTreeMap<usize, Invalid>) {
    let (mut statements, mut messages, mut faults) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (i, entry) in entries.iter().enumerate() {
        match read(rules, i, entry) {
            Ok(read) => read.into_iter().for_each(|(statement, message)| {
                statements.push(statement);
                messages.push(message);
            }),
            Err(fault) => {
                faults.insert(i, fault);
                if search == Search::First {
                    break;
                }
            }
        }
    }
    if !statements.is_empty() {
        // One inversion for all of them.
        let hashes = p1_affines::from(&hash_without_clearing(&messages, MESSAGE_DST));
        statements.iter_mut().zip(hashes.as_slice()).for_each(|(statement, hash)| statement.hash = *hash);
    }
    (statements, faults)
}

fn read(
    rules: &Rules,
    position: usize,
    Entry { certificate, required }: &Entry<'_>,
) -> Result<Vec<(Statement, Message)>, Invalid> {
    let quorums = certificate.check_quorums(rules.schedule(), *required)?;
    let read = |set, signers, bytes| -> Result<_, Invalid> {
        let signature = Signature::decode_unchecked(bytes)?;
        let hash = blst_p1_affine::default();
        let statement = Statement { entry: position, set, signers, signature, hash };
        Ok((statement, certificate.message(rules.domain(), set)))
    };
    quorums.into_iter().map(|(quorum, _)| read(quorum.set, quorum.signers, &quorum.signature)).collect()
}
