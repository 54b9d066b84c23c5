//! The slot clock: the wall clock seen through the schedule.

use std::sync::Arc;
use std::time::Duration;

use alys_actor::Clock;
use alys_chain::consensus::SlotTime;
use alys_chain::{Rules, Slot};

/// The longest wait between two looks at the wall clock: a clock that is set right is noticed within it. Shorter would wake us for nothing.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Tells the slot.
#[derive(Clone)]
pub struct SlotClock {
    clock: Clock,
    rules: Arc<Rules>,
}

impl SlotClock {
    /// The slots of these rules by this clock.
    pub const fn new(clock: Clock, rules: Arc<Rules>) -> Self {
        Self { clock, rules }
    }

    /// Where the present slot stands; `None` before genesis.
    pub fn now(&self) -> Option<SlotTime> {
        let now = self.clock.unix();
        let slot = self.rules.slot_at(now)?;
        let elapsed = now.0.saturating_sub(self.rules.start_of(slot).0);
        let length = self.rules.schedule().slot_ms(slot);
        Some(SlotTime {
            slot,
            elapsed: Duration::from_millis(elapsed),
            length: Duration::from_millis(length),
        })
    }

    /// The present slot; zero before genesis.
    pub fn slot(&self) -> Slot {
        self.now().map_or(Slot::ZERO, |now| now.slot)
    }

    /// How long until the next slot begins, or until the clock should be looked at again.
    pub fn wait(&self) -> Duration {
        let next = self.now().map_or(Slot::ZERO, |now| now.slot.saturating_add(1));
        let left = self.rules.start_of(next).0.saturating_sub(self.clock.unix().0);
        // At least a millisecond, the grain of the clock: a timer never fires before its time, but wall clocks are set back.
        Duration::from_millis(left.max(1)).min(LONGEST_WAIT)
    }
}
