//! Counts what goes over the sockets of TCP, encrypted as it is: what blocks cost on the line.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::UpgradeInfo;
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};

use crate::traffic::Traffic;

/// A socket whose bytes are counted, or the security upgrade of one.
#[derive(Clone, Debug)]
pub(super) struct Metered<T> {
    inner: T,
    traffic: Traffic,
}

impl<T> Metered<T> {
    pub fn new(inner: T, traffic: Traffic) -> Self {
        Self { inner, traffic }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Metered<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if let Poll::Ready(Ok(n)) = &read {
            self.traffic.count_received(*n);
        }
        read
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Metered<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(n)) = &written {
            self.traffic.count_sent(*n);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

impl<U: UpgradeInfo> UpgradeInfo for Metered<U> {
    type Info = U::Info;
    type InfoIter = U::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.inner.protocol_info()
    }
}

impl<C, U> InboundConnectionUpgrade<C> for Metered<U>
where
    C: AsyncRead + AsyncWrite,
    U: InboundConnectionUpgrade<Metered<C>>,
{
    type Output = U::Output;
    type Error = U::Error;
    type Future = U::Future;

    fn upgrade_inbound(self, socket: C, info: Self::Info) -> Self::Future {
        self.inner.upgrade_inbound(Metered::new(socket, self.traffic), info)
    }
}

impl<C, U> OutboundConnectionUpgrade<C> for Metered<U>
where
    C: AsyncRead + AsyncWrite,
    U: OutboundConnectionUpgrade<Metered<C>>,
{
    type Output = U::Output;
    type Error = U::Error;
    type Future = U::Future;

    fn upgrade_outbound(self, socket: C, info: Self::Info) -> Self::Future {
        self.inner.upgrade_outbound(Metered::new(socket, self.traffic), info)
    }
}
