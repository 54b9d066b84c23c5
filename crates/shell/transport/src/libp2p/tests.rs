//! What only real sockets can show: ports, strangers, QUIC, and the bounds of the handle.

use core::time::Duration;
use std::net::TcpListener;
use std::sync::Arc;

use alys_chain::{BlockId, CertifiedHeader, Height};
use alys_wire::limits::NONCE_BYTES;
use alys_wire::{Request, Status, Topic};
use bytes::Bytes;
use futures::StreamExt;

use super::*;
use crate::answers::{Answer, Answers, Violation, answers};
use crate::api::{DisconnectReason, Event};
use crate::source::Unavailable;

const GENESIS: BlockId = BlockId([0xaa; 32]);
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves no block.
struct Nothing;

impl BlockSource for Nothing {
    fn status(&self) -> Result<Status, Unavailable> {
        Ok(Status { head: None, finalized: Height(0), earliest: Height(0) })
    }

    fn headers(&self, _: Height, _: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
        Ok(Vec::new())
    }

    fn bodies(&self, ids: &[BlockId], _: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        Ok(vec![None; ids.len()])
    }

    fn claim(&self, _: PeerId, _: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
        Ok(None)
    }
}

fn listening_on(address: &str) -> Config {
    let mut config = Config::new(GENESIS);
    config.listen = vec![Address(address.to_owned())];
    config
}

fn node(config: &Config) -> (Libp2pTransport, Events) {
    start(config, &Identity::generate(), Arc::new(Nothing)).unwrap()
}

async fn until<T>(events: &mut Events, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    let search = async {
        loop {
            if let Some(found) = wanted(events.recv().await.expect("the events go on")) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, search).await.expect("in time")
}

async fn address(events: &mut Events) -> Address {
    until(events, |event| match event {
        Event::Listening { address } => Some(address),
        _ => None,
    })
    .await
}

async fn outcome(mut reader: Answers) -> Outcome {
    loop {
        if let Answer::End(outcome) = reader.recv().await.expect("an end") {
            return outcome;
        }
    }
}

fn ask(transport: &Libp2pTransport, peer: PeerId, request: Request) -> Answers {
    let (sink, reader) = answers(1 << 20);
    transport.send(Command::Request { id: 1, peer, request, answers: sink }).unwrap();
    reader
}

fn refused(config: &Config) -> StartError {
    start(config, &Identity::generate(), Arc::new(Nothing)).unwrap_err()
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = listening_on(&format!("/ip4/127.0.0.1/tcp/{port}"));
    let error = refused(&config);
    assert_eq!(error, StartError::PortTaken { port, address: config.listen[0].clone() });
    assert_eq!(error.to_string(), format!("port {port} is taken (/ip4/127.0.0.1/tcp/{port})"));

    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = udp.local_addr().unwrap().port();
    let mut config = listening_on(&format!("/ip4/127.0.0.1/udp/{port}/quic-v1"));
    config.quic = true;
    assert!(matches!(refused(&config), StartError::PortTaken { .. }));
}

#[tokio::test]
async fn two_nodes_of_ours_cannot_share_a_port() {
    let (_first, mut events) = node(&listening_on("/ip4/127.0.0.1/tcp/0"));
    let Address(taken) = address(&mut events).await;
    assert!(matches!(refused(&listening_on(&taken)), StartError::PortTaken { .. }));
}

#[tokio::test]
async fn an_address_on_which_nobody_can_listen_is_named() {
    for bad in ["nonsense", "/ip4/203.0.113.9/tcp/4001", "/ip4/127.0.0.1/udp/0/quic-v1"] {
        let error = refused(&listening_on(bad));
        assert!(matches!(&error, StartError::Listen { address, .. } if address.0 == bad), "{error}");
    }
}

#[tokio::test]
async fn quic_carries_everything_as_well() {
    let mut config = listening_on("/ip4/127.0.0.1/udp/0/quic-v1");
    config.quic = true;
    let (caller, mut events) = node(&config);
    let (called, mut other_events) = node(&config);
    let addresses = vec![address(&mut other_events).await];
    let peer = called.local_peer();
    caller.send(Command::Dial { peer: Some(peer), addresses }).unwrap();
    until(&mut events, |event| matches!(event, Event::Identified { .. }).then_some(())).await;
    assert_eq!(outcome(ask(&caller, peer, Request::Status)).await, Outcome::Done);
    called.send(Command::Disconnect { peer: caller.local_peer() }).unwrap();
    let reason = until(&mut events, |event| match event {
        Event::Disconnected { reason, .. } => Some(reason),
        _ => None,
    })
    .await;
    assert_eq!(reason, DisconnectReason::Closed);
}

#[tokio::test]
async fn whoever_asks_what_cannot_be_asked_is_named() {
    let config = listening_on("/ip4/127.0.0.1/tcp/0");
    let (asker, mut events) = node(&config);
    let (server, mut server_events) = node(&config);
    let addresses = vec![address(&mut server_events).await];
    let peer = server.local_peer();
    asker.send(Command::Dial { peer: None, addresses }).unwrap();
    until(&mut events, |event| matches!(event, Event::Identified { .. }).then_some(())).await;
    let answer = ask(&asker, peer, Request::Bodies { ids: Vec::new() });
    assert_eq!(outcome(answer).await, Outcome::Lost);
    let (offender, violation) = until(&mut server_events, |event| match event {
        Event::Offended { peer, violation } => Some((peer, violation)),
        _ => None,
    })
    .await;
    assert_eq!((offender, violation), (asker.local_peer(), Violation::Malformed));
    assert_eq!(outcome(ask(&asker, peer, Request::Status)).await, Outcome::Done, "on a new stream");
}

/// Somebody with other software, without TLS: it knows Noise and identify only. Dials, and answers until the end of the test.
fn stranger(protocol: &str, to: &Address) {
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, libp2p::yamux::Config::default)
        .unwrap()
        .with_behaviour(|pair| {
            libp2p::identify::Behaviour::new(libp2p::identify::Config::new(
                protocol.to_owned(),
                pair.public(),
            ))
        })
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
        .build();
    swarm.dial(address::parse(to).unwrap()).unwrap();
    tokio::spawn(async move { while swarm.next().await.is_some() {} });
}

#[tokio::test]
async fn other_software_is_refused_as_foreign() {
    let (_node, mut events) = node(&listening_on("/ip4/127.0.0.1/tcp/0"));
    let at = address(&mut events).await;
    stranger("/something/else", &at);
    let theirs = until(&mut events, |event| match event {
        Event::Foreign { ours: GENESIS, theirs, .. } => Some(theirs),
        _ => None,
    })
    .await;
    assert_eq!(theirs, None);
    until(&mut events, |event| match event {
        Event::Disconnected { reason: DisconnectReason::Foreign, .. } => Some(()),
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_serves_nothing_says_so_at_once() {
    let (node, mut events) = node(&listening_on("/ip4/127.0.0.1/tcp/0"));
    let at = address(&mut events).await;
    stranger(&alys_wire::protocol::identify(GENESIS), &at);
    let peer = until(&mut events, |event| match event {
        Event::Identified { peer, .. } => Some(peer),
        _ => None,
    })
    .await;
    assert_eq!(outcome(ask(&node, peer, Request::Status)).await, Outcome::Unsupported);
}

/// Has every body, all of one size.
struct Bodies(usize);

impl BlockSource for Bodies {
    fn status(&self) -> Result<Status, Unavailable> {
        Nothing.status()
    }

    fn headers(&self, from: Height, count: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
        Nothing.headers(from, count)
    }

    fn bodies(&self, ids: &[BlockId], budget: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        let fit = ids.len().min((budget / self.0).max(1));
        Ok(vec![Some(Bytes::from(vec![7; self.0])); fit])
    }

    fn claim(&self, peer: PeerId, nonce: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
        Nothing.claim(peer, nonce)
    }
}

#[tokio::test]
async fn blocks_of_10_kb_cost_less_than_5_percent_more_on_the_line() {
    const BODY: usize = 10_000;
    let config = listening_on("/ip4/127.0.0.1/tcp/0");
    let (asker, mut events) = node(&config);
    let (server, mut server_events) = start(&config, &Identity::generate(), Arc::new(Bodies(BODY))).unwrap();
    let addresses = vec![address(&mut server_events).await];
    let peer = server.local_peer();
    asker.send(Command::Dial { peer: Some(peer), addresses }).unwrap();
    until(&mut events, |event| matches!(event, Event::Identified { .. }).then_some(())).await;
    let (received, sent) = (asker.traffic().received(), asker.traffic().sent());
    let mut reader = ask(&asker, peer, Request::Bodies { ids: vec![BlockId([3; 32]); 1000] });
    let mut blocks = 0;
    while let Some(answer) = reader.recv().await {
        match answer {
            Answer::Bodies(bodies) => blocks += bodies.len(),
            other => assert_eq!(other, Answer::End(Outcome::Done)),
        }
    }
    let line = asker.traffic().received() - received + asker.traffic().sent() - sent;
    let payload = u64::try_from(blocks * BODY).unwrap();
    assert_eq!(blocks, 1000);
    assert!(line > payload && line < payload + payload / 20, "{line} bytes for {payload}");
    assert!(server.traffic().sent() > payload);
}

/// Somebody who is connected and speaks, but never says who it is.
fn nameless(to: &Address) {
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), libp2p::tls::Config::new, libp2p::yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| libp2p::ping::Behaviour::default())
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
        .build();
    swarm.dial(address::parse(to).unwrap()).unwrap();
    tokio::spawn(async move { while swarm.next().await.is_some() {} });
}

#[tokio::test]
async fn who_never_says_its_name_is_left() {
    let (_node, mut events) = node(&listening_on("/ip4/127.0.0.1/tcp/0"));
    let at = address(&mut events).await;
    nameless(&at);
    until(&mut events, |event| matches!(event, Event::Connected { .. }).then_some(())).await;
    // From here on time passes as fast as everybody waits for it. Two lost pings would take longer than this.
    tokio::time::pause();
    let connected = tokio::time::Instant::now();
    let reason = until(&mut events, |event| match event {
        Event::Disconnected { reason, .. } => Some(reason),
        _ => None,
    })
    .await;
    assert_eq!(reason, DisconnectReason::Unresponsive);
    assert!(connected.elapsed() < Duration::from_secs(45), "{:?}", connected.elapsed());
}

#[tokio::test]
async fn the_handle_refuses_instead_of_waiting() {
    // The driver has no turn before this test waits for something.
    let (node, _events) = node(&Config::new(GENESIS));
    let publish = |bytes: usize| {
        let data = Bytes::from(vec![0; bytes]);
        node.send(Command::Publish { topic: Topic::Blocks, data })
    };
    publish(MAX_PUBLISH_BYTES).unwrap();
    assert_eq!(publish(1), Err(Overloaded));
    publish(0).unwrap();
    let unban = || node.send(Command::Unban { peer: node.local_peer() });
    while node.commands.capacity() > RESERVED_COMMANDS {
        unban().unwrap();
    }
    assert_eq!(publish(0), Err(Overloaded), "the rest is kept for commands");
    for _ in 0..RESERVED_COMMANDS {
        unban().unwrap();
    }
    assert_eq!(unban(), Err(Overloaded));
    let (sink, reader) = answers(1);
    let request =
        Command::Request { id: 1, peer: node.local_peer(), request: Request::Status, answers: sink };
    assert_eq!(node.send(request), Err(Overloaded));
    assert_eq!(outcome(reader).await, Outcome::Overloaded);
}

#[test]
fn neighbours_found_by_multicast_are_told_once_with_all_their_addresses() {
    let peer = libp2p::PeerId::random();
    let at = |text: &str| text.parse::<libp2p::Multiaddr>().unwrap();
    let found = vec![(peer, at("/ip4/192.0.2.1/tcp/1")), (peer, at("/ip4/192.0.2.2/tcp/1"))];
    let events = discovery::found_nearby(libp2p::mdns::Event::Discovered(found.clone()));
    let addresses =
        vec![Address("/ip4/192.0.2.1/tcp/1".to_owned()), Address("/ip4/192.0.2.2/tcp/1".to_owned())];
    assert_eq!(events, [Event::Discovered { peer: address::peer(&peer), addresses }]);
    assert!(discovery::found_nearby(libp2p::mdns::Event::Expired(found)).is_empty());
}
