//! Bulk data: one long-lived stream to each peer that serves us, many requests on it.
//!
//! - **Owns**: the streams and what runs on them.
//! - **In**: requests with the sink of their answer, cancellations; requests of peers.
//! - **Out**: answers through their sinks; [`Offence`]s of peers that ask what cannot be asked.
//! - **On failure**: a broken stream ends what runs on it as lost, and the next request opens a new one.
//!
//! Streams run in tasks of their own, beside the task of their connection: decoding and encryption then use two cores.

mod asker;
mod handler;
mod server;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};

use alys_wire::Request;
use alys_wire::bulk::RequestId;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use tokio::time::Instant;

use super::address;
use crate::answers::{AnswerSink, Outcome, Violation};
use crate::serving::{Allowances, MAX_UNANSWERED, ServingLimits};
use crate::source::BlockSource;

use handler::Handler;
use server::Server;

/// What a connection is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    Ask(Ask),
    Cancel(RequestId),
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Ask {
    pub id: RequestId,
    pub request: Request,
    pub sink: AnswerSink,
    /// Held until the answer is complete: their number is the number of unanswered requests.
    slot: Arc<()>,
}

/// A peer asked in a way that no correct implementation does.
#[derive(Debug)]
pub(crate) struct Offence {
    pub peer: PeerId,
    pub violation: Violation,
}

/// The connections to one peer, the oldest first, and the count of unanswered requests.
#[derive(Debug, Default)]
struct Peer {
    connections: Vec<ConnectionId>,
    slots: Arc<()>,
}

/// See the module.
pub(crate) struct Behaviour {
    protocol: StreamProtocol,
    source: Arc<dyn BlockSource>,
    allowances: Allowances,
    peers: BTreeMap<PeerId, Peer>,
    out: VecDeque<ToSwarm<Offence, Order>>,
}

impl Behaviour {
    pub fn new(protocol: StreamProtocol, source: Arc<dyn BlockSource>, limits: ServingLimits) -> Self {
        let allowances = Allowances::new(limits);
        Self { protocol, source, allowances, peers: BTreeMap::new(), out: VecDeque::new() }
    }

    /// Asks the peer over its oldest connection.
    pub fn ask(&mut self, peer_id: PeerId, id: RequestId, request: Request, sink: AnswerSink) {
        let Some(peer) = self.peers.get(&peer_id) else { return sink.end(Outcome::Lost) };
        let Some(&connection) = peer.connections.first() else { return sink.end(Outcome::Lost) };
        if Arc::strong_count(&peer.slots) > MAX_UNANSWERED {
            return sink.end(Outcome::Overloaded);
        }
        let order = Order::Ask(Ask { id, request, sink, slot: peer.slots.clone() });
        self.out.push_back(notify(peer_id, connection, order));
    }

    /// Cancels the request, on whichever connection it runs.
    pub fn cancel(&mut self, peer_id: PeerId, id: RequestId) {
        let connections = self.peers.get(&peer_id).map(|peer| &peer.connections[..]).unwrap_or_default();
        let orders = connections.iter().map(|&connection| notify(peer_id, connection, Order::Cancel(id)));
        self.out.extend(orders);
    }

    /// Frees the peer of the rates of serving, or binds it again.
    pub fn exempt(&mut self, peer: &PeerId, on: bool) {
        self.allowances.exempt(address::peer(peer), on, Instant::now());
    }

    fn handler(&mut self, peer: PeerId) -> Handler {
        let asker = address::peer(&peer);
        let allowance = self.allowances.of(asker, Instant::now());
        Handler::new(self.protocol.clone(), Server { source: self.source.clone(), allowance, asker })
    }
}

fn notify(peer_id: PeerId, connection: ConnectionId, event: Order) -> ToSwarm<Offence, Order> {
    ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::One(connection), event }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Offence;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(new) => {
                self.peers.entry(new.peer_id).or_default().connections.push(new.connection_id);
            }
            FromSwarm::ConnectionClosed(closed) => {
                if let Some(peer) = self.peers.get_mut(&closed.peer_id) {
                    peer.connections.retain(|&connection| connection != closed.connection_id);
                }
                if closed.remaining_established == 0 {
                    self.peers.remove(&closed.peer_id);
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        self.out.push_back(ToSwarm::GenerateEvent(Offence { peer, violation: event }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // Whoever fills the queue polls the swarm afterwards: its driver after a command, the swarm itself after an event.
        self.out.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
