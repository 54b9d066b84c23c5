//! Questions, answered from the store.

use alys_chain::HeightRange;
use alys_storage::{Store, StoreError, StoredHeader};

use super::answers::{ReadError, StoredBlock};
use super::ingress::{At, MAX_RANGE_BLOCKS};

/// A range ends with the block that passes this: four of the largest, so that an answer stays small beside the memory budget.
const MAX_RANGE_BYTES: usize = 8 << 20;

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

/// The block that is meant. One whose body is not held is an error: an empty body would be another block.
pub fn block(store: &dyn Store, at: At) -> Result<Option<StoredBlock>, ReadError> {
    let Some(StoredHeader { id, header, certificate, .. }) = self::header(store, at)? else {
        return Ok(None);
    };
    match store.body(id)? {
        Some(body) => Ok(Some(StoredBlock { id, header, certificate, body })),
        None => Err(ReadError::NotHeld { height: header.height, earliest: store.earliest()? }),
    }
}

/// The header of the block that is meant, whether its body is held or not.
pub fn header(store: &dyn Store, at: At) -> Result<Option<StoredHeader>, ReadError> {
    let id = match at {
        At::Id(id) => Some(id),
        At::Height(height) => store.canonical(height)?,
        At::Head => Some(store.head()?.id),
        At::Final => Some(store.finalized()?.id),
    };
    Ok(id.map(|id| store.header(id)).transpose()?.flatten())
}

/// The blocks of the canonical chain in a range, as far as the limits go.
pub fn range(store: &dyn Store, range: HeightRange) -> Result<Vec<StoredBlock>, ReadError> {
    let (mut blocks, mut bytes) = (Vec::new(), 0usize);
    let mut height = range.start;
    while range.contains(height) && blocks.len() < MAX_RANGE_BLOCKS && bytes < MAX_RANGE_BYTES {
        let Some(found) = block(store, At::Height(height))? else { break };
        bytes = bytes.saturating_add(found.body.0.len());
        blocks.push(found);
        height = height.saturating_add(1);
    }
    Ok(blocks)
}
