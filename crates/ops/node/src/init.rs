//! `alys init`: makes a data directory.

use std::path::PathBuf;

use alys_chain::SecretKey;
use alys_storage::Store;
use clap::Args;

use crate::cli::At;
use crate::console::{note, say};
use crate::exit::Failure;
use crate::generate::sign_off;
use crate::genesis;
use crate::home::{self, AUTHORITY_KEY, Home};
use crate::keyfile::{self, Kind};

/// The arguments of `alys init`.
#[derive(Debug, Args)]
pub struct Init {
    #[command(flatten)]
    at: At,
    /// The genesis file of the network.
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// Copy this authority key into the directory, so that the node signs with it.
    #[arg(long, value_name = "FILE")]
    authority_key: Option<PathBuf>,
    /// The authority's key has never signed on this network, so the node may sign at once. Never say so of a key that signed before with
    /// another data directory: it could sign twice for a slot. Without it the node waits until the others have made a block.
    #[arg(long, requires = "authority_key")]
    new_key: bool,
}

/// Makes the directory, or completes one that exists.
///
/// # Errors
/// As for [`Home::init`].
pub fn run(command: &Init) -> Result<(), Failure> {
    let (genesis, _) = genesis::read(&command.genesis)?;
    // Read first: a damaged key must not leave a directory behind that looks finished.
    let authority = match &command.authority_key {
        Some(path) => Some((path, home::authority(path)?)),
        None => None,
    };
    let home = Home::init(&command.at.data_dir, &genesis)?;
    if let Some((path, key)) = authority {
        home.seat(path, &key.public_key())?;
        keep(&home, &key)?;
        if command.new_key {
            begin_record(&home)?;
        }
    }
    let root = home.directory().root().display();
    say(format!("data directory  {root}"));
    say(format!("network         {}", home.network().rules.genesis_id()));
    say(format!("peer id         {}", home.identity()?.peer()));
    note(format!("start the node with `alys node --data-dir {root}`"));
    Ok(())
}

/// Puts the key into the folder of the keys; it may be there already.
fn keep(home: &Home, key: &SecretKey) -> Result<(), Failure> {
    let path = home.directory().keys().join(AUTHORITY_KEY);
    if path.exists() && *home::authority(&path)?.to_bytes() == *key.to_bytes() {
        return Ok(());
    }
    Ok(keyfile::create(&path, Kind::Authority, &key.to_bytes())?)
}

/// Puts on record that the key has signed nothing yet. A record that is there already knows better.
fn begin_record(home: &Home) -> Result<(), Failure> {
    if home.store()?.signing_record()?.is_some() {
        return Ok(());
    }
    sign_off(home)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::fixture;

    #[test]
    fn an_authority_brings_its_key_and_may_say_so_twice() {
        let dir = tempfile::tempdir().unwrap();
        let (genesis, keys) = fixture::federation(3);
        let (file, key) = (dir.path().join("genesis.json"), dir.path().join("key"));
        genesis::write(&file, &genesis).unwrap();
        keyfile::create(&key, Kind::Authority, &keys[2].to_bytes()).unwrap();
        let at = At { data_dir: dir.path().join("node") };
        let command = Init { at: at.clone(), genesis: file.clone(), authority_key: Some(key), new_key: true };
        run(&command).unwrap();
        run(&command).unwrap();
        let home = Home::open(&at.data_dir, None).unwrap();
        let settings = home.layers().unwrap().settings().unwrap();
        assert_eq!(home.authority(&settings).unwrap().unwrap().public_key(), keys[2].public_key());
        let record = home.store().unwrap().signing_record().unwrap().unwrap();
        assert_eq!(record.last, alys_chain::Slot::ZERO);
        drop(home);
        // Another key does not replace it.
        let other = dir.path().join("other");
        keyfile::create(&other, Kind::Authority, &keys[1].to_bytes()).unwrap();
        let failure =
            run(&Init { at, genesis: file, authority_key: Some(other), new_key: false }).unwrap_err();
        assert_eq!(failure.exit, Exit::KeyFile);
    }

    #[test]
    fn a_damaged_key_leaves_no_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("genesis.json");
        genesis::write(&file, &fixture::federation(3).0).unwrap();
        let at = At { data_dir: dir.path().join("node") };
        let command = Init {
            at: at.clone(),
            genesis: file,
            authority_key: Some(dir.path().join("none")),
            new_key: false,
        };
        assert_eq!(run(&command).unwrap_err().exit, Exit::KeyFile);
        assert!(!at.data_dir.exists());
    }
}
