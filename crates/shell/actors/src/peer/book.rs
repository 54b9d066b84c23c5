//! Where the peer book is kept between runs.

use std::fs;
use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::spawn_blocking;

/// Behind the name of a book that could not be read.
const DAMAGED: &str = "damaged";

/// A place for the book. Clones are the same place.
#[derive(Clone, Debug)]
pub enum Book {
    /// A file, replaced as a whole.
    File(Arc<BookFile>),
    /// Nothing but memory: for simulation and tests, where it outlives the node as a disk would.
    Memory(Arc<Mutex<Option<Vec<u8>>>>),
}

/// A book in a file.
#[derive(Debug)]
pub struct BookFile {
    path: PathBuf,
    /// The number of the next save.
    next: AtomicU64,
    /// The number of the save that was written last, plus one.
    written: Mutex<u64>,
}

impl Book {
    /// A book in this file. Its directory must exist.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self::File(Arc::new(BookFile { path, next: AtomicU64::new(0), written: Mutex::new(0) }))
    }

    /// A book in memory.
    #[must_use]
    pub fn memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// What was saved last; none if nothing was.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub async fn load(&self) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::File(file) => {
                let file = file.clone();
                blocking(move || file.load()).await
            }
            Self::Memory(bytes) => Ok(bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        }
    }

    /// Puts `bytes` in the place of what was there. Saves may overlap, those of an ended incarnation too: the one that was called for last stays.
    ///
    /// # Errors
    /// When the file system refuses; what was saved before is still there.
    pub fn save(&self, bytes: Vec<u8>) -> impl Future<Output = io::Result<()>> + Send + use<> {
        let number = match self {
            Self::File(file) => file.next.fetch_add(1, Ordering::Relaxed),
            Self::Memory(_) => 0,
        };
        self.clone().write(number, bytes)
    }

    async fn write(self, number: u64, bytes: Vec<u8>) -> io::Result<()> {
        match self {
            Self::File(file) => blocking(move || file.save(number, &bytes)).await,
            Self::Memory(place) => {
                *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
                Ok(())
            }
        }
    }

    /// Puts a book that cannot be read out of the way, for somebody to look at.
    ///
    /// # Errors
    /// When the file system refuses.
    pub async fn put_aside(&self) -> io::Result<()> {
        match self {
            Self::File(file) => {
                let file = file.clone();
                blocking(move || fs::rename(&file.path, file.path.with_added_extension(DAMAGED))).await
            }
            Self::Memory(place) => {
                place.lock().unwrap_or_else(PoisonError::into_inner).take();
                Ok(())
            }
        }
    }
}

impl BookFile {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn save(&self, number: u64, bytes: &[u8]) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if number >= *written {
            write_atomically(&self.path, bytes)?;
            *written = number + 1;
        }
        Ok(())
    }
}

/// A synced file beside it, renamed over it: after any crash the old book is there as a whole, or the new one.
fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_added_extension("new");
    let mut file = fs::File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(directory)?.sync_all()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}
