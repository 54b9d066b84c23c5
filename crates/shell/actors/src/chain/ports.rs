//! What the chain needs of its neighbours, as narrow as it is: so it runs alone, under test, and the wiring puts the mailboxes behind it.
//!
//! No port waits: what takes time gives a future, which the actor runs beside itself.

use alys_chain::{Approval, BlockId, Body, Certificate, Slot};
use alys_peers::Offence;
use alys_sync::GateReport;
use alys_transport::Verdict;
use alys_wire::{PeerId, Proposal};
use bytes::Bytes;
use futures::future::BoxFuture;

use crate::network::Gossiped;

/// Sync, as the chain sees it.
pub trait Gate: Send + Sync + 'static {
    /// May this node propose and approve in `slot`? It answers well within the slot: for a sync that is silent, with a closed gate.
    fn ask(&self, slot: Slot) -> BoxFuture<'static, GateReport>;

    /// A verified certificate names a block whose ancestors are not here: there is something to fetch.
    fn behind(&self, certificate: Certificate);
}

/// The network, as the chain sees it. Everything is handed over at once or dropped: consensus says it again, or does without.
pub trait Outlet: Send + Sync + 'static {
    /// Publishes our own proposal.
    fn proposal(&self, proposal: Proposal);

    /// Publishes our own approval.
    fn approval(&self, approval: Approval);

    /// Publishes a certificate that is new here.
    fn certificate(&self, certificate: Certificate);

    /// Publishes a transaction that was submitted here.
    fn transaction(&self, raw: Bytes);

    /// The verdict on a gossiped message; with a rejection comes the provable offence of whoever forwarded it.
    fn validated(&self, gossiped: Gossiped, verdict: Verdict, offence: Option<Offence>);
}

/// Where the body of a proposal above the inline limit comes from.
pub trait Bodies: Send + Sync + 'static {
    /// The body of `block` from `peer`, as it came: unchecked. `None` when the peer does not deliver in time (its deadline is the port's).
    fn body(&self, peer: PeerId, block: BlockId) -> BoxFuture<'static, Option<Body>>;
}
