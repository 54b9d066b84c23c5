//! Requests: served from the peer's source, carried at the speed of the link, stopped by a slow reader.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use alys_wire::bulk::{Refusal, Response, RetryAfter};
use alys_wire::{PeerId, Request};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::hub::{Action, Hub, lock};
use super::links::Transit;
use crate::answers::{Answer, AnswerSink, Outcome};
use crate::expected::{Wanted, add, outcome};
use crate::serving::{self, Allowance, MAX_UNANSWERED, Place, Reading, payload};
use crate::source::BlockSource;

/// How many bytes of an answer are on their way or wait for the reader's window: what the windows of a stream hold.
const FLIGHT_BYTES: u32 = 4 << 20;
/// Pieces travel together up to this size, in bytes, as frames do in one write.
const GROUP_BYTES: usize = 64 << 10;
/// The size of a request in bytes, but for the ids in it.
const REQUEST_BYTES: usize = 64;

/// Where the answer goes; whoever ends it takes it out.
type Sink = Arc<Mutex<Option<AnswerSink>>>;

fn take(sink: &Sink) -> Option<AnswerSink> {
    sink.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// What a node has asked of one peer over one connection. Dropped with the connection, it ends everything as lost.
#[derive(Debug)]
pub(super) struct Stream {
    jobs: UnboundedSender<Job>,
    running: BTreeMap<u64, Running>,
    task: AbortHandle,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
        for running in self.running.values() {
            drop(take(&running.sink));
        }
    }
}

#[derive(Clone, Debug)]
struct Running {
    sink: Sink,
    cancelled: CancellationToken,
}

/// A request that has arrived.
#[derive(Debug)]
struct Job {
    id: u64,
    request: Request,
    place: Result<Place, serving::RetryAfter>,
    running: Running,
}

/// Some of an answer on its way.
struct Flight {
    id: u64,
    request: Request,
    running: Running,
    pieces: Vec<Response>,
    arrives: Instant,
    _room: Option<OwnedSemaphorePermit>,
}

impl Hub {
    pub fn ask(&mut self, me: PeerId, server: PeerId, asked: (u64, Request), sink: AnswerSink) {
        let (id, request) = asked;
        let source = self.nodes.get(&server).map(|node| node.source.clone());
        let me_weak = self.me.clone();
        let opened = self.opened.clone();
        let peer = self.nodes.get_mut(&me).and_then(|node| node.peers.get_mut(&server));
        let Some(peer) = peer else { return sink.end(Outcome::Lost) };
        // A server that is gone while we do not know it yet answers nothing; the connection ends soon.
        let line = Line { hub: me_weak, way: (me, server), serial: peer.serial, opened };
        let stream = peer.stream.get_or_insert_with(|| Stream::open(line, source));
        if stream.running.len() >= MAX_UNANSWERED {
            return sink.end(Outcome::Overloaded);
        }
        let running = Running { sink: Arc::new(Mutex::new(Some(sink))), cancelled: CancellationToken::new() };
        stream.running.insert(id, running);
        let serial = peer.serial;
        let arrives = self.arrival(me, server, REQUEST_BYTES + ids(&request) * 32);
        self.later(arrives, Action::Asked { asker: me, server, serial, id, request });
    }

    /// A request reaches its server: let in or refused, then in line.
    pub fn asked(&mut self, way: (PeerId, PeerId), serial: u64, id: u64, request: Request) {
        let (asker, server) = way;
        if self.peer_mut(server, asker, serial).is_none() {
            return;
        }
        let now = Instant::now();
        let Some(node) = self.nodes.get_mut(&server) else { return };
        let allowance = node.allowances.of(asker, now);
        let Some(stream) = self.peer_mut(asker, server, serial).and_then(|peer| peer.stream.as_mut()) else {
            return;
        };
        if let Some(running) = stream.running.get(&id).cloned() {
            let place = allowance.admit(now);
            // The task ends with the stream only.
            let _ = stream.jobs.send(Job { id, request, place, running });
        }
    }

    pub fn cancel(&mut self, me: PeerId, server: PeerId, id: u64) {
        let peer = self.nodes.get(&me).and_then(|node| node.peers.get(&server));
        if let Some(running) =
            peer.and_then(|peer| peer.stream.as_ref()).and_then(|stream| stream.running.get(&id))
        {
            running.cancelled.cancel();
            if let Some(sink) = take(&running.sink) {
                sink.end(Outcome::Cancelled);
            }
        }
    }
}

fn ids(request: &Request) -> usize {
    match request {
        Request::Bodies { ids } => ids.len(),
        _ => 0,
    }
}

impl Stream {
    fn open(line: Line, source: Option<Arc<dyn BlockSource>>) -> Self {
        let (jobs, waiting) = unbounded_channel();
        let (flights, arriving) = unbounded_channel();
        let task = tokio::spawn(async move {
            let sending = async {
                match source {
                    Some(source) => line.serve(source, waiting, flights).await,
                    None => core::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = line.deliver(arriving) => {}
                () = sending => {}
            }
            line.break_stream();
        });
        Self { jobs, running: BTreeMap::new(), task: task.abort_handle() }
    }
}

/// One stream's way between two nodes.
struct Line {
    hub: Weak<Mutex<Hub>>,
    /// Who asks, who answers.
    way: (PeerId, PeerId),
    serial: u64,
    opened: Arc<Notify>,
}

impl Line {
    fn with<T>(&self, act: impl FnOnce(&mut Hub) -> T) -> Option<T> {
        self.hub.upgrade().map(|hub| act(&mut lock(&hub)))
    }

    /// Waits while the link is down.
    async fn open(&self) {
        loop {
            // Made before the look, so that no change after it is missed.
            let opened = self.opened.notified();
            if self.with(|hub| hub.links.is_down(self.way.0, self.way.1)) != Some(true) {
                return;
            }
            opened.await;
        }
    }

    fn allowance(&self) -> Option<Arc<Allowance>> {
        let (asker, server) = self.way;
        self.with(|hub| {
            let node = hub.nodes.get_mut(&server)?;
            Some(node.allowances.of(asker, Instant::now()))
        })?
    }

    async fn serve(
        &self,
        source: Arc<dyn BlockSource>,
        mut waiting: UnboundedReceiver<Job>,
        flights: UnboundedSender<Flight>,
    ) {
        let room = Arc::new(Semaphore::new(FLIGHT_BYTES as usize));
        while let Some(mut job) = waiting.recv().await {
            let sender = Sender { line: self, room: room.clone(), flights: &flights };
            let place = core::mem::replace(&mut job.place, Err(serving::RetryAfter::default()));
            let last = match place {
                Ok(_place) => sender.answer(&job, &*source).await,
                Err(serving::RetryAfter(wait)) => {
                    let millis = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).max(1);
                    Response::Refused { reason: Refusal::RateLimited, retry_after: RetryAfter(millis) }
                }
            };
            sender.send(&job, vec![last]).await;
        }
    }

    /// Passes on what arrives; returns when the server has broken the protocol.
    async fn deliver(&self, mut arriving: UnboundedReceiver<Flight>) {
        let mut current: Option<(u64, Wanted)> = None;
        while let Some(flight) = arriving.recv().await {
            tokio::time::sleep(flight.arrives.saturating_duration_since(Instant::now())).await;
            self.open().await;
            let wanted = match &mut current {
                Some((id, wanted)) if *id == flight.id => wanted,
                other => &mut other.insert((flight.id, Wanted::new(&flight.request))).1,
            };
            let mut batch = None;
            let mut end = None;
            for piece in flight.pieces {
                if let Err(violation) = wanted.take(&piece) {
                    if let Some(sink) = take(&flight.running.sink) {
                        sink.end(Outcome::Violated(violation));
                    }
                    return;
                }
                end = piece.is_last().then(|| outcome(&piece));
                add(&mut batch, piece);
            }
            pass(&flight.running, batch).await;
            if let Some(outcome) = end {
                current = None;
                self.finish(flight.id, &flight.running, outcome);
            }
        }
    }

    fn finish(&self, id: u64, running: &Running, outcome: Outcome) {
        if let Some(sink) = take(&running.sink) {
            sink.end(outcome);
        }
        let (asker, server) = self.way;
        self.with(|hub| {
            let peer = hub.peer_mut(asker, server, self.serial);
            if let Some(stream) = peer.and_then(|peer| peer.stream.as_mut()) {
                stream.running.remove(&id);
            }
        });
    }

    /// Drops the stream; the next request opens a new one.
    fn break_stream(&self) {
        let (asker, server) = self.way;
        self.with(|hub| {
            if let Some(peer) = hub.peer_mut(asker, server, self.serial) {
                peer.stream = None;
            }
        });
    }
}

async fn pass(running: &Running, batch: Option<Answer>) {
    let Some(answer) = batch else { return };
    let Some(sink) = take(&running.sink) else { return };
    tokio::select! {
        biased;
        () = running.cancelled.cancelled() => sink.end(Outcome::Cancelled),
        passed = sink.push(answer) => match passed {
            Ok(()) => *running.sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink),
            // Nobody reads it any more.
            Err(_) => running.cancelled.cancel(),
        },
    }
}

struct Sender<'a> {
    line: &'a Line,
    room: Arc<Semaphore>,
    flights: &'a UnboundedSender<Flight>,
}

impl Sender<'_> {
    /// Sends the answer but for its last piece, which is returned.
    async fn answer(&self, job: &Job, source: &dyn BlockSource) -> Response {
        let mut reading = Reading::new(job.request.clone());
        let mut served = 0;
        while !reading.is_over() && !job.running.cancelled.is_cancelled() {
            let Ok(pieces) = reading.next(source, self.line.way.0) else {
                return Response::Refused { reason: Refusal::Unavailable, retry_after: RetryAfter(1) };
            };
            if let Some(allowance) = self.line.allowance() {
                allowance.spend(pieces.iter().map(payload).sum());
            }
            let found = pieces.iter().filter(|piece| !matches!(piece, Response::Missing { .. })).count();
            served += u32::try_from(found).unwrap_or(u32::MAX);
            for group in groups(pieces) {
                self.send(job, group).await;
            }
        }
        Response::End { served }
    }

    /// Puts pieces on the line: waits for room in the windows, for the link to be up, and until they have left.
    async fn send(&self, job: &Job, pieces: Vec<Response>) {
        let bytes: usize = pieces.iter().map(payload).sum();
        let wanted = u32::try_from(bytes).unwrap_or(u32::MAX).min(FLIGHT_BYTES);
        let room = self.room.clone().acquire_many_owned(wanted).await.ok();
        self.line.open().await;
        let (asker, server) = self.line.way;
        let transit = self.line.with(|hub| hub.links.transit(&mut hub.rng, (server, asker), bytes));
        let Some(Transit { sent, arrives }) = transit else { return };
        let flight = Flight {
            id: job.id,
            request: job.request.clone(),
            running: job.running.clone(),
            pieces,
            arrives,
            _room: room,
        };
        // The other half ends only together with this one.
        let _ = self.flights.send(flight);
        tokio::time::sleep(sent.saturating_duration_since(Instant::now())).await;
    }
}

/// Pieces in groups that travel together.
fn groups(pieces: Vec<Response>) -> Vec<Vec<Response>> {
    let mut groups: Vec<Vec<Response>> = Vec::new();
    let mut size = 0;
    for piece in pieces {
        let bytes = payload(&piece);
        // An empty body weighs nothing, and still needs a group to travel in.
        if groups.is_empty() || size + bytes > GROUP_BYTES {
            groups.push(Vec::new());
            size = 0;
        }
        size += bytes;
        if let Some(group) = groups.last_mut() {
            group.push(piece);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use alys_chain::{BlockId, Body};

    use super::*;

    #[test]
    fn empty_bodies_travel_as_well() {
        let piece =
            |size: usize| Response::Body { block: BlockId::default(), body: Body(vec![0; size].into()) };
        let sizes = [0, 0, GROUP_BYTES, 0, GROUP_BYTES];
        let travelled: Vec<usize> = groups(sizes.map(piece).to_vec()).iter().map(Vec::len).collect();
        assert_eq!(travelled, [4, 1]);
    }
}
