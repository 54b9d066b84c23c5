//! Certified blocks, one after the other, into a session.

use alys_chain::CertifiedHeader;

use super::block::VerifiedBlock;
use super::error::ChainError;
use super::session::Session;

/// How far it came where it did not come to the end, and why.
pub(super) fn import_all(session: &mut Session<'_>, blocks: &[VerifiedBlock]) -> Option<(usize, ChainError)> {
    let (executed, mut stopped) = match blocks.get(..session.run_length(blocks)) {
        Some(run) if is_worth_a_thread(run) => session.execute_run(run),
        _ => (0, None),
    };
    for (i, verified) in blocks.iter().enumerate() {
        if i == executed
            && let Some(error) = stopped.take()
        {
            return Some((i, error));
        }
        if let Err(error) = import_one(session, verified) {
            return Some((i, error));
        }
    }
    None
}

/// Transactions in a run of blocks from which on their state roots are computed in a thread of their own: of this many it takes ten times as long as to
/// start one.
const WORTH_A_THREAD: usize = 128;

fn is_worth_a_thread(blocks: &[VerifiedBlock]) -> bool {
    blocks.iter().map(|verified| verified.block.transactions.len()).sum::<usize>() >= WORTH_A_THREAD
}

fn import_one(session: &mut Session<'_>, verified: &VerifiedBlock) -> Result<(), ChainError> {
    let VerifiedBlock { block, certificate } = verified;
    let chain = session.chain();
    let final_height = chain.tree.anchor().tip.height;
    if block.header.height <= final_height && chain.holds(block.id)? {
        return Ok(());
    }
    if !chain.executed.contains_key(&block.id) {
        session.execute(block)?;
    }
    let certified = CertifiedHeader { header: block.header, certificate: *certificate };
    let changed = session.chain().tree.insert_certified(&certified)?;
    session.absorb(changed)
}
