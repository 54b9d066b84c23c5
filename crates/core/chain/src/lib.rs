//! What a valid chain is.
//!
//! - **Decides**: whether a header, an approval, a certificate or a block is valid; who may propose and approve; what is
//!   certified, what is final, which block is the head.
//! - **In**: typed values (bytes are decoded here only for the fixed-size chain types), the time, randomness.
//! - **Out**: verdicts as types. [`Invalid`](error::Invalid) is provable from the bytes that a peer served.
//! - **On failure**: returns the error; nothing here panics on a value from outside, nothing here does IO.
#![forbid(unsafe_code)]

pub mod block;
pub mod certificate;
pub mod header;
pub mod ids;
pub mod time;

pub use block::{Block, Body};
pub use certificate::{Approval, Certificate, CertifiedBlock, CertifiedHeader, SetQuorum};
pub use header::Header;
pub use ids::{AuthorityIndex, BlockId, Hash, Height, HeightRange, SetId, Slot};
pub use time::{Moment, UnixMillis};
