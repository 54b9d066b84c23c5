//! The data directory of a node, with everything that a command needs of it.
//!
//! - **Owns**: the names of the files beside the database, and the lock while a command runs.
//! - **In**: a path, perhaps a genesis file. **Out**: the directory, its network, its chain, its keys.
//! - **On failure**: a [`Failure`] with its exit code; nothing is created in a directory of another network.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alys_actors::chain::local::{LocalChain, Network};
use alys_chain::{AuthorityIndex, Genesis, PublicKey, SecretKey};
use alys_storage::{ChainStore, DataDir};
use alys_transport::Identity;

use crate::exit::{Exit, Failure};
use crate::keyfile::{self, Kind};
use crate::settings::{Layers, Settings};
use crate::{genesis, settings};

/// The genesis of the directory.
pub const GENESIS_FILE: &str = "genesis.json";
/// The settings of the directory.
pub const SETTINGS_FILE: &str = "alys.toml";
/// What sync would have explained when it crashed last.
pub const FLIGHT_RECORDER: &str = "flight-recorder.json";
/// The peer book, in the folder of the peers.
pub const BOOK_FILE: &str = "book";
/// Who the node is on the network, in the folder of the keys.
pub const NODE_KEY: &str = "node.key";
/// The authority's key, in the folder of the keys, unless the settings name another place.
pub const AUTHORITY_KEY: &str = "authority.key";

/// A locked data directory and its network.
pub struct Home {
    directory: DataDir,
    genesis: Genesis,
    network: Network,
}

impl Home {
    /// Opens a directory: of the genesis in it, or of the given one.
    ///
    /// # Errors
    /// [`Exit::Genesis`] when there is no genesis or another one, [`Exit::InUse`], [`Exit::Storage`].
    pub fn open(root: &Path, genesis_file: Option<&Path>) -> Result<Self, Failure> {
        let own = root.join(GENESIS_FILE);
        if genesis_file.is_none() && !own.exists() {
            let root = root.display();
            let message = format!(
                "{root} is no data directory of alys, as it has no {GENESIS_FILE}: make one with \
                 `alys init --data-dir {root} --genesis FILE`, or name the right one with --data-dir"
            );
            return Err(Failure::new(Exit::Genesis, message));
        }
        let (genesis, network) = genesis::read(genesis_file.unwrap_or(&own))?;
        Self::claim(root, genesis, network)
    }

    /// Makes a directory for a genesis, or opens it if it is there: genesis file, settings, node key. What exists is kept.
    ///
    /// # Errors
    /// As for [`Home::open`], and [`Exit::System`] when a file cannot be written.
    pub fn init(root: &Path, genesis: &Genesis) -> Result<Self, Failure> {
        let network = Network::new(genesis)
            .map_err(|error| Failure::new(Exit::Genesis, format!("the genesis makes no state: {error}")))?;
        let home = Self::claim(root, genesis.clone(), network)?;
        let settings = home.settings_file();
        if !settings.exists() {
            std::fs::write(&settings, settings::TEMPLATE).map_err(|error| {
                Failure::new(Exit::System, format!("cannot write {}: {error}", settings.display()))
            })?;
        }
        if !home.node_key().exists() {
            let secret = Identity::generate().secret();
            let secret = secret.as_slice().try_into().expect("an identity has 32 bytes");
            keyfile::create(&home.node_key(), Kind::Node, secret)?;
        }
        Ok(home)
    }

    fn claim(root: &Path, genesis: Genesis, network: Network) -> Result<Self, Failure> {
        let directory = DataDir::open(root, network.rules.genesis_id())?;
        let own = root.join(GENESIS_FILE);
        if !own.exists() {
            genesis::write(&own, &genesis)?;
        }
        Ok(Self { directory, genesis, network })
    }

    /// The directory.
    #[must_use]
    pub const fn directory(&self) -> &DataDir {
        &self.directory
    }

    /// The genesis.
    #[must_use]
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The network of the genesis.
    #[must_use]
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// The settings file of the directory.
    #[must_use]
    pub fn settings_file(&self) -> PathBuf {
        self.directory.root().join(SETTINGS_FILE)
    }

    /// The node's key file.
    #[must_use]
    pub fn node_key(&self) -> PathBuf {
        self.directory.keys().join(NODE_KEY)
    }

    /// The database of the chain.
    ///
    /// # Errors
    /// [`Exit::Storage`], [`Exit::Genesis`].
    pub fn store(&self) -> Result<ChainStore, Failure> {
        Ok(alys_storage::fjall::open(&self.directory.chain(), self.network.rules.genesis_id())?)
    }

    /// The chain, with genesis in it at least.
    ///
    /// # Errors
    /// [`Exit::Storage`], [`Exit::Genesis`].
    pub fn chain(&self) -> Result<LocalChain, Failure> {
        Ok(LocalChain::open(self.network.clone(), Arc::new(self.store()?))?)
    }

    /// Who the node is on the network.
    ///
    /// # Errors
    /// [`Exit::KeyFile`].
    pub fn identity(&self) -> Result<Identity, Failure> {
        identity(&self.node_key())
    }

    /// The authority's key: from the place that the settings name, else from the folder of the keys if it is there.
    ///
    /// # Errors
    /// [`Exit::KeyFile`], also when the key belongs to no authority of the genesis: then something is mixed up.
    pub fn authority(&self, settings: &Settings) -> Result<Option<SecretKey>, Failure> {
        let named = &settings.production.authority_key;
        let path = if named.is_empty() {
            let path = self.directory.keys().join(AUTHORITY_KEY);
            if !path.exists() {
                return Ok(None);
            }
            path
        } else {
            self.directory.root().join(named)
        };
        let key = authority(&path)?;
        self.seat(&path, &key.public_key())?;
        Ok(Some(key))
    }

    /// The seats of an authority key in this network: the number of each set, and the place in it.
    ///
    /// # Errors
    /// [`Exit::KeyFile`] when it has none.
    pub fn seat(&self, path: &Path, key: &PublicKey) -> Result<Vec<(u32, AuthorityIndex)>, Failure> {
        let seats: Vec<_> =
            self.genesis.schedule.seats_of(key).map(|seat| (seat.set.0, seat.authority)).collect();
        if seats.is_empty() {
            let message = format!(
                "the key in {} belongs to no authority of the network {}: name the right key file, or the right genesis",
                path.display(),
                self.network.rules.genesis_id()
            );
            return Err(Failure::new(Exit::KeyFile, message));
        }
        Ok(seats)
    }

    /// Changes one setting in the settings file and leaves the rest as it is. Nothing is written that could not be read again.
    ///
    /// # Errors
    /// [`Exit::Settings`] when the file would make no sense, [`Exit::System`].
    pub fn set(&self, section: &str, key: &str, value: impl Into<toml::Value>) -> Result<(), Failure> {
        let file = self.settings_file();
        let failed = |error| Failure::new(Exit::System, format!("cannot change {}: {error}", file.display()));
        let text =
            if file.exists() { std::fs::read_to_string(&file).map_err(failed)? } else { String::new() };
        let text = settings::with_value(&text, section, key, value);
        let mut layers = Layers::default();
        layers.text_of_file(&file, &text)?;
        layers.settings()?;
        std::fs::write(&file, text).map_err(failed)
    }

    /// The layers of settings up to the file of the directory; the environment and the flags come on top.
    ///
    /// # Errors
    /// [`Exit::Settings`].
    pub fn layers(&self) -> Result<Layers, Failure> {
        let mut layers = Layers::default();
        let file = self.settings_file();
        if file.exists() {
            layers.file(&file)?;
        }
        Ok(layers)
    }
}

/// The identity in a key file.
///
/// # Errors
/// [`Exit::KeyFile`].
pub fn identity(path: &Path) -> Result<Identity, Failure> {
    let secret = keyfile::read(path, Kind::Node)?;
    Ok(Identity::from_secret(secret.as_slice()).expect("a key file holds 32 bytes, and any are a key"))
}

/// The authority's key in a key file.
///
/// # Errors
/// [`Exit::KeyFile`].
pub fn authority(path: &Path) -> Result<SecretKey, Failure> {
    let secret = keyfile::read(path, Kind::Authority)?;
    SecretKey::from_bytes(&secret).map_err(|error| {
        let message = format!("{} is damaged: {error}; restore it from its backup", path.display());
        Failure::new(Exit::KeyFile, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_fresh_directory_has_all_that_a_node_needs_and_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("node");
        let (genesis, _) = fixture::federation(3);
        let home = Home::init(&root, &genesis).unwrap();
        let peer = home.identity().unwrap().peer();
        assert_eq!(home.chain().unwrap().head().id, home.network().rules.genesis_id());
        assert_eq!(home.layers().unwrap().settings().unwrap(), Settings::default());
        assert_eq!(Home::init(&root, &genesis).err().unwrap().exit, Exit::InUse);
        drop(home);
        Home::init(&root, &genesis).unwrap();
        let home = Home::open(&root, None).unwrap();
        assert_eq!(home.identity().unwrap().peer(), peer, "what exists is kept");
        assert_eq!(home.genesis(), &genesis);
    }

    #[test]
    fn another_genesis_is_refused_with_both_names() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) = (fixture::federation(3).0, fixture::federation(4).0);
        let home = Home::init(dir.path(), &ours).unwrap();
        let first = home.network().rules.genesis_id();
        drop(home);
        let failure = Home::init(dir.path(), &theirs).err().unwrap();
        let second = Network::new(&theirs).unwrap().rules.genesis_id();
        assert_eq!(failure.exit, Exit::Genesis);
        assert!(failure.message.contains(&first.to_string()), "{failure}");
        assert!(failure.message.contains(&second.to_string()), "{failure}");
    }

    #[test]
    fn a_directory_without_a_genesis_says_how_to_make_one() {
        let dir = tempfile::tempdir().unwrap();
        let failure = Home::open(dir.path(), None).err().unwrap();
        assert_eq!(failure.exit, Exit::Genesis);
        assert!(failure.message.contains("alys init"), "{failure}");
    }

    #[test]
    fn only_a_key_of_the_federation_is_taken_as_the_authoritys() {
        let dir = tempfile::tempdir().unwrap();
        let (genesis, keys) = fixture::federation(3);
        let home = Home::init(dir.path(), &genesis).unwrap();
        let mut settings = Settings::default();
        assert!(home.authority(&settings).unwrap().is_none());
        let stranger = SecretKey::from_seed(&[99; 32]);
        keyfile::create(&dir.path().join("keys/authority.key"), Kind::Authority, &stranger.to_bytes())
            .unwrap();
        assert_eq!(home.authority(&settings).unwrap_err().exit, Exit::KeyFile);
        keyfile::create(&dir.path().join("keys/mine.key"), Kind::Authority, &keys[1].to_bytes()).unwrap();
        settings.production.authority_key = "keys/mine.key".into();
        assert_eq!(home.authority(&settings).unwrap().unwrap().public_key(), keys[1].public_key());
        keyfile::create(&dir.path().join("keys/zero.key"), Kind::Authority, &[0; 32]).unwrap();
        settings.production.authority_key = "keys/zero.key".into();
        assert!(home.authority(&settings).unwrap_err().message.contains("damaged"));
    }
}
