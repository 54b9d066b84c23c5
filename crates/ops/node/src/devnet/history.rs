//! The history that a devnet begins with: generated once, copied for each run.

use std::fs;
use std::path::{Path, PathBuf};

use alys_actor::Clock;
use alys_chain::schedule::{Authority, Schedule};
use alys_chain::{Genesis, SecretKey, UnixMillis};
use toml::{Table, Value};

use super::plan::NodePlan;
use crate::exit::{Exit, Failure};
use crate::generate::{self, Load, Plan};
use crate::home::{AUTHORITY_KEY, Home, SETTINGS_FILE};
use crate::keyfile::{self, Kind};
use crate::progress::Progress;

/// The chain id of every devnet's transactions.
pub(super) const CHAIN_ID: u64 = 212_121;
/// Written last: a history without it was interrupted and is made anew.
const COMPLETE: &str = "COMPLETE";

/// What a history looks like. Two runs with the same shape share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many authorities the federation has.
    pub authorities: usize,
    /// How many blocks.
    pub blocks: u64,
    /// Transactions a block.
    pub transactions: usize,
    /// The length of a slot in milliseconds.
    pub slot_ms: u64,
}

/// A history on disk.
pub struct History {
    genesis: Genesis,
    keys: Vec<SecretKey>,
    dir: Option<PathBuf>,
}

/// The keys of a devnet's federation. They are public knowledge.
fn keys(authorities: usize) -> Vec<SecretKey> {
    let key = |number: u8| {
        let mut seed = [0; 32];
        seed[..21].copy_from_slice(b"alys devnet authority");
        seed[31] = number;
        SecretKey::from_seed(&seed)
    };
    (0..u8::try_from(authorities).unwrap_or(u8::MAX)).map(key).collect()
}

/// Finds the history of this shape below `root`, or makes it.
///
/// # Errors
/// When a schedule cannot be made of the shape, or the system refuses.
pub fn prepare(root: &Path, shape: Shape) -> Result<History, Failure> {
    let keys = keys(shape.authorities);
    let schedule = Schedule::constant(shape.slot_ms, keys.iter().map(Authority::of).collect())
        .map_err(|error| Failure::new(Exit::Usage, format!("no such devnet: {error}")))?;
    let template = Genesis {
        chain_id: CHAIN_ID,
        time: UnixMillis(0),
        gas_limit: alys_chain::limits::BLOCK_GAS_LIMIT,
        schedule,
        allocations: Default::default(),
    };
    let now = Clock::system().unix();
    if shape.blocks == 0 {
        return Ok(History { genesis: generate::genesis_of(template, 0, now), keys, dir: None });
    }
    let Shape { authorities, blocks, transactions, slot_ms } = shape;
    let dir = root.join(format!("history-{authorities}-{blocks}-{transactions}-{slot_ms}"));
    if !dir.join(COMPLETE).exists() {
        remove(&dir)?;
        let genesis = generate::genesis_of(template, blocks, now);
        make(&dir, &genesis, &keys, shape)?;
        write(&dir.join(COMPLETE), "")?;
    }
    let genesis = Home::open(&dir, None)?.genesis().clone();
    Ok(History { genesis, keys, dir: Some(dir) })
}

fn make(dir: &Path, genesis: &Genesis, keys: &[SecretKey], shape: Shape) -> Result<(), Failure> {
    let home = Home::init(dir, genesis)?;
    let mut progress = Progress::new("generated", Some(shape.blocks));
    let load = Load::new(shape.transactions, 0);
    // The last authority is the late one: the others alone are a quorum and have signed everything.
    let signers = &keys[..shape.authorities.saturating_sub(1).max(1)];
    let plan = Plan { blocks: shape.blocks, load };
    generate::history(&[home], signers, plan, |blocks| progress.advance(blocks))
}

impl History {
    /// Makes the data directory of a node, in place of an older one: a copy of the history, or an empty chain for a newcomer.
    /// Returns where others dial the node.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn settle(&self, node: &NodePlan) -> Result<String, Failure> {
        remove(&node.dir)?;
        if let (Some(dir), false) = (&self.dir, node.newcomer) {
            copy(dir, &node.dir)?;
            let own_key = node.dir.join("keys").join(crate::home::NODE_KEY);
            fs::remove_file(&own_key).map_err(|error| failed("remove", &own_key, &error))?;
        }
        let home = Home::init(&node.dir, &self.genesis)?;
        if let Some(authority) = node.authority {
            let path = home.directory().keys().join(AUTHORITY_KEY);
            keyfile::create(&path, Kind::Authority, &self.keys[authority].to_bytes())?;
            if !node.newcomer {
                generate::sign_off(&home)?;
            }
        }
        Ok(format!("{}/p2p/{}", node.listen(), home.identity()?.peer()))
    }
}

/// Writes the settings of a node: its own ports, and where it finds the others.
///
/// # Errors
/// When the system refuses.
pub fn configure(node: &NodePlan, others: &[String]) -> Result<(), Failure> {
    let mut network = Table::new();
    network.insert("listen".into(), vec![node.listen()].into());
    network.insert("bootnodes".into(), others.to_vec().into());
    let mut rpc = Table::new();
    rpc.insert("listen".into(), node.rpc_address().to_string().into());
    let settings =
        Table::from_iter([("network".to_owned(), Value::from(network)), ("rpc".to_owned(), rpc.into())]);
    write(&node.dir.join(SETTINGS_FILE), &settings.to_string())
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to).map_err(|error| failed("make", to, &error))?;
    for entry in fs::read_dir(from).map_err(|error| failed("read", from, &error))? {
        let entry = entry.map_err(|error| failed("read", from, &error))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target).map_err(|error| failed("copy", &path, &error))?;
        }
    }
    Ok(())
}

fn remove(dir: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", dir, &error)),
        _ => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| failed("write", path, &error))
}

fn failed(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::System, format!("cannot {verb} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devnet::nodes;

    const SHAPE: Shape = Shape { authorities: 4, blocks: 20, transactions: 2, slot_ms: 1_000 };

    #[test]
    fn the_established_have_the_history_and_have_signed_it_and_the_newcomer_has_nothing() {
        let root = tempfile::tempdir().unwrap();
        let history = prepare(root.path(), SHAPE).unwrap();
        for node in nodes(root.path(), 5, 4, 20, 30_500) {
            let address = history.settle(&node).unwrap();
            configure(&node, std::slice::from_ref(&address)).unwrap();
            let home = Home::open(&node.dir, None).unwrap();
            assert!(address.ends_with(&home.identity().unwrap().peer().to_string()));
            let settings = home.layers().unwrap().settings().unwrap();
            assert_eq!(settings.network.bootnodes, [address]);
            assert_eq!(home.authority(&settings).unwrap().is_some(), node.authority.is_some());
            let chain = home.chain().unwrap();
            let record = chain.store().signing_record().unwrap();
            assert_eq!(chain.head().height.0, if node.newcomer { 0 } else { 20 });
            assert_eq!(record.map(|record| record.last), (!node.newcomer).then_some(chain.head().slot));
        }
    }

    #[test]
    fn a_history_is_made_once_and_an_interrupted_one_anew() {
        let root = tempfile::tempdir().unwrap();
        let first = prepare(root.path(), SHAPE).unwrap();
        assert_eq!(prepare(root.path(), SHAPE).unwrap().genesis, first.genesis);
        fs::remove_file(first.dir.unwrap().join(COMPLETE)).unwrap();
        assert_ne!(prepare(root.path(), SHAPE).unwrap().genesis.time, first.genesis.time);
    }

    #[test]
    fn a_network_without_a_history_begins_at_genesis_with_an_unused_record() {
        let root = tempfile::tempdir().unwrap();
        let history = prepare(root.path(), Shape { blocks: 0, ..SHAPE }).unwrap();
        let node = &nodes(root.path(), 4, 4, 0, 30_500)[0];
        history.settle(node).unwrap();
        let home = Home::open(&node.dir, None).unwrap();
        let record = home.chain().unwrap().store().signing_record().unwrap().unwrap();
        assert_eq!((record.last.0, record.block), (0, home.network().rules.genesis_id()));
    }
}
