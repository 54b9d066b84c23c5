//! The genesis as a file.
//!
//! - **In**: a path. **Out**: the genesis with its network (rules, ledger, state of height 0).
//! - **On failure**: which file, what is wrong with it, what to do.

use std::path::Path;

use alys_actors::chain::local::Network;
use alys_chain::Genesis;

use crate::exit::{Exit, Failure};

/// Reads a genesis file (JSON) and checks everything in it: keys, proofs of possession, slots, balances.
///
/// # Errors
/// [`Exit::Genesis`].
pub fn read(path: &Path) -> Result<(Genesis, Network), Failure> {
    let failure = |what: &dyn std::fmt::Display| {
        let message = format!(
            "{} cannot be used as a genesis: {what}; ask the federation for its genesis file",
            path.display()
        );
        Failure::new(Exit::Genesis, message)
    };
    let text = std::fs::read_to_string(path).map_err(|error| failure(&error))?;
    let genesis: Genesis = serde_json::from_str(&text).map_err(|error| failure(&error))?;
    let network = Network::new(&genesis).map_err(|error| failure(&error))?;
    Ok((genesis, network))
}

/// Writes a genesis file for people: indented JSON.
///
/// # Errors
/// [`Exit::System`].
pub fn write(path: &Path, genesis: &Genesis) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(genesis).expect("a genesis has string keys and plain values");
    std::fs::write(path, text + "\n")
        .map_err(|error| Failure::new(Exit::System, format!("cannot write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    use super::*;

    #[test]
    fn a_genesis_is_read_back_as_the_same_network() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("genesis.json");
        let (genesis, _) = fixture::federation(3);
        write(&path, &genesis).unwrap();
        let (read, network) = read(&path).unwrap();
        assert_eq!(read, genesis);
        assert_eq!(network.rules.genesis_id(), Network::new(&genesis).unwrap().rules.genesis_id());
    }

    #[test]
    fn a_file_that_is_no_genesis_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("genesis.json");
        let (genesis, _) = fixture::federation(3);
        write(&path, &genesis).unwrap();
        let forged =
            std::fs::read_to_string(&path).unwrap().replacen("\"proof\": \"0x8", "\"proof\": \"0x9", 1);
        for text in ["{}", "no json", &forged.replace("slot_ms\": 2000", "slot_ms\": 1")] {
            std::fs::write(&path, text).unwrap();
            let failure = super::read(&path).err().unwrap();
            assert_eq!(failure.exit, Exit::Genesis, "{text}");
            assert!(failure.message.contains("genesis.json"), "{failure}");
        }
        assert_eq!(super::read(Path::new("/nowhere")).err().unwrap().exit, Exit::Genesis);
        assert_eq!(write(Path::new("/nowhere/genesis.json"), &genesis).unwrap_err().exit, Exit::System);
    }
}
