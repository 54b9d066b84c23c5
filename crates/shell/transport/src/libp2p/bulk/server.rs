//! The serving end of a bulk stream: reads requests, answers them in order from the store, in pieces.
//!
//! Reading and writing run beside each other, so that a cancellation is heard while an answer is written. One chunk is read from the store
//! (in a blocking thread) while the one before is being written; the stream's window stops both when the asker reads slowly.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use alys_wire::bulk::{FrameDecoder, Refusal, RequestFrame, RequestId, Response, ResponseFrame, RetryAfter};
use alys_wire::{Malformed, PeerId, Request};
use bytes::BytesMut;
use futures::io::{ReadHalf, WriteHalf};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::serving::{self, Allowance, Place, Reading, payload};
use crate::source::{BlockSource, Unavailable};

/// How much is read from the stream at once, in bytes: half of the longest request. Requests are few and mostly short.
const READ_BYTES: usize = 16 << 10;
/// How many requests wait for their turn, refused ones included. A peer that sends more without reading the answers is no longer read.
const WAITING: usize = 64;
/// Frames are collected up to this size, in bytes, before they are written: some 200 headers in one go.
const WRITE_BYTES: usize = 64 << 10;
/// A body of this size and above, in bytes, is written from where it lies; a smaller one is cheaper to copy than to write by itself.
const DIRECT_BYTES: usize = 16 << 10;

const UNAVAILABLE: Response =
    Response::Refused { reason: Refusal::Unavailable, retry_after: RetryAfter(UNAVAILABLE_RETRY_MILLIS) };
/// A store that cannot be read is not back in less than a slot.
const UNAVAILABLE_RETRY_MILLIS: u32 = 2000;

/// What a stream is served from.
#[derive(Clone)]
pub(super) struct Server {
    pub source: Arc<dyn BlockSource>,
    pub allowance: Arc<Allowance>,
    pub asker: PeerId,
}

/// A request in its turn. Refused at once, or with a place among the running ones.
struct Job {
    id: RequestId,
    request: Request,
    place: Result<Place, serving::RetryAfter>,
    cancelled: Arc<AtomicBool>,
}

impl Server {
    /// Serves the stream until it ends. Returns what the asker is to be blamed for, if anything.
    pub async fn run<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) -> Result<(), Malformed> {
        let (read_half, write_half) = stream.split();
        let (jobs, waiting) = channel(WAITING);
        let writer = Writer { server: self.clone(), stream: write_half, out: BytesMut::new() };
        tokio::select! {
            biased;
            read = self.read(read_half, jobs) => read,
            _ = writer.run(waiting) => Ok(()),
        }
    }

    async fn read<S: AsyncRead>(&self, mut stream: ReadHalf<S>, jobs: Sender<Job>) -> Result<(), Malformed> {
        let mut decoder = FrameDecoder::for_requests();
        let mut buffer = vec![0; READ_BYTES];
        let mut running: Vec<(RequestId, Weak<AtomicBool>)> = Vec::new();
        loop {
            let mut input = match stream.read(&mut buffer).await {
                // The asker may close its half early: the writer ends when what was asked is answered.
                Ok(0) => {
                    drop(jobs);
                    return core::future::pending().await;
                }
                Ok(n) => &buffer[..n],
                Err(_) => return Ok(()),
            };
            while let Some(frame) = decoder.next_frame(&mut input)? {
                running.retain(|(_, cancelled)| cancelled.strong_count() > 0);
                match RequestFrame::decode(&frame)? {
                    RequestFrame::Cancel { id } => cancel(&running, id),
                    RequestFrame::Ask { id, request } => {
                        let cancelled = Arc::new(AtomicBool::new(false));
                        running.push((id, Arc::downgrade(&cancelled)));
                        let place = self.allowance.admit(Instant::now());
                        if jobs.send(Job { id, request, place, cancelled }).await.is_err() {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }
}

fn cancel(running: &[(RequestId, Weak<AtomicBool>)], id: RequestId) {
    for flag in running.iter().filter(|(of, _)| *of == id).filter_map(|(_, flag)| flag.upgrade()) {
        flag.store(true, Ordering::Relaxed);
    }
}

struct Writer<S> {
    server: Server,
    stream: WriteHalf<S>,
    out: BytesMut,
}

impl<S: AsyncWrite> Writer<S> {
    async fn run(mut self, mut waiting: Receiver<Job>) -> std::io::Result<()> {
        while let Some(job) = waiting.recv().await {
            let id = job.id;
            let last = match &job.place {
                Err(retry) => Response::Refused {
                    reason: Refusal::RateLimited,
                    retry_after: RetryAfter(u32::try_from(retry.0.as_millis()).unwrap_or(u32::MAX).max(1)),
                },
                Ok(_) => self.answer(job).await?,
            };
            self.frame(id, last).await?;
            self.write_out().await?;
            self.stream.flush().await?;
        }
        Ok(())
    }

    /// Writes the answer but for its last frame, which is returned.
    async fn answer(&mut self, job: Job) -> std::io::Result<Response> {
        let Job { id, request, place: _place, cancelled } = job;
        if cancelled.load(Ordering::Relaxed) {
            return Ok(Response::End { served: 0 });
        }
        let mut served = 0;
        let mut ahead = Some(self.read_ahead(Reading::new(request)));
        while let Some(read) = ahead.take() {
            let Ok((reading, Ok(pieces))) = read.await else { return Ok(UNAVAILABLE) };
            if cancelled.load(Ordering::Relaxed) {
                break;
            }
            if !reading.is_over() {
                ahead = Some(self.read_ahead(reading));
            }
            self.server.allowance.spend(pieces.iter().map(payload).sum());
            for piece in pieces {
                served += u32::from(!matches!(piece, Response::Missing { .. }));
                self.frame(id, piece).await?;
            }
        }
        Ok(Response::End { served })
    }

    fn read_ahead(&self, mut reading: Reading) -> JoinHandle<(Reading, Result<Vec<Response>, Unavailable>)> {
        let (source, asker) = (self.server.source.clone(), self.server.asker);
        tokio::task::spawn_blocking(move || {
            let pieces = reading.next(&*source, asker);
            (reading, pieces)
        })
    }

    async fn frame(&mut self, id: RequestId, response: Response) -> std::io::Result<()> {
        let body = ResponseFrame { id, response }.encode(&mut self.out);
        if body.len() < DIRECT_BYTES {
            self.out.extend_from_slice(&body);
        }
        if body.len() >= DIRECT_BYTES || self.out.len() >= WRITE_BYTES {
            self.write_out().await?;
        }
        if body.len() >= DIRECT_BYTES {
            self.stream.write_all(&body).await?;
        }
        Ok(())
    }

    async fn write_out(&mut self) -> std::io::Result<()> {
        self.stream.write_all(&self.out).await?;
        self.out.clear();
        Ok(())
    }
}
