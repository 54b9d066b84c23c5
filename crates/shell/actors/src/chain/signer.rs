//! The authority's key, and the record of what it has signed: one object for the whole process.
//!
//! Work in the CPU pool outlives an aborted actor, so the rule "check, make durable, sign" runs under one lock that outlives incarnations as
//! well (I9). The lock is held while the record is written to the disk; nobody waits for it but other signatures.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alys_chain::consensus::{Proposal, Refusal, SigningRecord, SigningState, SlotTime};
use alys_chain::{Approval, BlockId, Header, PublicKey, Required, Rules, Seat, SecretKey, SetId, Slot};
use alys_storage::{Batch, Durability, Store, StoreError};
use thiserror::Error;

use super::view::SignerState;

/// Signs for one authority.
pub struct Signer {
    rules: Arc<Rules>,
    key: SecretKey,
    public: PublicKey,
    state: Mutex<SigningState>,
}

/// A block that asks for an approval.
#[derive(Clone, Copy, Debug)]
pub struct Ballot {
    /// Its header; it has been executed.
    pub header: Header,
    /// The slot of its parent, if that is certified here.
    pub certified_parent: Option<Slot>,
    /// The sets whose approvals count.
    pub required: Required,
}

/// Why nothing was signed. The record is as it was, on disk and in memory.
#[derive(Debug, Error)]
pub enum SignError<E> {
    /// The rule forbids it.
    #[error("{0}")]
    Refused(Refusal),
    /// The key has no seat whose approval counts.
    #[error("this authority has no vote on the block")]
    NoVote,
    /// The record could not be made durable.
    #[error("{0}")]
    Commit(E),
}

/// Puts on record that a key has signed nothing yet, before the first start with it. It is durable when this returns, so a node that is killed
/// before its first signature still knows. For the caller to be sure of: a key that signed elsewhere could sign twice for a slot. Where a record is
/// there already, or any block above genesis, nothing is written.
///
/// # Errors
/// When the store fails.
pub fn begin_record(store: &dyn Store, genesis: BlockId) -> Result<(), StoreError> {
    if store.signing_record()?.is_some() || store.head()?.id != genesis {
        return Ok(());
    }
    let mut batch = Batch::new();
    batch.record_signing(SigningRecord::unused(genesis));
    store.commit(batch, Durability::Durable).map(drop)
}

impl Signer {
    /// Loads the record of what was signed. Without one it is lost, and `now` is the slot of the restart: a key that is new on this network has
    /// one from [`begin_record`].
    ///
    /// # Errors
    /// When the store fails. A damaged record is a lost one.
    pub fn open(rules: Arc<Rules>, key: SecretKey, store: &dyn Store, now: Slot) -> Result<Self, StoreError> {
        let state = match store.signing_record() {
            Ok(Some(record)) => SigningState::Known(record),
            Ok(None) | Err(StoreError::Corrupted { .. }) => SigningState::Lost { restart: now },
            Err(error) => return Err(error),
        };
        let public = key.public_key();
        Ok(Self { rules, key, public, state: Mutex::new(state) })
    }

    /// The key that others know us by.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Our seat in a set.
    #[must_use]
    pub fn seat(&self, set: SetId) -> Option<Seat> {
        let authority = self.rules.schedule().set(set)?.index_of(&self.public)?;
        Some(Seat { set, authority })
    }

    /// Whether the slot is ours to propose in. Slot 0 is genesis', and nobody's.
    #[must_use]
    pub fn is_proposer(&self, slot: Slot) -> bool {
        let set = self.rules.schedule().set_at(slot);
        slot > Slot::ZERO && self.seat(set.id()).is_some_and(|seat| seat.authority == set.proposer(slot))
    }

    /// Whether we may propose in `slot` on a certified parent of slot `parent`.
    ///
    /// # Errors
    /// The clause of the rule that forbids it.
    pub fn may_propose(&self, slot: Slot, parent: Slot, now: SlotTime) -> Result<(), Refusal> {
        self.lock().may_propose(slot, parent, now)
    }

    /// Checks the rule, has `commit` make the new record durable together with the executed block, and signs, in this order: one approval for
    /// each of our seats that counts.
    ///
    /// # Errors
    /// [`SignError`]: nothing was signed.
    pub fn approve<E>(
        &self,
        ballot: &Ballot,
        now: SlotTime,
        commit: impl FnOnce(SigningRecord) -> Result<(), E>,
    ) -> Result<Vec<Approval>, SignError<E>> {
        let seats: Vec<Seat> = ballot.required.sets().filter_map(|set| self.seat(set)).collect();
        if seats.is_empty() {
            return Err(SignError::NoVote);
        }
        let header = &ballot.header;
        let proposal =
            Proposal { slot: header.slot, block: header.id(), certified_parent: ballot.certified_parent };
        let mut state = self.lock();
        let record = state.may_approve(&proposal, now).map_err(SignError::Refused)?;
        commit(record).map_err(SignError::Commit)?;
        *state = SigningState::Known(record);
        let domain = self.rules.domain();
        Ok(seats.into_iter().map(|seat| Approval::sign(domain, header, seat, &self.key)).collect())
    }

    /// A block of `slot` is certified here: what a lost record waits for. The record that follows from it becomes durable with the next
    /// approval, which is early enough: until then nothing rests on it.
    pub fn on_certificate(&self, slot: Slot, block: BlockId) {
        let mut state = self.lock();
        *state = state.on_certificate(slot, block);
    }

    /// The last slot that was signed for; `None` if none was, or it is not known.
    #[must_use]
    pub fn last_signed(&self) -> Option<Slot> {
        self.lock().record().ok().map(|record| record.last).filter(|last| *last > Slot::ZERO)
    }

    /// Whether it may sign.
    #[must_use]
    pub fn state(&self) -> SignerState {
        match *self.lock() {
            SigningState::Known(_) => SignerState::Ready,
            SigningState::Lost { restart } => SignerState::Lost { restart },
        }
    }

    /// Lends the key for signatures that are no approvals, each under a domain tag of its own: claims and reports.
    pub fn with_key<T>(&self, sign: impl FnOnce(&SecretKey) -> T) -> T {
        sign(&self.key)
    }

    /// The state is replaced whole, and after the commit: a panic under the lock leaves it as it was.
    fn lock(&self) -> MutexGuard<'_, SigningState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
