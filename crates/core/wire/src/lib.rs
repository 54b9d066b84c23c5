//! Untrusted bytes to typed messages and back.
//!
//! - **Decides**: what is well-formed; every size limit stands in [`limits`], with its reason.
//! - **In**: bytes from gossip, from bulk streams, from identify; addresses and names from settings.
//! - **Out**: typed messages, or a [`Malformed`] that the sender is to blame for. What decodes has no other encoding.
//! - **On failure**: returns the error before anything is allocated.
#![forbid(unsafe_code)]

mod address;
pub mod bulk;
pub mod gossip;
pub mod limits;
mod malformed;
mod peer_id;
pub mod protocol;
mod ssz;

pub use address::{Address, AddressError, IpPrefix, TransportKind};
pub use bulk::{
    Frame, FrameDecoder, FrameKind, Refusal, Request, RequestFrame, RequestId, Response, ResponseFrame,
    RetryAfter, Status,
};
pub use gossip::{GossipMessage, Proposal, Topic, message_id};
pub use malformed::Malformed;
pub use peer_id::{PeerId, PeerIdError};
