//! Checkpoints on the disk, held against the store: written, found, examined, taken in from elsewhere.
//!
//! - **Owns**: nothing; the files are storage's, what is in them is for [`alys_chain::checkpoint`] to say.
//! - **In**: heights, payloads. **Out**: files; checkpoints that fit the store, and for each other one the reason.
//! - **On failure**: one that is damaged, foreign or premature is a reason; that the disk or the store failed is an error.
//!
//! Everything here blocks on the disk. A node calls it in the pool, a command where it stands.

use std::path::Path;
use std::sync::Arc;

use alys_chain::checkpoint::{Checkpoint, Federation, StoreFacts};
use alys_chain::verify::Parent;
use alys_chain::{BlockId, Height, Rules};
use alys_storage::{Checkpoints, Store, StoredHeader};
use bytes::Bytes;

use super::refusals::CheckpointFailed;

/// A checkpoint that fits the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Its height.
    pub height: Height,
    /// Its block.
    pub block: BlockId,
    /// What this node thought of its peers then, in the encoding of the peer book.
    pub peers: Bytes,
    /// The newer ones that were passed over, each with the reason.
    pub passed_over: Vec<(Height, String)>,
}

/// A file, and what it is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// The height in its name.
    pub height: Height,
    /// Its size on the disk, compressed.
    pub bytes: u64,
    /// What it holds, or why it would be passed over.
    pub verdict: Result<Checkpoint, String>,
}

/// See the [module](self). Cheap to clone.
#[derive(Clone)]
pub struct CheckpointDesk {
    files: Arc<Checkpoints>,
    store: Arc<dyn Store>,
    rules: Arc<Rules>,
    kept: usize,
}

impl CheckpointDesk {
    /// The checkpoints in `files`, of which the `kept` newest stay, held against `store`.
    #[must_use]
    pub const fn new(files: Arc<Checkpoints>, store: Arc<dyn Store>, rules: Arc<Rules>, kept: usize) -> Self {
        Self { files, store, rules, kept }
    }

    /// Writes the checkpoint of a canonical block, which the caller knows to be final.
    ///
    /// # Errors
    /// [`CheckpointFailed::NothingFinal`] for genesis; [`CheckpointFailed::Ours`] when the disk or the store fails, or there is no such block.
    pub fn write(&self, height: Height, peers: Bytes) -> Result<Height, CheckpointFailed> {
        if height == Height::ZERO {
            return Err(CheckpointFailed::NothingFinal);
        }
        let stored = self
            .canonical(height)?
            .ok_or_else(|| CheckpointFailed::Ours(format!("the store has no block at height {height}")))?;
        let checkpoint = Checkpoint {
            genesis: self.rules.genesis_id(),
            height,
            slot: stored.header.slot,
            block: stored.id,
            state_root: stored.header.state_root,
            certificate: stored.certificate,
            federation: self.federation(&stored),
            peers,
        };
        let bytes = checkpoint.encode().map_err(ours)?;
        self.files.save(height, &bytes, self.kept).map_err(ours)?;
        Ok(height)
    }

    /// The newest one that fits the store.
    ///
    /// # Errors
    /// [`CheckpointFailed::None`] with all reasons; [`CheckpointFailed::Ours`].
    pub fn find(&self) -> Result<Recovered, CheckpointFailed> {
        let mut passed_over = Vec::new();
        for height in self.files.heights().map_err(ours)? {
            match self.examine(height)? {
                Ok(checkpoint) => {
                    let Checkpoint { height, block, peers, .. } = checkpoint;
                    return Ok(Recovered { height, block, peers, passed_over });
                }
                Err(why) => passed_over.push((height, why)),
            }
        }
        let reasons: Vec<String> =
            passed_over.iter().map(|(height, why)| format!("{height}: {why}")).collect();
        let reasons = if reasons.is_empty() { "there is none".to_owned() } else { reasons.join("; ") };
        Err(CheckpointFailed::None(reasons))
    }

    /// Every file, the newest first, and what each is worth.
    ///
    /// # Errors
    /// [`CheckpointFailed::Ours`].
    pub fn list(&self) -> Result<Vec<Examined>, CheckpointFailed> {
        let heights = self.files.heights().map_err(ours)?;
        heights.into_iter().map(|height| self.look_at(height)).collect()
    }

    /// One file, and what it is worth.
    ///
    /// # Errors
    /// [`CheckpointFailed::None`] where there is no such file; [`CheckpointFailed::Ours`].
    pub fn look_at(&self, height: Height) -> Result<Examined, CheckpointFailed> {
        let path = self.files.path(height);
        let bytes = std::fs::metadata(&path)
            .map_err(|error| CheckpointFailed::None(format!("{}: {error}", path.display())))?
            .len();
        Ok(Examined { height, bytes, verdict: self.examine(height)? })
    }

    /// Copies the file of a height, if it fits the store, to a new file elsewhere.
    ///
    /// # Errors
    /// [`CheckpointFailed::None`] where there is none that fits; [`CheckpointFailed::Ours`] when it cannot be written, also since the file is there.
    pub fn export(&self, height: Height, to: &Path) -> Result<Examined, CheckpointFailed> {
        let found = self.look_at(height)?;
        if let Err(why) = &found.verdict {
            return Err(CheckpointFailed::None(why.clone()));
        }
        let failed = |error: std::io::Error| CheckpointFailed::Ours(format!("{}: {error}", to.display()));
        let mut from = std::fs::File::open(self.files.path(height)).map_err(failed)?;
        let mut file = std::fs::File::create_new(to).map_err(failed)?;
        std::io::copy(&mut from, &mut file).and_then(|_| file.sync_all()).map_err(failed)?;
        Ok(found)
    }

    /// Takes in a file from elsewhere, if it fits the store. None of those that are here goes for it; the next one that is written counts again.
    ///
    /// # Errors
    /// [`CheckpointFailed::None`] with the reason where it does not fit; [`CheckpointFailed::Ours`].
    pub fn import(&self, from: &Path) -> Result<Checkpoint, CheckpointFailed> {
        let payload = Checkpoints::read(from).map_err(|error| CheckpointFailed::None(error.to_string()))?;
        let checkpoint = self.judge(&payload)?.map_err(CheckpointFailed::None)?;
        self.files.save(checkpoint.height, &payload, usize::MAX).map_err(ours)?;
        Ok(checkpoint)
    }

    /// The checkpoint of a height, or why it is passed over.
    fn examine(&self, height: Height) -> Result<Result<Checkpoint, String>, CheckpointFailed> {
        match self.files.load(height) {
            Ok(payload) => self.judge(&payload),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    fn judge(&self, payload: &[u8]) -> Result<Result<Checkpoint, String>, CheckpointFailed> {
        let checkpoint = match Checkpoint::decode(payload) {
            Ok(checkpoint) => checkpoint,
            Err(why) => return Ok(Err(why.to_string())),
        };
        let stored = self.canonical(checkpoint.height)?;
        let facts = StoreFacts {
            genesis: self.rules.genesis_id(),
            tip: self.store.head().map_err(ours)?.height,
            at_height: stored.map(|stored| (stored.id, stored.header.state_root)),
        };
        let fits = checkpoint.agrees_with(&facts).map_err(|error| error.to_string());
        let proven = fits.and_then(|()| self.prove(&checkpoint, stored));
        Ok(proven.map(|()| checkpoint))
    }

    /// Whether the quorum that was due has signed it.
    fn prove(&self, checkpoint: &Checkpoint, stored: Option<StoredHeader>) -> Result<(), String> {
        // Genesis has no certificate, and needs none.
        let Some((certificate, stored)) = checkpoint.certificate.as_ref().zip(stored) else { return Ok(()) };
        let required = stored.lineage.required(self.rules.schedule(), stored.header.slot);
        certificate.verify(&self.rules, required).map_err(|error| error.to_string())
    }

    fn federation(&self, stored: &StoredHeader) -> Federation {
        let at = Parent { header: stored.header, lineage: stored.lineage };
        let set = self.rules.schedule().set_at(stored.header.slot).id();
        Federation { set, lineage: at.child(stored.header).lineage }
    }

    fn canonical(&self, height: Height) -> Result<Option<StoredHeader>, CheckpointFailed> {
        match self.store.canonical(height).map_err(ours)? {
            Some(id) => self.store.header(id).map_err(ours),
            None => Ok(None),
        }
    }
}

fn ours(error: impl ToString) -> CheckpointFailed {
    CheckpointFailed::Ours(error.to_string())
}
