//! What was found good lately, so that nobody checks the same signature twice.
//!
//! - **Owns**: the approvals and certificates that passed their check last; bounded. **In**: approvals and certificates. **Out**: whether they are good.
//! - **On failure** of a check nothing is kept: who sends a bad one again pays for it again, with its score.
//!
//! It belongs to a [`Network`](super::Network), and a clone of that shares it: in the simulated world, whose nodes are all of one process, each
//! signature is checked once and not once a node.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use alys_chain::{Approval, Certificate, Invalid, Required, Rules};

/// How many are kept: some hundred blocks with the approvals of all authorities, below a megabyte.
const MOST: usize = 4_096;

/// What was checked. A certificate is good for the sets that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Statement {
    Approval(Approval),
    Certificate(Certificate, Required),
}

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Vouched(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    known: HashSet<Statement>,
    /// The oldest first.
    order: VecDeque<Statement>,
}

impl Recent {
    fn insert(&mut self, statement: Statement) {
        if !self.known.insert(statement) {
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

impl Vouched {
    /// As [`Approval::verify`].
    ///
    /// # Errors
    /// [`Invalid`]: provably the sender's fault.
    pub fn approval(&self, rules: &Rules, approval: &Approval) -> Result<(), Invalid> {
        self.check(Statement::Approval(*approval), || approval.verify(rules).map(drop))
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
        self.check(Statement::Certificate(*certificate, required), || certificate.verify(rules, required))
    }

    fn check(
        &self,
        statement: Statement,
        verify: impl FnOnce() -> Result<(), Invalid>,
    ) -> Result<(), Invalid> {
        if self.recent().known.contains(&statement) {
            return Ok(());
        }
        verify()?;
        self.recent().insert(statement);
        Ok(())
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        // Whoever panicked here left at most one statement out of the order.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use alys_chain::Height;

    use super::*;

    fn statement(height: u64) -> Statement {
        Statement::Approval(Approval { height: Height(height), ..approval() })
    }

    fn approval() -> Approval {
        Approval::decode(&[0; Approval::SIZE]).expect("all bytes are there")
    }

    #[test]
    fn what_was_good_is_not_checked_again_and_what_was_bad_is() {
        let vouched = Vouched::default();
        let bad = Err(Invalid::Signature { what: "approval" });
        assert_eq!(vouched.check(statement(1), || bad.clone()), bad);
        assert_eq!(vouched.check(statement(1), || Ok(())), Ok(()), "bad ones are not kept");
        assert_eq!(vouched.check(statement(1), || unreachable!("it is known")), Ok(()));
        assert_eq!(vouched.check(statement(2), || bad.clone()), bad, "another one");
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let vouched = Vouched::default();
        for height in 0..=MOST as u64 {
            vouched.check(statement(height), || Ok(())).unwrap();
        }
        let known = |height| vouched.recent().known.contains(&statement(height));
        assert_eq!((known(0), known(1), known(MOST as u64)), (false, true, true));
        assert_eq!(vouched.recent().order.len(), MOST);
    }
}
