//! A bare client of one source: it asks and counts, and verifies nothing by itself.

use std::collections::VecDeque;
use std::sync::Arc;

use alys_actors::network::Requests;
use alys_chain::{BlockId, Body, CertifiedHeader, Height};
use alys_transport::{
    Answer, Answers, BlockSource, Command, Config, Event, Identity, Outcome, Transport, Unavailable, start,
};
use alys_wire::limits::NONCE_BYTES;
use alys_wire::{Address, PeerId, Request, Status};
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;

/// Requests that are kept unanswered, as the node keeps them: the second one hides the way.
const IN_FLIGHT: usize = 2;

/// A connection to one source.
pub struct Client {
    requests: Requests,
    peer: PeerId,
}

/// What came as the answer to one request.
#[derive(Default)]
pub struct Came {
    /// Headers.
    pub headers: Vec<CertifiedHeader>,
    /// Bodies.
    pub bodies: Vec<Body>,
}

impl Client {
    /// Connects to the source at this address, which names it.
    pub async fn connect(genesis: BlockId, source: &Address) -> Result<Self> {
        let mut config = Config::new(genesis);
        config.discovery = None;
        let (transport, mut events) = start(&config, &Identity::generate(), Arc::new(Nothing))?;
        let (address, peer) = source.split_peer();
        transport.send(Command::Dial { peer, addresses: vec![address] })?;
        loop {
            match events.recv().await.context("the transport has stopped")? {
                Event::Identified { .. } => break,
                Event::DialFailed { error, .. } => bail!("no connection to {source}: {error}"),
                _ => {}
            }
        }
        tokio::spawn(async move { while events.recv().await.is_some() {} });
        let peer = peer.context("the address names no peer")?;
        Ok(Self { requests: Requests::new(Arc::new(transport)), peer })
    }

    /// The header at this height.
    pub async fn header(&self, from: Height) -> Result<CertifiedHeader> {
        let came = came(self.requests.request(self.peer, Request::Headers { from, count: 1 })).await?;
        came.headers.first().copied().context("the source has no such header")
    }

    /// The body of this block.
    pub async fn body(&self, id: BlockId) -> Result<Body> {
        let came = came(self.requests.request(self.peer, Request::Bodies { ids: vec![id] })).await?;
        came.bodies.into_iter().next().context("the source has no such body")
    }

    /// Asks all of these, the next always before the one before it is answered, and hands over the answers in order.
    pub async fn ask_all(
        &self,
        requests: impl IntoIterator<Item = Request>,
        mut take: impl FnMut(Came),
    ) -> Result<()> {
        let mut running = VecDeque::new();
        for request in requests {
            running.push_back(self.requests.request(self.peer, request));
            if running.len() > IN_FLIGHT
                && let Some(oldest) = running.pop_front()
            {
                take(came(oldest).await?);
            }
        }
        for rest in running {
            take(came(rest).await?);
        }
        Ok(())
    }
}

async fn came(mut answers: Answers) -> Result<Came> {
    let mut came = Came::default();
    while let Some(answer) = answers.recv().await {
        match answer {
            Answer::Headers(headers) => came.headers.extend(headers),
            Answer::Bodies(bodies) => came.bodies.extend(bodies.into_iter().filter_map(|(_, body)| body)),
            Answer::End(outcome) => ensure!(outcome == Outcome::Done, "the source answered: {outcome}"),
            _ => bail!("nobody asked for this"),
        }
    }
    Ok(came)
}

/// What a client serves.
struct Nothing;

impl BlockSource for Nothing {
    fn status(&self) -> Result<Status, Unavailable> {
        Err(Unavailable)
    }

    fn headers(&self, _: Height, _: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
        Err(Unavailable)
    }

    fn bodies(&self, _: &[BlockId], _: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        Err(Unavailable)
    }

    fn claim(&self, _: PeerId, _: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
        Err(Unavailable)
    }
}
