//! The NetworkActor: a handler a message. Events of the transport are routed in [`super::events`], claims in [`super::federation`].

use alys_actor::{Actor, Context, Fault, Handler, SendError, Stream};
use alys_peers::{Observation, Offence};
use alys_transport::{Command, Verdict};
use alys_wire::GossipMessage;

use super::Parts;
use super::ingress::{Gossiped, Listener, NetworkStatus};
use super::line::Line;
use super::messages::{
    BroadcastBlock, BroadcastTransaction, GetNetworkStatus, Introduce, StartNetwork, Steer, StopNetwork,
    Validated,
};
use super::metrics::count;
use super::requests::Requests;
use crate::peer::News;

/// See the [module](super).
pub struct NetworkActor {
    pub(super) line: Line,
    pub(super) requests: Requests,
    pub(super) parts: Parts,
    /// Where the nonces of this incarnation come from.
    pub(super) nonces: Stream,
    /// Whether the peer book missed something, and must be told everything again.
    pub(super) book_is_behind: bool,
}

impl NetworkActor {
    pub(super) fn new(line: Line, requests: Requests, parts: Parts) -> Self {
        let nonces = parts.randomness.stream("network");
        Self { line, requests, parts, nonces, book_is_behind: false }
    }

    /// Passes a command on. One that the transport has no room for is lost: what it was about comes again, or was one message of many.
    pub(super) fn command(&self, command: Command) {
        if self.line.transport().send(command).is_err() {
            self.parts.metrics.overloaded.inc();
        }
    }

    fn publish(&self, message: &GossipMessage) {
        let topic = message.topic();
        count(&self.parts.metrics.published, topic);
        self.command(Command::Publish { topic, data: message.encode() });
    }

    /// Gives a verdict, and holds an offence against the peer that forwarded the message.
    pub(super) fn judge(&self, gossiped: Gossiped, verdict: Verdict, offence: Option<Offence>) {
        let Gossiped { id, source } = gossiped;
        self.parts.metrics.judged(verdict);
        self.command(Command::Validated { id, source, verdict });
        if let Some(offence) = offence {
            self.hint(self.parts.peers.observe(source, Observation::Offence(offence)));
        }
    }

    /// Tells the peer book of a connection; if it has no room, everything is told again at the next tick.
    pub(super) fn inform(&mut self, news: News) {
        let heard = self.parts.peers.heard(news);
        self.book_is_behind |= heard.is_err();
        self.hint(heard);
    }

    /// Counts what was not heard, and goes on.
    pub(super) fn hint(&self, heard: Result<(), SendError>) {
        if heard.is_err() {
            self.parts.metrics.unheard.inc();
        }
    }

    pub(super) fn introduce_to_book(&mut self) {
        let everybody = self.line.with(|known| known.present());
        let heard = self.parts.peers.present(everybody);
        self.book_is_behind = heard.is_err();
        self.hint(heard);
    }
}

impl Actor for NetworkActor {
    type Seed = Line;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Fault> {
        // A nonce must not come again after a restart.
        self.nonces = self.parts.randomness.stream(&format!("network {}", ctx.incarnation()));
        self.line.with(|known| known.forget_questions(self.parts.clock.moment()));
        self.introduce_to_book();
        self.on_slot(ctx);
        Ok(())
    }
}

impl Handler<StartNetwork> for NetworkActor {
    async fn handle(&mut self, _: StartNetwork, _: &mut Context<Self>) {
        self.line.with(|known| known.online = true);
        tracing::info!("the network is on");
    }
}

impl Handler<StopNetwork> for NetworkActor {
    async fn handle(&mut self, _: StopNetwork, _: &mut Context<Self>) {
        let peers = self.line.with(|known| {
            known.online = false;
            known.links.keys().copied().collect::<Vec<_>>()
        });
        tracing::info!(connected = peers.len(), "the network is off");
        peers.into_iter().for_each(|peer| self.command(Command::Disconnect { peer }));
    }
}

impl Handler<GetNetworkStatus> for NetworkActor {
    async fn handle(&mut self, _: GetNetworkStatus, _: &mut Context<Self>) -> NetworkStatus {
        self.line.status()
    }
}

impl Handler<BroadcastBlock> for NetworkActor {
    async fn handle(&mut self, message: BroadcastBlock, _: &mut Context<Self>) {
        self.publish(&message.0);
    }
}

impl Handler<BroadcastTransaction> for NetworkActor {
    async fn handle(&mut self, message: BroadcastTransaction, _: &mut Context<Self>) {
        self.publish(&GossipMessage::Transaction(message.0));
    }
}

impl Handler<Validated> for NetworkActor {
    async fn handle(&mut self, message: Validated, _: &mut Context<Self>) {
        self.judge(message.gossiped, message.verdict, message.offence);
    }
}

impl Handler<Steer> for NetworkActor {
    async fn handle(&mut self, message: Steer, _: &mut Context<Self>) {
        match message {
            Steer::Dial { peer, addresses } if self.line.with(|known| known.online) => {
                self.command(Command::Dial { peer, addresses });
            }
            Steer::Dial { peer, addresses } => self.inform(News::DialFailed { peer, addresses }),
            Steer::Disconnect { peer, why } => {
                tracing::debug!(%peer, why, "disconnecting");
                self.command(Command::Disconnect { peer });
            }
            Steer::Ban(peer) => self.command(Command::Ban { peer }),
            Steer::Unban(peer) => self.command(Command::Unban { peer }),
            Steer::Explicit { peer, on } => {
                self.line.with(
                    |known| {
                        if on { known.explicit.insert(peer) } else { known.explicit.remove(&peer) }
                    },
                );
                self.command(Command::Explicit { peer, on });
            }
        }
    }
}

impl Handler<Introduce> for NetworkActor {
    async fn handle(&mut self, message: Introduce, _: &mut Context<Self>) {
        match message.0 {
            Listener::Peers => self.introduce_to_book(),
            Listener::Sync => {
                self.line.with(|known| known.told.clear());
                self.bring_sync_up_to_date();
            }
        }
    }
}
