//! The network as a trait; libp2p stops here.
//!
//! - **Owns**: connections, gossip, discovery and bulk streams. It decides neither who is good nor what to fetch.
//! - **In**: [`Command`]s, which never block the caller, and a [`BlockSource`] from which peers are served.
//! - **Out**: [`Event`]s through a bounded queue with a written overflow rule; answers to requests through a window of their own each.
//! - **On failure**: every command that can fail ends in an event or an [`Outcome`]; each says whose fault it was.
//!
//! There are two of it, behind one trait and under one contract test suite: real sockets and a seeded simulation.

pub mod answers;
pub mod api;
pub mod config;
pub mod event_queue;
mod expected;
pub mod libp2p;
mod serving;
pub mod simulated;
pub mod source;
mod traffic;

pub use answers::{Answer, AnswerSink, Answers, Fault, Outcome, Violation, answers};
pub use api::{
    Command, DialError, Direction, DisconnectReason, Event, MessageId, Overloaded, Transport, Verdict,
};
pub use config::{Config, ConnectionLimits};
pub use event_queue::{Dropped, Events, Outlet, event_queue};
pub use libp2p::{BadIdentity, Identity, Libp2pTransport, StartError, start};
pub use serving::ServingLimits;
pub use source::{BlockSource, Unavailable};
pub use traffic::Traffic;
