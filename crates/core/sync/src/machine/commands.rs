//! Commands: start, stop, pause, resume. One that makes no sense now is refused with the reason, and changes nothing.

use alys_chain::{HeightRange, Moment};

use super::SyncMachine;
use crate::action::Action;
use crate::event::Start;
use crate::import::Importer;
use crate::report::Report;
use crate::skeleton::Skeleton;

const NOT_STARTED: &str = "sync is not started";

impl SyncMachine {
    pub(super) fn on_start(&mut self, now: Moment, start: Start) {
        if let Some(reason) = self.why_no_start() {
            return self.report(Report::Refused { reason });
        }
        if start.until.is_some_and(|until| until < start.tip.head.height) {
            return self
                .report(Report::Refused { reason: "the height to stop at is below the durable head" });
        }
        self.order = Some(start);
        self.paused = false;
        self.skeleton = Skeleton::new(start.tip.head);
        self.set_tip(now, start.tip);
        self.watch.progress = now;
        self.ask_statuses(now);
    }

    const fn why_no_start(&self) -> Option<&'static str> {
        match (self.order.is_some(), self.paused) {
            (false, _) => None,
            (true, true) => Some("sync is paused: resume it, or stop it first"),
            (true, false) => Some("sync runs already: stop it first"),
        }
    }

    pub(super) fn on_stop(&mut self) {
        if self.order.take().is_none() {
            return self.report(Report::Refused { reason: NOT_STARTED });
        }
        self.stop_work();
    }

    pub(super) fn on_pause(&mut self) {
        if !self.is_active() {
            let reason = if self.paused { "sync is paused already" } else { NOT_STARTED };
            return self.report(Report::Refused { reason });
        }
        self.paused = true;
        self.withdraw_all();
    }

    pub(super) fn on_resume(&mut self, now: Moment) {
        if !self.paused {
            let reason = if self.order.is_some() { "sync is not paused" } else { NOT_STARTED };
            return self.report(Report::Refused { reason });
        }
        self.paused = false;
        self.watch.progress = now;
        self.ask_statuses(now);
    }

    /// Stops by itself once the height that the command named is durable.
    pub(super) fn finish_if_done(&mut self) {
        let Some(until) = self.order.and_then(|order| order.until) else { return };
        if self.tip.head.height >= until {
            self.order = None;
            self.stop_work();
            self.report(Report::Finished { at: until });
        }
    }

    /// Gives everything back. What the pool and the importer still have is theirs to finish; their verdicts find
    /// nothing here.
    fn stop_work(&mut self) {
        self.paused = false;
        self.withdraw_all();
        self.checking.clear();
        self.verifying.clear();
        self.importer = Importer::default();
        self.lag_since = None;
        self.stepped_back = None;
        let all = HeightRange::new(alys_chain::Height::ZERO, alys_chain::Height(u64::MAX));
        self.release_bodies(all);
        self.skeleton = Skeleton::new(self.tip.head);
    }

    /// Cancels every request; nobody is blamed.
    fn withdraw_all(&mut self) {
        let ids: Vec<_> = self.leases.iter().map(|(id, _)| id).collect();
        ids.into_iter().for_each(|id| self.withdraw(id));
    }

    /// Takes the bodies of these heights out of memory and out of the budget.
    pub(super) fn release_bodies(&mut self, range: HeightRange) {
        let gone = self.bodies.remove_range(range);
        if gone.is_empty() {
            return;
        }
        gone.iter().for_each(|held| self.budget.release(held.cost));
        self.act(Action::Release { ids: gone.iter().map(|held| held.id).collect() });
    }
}
