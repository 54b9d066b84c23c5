//! The stages of an import: read, verify, execute.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use alys_actor::Randomness;
use alys_actors::chain::local::{LocalChain, Network, PreparedBlock, VerifiedBlock};
use alys_chain::batch::{self, Entry, Search};
use alys_chain::{CertifiedHeader, Parent, UnixMillis, verify};
use alys_storage::Store;

use crate::chainfile::{Reader, Record};
use crate::cores;
use crate::exit::{Exit, Failure};

/// Certificates that are checked as one sum. Twice as many cost hardly less each, half as many clearly more.
const BATCH: usize = 256;
/// Blocks of a group: a batch for each of four cores, so that a group takes all of them equally long.
const GROUP_BLOCKS: usize = 4 * BATCH;
/// Bytes of a group. Up to five groups are in memory at once.
const GROUP_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of bodies in one commit.
const COMMIT_BYTES: usize = 8 * 1024 * 1024;

/// What was read: blocks, and perhaps why nothing follows them.
struct Unverified {
    records: Vec<Record>,
    failure: Option<Failure>,
}

/// What is left to do with them.
#[derive(Default)]
struct Verified {
    /// How many of the first ones are in the chain already, as they are in the file.
    held: usize,
    /// Those that can be executed.
    blocks: Vec<VerifiedBlock>,
    /// Why nothing follows them, if nothing does.
    failure: Option<Failure>,
}

/// Imports everything that the reader gives. `advance` hears how many more blocks of the file are in the chain.
///
/// # Errors
/// The first thing that is wrong with the file, a block or the store. What came before it is imported.
pub fn import(
    chain: &mut LocalChain,
    reader: Reader,
    now: UnixMillis,
    advance: &mut dyn FnMut(u64),
) -> Result<(), Failure> {
    let (network, store) = (chain.network().clone(), chain.store().clone());
    thread::scope(|scope| {
        let (records, unverified) = sync_channel(1);
        let (verified, unexecuted) = sync_channel(1);
        scope.spawn(move || read(reader, &records));
        scope.spawn(move || {
            let mut verifier = Verifier { network, store: store.as_ref(), parent: None, now };
            verifier.run(&unverified, &verified);
        });
        execute(chain, &unexecuted, advance)
    })
}

fn read(reader: Reader, groups: &SyncSender<Unverified>) {
    let (mut records, mut bytes) = (Vec::new(), 0);
    for next in reader {
        match next {
            Ok(record) => {
                bytes += record.bytes();
                records.push(record);
            }
            Err(error) => {
                // Nobody listens any more when a later stage has failed.
                groups.send(Unverified { records, failure: Some(error.into()) }).ok();
                return;
            }
        }
        if records.len() >= GROUP_BLOCKS || bytes >= GROUP_BYTES {
            bytes = 0;
            if groups.send(Unverified { records: std::mem::take(&mut records), failure: None }).is_err() {
                return;
            }
        }
    }
    groups.send(Unverified { records, failure: None }).ok();
}

struct Verifier<'a> {
    network: Network,
    store: &'a dyn Store,
    /// The last block that was verified; `None` as long as the blocks of the file are in the chain already.
    parent: Option<Parent>,
    now: UnixMillis,
}

impl Verifier<'_> {
    fn run(&mut self, groups: &Receiver<Unverified>, out: &SyncSender<Verified>) {
        for Unverified { records, failure } in groups {
            let mut verified = self
                .group(records)
                .unwrap_or_else(|failure| Verified { failure: Some(failure), ..Verified::default() });
            verified.failure = verified.failure.or(failure);
            let last = verified.failure.is_some();
            if out.send(verified).is_err() || last {
                return;
            }
        }
    }

    fn group(&mut self, mut records: Vec<Record>) -> Result<Verified, Failure> {
        let held = if self.parent.is_none() { self.held(&records)? } else { 0 };
        let records = records.split_off(held);
        let Some(first) = records.first() else {
            return Ok(Verified { held, ..Verified::default() });
        };
        let parent = self.parent_of(first)?;
        let (blocks, failure) = self.verify(&parent, records);
        Ok(Verified { held, blocks, failure })
    }

    /// How many of the first records are in the canonical chain: they were verified when they came there.
    fn held(&self, records: &[Record]) -> Result<usize, Failure> {
        for (i, record) in records.iter().enumerate() {
            let header = &record.header.header;
            if self.store.canonical(header.height)? != Some(header.id()) {
                return Ok(i);
            }
        }
        Ok(records.len())
    }

    fn parent_of(&self, first: &Record) -> Result<Parent, Failure> {
        if let Some(parent) = self.parent {
            return Ok(parent);
        }
        let header = &first.header.header;
        if header.parent == self.network.rules.genesis_id() {
            return Ok(Parent::genesis(&self.network.rules));
        }
        if let Some(stored) = self.store.header(header.parent)? {
            return Ok(Parent { header: stored.header, lineage: stored.lineage });
        }
        let message = format!(
            "block {} of the file stands on a block that is not here: import the part of the chain before it first",
            header.height
        );
        Err(Failure::new(Exit::ChainFile, message))
    }

    /// The blocks before the first bad one, and what is wrong with that. Links are checked first: they cost next to nothing.
    fn verify(&mut self, parent: &Parent, mut records: Vec<Record>) -> (Vec<VerifiedBlock>, Option<Failure>) {
        let mut headers: Vec<CertifiedHeader> = records.iter().map(|record| record.header).collect();
        let rules = self.network.rules.clone();
        let mut fault = None;
        let linked = match verify::link_range(&rules, parent, &headers, self.now) {
            Ok(linked) => linked,
            Err(broken) => {
                fault = Some((broken.index, broken.invalid.to_string()));
                headers.truncate(broken.index);
                verify::link_range(&rules, parent, &headers, self.now).expect("the links before it are right")
            }
        };
        if let Some(early) = linked.outcome.early {
            let reason = format!("{early}: this machine's clock is slow, or the file is from the future");
            fault = Some((linked.outcome.count, reason));
        }
        let entries: Vec<Entry<'_>> = linked.entries(&headers).collect();
        fault = self.certificates(&entries).or(fault);
        let good = fault.as_ref().map_or(headers.len(), |(index, _)| *index);
        let failed_at = records.get(good).map(|record| record.header.header.height);
        records.truncate(good);
        let (verified, fault) = self.bodies(&records, fault);
        let failed_at = records.get(verified.len()).map(|record| record.header.header.height).or(failed_at);
        self.parent = Some(linked.outcome.last);
        let failure = fault.zip(failed_at).map(|((_, reason), height)| {
            Failure::new(Exit::InvalidBlock, format!("block {height} is invalid: {reason}"))
        });
        (verified, failure)
    }

    /// The first bad certificate.
    fn certificates(&self, entries: &[Entry<'_>]) -> Option<(usize, String)> {
        let batches: Vec<(usize, &[Entry<'_>])> =
            entries.chunks(BATCH).enumerate().map(|(i, batch)| (i * BATCH, batch)).collect();
        let verdicts = cores::map(&batches, |(start, batch)| {
            let mut weights = Randomness::system().stream("certificate weights");
            let mut verdict = batch::verify(&self.network.rules, batch, Search::First, &mut weights);
            verdict.faults.pop_first().map(|(index, invalid)| (start + index, invalid.to_string()))
        });
        verdicts.into_iter().flatten().next()
    }

    /// The blocks before the first bad body, and what is wrong with that; `fault` if all bodies are good.
    fn bodies(
        &self,
        records: &[Record],
        fault: Option<(usize, String)>,
    ) -> (Vec<VerifiedBlock>, Option<(usize, String)>) {
        let chain = self.network.ledger.chain_id;
        let checked =
            cores::map(records, |Record { header: CertifiedHeader { header, certificate }, body }| {
                let block = PreparedBlock::check(*header, certificate.block, body.clone(), chain)?;
                Ok(VerifiedBlock { block, certificate: *certificate })
            });
        let mut good = Vec::with_capacity(checked.len());
        for (index, result) in checked.into_iter().enumerate() {
            match result {
                Ok(block) => good.push(block),
                Err(bad) => {
                    let bad: alys_actors::chain::local::BadBody = bad;
                    return (good, Some((index, bad.to_string())));
                }
            }
        }
        (good, fault)
    }
}

fn execute(
    chain: &mut LocalChain,
    groups: &Receiver<Verified>,
    advance: &mut dyn FnMut(u64),
) -> Result<(), Failure> {
    for Verified { held, blocks, failure } in groups {
        advance(held as u64);
        let mut rest = &blocks[..];
        while !rest.is_empty() {
            let (commit, later) = rest.split_at(commit_size(rest));
            import_one_commit(chain, commit)?;
            advance(commit.len() as u64);
            rest = later;
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
    }
    Ok(())
}

/// How many of the blocks go into the next commit: at least one.
fn commit_size(blocks: &[VerifiedBlock]) -> usize {
    let mut bytes = 0;
    let fits = |verified: &&VerifiedBlock| {
        bytes += verified.block.body.0.len();
        bytes <= COMMIT_BYTES
    };
    blocks.iter().take(BATCH).take_while(fits).count().max(1)
}

fn import_one_commit(chain: &mut LocalChain, blocks: &[VerifiedBlock]) -> Result<(), Failure> {
    chain.import(blocks).map(drop).map_err(|stopped| {
        let Failure { exit, message } = stopped.error.into();
        let height = blocks.get(stopped.imported).map(|verified| verified.block.header.height);
        match (exit, height) {
            (Exit::InvalidBlock, Some(height)) => {
                Failure::new(exit, format!("block {height} is invalid: {message}"))
            }
            _ => Failure::new(exit, message),
        }
    })
}
