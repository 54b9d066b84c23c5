//! A TLS session over a socket, as a stream of plaintext.
//!
//! Ciphertext is read into one buffer and decrypted record by record; plaintext is encrypted a frame at a time into another, which goes out
//! in one system call. Both belong to the pool and are held while there is something in them: an idle connection holds none.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::{AsyncRead, AsyncWrite};
use rustls::pki_types::CertificateDer;

use super::session::{Session, Step, Work};
use crate::libp2p::pool::{BUFFER_BYTES, FRAME_BYTES, Pool};

/// What one record may take on the wire.
const RECORD_BYTES: usize = 5 + (16 << 10) + 256;
/// Encrypted bytes that wait for a flush before they are sent without one: below that, small messages leave together.
const SEND_AT: usize = FRAME_BYTES / 2;

/// A buffer of the pool that is partly filled.
#[derive(Debug, Default)]
struct Span {
    buffer: Vec<u8>,
    from: usize,
    to: usize,
}

impl Span {
    fn is_empty(&self) -> bool {
        self.from == self.to
    }

    fn filled(&mut self) -> &mut [u8] {
        &mut self.buffer[self.from..self.to]
    }

    fn room(&mut self, pool: &Pool) -> &mut [u8] {
        if self.buffer.is_empty() {
            self.buffer = pool.take();
        }
        &mut self.buffer[self.to..]
    }

    /// Moves what is left to the front, if there is less room than that behind it.
    fn make_room(&mut self, bytes: usize) {
        if self.buffer.len() - self.to < bytes && self.from > 0 {
            self.buffer.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
    }

    fn take(&mut self, bytes: usize) {
        self.from += bytes;
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        }
    }

    fn release(&mut self, pool: &Pool) {
        if self.is_empty() && !self.buffer.is_empty() {
            pool.give(core::mem::take(&mut self.buffer));
        }
    }
}

/// See the module.
pub(in crate::libp2p) struct TlsStream<C> {
    socket: C,
    session: Session,
    pool: Pool,
    incoming: Span,
    outgoing: Span,
    /// Decrypted, and read up to `read`.
    plain: Vec<u8>,
    read: usize,
    ended: bool,
    closing: bool,
}

impl<C: AsyncRead + AsyncWrite + Unpin> TlsStream<C> {
    pub(super) fn new(socket: C, session: Session, pool: Pool) -> Self {
        let (incoming, outgoing) = (Span::default(), Span::default());
        Self {
            socket,
            session,
            pool,
            incoming,
            outgoing,
            plain: Vec::new(),
            read: 0,
            ended: false,
            closing: false,
        }
    }

    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        self.session.certificates()
    }

    #[cfg(test)]
    pub(super) fn cipher(&self) -> Option<rustls::CipherSuite> {
        self.session.cipher()
    }

    pub(super) async fn handshake(&mut self) -> io::Result<()> {
        core::future::poll_fn(|cx| self.poll_handshake(cx)).await
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let step = self.step(&mut [], &[]);
            if step.is_err() {
                // What is wrong stands in an alert, which the peer may still get.
                let _ = self.step(&mut [], &[]);
                let _ = self.poll_send(cx);
            }
            match step?.1 {
                Step::Again | Step::Encrypted => {}
                Step::Ended => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Step::Starved => {
                    ready!(self.poll_send(cx))?;
                    ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
                    if !self.session.is_handshaking() {
                        return Poll::Ready(Ok(()));
                    }
                    ready!(self.poll_fill(cx))?;
                }
            }
        }
    }

    /// One step of the session; how much of `into` is filled.
    fn step(&mut self, into: &mut [u8], plain: &[u8]) -> io::Result<(usize, Step)> {
        let out = self.outgoing.room(&self.pool);
        let mut work = Work { into, filled: 0, rest: &mut self.plain, out, sent: 0, plain };
        let (used, step) = self.session.step(self.incoming.filled(), &mut work);
        let (filled, sent) = (work.filled, work.sent);
        self.outgoing.to += sent;
        self.outgoing.release(&self.pool);
        self.incoming.take(used);
        Ok((filled, step?))
    }

    /// Reads once from the socket.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.incoming.make_room(RECORD_BYTES);
        let room = self.incoming.room(&self.pool);
        let read = Pin::new(&mut self.socket).poll_read(cx, room);
        if let Poll::Ready(Ok(n)) = &read {
            self.incoming.to += n;
        } else {
            self.incoming.release(&self.pool);
        }
        match ready!(read)? {
            // Nobody said that this is the end: somebody may have cut it.
            0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Writes everything encrypted to the socket.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_write(cx, self.outgoing.filled()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.outgoing.take(n),
            }
        }
        self.outgoing.release(&self.pool);
        Poll::Ready(Ok(()))
    }

    /// Takes what is decrypted already.
    fn take_plain(&mut self, buffer: &mut [u8]) -> usize {
        let rest = &self.plain[self.read..];
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.read += n;
        if self.read == self.plain.len() {
            self.plain.clear();
            self.read = 0;
        }
        n
    }

    /// Decrypts what has come, as far as there is room; how much it was.
    fn decrypt(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() && self.plain.is_empty() && !self.incoming.is_empty() && !self.ended {
            let (more, step) = self.step(&mut buffer[filled..], &[])?;
            filled += more;
            match step {
                Step::Again => {}
                Step::Ended => self.ended = true,
                Step::Starved | Step::Encrypted => break,
            }
        }
        Ok(filled)
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            let taken = self.take_plain(buffer);
            let filled = taken + self.decrypt(&mut buffer[taken..])?;
            if filled > 0 || self.ended {
                return Poll::Ready(Ok(filled));
            }
            if self.poll_fill(cx)?.is_pending() {
                // With nothing to read nothing is kept.
                self.plain = Vec::new();
                return Poll::Pending;
            }
        }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<C> {
    /// Takes up to [`FRAME_BYTES`] at once.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, plain: &[u8]) -> Poll<io::Result<usize>> {
        let plain = &plain[..plain.len().min(FRAME_BYTES)];
        if plain.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if BUFFER_BYTES - self.outgoing.to < plain.len() + (BUFFER_BYTES - FRAME_BYTES) {
            ready!(self.poll_send(cx))?;
        }
        loop {
            match self.step(&mut [], plain)?.1 {
                Step::Again => {}
                Step::Encrypted => break,
                Step::Ended => self.ended = true,
                Step::Starved => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            }
        }
        if self.outgoing.to - self.outgoing.from >= SEND_AT {
            // What the socket does not take now it takes later.
            let _ = self.poll_send(cx)?;
        }
        Poll::Ready(Ok(plain.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        if !self.closing {
            self.closing = true;
            let this = &mut *self;
            let out = this.outgoing.room(&this.pool);
            this.outgoing.to += this.session.end(this.incoming.filled(), out);
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.socket).poll_close(cx)
    }
}
