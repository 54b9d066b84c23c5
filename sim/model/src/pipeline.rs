//! The verifier and the importer of the model.

use core::time::Duration;

use alys_chain::Moment;

/// Threads of the verifier.
const WORKERS: usize = 4;
/// What a certified header costs one thread.
const HEADER_COST: Duration = Duration::from_micros(100);
/// What a body costs one thread beside its bytes.
const BODY_COST: Duration = Duration::from_micros(5);
/// How many bytes of bodies one thread checks in a microsecond.
const BYTES_A_MICRO: u64 = 1_000;

/// A pool of threads that take what comes in order.
#[derive(Default)]
pub struct Workers([Moment; WORKERS]);

impl Workers {
    /// When headers that come now are verified.
    pub fn headers(&mut self, now: Moment, count: usize) -> Moment {
        self.work(now, HEADER_COST * u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// When bodies that come now are verified.
    pub fn bodies(&mut self, now: Moment, count: usize, bytes: u64) -> Moment {
        let each = BODY_COST * u32::try_from(count).unwrap_or(u32::MAX);
        self.work(now, each + Duration::from_micros(bytes / BYTES_A_MICRO))
    }

    fn work(&mut self, now: Moment, cost: Duration) -> Moment {
        let free = self.0.iter_mut().min();
        free.map_or(now, |free| {
            *free = now.max(*free).after(cost);
            *free
        })
    }
}

/// How long `blocks` take at `rate` a second.
pub fn import_time(blocks: usize, rate: u64) -> Duration {
    let micros = (blocks as u64).saturating_mul(1_000_000) / rate.max(1);
    Duration::from_micros(micros)
}
