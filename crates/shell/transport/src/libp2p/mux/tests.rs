//! What the multiplexer owes its streams, its peer, and libp2p's own multiplexer at the other end.

use std::future::poll_fn;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::muxing::StreamMuxerExt;
use tokio::io::DuplexStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::frame::{ACK, FIN, HEAD_BYTES, Head, Kind, RST, SYN};
use super::*;

type Socket = Compat<DuplexStream>;

const WINDOW: usize = 256 << 10;
const LARGE: u32 = (16 << 20) - (256 << 10);

fn line() -> (Socket, Socket) {
    let (a, b) = tokio::io::duplex(1 << 20);
    (a.compat(), b.compat())
}

async fn ours(socket: Socket, side: Side) -> Muxer {
    Mux::new(4, Pool::new()).start(socket, side).await.unwrap()
}

/// Two ends of ours.
async fn pair() -> (Muxer, Muxer) {
    let (a, b) = line();
    (ours(a, Side::Client).await, ours(b, Side::Server).await)
}

async fn open(muxer: &mut Muxer) -> MuxStream {
    poll_fn(|cx| muxer.poll_outbound_unpin(cx)).await.unwrap()
}

async fn accept(muxer: &mut Muxer) -> MuxStream {
    poll_fn(|cx| muxer.poll_inbound_unpin(cx)).await.unwrap()
}

/// An end of ours, and a peer that writes whatever it likes.
async fn against_raw(side: Side) -> (Muxer, Socket) {
    let (a, b) = line();
    (ours(a, side).await, b)
}

async fn head(raw: &mut Socket) -> Head {
    let mut bytes = [0; HEAD_BYTES];
    raw.read_exact(&mut bytes).await.unwrap();
    Head::decode(bytes).unwrap()
}

async fn write(raw: &mut Socket, kind: Kind, flags: u16, stream: u32, length: u32) {
    raw.write_all(&Head { kind, flags, stream, length }.encode()).await.unwrap();
}

fn data(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

#[tokio::test]
async fn many_bytes_go_both_ways_and_each_side_ends_its_own() {
    let (mut a, mut b) = pair().await;
    let mut near = open(&mut a).await;
    near.write_all(b"hello").await.unwrap();
    let mut far = accept(&mut b).await;
    let echo = tokio::spawn(async move {
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        far.write_all(&all).await.unwrap();
        far.close().await.unwrap();
        far
    });
    let sent = data(3 << 20);
    near.write_all(&sent).await.unwrap();
    near.close().await.unwrap();
    near.close().await.unwrap();
    assert!(near.write_all(b"more").await.is_err(), "it is finished");
    let mut got = Vec::new();
    near.read_to_end(&mut got).await.unwrap();
    assert_eq!(got[..5], *b"hello");
    assert!(got[5..] == sent[..]);
    echo.await.unwrap();
}

/// Runs libp2p's own multiplexer: it says hello on a stream of its own, and echoes those of its peer.
fn echo_with_stock(socket: Socket, client: bool) {
    use libp2p::yamux::Config;
    tokio::spawn(async move {
        let mut muxer = if client {
            Config::default().upgrade_outbound(socket, "/yamux/1.0.0").await.unwrap()
        } else {
            Config::default().upgrade_inbound(socket, "/yamux/1.0.0").await.unwrap()
        };
        let serve = |stream: libp2p::yamux::Stream| {
            tokio::spawn(async move {
                let (reader, mut writer) = stream.split();
                let _ = futures::io::copy(reader, &mut writer).await;
                let _ = writer.close().await;
            })
        };
        let mut stream = poll_fn(|cx| muxer.poll_outbound_unpin(cx)).await.unwrap();
        tokio::spawn(async move {
            stream.write_all(b"hello").await.unwrap();
            stream.close().await.unwrap();
            stream.read_to_end(&mut Vec::new()).await
        });
        poll_fn(|cx| {
            while let Poll::Ready(stream) = muxer.poll_inbound_unpin(cx) {
                match stream {
                    Ok(stream) => drop(serve(stream)),
                    Err(_) => return Poll::Ready(()),
                }
            }
            let _ = muxer.poll_unpin(cx);
            Poll::Pending
        })
        .await;
    });
}

async fn round_trip(stream: MuxStream, bytes: usize) {
    let sent = data(bytes);
    let (mut reader, mut writer) = stream.split();
    let expected = sent.clone();
    let sending = async {
        writer.write_all(&sent).await.unwrap();
        writer.close().await.unwrap();
    };
    let mut got = Vec::new();
    let reading = async {
        let mut buffer = vec![0; link::LARGE_READ];
        loop {
            match reader.read(&mut buffer).await.unwrap() {
                0 => break,
                n => got.extend_from_slice(&buffer[..n]),
            }
        }
    };
    futures::join!(sending, reading);
    assert!(got == expected);
}

#[tokio::test]
async fn libp2ps_own_multiplexer_is_understood_and_understands() {
    for (side, stock_calls) in [(Side::Client, false), (Side::Server, true)] {
        let (a, b) = line();
        let mut muxer = ours(a, side).await;
        echo_with_stock(b, stock_calls);
        let mine = open(&mut muxer).await;
        round_trip(mine, 5 << 20).await;
        let mut theirs = accept(&mut muxer).await;
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"hello");
        let second = open(&mut muxer).await;
        round_trip(second, 10).await;
    }
}

#[tokio::test]
async fn a_reader_with_room_gets_a_large_window_before_anything_is_sent() {
    let (mut muxer, mut raw) = against_raw(Side::Client).await;
    let mut stream = open(&mut muxer).await;
    let mut buffer = vec![0; link::LARGE_READ];
    assert!(futures::poll!(stream.read(&mut buffer)).is_pending());
    let first = head(&mut raw).await;
    assert_eq!(first, Head { kind: Kind::Window, flags: SYN, stream: 1, length: LARGE });
    stream.write_all(b"x").await.unwrap();
    assert_eq!(head(&mut raw).await, Head { kind: Kind::Data, flags: 0, stream: 1, length: 1 });
}

#[tokio::test]
async fn without_credit_a_window_stays_small() {
    let (a, mut raw) = line();
    let pool = Pool::new();
    while pool.borrow(LARGE as usize) {}
    let mut muxer = Mux::new(4, pool.clone()).start(a, Side::Client).await.unwrap();
    let mut stream = open(&mut muxer).await;
    let mut buffer = vec![0; link::LARGE_READ];
    assert!(futures::poll!(stream.read(&mut buffer)).is_pending());
    stream.write_all(b"x").await.unwrap();
    assert_eq!(head(&mut raw).await, Head { kind: Kind::Data, flags: SYN, stream: 1, length: 1 });
    pool.repay(LARGE as usize);
    assert!(futures::poll!(stream.read(&mut buffer)).is_pending());
    assert!(!pool.borrow(LARGE as usize), "now it has the credit");
    drop(stream);
    assert!(pool.borrow(LARGE as usize), "and gave it back");
}

#[tokio::test]
async fn a_reader_that_does_not_read_stops_the_writer_at_the_window() {
    let (mut a, mut b) = pair().await;
    let mut near = open(&mut a).await;
    let sent = data(2 * WINDOW);
    let mut far = {
        near.write_all(&sent[..1]).await.unwrap();
        accept(&mut b).await
    };
    let mut writing = Box::pin(near.write_all(&sent[1..]));
    // However often everybody has a turn, more than the window does not leave.
    for _ in 0..200 {
        assert!(futures::poll!(writing.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    let mut got = vec![0; 2 * WINDOW];
    let (wrote, read) = futures::join!(writing, far.read_exact(&mut got));
    wrote.unwrap();
    read.unwrap();
    assert!(got == sent);
}

#[tokio::test]
async fn more_than_the_window_ends_the_connection_with_the_reason() {
    let (mut muxer, mut raw) = against_raw(Side::Server).await;
    write(&mut raw, Kind::Window, SYN, 1, 0).await;
    let mut stream = accept(&mut muxer).await;
    write(&mut raw, Kind::Data, 0, 1, u32::try_from(WINDOW).unwrap() + 1).await;
    let end = poll_fn(|cx| muxer.poll_unpin(cx)).await.unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::InvalidData);
    assert!(stream.read(&mut [0; 10]).await.is_err());
    assert!(stream.write(&[0; 10]).await.is_err());
    assert_eq!(head(&mut raw).await, Head { kind: Kind::GoAway, flags: 0, stream: 0, length: 1 });
    assert!(poll_fn(|cx| muxer.poll_outbound_unpin(cx)).await.is_err());
    assert!(poll_fn(|cx| muxer.poll_inbound_unpin(cx)).await.is_err());
}

#[tokio::test]
async fn what_is_no_yamux_ends_the_connection() {
    let numbers = [(2, "even"), (0, "zero")];
    for (stream, what) in numbers {
        let (mut muxer, mut raw) = against_raw(Side::Server).await;
        write(&mut raw, Kind::Data, SYN, stream, 0).await;
        assert!(poll_fn(|cx| muxer.poll_unpin(cx)).await.is_err(), "{what}");
    }
    let (mut muxer, mut raw) = against_raw(Side::Server).await;
    write(&mut raw, Kind::Data, SYN, 1, 0).await;
    write(&mut raw, Kind::Data, SYN, 1, 0).await;
    assert!(poll_fn(|cx| muxer.poll_unpin(cx)).await.is_err(), "twice the same");
    let (mut muxer, mut raw) = against_raw(Side::Server).await;
    raw.write_all(&[9; HEAD_BYTES]).await.unwrap();
    assert!(poll_fn(|cx| muxer.poll_unpin(cx)).await.is_err(), "another version");
    let (mut muxer, raw) = against_raw(Side::Server).await;
    drop(raw);
    let end = poll_fn(|cx| muxer.poll_unpin(cx)).await.unwrap_err();
    assert_eq!(end.to_string(), "connection closed by peer");
}

#[tokio::test]
async fn one_stream_too_many_is_refused_and_the_others_go_on() {
    let (mut muxer, mut raw) = against_raw(Side::Server).await;
    for stream in [1, 3, 5, 7, 9] {
        write(&mut raw, Kind::Data, SYN, stream, 0).await;
    }
    assert_eq!(head(&mut raw).await, Head { kind: Kind::Data, flags: RST, stream: 9, length: 0 });
    assert!(futures::poll!(poll_fn(|cx| muxer.poll_outbound_unpin(cx))).is_pending(), "no room for ours");
    let first = accept(&mut muxer).await;
    drop(first);
    assert_eq!(head(&mut raw).await, Head { kind: Kind::Data, flags: RST | ACK, stream: 1, length: 0 });
    open(&mut muxer).await;
}

#[tokio::test]
async fn pings_are_echoed_and_a_farewell_ends_the_connection() {
    let (mut muxer, mut raw) = against_raw(Side::Server).await;
    write(&mut raw, Kind::Ping, SYN, 0, 77).await;
    assert_eq!(head(&mut raw).await, Head { kind: Kind::Ping, flags: ACK, stream: 0, length: 77 });
    write(&mut raw, Kind::Ping, ACK, 0, 77).await;
    write(&mut raw, Kind::GoAway, 0, 0, 0).await;
    let end = poll_fn(|cx| muxer.poll_unpin(cx)).await.unwrap_err();
    assert_eq!(end.to_string(), "connection closed by peer");
}

#[tokio::test]
async fn an_orderly_end_is_announced() {
    let (muxer, mut raw) = against_raw(Side::Client).await;
    let closing = tokio::spawn(muxer.close());
    assert_eq!(head(&mut raw).await, Head { kind: Kind::GoAway, flags: 0, stream: 0, length: 0 });
    closing.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_that_the_peer_breaks_off_fails_and_what_came_before_counts() {
    let (mut muxer, mut raw) = against_raw(Side::Server).await;
    write(&mut raw, Kind::Data, SYN, 1, 3).await;
    raw.write_all(b"abc").await.unwrap();
    write(&mut raw, Kind::Data, RST, 1, 0).await;
    write(&mut raw, Kind::Data, SYN | FIN, 3, 2).await;
    raw.write_all(b"de").await.unwrap();
    let mut broken = accept(&mut muxer).await;
    let mut finished = accept(&mut muxer).await;
    let mut got = Vec::new();
    finished.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"de");
    assert!(broken.read_to_end(&mut got).await.is_err());
    assert_eq!(got, b"deabc");
    assert!(broken.write(b"x").await.is_err());
    drop(broken);
    drop(finished);
    assert_eq!(head(&mut raw).await, Head { kind: Kind::Data, flags: FIN | ACK, stream: 3, length: 0 });
    // Data for what is over is read and dropped.
    write(&mut raw, Kind::Data, 0, 3, 4).await;
    raw.write_all(b"late").await.unwrap();
    write(&mut raw, Kind::Ping, SYN, 0, 1).await;
    assert_eq!(head(&mut raw).await.kind, Kind::Ping);
}

#[tokio::test]
async fn single_bytes_do_not_cost_a_buffer_each() {
    let (mut muxer, mut raw) = against_raw(Side::Server).await;
    write(&mut raw, Kind::Data, SYN, 1, 0).await;
    for byte in 0..100 {
        write(&mut raw, Kind::Data, 0, 1, 1).await;
        raw.write_all(&[byte]).await.unwrap();
    }
    write(&mut raw, Kind::Ping, SYN, 0, 1).await;
    head(&mut raw).await;
    let mut stream = accept(&mut muxer).await;
    let mut got = [0; 200];
    assert_eq!(stream.read(&mut got).await.unwrap(), 100);
    assert!(got[..100].iter().copied().eq(0..100));
}
