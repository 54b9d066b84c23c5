//! What is tried in the model: anything that speaks the machine's language.

use alys_chain::Moment;
use alys_sync::{Action, Event, SyncMachine};

/// A scheduler: events in, actions out. It must not reuse lease or batch ids, and answers every kind of event.
pub trait Scheduler {
    /// Takes one event in; what is to be done comes out.
    fn step(&mut self, now: Moment, event: Event) -> Vec<Action>;

    /// When it wants its next tick at the latest, beside the one of each second.
    fn next_deadline(&self, now: Moment) -> Option<Moment>;

    /// Bytes that it has reserved and may reserve; `None` if it keeps no budget.
    fn budget(&self, now: Moment) -> Option<(u64, u64)>;
}

impl Scheduler for SyncMachine {
    fn step(&mut self, now: Moment, event: Event) -> Vec<Action> {
        Self::step(self, now, event)
    }

    fn next_deadline(&self, now: Moment) -> Option<Moment> {
        Self::next_deadline(self, now)
    }

    fn budget(&self, now: Moment) -> Option<(u64, u64)> {
        let status = self.status(now);
        Some((status.budget_used, status.budget_total))
    }
}
