//! What can go wrong with the disk. None of it is a peer's fault: a full disk is the moment's, everything else is ours.

use std::io;
use std::path::{Path, PathBuf};

use alys_chain::BlockId;

/// Why the store could not do it, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Not enough room. Nothing was written; the same commit succeeds once there is room.
    #[error(
        "the disk of {path} is full ({available} bytes left, {needed} needed): free some space, the node goes on by itself"
    )]
    DiskFull {
        /// The directory that is full.
        path: PathBuf,
        /// Bytes that are left.
        available: u64,
        /// Bytes that must be.
        needed: u64,
    },
    /// What is on the disk is not what was written.
    #[error(
        "the database is damaged ({what}): move the data directory away and sync again; an authority must not reuse its signing record"
    )]
    Corrupted {
        /// What was being read.
        what: String,
    },
    /// The operating system refused.
    #[error("cannot {doing} ({source}): check the disk and the permissions, then restart the node")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// A write or sync failed before; nothing is acknowledged any more.
    #[error("the database is read-only since a write failed: check the disk, then restart the node")]
    Poisoned,
    /// The directory belongs to another network.
    #[error(
        "{path} belongs to the network {found}, this node to {expected}: use another data directory, or the other genesis"
    )]
    WrongGenesis {
        /// The directory.
        path: PathBuf,
        /// The genesis id that it was made for.
        found: BlockId,
        /// The genesis id of this node.
        expected: BlockId,
    },
    /// The directory was written by another version of this software.
    #[error(
        "{path} has format {found}, this program reads format {expected}: use the program that wrote it, or sync again"
    )]
    WrongVersion {
        /// The file that says so.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// Ours.
        expected: u64,
    },
    /// Another process uses the directory.
    #[error("{path} is in use by {}: stop it, or use another data directory", process(*.pid))]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process, if it said so.
        pid: Option<u32>,
    },
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("the process {pid}"))
}

impl StoreError {
    /// Damage found in `what`.
    pub(crate) fn corrupted(what: impl Into<String>) -> Self {
        Self::Corrupted { what: what.into() }
    }

    /// The system's refusal while `doing`; damaged contents are told apart by their kind.
    pub(crate) fn io(doing: impl Into<String>, source: io::Error) -> Self {
        Self::Io { doing: doing.into(), source }
    }

    /// The same, for a file.
    pub(crate) fn file(doing: &str, path: &Path, source: io::Error) -> Self {
        Self::io(format!("{doing} {}", path.display()), source)
    }

    /// Whether the same call can succeed later without a restart: the moment's fault, not ours.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_what_to_do() {
        let path = PathBuf::from("/data");
        let genesis = BlockId([1; 32]);
        let all = [
            (StoreError::DiskFull { path: path.clone(), available: 1, needed: 2 }, "free some space"),
            (StoreError::corrupted("a header"), "sync again"),
            (
                StoreError::file("open", &path, io::Error::other("no")),
                "cannot open /data (no): check the disk",
            ),
            (StoreError::Poisoned, "restart the node"),
            (
                StoreError::WrongGenesis { path: path.clone(), found: genesis, expected: BlockId([2; 32]) },
                "0x0202",
            ),
            (StoreError::WrongVersion { path: path.clone(), found: 2, expected: 1 }, "sync again"),
            (StoreError::Locked { path: path.clone(), pid: Some(42) }, "the process 42: stop it"),
            (StoreError::Locked { path, pid: None }, "another process: stop it"),
        ];
        for (error, advice) in all {
            assert!(error.to_string().contains(advice), "{error}");
            assert_eq!(error.is_temporary(), matches!(error, StoreError::DiskFull { .. }));
        }
    }
}
