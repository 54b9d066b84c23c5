//! Why bytes are no message. Always the fault of who sent them: every check depends on the bytes alone.

use alys_chain::Invalid;
use thiserror::Error;

/// Bytes that no correct node of this version sends. Each variant names what was being read, the limit and the value found.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// More bytes than the limit.
    #[error("{what} is {got} bytes long, the limit is {limit}")]
    TooLong {
        /// What was being read.
        what: &'static str,
        /// The most that is allowed, in bytes.
        limit: usize,
        /// What was announced or received, in bytes.
        got: usize,
    },
    /// The bytes end inside a value.
    #[error("{what} ends after {got} bytes, {needed} are needed")]
    TooShort {
        /// What was being read.
        what: &'static str,
        /// The least that is needed, in bytes.
        needed: usize,
        /// What there was, in bytes.
        got: usize,
    },
    /// More items than the limit.
    #[error("{what} are {got}, the limit is {limit}")]
    TooMany {
        /// What was being counted.
        what: &'static str,
        /// The most that is allowed.
        limit: usize,
        /// What was asked for.
        got: usize,
    },
    /// Nothing where at least one is needed.
    #[error("{what} is empty")]
    Empty {
        /// What was being read.
        what: &'static str,
    },
    /// Bytes behind the end of the value.
    #[error("{what} has {extra} bytes behind its end")]
    Trailing {
        /// What was being read.
        what: &'static str,
        /// How many too many.
        extra: usize,
    },
    /// A version that this node does not speak.
    #[error("version {got} of a message, this node speaks {expected}")]
    Version {
        /// The version spoken here.
        expected: u8,
        /// The version found.
        got: u8,
    },
    /// A type, selector or reason byte without a meaning.
    #[error("{what} {got} does not exist")]
    Unknown {
        /// Which byte.
        what: &'static str,
        /// Its value.
        got: u8,
    },
    /// An SSZ offset that is not where the encoding puts it: the first at the end of the fixed part, each next one not before it, none
    /// behind the end.
    #[error("an offset in {what} is {got}, it must be from {least} to {most}")]
    Offset {
        /// What was being read.
        what: &'static str,
        /// The least value that it may have.
        least: usize,
        /// The greatest.
        most: usize,
        /// The value found.
        got: usize,
    },
    /// A header, certificate or approval that has another length or no canonical encoding.
    #[error(transparent)]
    Chain(#[from] Invalid),
}
