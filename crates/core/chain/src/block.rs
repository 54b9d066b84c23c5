//! The block: a header and the transactions that it commits to.

use bytes::Bytes;

use crate::header::Header;

/// The transactions of a block as they travel and as they are stored: the SSZ encoding of
/// `List[ByteList[MAX_TRANSACTION_BYTES], MAX_TRANSACTIONS]`, in one allocation. Decoding is late and by reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body(pub Bytes);

/// A header with its body. Whether they belong together is a check, not a promise of this type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What was approved.
    pub header: Header,
    /// What it commits to.
    pub body: Body,
}
