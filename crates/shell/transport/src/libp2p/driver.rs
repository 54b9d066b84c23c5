//! The task that owns the swarm: commands in, events out. It awaits nobody: when its events are not read it stops reading from the network,
//! and goes on taking commands.

use core::num::NonZeroU32;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alys_chain::BlockId;
use alys_wire::bulk::RequestId;
use alys_wire::{Address, PeerId as Name, Topic, protocol};
use bytes::Bytes;
use futures::StreamExt;
use libp2p::core::ConnectedPoint;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, Swarm, SwarmEvent};
use libp2p::{PeerId, gossipsub, identify, ping};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::behaviour::{Behaviour, Happening};
use super::gossip::{self, Topics};
use super::peers::{self, Dial, Peers, dial_error};
use super::{address, discovery};
use crate::answers::Outcome;
use crate::api::{Command, DialError, Direction, DisconnectReason, Event, Verdict};
use crate::config::Config;
use crate::event_queue::Outlet;

/// How often it is looked after those that have not named themselves: a fraction of what they are given.
const LOOK_AFTER: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Driver {
    genesis: BlockId,
    swarm: Swarm<Behaviour>,
    topics: Topics,
    peers: Peers,
    outlet: Outlet,
    publishing: Arc<AtomicUsize>,
    look_around: Option<Interval>,
    look_after: Interval,
}

impl Driver {
    pub fn new(
        config: &Config,
        swarm: Swarm<Behaviour>,
        topics: Topics,
        outlet: Outlet,
        publishing: Arc<AtomicUsize>,
    ) -> Self {
        let look_around = config.discovery.map(|every| {
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Self {
            genesis: config.genesis,
            swarm,
            topics,
            peers: Peers::default(),
            outlet,
            publishing,
            look_around,
            look_after: interval(LOOK_AFTER),
        }
    }

    /// Runs until it is told to stop, or its handle is dropped.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    None | Some(Command::Stop) => return,
                    Some(command) => self.command(command),
                },
                event = next(&mut self.swarm, &self.outlet) => self.happened(event),
                () = tick(&mut self.look_around) => {
                    self.swarm.behaviour_mut().book.as_mut().map(discovery::look_around);
                }
                now = self.look_after.tick() => self.leave_unnamed(now),
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Dial { peer, addresses } => self.dial(peer, addresses),
            Command::Disconnect { peer } => self.leave(peer, DisconnectReason::Asked),
            Command::Publish { topic, data } => self.publish(topic, &data),
            Command::Validated { id, source, verdict } => self.verdict(id.0, source, verdict),
            Command::Request { id, peer, request, answers } => match address::to_libp2p(peer) {
                Some(peer) => self.swarm.behaviour_mut().bulk.ask(peer, RequestId(id), request, answers),
                None => answers.end(Outcome::Lost),
            },
            Command::Cancel { peer, id } => {
                if let Some(peer) = address::to_libp2p(peer) {
                    self.swarm.behaviour_mut().bulk.cancel(peer, RequestId(id));
                }
            }
            Command::Ban { peer } => {
                self.leave(peer, DisconnectReason::Banned);
                self.ban(peer, true);
            }
            Command::Unban { peer } => self.ban(peer, false),
            Command::Explicit { peer, on } => {
                if let Some(peer) = address::to_libp2p(peer) {
                    self.swarm.behaviour_mut().explicit(peer, on);
                }
            }
            // Ends the loop before it comes here.
            Command::Stop => {}
        }
    }

    fn dial(&mut self, peer: Option<Name>, addresses: Vec<Address>) {
        let parsed = address::parse_all(&addresses);
        let known = peer.and_then(address::to_libp2p);
        if parsed.is_empty() || (peer.is_some() && known.is_none()) {
            self.tell(Event::DialFailed { peer, addresses, error: DialError::NoAddress });
            return;
        }
        let options = match known {
            Some(known) => vec![
                DialOpts::peer_id(known)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(parsed)
                    .build(),
            ],
            None => parsed.into_iter().map(|at| DialOpts::unknown_peer_id().address(at).build()).collect(),
        };
        for option in options {
            let connection = option.connection_id();
            self.peers.dialling(connection, Dial { peer: known, addresses: addresses.clone() });
            if let Err(error) = self.swarm.dial(option) {
                self.dial_failed(&connection, &dial_error(&error));
            }
        }
    }

    fn dial_failed(&mut self, connection: &ConnectionId, error: &DialError) {
        if let Some(dial) = self.peers.dialled(connection) {
            let peer = dial.peer.as_ref().map(address::peer);
            self.tell(Event::DialFailed { peer, addresses: dial.addresses, error: error.clone() });
        }
    }

    fn leave(&mut self, peer: Name, reason: DisconnectReason) {
        let Some(peer) = address::to_libp2p(peer) else { return };
        if self.peers.leave(&peer, reason) {
            // Fails only for a peer that is not connected.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    /// Leaves those that do not say who they are: nobody can tell of which network they are.
    fn leave_unnamed(&mut self, now: Instant) {
        for peer in self.peers.unnamed(now) {
            self.leave(address::peer(&peer), DisconnectReason::Unresponsive);
        }
    }

    fn ban(&mut self, peer: Name, on: bool) {
        if let Some(peer) = address::to_libp2p(peer) {
            self.swarm.behaviour_mut().ban(peer, on);
        }
    }

    fn publish(&mut self, topic: Topic, data: &Bytes) {
        self.publishing.fetch_sub(data.len(), Ordering::Relaxed);
        if data.len() > topic.max_bytes() {
            tracing::error!(
                ?topic,
                bytes = data.len(),
                limit = topic.max_bytes(),
                "message too large to publish"
            );
            return;
        }
        let hash = self.topics.hash(topic);
        if let Err(error) = self.swarm.behaviour_mut().gossip.publish(hash, data.to_vec()) {
            // Nobody listens yet, or it is out already: neither is worth more.
            tracing::debug!(?topic, %error, "message not published");
        }
    }

    fn verdict(&mut self, id: [u8; 32], source: Name, verdict: Verdict) {
        let Some(source) = address::to_libp2p(source) else { return };
        let id = id.to_vec().into();
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        gossip.report_message_validation_result(&id, &source, gossip::acceptance(verdict));
    }

    /// Puts an event out. For each message that had to go unread the verdict is given here: ignored.
    fn tell(&mut self, event: Event) {
        for dropped in self.outlet.push(event) {
            self.verdict(dropped.id.0, dropped.source, Verdict::Ignore);
        }
    }

    fn happened(&mut self, event: SwarmEvent<Happening>) {
        match event {
            SwarmEvent::Behaviour(happening) => self.happening(happening),
            SwarmEvent::ConnectionEstablished {
                peer_id, connection_id, endpoint, num_established, ..
            } => {
                self.connected(peer_id, connection_id, &endpoint, num_established);
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, cause, .. } => {
                let reason = self.peers.disconnected(&peer_id, peers::cause(cause.as_ref()));
                self.tell(Event::Disconnected { peer: address::peer(&peer_id), reason });
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.dial_failed(&connection_id, &dial_error(&error));
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                self.tell(Event::Listening { address: address::address(&address) });
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "listener"),
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::error!(?addresses, ?reason, "a listener closed");
            }
            _ => {}
        }
    }

    fn connected(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        endpoint: &ConnectedPoint,
        established: NonZeroU32,
    ) {
        if established.get() > 1 {
            self.dial_failed(&connection, &DialError::Already);
            return;
        }
        self.peers.dialled(&connection);
        self.peers.connected(peer, Instant::now());
        let direction = if endpoint.is_dialer() { Direction::Outbound } else { Direction::Inbound };
        let address = address::address(endpoint.get_remote_address());
        self.tell(Event::Connected { peer: address::peer(&peer), address, direction });
    }

    fn happening(&mut self, happening: Happening) {
        match happening {
            Happening::Identify(event) => {
                if let identify::Event::Received { peer_id, info, .. } = *event {
                    self.identified(peer_id, &info);
                }
            }
            Happening::Ping(event) => self.pinged(&event),
            Happening::Gossip(gossipsub::Event::Message { propagation_source, message_id, message }) => {
                self.gossip(propagation_source, message_id, message);
            }
            Happening::Gossip(_) => {}
            Happening::Book(event) => {
                let us = *self.swarm.local_peer_id();
                discovery::found(*event, &us).into_iter().for_each(|event| self.tell(event));
            }
            Happening::Local(event) => {
                discovery::found_nearby(event).into_iter().for_each(|event| self.tell(event));
            }
            Happening::Bulk(offence) => {
                let peer = address::peer(&offence.peer);
                self.tell(Event::Offended { peer, violation: offence.violation });
            }
        }
    }

    fn identified(&mut self, peer_id: PeerId, info: &identify::Info) {
        let peer = address::peer(&peer_id);
        if !self.peers.is_connected(&peer_id) {
            return;
        }
        let theirs = protocol::genesis_of(&info.protocol_version);
        if theirs != Some(self.genesis) {
            self.tell(Event::Foreign { peer, ours: self.genesis, theirs });
            self.leave(peer, DisconnectReason::Foreign);
            return;
        }
        self.peers.named(&peer_id);
        if let Some(book) = self.swarm.behaviour_mut().book.as_mut() {
            discovery::learn(book, &peer_id, &info.listen_addrs);
        }
        let addresses = address::to_text(info.listen_addrs.iter().take(discovery::MAX_ADDRESSES));
        let (agent, protocol) = (info.agent_version.clone(), info.protocol_version.clone());
        self.tell(Event::Identified { peer, agent, protocol, addresses });
    }

    fn pinged(&mut self, event: &ping::Event) {
        match &event.result {
            Ok(rtt) => {
                self.peers.ping_answered(&event.peer);
                self.tell(Event::Rtt { peer: address::peer(&event.peer), rtt: *rtt });
            }
            Err(ping::Failure::Unsupported) => {}
            Err(_) if self.peers.ping_lost(&event.peer) => {
                self.leave(address::peer(&event.peer), DisconnectReason::Unresponsive);
            }
            Err(_) => {}
        }
    }

    fn gossip(&mut self, source: PeerId, id: gossipsub::MessageId, message: gossipsub::Message) {
        let topic = self.topics.topic(&message.topic);
        let event = topic.zip(gossip::message_id(&id)).map(|(topic, id)| Event::Gossip {
            id,
            source: address::peer(&source),
            topic,
            data: message.data.into(),
        });
        match event {
            Some(Event::Gossip { id, source, topic, data }) if data.len() > topic.max_bytes() => {
                self.verdict(id.0, source, Verdict::Reject);
            }
            Some(event) => self.tell(event),
            // Of a topic that we did not subscribe to: gossipsub passes none.
            None => {}
        }
    }
}

/// The next event of the swarm; none while too many of ours are unread.
async fn next(swarm: &mut Swarm<Behaviour>, outlet: &Outlet) -> SwarmEvent<Happening> {
    outlet.relieved().await;
    swarm.select_next_some().await
}

async fn tick(of: &mut Option<Interval>) {
    match of {
        Some(ticks) => drop(ticks.tick().await),
        None => core::future::pending().await,
    }
}
