//! Streams with somebody at the other end who does not keep to the protocol, or to the order of things.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use alys_chain::{BlockId, Body, CertifiedHeader, Height};
use alys_wire::bulk::{FrameDecoder, RequestFrame, Response, ResponseFrame};
use alys_wire::limits::NONCE_BYTES;
use alys_wire::{PeerId, Request, Status};
use bytes::{Bytes, BytesMut};
use futures::poll;
use libp2p::StreamProtocol;
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use tokio_util::compat::TokioAsyncReadCompatExt;

use super::asker;
use super::handler::Handler;
use super::server::Server;
use super::{Ask, Order, RequestId};
use crate::answers::{Answer, Answers, Outcome, Violation, answers};
use crate::serving::{Allowance, ServingLimits};
use crate::source::{BlockSource, Unavailable};

/// What is on its way between asker and peer at most.
const PIPE_BYTES: usize = 64 << 10;
const BLOCK: BlockId = BlockId([4; 32]);

/// An asker whose peer is played by the test.
struct Asking {
    orders: UnboundedSender<Order>,
    peer: DuplexStream,
}

impl Asking {
    fn new() -> Self {
        let (ours, peer) = duplex(PIPE_BYTES);
        let (orders, waiting) = unbounded_channel();
        tokio::spawn(asker::run(ours.compat(), waiting));
        Self { orders, peer }
    }

    fn ask(&self, id: u64, request: Request, window: usize) -> Answers {
        let (sink, reader) = answers(window);
        let ask = Ask { id: RequestId(id), request, sink, slot: Arc::default() };
        self.orders.send(Order::Ask(ask)).unwrap();
        reader
    }

    /// What the asker writes next.
    async fn read(&mut self) -> RequestFrame {
        let mut decoder = FrameDecoder::for_requests();
        loop {
            let byte = [self.peer.read_u8().await.unwrap()];
            if let Some(frame) = decoder.next_frame(&mut &byte[..]).unwrap() {
                return RequestFrame::decode(&frame).unwrap();
            }
        }
    }

    async fn answer(&mut self, id: u64, response: Response) {
        let mut out = BytesMut::new();
        let body = ResponseFrame { id: RequestId(id), response }.encode(&mut out);
        out.extend_from_slice(&body);
        self.peer.write_all(&out).await.unwrap();
    }
}

fn bodies() -> Request {
    Request::Bodies { ids: vec![BLOCK, BLOCK] }
}

fn body(size: usize) -> Response {
    Response::Body { block: BLOCK, body: Body(vec![1; size].into()) }
}

async fn outcome(mut reader: Answers) -> Outcome {
    loop {
        if let Answer::End(outcome) = reader.recv().await.unwrap() {
            return outcome;
        }
    }
}

#[tokio::test]
async fn a_violation_is_blamed_once_and_what_waits_behind_it_is_lost() {
    let cases = [
        (7, body(3), Violation::OtherRequest),
        (1, Response::Claim(Bytes::new()), Violation::WrongKind),
        (1, Response::Missing { block: BlockId([5; 32]) }, Violation::OutOfOrder),
    ];
    for (id, response, violation) in cases {
        let mut asking = Asking::new();
        let first = asking.ask(1, bodies(), 1000);
        let second = asking.ask(2, bodies(), 1000);
        asking.read().await;
        asking.answer(id, response).await;
        assert_eq!(outcome(first).await, Outcome::Violated(violation));
        assert_eq!(outcome(second).await, Outcome::Lost);
    }
}

#[tokio::test]
async fn garbage_is_a_violation() {
    let mut asking = Asking::new();
    let answer = asking.ask(1, bodies(), 1000);
    asking.read().await;
    asking.peer.write_all(&[0xff; 20]).await.unwrap();
    assert_eq!(outcome(answer).await, Outcome::Violated(Violation::Malformed));

    let mut asking = Asking::new();
    let answer = asking.ask(1, Request::Status, 1000);
    asking.read().await;
    // A status frame with nothing in it.
    let empty = [&[0x81][..], &8u32.to_le_bytes(), &1u64.to_le_bytes()].concat();
    asking.peer.write_all(&empty).await.unwrap();
    assert_eq!(outcome(answer).await, Outcome::Violated(Violation::Malformed));
}

#[tokio::test]
async fn our_stream_is_opened_before_anything_is_asked() {
    let source = Same { body: Bytes::new(), reads: Arc::default() };
    let mut handler = Handler::new(StreamProtocol::new("/bulk"), server(source));
    let mut cx = Context::from_waker(Waker::noop());
    let first = handler.poll(&mut cx);
    assert!(matches!(first, Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { .. })));
    assert!(handler.poll(&mut cx).is_pending(), "one stream");
}

#[tokio::test]
async fn nothing_is_read_before_something_is_asked() {
    let Asking { orders, mut peer } = Asking::new();
    let flood = [0xff; PIPE_BYTES + 1];
    let mut write = pin!(peer.write_all(&flood));
    for _ in 0..10 {
        assert!(poll!(&mut write).is_pending(), "it does not fit into the pipe");
        tokio::task::yield_now().await;
    }
    let (sink, reader) = answers(1000);
    let ask = Ask { id: RequestId(1), request: Request::Status, sink, slot: Arc::default() };
    orders.send(Order::Ask(ask)).unwrap();
    assert_eq!(outcome(reader).await, Outcome::Violated(Violation::Malformed));
}

#[tokio::test]
async fn a_closed_stream_keeps_what_arrived() {
    let mut asking = Asking::new();
    let mut answer = asking.ask(1, bodies(), 1000);
    asking.read().await;
    asking.answer(1, body(3)).await;
    drop(asking.peer);
    assert!(matches!(answer.recv().await, Some(Answer::Bodies(bodies)) if bodies.len() == 1));
    assert_eq!(outcome(answer).await, Outcome::Lost);
}

#[tokio::test]
async fn what_has_arrived_is_taken_though_nothing_can_be_written() {
    let mut asking = Asking::new();
    let mut answer = asking.ask(1, bodies(), 1000);
    // The asker has not run yet: its first write fails when the answer is there.
    asking.answer(1, body(3)).await;
    drop(asking.peer);
    assert!(matches!(answer.recv().await, Some(Answer::Bodies(bodies)) if bodies.len() == 1));
    assert_eq!(outcome(answer).await, Outcome::Lost);
}

#[tokio::test]
async fn a_request_that_is_cancelled_while_its_reader_is_slow_lets_the_next_through() {
    let mut asking = Asking::new();
    let slow = asking.ask(1, bodies(), 1);
    let next = asking.ask(2, bodies(), 1000);
    asking.read().await;
    asking.answer(1, body(3)).await;
    asking.answer(1, body(3)).await;
    asking.orders.send(Order::Cancel(RequestId(1))).unwrap();
    assert_eq!(outcome(slow).await, Outcome::Cancelled);
    // What of it was on its way is dropped.
    asking.answer(1, Response::End { served: 2 }).await;
    asking.answer(2, Response::End { served: 0 }).await;
    assert_eq!(outcome(next).await, Outcome::Done);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_cancelled_at_the_peer() {
    let mut asking = Asking::new();
    drop(asking.ask(1, bodies(), 1000));
    assert!(matches!(asking.read().await, RequestFrame::Ask { .. }));
    asking.answer(1, body(3)).await;
    assert_eq!(asking.read().await, RequestFrame::Cancel { id: RequestId(1) });
}

#[tokio::test]
async fn without_orders_the_stream_ends() {
    let mut asking = Asking::new();
    drop(asking.orders);
    assert_eq!(asking.peer.read(&mut [0; 8]).await.unwrap(), 0);
}

/// Serves the same body for whatever is asked.
struct Same {
    body: Bytes,
    reads: Arc<AtomicUsize>,
}

impl BlockSource for Same {
    fn status(&self) -> Result<Status, Unavailable> {
        Err(Unavailable)
    }

    fn headers(&self, _: Height, _: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
        Ok(Vec::new())
    }

    fn bodies(&self, _: &[BlockId], _: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(vec![Some(self.body.clone())])
    }

    fn claim(&self, _: PeerId, _: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
        Ok(None)
    }
}

type Served = tokio::task::JoinHandle<Result<(), alys_wire::Malformed>>;

fn serve(body: usize) -> (DuplexStream, Served) {
    let (asker, served, _) = serve_and_count(body);
    (asker, served)
}

/// And how often bodies were read.
fn serve_and_count(body: usize) -> (DuplexStream, Served, Arc<AtomicUsize>) {
    let reads = Arc::<AtomicUsize>::default();
    let (ours, asker) = duplex(32 << 10);
    let server = server(Same { body: vec![6; body].into(), reads: reads.clone() });
    (asker, tokio::spawn(server.run(ours.compat())), reads)
}

fn server(source: Same) -> Server {
    let allowance = Allowance::new(ServingLimits::default(), Instant::now());
    Server { source: Arc::new(source), allowance, asker: PeerId::from_bytes(&[1; 38]).unwrap() }
}

fn encoded(frames: &[RequestFrame]) -> BytesMut {
    let mut out = BytesMut::new();
    frames.iter().for_each(|frame| frame.encode(&mut out));
    out
}

/// Reads the answer to this request to its end; how many bodies came.
async fn served(stream: &mut DuplexStream, id: u64) -> u32 {
    let mut decoder = FrameDecoder::for_responses();
    let mut bodies = 0;
    loop {
        let byte = [stream.read_u8().await.unwrap()];
        let Some(frame) = decoder.next_frame(&mut &byte[..]).unwrap() else { continue };
        let ResponseFrame { id: of, response } = ResponseFrame::decode(&frame).unwrap();
        assert_eq!(of, RequestId(id));
        match response {
            Response::Body { .. } => bodies += 1,
            Response::End { served } => {
                assert_eq!(served, bodies);
                return bodies;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn whoever_asks_nonsense_is_named() {
    let (mut stream, server) = serve(10);
    stream.write_all(&[0x81; 30]).await.unwrap();
    assert!(server.await.unwrap().is_err());

    let (mut stream, server) = serve(10);
    let none = RequestFrame::Ask { id: RequestId(1), request: Request::Bodies { ids: vec![] } };
    stream.write_all(&encoded(&[none])).await.unwrap();
    assert!(server.await.unwrap().is_err());
}

#[tokio::test]
async fn a_cancelled_answer_ends_early_and_the_next_is_whole() {
    let (mut stream, _server) = serve(40_000);
    let ask = |id: u64, n: usize| RequestFrame::Ask {
        id: RequestId(id),
        request: Request::Bodies { ids: vec![BLOCK; n] },
    };
    let frames = [ask(1, 200), ask(2, 5), RequestFrame::Cancel { id: RequestId(1) }];
    stream.write_all(&encoded(&frames)).await.unwrap();
    assert!(served(&mut stream, 1).await < 200);
    assert_eq!(served(&mut stream, 2).await, 5);
}

#[tokio::test]
async fn nothing_is_read_for_a_request_that_is_cancelled_before_its_turn() {
    let (mut stream, _server, reads) = serve_and_count(10);
    let ask =
        |id: u64| RequestFrame::Ask { id: RequestId(id), request: Request::Bodies { ids: vec![BLOCK] } };
    let frames = [ask(1), ask(2), RequestFrame::Cancel { id: RequestId(2) }, ask(3)];
    stream.write_all(&encoded(&frames)).await.unwrap();
    assert_eq!(served(&mut stream, 1).await, 1);
    assert_eq!(served(&mut stream, 2).await, 0);
    assert_eq!(served(&mut stream, 3).await, 1);
    assert_eq!(reads.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_was_asked_before_the_asker_closed_its_half_is_answered() {
    let (mut stream, server) = serve(10);
    let ask = RequestFrame::Ask { id: RequestId(1), request: Request::Bodies { ids: vec![BLOCK; 3] } };
    stream.write_all(&encoded(&[ask])).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(served(&mut stream, 1).await, 3);
    assert!(server.await.unwrap().is_ok());
}
