//! `alys keys`: makes keys, shows what others need of them, binds an authority's key to a node.
//!
//! - **In**: key files. **Out**: new key files; public keys, proofs of possession, peer ids; a line in the settings.
//! - **On failure**: nothing is overwritten. No secret is ever shown or taken from an argument.

use std::path::{Path, PathBuf};

use alys_actor::Randomness;
use alys_chain::{Authority, SecretKey};
use alys_ledger::fee_address;
use alys_transport::Identity;
use clap::{Args, Subcommand};
use rand_core::Rng;
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::At;
use crate::console::say;
use crate::exit::{Exit, Failure};
use crate::home::{self, Home};
use crate::keyfile::{self, Kind};

/// The commands of `alys keys`.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key and write it into a new file.
    New(New),
    /// Show what others need to know of a key.
    Show(Show),
    /// Let the node of a data directory sign with an authority's key that stays where it is.
    Bind(Bind),
}

/// The arguments of `alys keys new`.
#[derive(Debug, Args)]
pub struct New {
    /// What the key is for.
    kind: Kind,
    /// The new file.
    file: PathBuf,
    /// One JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

/// The arguments of `alys keys show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The key file.
    file: PathBuf,
    /// One JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

/// The arguments of `alys keys bind`.
#[derive(Debug, Args)]
pub struct Bind {
    #[command(flatten)]
    at: At,
    /// The authority's key file.
    file: PathBuf,
}

/// Runs one of the commands.
///
/// # Errors
/// [`Exit::KeyFile`] mostly; for `bind` also what [`Home::open`] says.
pub fn run(command: &Keys) -> Result<(), Failure> {
    match command {
        Keys::New(new) => {
            create(new.kind, &new.file)?;
            show(&new.file, new.json)
        }
        Keys::Show(Show { file, json }) => show(file, *json),
        Keys::Bind(bind_to) => bind(bind_to),
    }
}

/// Makes a key from the system's randomness and writes it into a new file.
///
/// # Errors
/// [`Exit::KeyFile`] when the file exists or cannot be written.
pub fn create(kind: Kind, file: &Path) -> Result<(), Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    Randomness::system().stream("keys").fill_bytes(seed.as_mut_slice());
    let secret = match kind {
        Kind::Node => seed,
        Kind::Authority => SecretKey::from_seed(&seed).to_bytes(),
    };
    Ok(keyfile::create(file, kind, &secret)?)
}

/// What others need to know of a key.
enum Public {
    Node(Identity),
    Authority(Authority),
}

fn show(file: &Path, json: bool) -> Result<(), Failure> {
    let public = public(file)?;
    if json {
        say(public.json().to_string());
    } else {
        public.lines().into_iter().for_each(|(name, value)| say(format!("{name:<20}{value}")));
    }
    Ok(())
}

fn public(file: &Path) -> Result<Public, Failure> {
    match keyfile::read(file, Kind::Node) {
        Ok(_) => Ok(Public::Node(home::identity(file)?)),
        Err(keyfile::Error::Kind { .. }) => Ok(Public::Authority(Authority::of(&home::authority(file)?))),
        Err(error) => Err(error.into()),
    }
}

impl Public {
    fn json(&self) -> serde_json::Value {
        match self {
            Self::Node(identity) => json!({ "kind": "node", "peer_id": identity.peer().to_string() }),
            Self::Authority(authority) => json!({
                "kind": "authority",
                "key": authority.key,
                "proof": authority.proof,
                "fee_address": fee_address(authority.key.as_bytes()).to_string(),
            }),
        }
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Node(identity) => vec![("peer id", identity.peer().to_string())],
            Self::Authority(authority) => vec![
                ("public key", format!("0x{}", hex::encode(authority.key.as_bytes()))),
                ("possession proof", format!("0x{}", hex::encode(authority.proof.0))),
                ("fee address", fee_address(authority.key.as_bytes()).to_string()),
            ],
        }
    }
}

/// Checks that the key has a seat in the network of the directory, and names its file in the settings. The claim that ties the peer id to
/// the seat is signed by the running node, anew for each peer that asks, since it holds for one asker and one nonce only.
fn bind(command: &Bind) -> Result<(), Failure> {
    let home = Home::open(&command.at.data_dir, None)?;
    let key = home::authority(&command.file)?;
    let seats = home.seat(&command.file, &key.public_key())?;
    let file = std::path::absolute(&command.file)
        .map_err(|error| Failure::new(Exit::System, format!("cannot tell where the key file is: {error}")))?;
    home.set("production", "authority_key", &*file.to_string_lossy())?;
    let peer = home.identity()?.peer();
    for (set, authority) in seats {
        say(format!(
            "{peer} is authority {authority} of set {set} in the network {}",
            home.network().rules.genesis_id()
        ));
    }
    say(format!("{} names {}", home.settings_file().display(), file.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_new_key_is_shown_by_its_public_half_only() {
        let dir = tempfile::tempdir().unwrap();
        for (kind, name) in [(Kind::Node, "node"), (Kind::Authority, "authority")] {
            let file = dir.path().join(name);
            create(kind, &file).unwrap();
            let public = public(&file).unwrap();
            let secret = std::fs::read_to_string(&file).unwrap();
            let secret = secret.trim().split_once(' ').unwrap().1;
            let shown = format!("{} {:?}", public.json(), public.lines());
            assert!(shown.contains(name) && !shown.contains(secret), "{shown}");
            show(&file, false).unwrap();
        }
        assert_eq!(create(Kind::Node, &dir.path().join("node")).unwrap_err().exit, Exit::KeyFile);
        assert_eq!(show(Path::new("/nowhere"), true).unwrap_err().exit, Exit::KeyFile);
    }

    #[test]
    fn what_is_shown_of_an_authority_belongs_into_a_genesis() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        create(Kind::Authority, &file).unwrap();
        let mut shown = public(&file).unwrap().json();
        let shown = shown.as_object_mut().unwrap();
        shown.retain(|name, _| name == "key" || name == "proof");
        let authority: Authority = serde_json::from_value(serde_json::Value::Object(shown.clone())).unwrap();
        assert!(authority.key.check_possession(&authority.proof));
    }

    #[test]
    fn a_bound_key_is_the_one_that_the_node_signs_with() {
        let dir = tempfile::tempdir().unwrap();
        let (genesis, keys) = fixture::federation(3);
        let at = At { data_dir: dir.path().join("node") };
        drop(Home::init(&at.data_dir, &genesis).unwrap());
        let file = dir.path().join("elsewhere.key");
        keyfile::create(&file, Kind::Authority, &keys[1].to_bytes()).unwrap();
        bind(&Bind { at: at.clone(), file: file.clone() }).unwrap();
        bind(&Bind { at: at.clone(), file }).unwrap();
        let home = Home::open(&at.data_dir, None).unwrap();
        let settings = home.layers().unwrap().settings().unwrap();
        assert_eq!(home.authority(&settings).unwrap().unwrap().public_key(), keys[1].public_key());
    }

    #[test]
    fn the_key_of_a_stranger_is_not_bound() {
        let dir = tempfile::tempdir().unwrap();
        let at = At { data_dir: dir.path().join("node") };
        drop(Home::init(&at.data_dir, &fixture::federation(3).0).unwrap());
        let file = dir.path().join("elsewhere.key");
        create(Kind::Authority, &file).unwrap();
        let failure = bind(&Bind { at, file }).unwrap_err();
        assert_eq!(failure.exit, Exit::KeyFile);
        assert!(failure.message.contains("no authority"), "{failure}");
    }
}
