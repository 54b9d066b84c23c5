//! Execution, and state roots beside it.
//!
//! - **In**: blocks, each the child of the one before; the state that the first one is executed on.
//! - **Out**: what each of them changes, and the state after the last one that is right.
//! - **On failure**: the first block that is not right ends the run, and the state is the one after the block before it.
//!
//! No transaction depends on a state root, but each header carries one: the roots follow in a thread of their own.

use std::sync::mpsc;

use alys_chain::Hash;
use alys_ledger::{AccountChange, Ahead, Overlay, StateDiff};

use super::LocalChain;
use super::block::VerifiedBlock;
use super::error::ChainError;
use super::view::StoredState;

/// How many blocks the execution may be ahead of the state roots: enough that neither waits for the other, and as little as that in memory.
const AHEAD: usize = 16;

/// Executes blocks one after the other, while a thread beside computes the state root of each and compares it with the header. What each that is
/// right changes, and why the next one is not.
pub(super) fn run_ahead(
    chain: &LocalChain,
    overlay: &mut Overlay<StoredState>,
    blocks: &[VerifiedBlock],
) -> (Vec<Vec<AccountChange>>, Option<ChainError>) {
    let mut accounts = Ahead::of(overlay);
    let (executed, waiting) = mpsc::sync_channel(AHEAD);
    std::thread::scope(|scope| {
        let roots = scope.spawn(move || check_roots(overlay, &waiting));
        let mut stopped = None;
        for VerifiedBlock { block, .. } in blocks {
            let facts = chain.facts(&block.header);
            match chain.executor.run(&accounts, &facts, &block.transactions) {
                Ok(run) => {
                    accounts.advance(&run.changes);
                    if executed.send((block.header.state_root, run.changes)).is_err() {
                        // A root was wrong: what it says comes first.
                        break;
                    }
                }
                Err(error) => {
                    stopped = Some(error.into());
                    break;
                }
            }
        }
        drop(executed);
        let (done, wrong) = roots.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (done, wrong.or(stopped))
    })
}

/// Takes the state from block to block for as long as the roots are right.
fn check_roots(
    overlay: &mut Overlay<StoredState>,
    blocks: &mpsc::Receiver<(Hash, Vec<AccountChange>)>,
) -> (Vec<Vec<AccountChange>>, Option<ChainError>) {
    let mut done = Vec::new();
    for (claimed, changes) in blocks {
        match advance(overlay, claimed, changes) {
            Ok(changes) => done.push(changes),
            Err(error) => return (done, Some(error)),
        }
    }
    (done, None)
}

/// Takes the state over these changes to the root that the header claims. Returns those that change anything.
pub(super) fn advance(
    overlay: &mut Overlay<StoredState>,
    claimed: Hash,
    changes: Vec<AccountChange>,
) -> Result<Vec<AccountChange>, ChainError> {
    let diff = StateDiff::new(overlay, changes)?;
    let computed = diff.root_after();
    if claimed != computed {
        return Err(ChainError::StateRoot { claimed, computed });
    }
    overlay.apply(&diff)?;
    Ok(diff.into_accounts())
}
