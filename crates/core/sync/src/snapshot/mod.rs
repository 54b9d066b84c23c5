//! How a fresh node gets the state of a final block instead of executing every block up to it.
//!
//! - **Decides**: which of the offered states is fetched, which bucket is asked of whom and until when, when the state is complete.
//! - **In**: [`Event`]s: peers, verified offers, buckets that are proven and durable, ends of requests, ticks. **Out**: [`Action`]s.
//! - **On failure**: a bucket that was not delivered is missing again and goes to another server. Wrong bytes are an offence of who served them, who
//!   is asked for nothing any more. A state that nobody offers any more is given up for another one. Where nobody has any, as on a young chain,
//!   the node begins with genesis.
//!
//! Nothing is believed: an offer is a proof that its block is final, the sums of the buckets are checked against the state root in that block's
//! header, and a bucket against its sum. A bucket comes whole from one server, so whoever serves a wrong one is known. What is complete is what the
//! shell has made durable; after a restart it says so, and only the rest is asked for.

mod choice;
mod event;
mod lease;
mod news;
mod plan;
mod servers;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use alys_chain::{BlockRef, Moment};

pub use event::{Action, Event, Progress, Report};
pub use lease::{LONGEST, SILENCE};

use lease::Leases;
use servers::Servers;

/// What a restart finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The state after which block was begun.
    pub block: BlockRef,
    /// The buckets that are durable.
    pub complete: BTreeSet<u8>,
}

#[derive(Clone, Debug)]
struct Target {
    block: BlockRef,
    /// The sums are durable.
    begun: bool,
    complete: BTreeSet<u8>,
    /// When it was last known to be offered.
    seen: Moment,
}

/// See the [module](self).
#[derive(Debug)]
pub struct SnapshotMachine {
    servers: Servers,
    leases: Leases,
    target: Option<Target>,
    /// When the first offer came, while none is chosen.
    first_offer: Option<Moment>,
    /// When somebody first had none to offer, while nobody has.
    none_since: Option<Moment>,
    installing: bool,
    /// Not before: the last try has failed.
    install_after: Moment,
    /// It is the node's own, or it is done without.
    over: bool,
    out: Vec<Action>,
}

impl SnapshotMachine {
    /// Begins, or goes on with what is durable.
    #[must_use]
    pub fn new(now: Moment, begun: Option<Begun>) -> Self {
        let target =
            begun.map(|Begun { block, complete }| Target { block, begun: true, complete, seen: now });
        Self {
            servers: Servers::default(),
            leases: Leases::default(),
            target,
            first_offer: None,
            none_since: None,
            installing: false,
            install_after: now,
            over: false,
            out: Vec::new(),
        }
    }

    /// Tells it what happened; does nothing by itself.
    #[must_use]
    pub fn step(&mut self, now: Moment, event: Event) -> Vec<Action> {
        self.on(now, event);
        if !self.over {
            self.plan(now);
        }
        std::mem::take(&mut self.out)
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let block = self.target.as_ref().map(|target| target.block);
        Progress {
            block,
            buckets: self.target.as_ref().map_or(0, |target| target.complete.len()),
            leases: self.leases.len(),
            servers: block.map_or(0, |block| self.servers.offering(&block).count()),
        }
    }

    /// Whether there is nothing left to do: the state is the node's own, or it is done without.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.over
    }
}
