//! Many streams on one connection, as yamux has it on the wire (<https://github.com/hashicorp/yamux/blob/master/spec.md>), made for bulk data.
//!
//! - **Owns**: the streams of a connection, their windows, and the task that moves bytes between them and the socket.
//! - **In, out**: an encrypted stream; streams that behave like sockets of their own.
//! - **On failure**: the connection ends, and with it every stream. What a peer does against the protocol ends the connection.
//!
//! Differences to the implementation that libp2p brings, none of which a peer notices but by its speed:
//!
//! - Frames of 64 KiB instead of 16, each written at once with its head.
//! - A window of 16 MiB from the start for a stream whose reader has room: one that reads into 256 KiB or more. The sum of
//!   these windows is bounded for the whole process; a stream that finds no credit left keeps the 256 KiB that the specification gives to all.
//! - The socket is driven by a task of its own: bulk data does not wake the connection, which asks all protocols each time.
//! - Buffers come from a pool, and pass from the socket to the reader without a copy between them.

mod driver;
mod flow;
mod frame;
mod link;
mod stream;
#[cfg(test)]
mod tests;

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::UpgradeInfo;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};
use tokio::task::AbortHandle;

use super::pool::Pool;
use link::{Link, Side};
use stream::MuxStream;

/// The upgrade of an encrypted stream.
#[derive(Clone)]
pub(super) struct Mux {
    pool: Pool,
    streams: usize,
}

impl Mux {
    /// At most so many streams on a connection, with buffers of this pool.
    pub fn new(streams: usize, pool: Pool) -> Self {
        Self { pool, streams }
    }

    fn start<C>(self, socket: C, side: Side) -> Ready<io::Result<Muxer>>
    where
        C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let link = Link::new(side, self.streams, self.pool);
        let task = tokio::spawn(driver::run(socket, link.clone())).abort_handle();
        ready(Ok(Muxer { link, task }))
    }
}

impl UpgradeInfo for Mux {
    type Info = &'static str;
    type InfoIter = std::iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Mux {
    type Output = Muxer;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer>>;

    fn upgrade_inbound(self, socket: C, _: Self::Info) -> Self::Future {
        self.start(socket, Side::Server)
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Mux {
    type Output = Muxer;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer>>;

    fn upgrade_outbound(self, socket: C, _: Self::Info) -> Self::Future {
        self.start(socket, Side::Client)
    }
}

/// A connection with its streams. Ends with its owner.
#[derive(Debug)]
pub(super) struct Muxer {
    link: Arc<Link>,
    task: AbortHandle,
}

impl Drop for Muxer {
    fn drop(&mut self) {
        self.link.end(link::End::Ours);
        self.task.abort();
    }
}

impl StreamMuxer for Muxer {
    type Substream = MuxStream;
    type Error = io::Error;

    fn poll_inbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<MuxStream>> {
        self.link.poll_accept(cx).map_ok(|id| MuxStream::new(self.link.clone(), id))
    }

    fn poll_outbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<MuxStream>> {
        self.link.poll_open(cx).map_ok(|id| MuxStream::new(self.link.clone(), id))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.poll_close(cx).map(Ok)
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        self.link.poll_end(cx).map(|end| Err(end.into()))
    }
}
