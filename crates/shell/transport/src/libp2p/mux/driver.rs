//! The task that moves bytes between the socket and the streams.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use futures::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::flow::PAYLOAD_BYTES;
use super::frame::{HEAD_BYTES, Head};
use super::link::{End, Link, Out, Wakers};
use crate::libp2p::pool::BUFFER_BYTES;

/// How many pieces are read before those that wait for them are woken, and what waits is sent: a MiB or so.
const BURST: usize = 32;

/// Data that is on its way to a stream.
struct Body {
    head: Head,
    left: usize,
    wanted: bool,
}

struct Driver<C> {
    socket: C,
    link: Arc<Link>,
    /// The frame that is being sent, and how much of it is.
    sending: Option<(Out, usize)>,
    unflushed: bool,
    head: [u8; HEAD_BYTES],
    head_len: usize,
    body: Option<Body>,
    /// What of the body has come and is not delivered.
    buffer: Vec<u8>,
    filled: usize,
    wakers: Wakers,
}

/// Drives the connection until it ends, and tells everybody.
pub(super) async fn run<C: AsyncRead + AsyncWrite + Unpin>(socket: C, link: Arc<Link>) {
    let mut driver = Driver {
        socket,
        link: link.clone(),
        sending: None,
        unflushed: false,
        head: [0; HEAD_BYTES],
        head_len: 0,
        body: None,
        buffer: Vec::new(),
        filled: 0,
        wakers: Wakers::new(),
    };
    let end = poll_fn(|cx| driver.poll(cx)).await;
    if let Err(end) = end {
        // Nobody waits for a farewell to a peer that may not even be there.
        link.end(end);
    }
    driver.farewell(end).await;
    link.end(End::Ours);
}

fn broken(error: &io::Error) -> End {
    End::Broken(error.kind())
}

impl<C: AsyncRead + AsyncWrite + Unpin> Driver<C> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        loop {
            let sent = self.poll_send(cx).map_err(|error| broken(&error))?;
            let received = self.poll_receive(cx);
            self.wakers.drain(..).for_each(Waker::wake);
            if received?.is_pending() {
                let all_sent = sent.is_ready() && self.sending.is_none() && !self.unflushed;
                if all_sent && self.link.is_closing() {
                    return Poll::Ready(Ok(()));
                }
                return Poll::Pending;
            }
        }
    }

    /// Sends what waits; ready when nothing does.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut sent = None;
        loop {
            if self.sending.is_none() {
                self.sending = self.link.next_out(cx, sent.take(), &mut self.wakers).map(|out| (out, 0));
            }
            let Some((out, done)) = &mut self.sending else { break };
            match ready!(Pin::new(&mut self.socket).poll_write(cx, &out.bytes[*done..out.len]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => *done += n,
            }
            self.unflushed = true;
            if *done == out.len {
                sent = self.sending.take().map(|(out, _)| out);
            }
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads for a while; pending when there is nothing to read.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        for _ in 0..BURST {
            if !self.link.may_read() {
                return Ok(Poll::Pending);
            }
            let read = match &self.body {
                None => self.poll_head(cx)?,
                Some(_) => self.poll_body(cx)?,
            };
            if read.is_pending() {
                // What is here is not kept back for what is not.
                self.deliver();
                self.give_back();
                return Ok(Poll::Pending);
            }
        }
        Ok(Poll::Ready(()))
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        while self.head_len < HEAD_BYTES {
            let room = &mut self.head[self.head_len..];
            match Pin::new(&mut self.socket).poll_read(cx, room).map_err(|error| broken(&error))? {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(0) => return Err(End::Peers),
                Poll::Ready(n) => self.head_len += n,
            }
        }
        self.head_len = 0;
        let head = Head::decode(self.head).ok_or(End::Violated)?;
        let (left, wanted) = self.link.heed(head, &mut self.wakers)?;
        if left > 0 {
            self.body = Some(Body { head, left, wanted });
        }
        Ok(Poll::Ready(()))
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        let Some(body) = &mut self.body else { return Ok(Poll::Ready(())) };
        if self.buffer.is_empty() {
            self.buffer = self.link.pool.take();
        }
        // A whole frame of ours fits into a buffer; a longer one comes in several.
        let to = PAYLOAD_BYTES.min(self.filled + body.left).min(BUFFER_BYTES);
        let room = &mut self.buffer[self.filled..to];
        match Pin::new(&mut self.socket).poll_read(cx, room).map_err(|error| broken(&error))? {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(0) => return Err(End::Peers),
            Poll::Ready(n) => {
                self.filled += n;
                body.left -= n;
            }
        }
        if body.left == 0 || self.filled == PAYLOAD_BYTES {
            self.deliver();
        }
        if let Some(body) = self.body.take_if(|body| body.left == 0) {
            self.link.delivered(body.head, &mut self.wakers);
        }
        Ok(Poll::Ready(()))
    }

    /// Hands over what has come of the body.
    fn deliver(&mut self) {
        let Some(body) = &self.body else { return };
        if self.filled == 0 {
            return;
        }
        let filled = core::mem::take(&mut self.filled);
        if body.wanted {
            let buffer = core::mem::take(&mut self.buffer);
            let back = self.link.deliver(body.head.stream, buffer, filled, &mut self.wakers);
            self.buffer = back.unwrap_or_default();
        }
    }

    /// Gives the buffer back while there is nothing to read.
    fn give_back(&mut self) {
        if !self.buffer.is_empty() {
            self.link.pool.give(core::mem::take(&mut self.buffer));
        }
    }

    /// Says goodbye, where it makes sense, and closes the socket. Between two frames only: inside of one the peer would read it as data.
    async fn farewell(&mut self, end: Result<(), End>) {
        if let Some(last) = Link::farewell(end).filter(|_| self.sending.is_none()) {
            let _ = self.socket.write_all(&last).await;
        }
        let _ = self.socket.close().await;
    }
}
