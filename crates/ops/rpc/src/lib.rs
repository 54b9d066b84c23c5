//! The node's JSON-RPC: what it tells of itself, and the few things that can be asked of it.
//!
//! - **Owns**: the names of the methods and the shapes of their answers ([`status`], [`api`]); programs rely on both.
//! - **In**: HTTP and WebSocket requests, bounded in size and number. **Out**: what a [`NodeView`] says; nothing is computed or kept here.
//! - **On failure**: a JSON-RPC error with a code and a sentence; a node that cannot answer now says so and is not restarted for it.
#![forbid(unsafe_code)]

pub mod api;
mod client;
mod server;
pub mod status;
mod view;

pub use client::{Client, ClientError};
pub use server::{Server, ServerError};
pub use view::{NodeView, Refusal};
