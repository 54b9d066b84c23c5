//! Join-all rounds: everybody is asked for a batch, and the next round begins when the last of them has answered: a `join_all` over requests, the
//! bulk-synchronous pattern (Valiant, "A bridging model for parallel computation", 1990).

use alys_chain::HeightRange;
use alys_wire::PeerId;

use super::{BATCH, Board, Strategy};

/// See the [module](self).
#[derive(Debug)]
pub struct Rounds;

impl Strategy for Rounds {
    fn plan(&mut self, board: &Board) -> Vec<(PeerId, HeightRange)> {
        if board.idle().count() < board.usable().count() {
            return Vec::new();
        }
        board.deal(board.usable(), BATCH)
    }
}
