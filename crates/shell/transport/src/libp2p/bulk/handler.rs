//! The bulk streams of one connection: opens ours, accepts the peer's.
//!
//! Ours is opened with the connection, not with the first request: its protocol is negotiated while the peers tell each other who they are,
//! and the first request does not wait a round trip for it.

use std::task::{Context, Poll};

use libp2p::StreamProtocol;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError};
use libp2p::swarm::{
    ConnectionHandler, ConnectionHandlerEvent, Stream, StreamUpgradeError, SubstreamProtocol,
};
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel};
use tokio::task::AbortHandle;

use super::server::Server;
use super::{Order, asker};
use crate::answers::{Outcome, Violation};

/// How many streams a peer may have open for its requests on one connection: one in use and one that replaces a broken one, which we may
/// not have noticed yet.
const MAX_SERVED: usize = 2;
/// Offences that wait to be reported; more of the same peer at once add nothing.
const MAX_OFFENCES: usize = 4;

/// A task that ends with its owner.
struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Our stream to the peer.
enum Asking {
    /// There is none. The next request opens one.
    Closed,
    /// Wanted, and not yet asked of the connection.
    Wanted { orders: UnboundedSender<Order>, waiting: UnboundedReceiver<Order> },
    /// Being negotiated; what is asked meanwhile waits in the channel.
    Opening { orders: UnboundedSender<Order>, waiting: UnboundedReceiver<Order> },
    /// Running.
    Open { orders: UnboundedSender<Order>, _task: Running },
}

/// See the module. Keeps the connection alive: who stays connected is the peer book's decision.
pub(crate) struct Handler {
    protocol: StreamProtocol,
    server: Server,
    asking: Asking,
    served: Vec<Running>,
    offences: (Sender<Violation>, Receiver<Violation>),
}

impl Handler {
    pub(super) fn new(protocol: StreamProtocol, server: Server) -> Self {
        let (orders, waiting) = unbounded_channel();
        let asking = Asking::Wanted { orders, waiting };
        Self { protocol, server, asking, served: Vec::new(), offences: channel(MAX_OFFENCES) }
    }

    fn order(&mut self, order: Order) {
        // An order that the stream cannot take any more comes back: the stream has ended, and a new one is opened.
        let order = match &self.asking {
            Asking::Closed => order,
            Asking::Wanted { orders, .. } | Asking::Opening { orders, .. } | Asking::Open { orders, .. } => {
                match orders.send(order) {
                    Ok(()) => return,
                    Err(returned) => returned.0,
                }
            }
        };
        if matches!(order, Order::Ask(_)) {
            // Their number is bounded by the slots of the peer.
            let (orders, waiting) = unbounded_channel();
            let _ = orders.send(order);
            self.asking = Asking::Wanted { orders, waiting };
        }
    }

    fn opened(&mut self, stream: Stream) {
        if let Asking::Opening { orders, waiting } = core::mem::replace(&mut self.asking, Asking::Closed) {
            let task = tokio::spawn(asker::run(stream, waiting)).abort_handle();
            self.asking = Asking::Open { orders, _task: Running(task) };
        }
    }

    fn refused(&mut self, outcome: &Outcome) {
        if let Asking::Opening { mut waiting, .. } = core::mem::replace(&mut self.asking, Asking::Closed) {
            while let Ok(order) = waiting.try_recv() {
                if let Order::Ask(ask) = order {
                    ask.sink.end(outcome.clone());
                }
            }
        }
    }

    fn serve(&mut self, stream: Stream) {
        self.served.retain(|running| !running.0.is_finished());
        if self.served.len() >= MAX_SERVED {
            // The oldest is most likely the broken one.
            self.served.remove(0);
        }
        let (server, offences) = (self.server.clone(), self.offences.0.clone());
        let task = tokio::spawn(async move {
            if server.run(stream).await.is_err() {
                let _ = offences.try_send(Violation::Malformed);
            }
        });
        self.served.push(Running(task.abort_handle()));
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Order;
    type ToBehaviour = Violation;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(self.protocol.clone()), ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        if let Poll::Ready(Some(violation)) = self.offences.1.poll_recv(cx) {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(violation));
        }
        match core::mem::replace(&mut self.asking, Asking::Closed) {
            Asking::Wanted { orders, waiting } => {
                self.asking = Asking::Opening { orders, waiting };
                let protocol = SubstreamProtocol::new(ReadyUpgrade::new(self.protocol.clone()), ());
                Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
            }
            other => {
                self.asking = other;
                Poll::Pending
            }
        }
    }

    fn on_behaviour_event(&mut self, order: Order) {
        self.order(order);
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedOutbound(opened) => self.opened(opened.protocol),
            ConnectionEvent::FullyNegotiatedInbound(opened) => self.serve(opened.protocol),
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => match error {
                StreamUpgradeError::NegotiationFailed => self.refused(&Outcome::Unsupported),
                _ => self.refused(&Outcome::Lost),
            },
            _ => {}
        }
    }
}
