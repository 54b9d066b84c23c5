//! Our TLS against itself, against libp2p's own, and against a line that breaks.

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::tls;
use tokio::io::DuplexStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::*;

type Socket = Compat<DuplexStream>;

const AES: Option<rustls::CipherSuite> = Some(rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);

fn line(bytes: usize) -> (Socket, Socket) {
    let (a, b) = tokio::io::duplex(bytes);
    (a.compat(), b.compat())
}

fn ours() -> (Tls, PeerId) {
    let pair = Keypair::generate_ed25519();
    (Tls::new(&pair, Pool::new()).unwrap(), pair.public().to_peer_id())
}

fn theirs() -> (tls::Config, PeerId) {
    let pair = Keypair::generate_ed25519();
    (tls::Config::new(&pair).unwrap(), pair.public().to_peer_id())
}

async fn pair() -> (TlsStream<Socket>, TlsStream<Socket>) {
    let ((a, a_id), (b, b_id)) = (ours(), ours());
    let (near, far) = line(64 << 10);
    let (near, far) =
        futures::join!(a.upgrade_outbound(near, "/tls/1.0.0"), b.upgrade_inbound(far, "/tls/1.0.0"));
    let ((shown_b, near), (shown_a, far)) = (near.unwrap(), far.unwrap());
    assert_eq!((shown_a, shown_b), (a_id, b_id));
    assert_eq!([near.cipher(), far.cipher()], [AES; 2]);
    (near, far)
}

fn data(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

/// Sends in both directions at once, and closes.
async fn exchange(a: impl AsyncRead + AsyncWrite, b: impl AsyncRead + AsyncWrite) {
    let (there, back) = (data(2 << 20), data((1 << 20) + 17));
    let send = |bytes: Vec<u8>| async move { bytes };
    let ((mut a_read, mut a_write), (mut b_read, mut b_write)) = (a.split(), b.split());
    let (first, second) = (send(there.clone()).await, send(back.clone()).await);
    let mut got = (vec![0; there.len()], vec![0; back.len()]);
    let writing = async {
        a_write.write_all(&first).await.unwrap();
        a_write.flush().await.unwrap();
    };
    let answering = async {
        b_write.write_all(&second).await.unwrap();
        b_write.flush().await.unwrap();
    };
    let (_, _, b_got, a_got) =
        futures::join!(writing, answering, b_read.read_exact(&mut got.0), a_read.read_exact(&mut got.1));
    a_got.unwrap();
    b_got.unwrap();
    assert!(got == (there, back));
    a_write.close().await.unwrap();
    assert_eq!(b_read.read(&mut [0; 10]).await.unwrap(), 0, "the end was announced");
}

#[tokio::test]
async fn both_sides_learn_who_the_other_is_and_talk_at_once() {
    let (near, far) = pair().await;
    exchange(near, far).await;
}

#[tokio::test]
async fn libp2ps_own_tls_is_understood_and_understands() {
    let ((a, a_id), (b, b_id)) = (ours(), theirs());
    let (near, far) = line(64 << 10);
    let (near, far) = futures::join!(
        a.clone().upgrade_outbound(near, "/tls/1.0.0"),
        b.clone().upgrade_inbound(far, "/tls/1.0.0")
    );
    let ((shown_b, near), (shown_a, far)) = (near.unwrap(), far.unwrap());
    assert_eq!((shown_a, shown_b), (a_id, b_id));
    assert_eq!(near.cipher(), AES);
    exchange(near, far).await;

    let (near, far) = line(64 << 10);
    let (near, far) =
        futures::join!(b.upgrade_outbound(near, "/tls/1.0.0"), a.upgrade_inbound(far, "/tls/1.0.0"));
    let ((shown_a, near), (shown_b, far)) = (near.unwrap(), far.unwrap());
    assert_eq!((shown_a, shown_b), (a_id, b_id));
    assert_eq!(far.cipher(), AES, "though the caller prefers another one");
    exchange(far, near).await;
}

#[tokio::test]
async fn a_handshake_with_something_else_fails_on_both_sides() {
    let (tls, _) = ours();
    let (near, mut far) = line(64 << 10);
    far.write_all(b"GET / HTTP/1.1\r\nHost: somewhere.example\r\n\r\n").await.unwrap();
    assert!(matches!(tls.clone().upgrade_inbound(near, "/tls/1.0.0").await, Err(TlsError::Handshake(_))));
    let (near, far) = line(64 << 10);
    drop(far);
    assert!(matches!(tls.upgrade_outbound(near, "/tls/1.0.0").await, Err(TlsError::Handshake(_))));
}

#[tokio::test]
async fn somebody_who_shows_no_certificate_is_not_let_in() {
    let (tls, _) = ours();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Certificates))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"libp2p".to_vec()];
    let nameless = Tls { client: Arc::new(config), ..tls.clone() };
    let (near, far) = line(64 << 10);
    let (_, refused) =
        futures::join!(nameless.upgrade_outbound(near, "/tls/1.0.0"), tls.upgrade_inbound(far, "/tls/1.0.0"));
    assert!(matches!(refused, Err(TlsError::Handshake(_))));
}

#[tokio::test]
async fn a_line_that_is_cut_is_no_end() {
    let (near, mut far) = pair().await;
    drop(near);
    let error = far.read(&mut [0; 10]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn small_messages_leave_together_with_the_flush() {
    let (mut near, mut far) = pair().await;
    for byte in 0..100 {
        near.write_all(&[byte]).await.unwrap();
    }
    near.write_all(&[]).await.unwrap();
    near.flush().await.unwrap();
    let mut got = [0; 100];
    far.read_exact(&mut got).await.unwrap();
    assert!(got.iter().copied().eq(0..100));
    assert_eq!(far.read(&mut []).await.unwrap(), 0);
}
