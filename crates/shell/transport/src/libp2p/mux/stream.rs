//! One stream of a connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::{AsyncRead, AsyncWrite};

use super::flow::Chunk;
use super::frame::{HEAD_BYTES, Head, Kind};
use super::link::{LARGE_READ, Link, Out};

/// Below this many bytes a frame gets memory of its own: a buffer of the pool would be mostly empty.
const SMALL: usize = 16 << 10;

/// See the module. Dropping it breaks the stream off, unless both sides have finished it.
#[derive(Debug)]
pub(in crate::libp2p) struct MuxStream {
    link: Arc<Link>,
    id: u32,
    chunk: Option<Chunk>,
}

impl MuxStream {
    pub(super) fn new(link: Arc<Link>, id: u32) -> Self {
        Self { link, id, chunk: None }
    }

    /// Copies from the chunk at hand.
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let Some(chunk) = &mut self.chunk else { return 0 };
        let n = (chunk.to - chunk.from).min(buffer.len());
        buffer[..n].copy_from_slice(&chunk.buffer[chunk.from..chunk.from + n]);
        chunk.from += n;
        if chunk.from == chunk.to
            && let Some(chunk) = self.chunk.take()
        {
            self.link.pool.give(chunk.buffer);
        }
        n
    }
}

impl Drop for MuxStream {
    fn drop(&mut self) {
        self.link.forget(self.id);
    }
}

impl AsyncRead for MuxStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut read = self.take(buffer);
        while read < buffer.len() {
            match self.link.poll_receive(cx, self.id, buffer.len() >= LARGE_READ) {
                Poll::Ready(Ok(Some(chunk))) => {
                    self.chunk = Some(chunk);
                    read += self.take(&mut buffer[read..]);
                }
                // What is read counts; the end comes next time.
                _ if read > 0 => break,
                Poll::Ready(end) => return Poll::Ready(end.map(|_| 0)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(read))
    }
}

impl AsyncWrite for MuxStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let (n, flags) = ready!(self.link.poll_send(cx, self.id, bytes.len()))?;
        let length = u32::try_from(n).unwrap_or(u32::MAX);
        let head = Head { kind: Kind::Data, flags, stream: self.id, length };
        let len = HEAD_BYTES + n;
        let mut frame = if n < SMALL { vec![0; len] } else { self.link.pool.take() };
        frame[..HEAD_BYTES].copy_from_slice(&head.encode());
        frame[HEAD_BYTES..len].copy_from_slice(&bytes[..n]);
        self.link.send(Out { stream: self.id, bytes: frame, len });
        Poll::Ready(Ok(n))
    }

    /// What is written is on its way already.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.finish(self.id);
        Poll::Ready(Ok(()))
    }
}
