//! What others see of the chain: a view that is always there, a status on demand, and the news.

use alys_chain::consensus::Evidence;
use alys_chain::{AuthorityIndex, BlockId, BlockRef, Certificate, SetId, Slot};
use alys_sync::{Federation, Tip};
use thiserror::Error;

/// Whether the database takes what we give it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Error)]
pub enum StorageState {
    /// It does.
    #[default]
    #[error("working")]
    Working,
    /// Not now; the same will be tried again.
    #[error("waiting: {0}")]
    Waiting(String),
    /// Not before the operator has looked at it. Nothing is signed, produced or imported any more.
    #[error("failed: {0}")]
    Failed(String),
}

/// The chain at a glance, always at hand in [`ChainMailbox::watch`](super::ChainMailbox::watch).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainView {
    /// The durable head: the certified block with the highest slot.
    pub head: BlockRef,
    /// Its certificate; `None` for genesis.
    pub head_certificate: Option<Certificate>,
    /// The last final block.
    pub finalized: BlockRef,
    /// The highest slot of any verified certificate that was seen, its block here or not.
    pub highest_certified: Slot,
    /// The block that it names.
    pub highest_block: BlockId,
    /// The last slot that this node signed for; `None` if it never did, or has lost its record.
    pub last_signed: Option<Slot>,
    /// How many blocks this process has produced.
    pub produced: u64,
    /// The present slot; zero before genesis.
    pub slot: Slot,
    /// The authority set of that slot.
    pub set: SetId,
    /// How many authorities that set has.
    pub authorities: u8,
    /// Our place in it, if we have one.
    pub authority: Option<AuthorityIndex>,
    /// Whether our approval counts in that slot: as a member of the set, or of the old one that must still vouch beside it.
    pub votes: bool,
    /// The transactions that wait for a block.
    pub transactions: usize,
    /// Whether the database works.
    pub storage: StorageState,
}

impl ChainView {
    /// A node that holds nothing but genesis.
    #[must_use]
    pub const fn genesis(id: BlockId) -> Self {
        let block = BlockRef::genesis(id);
        Self {
            head: block,
            head_certificate: None,
            finalized: block,
            highest_certified: Slot::ZERO,
            highest_block: id,
            last_signed: None,
            produced: 0,
            slot: Slot::ZERO,
            set: SetId(0),
            authorities: 0,
            authority: None,
            votes: false,
            transactions: 0,
            storage: StorageState::Working,
        }
    }

    /// What is durable, as sync counts it.
    #[must_use]
    pub const fn tip(&self) -> Tip {
        Tip { head: self.head, finalized: self.finalized }
    }

    /// The authority set of the present slot, as the gate counts it.
    #[must_use]
    pub const fn federation(&self) -> Federation {
        Federation::new(self.authorities, self.votes)
    }
}

/// Whether this node may sign at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerState {
    /// It has no authority key.
    None,
    /// It knows what it has signed.
    Ready,
    /// It has lost its record, and waits for a certificate of a slot after its restart.
    Lost {
        /// The slot of the restart.
        restart: Slot,
    },
}

/// The chain in detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainStatus {
    /// The same as in the view.
    pub view: ChainView,
    /// Whether this node may sign.
    pub signer: SignerState,
    /// Why the last slot of ours went without a block of ours, if it did.
    pub not_produced: Option<String>,
    /// Proposals that wait for their parent.
    pub held: usize,
    /// Proposals that are being checked.
    pub checking: usize,
    /// The tree above finality: linked blocks, loose blocks, approvals.
    pub tree: (usize, usize, usize),
    /// The bytes of the transactions that wait.
    pub transaction_bytes: usize,
}

/// News. Whoever reads too slowly misses the oldest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainEvent {
    /// The head has moved.
    NewHead(BlockRef),
    /// Finality has moved.
    Finalized(BlockRef),
    /// This node has made a block.
    Produced(BlockRef),
    /// An authority has signed two blocks of one slot.
    Evidence(Evidence),
    /// A verified signature of another authority was seen.
    AuthorityHeard {
        /// Its place in its set.
        authority: AuthorityIndex,
        /// The set.
        set: SetId,
        /// The slot that it signed for.
        slot: Slot,
    },
}
