//! The asking end of a bulk stream: writes requests as they come, reads answers in the order of the requests, passes them on.
//!
//! Both halves run beside each other, so that a full window in one direction never stops the other. A slow reader of one answer stops the
//! stream: what waits behind it waits as well, in the peer's memory or in the windows, not here.

use std::collections::VecDeque;
use std::pin::pin;

use alys_wire::bulk::{FrameDecoder, RequestFrame, RequestId, ResponseFrame};
use bytes::BytesMut;
use futures::io::{ReadHalf, WriteHalf};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Order;
use crate::answers::{Answer, AnswerSink, Outcome, Violation};
use crate::expected::{Wanted, add, outcome};

/// How much is read from the stream at once, in bytes: the first window of a stream. More is never there at once when the stream is young;
/// less means more wake-ups.
const READ_BYTES: usize = 256 << 10;

/// Runs the stream until it ends, a peer breaks the protocol, or there are no more orders. Whatever is unanswered then ends as lost.
///
/// Nothing is read before the first order: a stream that nobody uses takes no window from those in use.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(stream: S, mut orders: UnboundedReceiver<Order>) {
    let Some(first) = orders.recv().await else { return };
    let (read_half, write_half) = stream.split();
    let (to_reader, notes) = unbounded_channel();
    // What was asked is known before anything is read.
    let first = announce(first, &to_reader);
    let (to_writer, cancels) = unbounded_channel();
    let reader =
        Reader { decoder: FrameDecoder::for_responses(), running: VecDeque::new(), notes, to_writer };
    tokio::select! {
        // What has arrived when a write fails is taken before.
        biased;
        end = reader.run(read_half) => end,
        _ = write(write_half, first, orders, cancels, to_reader) => (),
    }
}

/// What the writing half tells the reading half, before the bytes leave.
enum Note {
    Asked(Expected),
    Cancelled(RequestId),
}

/// Writes requests and cancellations, as many as wait in one go.
async fn write<S: AsyncWrite>(
    mut stream: WriteHalf<S>,
    first: RequestFrame,
    mut orders: UnboundedReceiver<Order>,
    mut cancels: UnboundedReceiver<RequestId>,
    to_reader: UnboundedSender<Note>,
) -> std::io::Result<()> {
    let mut out = BytesMut::new();
    first.encode(&mut out);
    loop {
        while let Ok(order) = orders.try_recv() {
            announce(order, &to_reader).encode(&mut out);
        }
        stream.write_all(&out).await?;
        stream.flush().await?;
        out.clear();
        let next = tokio::select! {
            biased;
            order = orders.recv() => order.map(|order| announce(order, &to_reader)),
            Some(id) = cancels.recv() => Some(RequestFrame::Cancel { id }),
        };
        let Some(frame) = next else { return Ok(()) };
        frame.encode(&mut out);
    }
}

/// Tells the reading half of this order; what is to be written for it.
fn announce(order: Order, to_reader: &UnboundedSender<Note>) -> RequestFrame {
    let (frame, note) = match order {
        Order::Cancel(id) => (RequestFrame::Cancel { id }, Note::Cancelled(id)),
        Order::Ask(ask) => {
            let wanted = Wanted::new(&ask.request);
            let expected = Expected { id: ask.id, wanted, sink: Some(ask.sink), _slot: ask.slot };
            (RequestFrame::Ask { id: ask.id, request: ask.request }, Note::Asked(expected))
        }
    };
    // The reader ends only together with the writing half.
    let _ = to_reader.send(note);
    frame
}

/// A request whose answer is not complete. Without a sink it is cancelled, and the rest of its answer is dropped.
struct Expected {
    id: RequestId,
    wanted: Wanted,
    sink: Option<AnswerSink>,
    _slot: std::sync::Arc<()>,
}

struct Reader {
    decoder: FrameDecoder,
    running: VecDeque<Expected>,
    notes: UnboundedReceiver<Note>,
    to_writer: UnboundedSender<RequestId>,
}

impl Reader {
    async fn run<S: AsyncRead>(mut self, mut stream: ReadHalf<S>) {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let read = tokio::select! {
                biased;
                note = self.notes.recv() => {
                    let Some(note) = note else { return };
                    self.heed(note);
                    continue;
                }
                read = stream.read(&mut buffer) => read,
            };
            let input = match read {
                Ok(0) | Err(_) => return,
                Ok(n) => &buffer[..n],
            };
            if let Err(violation) = self.take(input).await {
                self.blame(violation);
                return;
            }
        }
    }

    /// Takes the frames out of these bytes and passes on what they complete.
    async fn take(&mut self, mut input: &[u8]) -> Result<(), Violation> {
        let mut batch = None;
        while let Some(frame) = self.decoder.next_frame(&mut input).map_err(|_| Violation::Malformed)? {
            let ResponseFrame { id, response } =
                ResponseFrame::decode(&frame).map_err(|_| Violation::Malformed)?;
            self.heed_all();
            let running = self.running.front_mut().filter(|running| running.id == id);
            running.ok_or(Violation::OtherRequest)?.wanted.take(&response)?;
            if response.is_last() {
                self.pass(batch.take()).await;
                self.end(outcome(&response));
            } else {
                add(&mut batch, response);
            }
        }
        self.pass(batch).await;
        Ok(())
    }

    /// Passes pieces to whoever asked; waits while its window is full, but not for one that is cancelled meanwhile.
    async fn pass(&mut self, batch: Option<Answer>) {
        let (Some(answer), Some(running)) = (batch, self.running.front_mut()) else { return };
        let Some(sink) = running.sink.take() else { return };
        let id = running.id;
        let passed = {
            let mut push = pin!(sink.push(answer));
            loop {
                tokio::select! {
                    biased;
                    note = self.notes.recv() => match note {
                        Some(Note::Cancelled(cancelled)) if cancelled == id => break None,
                        Some(note) => self.heed(note),
                        None => break None,
                    },
                    passed = &mut push => break Some(passed),
                }
            }
        };
        match passed {
            None => sink.end(Outcome::Cancelled),
            // Nobody reads it any more: tell the peer, and drop what is still on its way.
            Some(Err(_)) => drop(self.to_writer.send(id)),
            Some(Ok(())) => {
                if let Some(running) = self.running.front_mut() {
                    running.sink = Some(sink);
                }
            }
        }
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(sink) = self.running.pop_front().and_then(|running| running.sink) {
            sink.end(outcome);
        }
    }

    fn blame(&mut self, violation: Violation) {
        self.end(Outcome::Violated(violation));
    }

    fn heed_all(&mut self) {
        while let Ok(note) = self.notes.try_recv() {
            self.heed(note);
        }
    }

    fn heed(&mut self, note: Note) {
        match note {
            Note::Asked(expected) => self.running.push_back(expected),
            Note::Cancelled(id) => {
                let running = self.running.iter_mut().find(|running| running.id == id);
                if let Some(sink) = running.and_then(|running| running.sink.take()) {
                    sink.end(Outcome::Cancelled);
                }
            }
        }
    }
}
