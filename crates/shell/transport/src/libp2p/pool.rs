//! Buffers that go around: what encrypts, multiplexes and reads needs the same size again and again, and a fresh one costs a page fault
//! for each of its pages.
//!
//! - **Owns**: buffers that nobody uses at present, a bounded number, and the credit for large windows.
//! - **In, out**: buffers of one size, initialised, with whatever they held before: the owner keeps track of what is his.
//! - **On failure**: nothing can fail; what does not fit in is freed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The size of a buffer in bytes: what [`FRAME_BYTES`] take encrypted, in four records, and room for a key update.
pub(super) const BUFFER_BYTES: usize = FRAME_BYTES + 512;
/// A whole frame of the multiplexer: four full records of TLS. Larger ones would delay what is urgent behind them and leave the cache
/// between two steps; smaller ones cost wake-ups.
pub(super) const FRAME_BYTES: usize = 64 << 10;
/// How many idle buffers are kept: 8 MiB, what some connections at full speed need together.
const KEPT: usize = 128;
/// The sum of all large windows: sixteen peers that serve us at once. Each is memory that a peer may fill while our reader waits.
const LARGE_WINDOWS_BYTES: usize = 256 << 20;

#[derive(Debug)]
struct Shared {
    idle: Mutex<Vec<Vec<u8>>>,
    credit: AtomicUsize,
}

/// The buffers of all connections of one transport. Clones are the same pool.
#[derive(Clone, Debug)]
pub(super) struct Pool(Arc<Shared>);

impl Pool {
    pub fn new() -> Self {
        Self(Arc::new(Shared { idle: Mutex::default(), credit: AtomicUsize::new(LARGE_WINDOWS_BYTES) }))
    }

    /// A buffer of [`BUFFER_BYTES`]; what it holds means nothing.
    pub fn take(&self) -> Vec<u8> {
        self.idle().pop().unwrap_or_else(|| vec![0; BUFFER_BYTES])
    }

    /// Gives a buffer back. One of another size is freed.
    pub fn give(&self, buffer: Vec<u8>) {
        let mut idle = self.idle();
        if buffer.len() == BUFFER_BYTES && idle.len() < KEPT {
            idle.push(buffer);
        }
    }

    /// Takes credit for a larger window; whether there was enough.
    pub fn borrow(&self, bytes: usize) -> bool {
        let less = |credit: usize| credit.checked_sub(bytes);
        self.0.credit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Returns credit.
    pub fn repay(&self, bytes: usize) {
        self.0.credit.fetch_add(bytes, Ordering::Relaxed);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_go_around_and_few_are_kept() {
        let pool = Pool::new();
        let many: Vec<_> = (0..KEPT + 5).map(|_| pool.take()).collect();
        assert!(many.iter().all(|buffer| buffer.len() == BUFFER_BYTES));
        many.into_iter().for_each(|buffer| pool.give(buffer));
        assert_eq!(pool.idle().len(), KEPT);
        pool.take();
        pool.give(vec![0; 10]);
        assert_eq!(pool.idle().len(), KEPT - 1, "of another size");
    }

    #[test]
    fn credit_ends_and_comes_back() {
        let pool = Pool::new();
        assert!(pool.borrow(LARGE_WINDOWS_BYTES - 10));
        assert!(!pool.borrow(11));
        assert!(pool.borrow(10));
        pool.repay(4);
        assert!(!pool.clone().borrow(5));
        assert!(pool.clone().borrow(4));
    }
}
