//! What a backend must be able to do: ordered tables, one atomic write over all of them, and views that stand still. The meaning of the rows
//! is the same for every backend and lives in [`crate::layout`].

use bytes::Bytes;

use crate::{Durability, StoreError};

/// The tables. The numbers index arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// Single values, see [`meta`].
    Meta,
    /// Block id to height.
    Ids,
    /// Height, id, kind to header with lineage, or certificate: both are neighbours, and so are neighbours in the chain.
    Headers,
    /// Height, id to body.
    Bodies,
    /// Height to the id of the canonical block.
    Canonical,
    /// Bucket, address to account; bucket to its summary.
    State,
    /// Height, id to diff.
    Diffs,
    /// Transaction hash to location.
    Transactions,
}

impl Table {
    pub(crate) const ALL: [Self; 8] = [
        Self::Meta,
        Self::Ids,
        Self::Headers,
        Self::Bodies,
        Self::Canonical,
        Self::State,
        Self::Diffs,
        Self::Transactions,
    ];

    /// Its place in [`Table::ALL`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Its name, on disk and in errors.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Ids => "ids",
            Self::Headers => "headers",
            Self::Bodies => "bodies",
            Self::Canonical => "canonical",
            Self::State => "state",
            Self::Diffs => "diffs",
            Self::Transactions => "transactions",
        }
    }
}

/// The keys of [`Table::Meta`].
pub(crate) mod meta {
    pub(crate) const GENESIS: &[u8] = b"genesis";
    pub(crate) const FORMAT: &[u8] = b"format";
    pub(crate) const COMMITS: &[u8] = b"commits";
    pub(crate) const HEAD: &[u8] = b"head";
    pub(crate) const FINAL: &[u8] = b"final";
    pub(crate) const SIGNING: &[u8] = b"signing";
    /// The lowest height whose body is here, with all above it.
    pub(crate) const EARLIEST: &[u8] = b"earliest";
    /// Which of the two states is live.
    pub(crate) const GENERATION: &[u8] = b"generation";
    /// What the staged state is.
    pub(crate) const SNAPSHOT: &[u8] = b"snapshot";
    /// Where the next large body goes, for a backend that keeps them apart.
    pub(crate) const BODIES_END: &[u8] = b"bodies_end";
    /// Followed by a bucket: it is complete in the staged state.
    pub(crate) const BUCKET: &[u8] = b"staged/";
}

/// One row put, or removed when there is no value.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) table: Table,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Bytes>,
}

/// One row read.
pub(crate) type Row = (Bytes, Bytes);

/// Rows in ascending order of key.
pub(crate) type Rows<'a> = Box<dyn Iterator<Item = Result<Row, StoreError>> + 'a>;

/// A backend.
pub(crate) trait Tables: Send + Sync {
    /// The database as it is between two writes.
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError>;

    /// The state as it is between two writes, for as long as the answer is kept. Only [`Table::State`] and [`Table::Meta`] can be read in it.
    fn pin(&self) -> Result<Box<dyn View + Send + Sync>, StoreError>;

    /// All of it or nothing, and with it the row [`meta::COMMITS`] that carries this number. Called by one thread at a time.
    fn write(&self, number: u64, changes: Vec<Change>, durability: Durability) -> Result<(), StoreError>;

    /// Rows of [`Table::Bodies`] that will be written soon: a backend may begin with them, and nobody sees that it did.
    fn write_ahead(&self, _bodies: Vec<(Vec<u8>, Bytes)>) {}
}

/// The database at one moment.
pub(crate) trait View {
    /// A row.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The rows with `start <= key < end`.
    fn scan(&self, table: Table, start: &[u8], end: &[u8]) -> Rows<'_>;
}
