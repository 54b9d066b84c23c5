//! The blocks above the final one that hang together with it, and the ways between them.

use std::collections::{BTreeMap, BTreeSet};

use crate::block_ref::BlockRef;
use crate::certificate::Certificate;
use crate::consensus::tree::changed::{Anchor, Route};
use crate::header::Header;
use crate::ids::{BlockId, Slot};
use crate::lineage::{Lineage, Required};

/// A block whose ancestors are known down to the final one.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) header: Header,
    /// The lineage of its children.
    pub(super) lineage: Lineage,
    /// The sets that must approve it.
    pub(super) required: Required,
    pub(super) certified: bool,
    pub(super) certificate: Option<Certificate>,
}

/// A tree with the final block as its root. Its depth has no bound: what is certified above finality is never dropped. It grows by one
/// certified block a slot at most, and only a quorum makes one.
#[derive(Clone, Debug)]
pub(super) struct Nodes {
    pub(super) anchor: Anchor,
    nodes: BTreeMap<BlockId, Node>,
    /// Parent and child.
    children: BTreeSet<(BlockId, BlockId)>,
    certified: BTreeSet<(Slot, BlockId)>,
    uncertified: BTreeSet<(Slot, BlockId)>,
}

const LEAST: BlockId = BlockId([0; 32]);
const GREATEST: BlockId = BlockId([u8::MAX; 32]);

impl Nodes {
    pub(super) fn new(anchor: Anchor) -> Self {
        Self {
            anchor,
            nodes: BTreeMap::new(),
            children: BTreeSet::new(),
            certified: BTreeSet::new(),
            uncertified: BTreeSet::new(),
        }
    }

    pub(super) fn get(&self, block: BlockId) -> Option<&Node> {
        self.nodes.get(&block)
    }

    pub(super) fn get_mut(&mut self, block: BlockId) -> Option<&mut Node> {
        self.nodes.get_mut(&block)
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Name, place and lineage of a linked block, the final one included.
    pub(super) fn place(&self, block: BlockId) -> Option<Anchor> {
        if block == self.anchor.tip.id {
            return Some(self.anchor);
        }
        self.nodes
            .get(&block)
            .map(|node| Anchor { tip: BlockRef::new(block, &node.header), lineage: node.lineage })
    }

    /// Adds a block that is not certified yet.
    pub(super) fn insert(&mut self, block: BlockId, node: Node) {
        self.uncertified.insert((node.header.slot, block));
        self.children.insert((node.header.parent, block));
        self.nodes.insert(block, node);
    }

    pub(super) fn certify(&mut self, block: BlockId) {
        if let Some(node) = self.nodes.get_mut(&block) {
            node.certified = true;
            self.uncertified.remove(&(node.header.slot, block));
            self.certified.insert((node.header.slot, block));
        }
    }

    /// The certified block with the highest slot. (Two of one slot need more faulty members than the rule bears; even then the order of arrival
    /// decides nothing.)
    pub(super) fn head(&self) -> BlockRef {
        let highest = self.certified.last().and_then(|(_, block)| self.place(*block));
        highest.unwrap_or(self.anchor).tip
    }

    /// The head of the tree whose root is `root`.
    pub(super) fn highest_on(&self, root: BlockRef) -> BlockRef {
        if root == self.anchor.tip {
            return self.head();
        }
        let on_it = self
            .subtree(root.id)
            .into_iter()
            .filter(|id| self.nodes.get(id).is_some_and(|node| node.certified));
        on_it
            .filter_map(|id| self.place(id))
            .map(|at| at.tip)
            .max_by_key(|tip| (tip.slot, tip.id))
            .unwrap_or(root)
    }

    pub(super) fn uncertified_in(&self, slot: Slot) -> usize {
        self.uncertified.range((slot, LEAST)..=(slot, GREATEST)).count()
    }

    /// From `block` down to, not including, the final one; `None` for a block that does not stand on it.
    pub(super) fn down_from(&self, block: BlockId) -> Option<Vec<BlockId>> {
        let mut way = Vec::new();
        let mut at = block;
        while at != self.anchor.tip.id {
            way.push(at);
            at = self.nodes.get(&at)?.header.parent;
        }
        Some(way)
    }

    /// From the higher of two blocks down, then from both, until they meet: as long as the way itself, however far finality is below.
    pub(super) fn route(&self, from: BlockId, to: BlockId) -> Option<Route> {
        let (mut undo, mut apply) = (Vec::new(), Vec::new());
        let (mut left, mut right) = (self.place(from)?.tip, self.place(to)?.tip);
        while left.id != right.id {
            if left.height >= right.height {
                undo.push(left.id);
                left = self.below(left.id)?;
            } else {
                apply.push(right.id);
                right = self.below(right.id)?;
            }
        }
        apply.reverse();
        Some(Route { from, to, undo, apply })
    }

    fn below(&self, block: BlockId) -> Option<BlockRef> {
        self.nodes.get(&block).and_then(|node| self.place(node.header.parent)).map(|at| at.tip)
    }

    /// A block and everything on top of it.
    fn subtree(&self, root: BlockId) -> Vec<BlockId> {
        let mut found = vec![root];
        let mut next = 0;
        while let Some(at) = found.get(next).copied() {
            found.extend(self.children.range((at, LEAST)..=(at, GREATEST)).map(|(_, child)| *child));
            next += 1;
        }
        found
    }

    fn remove(&mut self, block: BlockId) {
        if let Some(node) = self.nodes.remove(&block) {
            let key = (node.header.slot, block);
            self.certified.remove(&key);
            self.uncertified.remove(&key);
            self.children.remove(&(node.header.parent, block));
        }
    }

    /// Makes a linked block the root; returns the blocks that became final (the lowest first) and those that stood beside them.
    pub(super) fn finalize(&mut self, block: BlockId) -> Option<(Vec<BlockId>, Vec<BlockId>)> {
        let place = self.place(block)?;
        let mut finals = self.down_from(block)?;
        finals.reverse();
        let kept: BTreeSet<_> = self.subtree(block).into_iter().collect();
        let passed: BTreeSet<_> = finals.iter().copied().collect();
        let gone: Vec<_> =
            self.nodes.keys().copied().filter(|id| *id == block || !kept.contains(id)).collect();
        for id in &gone {
            self.remove(*id);
        }
        self.anchor = place;
        Some((finals, gone.into_iter().filter(|id| !passed.contains(id)).collect()))
    }

    /// Forgets uncertified blocks of slots below `oldest`, with what stands on them, unless a certified block stands on them.
    pub(super) fn expire(&mut self, oldest: Slot) {
        let stale: Vec<_> = self.uncertified.range(..(oldest, LEAST)).map(|(_, block)| *block).collect();
        for block in stale {
            let tree = self.subtree(block);
            if tree.iter().any(|id| self.nodes.get(id).is_some_and(|node| node.certified)) {
                continue;
            }
            for id in tree {
                self.remove(id);
            }
        }
    }
}
