//! Who is connected, and who is asked for its proof at once.

use core::time::Duration;

use alys_actor::{Context, Handler};
use alys_chain::Moment;
use alys_sync::Event;
use alys_wire::PeerId;

use super::actor::SyncActor;
use super::ingress::{AuthorityIdentified, Behind, PeerConnected, PeerDisconnected, PeerDiscovered};

/// Hints are followed at most so often: each costs requests, and anybody can make them.
const NUDGE_EVERY: Duration = Duration::from_millis(200);
/// How many peers are asked when a hint names none: one may be slow, another behind as well.
const NUDGED_PEERS: usize = 3;

/// Whom the last hint made us ask.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Nudge {
    at: Option<Moment>,
    last: Option<PeerId>,
}

impl SyncActor {
    /// Asks these peers for their proof now instead of at the next poll.
    fn nudge(&mut self, ctx: &mut Context<Self>, peer: Option<PeerId>) {
        let now = self.now();
        if self.nudge.at.is_some_and(|at| now.since(at) < NUDGE_EVERY) {
            return;
        }
        self.nudge.at = Some(now);
        let asked: Vec<PeerId> = match peer {
            Some(peer) => self.peers.contains_key(&peer).then_some(peer).into_iter().collect(),
            None => {
                let behind_last = self.peers.keys().filter(|&&peer| Some(peer) > self.nudge.last);
                behind_last
                    .chain(self.peers.keys())
                    .take(NUDGED_PEERS.min(self.peers.len()))
                    .copied()
                    .collect()
            }
        };
        self.nudge.last = asked.last().copied().or(self.nudge.last);
        for peer in asked {
            // To the machine a peer that connects again is one to ask now.
            self.step(ctx, Event::PeerConnected { peer });
        }
    }
}

impl Handler<PeerConnected> for SyncActor {
    async fn handle(&mut self, message: PeerConnected, ctx: &mut Context<Self>) {
        let peer = message.peer;
        self.peers.entry(peer).or_default();
        self.step(ctx, Event::PeerConnected { peer });
        self.fetch_step(ctx, alys_sync::snapshot::Event::PeerConnected { peer });
    }
}

impl Handler<PeerDisconnected> for SyncActor {
    async fn handle(&mut self, message: PeerDisconnected, ctx: &mut Context<Self>) {
        let PeerDisconnected { peer, reason } = message;
        tracing::debug!(?peer, ?reason, "a peer is gone");
        self.peers.remove(&peer);
        self.step(ctx, Event::PeerDisconnected { peer });
        self.fetch_step(ctx, alys_sync::snapshot::Event::PeerDisconnected { peer });
    }
}

impl Handler<AuthorityIdentified> for SyncActor {
    async fn handle(&mut self, message: AuthorityIdentified, ctx: &mut Context<Self>) {
        let AuthorityIdentified { peer, authority } = message;
        // Whoever shows our own key says nothing about the others.
        let authority = authority.filter(|&place| self.own_place(self.slot()) != Some(place));
        if let Some(known) = self.peers.get_mut(&peer) {
            *known = authority;
            self.step(ctx, Event::PeerIdentified { peer, authority });
        }
    }
}

impl Handler<PeerDiscovered> for SyncActor {
    async fn handle(&mut self, message: PeerDiscovered, ctx: &mut Context<Self>) {
        let head = self.view.borrow().head.height;
        if message.reported_height.is_some_and(|reported| reported > head) {
            self.nudge(ctx, Some(message.peer));
        }
    }
}

impl Handler<Behind> for SyncActor {
    async fn handle(&mut self, message: Behind, ctx: &mut Context<Self>) {
        if message.slot > self.view.borrow().head.slot {
            self.nudge(ctx, message.source);
        }
    }
}
