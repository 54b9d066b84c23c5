//! A little transaction traffic: transfers of the development wallets, sent to the nodes in turn.

use alys_ledger::{Address, BASE_FEE, ChainId, Transfer, U256, Wallet};
use alys_rpc::Client;
use bytes::Bytes;

use crate::generate::wallets;

/// Sends transfers; each wallet's nonce is asked for before it sends.
pub struct Sender {
    wallets: Vec<Wallet>,
    chain: ChainId,
    sent: u64,
    next: usize,
}

impl Sender {
    /// A sender on this chain.
    #[must_use]
    pub fn new(chain: ChainId) -> Self {
        Self { wallets: wallets(), chain, sent: 0, next: 0 }
    }

    /// How many transactions nodes have taken.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends one transfer to this node. A node that refuses or does not answer is no failure of the devnet: the next one is asked.
    pub async fn send(&mut self, node: &Client) {
        let wallet = &self.wallets[self.next % self.wallets.len()];
        let from = wallet.address().0.0;
        self.next = self.next.wrapping_add(1);
        let Ok(nonce) = node.transaction_count(from).await else { return };
        let to = Address::repeat_byte(u8::try_from(self.next % 256).unwrap_or(0));
        let (value, input) = (U256::from(1), Bytes::new());
        let transfer = Transfer { nonce, to, value, max_fee: BASE_FEE, max_priority_fee: 0, input };
        if node.send_raw_transaction(&wallet.sign(&transfer, self.chain)).await.is_ok() {
            self.sent += 1;
        }
    }
}
