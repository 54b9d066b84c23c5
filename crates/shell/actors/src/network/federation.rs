//! Which connected peers act for an authority, slot by slot; and what sync knows of the peers.

use std::time::Duration;

use alys_actor::{Context, Handler};
use alys_chain::{AuthorityIndex, Moment, SetId, UnixMillis};
use alys_peers::{Observation, Offence};
use alys_transport::{Command, DisconnectReason};
use alys_wire::limits::NONCE_BYTES;
use alys_wire::{PeerId, Request};
use rand_core::Rng;

use super::actor::NetworkActor;
use super::claims::Judge;
use super::line::Claiming;
use super::messages::{ClaimAnswered, Judged, SlotTick};
use crate::peer::News;

/// When a peer is asked again that did not answer, or whose claim was for another moment: some slots, as its authority waits for it.
const AGAIN: Duration = Duration::from_secs(5);

/// When a peer is asked again that claims nothing. It may be an authority that has no key yet, or one whose set begins later (then we ask at that
/// slot anyway).
const RECHECK: Duration = Duration::from_secs(60);

/// The longest time between two ticks: long slots must not delay what is due.
const LONGEST_TICK: Duration = Duration::from_secs(1);

/// The shortest one, for a clock that stands at the very end of a slot.
const SHORTEST_TICK: Duration = Duration::from_millis(10);

impl Handler<SlotTick> for NetworkActor {
    async fn handle(&mut self, _: SlotTick, ctx: &mut Context<Self>) {
        self.on_slot(ctx);
    }
}

impl Handler<ClaimAnswered> for NetworkActor {
    async fn handle(&mut self, message: ClaimAnswered, _: &mut Context<Self>) {
        self.on_claim(message.peer, &message.judged);
    }
}

impl NetworkActor {
    /// What is due at the beginning of a slot, and at least each second.
    pub(super) fn on_slot(&mut self, ctx: &mut Context<Self>) {
        let now = self.parts.clock.unix();
        let slot = self.parts.rules.slot_at(now).unwrap_or_default();
        let set = self.parts.rules.schedule().set_at(slot).id();
        if self.line.with(|known| known.set != Some(set)) {
            self.begin_set(set);
        }
        self.ask_for_claims(ctx);
        if self.book_is_behind {
            self.introduce_to_book();
        }
        self.bring_sync_up_to_date();
        self.show();
        let next = self.parts.rules.start_of(slot.saturating_add(1));
        ctx.after(wait(now, next), SlotTick);
    }

    /// No claim counts any more; everybody is asked anew.
    fn begin_set(&mut self, set: SetId) {
        let now = self.parts.clock.moment();
        let explicit = self.line.with(|known| {
            known.set = Some(set);
            known.links.values_mut().filter(|link| link.identified()).for_each(|link| {
                link.claim = Claiming::Due(now);
            });
            std::mem::take(&mut known.explicit)
        });
        for peer in explicit {
            self.command(Command::Explicit { peer, on: false });
        }
        self.inform(News::FederationChanged);
    }

    /// Asks those for their claim whose time has come.
    pub(super) fn ask_for_claims(&mut self, ctx: &mut Context<Self>) {
        let now = self.parts.clock.moment();
        for peer in self.line.with(|known| known.take_due(now)) {
            let mut nonce = [0; NONCE_BYTES];
            self.nonces.fill_bytes(&mut nonce);
            let answers = self.requests.request(peer, Request::Claim { nonce });
            let judge = Judge {
                rules: self.parts.rules.clone(),
                clock: self.parts.clock.clone(),
                pool: self.parts.pool.clone(),
                local: self.requests.local_peer(),
                peer,
                nonce,
            };
            ctx.spawn(async move { ClaimAnswered { peer, judged: judge.hear(answers).await } });
        }
    }

    fn on_claim(&mut self, peer: PeerId, judged: &Judged) {
        let now = self.parts.clock.moment();
        let set = self.line.with(|known| known.set);
        match judged {
            Judged::Authority(seat) if Some(seat.set) == set => self.on_authority(peer, seat.authority),
            Judged::Authority(_) | Judged::Untimely | Judged::Again(_) => {
                self.ask_later(peer, now.after(AGAIN))
            }
            Judged::None => self.ask_later(peer, now.after(RECHECK)),
            Judged::Wrong(why) => {
                tracing::warn!(%peer, %why, "a wrong claim to be an authority");
                self.parts.metrics.wrong_claims.inc();
                self.hint(self.parts.peers.observe(peer, Observation::Offence(Offence::BadClaim)));
                self.ask_later(peer, now.after(RECHECK));
            }
        }
    }

    fn on_authority(&mut self, peer: PeerId, authority: AuthorityIndex) {
        let proven = self.line.with(|known| {
            let link = known.links.get_mut(&peer).filter(|link| link.identified());
            link.map(|link| link.claim = Claiming::Proven(authority))
        });
        if proven.is_some() {
            tracing::info!(%peer, %authority, "a peer acts for an authority");
            self.inform(News::ClaimVerified { peer, authority });
            self.tell_sync(peer, DisconnectReason::Closed);
        }
    }

    fn ask_later(&self, peer: PeerId, at: Moment) {
        self.line.with(|known| {
            let link = known.links.get_mut(&peer).filter(|link| link.claim == Claiming::Asked);
            link.map(|link| link.claim = Claiming::Due(at))
        });
    }

    /// Tells sync what it does not know yet of everybody.
    pub(super) fn bring_sync_up_to_date(&self) {
        let peers = self.line.with(|known| known.strangers_to_sync());
        for peer in peers {
            self.tell_sync(peer, DisconnectReason::Closed);
        }
    }

    /// Tells sync what it does not know yet of a peer. What it has no room for is told at the next tick.
    pub(super) fn tell_sync(&self, peer: PeerId, gone: DisconnectReason) {
        let (told, truth) = self.line.with(|known| (known.told.get(&peer).copied(), known.truth(peer)));
        let sync = &self.parts.sync;
        let heard = match (told, truth) {
            (Some(_), None) => sync.peer_disconnected(peer, gone),
            (None, Some(None)) => sync.peer_connected(peer),
            (None, Some(authority)) => {
                sync.peer_connected(peer).and_then(|()| sync.authority_identified(peer, authority))
            }
            (Some(told), Some(truth)) if told != truth => sync.authority_identified(peer, truth),
            (Some(_), Some(_)) | (None, None) => return,
        };
        if heard.is_ok() {
            self.line.with(|known| match truth {
                Some(truth) => known.told.insert(peer, truth),
                None => known.told.remove(&peer),
            });
        }
        self.hint(heard);
    }

    /// Renews what others see.
    fn show(&self) {
        let (connected, authorities) = self
            .line
            .with(|known| (known.links.len(), known.links.values().filter_map(|l| l.authority()).count()));
        self.parts.metrics.connected.set(gauge(connected));
        self.parts.metrics.authorities.set(gauge(authorities));
        self.line.publish();
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// How long until the next tick.
fn wait(now: UnixMillis, next_slot: UnixMillis) -> Duration {
    Duration::from_millis(next_slot.0.saturating_sub(now.0)).clamp(SHORTEST_TICK, LONGEST_TICK)
}
