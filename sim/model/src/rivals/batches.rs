//! One batch a peer: whoever is idle gets the lowest batch that is missing, of a fixed size; the way of the range syncs of Ethereum's consensus clients
//! (a batch of so many epochs a peer, tried again elsewhere when it fails).

use alys_chain::HeightRange;
use alys_wire::PeerId;

use super::{Board, Strategy};

/// See the [module](self).
#[derive(Debug)]
pub struct Batches {
    /// How many bodies a batch has.
    pub size: u64,
}

impl Strategy for Batches {
    fn plan(&mut self, board: &Board) -> Vec<(PeerId, HeightRange)> {
        board.deal(board.idle(), self.size)
    }
}
