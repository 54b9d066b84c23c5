//! Files that hold a secret key.
//!
//! - **Owns**: the format and the permissions. One line, `<kind> <64 hex digits>`, so that one kind of key is never taken for the other; mode 0600.
//! - **In**: a path. **Out**: 32 secret bytes, wiped from memory when dropped.
//! - **On failure**: an error that names the file, what is wrong with it and what to do. A file that exists is never overwritten.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The longest file that is read: the longest kind, a blank, 64 digits, a line end, and some room for an editor's extra blank lines.
const MAX_FILE_BYTES: u64 = 256;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Who this node is on the network: an Ed25519 secret.
    Node,
    /// An authority's vote: a BLS12-381 secret.
    Authority,
}

impl Kind {
    const fn label(self) -> &'static str {
        match self {
            Self::Node => "alys-node-key",
            Self::Authority => "alys-authority-key",
        }
    }
}

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("cannot {verb} the key file {path}: {source}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is a file already.
    #[error("{0} exists and is not overwritten: a key that is gone cannot be made again")]
    Exists(PathBuf),
    /// Others may read it.
    #[error("{path} has mode {mode:04o}, so that others may read the key: run `chmod 600 {path}`")]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is a key of the other kind.
    #[error("{path} holds an {found}, but an {expected} is needed here")]
    Kind {
        /// The file.
        path: PathBuf,
        /// What is needed.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
    /// It is damaged.
    #[error("{path} is damaged: {what}; restore it from its backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}

/// Writes a new key file, synced to disk, readable by its owner only.
///
/// # Errors
/// If the file exists, or the system refuses.
pub fn create(path: &Path, kind: Kind, secret: &[u8; 32]) -> Result<(), Error> {
    let io = |source| Error::Io { verb: "write", path: path.into(), source };
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => Error::Exists(path.into()),
        _ => io(source),
    })?;
    let line = Zeroizing::new(format!("{} {}\n", kind.label(), Zeroizing::new(hex::encode(secret)).as_str()));
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(io)
}

/// Reads a key file.
///
/// # Errors
/// If it is missing, readable by others, of the other kind, or damaged.
pub fn read(path: &Path, kind: Kind) -> Result<Zeroizing<[u8; 32]>, Error> {
    let io = |source| Error::Io { verb: "read", path: path.into(), source };
    let file = File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Error::Permissions { path: path.into(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(|source| match source.kind() {
        ErrorKind::InvalidData => Error::Damaged { path: path.into(), what: "it is not text" },
        _ => io(source),
    })?;
    parse(path, kind, &text)
}

fn parse(path: &Path, kind: Kind, text: &str) -> Result<Zeroizing<[u8; 32]>, Error> {
    let damaged = |what| Error::Damaged { path: path.into(), what };
    let (label, digits) =
        text.trim_end().split_once(' ').ok_or_else(|| damaged("it is not `<kind> <64 hex digits>`"))?;
    if label != kind.label() {
        let known = [Kind::Node, Kind::Authority].into_iter().find(|kind| kind.label() == label);
        return Err(match known {
            Some(found) => {
                Error::Kind { path: path.into(), expected: kind.label(), found: found.label().into() }
            }
            None => damaged("it does not start with a kind of key"),
        });
    }
    let mut secret = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits, secret.as_mut_slice())
        .map_err(|_| damaged("the key is not 64 hex digits"))?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn written(text: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = dir();
        let path = dir.path().join("key");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn a_key_is_read_back_and_only_its_owner_can() {
        let dir = dir();
        let path = dir.path().join("node.key");
        create(&path, Kind::Node, &[7; 32]).unwrap();
        assert_eq!(*read(&path, Kind::Node).unwrap(), [7; 32]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let dir = dir();
        let path = dir.path().join("node.key");
        create(&path, Kind::Node, &[7; 32]).unwrap();
        assert!(matches!(create(&path, Kind::Node, &[8; 32]), Err(Error::Exists(_))));
        assert_eq!(*read(&path, Kind::Node).unwrap(), [7; 32]);
    }

    #[test]
    fn a_key_of_the_other_kind_is_refused() {
        let dir = dir();
        let path = dir.path().join("node.key");
        create(&path, Kind::Node, &[7; 32]).unwrap();
        let error = read(&path, Kind::Authority).unwrap_err().to_string();
        assert!(error.contains("holds an alys-node-key, but an alys-authority-key is needed"), "{error}");
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let (_dir, path) = written(b"alys-node-key 00", 0o640);
        let error = read(&path, Kind::Node).unwrap_err().to_string();
        assert!(error.contains("mode 0640") && error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_damaged_key_is_refused_and_never_shown() {
        let secret = "ab".repeat(31);
        for text in
            ["", "alys-node-key", "something else", &format!("alys-node-key {secret}"), "alys-node-key zz"]
        {
            let (_dir, path) = written(text.as_bytes(), 0o600);
            let error = read(&path, Kind::Node).unwrap_err();
            assert!(matches!(error, Error::Damaged { .. }), "{text}: {error}");
            assert!(!error.to_string().contains(&secret));
        }
        let (_dir, path) = written(&[0xff, 0xfe], 0o600);
        assert!(matches!(read(&path, Kind::Node), Err(Error::Damaged { .. })));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/nowhere/node.key"), Kind::Node).unwrap_err().to_string();
        assert!(error.contains("/nowhere/node.key"), "{error}");
        let error = create(Path::new("/nowhere/node.key"), Kind::Node, &[1; 32]).unwrap_err().to_string();
        assert!(error.contains("cannot write"), "{error}");
    }
}
