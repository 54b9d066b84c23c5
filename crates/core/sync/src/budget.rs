//! One byte budget for all stages: headers and bodies in flight, held, in verification or in import.
//!
//! - **Decides**: whether bytes may be asked for.
//! - **In**: reservations when asking, corrections when bodies arrive, releases; for headers, how many there are. **Out**: granted or not.
//! - **On failure**: a reservation that does not fit is refused; the range stays missing and is asked for later. A part of the
//!   budget is set aside for the head of the line, the one block that everything else waits for, so that a full
//!   budget can always drain.

/// How many bytes of headers and bodies may be in memory by default: at 10 KB a block and 5,000 blocks/s this is two seconds of work, in which a lost
/// request is noticed and repeated. With it a syncing node stays below 256 MB.
pub const DEFAULT_BUDGET_BYTES: u64 = 96 << 20;

/// The bytes in use. `used` never exceeds `total`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    total: u64,
    head_share: u64,
    bodies: u64,
    headers: u64,
}

impl Budget {
    /// A budget of `total` bytes; `head_share` of them only the head of the line may use (the greatest body).
    #[must_use]
    pub const fn new(total: u64, head_share: u64) -> Self {
        Self { total, head_share, bodies: 0, headers: 0 }
    }

    /// Bytes that may be used.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Bytes in use.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.bodies.saturating_add(self.headers)
    }

    /// Of these, bytes of headers.
    #[must_use]
    pub const fn headers(&self) -> u64 {
        self.headers
    }

    /// There are headers of so many bytes now, those in flight included. More than before only after [`Budget::free`] was asked.
    pub const fn set_headers(&mut self, bytes: u64) {
        self.headers = bytes;
    }

    /// How many bytes an ordinary request can still reserve.
    #[must_use]
    pub const fn free(&self) -> u64 {
        self.total.saturating_sub(self.head_share).saturating_sub(self.used())
    }

    /// Reserves `bytes`; the head of the line may use its share as well. False, and nothing reserved, if they do not fit.
    #[must_use]
    pub const fn reserve(&mut self, bytes: u64, head: bool) -> bool {
        let free = if head { self.total.saturating_sub(self.used()) } else { self.free() };
        if bytes > free {
            return false;
        }
        self.bodies = self.bodies.saturating_add(bytes);
        true
    }

    /// Gives `bytes` back.
    pub const fn release(&mut self, bytes: u64) {
        self.bodies = self.bodies.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_head_fits_into_a_full_budget() {
        let mut budget = Budget::new(100, 10);
        assert!(budget.reserve(90, false));
        assert!(!budget.reserve(1, false));
        assert!(budget.reserve(10, true));
        assert!(!budget.reserve(1, true));
        budget.release(15);
        assert_eq!((budget.used(), budget.free(), budget.total()), (85, 5, 100));
        assert!(!budget.reserve(6, false));
        budget.set_headers(3);
        assert_eq!((budget.used(), budget.free(), budget.headers()), (88, 2, 3));
        assert!(!budget.reserve(3, false) && budget.reserve(2, false));
        assert!(!budget.reserve(11, true) && budget.reserve(10, true), "headers leave the head its share");
    }

    proptest! {
        #[test]
        fn it_is_never_exceeded(asks in prop::collection::vec((0u64..60, any::<bool>(), any::<bool>(), 0u64..30), 0..50)) {
            let mut budget = Budget::new(100, 20);
            let mut granted: Vec<u64> = Vec::new();
            for (bytes, head, give_back, headers) in asks {
                budget.set_headers(headers.min(budget.headers().saturating_add(budget.free())));
                if give_back && let Some(bytes) = granted.pop() {
                    budget.release(bytes);
                }
                if budget.reserve(bytes, head) {
                    granted.push(bytes);
                }
                prop_assert!(budget.used() <= budget.total());
                prop_assert_eq!(budget.used(), budget.headers() + granted.iter().sum::<u64>());
            }
        }
    }
}
