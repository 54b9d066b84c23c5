//! Blocks that sync has verified, and certified blocks from elsewhere.

use alys_actor::Context;
use alys_chain::{BlockId, CertifiedBlock, Height, ProvenFinal};
use alys_sync::{Fault, ImportTook, Offence};

use super::actor::{ChainActor, Forward};
use super::answers::{ImportError, Imported, NotInstalled};
use super::local::{ChainError, LocalChain, PreparedBlock, VerifiedBlock};
use super::snapshot::Backfilled;
use super::view::StorageState;

impl ChainActor {
    /// Executes the blocks and makes them durable in one commit.
    pub(super) async fn import(
        &mut self,
        blocks: Vec<VerifiedBlock>,
        ctx: &mut Context<Self>,
    ) -> Result<Imported, ImportError> {
        if let StorageState::Failed(why) = &self.shared.view.borrow().storage {
            return Err(self.not_imported(0, Fault::Ours(why.clone())));
        }
        let ids: Vec<BlockId> = blocks.iter().map(|block| block.block.id).collect();
        let clock = self.shared.parts.clock.clone();
        let (done, took) = self
            .change(move |chain| {
                let began = clock.moment();
                let done = chain.import(&blocks);
                let (working, commit) = (clock.moment().since(began), chain.committing());
                (done, ImportTook { execute: working.saturating_sub(commit), commit })
            })
            .await;
        let (effects, stopped) = match done {
            Ok(effects) => (effects, None),
            Err(stopped) => (stopped.effects, Some((stopped.imported, stopped.error))),
        };
        self.note_storage(stopped.as_ref().map(|(_, error)| error));
        // Old certificates are nobody's news.
        self.absorb(effects, Forward::Nothing);
        let imported = stopped.as_ref().map_or(ids.len(), |(imported, _)| *imported);
        self.shared.metrics.imported.inc_by(imported as u64);
        self.release(ids, ctx).await;
        match stopped {
            None => Ok(Imported { tip: self.shared.view.borrow().tip(), took }),
            Some((imported, error)) => Err(self.not_imported(imported, fault_of(&error))),
        }
    }

    /// Verifies a block and its certificate, then imports it.
    pub(super) async fn import_unverified(
        &mut self,
        block: CertifiedBlock,
        broadcast: bool,
        ctx: &mut Context<Self>,
    ) -> Result<Imported, ImportError> {
        let certificate = block.certificate;
        let heart = self.shared.heart.clone();
        let verified = self.compute(move || heart.with(|chain| verify(chain, block))).await;
        let verified = verified.map_err(|fault| self.not_imported(0, fault))?;
        let imported = self.import(vec![verified], ctx).await?;
        if broadcast {
            self.shared.parts.outlet.certificate(certificate);
        }
        Ok(imported)
    }

    /// Stands on a proven block whose state is staged.
    pub(super) async fn install(&mut self, proven: ProvenFinal) -> Result<Imported, NotInstalled> {
        let done = self.change(move |chain| chain.install(&proven)).await;
        self.note_storage(done.as_ref().err());
        match done {
            Ok(effects) => {
                self.absorb(effects, Forward::Nothing);
                Ok(Imported { tip: self.shared.view.borrow().tip(), took: ImportTook::default() })
            }
            Err(error @ ChainError::TakesNoState(_)) => Err(NotInstalled::TooLate(error.to_string())),
            Err(error @ ChainError::WrongState(_)) => Err(NotInstalled::Wrong(error.to_string())),
            Err(error) => Err(NotInstalled::Failed(fault_of(&error))),
        }
    }

    /// Stores blocks below those that are here.
    pub(super) async fn backfill(&mut self, blocks: Vec<Backfilled>) -> Result<Height, Fault> {
        let done = self.change(move |chain| chain.backfill(&blocks)).await;
        self.note_storage(done.as_ref().err());
        done.map_err(|error| fault_of(&error))
    }

    fn not_imported(&self, imported: usize, fault: Fault) -> ImportError {
        ImportError { imported, tip: self.shared.view.borrow().tip(), fault }
    }
}

/// Whose fault it is that a block with a valid certificate, and the body that its header commits to, was not taken.
fn fault_of(error: &ChainError) -> Fault {
    match error {
        // Sync goes on from our tip again.
        ChainError::UnknownParent(_) => Fault::Moment(error.to_string()),
        _ if error.is_temporary() => Fault::Moment(error.to_string()),
        // A quorum has executed it. If we cannot, the doubt is about us.
        _ => Fault::Ours(error.to_string()),
    }
}

/// Everything that must be true of a certified block before it is executed.
fn verify(chain: &LocalChain, block: CertifiedBlock) -> Result<VerifiedBlock, Fault> {
    let CertifiedBlock { block, certificate } = block;
    let network = chain.network();
    let bad_header = |_| Fault::Peer(Offence::BadHeader);
    let bad_certificate = |_| Fault::Peer(Offence::BadCertificate);
    alys_chain::verify::check_header(&network.rules, &block.header).map_err(bad_header)?;
    certificate.check_subject(&block.header).map_err(bad_certificate)?;
    let missing = |parent: BlockId| Fault::Moment(format!("the parent {parent} is not known here"));
    let parent = block.header.parent;
    let lineage = chain.children_lineage(parent).ok_or_else(|| missing(parent))?;
    let required = lineage.required(network.rules.schedule(), block.header.slot);
    network.vouched.certificate(&network.rules, &certificate, required).map_err(bad_certificate)?;
    let (id, chain_id) = (certificate.block, network.ledger.chain_id);
    let block = PreparedBlock::check(block.header, id, block.body, chain_id)
        .map_err(|_| Fault::Peer(Offence::BadBody))?;
    Ok(VerifiedBlock { block, certificate })
}
