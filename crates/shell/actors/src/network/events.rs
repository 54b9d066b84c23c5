//! What becomes of each event of the transport.

use alys_actor::{Context, Handler};
use alys_peers::{Observation, Offence};
use alys_transport::{Command, Direction, DisconnectReason, Event, Verdict, Violation};
use alys_wire::{Address, GossipMessage, PeerId, Topic};
use bytes::Bytes;

use super::actor::NetworkActor;
use super::ingress::Gossiped;
use super::line::{Claiming, Link};
use super::messages::Happened;
use super::metrics::count;
use crate::peer::News;

impl Handler<Happened> for NetworkActor {
    async fn handle(&mut self, message: Happened, ctx: &mut Context<Self>) {
        match message.event {
            Event::Listening { address } => self.on_listening(address),
            Event::Connected { peer, address, direction } => self.on_connected(peer, address, direction),
            Event::Disconnected { peer, reason } => self.on_disconnected(peer, reason),
            Event::DialFailed { peer, addresses, error } => {
                tracing::debug!(?peer, ?addresses, %error, "a dial failed");
                self.parts.metrics.dial_failures.inc();
                self.inform(News::DialFailed { peer, addresses });
            }
            Event::Discovered { peer, addresses } => self.on_discovered(peer, addresses),
            Event::Identified { peer, agent, addresses, .. } => {
                tracing::debug!(%peer, agent, "identified");
                self.on_identified(peer, addresses, ctx);
            }
            Event::Foreign { peer, ours, theirs } => {
                // The peer book hears of it from the end of the connection, which follows.
                // In full: whoever reads this compares them with the genesis that was meant.
                let theirs = theirs.map_or_else(|| "unknown".to_owned(), |genesis| genesis.to_string());
                tracing::warn!(%peer, %ours, theirs, "a peer of another network was turned away");
                self.parts.metrics.foreign.inc();
            }
            Event::Offended { peer, violation } => self.on_offended(peer, violation),
            Event::Rtt { peer, rtt } => {
                self.hint(self.parts.peers.observe(peer, Observation::RoundTrip(rtt)));
            }
            Event::Gossip { id, source, topic, data } => {
                self.on_gossip(Gossiped { id, source }, topic, &data);
            }
        }
    }
}

impl NetworkActor {
    fn on_listening(&mut self, address: Address) {
        tracing::info!(%address, "listening");
        self.line.with(|known| {
            if !known.listening.contains(&address) {
                known.listening.push(address);
            }
        });
    }

    fn on_connected(&mut self, peer: PeerId, address: Address, direction: Direction) {
        tracing::debug!(%peer, %address, ?direction, "connected");
        let link = Link { address: address.clone(), direction, claim: Claiming::Unidentified };
        let online = self.line.with(|known| {
            known.links.insert(peer, link);
            known.online
        });
        self.inform(News::Connected { peer, address, direction });
        if !online {
            self.command(Command::Disconnect { peer });
        }
    }

    fn on_disconnected(&mut self, peer: PeerId, reason: DisconnectReason) {
        tracing::debug!(%peer, ?reason, "disconnected");
        self.line.with(|known| known.links.remove(&peer));
        self.tell_sync(peer, reason.clone());
        self.inform(News::Disconnected { peer, reason });
    }

    /// A hint: one that the peer book has no room for comes again.
    fn on_discovered(&self, peer: PeerId, addresses: Vec<Address>) {
        self.hint(self.parts.peers.heard(News::Discovered { peer, addresses }));
    }

    fn on_identified(&mut self, peer: PeerId, addresses: Vec<Address>, ctx: &mut Context<Self>) {
        let now = self.parts.clock.moment();
        self.line.with(|known| {
            let link = known.links.get_mut(&peer).filter(|link| !link.identified());
            link.map(|link| link.claim = Claiming::Due(now))
        });
        self.on_discovered(peer, addresses);
        self.tell_sync(peer, DisconnectReason::Closed);
        self.ask_for_claims(ctx);
    }

    fn on_offended(&self, peer: PeerId, violation: Violation) {
        tracing::warn!(%peer, %violation, "a peer broke the protocol");
        self.hint(self.parts.peers.observe(peer, Observation::Offence(offence(violation))));
    }

    fn on_gossip(&mut self, from: Gossiped, topic: Topic, data: &Bytes) {
        count(&self.parts.metrics.received, topic);
        let chain = &self.parts.chain;
        let taken = match GossipMessage::decode(topic, data) {
            Ok(GossipMessage::Proposal(proposal)) => chain.proposal(from, *proposal),
            Ok(GossipMessage::Approval(approval)) => chain.approval(from, approval),
            Ok(GossipMessage::Certificate(certificate)) => chain.certificate(from, certificate),
            Ok(GossipMessage::Transaction(bytes)) => chain.transaction(from, bytes),
            Err(why) => {
                tracing::warn!(peer = %from.source, topic = topic.label(), %why, "malformed gossip");
                count(&self.parts.metrics.malformed, topic);
                return self.judge(from, Verdict::Reject, Some(Offence::Malformed));
            }
        };
        if taken.is_err() {
            count(&self.parts.metrics.refused, topic);
            self.judge(from, Verdict::Ignore, None);
        }
    }
}

/// What a broken protocol is in the words of the peer book.
const fn offence(violation: Violation) -> Offence {
    match violation {
        Violation::Malformed | Violation::WrongKind => Offence::Malformed,
        Violation::OtherRequest | Violation::OutOfOrder | Violation::TooMuch => Offence::Unrequested,
    }
}
