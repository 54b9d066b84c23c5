//! Carries bytes from one socket to another along a [`Line`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep};

use super::line::{LARGEST_PIECE, Line};

/// Pieces that may be under way. At the largest piece this is 128 MiB, 100 ms of more than a gigabyte a second; beyond it the sender waits.
const UNDER_WAY: usize = 512;
/// What is copied at once, in bytes.
const BUFFER: usize = 256 << 10;

/// A piece, and when it arrives.
type Piece = (Duration, Bytes);

/// Carries until one of the ends is gone.
pub async fn run(
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    line: Line,
    begin: Instant,
    counter: &AtomicU64,
) -> Result<()> {
    let (pieces, arriving) = channel(UNDER_WAY);
    tokio::try_join!(read(from, line, begin, pieces, counter), write(to, begin, arriving))?;
    Ok(())
}

async fn read(
    mut from: OwnedReadHalf,
    mut line: Line,
    begin: Instant,
    pieces: Sender<Piece>,
    counter: &AtomicU64,
) -> Result<()> {
    let mut buffer = BytesMut::with_capacity(BUFFER);
    loop {
        let most = usize::try_from(line.piece().min(LARGEST_PIECE))?;
        if buffer.capacity() < most {
            buffer.reserve(BUFFER);
        }
        let read = from.read_buf(&mut bytes::BufMut::limit(&mut buffer, most)).await?;
        if read == 0 {
            return Ok(());
        }
        counter.fetch_add(read as u64, Ordering::Relaxed);
        let passage = line.enter(begin.elapsed(), read as u64);
        if pieces.send((passage.arrives, buffer.split().freeze())).await.is_err() {
            return Ok(());
        }
        wait(begin, passage.next).await;
    }
}

async fn write(mut to: OwnedWriteHalf, begin: Instant, mut arriving: Receiver<Piece>) -> Result<()> {
    while let Some((arrives, piece)) = arriving.recv().await {
        wait(begin, arrives).await;
        to.write_all(&piece).await?;
    }
    Ok(to.shutdown().await?)
}

async fn wait(begin: Instant, until: Duration) {
    let left = until.saturating_sub(begin.elapsed());
    if !left.is_zero() {
        sleep(left).await;
    }
}
