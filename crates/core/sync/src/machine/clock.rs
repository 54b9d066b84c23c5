//! When the clock of the requests stands: while the importer is offline, and for the time in which nobody ran us.
//!
//! Requests that are out then are not overdue, and nobody is blamed for what we did not take.

use core::time::Duration;

use alys_chain::Moment;

use super::SyncMachine;
use crate::report::Report;

/// Without a step for so long we were away: a tick comes each second, so that two were missed. Less is the jitter of a busy machine.
const AWAY_AFTER: Duration = Duration::from_secs(3);

impl SyncMachine {
    /// Whether the importer is offline, so that no request ends by time.
    pub(super) const fn clock_stands(&self) -> bool {
        self.stands_since.is_some()
    }

    /// Before an event is taken: a process that was stopped, or a machine that slept, finds its requests as it left them.
    pub(super) fn notice_absence(&mut self, now: Moment) {
        let away = now.since(self.now);
        if away < AWAY_AFTER || !self.is_active() {
            return;
        }
        // It is not counted a second time when the importer is back.
        self.stands_since = self.stands_since.map(|since| since.after(away));
        self.leases.postpone(away);
        self.peers.values_mut().for_each(|peer| peer.postpone(away));
        self.checking.values_mut().for_each(|checking| checking.since = checking.since.after(away));
        self.verifying.values_mut().for_each(|verifying| verifying.since = verifying.since.after(away));
        self.watch.progress = self.watch.progress.after(away);
        self.watch.served = self.watch.served.after(away);
        if self.leases.len() > 0 {
            self.report(Report::WasAway { away });
        }
    }

    /// After an event was taken: the clock of the requests stands while the importer is offline, and goes on where it stood.
    pub(super) fn watch_importer(&mut self, now: Moment) {
        let offline = self.is_active() && self.importer.is_offline(now);
        match (self.stands_since, offline) {
            (None, true) => self.stands_since = Some(now),
            (Some(since), false) => {
                self.stands_since = None;
                self.leases.go_on(since, now);
                self.peers.values_mut().for_each(|peer| peer.go_on(now));
            }
            _ => {}
        }
    }
}
