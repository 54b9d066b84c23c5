//! What a valid chain is.
//!
//! - **Decides**: whether a header, an approval, a certificate or a block is valid; who may propose and approve; what is
//!   certified, what is final, which block is the head.
//! - **In**: typed values (bytes are decoded here only for the fixed-size chain types), the time, randomness.
//! - **Out**: verdicts as types. [`Invalid`] is provable from the bytes that a peer served.
//! - **On failure**: returns the error; nothing here panics on a value from outside, nothing here does IO.
#![forbid(unsafe_code)]

pub mod approval;
pub mod batch;
pub mod block;
mod block_ref;
pub mod bls;
pub mod certificate;
pub mod checkpoint;
pub mod claim;
pub mod consensus;
pub mod error;
pub mod finality;
#[cfg(test)]
mod fixture;
pub mod genesis;
pub mod header;
mod hex_serde;
pub mod ids;
pub mod limits;
pub mod lineage;
mod read;
pub mod report;
pub mod rules;
pub mod schedule;
mod sha256;
pub mod time;
pub mod verify;

pub use approval::{Counted, Tally};
pub use block::{Block, Body, Transactions};
pub use block_ref::BlockRef;
pub use bls::{PossessionProof, PublicKey, SecretKey, Signature};
pub use certificate::{Approval, Certificate, CertifiedBlock, CertifiedHeader, SetQuorum};
pub use claim::{Claim, Parties};
pub use error::{ClaimError, Early, Invalid};
pub use finality::{FinalityProof, ProofFault, ProvenFinal};
pub use genesis::{Account, Amount, Genesis};
pub use header::Header;
pub use ids::{AuthorityIndex, BlockId, Hash, Height, HeightRange, SetId, Slot};
pub use lineage::{Lineage, Required};
pub use report::{Best, Report};
pub use rules::{Rules, SigningDomain};
pub use schedule::{Authority, AuthoritySet, Period, Quorum, Schedule, Seat};
pub use sha256::sha256;
pub use time::{Moment, UnixMillis};
pub use verify::{Linked, Parent, RangeFault, Verified};
