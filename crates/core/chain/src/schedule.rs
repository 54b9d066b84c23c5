//! Who may propose and approve, and how long a slot takes, slot by slot.
//!
//! - **Owns**: the schedule of authority sets and slot lengths. Both change at a slot, never at a height: all forks agree on slots.
//! - **In**: the entries of a genesis. **Out**: the set, the author, the quorum, the slot length of a slot; slots of a time and back.
//! - **On failure**: a schedule with a broken rule is never made ([`Invalid::Schedule`]); queries cannot fail.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::bls::{PossessionProof, PublicKey, SecretKey};
use crate::error::Invalid;
use crate::ids::{AuthorityIndex, SetId, Slot};
use crate::limits::{MAX_AUTHORITIES, MAX_PERIODS, MAX_SLOT_MS, MIN_SLOT_MS};

/// A member of the federation: its key, and the proof that it holds the secret (without it, keys must not be summed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// The BLS key.
    pub key: PublicKey,
    /// Its proof of possession.
    pub proof: PossessionProof,
}

impl Authority {
    /// What the holder of a secret key publishes.
    #[must_use]
    pub fn of(key: &SecretKey) -> Self {
        Self { key: key.public_key(), proof: key.prove_possession() }
    }
}

/// One entry of the schedule: it holds from its slot until the next entry's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// The first slot of the entry.
    pub from_slot: Slot,
    /// The length of its slots in milliseconds.
    pub slot_ms: u64,
    /// Its authorities, in the order of their turns.
    pub authorities: Vec<Authority>,
}

/// How many approvals make a certificate: ceil(2n/3) of n.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quorum(usize);

impl Quorum {
    /// The quorum of a set of `n`.
    #[must_use]
    pub const fn of(n: usize) -> Self {
        Self((2 * n).div_ceil(3))
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }

    /// Whether so many approvals suffice.
    #[must_use]
    pub const fn reached_by(self, approvals: usize) -> bool {
        approvals >= self.0
    }
}

/// The authorities of some slots: 1 to 15 distinct, valid keys whose possession is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthoritySet {
    id: SetId,
    keys: Vec<PublicKey>,
}

impl AuthoritySet {
    /// Its position among the sets of the schedule.
    #[must_use]
    pub const fn id(&self) -> SetId {
        self.id
    }

    /// The keys, in the order of their turns.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// How many members it has: 1 to 15.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The key of a member.
    #[must_use]
    pub fn key(&self, authority: AuthorityIndex) -> Option<&PublicKey> {
        self.keys.get(usize::from(authority.0))
    }

    /// The member with this key.
    #[must_use]
    pub fn index_of(&self, key: &PublicKey) -> Option<AuthorityIndex> {
        self.keys.iter().position(|k| k == key).and_then(|i| u8::try_from(i).ok()).map(AuthorityIndex)
    }

    /// How many approvals make a certificate.
    #[must_use]
    pub fn quorum(&self) -> Quorum {
        Quorum::of(self.keys.len())
    }

    /// Whose turn a slot is, if it is this set's: `slot mod n`.
    #[must_use]
    pub fn proposer(&self, slot: Slot) -> AuthorityIndex {
        let turn = slot.0 % self.keys.len() as u64;
        AuthorityIndex(u8::try_from(turn).expect("a set has at most 15 members"))
    }

    /// One bit for each member: what a signer bitfield may hold at most.
    #[must_use]
    pub fn mask(&self) -> u16 {
        (1 << self.keys.len()) - 1
    }
}

/// An authority's place: which set, which member of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat {
    /// The set.
    pub set: SetId,
    /// The member.
    pub authority: AuthorityIndex,
}

/// All entries, checked: the first at slot 0, from there strictly ascending; slot lengths within the limits; sets of 1 to 15 distinct keys
/// with proof of possession.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Period>", into = "Vec<Period>")]
pub struct Schedule {
    periods: Vec<Period>,
    /// The set of each period. Entries that change only the slot length share one.
    set_of: Vec<usize>,
    sets: Vec<AuthoritySet>,
}

impl Schedule {
    /// Checks the entries; takes about a millisecond a key for the proofs of possession.
    ///
    /// # Errors
    /// [`Invalid::Schedule`] names the first entry that breaks a rule.
    pub fn new(periods: Vec<Period>) -> Result<Self, Invalid> {
        if periods.len() > MAX_PERIODS {
            return Err(Invalid::TooMany {
                what: "schedule entries",
                limit: MAX_PERIODS,
                got: periods.len(),
            });
        }
        if periods.first().is_none_or(|p| p.from_slot != Slot::ZERO) {
            return Err(Invalid::Schedule { entry: 0, why: "the first entry must begin at slot 0" });
        }
        if let Some(i) = periods.windows(2).position(|w| w[0].from_slot >= w[1].from_slot) {
            return Err(Invalid::Schedule { entry: i + 1, why: "entries must begin at ascending slots" });
        }
        let mut proven = BTreeSet::new();
        for (entry, period) in periods.iter().enumerate() {
            check_period(period, &mut proven).map_err(|why| Invalid::Schedule { entry, why })?;
        }
        Ok(Self::number_sets(periods))
    }

    /// Gives every set its id: a new one wherever the keys differ from the entry before.
    fn number_sets(periods: Vec<Period>) -> Self {
        let mut sets: Vec<AuthoritySet> = Vec::new();
        let mut set_of = Vec::with_capacity(periods.len());
        for period in &periods {
            let keys: Vec<PublicKey> = period.authorities.iter().map(|a| a.key).collect();
            if sets.last().is_none_or(|last| last.keys != keys) {
                let id = u32::try_from(sets.len()).expect("the number of entries is limited");
                sets.push(AuthoritySet { id: SetId(id), keys });
            }
            set_of.push(sets.len() - 1);
        }
        Self { periods, set_of, sets }
    }

    /// One set for ever: the schedule of most networks.
    ///
    /// # Errors
    /// As [`Schedule::new`].
    pub fn constant(slot_ms: u64, authorities: Vec<Authority>) -> Result<Self, Invalid> {
        Self::new(vec![Period { from_slot: Slot::ZERO, slot_ms, authorities }])
    }

    /// The entries.
    #[must_use]
    pub fn periods(&self) -> &[Period] {
        &self.periods
    }

    /// The sets, by id.
    #[must_use]
    pub fn sets(&self) -> &[AuthoritySet] {
        &self.sets
    }

    /// The set with this id, if there is one.
    #[must_use]
    pub fn set(&self, id: SetId) -> Option<&AuthoritySet> {
        self.sets.get(usize::try_from(id.0).ok()?)
    }

    /// The set whose turns a slot belongs to.
    #[must_use]
    pub fn set_at(&self, slot: Slot) -> &AuthoritySet {
        &self.sets[self.set_of[self.period_at(slot)]]
    }

    /// The length of a slot in milliseconds.
    #[must_use]
    pub fn slot_ms(&self, slot: Slot) -> u64 {
        self.periods[self.period_at(slot)].slot_ms
    }

    /// Whose turn a slot is.
    #[must_use]
    pub fn proposer(&self, slot: Slot) -> AuthorityIndex {
        self.set_at(slot).proposer(slot)
    }

    /// The seats of a key, one in each set that has it.
    pub fn seats_of<'a>(&'a self, key: &'a PublicKey) -> impl Iterator<Item = Seat> + 'a {
        self.sets.iter().filter_map(|s| s.index_of(key).map(|authority| Seat { set: s.id, authority }))
    }

    /// When a slot begins, in milliseconds after genesis; the greatest integer if that is later than any clock.
    #[must_use]
    pub fn offset_of(&self, slot: Slot) -> u64 {
        let mut offset = 0u64;
        for (i, period) in self.periods.iter().enumerate() {
            let end = self.end_of(i).map_or(slot, |end| end.min(slot));
            offset = offset.saturating_add(end.ahead_of(period.from_slot).saturating_mul(period.slot_ms));
        }
        offset
    }

    /// The slot that runs `elapsed` milliseconds after genesis.
    #[must_use]
    pub fn slot_after(&self, elapsed: u64) -> Slot {
        let mut left = elapsed;
        for (i, period) in self.periods.iter().enumerate() {
            let lasts = self
                .end_of(i)
                .map_or(u64::MAX, |end| end.ahead_of(period.from_slot).saturating_mul(period.slot_ms));
            if left < lasts {
                return period.from_slot.saturating_add(left / period.slot_ms);
            }
            left -= lasts;
        }
        Slot(u64::MAX)
    }

    /// The first slot behind entry `i`; `None` if it is the last one.
    fn end_of(&self, i: usize) -> Option<Slot> {
        self.periods.get(i + 1).map(|next| next.from_slot)
    }

    fn period_at(&self, slot: Slot) -> usize {
        // The first entry begins at slot 0, so at least one begins at or before any slot.
        self.periods.partition_point(|p| p.from_slot <= slot) - 1
    }
}

impl TryFrom<Vec<Period>> for Schedule {
    type Error = Invalid;

    fn try_from(periods: Vec<Period>) -> Result<Self, Invalid> {
        Self::new(periods)
    }
}

impl From<Schedule> for Vec<Period> {
    fn from(schedule: Schedule) -> Self {
        schedule.periods
    }
}

/// The rule that an entry breaks, if it does. `proven` remembers the proofs that were checked, as most entries repeat most keys.
fn check_period(
    period: &Period,
    proven: &mut BTreeSet<([u8; PublicKey::SIZE], [u8; 48])>,
) -> Result<(), &'static str> {
    if !(MIN_SLOT_MS..=MAX_SLOT_MS).contains(&period.slot_ms) {
        return Err("the slot length must be between 50 ms and one hour");
    }
    if period.authorities.is_empty() || period.authorities.len() > MAX_AUTHORITIES {
        return Err("a set has 1 to 15 authorities");
    }
    let distinct: BTreeSet<&PublicKey> = period.authorities.iter().map(|a| &a.key).collect();
    if distinct.len() < period.authorities.len() {
        return Err("an authority stands twice in the set");
    }
    for authority in &period.authorities {
        let fresh = proven.insert((*authority.key.as_bytes(), authority.proof.0));
        if fresh && !authority.key.check_possession(&authority.proof) {
            return Err("a proof of possession is wrong");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
