//! How to catch up: skeleton, bodies, verify, import.
//!
//! - **Decides**: what is asked of whom and until when, what is verified and imported next, when this node is synced, and whether
//!   it may produce.
//! - **In**: [`Event`]s: commands, what peers and the chain did, ticks. Time is passed in.
//! - **Out**: [`Action`]s for the shell; [`SyncStatus`], [`GateReport`] and [`Explain`] on demand.
//! - **On failure**: every failure is a peer's, the moment's or ours, by type ([`Fault`]). A range that was not served goes
//!   back to what is missing, an import that failed is tried again, and nothing is ever rolled back.
//!
//! What is missing is computed from the durable tip, the skeleton, and what is in flight or held. There is no download
//! cursor, so there is none that can be wrong.
#![forbid(unsafe_code)]

mod account;
pub mod action;
pub mod advice;
mod authorities;
pub mod blame;
#[cfg(test)]
#[path = "../tests/blocks/mod.rs"]
mod blocks;
mod bodies;
mod brief;
mod budget;
pub mod event;
pub mod explain;
pub mod gaps;
pub mod gate;
pub mod gate_watch;
pub mod hedge;
mod import;
mod lease;
pub mod limit;
mod link;
mod machine;
pub mod mode;
pub mod partition;
mod peers;
mod rate;
mod recorder;
pub mod report;
mod scheduler;
mod skeleton;
pub mod snapshot;
pub mod status;
mod target;
pub mod terms;
pub mod tip;

pub use account::Spent;
pub use action::Action;
pub use advice::Recommendation;
pub use alys_peers::{Observation, Offence};
pub use blame::Fault;
pub use event::{
    ArrivedBody, BatchId, Event, HeaderVerdict, ImportFailure, ImportTook, LeaseEnd, LeaseId, Start,
};
pub use explain::Explain;
pub use gaps::HeightRanges;
pub use gate::{Condition, ConditionName, Evidence, Federation, GateReport};
pub use gate_watch::Crossing;
pub use hedge::Hedged;
pub use limit::Limit;
pub use machine::{Config, SyncMachine};
pub use mode::Mode;
pub use partition::{HeadGroup, PartitionView, Side};
pub use recorder::Entry;
pub use report::{Proof, Report};
pub use scheduler::Batch;
pub use status::{SyncStatus, WaitingFor};
pub use terms::Terms;
pub use tip::Tip;
