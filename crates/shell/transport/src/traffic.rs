//! How many bytes went over the line, by direction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
struct Counts {
    received: AtomicU64,
    sent: AtomicU64,
}

/// Counters of bytes that only grow. Clones count together.
///
/// Over TCP everything counts that a socket reads and writes once it is being encrypted: blocks, gossip, heads of frames, handshakes. What
/// the kernel adds (40 bytes a packet) and QUIC do not.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<Counts>);

impl Traffic {
    /// Bytes that came in.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    /// Bytes that went out.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn count_received(&self, bytes: usize) {
        self.0.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_sent(&self, bytes: usize) {
        self.0.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
