//! What time brings: statuses, reports, the watchdog.

use core::time::Duration;

use alys_chain::{Moment, Slot};

use super::SyncMachine;
use crate::action::Action;
use crate::gate::{Evidence, FRESH_SLOTS};
use crate::mode::{self, Facts};
use crate::report::Report;
use crate::status::WaitingFor;

/// Without progress for so long, people are told why; and again after as long.
const STALL_AFTER: Duration = Duration::from_secs(15);
/// Without an answer for so long, by any peer, a target is set aside: every peer has been asked several times by then.
const TARGET_PATIENCE: Duration = Duration::from_secs(30);
/// A verification that has not ended by now was lost with its worker; what it held is verified, or asked for, again.
pub(super) const VERIFY_PATIENCE: Duration = Duration::from_secs(30);

impl SyncMachine {
    pub(super) fn on_tick(&mut self, now: Moment, slot: Slot) {
        self.clock = slot;
        self.rate.note(now, self.tip.head.height);
        self.targets.refresh(now);
        let before = self.blame.suspects_ourselves();
        self.blame.refresh(now, self.peers.len());
        self.tell_suspicion(before);
        self.recover_lost_batches(now);
        self.note_cut(now);
        if self.is_active() {
            self.ask_statuses(now);
            self.ask_reports(now);
            self.watch_progress(now);
        }
        self.watch_gate(now);
    }

    /// Looks whether we are cut off from the others. A cut is over once something is known of after it: also that they stood still, too, which they
    /// say only while they are asked.
    pub(super) fn note_cut(&mut self, now: Moment) {
        self.authorities.look(now, self.clock, self.federation.others_needed());
        if self.gate_input(now, self.clock, None).is_since_cut() {
            self.authorities.end_cut();
        }
    }

    /// Tells when the gate opens or closes. Paused and stopped it closes as well.
    fn watch_gate(&mut self, now: Moment) {
        let report = self.may_produce(now, self.clock, None);
        if let Some(crossing) = self.gate_watch.look(now, report) {
            self.report(Report::GateCrossed(crossing));
        }
    }

    fn recover_lost_batches(&mut self, now: Moment) {
        self.checking.retain(|_, checking| now.since(checking.since) < VERIFY_PATIENCE);
        let is_lost = |since: Moment| now.since(since) >= VERIFY_PATIENCE;
        let lost: Vec<_> =
            self.verifying.iter().filter(|(_, v)| is_lost(v.since)).map(|(&id, _)| id).collect();
        for blocks in lost.into_iter().filter_map(|id| self.verifying.remove(&id)).map(|v| v.blocks) {
            blocks.into_iter().for_each(|(height, id, _)| self.bodies.verify_again(height, id));
        }
    }

    /// When what we know may be old and nobody proves anything better, the authorities are asked to sign what they know.
    fn ask_reports(&mut self, now: Moment) {
        let input = self.gate_input(now, self.clock, None);
        // Asked before the evidence is too old, so that a network that stands still does not look unknown in between.
        let is_aging = self.clock.ahead_of(input.best().slot) > FRESH_SLOTS / 2;
        let is_useful = is_aging
            || !input.is_since_cut()
            || matches!(input.evidence(), Evidence::None | Evidence::Genesis);
        if is_useful
            && input.evidence() != Evidence::Alone
            && input.best() == input.head
            && self.federation.quorum > 0
            && let Some(round) = self.authorities.next_round(now)
        {
            self.act(Action::AskReports { round });
        }
    }

    /// Tells why nothing moves, and gives up a target that nobody serves. The time in which the importer fails, or works, is not counted.
    fn watch_progress(&mut self, now: Moment) {
        if !self.wants_blocks(now) {
            self.watch.progress = now;
            return;
        }
        let since = self.watch.progress;
        let idle = now.since(since);
        if idle >= STALL_AFTER && now.since(self.watch.told) >= STALL_AFTER {
            self.watch.told = now;
            let waiting_for = self.waiting_for(now);
            self.report(Report::Stalled { since, waiting_for });
        }
        let unserved = matches!(self.waiting_for(now), WaitingFor::Headers { .. } | WaitingFor::Body { .. });
        if !unserved {
            // The clock of the target stands while the peers are not what we wait for.
            self.watch.served = now;
        } else if now.since(self.watch.served.max(since)) >= TARGET_PATIENCE
            && !self.blame.suspects_ourselves()
        {
            self.drop_target(now);
        }
    }

    fn drop_target(&mut self, now: Moment) {
        if let Some(target) = self.targets.set_best_aside(now) {
            self.watch.served = now;
            self.report(Report::TargetDropped { target });
            self.tell_target();
        }
    }

    pub(super) fn decide_mode(&mut self, now: Moment) {
        let facts = self.facts(now);
        let from = self.mode;
        let to = mode::decide(from, &facts);
        if facts.behind.unwrap_or(0) == 0 || to != mode::Mode::Synced {
            self.lag_since = None;
        } else {
            self.lag_since.get_or_insert(now);
        }
        if to != from {
            self.mode = to;
            let waiting_for = self.waiting_for(now);
            self.report(Report::ModeChanged { from, to, waiting_for });
        }
    }

    fn facts(&self, now: Moment) -> Facts {
        let input = self.gate_input(now, self.clock, None);
        let behind = input.target.map(|target| {
            let is_ahead = target.slot > self.tip.head.slot;
            // A shorter branch of a higher slot is ahead as well.
            if is_ahead { target.height.ahead_of(self.tip.head.height).max(1) } else { 0 }
        });
        Facts {
            started: self.order.is_some(),
            import_broken: self.importer.is_broken(),
            behind,
            evidence: input.evidence() != Evidence::None,
            has_skeleton: !self.skeleton.linked_range().is_empty(),
        }
    }
}
