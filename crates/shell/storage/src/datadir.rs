//! The directory that a node owns.
//!
//! - **Owns**: the places in it, the lock that keeps a second process out, and the file that says which network and format it holds.
//! - **In**: a path and the genesis id of the node. **Out**: a [`DataDir`], which holds the lock until it is dropped.
//! - **On failure**: nothing is created in a directory that belongs to another network, another version or another process.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use alys_chain::BlockId;

use crate::StoreError;

/// Names the network and the format.
const VERSION_FILE: &str = "VERSION";
/// Locked while a process uses the directory; holds its id.
const LOCK_FILE: &str = "LOCK";
/// The layout of the directory. Another one is refused.
const FORMAT: u64 = 1;
/// Nobody but the owner: keys are in it.
#[cfg(unix)]
const DIRECTORY_MODE: u32 = 0o700;
/// More than any of the two small files is ever long.
const FILE_LIMIT: u64 = 4096;

/// A locked data directory.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    /// Dropping it unlocks the directory.
    _lock: File,
}

impl DataDir {
    /// Locks the directory of the network `genesis`; makes it if it is missing or empty of ours.
    ///
    /// # Errors
    /// [`StoreError::WrongGenesis`] and [`StoreError::WrongVersion`] before anything is created; [`StoreError::Locked`] with the process that
    /// holds it; [`StoreError::Corrupted`] when `VERSION` makes no sense; [`StoreError::Io`].
    pub fn open(root: &Path, genesis: BlockId) -> Result<Self, StoreError> {
        // Before the lock, which is a file too.
        check_version(root, genesis)?;
        create_directory(root)?;
        let lock = lock(root)?;
        // Another process may have made it in between.
        if !check_version(root, genesis)? {
            write_version(root, genesis)?;
        }
        let directory = Self { root: root.to_owned(), _lock: lock };
        for place in [directory.chain(), directory.checkpoints(), directory.keys(), directory.peers()] {
            create_directory(&place)?;
        }
        Ok(directory)
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The database of the chain.
    #[must_use]
    pub fn chain(&self) -> PathBuf {
        self.root.join("chain")
    }

    /// The checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// The key files.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The peer book.
    #[must_use]
    pub fn peers(&self) -> PathBuf {
        self.root.join("peers")
    }
}

/// Whether the directory is ours already; an error if it is somebody else's.
fn check_version(root: &Path, expected: BlockId) -> Result<bool, StoreError> {
    let path = root.join(VERSION_FILE);
    let Some(text) = read_small(&path)? else {
        return Ok(false);
    };
    let (format, found) = parse_version(&text)
        .ok_or_else(|| StoreError::corrupted(format!("{} makes no sense", path.display())))?;
    if format != FORMAT {
        return Err(StoreError::WrongVersion { path, found: format, expected: FORMAT });
    }
    if found != expected {
        return Err(StoreError::WrongGenesis { path: root.to_owned(), found, expected });
    }
    Ok(true)
}

fn version_text(genesis: BlockId) -> String {
    format!("alys data directory\nformat {FORMAT}\ngenesis {genesis}\n")
}

fn parse_version(text: &str) -> Option<(u64, BlockId)> {
    let mut lines = text.lines();
    let title = lines.next()?;
    let format = lines.next()?.strip_prefix("format ")?.parse().ok()?;
    let digits = lines.next()?.strip_prefix("genesis 0x")?;
    let whole = title == "alys data directory" && digits.len() == 64 && digits.is_ascii();
    let mut id = [0; 32];
    for (byte, at) in id.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    whole.then_some((format, BlockId(id)))
}

fn write_version(root: &Path, genesis: BlockId) -> Result<(), StoreError> {
    let path = root.join(VERSION_FILE);
    write_atomically(&path, version_text(genesis).as_bytes())
        .map_err(|source| StoreError::file("write", &path, source))
}

fn lock(root: &Path) -> Result<File, StoreError> {
    let path = root.join(LOCK_FILE);
    let failed = |doing| move |source| StoreError::file(doing, &root.join(LOCK_FILE), source);
    let mut options = OpenOptions::new();
    let mut file =
        options.read(true).write(true).create(true).truncate(false).open(&path).map_err(failed("open"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let pid = read_small(&path)?.and_then(|text| text.trim().parse().ok());
            return Err(StoreError::Locked { path: root.to_owned(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
    }
    let mut sign = || {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    sign().map_err(failed("write"))?;
    Ok(file)
}

/// The text of a small file, `None` if there is none.
fn read_small(path: &Path) -> Result<Option<String>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoreError::file("open", path, source)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT).read_to_end(&mut bytes).map_err(|source| StoreError::file("read", path, source))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Makes a directory, for its owner only.
pub(crate) fn create_directory(path: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, DIRECTORY_MODE);
    builder.create(path).map_err(|source| StoreError::file("create", path, source))
}

/// Writes a file so that after any crash it is there as a whole, or not at all: a synced temporary file, renamed.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".writing-").tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: BlockId = BlockId([0xab; 32]);
    const THEIRS: BlockId = BlockId([0xcd; 32]);

    fn entries(path: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_fresh_directory_is_made_and_found_again() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("deep/data");
        let directory = DataDir::open(&root, OURS).unwrap();
        assert_eq!(directory.root(), root);
        assert_eq!(entries(&root), ["LOCK", "VERSION", "chain", "checkpoints", "keys", "peers"]);
        assert_eq!(fs::read_to_string(root.join("LOCK")).unwrap().trim(), std::process::id().to_string());
        drop(directory);
        DataDir::open(&root, OURS).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn nobody_but_the_owner_can_look_inside() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let directory = DataDir::open(&parent.path().join("data"), OURS).unwrap();
        for place in [directory.root().to_owned(), directory.keys(), directory.chain()] {
            assert_eq!(fs::metadata(place).unwrap().permissions().mode() & 0o777, DIRECTORY_MODE);
        }
        assert_eq!(fs::metadata(directory.root().join("VERSION")).unwrap().permissions().mode() & 0o077, 0);
    }

    #[test]
    fn another_network_is_refused_and_nothing_is_created() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("VERSION"), version_text(THEIRS)).unwrap();
        let refused = DataDir::open(root.path(), OURS).unwrap_err();
        assert!(matches!(refused, StoreError::WrongGenesis { found: THEIRS, expected: OURS, .. }));
        let text = refused.to_string();
        assert!(text.contains(&"ab".repeat(32)) && text.contains(&"cd".repeat(32)), "{text}");
        assert_eq!(entries(root.path()), ["VERSION"]);
    }

    #[test]
    fn another_format_and_nonsense_are_refused_and_nothing_is_created() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("VERSION");
        fs::write(&path, version_text(OURS).replace("format 1", "format 9")).unwrap();
        assert!(matches!(
            DataDir::open(root.path(), OURS),
            Err(StoreError::WrongVersion { found: 9, expected: 1, .. })
        ));
        let good = version_text(OURS);
        for nonsense in
            ["", "hello", &good[..good.len() - 2], &good.replace('a', "x"), &good.replace("0xab", "0xé")]
        {
            fs::write(&path, nonsense).unwrap();
            assert!(
                matches!(DataDir::open(root.path(), OURS), Err(StoreError::Corrupted { .. })),
                "{nonsense}"
            );
        }
        assert_eq!(entries(root.path()), ["VERSION"]);
    }

    #[test]
    fn a_second_user_is_told_who_holds_it() {
        let root = tempfile::tempdir().unwrap();
        let first = DataDir::open(root.path(), OURS).unwrap();
        let pid = Some(std::process::id());
        let refused = DataDir::open(root.path(), OURS).unwrap_err();
        assert!(matches!(&refused, StoreError::Locked { pid: holder, .. } if *holder == pid), "{refused}");
        drop(first);
        DataDir::open(root.path(), OURS).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        fs::write(&path, b"").unwrap();
        assert!(matches!(DataDir::open(&path, OURS), Err(StoreError::Io { .. })));
        fs::create_dir(root.path().join("VERSION")).unwrap();
        assert!(matches!(DataDir::open(root.path(), OURS), Err(StoreError::Io { .. })));
    }
}
