//! What was found good lately, so that nobody checks the same signature twice.
//!
//! - **Owns**: the approvals and certificates that passed their check last, or were signed here; bounded. **In**: approvals and certificates.
//!   **Out**: whether they are good.
//! - **On failure** of a check nothing is kept: who sends a bad one again pays for it again, with its score.
//!
//! It belongs to a [`Network`](super::Network), and a clone of that shares it: in the simulated world, whose nodes are all of one process, each
//! signature is checked once and not once a node.

use core::hash::Hash;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use alys_chain::{Approval, Certificate, Invalid, Required, Rules, Signature};

/// How many of each are kept: more than a hundred blocks with the approvals of all authorities, two megabytes.
const MOST: usize = 2_048;

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Vouched {
    /// With the signature as a point: who makes a certificate sums it.
    approvals: Recent<Approval, Signature>,
    /// A certificate is good for the sets that were asked for.
    certificates: Recent<(Certificate, Required), ()>,
}

impl Vouched {
    /// As [`Approval::verify`].
    ///
    /// # Errors
    /// [`Invalid`]: provably the sender's fault.
    pub fn approval(&self, rules: &Rules, approval: &Approval) -> Result<Signature, Invalid> {
        self.approvals.check(*approval, || approval.verify(rules))
    }

    /// As [`Certificate::verify`].
    ///
    /// # Errors
    /// [`Invalid`]: provably the sender's fault.
    pub fn certificate(
        &self,
        rules: &Rules,
        certificate: &Certificate,
        required: Required,
    ) -> Result<(), Invalid> {
        self.certificates.check((*certificate, required), || certificate.verify(rules, required))
    }

    /// Takes an approval as good that this process has just signed.
    ///
    /// # Errors
    /// [`Invalid`] when its signature is no point: then it was not signed here.
    pub fn signed(&self, approval: &Approval) -> Result<(), Invalid> {
        self.approvals.check(*approval, || Signature::from_bytes(&approval.signature)).map(drop)
    }
}

/// The last statements that passed, and what came of it.
#[derive(Debug)]
struct Recent<K, V>(Mutex<Kept<K, V>>);

#[derive(Debug)]
struct Kept<K, V> {
    known: HashMap<K, V>,
    /// The oldest first.
    order: VecDeque<K>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Kept { known: HashMap::new(), order: VecDeque::new() }))
    }
}

impl<K: Copy + Eq + Hash, V: Copy> Recent<K, V> {
    fn check(&self, statement: K, verify: impl FnOnce() -> Result<V, Invalid>) -> Result<V, Invalid> {
        let known = self.with(|kept| kept.known.get(&statement).copied());
        if let Some(known) = known {
            return Ok(known);
        }
        let passed = verify()?;
        self.with(|kept| kept.insert(statement, passed));
        Ok(passed)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Kept<K, V>) -> T) -> T {
        // Whoever panicked here left at most one statement out of the order.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<K: Copy + Eq + Hash, V> Kept<K, V> {
    fn insert(&mut self, statement: K, passed: V) {
        if self.known.insert(statement, passed).is_some() {
            return;
        }
        self.order.push_back(statement);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_good_is_not_checked_again_and_what_was_bad_is() {
        let recent = Recent::default();
        let bad = Err(Invalid::Signature { what: "approval" });
        assert_eq!(recent.check(1, || bad.clone()), bad);
        assert_eq!(recent.check(1, || Ok('a')), Ok('a'), "bad ones are not kept");
        assert_eq!(recent.check(1, || unreachable!("it is known")), Ok('a'));
        assert_eq!(recent.check(2, || bad.clone()), bad, "another one");
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let recent = Recent::default();
        for height in 0..=MOST {
            recent.check(height, || Ok(())).unwrap();
        }
        let known = |height| recent.with(|kept| kept.known.contains_key(&height));
        assert_eq!((known(0), known(1), known(MOST)), (false, true, true));
        assert_eq!(recent.with(|kept| kept.order.len()), MOST);
    }

    #[test]
    fn what_is_no_point_was_not_signed_here() {
        let forged = Approval::decode(&[0xff; Approval::SIZE]).expect("all bytes are there");
        assert!(Vouched::default().signed(&forged).is_err());
    }
}
