//! Facts that hang in the air: headers whose parent is unknown, certificates whose header is unknown.

use std::collections::{BTreeMap, BTreeSet};

use crate::block_ref::BlockRef;
use crate::certificate::Certificate;
use crate::consensus::tree::changed::TreeRefusal;
use crate::header::Header;
use crate::ids::{BlockId, Slot};

/// Blocks that may wait for their ancestors. Enough for half an hour of a network that is 2-second slots ahead of us (sync fetches longer gaps in
/// order), and under 1 MB. When full the lowest slot goes: sync brings it again with its ancestors, while the newest is nowhere else.
pub(super) const MAX: usize = 1024;

/// What is known of one block that hangs in the air.
#[derive(Clone, Debug, Default)]
pub(super) struct LooseBlock {
    pub(super) header: Option<Header>,
    /// One for each pair of sets: which pair the block needs is known when it is linked.
    pub(super) certificates: Vec<Certificate>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Loose {
    blocks: BTreeMap<BlockId, LooseBlock>,
    by_slot: BTreeSet<(Slot, BlockId)>,
    /// Parent and child, for headers.
    by_parent: BTreeSet<(BlockId, BlockId)>,
}

impl Loose {
    pub(super) fn insert_header(&mut self, block: BlockId, header: &Header) -> Result<(), TreeRefusal> {
        self.make_room(header.slot, block)?;
        self.by_parent.insert((header.parent, block));
        self.blocks.entry(block).or_default().header = Some(*header);
        Ok(())
    }

    pub(super) fn insert_certificate(&mut self, certificate: &Certificate) -> Result<(), TreeRefusal> {
        self.make_room(certificate.slot, certificate.block)?;
        let kept = &mut self.blocks.entry(certificate.block).or_default().certificates;
        if !kept.iter().any(|c| sets_of(c) == sets_of(certificate)) {
            kept.push(*certificate);
        }
        Ok(())
    }

    /// Registers a block; drops the one with the lowest slot when that is one too many.
    fn make_room(&mut self, slot: Slot, block: BlockId) -> Result<(), TreeRefusal> {
        self.by_slot.insert((slot, block));
        if self.by_slot.len() <= MAX {
            return Ok(());
        }
        match self.by_slot.pop_first() {
            Some((_, lowest)) if lowest == block => Err(TreeRefusal::TooManyLoose),
            Some((_, lowest)) => {
                self.forget(lowest);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn forget(&mut self, block: BlockId) -> Option<LooseBlock> {
        let gone = self.blocks.remove(&block)?;
        if let Some(header) = gone.header {
            self.by_parent.remove(&(header.parent, block));
        }
        Some(gone)
    }

    /// Takes a block out, to link it.
    pub(super) fn take(&mut self, block: BlockId) -> LooseBlock {
        let gone = self.forget(block).unwrap_or_default();
        let slots = gone.header.map(|h| h.slot).into_iter().chain(gone.certificates.iter().map(|c| c.slot));
        for slot in slots {
            self.by_slot.remove(&(slot, block));
        }
        gone
    }

    /// The headers that wait for `parent`.
    pub(super) fn children_of(&self, parent: BlockId) -> Vec<BlockId> {
        let range = (parent, BlockId([0; 32]))..=(parent, BlockId([u8::MAX; 32]));
        self.by_parent.range(range).map(|(_, child)| *child).collect()
    }

    pub(super) fn get(&self, block: BlockId) -> Option<&LooseBlock> {
        self.blocks.get(&block)
    }

    /// The headers of `slot` that no certificate vouches for.
    pub(super) fn uncertified_in(&self, slot: Slot) -> usize {
        let range = (slot, BlockId([0; 32]))..=(slot, BlockId([u8::MAX; 32]));
        self.by_slot
            .range(range)
            .filter(|(_, id)| self.blocks.get(id).is_some_and(|b| b.certificates.is_empty()))
            .count()
    }

    /// Forgets what cannot stand on `last_final`, and uncertified headers of slots below `oldest`.
    pub(super) fn prune(&mut self, last_final: BlockRef, oldest: Slot) {
        let dead = |slot: Slot, block: &LooseBlock| {
            let stale = block.certificates.is_empty() && slot < oldest;
            stale || slot <= last_final.slot || block.header.is_some_and(|h| !may_stand_on(&h, last_final))
        };
        let gone: Vec<_> = self
            .by_slot
            .iter()
            .filter(|(slot, id)| self.blocks.get(id).is_some_and(|b| dead(*slot, b)))
            .map(|(_, id)| *id)
            .collect();
        for block in gone {
            self.take(block);
        }
    }

    /// The blocks to fetch: certified ones without a header, and unknown parents of certified headers.
    pub(super) fn missing(&self) -> BTreeSet<BlockId> {
        let certified = self.blocks.iter().filter(|(_, b)| !b.certificates.is_empty());
        let wanted = certified.map(|(id, b)| b.header.map_or(*id, |h| h.parent));
        wanted.filter(|id| self.blocks.get(id).is_none_or(|b| b.header.is_none())).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }
}

/// Whether a chain that ends in this header can contain the final block, as far as the header itself tells.
pub(super) fn may_stand_on(header: &Header, last_final: BlockRef) -> bool {
    match header.height.ahead_of(last_final.height) {
        0 => false,
        1 => header.parent == last_final.id,
        _ => true,
    }
}

fn sets_of(certificate: &Certificate) -> (crate::ids::SetId, Option<crate::ids::SetId>) {
    (certificate.quorum.set, certificate.joint.map(|q| q.set))
}
