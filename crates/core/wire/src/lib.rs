//! Untrusted bytes to typed messages and back.
//!
//! - **Decides**: what is well-formed; every size limit stands in [`limits`], with its reason.
//! - **In**: bytes from gossip, from bulk streams, from identify.
//! - **Out**: typed messages, or a [`Malformed`](error) that the sender is to blame for.
//! - **On failure**: returns the error before anything is allocated.
#![forbid(unsafe_code)]

pub mod bulk;
pub mod gossip;
pub mod peer_id;

pub use bulk::{Request, Status};
pub use gossip::Topic;
pub use peer_id::{Address, PeerId};
