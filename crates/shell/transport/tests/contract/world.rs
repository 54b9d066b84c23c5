//! Where a story takes place: real sockets on this machine, or the simulation.

use core::time::Duration;
use std::future::Future;
use std::sync::Arc;

use alys_chain::BlockId;
use alys_transport::simulated::Network;
use alys_transport::{
    Answer, Answers, Command, Config, Event, Events, Identity, Outcome, Transport, answers, start,
};
use alys_wire::{Address, PeerId, Request};

use crate::chain::Chain;

/// A story that has not gone on for this long has failed. Generous: other tests run on the same cores.
const PATIENCE: Duration = Duration::from_secs(60);
/// The window of an answer where the story does not care.
pub const WIDE: usize = 64 << 20;
pub const GENESIS: BlockId = BlockId([0xaa; 32]);

pub async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

pub enum World {
    Sockets,
    Simulated(Network),
}

impl World {
    pub fn sockets() -> Self {
        Self::Sockets
    }

    pub fn simulated() -> Self {
        Self::Simulated(Network::new(7))
    }

    pub async fn node(&mut self) -> Node {
        self.node_with(|_| (), Chain::default()).await
    }

    pub async fn serving(&mut self, chain: Chain) -> Node {
        self.node_with(|_| (), chain).await
    }

    pub async fn node_with(&mut self, change: impl FnOnce(&mut Config), chain: Chain) -> Node {
        let mut config = Config::new(GENESIS);
        config.discovery = None;
        let chain = Arc::new(chain);
        let (transport, events): (Box<dyn Transport>, Events) = match self {
            Self::Sockets => {
                config.listen = vec![Address("/ip4/127.0.0.1/tcp/0".to_owned())];
                change(&mut config);
                let (transport, events) = start(&config, &Identity::generate(), chain.clone()).unwrap();
                (Box::new(transport), events)
            }
            Self::Simulated(network) => {
                change(&mut config);
                let (transport, events) = network.join(&config, chain.clone());
                (Box::new(transport), events)
            }
        };
        let peer = transport.local_peer();
        let mut node = Node { transport, events, peer, address: Address(String::new()), chain, asked: 0 };
        node.address = node
            .until("listening", |event| match event {
                Event::Listening { address } => Some(address),
                _ => None,
            })
            .await;
        node
    }

    /// Two nodes, the first of which has dialled the second.
    pub async fn pair(&mut self, chain: Chain) -> (Node, Node) {
        let (mut asker, mut server) = (self.node().await, self.serving(chain).await);
        asker.meet(&mut server).await;
        (asker, server)
    }
}

pub struct Node {
    pub transport: Box<dyn Transport>,
    pub events: Events,
    pub peer: PeerId,
    pub address: Address,
    pub chain: Arc<Chain>,
    asked: u64,
}

impl Node {
    pub fn tell(&self, command: Command) {
        self.transport.send(command).unwrap();
    }

    /// The first thing that `wanted` finds among the events; the others are passed over.
    pub async fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        patiently(what, async {
            loop {
                let event = self.events.recv().await.unwrap_or_else(|| panic!("the events ended: {what}"));
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        })
        .await
    }

    pub fn dial(&self, other: &Node) {
        self.tell(Command::Dial { peer: Some(other.peer), addresses: vec![other.address.clone()] });
    }

    /// Waits until the peer is known to be of our network: then everything with it works.
    pub async fn identified(&mut self, other: PeerId) {
        self.until("identified", |event| match event {
            Event::Identified { peer, .. } if peer == other => Some(()),
            _ => None,
        })
        .await;
    }

    pub async fn meet(&mut self, other: &mut Node) {
        self.dial(other);
        self.identified(other.peer).await;
        other.identified(self.peer).await;
    }

    pub async fn gone(&mut self, other: PeerId) -> alys_transport::DisconnectReason {
        self.until("disconnected", |event| match event {
            Event::Disconnected { peer, reason } if peer == other => Some(reason),
            _ => None,
        })
        .await
    }

    /// Asks, and returns the request's name with its answer.
    pub fn ask(&mut self, of: PeerId, request: Request, window: usize) -> (u64, Answers) {
        let (sink, reader) = answers(window);
        self.asked += 1;
        let _ = self.transport.send(Command::Request { id: self.asked, peer: of, request, answers: sink });
        (self.asked, reader)
    }

    /// Asks, and reads the answer to its end.
    pub async fn answer(&mut self, of: PeerId, request: Request) -> (Vec<Answer>, Outcome) {
        let (_, reader) = self.ask(of, request, WIDE);
        read(reader).await
    }
}

/// Everything of an answer, and how it ended.
pub async fn read(mut reader: Answers) -> (Vec<Answer>, Outcome) {
    patiently("an answer", async {
        let mut pieces = Vec::new();
        loop {
            match reader.recv().await.expect("an answer ends before its stream") {
                Answer::End(outcome) => {
                    assert_eq!(reader.recv().await, None, "it ends once");
                    return (pieces, outcome);
                }
                piece => pieces.push(piece),
            }
        }
    })
    .await
}
