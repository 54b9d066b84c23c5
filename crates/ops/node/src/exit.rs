//! How a command ends when it does not succeed.
//!
//! - **Owns**: the exit codes, one for each kind of trouble that a script may want to tell apart, and which error is of which kind.
//! - **In**: the errors of the parts. **Out**: a [`Failure`]: the code, and a message that says what was wrong and what to do.

use std::fmt;
use std::process::ExitCode;

use alys_actors::chain::local::ChainError;
use alys_storage::StoreError;

use crate::{chainfile, keyfile, settings};

/// Why the program ended. The codes are part of the interface: they are listed in the help and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command did what it was asked for.
    Ok = 0,
    /// The system refused something that no other code names: a file that cannot be written, a thread that cannot be had.
    System = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// A setting is unknown, of the wrong type or out of range.
    Settings = 3,
    /// A key file is missing, damaged, readable by others, or of another kind.
    KeyFile = 4,
    /// The data directory, the chain file or the peers are of another genesis or version; or the genesis file makes no sense.
    Genesis = 5,
    /// Another process uses the data directory.
    InUse = 6,
    /// Another process listens on the port.
    PortInUse = 7,
    /// The database is damaged, or its disk failed or is full.
    Storage = 8,
    /// A chain file is truncated or damaged.
    ChainFile = 9,
    /// A block breaks the rules of the chain. What came before it was kept.
    InvalidBlock = 10,
    /// No node answers at the RPC address.
    Unreachable = 11,
    /// The devnet ran, and did not show what it must.
    Verdict = 12,
    /// No checkpoint fits: the one that was named, or any.
    Checkpoint = 13,
    /// The node does not take the order, or cannot answer now.
    Refused = 14,
    /// Stopped by a signal before the end.
    Interrupted = 130,
}

impl Exit {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 16] = [
        Self::Ok,
        Self::System,
        Self::Usage,
        Self::Settings,
        Self::KeyFile,
        Self::Genesis,
        Self::InUse,
        Self::PortInUse,
        Self::Storage,
        Self::ChainFile,
        Self::InvalidBlock,
        Self::Unreachable,
        Self::Verdict,
        Self::Checkpoint,
        Self::Refused,
        Self::Interrupted,
    ];

    /// The number that the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::System => "the system refused a file or a thread",
            Self::Usage => "wrong command line",
            Self::Settings => "wrong settings",
            Self::KeyFile => "missing, damaged or unprotected key file",
            Self::Genesis => "another genesis or version, or a genesis file that makes no sense",
            Self::InUse => "the data directory is in use by another process",
            Self::PortInUse => "a port is taken by another process",
            Self::Storage => "the database is damaged, or its disk failed or is full",
            Self::ChainFile => "damaged or truncated chain file",
            Self::InvalidBlock => "invalid block; what came before it was kept",
            Self::Unreachable => "no node answers",
            Self::Verdict => "the devnet did not show what it must",
            Self::Checkpoint => "no checkpoint fits",
            Self::Refused => "the node does not take the order, or cannot answer now",
            Self::Interrupted => "stopped by a signal before the end",
        }
    }

    /// The list of codes, for the help.
    #[must_use]
    pub fn list() -> String {
        let lines = Self::ALL.map(|exit| format!("  {:>3}  {}", exit.code(), exit.meaning()));
        format!("Exit codes:\n{}", lines.join("\n"))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A command that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of trouble.
    pub exit: Exit,
    /// What was wrong, and what to do.
    pub message: String,
}

impl Failure {
    /// A failure of this kind.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<keyfile::Error> for Failure {
    fn from(error: keyfile::Error) -> Self {
        Self::new(Exit::KeyFile, error.to_string())
    }
}

impl From<settings::Error> for Failure {
    fn from(error: settings::Error) -> Self {
        Self::new(Exit::Settings, error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            StoreError::WrongGenesis { .. } | StoreError::WrongVersion { .. } => Exit::Genesis,
            StoreError::Locked { .. } => Exit::InUse,
            _ => Exit::Storage,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<ChainError> for Failure {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::Store(error) => error.into(),
            error if error.is_ours() => Self::new(Exit::Storage, error.to_string()),
            error => Self::new(Exit::InvalidBlock, error.to_string()),
        }
    }
}

impl From<chainfile::Error> for Failure {
    fn from(error: chainfile::Error) -> Self {
        let exit = match &error {
            chainfile::Error::Io { .. } | chainfile::Error::Exists(_) => Exit::System,
            chainfile::Error::Foreign { .. } | chainfile::Error::Version { .. } => Exit::Genesis,
            chainfile::Error::NoChainFile(_) | chainfile::Error::Damaged { .. } => Exit::ChainFile,
        };
        Self::new(exit, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use alys_chain::{BlockId, Hash};

    use super::*;

    #[test]
    fn every_code_is_its_own_and_listed() {
        let codes: BTreeSet<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes.len(), Exit::ALL.len());
        assert_eq!(Exit::list().lines().count(), Exit::ALL.len() + 1);
    }

    #[test]
    fn each_trouble_with_the_store_has_the_code_that_tells_what_to_do() {
        let path = PathBuf::from("/data");
        let (found, expected) = (BlockId([1; 32]), BlockId([2; 32]));
        let of = |error: StoreError| Failure::from(error).exit;
        assert_eq!(of(StoreError::WrongGenesis { path: path.clone(), found, expected }), Exit::Genesis);
        assert_eq!(of(StoreError::WrongVersion { path: path.clone(), found: 2, expected: 1 }), Exit::Genesis);
        assert_eq!(of(StoreError::Locked { path, pid: None }), Exit::InUse);
        assert_eq!(of(StoreError::Poisoned), Exit::Storage);
    }

    #[test]
    fn a_bad_block_is_told_from_a_bad_disk() {
        let bad = ChainError::StateRoot { claimed: Hash([1; 32]), computed: Hash([2; 32]) };
        assert_eq!(Failure::from(bad).exit, Exit::InvalidBlock);
        assert_eq!(Failure::from(ChainError::Store(StoreError::Poisoned)).exit, Exit::Storage);
        assert_eq!(Failure::from(ChainError::Inconsistent("gap".into())).exit, Exit::Storage);
    }
}
