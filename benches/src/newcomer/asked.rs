//! A transport that counts what each peer is asked for, the leases that it gets, whether or not it reads the requests, and notes when that began.
//!
//! - **Owns**: two counts a peer, the time of the first request. **In**: commands, on their way to the transport that is wrapped. **Out**: both.
//! - **On failure**: a command that the transport refuses counts as well; it was meant.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use alys_transport::{Command, Overloaded, Traffic, Transport};
use alys_wire::{PeerId, Request};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Requests to one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Asked {
    /// For ranges of headers.
    pub headers: u64,
    /// For bodies.
    pub bodies: u64,
}

/// What was asked.
#[derive(Debug, Default)]
pub struct Noted {
    /// Of whom how much.
    pub of: BTreeMap<PeerId, Asked>,
    /// When the first request for headers or bodies was made.
    pub since: Option<Instant>,
}

/// What was asked, for whoever wants to see it.
pub type Counts = Arc<Mutex<Noted>>;

/// See the [module](self).
pub struct Counting {
    /// The transport that does the work.
    pub inner: Arc<dyn Transport>,
    /// What was counted.
    pub counts: Counts,
}

impl Transport for Counting {
    fn local_peer(&self) -> PeerId {
        self.inner.local_peer()
    }

    fn send(&self, command: Command) -> Result<(), Overloaded> {
        if let Command::Request { peer, request, .. } = &command {
            let mut noted = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let asked = noted.of.entry(*peer).or_default();
            match request {
                Request::Headers { .. } => asked.headers += 1,
                Request::Bodies { .. } => asked.bodies += 1,
                _ => return self.inner.send(command),
            }
            noted.since.get_or_insert_with(Instant::now);
        }
        self.inner.send(command)
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}
