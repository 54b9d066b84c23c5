//! What the streams of a connection, its driver and its owner share: who may send how much, what waits to be sent, what waits to be read.
//!
//! Everything here takes a short moment under one lock; no byte is copied under it but those of small messages.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use super::flow::{Chunk, Stream, WINDOW};
use super::frame::{ACK, FIN, HEAD_BYTES, Head, Kind, NORMAL, RST, SYN, VIOLATED};
use crate::libp2p::pool::Pool;

/// Who reads into so many bytes at once gets the large window, if there is credit.
pub(super) const LARGE_READ: usize = 256 << 10;
/// How many frames without data may wait to be sent. A peer that makes us answer and does not read is not read either.
const MAX_CONTROL: usize = 1024;

/// Which end we are: clients number their streams oddly, servers evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// We wanted it.
    Ours,
    /// The peer wanted it, or is gone.
    Peers,
    /// The socket broke.
    Broken(io::ErrorKind),
    /// The peer does not keep to the protocol.
    Violated,
}

impl From<End> for io::Error {
    fn from(end: End) -> Self {
        match end {
            End::Ours => io::Error::new(io::ErrorKind::NotConnected, "connection closed"),
            End::Peers => io::Error::new(io::ErrorKind::UnexpectedEof, "connection closed by peer"),
            End::Broken(kind) => kind.into(),
            End::Violated => io::Error::new(io::ErrorKind::InvalidData, "the peer violates yamux"),
        }
    }
}

/// A frame that waits to be sent.
#[derive(Debug)]
pub(super) struct Out {
    pub stream: u32,
    pub bytes: Vec<u8>,
    /// How many of the bytes are the frame.
    pub len: usize,
}

#[derive(Debug)]
struct State {
    next: u32,
    streams: BTreeMap<u32, Stream>,
    accepted: VecDeque<u32>,
    out: VecDeque<Out>,
    control: usize,
    closing: bool,
    end: Option<End>,
    driver: Option<Waker>,
    acceptor: Option<Waker>,
    opener: Option<Waker>,
    owner: Option<Waker>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    side: Side,
    streams: usize,
    pub pool: Pool,
    state: Mutex<State>,
}

/// Those that have something to do; woken when the lock is free.
pub(super) type Wakers = Vec<Waker>;

impl Link {
    pub fn new(side: Side, streams: usize, pool: Pool) -> Arc<Self> {
        let state = State {
            next: if side == Side::Client { 1 } else { 2 },
            streams: BTreeMap::new(),
            accepted: VecDeque::new(),
            out: VecDeque::new(),
            control: 0,
            closing: false,
            end: None,
            driver: None,
            acceptor: None,
            opener: None,
            owner: None,
        };
        Arc::new(Self { side, streams, pool, state: Mutex::new(state) })
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Acts, and wakes the driver if it has something to send now.
    fn act<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let (done, driver) = self.with(|state| {
            let done = act(state);
            (done, if state.out.is_empty() { None } else { state.driver.take() })
        });
        driver.into_iter().for_each(Waker::wake);
        done
    }

    // What the owner does.

    pub fn poll_accept(&self, cx: &Context<'_>) -> Poll<io::Result<u32>> {
        self.with(|state| match (state.accepted.pop_front(), state.end) {
            (Some(id), _) => Poll::Ready(Ok(id)),
            (None, Some(end)) => Poll::Ready(Err(end.into())),
            (None, None) => {
                state.acceptor = Some(cx.waker().clone());
                Poll::Pending
            }
        })
    }

    pub fn poll_open(&self, cx: &Context<'_>) -> Poll<io::Result<u32>> {
        self.with(|state| {
            if let Some(end) = state.end {
                return Poll::Ready(Err(end.into()));
            }
            if state.streams.len() >= self.streams {
                state.opener = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let id = state.next;
            let Some(next) = id.checked_add(2) else {
                return Poll::Ready(Err(io::Error::other("no stream numbers left")));
            };
            state.next = next;
            state.streams.insert(id, Stream::new(SYN));
            Poll::Ready(Ok(id))
        })
    }

    /// Ready when everything is sent, and the socket closed.
    pub fn poll_close(&self, cx: &Context<'_>) -> Poll<()> {
        let (over, driver) = self.with(|state| {
            state.closing = true;
            state.owner = Some(cx.waker().clone());
            (state.end.is_some(), state.driver.take())
        });
        driver.into_iter().for_each(Waker::wake);
        if over { Poll::Ready(()) } else { Poll::Pending }
    }

    pub fn poll_end(&self, cx: &Context<'_>) -> Poll<End> {
        self.with(|state| {
            state.owner = Some(cx.waker().clone());
            state.end.map_or(Poll::Pending, Poll::Ready)
        })
    }

    /// The connection is over; the first reason counts.
    pub fn end(&self, end: End) {
        let wakers = self.with(|state| {
            state.end.get_or_insert(end);
            state.out.clear();
            let streams = state.streams.values_mut().flat_map(|s| [s.reader.take(), s.writer.take()]);
            let mut wakers: Wakers = streams.flatten().collect();
            let waiting = [&mut state.driver, &mut state.acceptor, &mut state.opener, &mut state.owner];
            wakers.extend(waiting.into_iter().filter_map(Option::take));
            wakers
        });
        wakers.into_iter().for_each(Waker::wake);
    }

    // What a stream does.

    /// How many bytes may be written now; they are counted as sent. And the flag that goes with them.
    pub fn poll_send(&self, cx: &Context<'_>, id: u32, wanted: usize) -> Poll<io::Result<(usize, u16)>> {
        self.with(|state| {
            let stream = state.writable(id)?;
            let room = stream.reserve(wanted);
            if room.is_none() {
                stream.writer = Some(cx.waker().clone());
            }
            room.map_or(Poll::Pending, |room| Poll::Ready(Ok(room)))
        })
    }

    /// Puts a frame of data in the queue.
    pub fn send(&self, out: Out) {
        self.act(|state| {
            if state.end.is_none() {
                state.out.push_back(out);
            }
        });
    }

    /// Says that nothing more goes.
    pub fn finish(&self, id: u32) {
        self.act(|state| {
            let Some(stream) = state.streams.get_mut(&id).filter(|stream| !stream.closed) else { return };
            stream.closed = true;
            let flags = FIN | core::mem::take(&mut stream.first);
            state.control(Head { kind: Kind::Data, flags, stream: id, length: 0 });
        });
    }

    /// The next bytes of a stream; none are its end. `large` says that the reader has room for a large window.
    pub fn poll_receive(&self, cx: &Context<'_>, id: u32, large: bool) -> Poll<io::Result<Option<Chunk>>> {
        self.act(|state| {
            let end = state.end;
            let Some(stream) = state.streams.get_mut(&id) else { return Poll::Ready(Ok(None)) };
            let grown = if large { stream.grow(&self.pool) } else { 0 };
            let chunk = stream.inbox.pop_front();
            let read = chunk.as_ref().map_or(0, |chunk| chunk.to - chunk.from);
            let update = stream.read(u32::try_from(read).unwrap_or(u32::MAX), grown);
            let answer = match (chunk, end) {
                (Some(chunk), _) => Poll::Ready(Ok(Some(chunk))),
                (None, _) if stream.reset => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                (None, _) if stream.finished => Poll::Ready(Ok(None)),
                (None, Some(end)) => Poll::Ready(Err(end.into())),
                (None, None) => {
                    stream.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
            if let Some((flags, length)) = update.filter(|_| end.is_none()) {
                state.control(Head { kind: Kind::Window, flags, stream: id, length });
            }
            answer
        })
    }

    /// Nobody holds the stream any more.
    pub fn forget(&self, id: u32) {
        let opener = self.act(|state| {
            let stream = state.streams.remove(&id)?;
            self.pool.repay((stream.window - WINDOW) as usize);
            if let Some(flags) = stream.parting().filter(|_| state.end.is_none()) {
                state.control(Head { kind: Kind::Data, flags, stream: id, length: 0 });
            }
            state.opener.take()
        });
        opener.into_iter().for_each(Waker::wake);
    }

    // What the driver does.

    /// Takes the next frame to send, and says that another one is sent. Without any the driver is woken when there is one.
    pub fn next_out(&self, cx: &Context<'_>, sent: Option<Out>, wakers: &mut Wakers) -> Option<Out> {
        let (next, buffer) = self.with(|state| {
            let buffer = sent.map(|out| state.sent(out, wakers));
            let next = state.out.pop_front();
            if next.is_none() {
                state.driver = Some(cx.waker().clone());
            }
            (next, buffer)
        });
        buffer.into_iter().for_each(|buffer| self.pool.give(buffer));
        next
    }

    /// Whether the driver shall close the socket, once everything is sent.
    pub fn is_closing(&self) -> bool {
        self.with(|state| state.closing && state.out.is_empty())
    }

    /// Whether more may be read from the peer: not while it makes us answer and does not take the answers.
    pub fn may_read(&self) -> bool {
        self.with(|state| state.control < MAX_CONTROL)
    }

    /// Heeds a head. How many bytes of data follow, and whether anybody wants them.
    pub fn heed(&self, head: Head, wakers: &mut Wakers) -> Result<(usize, bool), End> {
        self.with(|state| {
            let following = match head.kind {
                Kind::Ping => {
                    if head.has(SYN) {
                        state.control(Head { flags: ACK, ..head });
                    }
                    (0, false)
                }
                Kind::GoAway => return Err(End::Peers),
                Kind::Data | Kind::Window => {
                    if head.has(SYN) {
                        self.accept(state, head.stream, wakers)?;
                    }
                    state.heed(head, wakers)?
                }
            };
            if !state.out.is_empty() {
                // The driver itself found something to send.
                wakers.extend(state.driver.take());
            }
            Ok(following)
        })
    }

    fn accept(&self, state: &mut State, id: u32, wakers: &mut Wakers) -> Result<(), End> {
        let odd = id % 2 == 1;
        if odd != (self.side == Side::Server) || id == 0 || state.streams.contains_key(&id) {
            return Err(End::Violated);
        }
        if state.streams.len() >= self.streams {
            state.control(Head { kind: Kind::Data, flags: RST, stream: id, length: 0 });
            return Ok(());
        }
        state.streams.insert(id, Stream::new(ACK));
        state.accepted.push_back(id);
        wakers.extend(state.acceptor.take());
        Ok(())
    }

    /// Hands bytes to a stream; the buffer comes back if it was copied from.
    pub fn deliver(&self, id: u32, buffer: Vec<u8>, len: usize, wakers: &mut Wakers) -> Option<Vec<u8>> {
        self.with(|state| {
            let Some(stream) = state.streams.get_mut(&id) else { return Some(buffer) };
            wakers.extend(stream.reader.take());
            stream.take_in(buffer, len)
        })
    }

    /// Notes the flags of a frame whose data is delivered.
    pub fn delivered(&self, head: Head, wakers: &mut Wakers) {
        self.with(|state| state.flags(head, wakers));
    }

    /// The last frame, if the peer is to be told why.
    pub fn farewell(end: Result<(), End>) -> Option<[u8; HEAD_BYTES]> {
        let length = match end {
            Ok(()) => NORMAL,
            Err(End::Violated) => VIOLATED,
            Err(_) => return None,
        };
        Some(Head { kind: Kind::GoAway, flags: 0, stream: 0, length }.encode())
    }
}

impl State {
    fn control(&mut self, head: Head) {
        self.control += 1;
        self.out.push_back(Out { stream: 0, bytes: head.encode().to_vec(), len: HEAD_BYTES });
    }

    fn writable(&mut self, id: u32) -> io::Result<&mut Stream> {
        if let Some(end) = self.end {
            return Err(end.into());
        }
        match self.streams.get_mut(&id) {
            Some(stream) if !stream.reset && !stream.closed => Ok(stream),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Counts a frame as sent; its buffer.
    fn sent(&mut self, out: Out, wakers: &mut Wakers) -> Vec<u8> {
        if out.stream == 0 {
            self.control = self.control.saturating_sub(1);
        } else if let Some(stream) = self.streams.get_mut(&out.stream) {
            wakers.extend(stream.sent(out.len));
        }
        out.bytes
    }

    fn heed(&mut self, head: Head, wakers: &mut Wakers) -> Result<(usize, bool), End> {
        let length = usize::try_from(head.length).unwrap_or(usize::MAX);
        let following = if head.kind == Kind::Data { length } else { 0 };
        // It may have ended here while this was on its way.
        let Some(stream) = self.streams.get_mut(&head.stream) else { return Ok((following, false)) };
        if head.kind == Kind::Window {
            stream.may_send = stream.may_send.saturating_add(head.length.into());
            wakers.extend(stream.writer.take());
        } else {
            stream.may_come = stream.may_come.checked_sub(head.length).ok_or(End::Violated)?;
        }
        if following == 0 {
            self.flags(head, wakers);
        }
        Ok((following, true))
    }

    fn flags(&mut self, head: Head, wakers: &mut Wakers) {
        let Some(stream) = self.streams.get_mut(&head.stream) else { return };
        stream.finished |= head.has(FIN);
        stream.reset |= head.has(RST);
        if head.flags & (FIN | RST) != 0 {
            wakers.extend(stream.reader.take());
        }
        if head.has(RST) {
            wakers.extend(stream.writer.take());
        }
    }
}
