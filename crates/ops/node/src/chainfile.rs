//! A chain as a file.
//!
//! - **Owns**: the format. Magic, version and genesis id with a checksum; then the blocks, ascending without a gap, each as its length (4
//!   bytes), certified header, body and checksum; then a trailer: length zero, number of blocks, id of the last one, checksum. Integers are
//!   little-endian, checksums CRC-32C over everything since the one before.
//! - **In**: certified blocks, or a file. **Out**: a file, or certified blocks.
//! - **On failure**: the offset and the height at which it is damaged; what came before is good. A file that ends without its trailer is
//!   truncated, wherever it ends. Nothing is allocated before its length is checked.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use alys_chain::limits::MAX_BODY_BYTES;
use alys_chain::{BlockId, Body, CertifiedHeader, Height};
use bytes::Bytes;

/// The first bytes of every chain file. The line end and the byte above 127 show when something took the file for text.
const MAGIC: [u8; 8] = *b"alys\xc4\r\n\0";
/// The version of the format.
const VERSION: u32 = 1;
const HEAD_BYTES: usize = MAGIC.len() + 4 + 32;
const CHECKSUM_BYTES: usize = 4;
/// Number of blocks and id of the last one.
const TRAILER_BYTES: usize = 8 + 32;
/// The longest record: a header, its certificate and the largest body.
const MAX_RECORD_BYTES: usize = CertifiedHeader::SIZE + MAX_BODY_BYTES;
/// Read and written at once: some hundred empty blocks. More does not get faster.
const BUFFER_BYTES: usize = 256 * 1024;

/// Why a chain file cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("cannot {verb} {path}: {source}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is a file already.
    #[error("{0} exists and is not overwritten: choose another name, or move it away")]
    Exists(PathBuf),
    /// Something else.
    #[error("{0} is no chain file: it does not begin like one")]
    NoChainFile(PathBuf),
    /// Of another version.
    #[error(
        "{path} has version {found} of the format, this program reads version {VERSION}: export it again with this program"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Of another network.
    #[error(
        "{path} holds a chain of the network {found}, this is {expected}: use the file or the data directory of the other network"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The genesis id in the file.
        found: BlockId,
        /// The genesis id of the data directory.
        expected: BlockId,
    },
    /// Truncated or changed.
    #[error("{path} is damaged behind {}, at byte {offset}: {what}; get it again", after(*.last))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The last height before the damage; `None` if it is in front of the first block.
        last: Option<Height>,
        /// Where the damaged record begins.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
}

fn after(last: Option<Height>) -> String {
    last.map_or_else(|| "its head".to_owned(), |height| format!("height {height}"))
}

/// One block of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Header and certificate; nothing is verified.
    pub header: CertifiedHeader,
    /// The body as it came.
    pub body: Body,
}

impl Record {
    /// How much of the file it takes, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        4 + CertifiedHeader::SIZE + self.body.0.len() + CHECKSUM_BYTES
    }
}

/// Writes a chain file. It appears under its name only when it is whole.
pub struct Writer {
    path: PathBuf,
    file: BufWriter<tempfile::NamedTempFile>,
    count: u64,
    last: BlockId,
}

impl Writer {
    /// Begins a file for the network `genesis`.
    ///
    /// # Errors
    /// If there is a file of this name, or the system refuses.
    pub fn create(path: &Path, genesis: BlockId) -> Result<Self, Error> {
        if path.exists() {
            return Err(Error::Exists(path.into()));
        }
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new()
            .prefix(".exporting-")
            .tempfile_in(directory)
            .map_err(|source| Error::Io { verb: "create", path: path.into(), source })?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        let mut writer = Self { path: path.into(), file, count: 0, last: genesis };
        let head = [&MAGIC[..], &VERSION.to_le_bytes(), genesis.as_bytes()].concat();
        writer.sealed(&[&head])?;
        Ok(writer)
    }

    /// Appends a block, already encoded: its certified header and its body.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn append(&mut self, id: BlockId, header: &[u8], body: &[u8]) -> Result<(), Error> {
        let length = u32::try_from(header.len() + body.len()).expect("a block is at most some 2 MiB");
        self.sealed(&[&length.to_le_bytes(), header, body])?;
        self.count += 1;
        self.last = id;
        Ok(())
    }

    /// Writes the trailer, syncs, and gives the file its name. Returns the number of blocks.
    ///
    /// # Errors
    /// If the system refuses, or a file of this name came up in between.
    pub fn finish(mut self) -> Result<u64, Error> {
        let (count, last) = (self.count.to_le_bytes(), self.last);
        self.sealed(&[&0u32.to_le_bytes(), &count, last.as_bytes()])?;
        let Self { path, file, count, .. } = self;
        let failed = |source| Error::Io { verb: "write", path: path.clone(), source };
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist_noclobber(&path).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists(path.clone()),
            _ => failed(error.error),
        })?;
        Ok(count)
    }

    fn sealed(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        let mut sum = 0;
        let mut write = || {
            for part in parts {
                sum = crc32c::crc32c_append(sum, part);
                self.file.write_all(part)?;
            }
            self.file.write_all(&sum.to_le_bytes())
        };
        write().map_err(|source| Error::Io { verb: "write", path: self.path.clone(), source })
    }
}

/// Reads a chain file, block by block.
pub struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    genesis: BlockId,
    size: u64,
    offset: u64,
    count: u64,
    last: Option<(Height, BlockId)>,
    ended: bool,
}

impl Reader {
    /// Opens a file and reads its head.
    ///
    /// # Errors
    /// If it is missing, no chain file, of another version, or damaged.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Io { verb: "read", path: path.into(), source };
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let file = BufReader::with_capacity(BUFFER_BYTES, file);
        let (genesis, count, last, ended) = (BlockId::default(), 0, None, false);
        let mut reader = Self { path: path.into(), file, genesis, size, offset: 0, count, last, ended };
        let mut head = [0; HEAD_BYTES + CHECKSUM_BYTES];
        if !reader.fill(&mut head)? || head[..MAGIC.len()] != MAGIC {
            return Err(Error::NoChainFile(path.into()));
        }
        let (head, sum) = head.split_at(HEAD_BYTES);
        if crc32c::crc32c(head).to_le_bytes() != *sum {
            return Err(reader.damaged("its head has a wrong checksum"));
        }
        let (version, genesis) = head[MAGIC.len()..].split_at(4);
        let found = u32::from_le_bytes(version.try_into().expect("split at four"));
        if found != VERSION {
            return Err(Error::Version { path: path.into(), found });
        }
        reader.genesis = BlockId(genesis.try_into().expect("the rest of the head"));
        reader.offset = head.len() as u64 + CHECKSUM_BYTES as u64;
        Ok(reader)
    }

    /// The network of the chain.
    #[must_use]
    pub const fn genesis(&self) -> BlockId {
        self.genesis
    }

    /// An error unless the chain is of this network.
    ///
    /// # Errors
    /// [`Error::Foreign`].
    pub fn expect_genesis(&self, expected: BlockId) -> Result<(), Error> {
        if self.genesis == expected {
            return Ok(());
        }
        Err(Error::Foreign { path: self.path.clone(), found: self.genesis, expected })
    }

    /// The size of the file and how much of it is read, in bytes.
    #[must_use]
    pub const fn position(&self) -> (u64, u64) {
        (self.offset, self.size)
    }

    /// The number of blocks, as the trailer says; `None` without one. For progress only: reading checks it.
    #[must_use]
    pub fn announced(&self) -> Option<u64> {
        use std::os::unix::fs::FileExt;
        let mut trailer = [0; 4 + TRAILER_BYTES + CHECKSUM_BYTES];
        let at = self.size.checked_sub(trailer.len() as u64)?;
        self.file.get_ref().read_exact_at(&mut trailer, at).ok()?;
        let (content, sum) = trailer.split_at(4 + TRAILER_BYTES);
        let sound = content[..4] == [0; 4] && crc32c::crc32c(content).to_le_bytes() == *sum;
        sound.then(|| u64::from_le_bytes(content[4..12].try_into().expect("eight bytes")))
    }

    fn next_record(&mut self) -> Result<Option<Record>, Error> {
        let mut length = [0; 4];
        if !self.fill(&mut length)? {
            return Err(self.damaged("the file ends without a trailer: it is truncated"));
        }
        let size = u32::from_le_bytes(length) as usize;
        if size == 0 {
            return self.trailer().map(|()| None);
        }
        if !(CertifiedHeader::SIZE..=MAX_RECORD_BYTES).contains(&size) {
            return Err(self.damaged("no block has such a length"));
        }
        let mut record = vec![0; size + CHECKSUM_BYTES];
        if !self.fill(&mut record)? {
            return Err(self.damaged("the file ends within a block: it is truncated"));
        }
        let record = Bytes::from(record);
        let (content, sum) = (record.slice(..size), &record[size..]);
        if crc32c::crc32c_append(crc32c::crc32c(&length), &content).to_le_bytes() != *sum {
            return Err(self.damaged("a block has a wrong checksum"));
        }
        let header = CertifiedHeader::decode(&content[..CertifiedHeader::SIZE])
            .map_err(|_| self.damaged("a header or certificate makes no sense"))?;
        let record = Record { header, body: Body(content.slice(CertifiedHeader::SIZE..)) };
        self.check_order(&record)?;
        self.offset += record.bytes() as u64;
        self.count += 1;
        self.last = Some((record.header.header.height, record.header.header.id()));
        Ok(Some(record))
    }

    fn check_order(&self, record: &Record) -> Result<(), Error> {
        let height = record.header.header.height;
        match self.last {
            Some((last, _)) if last.next() != Some(height) => {
                Err(self.damaged("a height is missing or twice"))
            }
            _ => Ok(()),
        }
    }

    fn trailer(&mut self) -> Result<(), Error> {
        let mut trailer = [0; TRAILER_BYTES + CHECKSUM_BYTES];
        if !self.fill(&mut trailer)? {
            return Err(self.damaged("the file ends within its trailer: it is truncated"));
        }
        let (content, sum) = trailer.split_at(TRAILER_BYTES);
        if crc32c::crc32c_append(crc32c::crc32c(&[0; 4]), content).to_le_bytes() != *sum {
            return Err(self.damaged("the trailer has a wrong checksum"));
        }
        let last = self.last.map_or(self.genesis, |(_, id)| id);
        if content[..8] != self.count.to_le_bytes() || content[8..] != *last.as_bytes() {
            return Err(self.damaged("the trailer speaks of other blocks: some are missing"));
        }
        if self.fill(&mut [0])? {
            return Err(self.damaged("something follows the trailer"));
        }
        Ok(())
    }

    /// Whether there was as much left in the file.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, Error> {
        match self.file.read_exact(buffer) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(source) => Err(Error::Io { verb: "read", path: self.path.clone(), source }),
        }
    }

    fn damaged(&self, what: &'static str) -> Error {
        let last = self.last.map(|(height, _)| height);
        Error::Damaged { path: self.path.clone(), last, offset: self.offset, what }
    }
}

impl Iterator for Reader {
    type Item = Result<Record, Error>;

    /// The next block; nothing behind the trailer, and nothing behind an error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_record().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
mod tests;
