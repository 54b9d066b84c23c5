//! The PeerActor: events into the machine, its actions out of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alys_actor::{Actor, Context, Fault, Handler};
use alys_chain::{Moment, UnixMillis};
use alys_peers::{Action, Event, Explanation, Observation, Operation, PeerMachine, Ranked, Settings};
use alys_transport as transport;
use alys_wire::{Address, PeerId};
use bytes::Bytes;
use rand_core::Rng;
use tokio::sync::watch;

use super::Parts;
use super::ingress::{
    Everybody, GetAvailablePeers, GetBestPeers, GetPeerStatus, GetStates, News, Offended, Order, PeerTable,
    RecallStates, Saved, Tick, UpdatePeerScore,
};
use crate::network::{Listener, Present};

/// How often the machine looks at the clock: dials, ends of bans and saves are due to the second.
const TICK: Duration = Duration::from_secs(1);

/// Whom the operator trusts. Not in the saved book, so it is handed from incarnation to incarnation.
type Trusted = BTreeMap<PeerId, Vec<Address>>;

/// See the [module](super).
pub struct PeerActor {
    machine: PeerMachine,
    trusted: Trusted,
    parts: Parts,
    table: watch::Sender<Arc<PeerTable>>,
    /// Whether a saved book was there.
    has_book: bool,
}

impl PeerActor {
    pub(super) fn new(trusted: Trusted, table: watch::Sender<Arc<PeerTable>>, parts: Parts) -> Self {
        let machine = PeerMachine::new(settings(&parts, 0));
        Self { machine, trusted, parts, table, has_book: false }
    }

    fn now(&self) -> Moment {
        self.parts.clock.moment()
    }

    /// The saved book, if there is one that can be read.
    async fn restore(&mut self) {
        let bytes = match self.parts.book.load().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the peer book cannot be read; it is passed over");
                return;
            }
        };
        let now = self.now();
        let restored = self.machine.restore(now, &bytes);
        self.has_book = restored.is_ok();
        if let Err(error) = restored {
            tracing::warn!(%error, "the peer book is put aside; bans are lost, peers are learnt again");
            if let Err(error) = self.parts.book.put_aside().await {
                tracing::warn!(%error, "the damaged peer book cannot be put aside");
            }
        }
    }

    fn step(&mut self, event: Event, ctx: &mut Context<Self>) {
        let now = self.now();
        tracing::trace!(target: crate::DECISIONS, "peers takes {event:?}");
        for action in self.machine.step(now, event) {
            tracing::trace!(target: crate::DECISIONS, "peers wants {action}");
            self.act(action, ctx);
        }
    }

    /// Does what the machine wants. What the network has no room for is lost: a dial counts as failed after a while, and a banned peer that is
    /// still there is banned again.
    fn act(&mut self, action: Action, ctx: &mut Context<Self>) {
        let network = &self.parts.network;
        let heard = match action {
            Action::Dial { peer, addresses } => {
                self.parts.metrics.dials.inc();
                network.dial(peer, addresses)
            }
            Action::Disconnect { peer } => network.disconnect(peer, "the peer book has no room for it"),
            Action::Ban { peer } => {
                self.parts.metrics.bans.inc();
                network.ban(peer)
            }
            Action::Unban { peer } => network.unban(peer),
            Action::Explicit { peer, on } => network.explicit(peer, on),
            Action::Save(bytes) => {
                self.save(bytes, ctx);
                Ok(())
            }
        };
        if heard.is_err() {
            self.parts.metrics.unheard.inc();
        }
    }

    fn save(&self, bytes: Vec<u8>, ctx: &mut Context<Self>) {
        let saving = self.parts.book.save(bytes);
        ctx.spawn(async move { Saved(saving.await) });
    }

    fn on_saved(&self, saved: std::io::Result<()>) {
        if let Err(error) = saved {
            tracing::warn!(%error, "the peer book was not saved");
            self.parts.metrics.failed_saves.inc();
        }
    }

    fn is_connected(&self, peer: PeerId) -> bool {
        self.machine.explain(self.now(), peer).is_some_and(|known| known.connected.is_some())
    }

    /// Makes the machine believe what the network knows.
    fn on_everybody(&mut self, everybody: Vec<Present>, ctx: &mut Context<Self>) {
        let here: BTreeMap<PeerId, Present> = everybody.into_iter().map(|p| (p.peer, p)).collect();
        let known: Vec<PeerId> = self.machine.peers().collect();
        let gone = known.into_iter().filter(|peer| !here.contains_key(peer) && self.is_connected(*peer));
        for peer in gone.collect::<Vec<_>>() {
            self.step(Event::Disconnected { peer, reason: alys_peers::DisconnectReason::Closed }, ctx);
        }
        for Present { peer, address, direction, authority, .. } in here.into_values() {
            if !self.is_connected(peer) {
                let direction = way(direction);
                self.step(Event::Connected { peer, address, direction }, ctx);
            }
            if let Some(authority) = authority {
                self.step(Event::ClaimVerified { peer, authority }, ctx);
            }
        }
    }

    fn show(&self) {
        let now = self.now();
        let worth_showing = |known: &Explanation| known.connected.is_some() || known.ban.is_some();
        let explained = self.machine.peers().filter_map(|peer| self.machine.explain(now, peer));
        let table = PeerTable {
            peers: explained.filter(worth_showing).collect(),
            totals: self.machine.totals(),
            suspects_ourselves: self.machine.suspects_ourselves(now),
        };
        self.parts.metrics.show(&table.totals, table.suspects_ourselves);
        self.table.send_replace(Arc::new(table));
    }
}

impl Actor for PeerActor {
    type Seed = Trusted;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Fault> {
        self.machine = PeerMachine::new(settings(&self.parts, ctx.incarnation()));
        self.restore().await;
        for (peer, addresses) in self.trusted.clone() {
            self.step(Event::Trust { peer, on: true, addresses }, ctx);
        }
        self.step(Event::Started, ctx);
        // Those who were connected before a restart. The network tells of later ones, and of everybody after its own restarts, by itself.
        if self.parts.network.introduce(Listener::Peers).is_err() {
            self.parts.metrics.unheard.inc();
        }
        ctx.every(TICK, || Tick);
        self.show();
        Ok(())
    }

    async fn stopping(&mut self, _: &mut Context<Self>) {
        let saved = self.parts.book.save(self.machine.snapshot(self.now())).await;
        self.on_saved(saved);
    }
}

impl Handler<Tick> for PeerActor {
    async fn handle(&mut self, _: Tick, ctx: &mut Context<Self>) {
        self.step(Event::Tick, ctx);
        self.show();
    }
}

impl Handler<News> for PeerActor {
    async fn handle(&mut self, news: News, ctx: &mut Context<Self>) {
        let event = match news {
            News::Connected { peer, address, direction } => {
                Event::Connected { peer, address, direction: way(direction) }
            }
            News::Disconnected { peer, reason } => Event::Disconnected { peer, reason: why(&reason) },
            News::DialFailed { peer, addresses } => Event::DialFailed { peer, addresses },
            News::Discovered { peer, addresses } => Event::Discovered { peer, addresses },
            News::ClaimVerified { peer, authority } => Event::ClaimVerified { peer, authority },
            News::FederationChanged => Event::FederationChanged,
        };
        self.step(event, ctx);
    }
}

impl Handler<Everybody> for PeerActor {
    async fn handle(&mut self, message: Everybody, ctx: &mut Context<Self>) {
        self.on_everybody(message.0, ctx);
    }
}

impl Handler<UpdatePeerScore> for PeerActor {
    async fn handle(&mut self, message: UpdatePeerScore, ctx: &mut Context<Self>) {
        self.step(Event::Observed { peer: message.peer, what: message.what }, ctx);
    }
}

impl Handler<Offended> for PeerActor {
    async fn handle(&mut self, message: Offended, ctx: &mut Context<Self>) {
        let Offended { peer, offence } = message;
        tracing::warn!(%peer, %offence, "a peer offended");
        self.parts.metrics.offences.inc();
        self.step(Event::Observed { peer, what: Observation::Offence(offence) }, ctx);
    }
}

impl Handler<Order> for PeerActor {
    async fn handle(&mut self, order: Order, ctx: &mut Context<Self>) {
        match order {
            Order::Connect { peer, addresses } => {
                if let Some(peer) = peer {
                    self.step(Event::Discovered { peer, addresses: addresses.clone() }, ctx);
                }
                self.act(Action::Dial { peer, addresses }, ctx);
            }
            Order::Disconnect { peer } => self.act(Action::Disconnect { peer }, ctx),
            Order::Ban { peer, period } => self.step(Event::Ban { peer, period }, ctx),
            Order::Unban { peer } => self.step(Event::Unban { peer }, ctx),
            Order::Trust { peer, on, addresses } => {
                if on {
                    self.trusted.insert(peer, addresses.clone());
                } else {
                    self.trusted.remove(&peer);
                }
                ctx.checkpoint(self.trusted.clone());
                self.step(Event::Trust { peer, on, addresses }, ctx);
            }
        }
    }
}

impl Handler<GetPeerStatus> for PeerActor {
    async fn handle(&mut self, message: GetPeerStatus, _: &mut Context<Self>) -> Option<Explanation> {
        self.machine.explain(self.now(), message.0)
    }
}

impl Handler<GetBestPeers> for PeerActor {
    async fn handle(&mut self, message: GetBestPeers, _: &mut Context<Self>) -> Vec<Ranked> {
        self.machine.best(self.now(), message.count, message.operation)
    }
}

impl Handler<GetAvailablePeers> for PeerActor {
    async fn handle(&mut self, _: GetAvailablePeers, _: &mut Context<Self>) -> Vec<Ranked> {
        self.machine.best(self.now(), usize::MAX, Operation::BlockDownload)
    }
}

impl Handler<GetStates> for PeerActor {
    async fn handle(&mut self, _: GetStates, _: &mut Context<Self>) -> Bytes {
        self.machine.snapshot(self.now()).into()
    }
}

impl Handler<RecallStates> for PeerActor {
    async fn handle(&mut self, message: RecallStates, ctx: &mut Context<Self>) {
        if self.has_book || message.0.is_empty() {
            // What an operator or time has lifted since must not come back.
            return;
        }
        match self.machine.recall(self.now(), &message.0) {
            Ok(actions) => {
                tracing::info!(bans = actions.len(), "the peer book was lost: a checkpoint's is taken over");
                actions.into_iter().for_each(|action| self.act(action, ctx));
                self.has_book = true;
            }
            Err(error) => tracing::warn!(%error, "the peers in the checkpoint are passed over"),
        }
    }
}

impl Handler<Saved> for PeerActor {
    async fn handle(&mut self, saved: Saved, _: &mut Context<Self>) {
        self.on_saved(saved.0);
    }
}

fn settings(parts: &Parts, incarnation: u64) -> Settings {
    let since_start = u64::try_from(parts.clock.moment().0.as_millis()).unwrap_or(u64::MAX);
    let epoch = UnixMillis(parts.clock.unix().0.saturating_sub(since_start));
    let seed = parts.randomness.stream(&format!("peers {incarnation}")).next_u64();
    Settings {
        outbound: parts.config.outbound,
        max_peers: parts.config.max_peers,
        max_book: parts.config.max_book,
        bootnodes: parts.config.bootnodes.clone(),
        ..Settings::new(parts.network.local_peer(), epoch, seed)
    }
}

const fn way(of: transport::Direction) -> alys_peers::Direction {
    match of {
        transport::Direction::Inbound => alys_peers::Direction::Inbound,
        transport::Direction::Outbound => alys_peers::Direction::Outbound,
    }
}

const fn why(of: &transport::DisconnectReason) -> alys_peers::DisconnectReason {
    match of {
        transport::DisconnectReason::Asked | transport::DisconnectReason::Banned => {
            alys_peers::DisconnectReason::Asked
        }
        transport::DisconnectReason::Foreign => alys_peers::DisconnectReason::Foreign,
        transport::DisconnectReason::Closed => alys_peers::DisconnectReason::Closed,
        transport::DisconnectReason::Unresponsive | transport::DisconnectReason::Broken(_) => {
            alys_peers::DisconnectReason::Broken
        }
    }
}
