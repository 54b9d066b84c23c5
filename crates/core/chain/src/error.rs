//! What can be wrong with a chain's data. Every [`Invalid`] is provable from the bytes alone: whoever served them is to blame, and trying
//! again changes nothing. What depends on our clock is [`Early`], and nobody's fault.

use thiserror::Error;

use crate::ids::{AuthorityIndex, BlockId, Hash, Height, SetId, Slot};
use crate::time::UnixMillis;

/// A provable fault of a header, an approval, a certificate, a body, a claim or a genesis.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Invalid {
    /// The encoding has another length than its type.
    #[error("{what} takes {expected} bytes, got {got}")]
    Length {
        /// The type.
        what: &'static str,
        /// Its size in bytes.
        expected: usize,
        /// What came.
        got: usize,
    },
    /// The bytes decode to a value whose encoding is another one, or to none.
    #[error("{what} is malformed: {why}")]
    Malformed {
        /// The type.
        what: &'static str,
        /// The rule that is broken.
        why: &'static str,
    },
    /// A point that is no valid key or signature.
    #[error("{what} is no valid point: {why}")]
    Point {
        /// "public key", "signature" or "secret key".
        what: &'static str,
        /// The rule that is broken.
        why: &'static str,
    },
    /// A count or size beyond its limit.
    #[error("{what}: at most {limit}, got {got}")]
    TooMany {
        /// What is counted, with its unit.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// What came.
        got: usize,
    },
    /// A schedule that breaks its rules.
    #[error("schedule entry {entry}: {why}")]
    Schedule {
        /// The position of the entry.
        entry: usize,
        /// The rule that is broken.
        why: &'static str,
    },
    /// A header's height is not one above its parent's.
    #[error("height {got} on a parent of height {parent}")]
    Height {
        /// The parent's height.
        parent: Height,
        /// The header's.
        got: Height,
    },
    /// More blocks than slots.
    #[error("height {height} is above slot {slot}: each block takes a slot")]
    HeightAboveSlot {
        /// The header's height.
        height: Height,
        /// Its slot.
        slot: Slot,
    },
    /// A header's slot is not above its parent's.
    #[error("slot {got} on a parent of slot {parent}")]
    SlotOrder {
        /// The parent's slot.
        parent: Slot,
        /// The header's.
        got: Slot,
    },
    /// A header stands on another block than the one before it.
    #[error("parent {got}, expected {expected}")]
    Parent {
        /// The id of the block before.
        expected: BlockId,
        /// The header's parent.
        got: BlockId,
    },
    /// The slot belongs to another author.
    #[error("slot {slot} belongs to authority {expected}, proposed by {got}")]
    Proposer {
        /// The slot.
        slot: Slot,
        /// The schedule's author.
        expected: AuthorityIndex,
        /// The header's.
        got: AuthorityIndex,
    },
    /// A body that the header does not commit to.
    #[error("body root {got}, the header says {expected}")]
    BodyRoot {
        /// The header's root.
        expected: Hash,
        /// The body's.
        got: Hash,
    },
    /// The approval or certificate speaks of another block.
    #[error("vouches for block {got}, expected {expected}")]
    Subject {
        /// The block at hand.
        expected: BlockId,
        /// The one that was signed.
        got: BlockId,
    },
    /// Slot or height of the approval or certificate are not the block's.
    #[error("vouches for slot {got_slot} and height {got_height}, the block has {slot} and {height}")]
    Place {
        /// The block's slot.
        slot: Slot,
        /// The block's height.
        height: Height,
        /// The slot that was signed.
        got_slot: Slot,
        /// The height that was signed.
        got_height: Height,
    },
    /// A set that may not vouch for this slot.
    #[error("authority set {got} may not vouch for slot {slot}, whose set is {expected}")]
    Set {
        /// The slot.
        slot: Slot,
        /// The set that must (or, for an old one, may at most) vouch.
        expected: SetId,
        /// The set that does.
        got: SetId,
    },
    /// An authority that the set does not have.
    #[error("authority {got} in set {set} of {size}")]
    Authority {
        /// The set.
        set: SetId,
        /// How many members it has.
        size: usize,
        /// The index that came.
        got: AuthorityIndex,
    },
    /// Signer bits beyond the set.
    #[error("signers {signers:#018b} in set {set} of {size}")]
    Signers {
        /// The set.
        set: SetId,
        /// How many members it has.
        size: usize,
        /// The bitfield that came.
        signers: u16,
    },
    /// Too few signers.
    #[error("{got} signers of set {set}, the quorum is {quorum}")]
    NoQuorum {
        /// The set.
        set: SetId,
        /// How many it takes.
        quorum: usize,
        /// How many came.
        got: usize,
    },
    /// The quorum of the old set is missing, or there although none is due.
    #[error("joint quorum: expected {expected:?}, got {got:?}")]
    Joint {
        /// The old set, if its quorum is due.
        expected: Option<SetId>,
        /// The set whose quorum came.
        got: Option<SetId>,
    },
    /// The signature does not fit the message and the keys.
    #[error("wrong signature under {what}")]
    Signature {
        /// What was signed.
        what: &'static str,
    },
    /// A set that the schedule does not have.
    #[error("authority set {set}, the schedule has {sets}")]
    UnknownSet {
        /// The set that came.
        set: SetId,
        /// How many there are.
        sets: usize,
    },
}

/// The header's slot has not begun by our clock. Nobody's fault: keep it, or ask again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("slot {slot} begins at {starts}, it is {now}")]
pub struct Early {
    /// The header's slot.
    pub slot: Slot,
    /// When that slot begins.
    pub starts: UnixMillis,
    /// The time that it was judged at.
    pub now: UnixMillis,
}

/// Why a claim of federation does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ClaimError {
    /// It is wrong: the claimant's fault.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It is over, by our clock: ask for a new one.
    #[error("claim held until {until}, it is {now}")]
    Over {
        /// The end of the claim.
        until: UnixMillis,
        /// The time that it was judged at.
        now: UnixMillis,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_says_what_was_expected_and_what_came() {
        let slot = Slot(7);
        let shown = [
            Invalid::Height { parent: Height(3), got: Height(5) }.to_string(),
            Invalid::NoQuorum { set: SetId(1), quorum: 4, got: 3 }.to_string(),
            Invalid::Signers { set: SetId(0), size: 3, signers: 0b1001 }.to_string(),
            ClaimError::from(Invalid::UnknownSet { set: SetId(9), sets: 2 }).to_string(),
            Early { slot, starts: UnixMillis(14_000), now: UnixMillis(1) }.to_string(),
        ];
        let expected = [
            "height 5 on a parent of height 3",
            "3 signers of set 1, the quorum is 4",
            "signers 0b0000000000001001 in set 0 of 3",
            "authority set 9, the schedule has 2",
            "slot 7 begins at unix time 14000 ms, it is unix time 1 ms",
        ];
        assert_eq!(shown, expected);
    }
}
