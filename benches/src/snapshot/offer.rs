//! What a source does that offers a state: it goes on from there, as a node does between two states that it offers.

use std::sync::Arc;

use alys_actors::chain::local::LocalChain;
use alys_actors::chain::snapshot::Snapshots;
use alys_chain::Slot;
use alys_node::generate::{Load, Traffic};
use alys_node::home::Home;
use alys_storage::Store;
use anyhow::{Context, Result};

use crate::federation::Federation;
use crate::history;

/// Offers the state of the last final block in this directory, and then makes so many blocks more, the same in each source.
pub fn offer(home: &Home, further: u64, transfers: usize) -> Result<(Arc<dyn Store>, Snapshots)> {
    let mut chain = home.chain()?;
    let states = Snapshots::default();
    chain.offer_to(states.clone())?;
    let made = chain.head().height.get().saturating_mul(transfers as u64);
    let load = Load::new(transfers, 0);
    let mut traffic = Traffic::new(home.network().ledger.chain_id, load).behind(made);
    let federation = history::federation()?;
    for _ in 0..further {
        go_on(&mut chain, &federation, &mut traffic, transfers)?;
    }
    Ok((chain.store().clone(), states))
}

fn go_on(
    chain: &mut LocalChain,
    federation: &Federation,
    traffic: &mut Traffic,
    transfers: usize,
) -> Result<()> {
    let slot: Slot = chain.head().slot.next().context("there is a slot after this one")?;
    let (block, _) = chain.build(slot, &traffic.next(transfers))?;
    let certificate = federation.certify(&chain.network().rules, &block.header, block.id);
    chain.propose(&block, slot, None)?;
    chain.certify(&certificate)?;
    Ok(())
}
