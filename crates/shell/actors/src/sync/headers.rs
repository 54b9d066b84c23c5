//! Headers on their way through the pool: first the links of a range, then its certificates. A range waits for the links of the one below,
//! which take a millisecond, not for its certificates, which take a hundred: so all cores check certificates, also where one peer serves.

use std::sync::Arc;

use alys_actor::{Context, Handler, Message, Stream};
use alys_chain::CertifiedHeader;
use alys_chain::verify::Parent;
use alys_sync::{Event, Fault, HeaderVerdict, LeaseId};
use rand_core::SeedableRng;

use super::actor::SyncActor;
use super::verify::OnParent;

/// The links of a range were checked.
#[derive(Debug)]
pub(super) struct HeadersLinked {
    lease: LeaseId,
    headers: Arc<[CertifiedHeader]>,
    outcome: Result<Option<OnParent>, Fault>,
}

/// A range was checked.
#[derive(Debug)]
pub(super) struct HeadersChecked {
    lease: LeaseId,
    parent: Parent,
    headers: Arc<[CertifiedHeader]>,
    outcome: Result<HeaderVerdict, Fault>,
}

impl Message for HeadersLinked {
    type Reply = ();
    const NAME: &'static str = "HeadersLinked";
}

impl Message for HeadersChecked {
    type Reply = ();
    const NAME: &'static str = "HeadersChecked";
}

impl SyncActor {
    /// Checks a range on the block that it stands on: one of a linked range, or a stored one.
    pub(super) fn verify_headers(
        &mut self,
        ctx: &mut Context<Self>,
        lease: LeaseId,
        headers: Arc<[CertifiedHeader]>,
    ) {
        let parent = self.known_parent(&headers);
        let (verifier, now) = (self.verifier.clone(), self.parts.clock.unix());
        ctx.spawn(async move {
            let outcome = verifier.links(parent, headers.clone(), now).await;
            HeadersLinked { lease, headers, outcome }
        });
    }

    /// Checks the certificates of a range, and remembers it as one that others may stand on.
    fn verify_approvals(
        &mut self,
        ctx: &mut Context<Self>,
        lease: LeaseId,
        (on, headers): (OnParent, Arc<[CertifiedHeader]>),
    ) {
        let parent = on.parent;
        self.ranges.insert(parent, headers.clone(), on.count());
        // The weights are drawn after the range is fixed.
        let (verifier, rng) = (self.verifier.clone(), Stream::from_rng(&mut self.rng));
        ctx.spawn(async move {
            let outcome = verifier.approvals(on, headers.clone(), rng).await;
            HeadersChecked { lease, parent, headers, outcome }
        });
    }

    fn known_parent(&self, headers: &[CertifiedHeader]) -> Option<Parent> {
        let first = headers.first()?.header;
        self.ranges.parent(first.height.prev()?, first.parent)
    }

    /// Gives back what waited too long for the range below.
    pub(super) fn drop_stale_ranges(&mut self, ctx: &mut Context<Self>) {
        for lease in self.ranges.expire(self.now()) {
            self.unlinked(ctx, lease);
        }
    }

    /// Goes on with the ranges that waited for one below.
    fn wake_ranges(&mut self, ctx: &mut Context<Self>) {
        let woken = self.ranges.wake();
        for (lease, headers) in woken.ready {
            self.verify_headers(ctx, lease, headers);
        }
        for lease in woken.dead {
            self.unlinked(ctx, lease);
        }
    }

    fn unlinked(&mut self, ctx: &mut Context<Self>, lease: LeaseId) {
        let fault = Some(Fault::Moment("the headers stand on a block that is not known here".to_owned()));
        let verdict = HeaderVerdict { valid: 0, held: 0, fault };
        self.step(ctx, Event::HeadersVerified { lease, verdict });
    }
}

impl Handler<HeadersLinked> for SyncActor {
    async fn handle(&mut self, message: HeadersLinked, ctx: &mut Context<Self>) {
        let HeadersLinked { lease, headers, outcome } = message;
        match outcome {
            Ok(Some(on)) => self.verify_approvals(ctx, lease, (on, headers)),
            // The range below may have been linked meanwhile.
            Ok(None) if self.known_parent(&headers).is_some() => self.verify_headers(ctx, lease, headers),
            Ok(None) => self.ranges.park(lease, headers, self.now()),
            Err(fault) => {
                let verdict = HeaderVerdict { valid: 0, held: 0, fault: Some(fault) };
                self.step(ctx, Event::HeadersVerified { lease, verdict });
            }
        }
        self.wake_ranges(ctx);
    }
}

impl Handler<HeadersChecked> for SyncActor {
    async fn handle(&mut self, message: HeadersChecked, ctx: &mut Context<Self>) {
        let HeadersChecked { lease, parent, headers, outcome } = message;
        let failed = |fault| HeaderVerdict { valid: 0, held: 0, fault: Some(fault) };
        let verdict = outcome.unwrap_or_else(failed);
        self.parts.metrics.headers(verdict.valid);
        self.ranges.insert(parent, headers, verdict.valid);
        self.step(ctx, Event::HeadersVerified { lease, verdict });
        self.wake_ranges(ctx);
    }
}
