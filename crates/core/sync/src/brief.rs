//! Events and actions in a line each, for logs: what is long in them is counted.

use core::fmt;

use alys_chain::{CertifiedHeader, Height};

use crate::action::Action;
use crate::event::Event;

/// So many headers, from this height on.
struct Headers<'a>(&'a [CertifiedHeader]);

impl fmt::Display for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.0.first().map_or(Height::ZERO, |first| first.header.height);
        write!(f, "{} blocks from {from}", self.0.len())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerStatus { peer, head, earliest } => {
                let head = head.as_ref().map(|head| (head.header.height, head.certificate.block));
                write!(f, "PeerStatus {{ peer: {peer:?}, head: {head:?}, earliest: {earliest} }}")
            }
            Self::HeadersArrived { lease, headers, bytes } => {
                write!(f, "HeadersArrived {{ {lease:?}, {}, {bytes} bytes }}", Headers(headers))
            }
            Self::BodiesArrived { lease, bodies } => {
                let bytes: u64 = bodies.iter().map(|body| body.bytes).sum();
                write!(f, "BodiesArrived {{ {lease:?}, {} bodies, {bytes} bytes }}", bodies.len())
            }
            other => write!(f, "{other:?}"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestBodies { lease, peer, ids, .. } => {
                let first = ids.first();
                write!(f, "RequestBodies {{ {lease:?}, peer: {peer:?}, {} from {first:?} }}", ids.len())
            }
            Self::VerifyHeaders { lease, headers } => {
                write!(f, "VerifyHeaders {{ {lease:?}, {} }}", Headers(headers))
            }
            Self::VerifyBodies { batch, headers } => {
                write!(f, "VerifyBodies {{ {batch:?}, {} }}", Headers(headers))
            }
            Self::Import { batch, headers } => write!(f, "Import {{ {batch:?}, {} }}", Headers(headers)),
            Self::Release { ids } => write!(f, "Release {{ {} bodies }}", ids.len()),
            other => write!(f, "{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alys_chain::BlockId;

    use super::*;
    use crate::event::{ArrivedBody, BatchId, LeaseId};

    #[test]
    fn what_is_long_is_counted_and_the_rest_is_said() {
        let bodies = vec![ArrivedBody { id: BlockId::default(), bytes: 10 }; 1_000];
        let arrived = Event::BodiesArrived { lease: LeaseId(7), bodies };
        assert_eq!(arrived.to_string(), "BodiesArrived { LeaseId(7), 1000 bodies, 10000 bytes }");
        let empty = Action::Import { batch: BatchId(3), headers: Vec::new() };
        assert_eq!(empty.to_string(), "Import { BatchId(3), 0 blocks from 0 }");
        assert_eq!(Event::Pause.to_string(), "Pause");
        let release = Action::Release { ids: vec![BlockId::default(); 3] };
        assert_eq!(release.to_string(), "Release { 3 bodies }");
    }
}
