//! The rules of one network: its name, its clock and its schedule, as every check needs them.

use crate::genesis::Genesis;
use crate::header::Header;
use crate::ids::{BlockId, Hash, Height, SetId, Slot};
use crate::schedule::Schedule;
use crate::time::UnixMillis;

/// Separates what authorities sign under blocks from everything else that they sign.
const APPROVAL_DOMAIN: &[u8; 16] = b"alys/approval/1\0";

/// What every signature of a network binds: its genesis. A signature for one network means nothing on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningDomain(pub BlockId);

impl SigningDomain {
    /// The size of an approval's message in bytes.
    pub const APPROVAL_BYTES: usize = 16 + 32 + 4 + 8 + 8 + 32;

    /// What an approval signs: domain tag, genesis id, set id, slot, height, block id; integers little-endian.
    #[must_use]
    pub fn approval_message(
        &self,
        set: SetId,
        slot: Slot,
        height: Height,
        block: BlockId,
    ) -> [u8; Self::APPROVAL_BYTES] {
        let mut out = [0; Self::APPROVAL_BYTES];
        out[..16].copy_from_slice(APPROVAL_DOMAIN);
        out[16..48].copy_from_slice(self.0.as_bytes());
        out[48..52].copy_from_slice(&set.0.to_le_bytes());
        out[52..60].copy_from_slice(&slot.0.to_le_bytes());
        out[60..68].copy_from_slice(&height.0.to_le_bytes());
        out[68..].copy_from_slice(block.as_bytes());
        out
    }
}

/// One network, as the checks see it. Made once from the genesis, then shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    genesis: Header,
    domain: SigningDomain,
    time: UnixMillis,
    schedule: Schedule,
}

impl Rules {
    /// The rules of a genesis; `state_root` is the ledger's root over its allocations.
    #[must_use]
    pub fn new(genesis: &Genesis, state_root: Hash) -> Self {
        let header = genesis.header(state_root);
        Self {
            genesis: header,
            domain: SigningDomain(header.id()),
            time: genesis.time,
            schedule: genesis.schedule.clone(),
        }
    }

    /// The header of height 0.
    #[must_use]
    pub const fn genesis(&self) -> &Header {
        &self.genesis
    }

    /// The name of the network: the id of the genesis header.
    #[must_use]
    pub const fn genesis_id(&self) -> BlockId {
        self.domain.0
    }

    /// What signatures bind.
    #[must_use]
    pub const fn domain(&self) -> &SigningDomain {
        &self.domain
    }

    /// Who may propose and approve when.
    #[must_use]
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The slot that runs at a time; `None` before genesis.
    #[must_use]
    pub fn slot_at(&self, now: UnixMillis) -> Option<Slot> {
        now.0.checked_sub(self.time.0).map(|elapsed| self.schedule.slot_after(elapsed))
    }

    /// When a slot begins.
    #[must_use]
    pub fn start_of(&self, slot: Slot) -> UnixMillis {
        UnixMillis(self.time.0.saturating_add(self.schedule.offset_of(slot)))
    }

    /// The greatest height that any chain can have at a time: one block a slot, and one more for a clock that is a little ahead of ours.
    /// Zero before genesis.
    #[must_use]
    pub fn max_height(&self, now: UnixMillis) -> Height {
        self.slot_at(now).map_or(Height::ZERO, |slot| Height(slot.0.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests;
