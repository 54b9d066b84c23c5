//! What people are told: the log, the status stream and the flight recorder show it.

use core::time::Duration;

use alys_chain::{BlockId, BlockRef, Height, HeightRange, Moment};
use alys_peers::Offence;
use alys_wire::PeerId;
use serde::Serialize;

use crate::gate_watch::Crossing;
use crate::mode::Mode;
use crate::status::WaitingFor;
use crate::terms::{self, Terms};

/// What a verdict rests on: bytes that the peer served for these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The heights that it was asked for.
    pub heights: Option<HeightRange>,
    /// The block that is not what it should be.
    pub block: Option<BlockId>,
}

/// What people want to know about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// The mode changed.
    ModeChanged {
        /// Before.
        from: Mode,
        /// Now.
        to: Mode,
        /// What sync waits for now.
        waiting_for: WaitingFor,
    },
    /// There is a better proven target.
    TargetChanged {
        /// The new one.
        target: BlockRef,
    },
    /// Nobody serves the way to this target: the next best counts.
    TargetDropped {
        /// The one that is set aside.
        target: BlockRef,
    },
    /// No block became durable for a while.
    Stalled {
        /// Since when.
        since: Moment,
        /// The reason.
        waiting_for: WaitingFor,
    },
    /// A range of headers does not link to the range below: one of the two is a dead branch. Nobody is to blame.
    Unlinked {
        /// The height that names another parent.
        height: Height,
    },
    /// The network's chain does not stand on our head: sync goes on from our final block.
    SteppedBack {
        /// The head that is left.
        head: BlockRef,
        /// Where it goes on from.
        finalized: BlockRef,
    },
    /// An import failed; it will be tried again.
    ImportFailing {
        /// Why.
        reason: String,
        /// How often in a row.
        attempts: u32,
        /// When it is tried again.
        retry_at: Moment,
    },
    /// Imports work again.
    ImportRecovered {
        /// How many attempts failed.
        attempts: u32,
    },
    /// Nobody ran us for a while: the requests that were out go on where they were.
    WasAway {
        /// For how long.
        away: Duration,
    },
    /// Most peers failed at once, so that the fault is likelier ours (or no longer).
    SuspectOurselves {
        /// Whether it is so now.
        suspect: bool,
    },
    /// A peer did what no correct node does.
    Blamed {
        /// Who.
        peer: PeerId,
        /// For what.
        offence: Offence,
        /// On what proof.
        proof: Proof,
    },
    /// A peer is late with the head of the line, and a second one was asked for the same: the first copy counts, the other is nobody's fault.
    Hedged {
        /// The heights that both owe now.
        heights: HeightRange,
        /// Who is late.
        slow: PeerId,
        /// How long ago it was asked.
        held_for: Duration,
        /// How long the head should have taken by its bandwidth and round trip.
        expected: Duration,
        /// Who was asked as well.
        with: PeerId,
    },
    /// A peer is asked by other terms.
    Tuned {
        /// Who.
        peer: PeerId,
        /// The terms that were told last.
        from: Terms,
        /// The terms now.
        to: Terms,
        /// Why.
        reason: terms::Reason,
    },
    /// A peer is asked no more while anybody better can serve: so many requests in a row came to nothing.
    SetBack {
        /// Who.
        peer: PeerId,
        /// How many.
        strikes: u32,
    },
    /// The gate opened or closed, and stays so; the signature of the slot itself does not count.
    GateCrossed(Crossing),
    /// The height that the command asked for is durable; sync stopped.
    Finished {
        /// The height.
        at: Height,
    },
    /// A command makes no sense in the present state, and was ignored.
    Refused {
        /// Why.
        reason: &'static str,
    },
}
