//! TLS 1.3 as the libp2p specification has it, made for bulk data.
//!
//! - **Owns**: the choice of ciphers, and the session of each connection with its buffers.
//! - **In, out**: a socket, a stream of plaintext and the id that the peer proved.
//! - **On failure**: the handshake or the stream ends with an error; a peer without a valid certificate is never let in.
//!
//! What peers must prove is checked by libp2p's own code ([`libp2p::tls::certificate`]). Ours are the ciphers, AES-128-GCM first, for which
//! processors have instructions (libp2p prefers ChaCha20-Poly1305 and does not let one choose), and reading and writing in pieces of 64 KiB.

mod certificates;
mod session;
mod stream;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::sync::{Arc, Once};

use futures::future::BoxFuture;
use futures::{AsyncRead, AsyncWrite, FutureExt};
use libp2p::PeerId;
use libp2p::core::UpgradeInfo;
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};
use libp2p::identity::Keypair;
use libp2p::tls::certificate::{self, GenError, ParseError};
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::CryptoProvider;
use rustls::crypto::SecureRandom;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, sign};
use rustls::pki_types::{IpAddr, ServerName};
use rustls::server::UnbufferedServerConnection;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ServerConfig, SupportedCipherSuite};
use thiserror::Error;

use super::pool::Pool;
use certificates::Certificates;
use session::Session;
pub(super) use stream::TlsStream;

/// The versions that libp2p allows.
const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
/// The best first. AES-128 is as strong as everything else that a handshake consists of, and the fastest wherever there are instructions
/// for it, which is on every server processor of the last ten years.
const CIPHERS: &[SupportedCipherSuite] = &[
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
];

/// Why there is no encrypted connection.
#[derive(Debug, Error)]
pub(super) enum TlsError {
    /// We could not make a certificate of our own.
    #[error("own certificate: {0}")]
    Own(#[from] GenError),
    /// Ciphers and keys do not go together.
    #[error("set-up: {0}")]
    SetUp(#[from] rustls::Error),
    /// The handshake failed.
    #[error("handshake: {0}")]
    Handshake(#[from] std::io::Error),
    /// The peer's certificate names no peer.
    #[error("certificate of the peer: {0}")]
    Certificate(#[from] ParseError),
    /// The peer showed no certificate, or several.
    #[error("not one certificate")]
    NotOne,
}

/// The upgrade of a socket.
#[derive(Clone)]
pub(super) struct Tls {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    pool: Pool,
}

impl Tls {
    /// For this identity, with buffers of this pool.
    pub fn new(pair: &Keypair, pool: Pool) -> Result<Self, TlsError> {
        let (certificate, key) = certificate::generate(pair)?;
        let key = CertifiedKey::new(vec![certificate], sign::any_ecdsa_type(&key)?);
        let key = Arc::new(SingleCertAndKey::from(key));
        let provider = provider();
        gather_entropy(provider.secure_random);
        let alpn = vec![b"libp2p".to_vec()];
        let mut client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(VERSIONS)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Certificates))
            .with_client_cert_resolver(key.clone());
        client.alpn_protocols.clone_from(&alpn);
        // Sessions are kept under the server's name, and in libp2p servers have none.
        client.resumption = Resumption::disabled();
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)?
            .with_client_cert_verifier(Arc::new(Certificates))
            .with_cert_resolver(key);
        server.alpn_protocols = alpn;
        server.send_tls13_tickets = 0;
        // Other implementations put their software cipher first, with the same instructions at hand.
        server.ignore_client_order = true;
        Ok(Self { client: Arc::new(client), server: Arc::new(server), pool })
    }

    fn call(&self) -> Result<Session, TlsError> {
        // The specification forbids a name; this stands for none.
        let nobody = ServerName::IpAddress(IpAddr::from(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        Ok(Session::Client(UnbufferedClientConnection::new(self.client.clone(), nobody)?))
    }

    fn answer(&self) -> Result<Session, TlsError> {
        Ok(Session::Server(UnbufferedServerConnection::new(self.server.clone())?))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { cipher_suites: CIPHERS.to_vec(), ..default_provider() })
}

/// The library gathers entropy when it is first asked for a random number, which takes 70 ms of a core. That shall not be in the first handshake.
fn gather_entropy(random: &'static dyn SecureRandom) {
    static ONCE: Once = Once::new();
    // Whether it worked shows in the handshakes.
    ONCE.call_once(|| drop(std::thread::spawn(move || random.fill(&mut [0]).is_ok())));
}

async fn shake_hands<C: AsyncRead + AsyncWrite + Unpin>(
    socket: C,
    session: Result<Session, TlsError>,
    pool: Pool,
) -> Result<(PeerId, TlsStream<C>), TlsError> {
    let mut stream = TlsStream::new(socket, session?, pool);
    stream.handshake().await?;
    let peer = match stream.certificates() {
        [one] => certificate::parse(one)?.peer_id(),
        _ => return Err(TlsError::NotOne),
    };
    Ok((peer, stream))
}

impl UpgradeInfo for Tls {
    type Info = &'static str;
    type InfoIter = std::iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/tls/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Tls {
    type Output = (PeerId, TlsStream<C>);
    type Error = TlsError;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, socket: C, _: Self::Info) -> Self::Future {
        shake_hands(socket, self.answer(), self.pool).boxed()
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Tls {
    type Output = (PeerId, TlsStream<C>);
    type Error = TlsError;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, socket: C, _: Self::Info) -> Self::Future {
        shake_hands(socket, self.call(), self.pool).boxed()
    }
}
