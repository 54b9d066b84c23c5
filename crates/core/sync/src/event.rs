//! What comes in by the door of the machine.
//!
//! Bodies never pass through here. The shell keeps the first copy of each body that arrives, by block id, from
//! [`Event::BodiesArrived`] until [`Action::Release`](crate::Action::Release) names it; the machine counts their bytes. Headers are small and do pass.

use core::time::Duration;

use alys_chain::{AuthorityIndex, BlockId, BlockRef, CertifiedHeader, Height, Slot};
use alys_wire::PeerId;

use crate::blame::Fault;
use crate::gate::Federation;
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

    /// The verdict on [`Action::VerifyHeaders`](crate::Action::VerifyHeaders).
    HeadersVerified {
        /// The lease that brought them.
        lease: LeaseId,
        /// What was found.
        verdict: HeaderVerdict,
    },
    /// The verdict on [`Action::VerifyBodies`](crate::Action::VerifyBodies): all are good but these.
    BodiesVerified {
        /// The batch.
        batch: BatchId,
        /// Which are not, and whose fault it is.
        faults: Vec<(BlockId, Fault)>,
    },
    /// The verdict on [`Action::Import`](crate::Action::Import): all of it is durable.
    Imported {
        /// The batch.
        batch: BatchId,
        /// What is durable now.
        tip: Tip,
        /// Where the time went.
        took: ImportTook,
    },
    /// The verdict on [`Action::Import`](crate::Action::Import): not all of it is durable.
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
    /// Another authority's signed answer to [`Action::AskReports`](crate::Action::AskReports), its signature and nonce verified.
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
