//! `bench baseline` (hidden): the plain client that every figure of `bench sync` stands beside, in a process of its own.
//!
//! One peer, one request in flight, one block at a time (header with certificate, then body), approvals checked one by one, a durable commit for
//! each block. Same transport, same database, same ledger, same checks.

use std::path::PathBuf;

use alys_actors::chain::local::{LocalChain, PreparedBlock, VerifiedBlock};
use alys_chain::{CertifiedHeader, Height, Parent, verify};
use alys_node::home::Home;
use alys_node::progress::peak_rss;
use alys_wire::Address;
use anyhow::Result;
use clap::Args;

use crate::client::Client;
use crate::process::Report;

/// The arguments, which the fresh node has as well.
#[derive(Debug, Args)]
pub struct Baseline {
    /// The data directory: fresh, with the genesis of the history in it.
    #[arg(long)]
    pub data_dir: PathBuf,
    /// How many blocks to fetch.
    #[arg(long)]
    pub blocks: u64,
    /// Where to fetch them: with the peer id at the end.
    #[arg(long = "source", required = true)]
    pub sources: Vec<Address>,
}

/// Fetches the blocks and prints a [`Report`].
pub fn run(command: &Baseline) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(fetch(command))
}

async fn fetch(command: &Baseline) -> Result<()> {
    let home = Home::open(&command.data_dir, None)?;
    let mut chain = home.chain()?;
    let mut parent = Parent::genesis(&home.network().rules);
    let source = &command.sources[0];
    let client = Client::connect(home.network().rules.genesis_id(), source).await?;
    for height in 1..=command.blocks {
        fetch_one(&client, &mut chain, &mut parent, Height(height)).await?;
    }
    let head = chain.head();
    let (blocks, head) = (head.height.get(), head.id.to_string());
    Report { blocks, head, peak_rss: peak_rss(), inside: None }.print()
}

async fn fetch_one(
    client: &Client,
    chain: &mut LocalChain,
    parent: &mut Parent,
    height: Height,
) -> Result<()> {
    let CertifiedHeader { header, certificate } = client.header(height).await?;
    let rules = chain.network().rules.clone();
    verify::check_child(&rules, parent.header.id(), &parent.header, &header)?;
    certificate.check_subject(&header)?;
    certificate.verify(&rules, parent.required(&rules, &header))?;
    let body = client.body(certificate.block).await?;
    let chain_id = chain.network().ledger.chain_id;
    let block = PreparedBlock::check(header, certificate.block, body, chain_id)?;
    chain.import(&[VerifiedBlock { block, certificate }]).map_err(|stopped| stopped.error)?;
    *parent = parent.child(header);
    Ok(())
}
