//! The door of the machine: what comes in, what goes out.
//!
//! Bodies never pass through here. The shell keeps each body that arrives, by block id, from
//! [`Event::BodiesArrived`] until [`Action::Release`] names it; the machine counts their bytes. Headers are small and do pass.

use core::num::NonZeroU32;
use core::time::Duration;
use std::sync::Arc;

use alys_chain::{AuthorityIndex, BlockId, BlockRef, CertifiedHeader, Height, HeightRange, Moment, Slot};
use alys_peers::{Observation, Offence};
use alys_wire::PeerId;
use serde::Serialize;

use crate::blame::Fault;
use crate::gate::Federation;
use crate::gate_watch::Crossing;
use crate::mode::Mode;
use crate::status::WaitingFor;
use crate::tip::Tip;

/// Names one request; never used twice by one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

/// Names one batch that is being verified or imported; never used twice by one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub u64);

/// The command to begin. A [`Event::Tick`] goes before it, so that the clock is known: a head that is ahead of it is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// What is durable: where sync goes on from.
    pub tip: Tip,
    /// Stop by yourself once this height is durable; `None` follows the network.
    pub until: Option<Height>,
    /// A block that is known from elsewhere to be on the chain: a skeleton that passes its height without it is not followed.
    pub checkpoint: Option<BlockRef>,
}

/// How a lease ended, as the shell saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseEnd {
    /// The peer finished its answer, complete or not.
    Served,
    /// The peer is busy.
    Refused {
        /// When it wants to be asked again.
        retry_after: Duration,
    },
    /// The deadline passed.
    TimedOut,
    /// The stream broke (the moment's), the bytes were malformed (the peer's), or we failed.
    Failed(Fault),
}

/// A body that is now with the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrivedBody {
    /// Its block, as it was asked for. That the body belongs to it is yet to be verified.
    pub id: BlockId,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What the verification of headers found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderVerdict {
    /// How many of them, from the first on, are linked to each other and certified.
    pub valid: usize,
    /// How many of them, from the first on, are durable here with their bodies. Zero, unless sync stepped back from
    /// a fork or gossip was faster.
    pub held: usize,
    /// What is wrong with the first one that is not valid, if anything is.
    pub fault: Option<Fault>,
}

/// How far an import came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportFailure {
    /// How many blocks of the batch, from the first on, are durable.
    pub imported: usize,
    /// Why the next one is not. A peer's fault only if its body is provably not the one that the header commits to.
    pub fault: Fault,
    /// What is durable now.
    pub tip: Tip,
}

/// How long the importer worked on a batch. Zero where it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportTook {
    /// Executing its blocks.
    pub execute: Duration,
    /// Making them durable.
    pub commit: Duration,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Command: sync from here.
    Start(Start),
    /// Command: stop, and give everything back.
    Stop,
    /// Command: ask for nothing and import nothing; keep what is there.
    Pause,
    /// Command: go on.
    Resume,

    /// A connection to this peer is up.
    PeerConnected {
        /// The peer.
        peer: PeerId,
    },
    /// The federation handshake proved which authority this peer is; `None` when the set changed and it no longer is one.
    PeerIdentified {
        /// The peer.
        peer: PeerId,
        /// Its place in the present set; never our own.
        authority: Option<AuthorityIndex>,
    },
    /// The last connection to this peer is gone.
    PeerDisconnected {
        /// The peer.
        peer: PeerId,
    },
    /// A peer's status, asked for or not. The shell has verified the head's certificate; a head that fails is reported as
    /// the end of the lease instead.
    PeerStatus {
        /// The peer.
        peer: PeerId,
        /// Its best certified header; `None` while it has genesis only.
        head: Option<CertifiedHeader>,
        /// The lowest height whose body it can serve.
        earliest: Height,
    },

    /// Headers came, decoded but not verified. This ends the lease.
    HeadersArrived {
        /// The lease.
        lease: LeaseId,
        /// What came.
        headers: Vec<CertifiedHeader>,
        /// Their size on the wire.
        bytes: u64,
    },
    /// Bodies came; the shell holds them. The lease goes on.
    BodiesArrived {
        /// The lease.
        lease: LeaseId,
        /// What came, in the order of arrival.
        bodies: Vec<ArrivedBody>,
    },
    /// Bytes came for this lease, of something that is not complete yet. Ten times a second a lease is enough.
    LeaseProgress {
        /// The lease.
        lease: LeaseId,
    },
    /// The lease ended.
    LeaseEnded {
        /// The lease.
        lease: LeaseId,
        /// How.
        end: LeaseEnd,
    },

    /// The verdict on [`Action::VerifyHeaders`].
    HeadersVerified {
        /// The lease that brought them.
        lease: LeaseId,
        /// What was found.
        verdict: HeaderVerdict,
    },
    /// The verdict on [`Action::VerifyBodies`]: all are good but these.
    BodiesVerified {
        /// The batch.
        batch: BatchId,
        /// Which are not, and whose fault it is.
        faults: Vec<(BlockId, Fault)>,
    },
    /// The verdict on [`Action::Import`]: all of it is durable.
    Imported {
        /// The batch.
        batch: BatchId,
        /// What is durable now.
        tip: Tip,
        /// Where the time went.
        took: ImportTook,
    },
    /// The verdict on [`Action::Import`]: not all of it is durable.
    ImportFailed {
        /// The batch.
        batch: BatchId,
        /// How far it came, and why no further.
        failure: ImportFailure,
    },
    /// The durable chain changed, by gossip, by our own production, or by an import.
    TipChanged(Tip),

    /// The authority set of the present slot.
    FederationChanged(Federation),
    /// A verified approval, proposal or handshake of another authority was seen.
    AuthorityHeard {
        /// Who.
        authority: AuthorityIndex,
    },
    /// Another authority's signed answer to [`Action::AskReports`], its signature and nonce verified.
    AuthorityReport {
        /// The round that the nonce belongs to.
        round: u64,
        /// Who.
        authority: AuthorityIndex,
        /// The slot of the best certified block that it knows.
        slot: Slot,
    },
    /// Each second, at the start of each slot, and at [`next_deadline`](crate::SyncMachine::next_deadline).
    Tick {
        /// The present slot by the wall clock.
        slot: Slot,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask for the peer's status.
    RequestStatus {
        /// The lease.
        lease: LeaseId,
        /// Whom to ask.
        peer: PeerId,
        /// When to give up.
        deadline: Moment,
    },
    /// Ask for headers with certificates.
    RequestHeaders {
        /// The lease.
        lease: LeaseId,
        /// Whom to ask.
        peer: PeerId,
        /// The first height.
        from: Height,
        /// How many.
        count: NonZeroU32,
        /// When to give up.
        deadline: Moment,
    },
    /// Ask for bodies.
    RequestBodies {
        /// The lease.
        lease: LeaseId,
        /// Whom to ask.
        peer: PeerId,
        /// Which, in ascending height.
        ids: Vec<BlockId>,
        /// When to give up at the latest. The machine may cancel earlier: for silence, or for want of budget.
        deadline: Moment,
    },
    /// End this request. No answer is expected.
    Cancel {
        /// The lease.
        lease: LeaseId,
    },
    /// Check links and certificates. Answer: [`Event::HeadersVerified`].
    VerifyHeaders {
        /// The lease that brought them.
        lease: LeaseId,
        /// The headers, ascending.
        headers: Arc<[CertifiedHeader]>,
    },
    /// Check that the held bodies of these blocks are theirs, and prepare them for import. Answer: [`Event::BodiesVerified`].
    VerifyBodies {
        /// The batch.
        batch: BatchId,
        /// The blocks.
        headers: Vec<CertifiedHeader>,
    },
    /// Execute these blocks, in this order, and make them durable. Answer: [`Event::Imported`] or
    /// [`Event::ImportFailed`]. A block that is durable already counts as imported.
    Import {
        /// The batch.
        batch: BatchId,
        /// The blocks, each the child of the one before; their bodies are held.
        headers: Vec<CertifiedHeader>,
    },
    /// These bodies are not needed any more. Unknown ids are fine.
    Release {
        /// The blocks.
        ids: Vec<BlockId>,
    },
    /// Tell the peer book.
    Observe {
        /// About whom.
        peer: PeerId,
        /// What.
        what: Observation,
    },
    /// Draw a nonce for this round and ask every authority for a signed report of its best certified block. The
    /// nonces of earlier rounds are void.
    AskReports {
        /// The round.
        round: u64,
    },
    /// Tell people: log, status stream, flight recorder.
    Report(Report),
}

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
