//! What passes through the proxy, and what does not.

use std::io::{Read, Write};
use std::net::{TcpListener as StdListener, TcpStream as StdStream};

use super::*;

/// A source that says back what it hears, and its address.
fn echo() -> Address {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut back = stream.try_clone().unwrap();
                std::io::copy(&mut stream, &mut back).ok();
            });
        }
    });
    Address(format!("/ip4/127.0.0.1/tcp/{port}"))
}

fn dial(proxy: &Proxy) -> StdStream {
    StdStream::connect(socket_address(&proxy.addresses()[0]).unwrap()).unwrap()
}

#[test]
fn every_byte_arrives_in_order_and_is_counted_in_both_directions() {
    for link in [Link::default(), Link::long(4), Link::new(20_000_000, 2)] {
        let proxy = Proxy::start(&[(echo(), link)]).unwrap();
        let mut stream = dial(&proxy);
        let sent: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
        let (mut writer, copy) = (stream.try_clone().unwrap(), sent.clone());
        let writing = std::thread::spawn(move || writer.write_all(&copy).unwrap());
        let mut came = vec![0; sent.len()];
        stream.read_exact(&mut came).unwrap();
        writing.join().unwrap();
        assert!(came == sent, "{link:?}");
        assert_eq!(proxy.bytes(), 2_000_000, "{link:?}");
    }
}

#[test]
fn a_byte_is_never_back_before_the_round_trip() {
    let proxy = Proxy::start(&[(echo(), Link::long(60))]).unwrap();
    let mut stream = dial(&proxy);
    let mut byte = [7];
    // The first one also waits for the handshake.
    for least in [120, 60, 60] {
        let begin = Instant::now();
        stream.write_all(&byte).unwrap();
        stream.read_exact(&mut byte).unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(least), "{:?}", begin.elapsed());
    }
}

#[test]
fn a_bottleneck_is_never_wider_than_it_says() {
    let proxy = Proxy::start(&[(echo(), Link::new(1_000_000, 0))]).unwrap();
    let mut stream = dial(&proxy);
    let begin = Instant::now();
    stream.write_all(&[1; 200_000]).unwrap();
    stream.read_exact(&mut [0; 200_000]).unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(200), "{:?}", begin.elapsed());
}

#[test]
fn an_end_that_goes_takes_the_other_one_with_it() {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let source = Address(format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port()));
    let proxy = Proxy::start(&[(source, Link::long(2))]).unwrap();
    let mut stream = dial(&proxy);
    drop(listener.accept().unwrap());
    assert_eq!(stream.read(&mut [0; 8]).unwrap_or(0), 0, "the connection is over");
}

#[test]
fn what_is_no_tcp_address_is_refused() {
    for text in ["/ip4/127.0.0.1/udp/5/quic-v1", "/ip4/x/tcp/5", "/dns/a/tcp/5", ""] {
        assert!(socket_address(&Address(text.into())).is_err(), "{text}");
    }
    let address = Address("/ip4/127.0.0.1/tcp/5/p2p/x".into());
    assert_eq!(socket_address(&address).unwrap().port(), 5);
}

#[test]
fn sockets_hold_little_of_a_slow_link() {
    assert_eq!(Link::new(40_000_000, 20).socket_bytes(), Some(2_000_000));
    assert_eq!(Link::new(500_000, 20).socket_bytes(), Some(LEAST_SOCKET));
    assert_eq!(Link::long(100).socket_bytes(), None);
}
