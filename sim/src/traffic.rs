//! A little traffic: every slot somebody pays somebody.

use alys_actor::{Randomness, Stream};

use crate::faults::Dice;
use crate::node::Node;
use crate::site::Site;
use crate::tap::Witness;
use crate::trace::Place;

/// Draws who pays, and through which node.
pub struct Traffic {
    dice: Dice<Stream>,
    wallets: usize,
}

impl Traffic {
    /// The traffic of a seed.
    #[must_use]
    pub fn new(randomness: &Randomness, wallets: usize) -> Self {
        Self { dice: Dice(randomness.stream("traffic")), wallets }
    }

    /// Submits a transfer to one of the nodes. What a node refuses is lost, as with a wallet that is closed.
    pub async fn send(&mut self, site: &Site, nodes: &[Node], witness: &Witness) {
        let (node, wallet) = (self.dice.index(nodes.len()), self.dice.index(self.wallets));
        let Some(running) = nodes[node].running() else { return };
        let Ok(account) = running.chain().account(site.wallets[wallet].address()).await else { return };
        let outcome = running.chain().submit(site.transfer(wallet, account.nonce)).await;
        let said = match outcome {
            Ok(_) => "takes a transfer".to_owned(),
            Err(refused) => format!("refuses a transfer: {refused}"),
        };
        witness.lock().note(Place::Node(node), &said);
    }
}
