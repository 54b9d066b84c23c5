//! Transactions: gossiped, submitted, settled.

use alys_chain::Hash;
use alys_ledger::{Account, Accounts, Address, StateError, recover};
use alys_peers::Offence;
use alys_transport::Verdict;
use bytes::Bytes;

use super::actor::ChainActor;
use super::answers::{AccountState, ReadError, Refused};
use super::inspect::Dismissal;
use crate::network::Gossiped;

/// What a node says of accounts that follows headers only.
const NO_STATE: &str = "this node follows headers only and knows no accounts: ask a full node";

impl ChainActor {
    /// A gossiped transaction. Only what can be judged without a state is held against anybody: accounts differ from node to node.
    pub(super) async fn on_transaction(&mut self, gossiped: Gossiped, raw: Bytes) {
        match self.enter(raw).await {
            Ok(_) => self.verdict(gossiped, Verdict::Accept),
            Err((Refused::Invalid(why), true)) => {
                self.dismiss(gossiped, Dismissal::guilty(Offence::BadTransaction, why));
            }
            Err((why, _)) => self.dismiss(gossiped, Dismissal::ignored(why)),
        }
    }

    /// A transaction of our own user.
    pub(super) async fn on_submit(&mut self, raw: Bytes) -> Result<Hash, Refused> {
        let hash = self.enter(raw.clone()).await.map_err(|(why, _)| why)?;
        self.shared.parts.outlet.transaction(raw);
        Ok(hash)
    }

    /// Takes a transaction, or says why not, and whether its bytes alone prove that.
    async fn enter(&mut self, raw: Bytes) -> Result<Hash, (Refused, bool)> {
        let chain_id = self.shared.parts.network.ledger.chain_id;
        if self.shared.parts.network.light {
            return Err((Refused::State(NO_STATE.to_owned()), false));
        }
        let known = alys_ledger::transaction::name(&raw);
        if self.transactions.contains(known) {
            return Err((Refused::Known, false));
        }
        let heart = self.shared.heart.clone();
        let recovered = self.compute(move || {
            let tx = recover(&raw, chain_id).map_err(|why| (Refused::Invalid(why), true))?;
            let state = heart.with(|chain| chain.state().clone());
            let account =
                account(&state, &tx.sender()).map_err(|e| (Refused::State(e.to_string()), false))?;
            Ok((tx, account))
        });
        let (tx, account) = recovered.await?;
        let hash = tx.hash();
        self.transactions.insert(tx, account).map_err(|why| (why, false))?;
        self.show_transactions();
        Ok(hash)
    }

    /// Forgets what the accounts have used, after the head has moved.
    pub(super) async fn settle_transactions(&mut self) {
        let senders = self.transactions.senders();
        let head = self.shared.view.borrow().head;
        if senders.is_empty() || self.settled_at == Some(head.id) {
            return;
        }
        let heart = self.shared.heart.clone();
        let nonces = self.compute(move || {
            let state = heart.with(|chain| chain.state().clone());
            let nonce = |sender: Address| account(&state, &sender).map(|a| (sender, a.nonce));
            senders.into_iter().map(nonce).collect::<Result<Vec<_>, _>>()
        });
        match nonces.await {
            Ok(nonces) => {
                nonces.iter().for_each(|(sender, nonce)| self.transactions.settle(sender, *nonce));
                self.settled_at = Some(head.id);
                self.show_transactions();
            }
            Err(error) => tracing::warn!(%error, "the waiting transactions could not be settled"),
        }
    }

    /// What an address owns at the head.
    pub(super) async fn account(&self, address: Address) -> Result<AccountState, ReadError> {
        if self.shared.parts.network.light {
            return Err(ReadError::NoState(NO_STATE));
        }
        let heart = self.shared.heart.clone();
        let read = self.compute(move || {
            let state = heart.with(|chain| chain.state().clone());
            account(&state, &address).map_err(|error| ReadError::Store(error.to_string()))
        });
        let Account { nonce, balance } = read.await?;
        Ok(AccountState { balance, nonce, next_nonce: self.transactions.next_nonce(&address, nonce) })
    }

    fn show_transactions(&self) {
        let (count, bytes) = (self.transactions.len(), self.transactions.bytes());
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.shared.metrics.transactions.set(gauge(count));
        self.shared.metrics.transaction_bytes.set(gauge(bytes));
        self.shared.view.send_if_modified(|view| std::mem::replace(&mut view.transactions, count) != count);
    }
}

fn account(state: &impl Accounts, address: &Address) -> Result<Account, StateError> {
    Ok(state.account(address)?.unwrap_or_default())
}
