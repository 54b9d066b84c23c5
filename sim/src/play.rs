//! Many runs, on as many threads as there are cores: each run has a runtime of its own and shares nothing.

use std::num::NonZeroUsize;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::plan::Plan;
use crate::world::{self, Outcome};

/// Plays all plans, and tells each outcome as it comes. The outcomes are returned in the order of the plans. A run that panics has failed.
pub fn all(plans: &[Plan], threads: NonZeroUsize, mut tell: impl FnMut(&Outcome)) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let (sender, outcomes) = mpsc::channel();
    let mut played: Vec<Option<Outcome>> = plans.iter().map(|_| None).collect();
    thread::scope(|scope| {
        for _ in 0..threads.get().min(plans.len()) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some((index, plan)) = take(plans, next) {
                    // A run shares nothing, so its panic harms no other.
                    let outcome = catch_unwind(|| world::run(plan, false));
                    let outcome = outcome.unwrap_or_else(|_| Outcome::panicked(plan));
                    // The receiver lives as long as the scope.
                    sender.send((index, outcome)).ok();
                }
            });
        }
        drop(sender);
        for (index, outcome) in outcomes {
            tell(&outcome);
            played[index] = Some(outcome);
        }
    });
    played.into_iter().map(|outcome| outcome.expect("every plan was taken, and its outcome sent")).collect()
}

fn take<'a>(plans: &'a [Plan], next: &AtomicUsize) -> Option<(usize, &'a Plan)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    plans.get(index).map(|plan| (index, plan))
}
