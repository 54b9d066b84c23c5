//! The one timer of sync: each second, at the start of each slot, and at the machine's next deadline.

use core::time::Duration;

use alys_actor::{Context, Handler, Lane, Message, TaskHandle};
use alys_chain::Moment;

use super::actor::SyncActor;

/// How long nothing may be said to the machine.
const LONGEST: Duration = Duration::from_secs(1);

/// When the next tick is due.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<(Moment, TaskHandle)>);

/// It is time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tick;

impl Message for Tick {
    type Reply = ();
    const NAME: &'static str = "Tick";

    fn lane(&self) -> Lane {
        Lane::High
    }
}

impl SyncActor {
    /// Sets the timer, if it is not set to an earlier time.
    pub(super) fn arm(&mut self, ctx: &mut Context<Self>) {
        let now = self.now();
        let due = self.machine.next_deadline(now).map_or(LONGEST, |at| at.since(now).min(LONGEST));
        let due = now.after(due.min(self.until_next_slot()));
        if self.alarm.0.as_ref().is_some_and(|(at, _)| *at <= due) {
            return;
        }
        let timer = ctx.after(due.since(now), Tick);
        if let Some((_, old)) = self.alarm.0.replace((due, timer)) {
            old.cancel();
        }
    }

    fn until_next_slot(&self) -> Duration {
        let (rules, unix) = (&self.parts.rules, self.parts.clock.unix());
        let next = rules.slot_at(unix).map_or(alys_chain::Slot::ZERO, |slot| slot.saturating_add(1));
        Duration::from_millis(rules.start_of(next).0.saturating_sub(unix.0))
    }
}

impl Handler<Tick> for SyncActor {
    async fn handle(&mut self, _: Tick, ctx: &mut Context<Self>) {
        self.alarm.0 = None;
        self.drop_stale_ranges(ctx);
        self.tick(ctx);
        self.fetch_step(ctx, alys_sync::snapshot::Event::Tick);
        self.backfill_if_idle(ctx);
    }
}
