//! Requests in flight: each is a reader of its answer, which is a task of this incarnation.

use alys_actor::{Context, Handler, Lane};
use alys_chain::{BlockId, Body, Height};
use alys_sync::{ArrivedBody, Event, LeaseEnd, LeaseId};
use alys_wire::{PeerId, Request};
use futures::{Stream, stream};

use super::actor::SyncActor;
use super::news::{self, LeaseNews, News};

impl SyncActor {
    pub(super) fn request_status(&mut self, ctx: &mut Context<Self>, lease: LeaseId, peer: PeerId) {
        let answers = self.parts.requests.request(peer, Request::Status);
        self.read(ctx, lease, news::of_status(answers, (lease, peer), self.verifier.clone()));
    }

    pub(super) fn request_headers(
        &mut self,
        ctx: &mut Context<Self>,
        (lease, peer): (LeaseId, PeerId),
        from: Height,
        count: u32,
    ) {
        let answers = self.parts.requests.request(peer, Request::Headers { from, count });
        self.read(ctx, lease, news::of_headers(answers, (lease, peer), self.parts.clock.clone()));
    }

    pub(super) fn request_bodies(
        &mut self,
        ctx: &mut Context<Self>,
        (lease, peer): (LeaseId, PeerId),
        ids: Vec<BlockId>,
    ) {
        if self.parts.config.light {
            // What a block holds is nobody's business here: its header stands for it.
            let bodies = ids.into_iter().map(|id| (id, Body::default())).collect();
            let both = [News::Bodies(bodies), News::End(LeaseEnd::Served)];
            return self.read(ctx, lease, stream::iter(both.map(|news| LeaseNews { lease, peer, news })));
        }
        let answers = self.parts.requests.request(peer, Request::Bodies { ids });
        self.read(ctx, lease, news::of_bodies(answers, (lease, peer)));
    }

    /// Lets a task read the answer; its news wait in the normal lane, and the stream of the peer waits for them.
    fn read(
        &mut self,
        ctx: &mut Context<Self>,
        lease: LeaseId,
        source: impl Stream<Item = LeaseNews> + Send + 'static,
    ) {
        let reader = ctx.attach(Lane::Normal, source);
        self.leases.insert(lease, reader);
    }

    /// Ends the request: its reader is dropped, which tells the transport.
    pub(super) fn cancel(&mut self, lease: LeaseId) {
        if let Some(reader) = self.leases.remove(&lease) {
            reader.cancel();
        }
    }
}

impl Handler<LeaseNews> for SyncActor {
    async fn handle(&mut self, message: LeaseNews, ctx: &mut Context<Self>) {
        let LeaseNews { lease, peer, news } = message;
        if !self.leases.contains_key(&lease) {
            // Of a request that was given up: what it brought must not be taken for what another one brings.
            return;
        }
        match news {
            News::Status { head, earliest } => {
                let head = head.map(|head| *head);
                // Whoever serves headers serves all that a light node wants.
                let earliest = if self.parts.config.light { Height::ZERO } else { earliest };
                self.step(ctx, Event::PeerStatus { peer, head, earliest });
            }
            News::Headers { headers, bytes } => {
                self.leases.remove(&lease);
                self.step(ctx, Event::HeadersArrived { lease, headers, bytes });
            }
            News::Bodies(bodies) => {
                let arrived = |(id, body): &(BlockId, _)| ArrivedBody { id: *id, bytes: news::size(body) };
                let arrivals: Vec<ArrivedBody> = bodies.iter().map(arrived).collect();
                self.parts.metrics.received(arrivals.iter().map(|body| body.bytes).sum());
                self.parts.metrics.came_twice(self.held.take(bodies));
                self.step(ctx, Event::BodiesArrived { lease, bodies: arrivals });
            }
            News::Progress => self.step(ctx, Event::LeaseProgress { lease }),
            News::End(end) => {
                self.leases.remove(&lease);
                self.parts.metrics.ended(&end);
                self.step(ctx, Event::LeaseEnded { lease, end });
            }
        }
    }
}
