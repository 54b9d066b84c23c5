//! Asking peers, without a way through the NetworkActor's mailbox.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alys_transport::{Answers, Command, Transport, answers};
use alys_wire::{PeerId, Request};

/// How much of an answer may wait unread, in bytes. A reader that is some milliseconds late must not stop a stream of 1 GB/s, and one body of
/// the greatest size must fit; more would only hold memory for each request that is under way.
const WINDOW: usize = 4 << 20;

/// Asks connected peers. Clones share the numbers of requests.
#[derive(Clone)]
pub struct Requests {
    transport: Arc<dyn Transport>,
    next: Arc<AtomicU64>,
}

impl Requests {
    /// A way to ask through this transport. Make one for a transport: each numbers its requests from the first on.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, next: Arc::default() }
    }

    /// Asks a peer. The answer arrives piece by piece and ends exactly once, with its [`Outcome`](alys_transport::Outcome), also where it was not
    /// even sent. Dropping the answers cancels the request; there is no deadline but the caller's patience.
    #[must_use]
    pub fn request(&self, peer: PeerId, request: Request) -> Answers {
        let (sink, reader) = answers(WINDOW);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        // A refused request ends its answers itself, so the caller hears of it there.
        self.transport.send(Command::Request { id, peer, request, answers: sink }).ok();
        reader
    }

    /// Who we are on this network.
    #[must_use]
    pub fn local_peer(&self) -> PeerId {
        self.transport.local_peer()
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Requests({:?})", self.local_peer())
    }
}
