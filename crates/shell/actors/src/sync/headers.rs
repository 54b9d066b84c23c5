//! Headers on their way through the pool.

use std::sync::Arc;

use alys_actor::{Context, Handler, Message, Stream};
use alys_chain::CertifiedHeader;
use alys_chain::verify::Parent;
use alys_sync::{Event, Fault, HeaderVerdict, LeaseId};
use rand_core::SeedableRng;

use super::actor::SyncActor;
use super::verify::Headers;

/// A range was checked.
#[derive(Debug)]
pub(super) struct HeadersChecked {
    lease: LeaseId,
    headers: Arc<[CertifiedHeader]>,
    outcome: Result<Headers, Fault>,
}

impl Message for HeadersChecked {
    type Reply = ();
    const NAME: &'static str = "HeadersChecked";
}

impl SyncActor {
    /// Checks a range on the block that it stands on: one of a verified range, or a stored one.
    pub(super) fn verify_headers(
        &mut self,
        ctx: &mut Context<Self>,
        lease: LeaseId,
        headers: Arc<[CertifiedHeader]>,
    ) {
        let parent = self.verified_parent(&headers);
        let (verifier, now) = (self.verifier.clone(), self.parts.clock.unix());
        let rng = Stream::from_rng(&mut self.rng);
        ctx.spawn(async move {
            let outcome = verifier.headers(parent, headers.clone(), now, rng).await;
            HeadersChecked { lease, headers, outcome }
        });
    }

    fn verified_parent(&self, headers: &[CertifiedHeader]) -> Option<Parent> {
        let first = headers.first()?.header;
        self.ranges.parent(first.height.prev()?, first.parent)
    }

    /// Gives back what waited too long for the range below.
    pub(super) fn drop_stale_ranges(&mut self, ctx: &mut Context<Self>) {
        for lease in self.ranges.expire(self.now()) {
            self.unlinked(ctx, lease);
        }
    }

    fn unlinked(&mut self, ctx: &mut Context<Self>, lease: LeaseId) {
        let fault = Some(Fault::Moment("the headers stand on a block that is not known here".to_owned()));
        let verdict = HeaderVerdict { valid: 0, held: 0, fault };
        self.step(ctx, Event::HeadersVerified { lease, verdict });
    }
}

impl Handler<HeadersChecked> for SyncActor {
    async fn handle(&mut self, message: HeadersChecked, ctx: &mut Context<Self>) {
        let HeadersChecked { lease, headers, outcome } = message;
        match outcome {
            // The range below may have been checked meanwhile.
            Ok(Headers::Unknown) if self.verified_parent(&headers).is_some() => {
                self.verify_headers(ctx, lease, headers);
            }
            Ok(Headers::Unknown) => self.ranges.park(lease, headers, self.now()),
            Ok(Headers::Checked { parent, verdict }) => {
                self.parts.metrics.headers(verdict.valid);
                self.ranges.insert(parent, headers, verdict.valid);
                self.step(ctx, Event::HeadersVerified { lease, verdict });
            }
            Err(fault) => {
                let verdict = HeaderVerdict { valid: 0, held: 0, fault: Some(fault) };
                self.step(ctx, Event::HeadersVerified { lease, verdict });
            }
        }
        let woken = self.ranges.wake();
        for (lease, headers) in woken.ready {
            self.verify_headers(ctx, lease, headers);
        }
        for lease in woken.dead {
            self.unlinked(ctx, lease);
        }
    }
}
