//! One stream of a connection: what it may send and receive, and what waits to be read.
//!
//! Only [`Link`](super::link::Link) holds one, under its lock.

use std::collections::VecDeque;
use std::task::Waker;

use super::frame::{FIN, HEAD_BYTES, RST, SYN};
use crate::libp2p::pool::{FRAME_BYTES, Pool};

/// What a stream may receive from its beginning: given by the specification.
pub(super) const WINDOW: u32 = 256 << 10;
/// What a stream may receive whose reader has room. At 100 ms of round trip 16 MiB are 160 MB/s; more would wait in memory, as nobody can
/// ask for more at once.
const LARGE_WINDOW: u32 = 16 << 20;
/// What a stream may have waiting to be sent: enough that encryption and the stream's own work go on beside each other.
const QUEUED: usize = 4 * FRAME_BYTES;
/// The bytes of a stream in one frame.
pub(super) const PAYLOAD_BYTES: usize = FRAME_BYTES - HEAD_BYTES;
/// How many bytes of small pieces are collected in one buffer, at most: otherwise each byte of a window could cost us an allocation.
const COLLECTED: usize = 32 << 10;

/// Bytes that wait to be read.
#[derive(Debug)]
pub(super) struct Chunk {
    pub buffer: Vec<u8>,
    pub from: usize,
    pub to: usize,
    /// Whether further bytes may be appended: it is no buffer of the pool.
    open: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub may_send: u64,
    pub queued: usize,
    /// What the peer may still send.
    pub may_come: u32,
    /// What it may send at most when everything is read.
    pub window: u32,
    /// Read, and not yet given back to the peer.
    pub consumed: u32,
    pub inbox: VecDeque<Chunk>,
    /// The flag that our next frame carries: the first one says that it is the first.
    pub first: u16,
    /// Nothing more comes.
    pub finished: bool,
    /// Nothing more goes.
    pub closed: bool,
    pub reset: bool,
    pub reader: Option<Waker>,
    pub writer: Option<Waker>,
}

impl Stream {
    pub fn new(first: u16) -> Self {
        Self { may_send: WINDOW.into(), may_come: WINDOW, window: WINDOW, first, ..Self::default() }
    }

    /// Takes the large window if there is credit; by how much it grew.
    pub fn grow(&mut self, pool: &Pool) -> u32 {
        let more = LARGE_WINDOW - self.window;
        if more == 0 || self.finished || self.reset || !pool.borrow(more as usize) {
            return 0;
        }
        self.window = LARGE_WINDOW;
        more
    }

    /// How many bytes may be written now; they are counted as sent. And the flag that goes with them.
    pub fn reserve(&mut self, wanted: usize) -> Option<(usize, u16)> {
        if self.may_send == 0 || self.queued >= QUEUED {
            return None;
        }
        let window = usize::try_from(self.may_send).unwrap_or(usize::MAX);
        let n = wanted.min(PAYLOAD_BYTES).min(window);
        self.may_send -= n as u64;
        self.queued += n + HEAD_BYTES;
        Some((n, core::mem::take(&mut self.first)))
    }

    /// A frame of so many bytes has left the queue. The writer, if it may go on.
    pub fn sent(&mut self, len: usize) -> Option<Waker> {
        self.queued = self.queued.saturating_sub(len);
        if self.queued <= QUEUED / 2 && self.may_send > 0 { self.writer.take() } else { None }
    }

    /// The flags of the last frame, when nobody holds the stream any more; none if the peer needs no farewell, because it had one or never heard of
    /// the stream.
    pub fn parting(&self) -> Option<u16> {
        let flags = if self.finished { FIN } else { RST };
        let unheard = self.first == SYN;
        (!self.closed && !self.reset && !unheard).then_some(flags | self.first)
    }

    /// Takes what has come; the buffer comes back if it was copied from.
    pub fn take_in(&mut self, buffer: Vec<u8>, len: usize) -> Option<Vec<u8>> {
        if len >= COLLECTED {
            self.inbox.push_back(Chunk { buffer, from: 0, to: len, open: false });
            return None;
        }
        self.collect(&buffer[..len]);
        Some(buffer)
    }

    /// Notes what was read. The flags and length of the window update that is due, if one is.
    pub fn read(&mut self, bytes: u32, grown: u32) -> Option<(u16, u32)> {
        self.consumed = self.consumed.saturating_add(bytes);
        if self.finished || self.reset || (grown == 0 && self.consumed < self.window / 2) {
            return None;
        }
        let length = core::mem::take(&mut self.consumed).saturating_add(grown);
        self.may_come = self.may_come.saturating_add(length);
        Some((core::mem::take(&mut self.first), length))
    }

    fn collect(&mut self, bytes: &[u8]) {
        match self.inbox.back_mut() {
            Some(last) if last.open && last.to + bytes.len() <= COLLECTED => {
                last.buffer.extend_from_slice(bytes);
                last.to = last.buffer.len();
            }
            _ => {
                let (buffer, to) = (bytes.to_vec(), bytes.len());
                self.inbox.push_back(Chunk { buffer, from: 0, to, open: true });
            }
        }
    }
}
