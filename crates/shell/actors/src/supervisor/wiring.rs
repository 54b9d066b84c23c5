//! The wires: which mailbox stands behind which port.

use std::time::Duration;

use alys_actor::SendError;
use alys_chain::{Approval, BlockId, Body, Certificate};
use alys_peers::Offence;
use alys_transport::{Answer, Answers, Verdict};
use alys_wire::{PeerId, Proposal, Request};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::timeout;

use crate::chain::{Bodies, ChainMailbox, Outlet};
use crate::network::{ChainPort, Gossiped, NetworkMailbox, Requests};

/// How long the body of a proposal may take. A slot of the default length is over by then, and with it the time to approve; sync fetches the block
/// once it is certified.
const BODY_LIMIT: Duration = Duration::from_secs(2);

impl ChainPort for ChainMailbox {
    fn proposal(&self, from: Gossiped, proposal: Proposal) -> Result<(), SendError> {
        self.propose(from, proposal)
    }

    fn approval(&self, from: Gossiped, approval: Approval) -> Result<(), SendError> {
        self.approve(from, approval)
    }

    fn certificate(&self, from: Gossiped, certificate: Certificate) -> Result<(), SendError> {
        self.certify(from, certificate)
    }

    fn transaction(&self, from: Gossiped, transaction: Bytes) -> Result<(), SendError> {
        Self::transaction(self, from, transaction)
    }
}

impl Outlet for NetworkMailbox {
    fn proposal(&self, proposal: Proposal) {
        lost("proposal", self.broadcast_proposal(proposal));
    }

    fn approval(&self, approval: Approval) {
        lost("approval", self.broadcast_approval(approval));
    }

    fn certificate(&self, certificate: Certificate) {
        lost("certificate", self.broadcast_certificate(certificate));
    }

    fn transaction(&self, raw: Bytes) {
        lost("transaction", self.broadcast_transaction(raw));
    }

    fn validated(&self, gossiped: Gossiped, verdict: Verdict, offence: Option<Offence>) {
        lost("verdict", Self::validated(self, gossiped, verdict, offence));
    }
}

/// Says what the network had no room for; consensus says it again, or does without.
fn lost(what: &'static str, sent: Result<(), SendError>) {
    if let Err(why) = sent {
        tracing::warn!(what, %why, "the network took it not");
    }
}

impl Bodies for Requests {
    fn body(&self, peer: PeerId, block: BlockId) -> BoxFuture<'static, Option<Body>> {
        let answers = self.request(peer, Request::Bodies { ids: vec![block] });
        // One that does not end in time is dropped, which cancels the request.
        async move { timeout(BODY_LIMIT, first_body(answers, block)).await.ok().flatten() }.boxed()
    }
}

async fn first_body(mut answers: Answers, block: BlockId) -> Option<Body> {
    loop {
        match answers.recv().await? {
            Answer::Bodies(bodies) => {
                return bodies.into_iter().find(|(id, _)| *id == block).and_then(|(_, body)| body);
            }
            Answer::End(_) => return None,
            // The transport lets no other kind of piece through.
            _ => {}
        }
    }
}
