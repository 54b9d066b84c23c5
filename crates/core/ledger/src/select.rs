//! Filling a new block: greedily, in the order of the candidates.

use alys_chain::limits::{MAX_BODY_BYTES, MAX_TRANSACTIONS};

use crate::error::{Invalid, StateError};
use crate::execute::{BlockFacts, Outcome, Pending, Refused};
use crate::transaction::Recovered;
use crate::view::StateView;

/// What an SSZ list of byte lists needs for each of them beside its bytes: an offset.
const BYTES_PER_ENTRY: usize = 4;

/// How much a body may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The encoded body, in bytes.
    pub bytes: usize,
    /// The number of transactions.
    pub transactions: usize,
}

impl Room {
    /// A whole body.
    pub const BODY: Self = Self { bytes: MAX_BODY_BYTES, transactions: MAX_TRANSACTIONS };
}

/// Why a candidate was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    /// It does not fit any more; a later block may take it.
    NoRoom,
    /// It is not valid here. [`Invalid::NonceTooHigh`], [`Invalid::Unaffordable`] and [`Invalid::FeeBelowBase`] can pass; the others stay.
    Invalid(Invalid),
}

/// The content of a new block, already executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The positions of the candidates taken, in their order in the block.
    pub taken: Vec<usize>,
    /// The positions of the others, ascending, and why.
    pub skipped: Vec<(usize, Skip)>,
    /// What the block does.
    pub outcome: Outcome,
}

/// See [`Executor::select`](crate::Executor::select).
pub(crate) fn select(
    parent: &dyn StateView,
    block: BlockFacts,
    mut room: Room,
    candidates: &[Recovered],
) -> Result<Selection, StateError> {
    let mut pending = Pending::new(parent, block);
    let (mut taken, mut skipped) = (Vec::new(), Vec::new());
    for (i, tx) in candidates.iter().enumerate() {
        let bytes = tx.raw().len().saturating_add(BYTES_PER_ENTRY);
        if !fits(tx, bytes, room, &pending, &block) {
            skipped.push((i, Skip::NoRoom));
            continue;
        }
        match pending.run(tx) {
            Ok(()) => {
                room = Room { bytes: room.bytes - bytes, transactions: room.transactions - 1 };
                taken.push(i);
            }
            Err(Refused::Invalid(reason)) => skipped.push((i, Skip::Invalid(reason))),
            Err(Refused::State(error)) => return Err(error),
        }
    }
    Ok(Selection { taken, skipped, outcome: pending.finish()?.in_state(parent)? })
}

/// A transaction whose gas fits into no block at all is not kept waiting: execution names the reason.
fn fits(tx: &Recovered, bytes: usize, room: Room, pending: &Pending<'_>, block: &BlockFacts) -> bool {
    let gas_fits = tx.gas_limit() <= pending.gas_left() || tx.gas_limit() > block.gas_limit;
    gas_fits && room.transactions > 0 && bytes <= room.bytes
}
