//! `alys generate`: makes a signed history with transactions, as fast as the machine signs.
//!
//! - **In**: a genesis as a template, the keys of its authorities, data directories. **Out**: the same chain in each directory, every
//!   certificate real, in consecutive slots that end just before now.
//! - **On failure**: the directories hold the blocks up to the last group that was committed; the genesis is a new one at each run, so a
//!   second try needs fresh directories.

mod forge;
mod traffic;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use alys_actor::Clock;
use alys_actors::chain::local::{LocalChain, VerifiedBlock};
use alys_chain::consensus::SigningRecord;
use alys_chain::{BlockId, Certificate, Genesis, Header, Required, SecretKey, Slot, UnixMillis};
use alys_storage::{Batch, Durability};
use clap::Args;

use crate::console::{duration, grouped, say};
use crate::exit::{Exit, Failure};
use crate::home::{self, Home};
use crate::progress::Progress;
use crate::{cores, genesis};

use forge::{Forge, Signers, Unsigned};
pub use traffic::{Load, Traffic, funded, wallets};

/// Blocks that are signed together and committed together. Fewer leave cores idle at the end of each group, more only take memory.
const GROUP_BLOCKS: usize = 256;
/// Bodies of a group in bytes, for the same reasons.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

/// The arguments of `alys generate`.
#[derive(Debug, Args)]
pub struct Generate {
    /// The genesis to begin with. Its time is set so that the history ends now, and the development wallets get money.
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// An authority's key; once for each authority.
    #[arg(long, value_name = "FILE", required = true)]
    authority_key: Vec<PathBuf>,
    /// A data directory to make; once for each node that shall hold the history.
    #[arg(long, value_name = "DIR", required = true)]
    data_dir: Vec<PathBuf>,
    /// How many blocks.
    #[arg(long, default_value_t = 20_000)]
    blocks: u64,
    /// Transactions in each block.
    #[arg(long, default_value_t = 1)]
    txs: usize,
    /// Bytes of calldata in each transaction.
    #[arg(long, default_value_t = 0, value_name = "BYTES")]
    calldata: usize,
}

/// Runs the command.
///
/// # Errors
/// [`Exit::KeyFile`], [`Exit::Genesis`], [`Exit::Usage`] when a block cannot hold the transactions, [`Exit::Storage`].
pub fn run(command: &Generate) -> Result<(), Failure> {
    let (template, _) = genesis::read(&command.genesis)?;
    let keys: Vec<SecretKey> =
        command.authority_key.iter().map(|path| home::authority(path)).collect::<Result<_, _>>()?;
    let genesis = genesis_of(template, command.blocks, Clock::system().unix());
    let homes: Vec<Home> =
        command.data_dir.iter().map(|root| Home::init(root, &genesis)).collect::<Result<_, _>>()?;
    let load = Load::new(command.txs, command.calldata);
    let plan = Plan { blocks: command.blocks, load };
    let mut progress = Progress::new("generated", Some(command.blocks));
    history(&homes, &keys, plan, |blocks| progress.advance(blocks))?;
    homes.iter().try_for_each(sign_off)?;
    let network = homes.first().map(|home| home.network().rules.genesis_id());
    say(format!(
        "generated {} blocks in {} ({:.0} blocks/s), network {}",
        grouped(progress.done()),
        duration(progress.elapsed().as_secs()),
        progress.rate(),
        network.unwrap_or_default()
    ));
    Ok(())
}

/// The genesis of a history of so many blocks: slot `blocks` has just ended, and the development wallets have money.
#[must_use]
pub fn genesis_of(template: Genesis, blocks: u64, now: UnixMillis) -> Genesis {
    let length = template.schedule.offset_of(Slot(blocks.saturating_add(1)));
    Genesis { time: UnixMillis(now.0.saturating_sub(length)), ..funded(template) }
}

/// What a history consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How many blocks it has; the one of height h stands in slot h.
    pub blocks: u64,
    /// What is in each of them.
    pub load: Load,
}

/// Makes a history and writes it into directories of one network that hold nothing but genesis. `advance` hears how many
/// blocks have been made since the last time.
///
/// # Errors
/// As for [`run`].
pub fn history(
    homes: &[Home],
    keys: &[SecretKey],
    plan: Plan,
    advance: impl FnMut(u64),
) -> Result<(), Failure> {
    let Some(home) = homes.first() else { return Ok(()) };
    let rules = home.network().rules.clone();
    let signers = Signers::new(&rules, keys)?;
    let certify = |header: &Header, block, required| signers.certify(&rules, header, block, required);
    history_certified_by(homes, &certify, plan, advance)
}

/// As [`history`], with the certificate of each block from the caller, who says with whose approvals: of the header, its id, and the quorums that it
/// needs. It is asked from several threads.
///
/// # Errors
/// As for [`run`].
pub fn history_certified_by(
    homes: &[Home],
    certify: &(dyn Fn(&Header, BlockId, Required) -> Certificate + Sync),
    plan: Plan,
    advance: impl FnMut(u64),
) -> Result<(), Failure> {
    let Some(home) = homes.first() else { return Ok(()) };
    let forge = Forge::new(home.network().clone())?;
    let chains = homes.iter().map(fresh_chain).collect::<Result<Vec<_>, _>>()?;
    thread::scope(|scope| {
        let mut writers = Vec::new();
        for chain in chains {
            // One group waits while another is written: the signers are never idle, the memory is bounded.
            let (groups, inbox) = sync_channel(1);
            writers.push(Writer { groups, thread: scope.spawn(move || write(chain, &inbox)) });
        }
        let made = make(forge, certify, plan, &writers, advance);
        let written = writers.into_iter().map(Writer::finish).collect::<Result<Vec<_>, _>>();
        // A writer that failed says why; that its group could not be handed over is only the consequence.
        written.and(made)
    })
}

fn fresh_chain(home: &Home) -> Result<LocalChain, Failure> {
    let chain = home.chain()?;
    let height = chain.head().height;
    if height.0 == 0 {
        return Ok(chain);
    }
    let root = home.directory().root().display();
    let message = format!("{root} holds a chain of height {height} already: generate into a fresh directory");
    Err(Failure::new(Exit::Usage, message))
}

/// Leaves in a directory the signing record of an authority that approved the whole chain in it. A node that starts on a copied history would else
/// count as one that lost its record, and be silent until others go on without it. For an authority that really signs elsewhere this is never right.
///
/// # Errors
/// [`Exit::Storage`].
pub fn sign_off(home: &Home) -> Result<(), Failure> {
    let chain = home.chain()?;
    let (head, store) = (chain.head(), chain.store());
    let parent = match store.header(head.id)? {
        Some(stored) if head.height.0 > 0 => {
            store.header(stored.header.parent)?.map(|parent| parent.header.slot)
        }
        _ => None,
    };
    let record = SigningRecord { last: head.slot, block: head.id, lock: parent.unwrap_or(Slot::ZERO) };
    let mut batch = Batch::new();
    batch.record_signing(record);
    store.commit(batch, Durability::Durable)?;
    Ok(())
}

type Group = Arc<Vec<VerifiedBlock>>;

struct Writer<'scope> {
    groups: SyncSender<Group>,
    thread: ScopedJoinHandle<'scope, Result<(), Failure>>,
}

impl Writer<'_> {
    fn finish(self) -> Result<(), Failure> {
        drop(self.groups);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn write(mut chain: LocalChain, inbox: &Receiver<Group>) -> Result<(), Failure> {
    for group in inbox {
        chain.import(&group).map_err(|stopped| stopped.error)?;
    }
    Ok(())
}

/// Headers and bodies are made in one thread, in sequence; approvals are signed here, on all cores.
fn make(
    forge: Forge,
    certify: &(dyn Fn(&Header, BlockId, Required) -> Certificate + Sync),
    plan: Plan,
    writers: &[Writer<'_>],
    mut advance: impl FnMut(u64),
) -> Result<(), Failure> {
    thread::scope(|scope| {
        let (groups, inbox) = sync_channel(1);
        let forging = scope.spawn(move || forge_all(forge, plan, &groups));
        for group in inbox {
            let signed = Arc::new(cores::map(&group, |block: &Unsigned| block.certify(certify)));
            if writers.iter().any(|writer| writer.groups.send(signed.clone()).is_err()) {
                return Err(Failure::new(Exit::Storage, "a data directory takes no more blocks"));
            }
            advance(signed.len() as u64);
        }
        forging.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn forge_all(mut forge: Forge, plan: Plan, groups: &SyncSender<Vec<Unsigned>>) -> Result<(), Failure> {
    let mut traffic = Traffic::new(forge.chain_id(), plan.load);
    let (mut group, mut bytes) = (Vec::new(), 0);
    for slot in 1..=plan.blocks {
        let block = forge.next(Slot(slot), traffic.next(plan.load.transactions))?;
        bytes += block.bytes();
        group.push(block);
        if group.len() >= GROUP_BLOCKS || bytes >= GROUP_BYTES || slot == plan.blocks {
            bytes = 0;
            if groups.send(std::mem::take(&mut group)).is_err() {
                // Whoever stopped listening says why.
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
