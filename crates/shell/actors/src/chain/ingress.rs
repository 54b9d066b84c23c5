//! What the chain is asked and told: the messages, and the verbs that send them.
//!
//! Gossiped things are told without waiting and lose the oldest of their kind when their lane is full: consensus says everything more than
//! once, and old news is worth nothing. Imports wait for room. Asks end in time, with an error that says why.

use std::time::Duration;

use alys_actor::{Addr, AskError, Lane, Message, Overflow, SendError};
use alys_chain::{
    Approval, BlockId, BlockRef, Certificate, CertifiedBlock, Hash, Height, HeightRange, ProvenFinal,
};
use alys_ledger::Address;
use alys_storage::StoredHeader;
use alys_sync::Fault;
use alys_wire::Proposal;
use bytes::Bytes;
use tokio::sync::{broadcast, oneshot, watch};

use super::actor::ChainActor;
use super::answers::{
    AccountState, ImportError, Imported, NotInstalled, NotProduced, ReadError, Refused, StoredBlock,
};
use super::local::VerifiedBlock;
use super::metrics::ChainMetrics;
use super::snapshot::{Backfilled, Snapshots};
use super::view::{ChainEvent, ChainStatus, ChainView};
use crate::network::Gossiped;

/// How long an import may take, its wait in the mailbox included. The largest batch takes some 100 ms; a disk that stalls for longer than this
/// is reported as the moment's fault, and the batch is tried again.
const IMPORT_LIMIT: Duration = Duration::from_secs(30);

/// How long the production of a block may take: longer than any slot of a network in use would make sense for.
const PRODUCE_LIMIT: Duration = Duration::from_secs(10);

/// The most blocks of one [`GetBlocksByRange`]. More would keep the actor from its slot.
pub const MAX_RANGE_BLOCKS: usize = 64;

/// A proposal came by gossip.
#[derive(Debug)]
pub struct NewProposal {
    /// Where the verdict goes.
    pub gossiped: Gossiped,
    /// The proposal.
    pub proposal: Box<Proposal>,
}

/// An approval came by gossip.
#[derive(Debug)]
pub struct NewApproval {
    /// Where the verdict goes.
    pub gossiped: Gossiped,
    /// The approval.
    pub approval: Approval,
}

/// A certificate came by gossip.
#[derive(Debug)]
pub struct NewCertificate {
    /// Where the verdict goes.
    pub gossiped: Gossiped,
    /// The certificate.
    pub certificate: Certificate,
}

/// A transaction came by gossip.
#[derive(Debug)]
pub struct NewTransaction {
    /// Where the verdict goes.
    pub gossiped: Gossiped,
    /// The encoded transaction.
    pub raw: Bytes,
}

/// A transaction of our own user.
#[derive(Debug)]
pub struct SubmitTransaction {
    /// The encoded transaction.
    pub raw: Bytes,
}

/// Verified blocks, ascending, each the child of the one before: to be executed and made durable in one commit.
#[derive(Debug)]
pub struct ImportBatch {
    /// The blocks.
    pub blocks: Vec<VerifiedBlock>,
}

/// Stand on this block, whose state is staged.
#[derive(Clone, Copy, Debug)]
pub struct InstallState {
    /// The block, proven to be final.
    pub proven: ProvenFinal,
}

/// Store these blocks below those that are here.
#[derive(Debug)]
pub struct Backfill {
    /// The blocks, ascending, ending right below the lowest body that is here.
    pub blocks: Vec<Backfilled>,
}

/// A block with its certificate, not verified yet.
#[derive(Debug)]
pub struct ImportBlock {
    /// The block.
    pub block: CertifiedBlock,
    /// Whether its certificate is published once it is durable.
    pub broadcast: bool,
}

/// Produce a block in the present slot, if it is ours and sync agrees. The chain does so by itself; this is for people and tests.
#[derive(Debug)]
pub struct ProduceBlock {
    /// Where the outcome goes, which takes longer than a handler may.
    pub answer: oneshot::Sender<Result<BlockRef, NotProduced>>,
}

/// Which block is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The one with this name.
    Id(BlockId),
    /// The one at this height of the canonical chain.
    Height(Height),
    /// The head.
    Head,
    /// The last final one.
    Final,
}

/// A block as it is stored.
#[derive(Debug)]
pub struct GetBlock {
    /// Which one.
    pub at: At,
}

/// The header of a block as it is stored, with its certificate.
#[derive(Debug)]
pub struct GetHeader {
    /// Of which one.
    pub at: At,
}

/// Whether a block is stored.
#[derive(Debug)]
pub struct HasBlock {
    /// Which one.
    pub id: BlockId,
}

/// Blocks of the canonical chain, at most [`MAX_RANGE_BLOCKS`].
#[derive(Debug)]
pub struct GetBlocksByRange {
    /// Their heights.
    pub range: HeightRange,
}

/// What an address owns.
#[derive(Debug)]
pub struct GetAccount {
    /// The address.
    pub address: Address,
}

/// The chain in detail.
#[derive(Debug)]
pub struct GetChainStatus;

/// A message of gossip: High, unless said otherwise; the oldest of its kind makes room.
macro_rules! gossip {
    ($message:ident, $name:literal, $lane:ident, |$self:ident| $bytes:expr) => {
        impl Message for $message {
            type Reply = ();
            const NAME: &'static str = $name;

            fn lane(&self) -> Lane {
                Lane::$lane
            }

            fn overflow(&self) -> Overflow {
                Overflow::DropOldest
            }

            fn size(&self) -> usize {
                let $self = self;
                size_of::<Self>().saturating_add($bytes)
            }
        }
    };
}

gossip!(NewProposal, "NewProposal", High, |m| size_of::<Proposal>()
    + m.proposal.body.as_ref().map_or(0, |body| body.0.len()));
gossip!(NewApproval, "NewApproval", High, |_m| 0);
gossip!(NewCertificate, "NewCertificate", High, |_m| 0);
gossip!(NewTransaction, "NewTransaction", Normal, |m| m.raw.len());

/// A question: it waits in its lane, and its reply is what the table says.
macro_rules! question {
    ($message:ident, $name:literal, $lane:ident, $reply:ty) => {
        impl Message for $message {
            type Reply = $reply;
            const NAME: &'static str = $name;

            fn lane(&self) -> Lane {
                Lane::$lane
            }
        }
    };
}

question!(ProduceBlock, "ProduceBlock", High, ());
question!(GetBlock, "GetBlock", Normal, Result<Option<StoredBlock>, ReadError>);
question!(GetHeader, "GetHeader", Normal, Result<Option<StoredHeader>, ReadError>);
question!(HasBlock, "HasBlock", Normal, Result<bool, ReadError>);
question!(GetBlocksByRange, "GetBlocksByRange", Normal, Result<Vec<StoredBlock>, ReadError>);
question!(GetAccount, "GetAccount", Normal, Result<AccountState, ReadError>);
question!(InstallState, "InstallState", Normal, Result<Imported, NotInstalled>);
question!(GetChainStatus, "GetChainStatus", Control, ChainStatus);

impl Message for SubmitTransaction {
    type Reply = Result<Hash, Refused>;
    const NAME: &'static str = "SubmitTransaction";

    fn size(&self) -> usize {
        size_of::<Self>() + self.raw.len()
    }
}

impl Message for ImportBatch {
    type Reply = Result<Imported, ImportError>;
    const NAME: &'static str = "ImportBatch";

    fn size(&self) -> usize {
        let of = |block: &VerifiedBlock| size_of::<VerifiedBlock>() + block.block.body.0.len();
        self.blocks.iter().map(of).sum()
    }
}

impl Message for Backfill {
    type Reply = Result<Height, Fault>;
    const NAME: &'static str = "Backfill";

    fn size(&self) -> usize {
        self.blocks.iter().map(|block| size_of::<Backfilled>() + block.body.0.len()).sum()
    }
}

impl Message for ImportBlock {
    type Reply = Result<Imported, ImportError>;
    const NAME: &'static str = "ImportBlock";

    fn size(&self) -> usize {
        size_of::<Self>() + self.block.block.body.0.len()
    }
}

/// The chain, to those who talk to it. Valid before the first incarnation and across all of them.
#[derive(Clone)]
pub struct ChainMailbox {
    pub(super) addr: Addr<ChainActor>,
    pub(super) view: watch::Receiver<ChainView>,
    pub(super) events: broadcast::Sender<ChainEvent>,
    pub(super) metrics: ChainMetrics,
    pub(super) snapshots: Snapshots,
}

impl ChainMailbox {
    /// A gossiped proposal.
    ///
    /// # Errors
    /// [`SendError`]: then no verdict comes.
    pub fn propose(&self, gossiped: Gossiped, proposal: Proposal) -> Result<(), SendError> {
        self.addr.try_tell(NewProposal { gossiped, proposal: Box::new(proposal) })
    }

    /// A gossiped approval.
    ///
    /// # Errors
    /// As for [`Self::propose`].
    pub fn approve(&self, gossiped: Gossiped, approval: Approval) -> Result<(), SendError> {
        self.addr.try_tell(NewApproval { gossiped, approval })
    }

    /// A gossiped certificate.
    ///
    /// # Errors
    /// As for [`Self::propose`].
    pub fn certify(&self, gossiped: Gossiped, certificate: Certificate) -> Result<(), SendError> {
        self.addr.try_tell(NewCertificate { gossiped, certificate })
    }

    /// A gossiped transaction.
    ///
    /// # Errors
    /// As for [`Self::propose`].
    pub fn transaction(&self, gossiped: Gossiped, raw: Bytes) -> Result<(), SendError> {
        self.addr.try_tell(NewTransaction { gossiped, raw })
    }

    /// Takes a transaction of our own user, and spreads it.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn submit(&self, raw: Bytes) -> Result<Hash, Refused> {
        self.addr.ask(SubmitTransaction { raw }).await?
    }

    /// Executes verified blocks, ascending, each the child of the one before, and makes them durable. Blocks that are here count as imported.
    ///
    /// # Errors
    /// How far it came, and why no further.
    pub async fn import(&self, blocks: Vec<VerifiedBlock>) -> Result<Imported, ImportError> {
        let answer = self.addr.ask_within(ImportBatch { blocks }, IMPORT_LIMIT).await;
        match answer {
            Ok(outcome) => outcome,
            Err(why) => Err(self.unanswered(why)),
        }
    }

    /// Makes the staged state of this block the chain's own, and stands on the block from then on.
    ///
    /// # Errors
    /// Why the chain is as it was.
    pub async fn install(&self, proven: ProvenFinal) -> Result<Imported, NotInstalled> {
        let answer = self.addr.ask_within(InstallState { proven }, IMPORT_LIMIT).await;
        answer.unwrap_or_else(|why| Err(NotInstalled::Failed(self.unanswered(why).fault)))
    }

    /// Stores verified blocks right below the lowest body that is here. Returns the lowest height with a body then.
    ///
    /// # Errors
    /// Whose fault it is that they were not stored.
    pub async fn backfill(&self, blocks: Vec<Backfilled>) -> Result<Height, Fault> {
        let answer = self.addr.ask_within(Backfill { blocks }, IMPORT_LIMIT).await;
        answer.unwrap_or_else(|why| Err(self.unanswered(why).fault))
    }

    /// The states that are offered to fresh nodes.
    #[must_use]
    pub const fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// Verifies one block with its certificate, and imports it.
    ///
    /// # Errors
    /// As for [`Self::import`].
    pub async fn import_block(
        &self,
        block: CertifiedBlock,
        broadcast: bool,
    ) -> Result<Imported, ImportError> {
        let answer = self.addr.ask_within(ImportBlock { block, broadcast }, IMPORT_LIMIT).await;
        match answer {
            Ok(outcome) => outcome,
            Err(why) => Err(self.unanswered(why)),
        }
    }

    fn unanswered(&self, why: AskError) -> ImportError {
        let fault = Fault::Moment(format!("the chain does not answer: {why}"));
        ImportError { imported: 0, tip: self.view.borrow().tip(), fault }
    }

    /// Produces a block in the present slot, if it is ours and sync agrees.
    ///
    /// # Errors
    /// [`NotProduced`].
    pub async fn produce(&self) -> Result<BlockRef, NotProduced> {
        let (answer, outcome) = oneshot::channel();
        self.addr.tell(ProduceBlock { answer }).await.map_err(AskError::from)?;
        let outcome = tokio::time::timeout(PRODUCE_LIMIT, outcome).await;
        outcome.map_err(|_| AskError::Timeout)?.map_err(|_| AskError::Crashed)?
    }

    /// A block as it is stored.
    ///
    /// # Errors
    /// [`ReadError`], as with every question below; [`ReadError::NotHeld`] when its body is not here.
    pub async fn get_block(&self, at: At) -> Result<Option<StoredBlock>, ReadError> {
        self.addr.ask(GetBlock { at }).await?
    }

    /// The header of a block, also of one whose body is not held.
    ///
    /// # Errors
    /// As for [`Self::get_block`].
    pub async fn get_header(&self, at: At) -> Result<Option<StoredHeader>, ReadError> {
        self.addr.ask(GetHeader { at }).await?
    }

    /// Whether a block is stored.
    ///
    /// # Errors
    /// As for [`Self::get_block`].
    pub async fn has_block(&self, id: BlockId) -> Result<bool, ReadError> {
        self.addr.ask(HasBlock { id }).await?
    }

    /// Blocks of the canonical chain from the start of the range on: at most [`MAX_RANGE_BLOCKS`], and none behind a gap.
    ///
    /// # Errors
    /// As for [`Self::get_block`].
    pub async fn get_blocks_by_range(&self, range: HeightRange) -> Result<Vec<StoredBlock>, ReadError> {
        self.addr.ask(GetBlocksByRange { range }).await?
    }

    /// What an address owns at the head.
    ///
    /// # Errors
    /// As for [`Self::get_block`].
    pub async fn account(&self, address: Address) -> Result<AccountState, ReadError> {
        self.addr.ask(GetAccount { address }).await?
    }

    /// The chain in detail.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn status(&self) -> Result<ChainStatus, AskError> {
        self.addr.ask(GetChainStatus).await
    }

    /// The chain at a glance, now and whenever it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<ChainView> {
        self.view.clone()
    }

    /// The news from now on. Bounded: a slow reader misses the oldest, and then looks at [`Self::watch`].
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<ChainEvent> {
        self.events.subscribe()
    }

    /// What the chain counts.
    #[must_use]
    pub const fn metrics(&self) -> &ChainMetrics {
        &self.metrics
    }
}
