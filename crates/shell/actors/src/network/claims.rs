//! Claims of peers to be an authority, judged.

use std::time::Duration;

use alys_actor::{Clock, Pool, Priority};
use alys_chain::{Claim, ClaimError, Parties, Rules};
use alys_transport::{Answer, Answers, Outcome};
use alys_wire::PeerId;
use alys_wire::limits::NONCE_BYTES;
use bytes::Bytes;
use std::sync::Arc;
use tokio::time::timeout;

use super::messages::Judged;

/// How long we wait for a claim: several round trips on the worst of links. The peer is not blamed for more, only asked again.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is needed to judge a peer's claim, apart from the actor.
pub(super) struct Judge {
    pub rules: Arc<Rules>,
    pub clock: Clock,
    pub pool: Pool,
    pub local: PeerId,
    pub peer: PeerId,
    pub nonce: [u8; NONCE_BYTES],
}

impl Judge {
    /// Reads the answer to its end, and judges it.
    pub async fn hear(self, answers: Answers) -> Judged {
        // An answer that does not end in time is dropped, which cancels the request.
        let (claim, outcome) = timeout(PATIENCE, read(answers)).await.unwrap_or((None, Outcome::Lost));
        match (claim, outcome) {
            (Some(claim), _) => self.verify(claim).await,
            (None, Outcome::Unavailable | Outcome::Unsupported | Outcome::Done) => Judged::None,
            (None, outcome) => Judged::Again(outcome),
        }
    }

    async fn verify(self, claim: Bytes) -> Judged {
        let pool = self.pool.clone();
        // A verification that panics would be a fault of ours; the peer is asked again.
        pool.run(Priority::High, move || self.judge(&claim)).await.unwrap_or(Judged::Untimely)
    }

    fn judge(&self, claim: &[u8]) -> Judged {
        let parties =
            Parties { claimant: self.peer.as_bytes(), asker: self.local.as_bytes(), nonce: &self.nonce };
        let now = self.clock.unix();
        match Claim::decode(claim)
            .map_err(ClaimError::from)
            .and_then(|c| c.verify(&self.rules, &parties, now))
        {
            Ok(seat) => Judged::Authority(seat),
            Err(ClaimError::Invalid(why)) => Judged::Wrong(why),
            Err(ClaimError::Over { .. }) => Judged::Untimely,
        }
    }
}

/// The claim in an answer, and how the answer ended.
async fn read(mut answers: Answers) -> (Option<Bytes>, Outcome) {
    let mut claim = None;
    loop {
        match answers.recv().await {
            Some(Answer::Claim(bytes)) => claim = Some(bytes),
            Some(Answer::End(outcome)) => return (claim, outcome),
            // The transport lets no other kind of piece through.
            Some(_) => {}
            None => return (claim, Outcome::Lost),
        }
    }
}
