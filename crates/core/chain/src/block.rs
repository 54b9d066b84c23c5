//! The block: a header and the transactions that it commits to.
//!
//! - **Owns**: the body's encoding and its root.
//! - **In**: transactions, or the bytes of a body. **Out**: transactions by reference, the root.
//! - **On failure**: [`Invalid`]; nothing is allocated before all offsets are checked.

use std::sync::LazyLock;

use bytes::Bytes;

use crate::error::Invalid;
use crate::header::Header;
use crate::ids::Hash;
use crate::limits::{MAX_BODY_BYTES, MAX_TRANSACTION_BYTES, MAX_TRANSACTIONS};
use crate::sha256::sha256;

/// Separates the root of a body from every other SHA-256 in the system.
const BODY_DOMAIN: &[u8] = b"alys/body/1";
/// The first byte under a leaf and under an inner node (RFC 6962, section 2.1): no leaf can be passed off as a node.
const LEAF: [u8; 1] = [0];
const NODE: [u8; 1] = [1];
const WHAT: &str = "body";
/// The size of an SSZ offset in bytes.
const OFFSET: usize = 4;

/// The transactions of a block as they travel and as they are stored: the SSZ encoding of
/// `List[ByteList[MAX_TRANSACTION_BYTES], MAX_TRANSACTIONS]`, in one allocation. Decoding is late and by reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body(pub Bytes);

impl Body {
    /// Encodes transactions.
    ///
    /// # Errors
    /// [`Invalid`] when a transaction is empty or too large, or when they are too many or too large together.
    pub fn encode<T: AsRef<[u8]>>(transactions: &[T]) -> Result<Self, Invalid> {
        check_count(transactions.len())?;
        let mut size = transactions.len() * OFFSET;
        for transaction in transactions {
            check_transaction(transaction.as_ref().len())?;
            size += transaction.as_ref().len();
        }
        check_size(size)?;
        let mut out = Vec::with_capacity(size);
        let mut offset = transactions.len() * OFFSET;
        for transaction in transactions {
            out.extend_from_slice(&u32::try_from(offset).expect("a body is at most 2 MiB").to_le_bytes());
            offset += transaction.as_ref().len();
        }
        transactions.iter().for_each(|t| out.extend_from_slice(t.as_ref()));
        Ok(Self(out.into()))
    }

    /// The transactions, by reference. Checks all offsets and sizes first, and allocates nothing.
    ///
    /// # Errors
    /// [`Invalid`] when the bytes are no canonical encoding or break a limit.
    pub fn transactions(&self) -> Result<Transactions<'_>, Invalid> {
        Transactions::check(&self.0)
    }

    /// What a header commits to: SHA-256 over a domain tag, the number of transactions (8 bytes, little-endian) and the Merkle tree hash of
    /// RFC 6962 (section 2.1) over them.
    ///
    /// # Errors
    /// As [`Body::transactions`].
    pub fn root(&self) -> Result<Hash, Invalid> {
        let leaves: Vec<[u8; 32]> = self.transactions()?.map(|t| sha256(&[&LEAF, t])).collect();
        Ok(root_over(&leaves))
    }

    /// The root of a body without transactions.
    #[must_use]
    pub fn empty_root() -> Hash {
        static ROOT: LazyLock<Hash> = LazyLock::new(|| root_over(&[]));
        *ROOT
    }
}

/// The transactions of a checked body, in order.
#[derive(Clone, Debug)]
pub struct Transactions<'a> {
    body: &'a [u8],
    next: usize,
    count: usize,
}

impl<'a> Transactions<'a> {
    fn check(body: &'a [u8]) -> Result<Self, Invalid> {
        check_size(body.len())?;
        let mut all = Self { body, next: 0, count: 0 };
        if body.is_empty() {
            return Ok(all);
        }
        let malformed = |why| Err(Invalid::Malformed { what: WHAT, why });
        // The first offset is where the offsets end, and so says how many there are.
        let first = match body.first_chunk::<OFFSET>() {
            Some(bytes) => to_usize(*bytes),
            None => return malformed("cut off within the first offset"),
        };
        if first == 0 || !first.is_multiple_of(OFFSET) || first > body.len() {
            return malformed("the first offset must be the size of the offsets");
        }
        all.count = first / OFFSET;
        check_count(all.count)?;
        for i in 0..all.count {
            let (start, end) = (all.offset(i), all.offset(i + 1));
            if end < start || end > body.len() {
                return malformed("offsets must ascend and stay within the body");
            }
            check_transaction(end - start)?;
        }
        Ok(all)
    }

    /// Where transaction `i` begins, or where the last one ends. `i` is at most the count, so the bytes are there.
    fn offset(&self, i: usize) -> usize {
        self.body[..self.count * OFFSET]
            .chunks_exact(OFFSET)
            .nth(i)
            .map_or(self.body.len(), |b| to_usize([b[0], b[1], b[2], b[3]]))
    }
}

impl<'a> Iterator for Transactions<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.next == self.count {
            return None;
        }
        let transaction = &self.body[self.offset(self.next)..self.offset(self.next + 1)];
        self.next += 1;
        Some(transaction)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count - self.next, Some(self.count - self.next))
    }
}

impl ExactSizeIterator for Transactions<'_> {}

/// A header with its body. Whether they belong together is a check ([`Block::check_body`]), not a promise of this type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What was approved.
    pub header: Header,
    /// What it commits to.
    pub body: Body,
}

impl Block {
    /// Whether the body is well-formed and the one that the header commits to.
    ///
    /// # Errors
    /// [`Invalid`] with the rule that the body breaks, [`Invalid::BodyRoot`] when it is another body.
    pub fn check_body(&self) -> Result<(), Invalid> {
        let got = self.body.root()?;
        if got == self.header.body_root {
            Ok(())
        } else {
            Err(Invalid::BodyRoot { expected: self.header.body_root, got })
        }
    }
}

fn to_usize(bytes: [u8; OFFSET]) -> usize {
    usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
}

fn check_count(got: usize) -> Result<(), Invalid> {
    check_limit("transactions in a body", MAX_TRANSACTIONS, got)
}

fn check_size(got: usize) -> Result<(), Invalid> {
    check_limit("bytes of a body", MAX_BODY_BYTES, got)
}

fn check_transaction(got: usize) -> Result<(), Invalid> {
    if got == 0 {
        return Err(Invalid::Malformed { what: WHAT, why: "a transaction without bytes" });
    }
    check_limit("bytes of a transaction", MAX_TRANSACTION_BYTES, got)
}

fn check_limit(what: &'static str, limit: usize, got: usize) -> Result<(), Invalid> {
    if got > limit { Err(Invalid::TooMany { what, limit, got }) } else { Ok(()) }
}

fn root_over(leaves: &[[u8; 32]]) -> Hash {
    let tree = if leaves.is_empty() { sha256(&[]) } else { tree_hash(leaves) };
    Hash(sha256(&[BODY_DOMAIN, &(leaves.len() as u64).to_le_bytes(), &tree]))
}

/// The tree over at least one leaf: the left part is the greatest power of two below their number. At most 14 levels deep.
fn tree_hash(leaves: &[[u8; 32]]) -> [u8; 32] {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    sha256(&[&NODE, &tree_hash(left), &tree_hash(right)])
}

#[cfg(test)]
mod tests;
