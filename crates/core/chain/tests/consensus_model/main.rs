//! Models of the consensus rule: the crate's own voting rule and block tree under an adversary.
//!
//! - [`exhaustive`]: every run of three or four authorities over some slots; [`safety`]: what it shows.
//! - [`world`]: random runs of up to 15 in time, with an [`adversary`] and honest [`node`]s; [`liveness`]: what they show.
//! - [`rule`]: the real rule, with clauses that can be taken away. Each clause must be worth its place: without it some model finds a conflict or a
//!   loss of liveness.
#![cfg(test)]

mod adversary;
mod exhaustive;
mod liveness;
mod node;
mod rule;
mod safety;
mod world;

use std::sync::Arc;

use alys_chain::schedule::{Authority, Period, Schedule};
use alys_chain::{SecretKey, Slot};

/// Sets of `n` authorities; from slot `change` on another one. The keys are real, the models never sign with them.
fn schedule(n: usize, change: Option<u64>) -> Arc<Schedule> {
    let periods = core::iter::once(0).chain(change).zip([0, 100]).map(|(from, first)| Period {
        from_slot: Slot(from),
        slot_ms: 2000,
        authorities: (first..)
            .take(n)
            .map(|i: u8| Authority::of(&SecretKey::from_seed(&[i + 1; 32])))
            .collect(),
    });
    Arc::new(Schedule::new(periods.collect()).expect("distinct keys with their proofs"))
}
