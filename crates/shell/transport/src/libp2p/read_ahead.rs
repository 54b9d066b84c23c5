//! Reading from a socket in large pieces.
//!
//! The TLS library asks for 4 KiB at a time, which costs five system calls for each of its records. With a buffer below it there is one.

use futures::io::BufReader;
use futures::{AsyncRead, AsyncWrite};
use libp2p::core::UpgradeInfo;
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};

/// The size of the buffer in bytes: four records of TLS. More saves little; with a thousand connections this is 64 MiB already.
const BUFFER_BYTES: usize = 64 << 10;

/// A security upgrade over a socket that is read ahead.
#[derive(Clone)]
pub(super) struct ReadAhead<U>(pub U);

impl<U: UpgradeInfo> UpgradeInfo for ReadAhead<U> {
    type Info = U::Info;
    type InfoIter = U::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.protocol_info()
    }
}

impl<C, U> InboundConnectionUpgrade<C> for ReadAhead<U>
where
    C: AsyncRead + AsyncWrite,
    U: InboundConnectionUpgrade<BufReader<C>>,
{
    type Output = U::Output;
    type Error = U::Error;
    type Future = U::Future;

    fn upgrade_inbound(self, socket: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_inbound(BufReader::with_capacity(BUFFER_BYTES, socket), info)
    }
}

impl<C, U> OutboundConnectionUpgrade<C> for ReadAhead<U>
where
    C: AsyncRead + AsyncWrite,
    U: OutboundConnectionUpgrade<BufReader<C>>,
{
    type Output = U::Output;
    type Error = U::Error;
    type Future = U::Future;

    fn upgrade_outbound(self, socket: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_outbound(BufReader::with_capacity(BUFFER_BYTES, socket), info)
    }
}
