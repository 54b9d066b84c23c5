//! Many runs, on as many threads as there are cores: each run has a runtime of its own and shares nothing.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Does all jobs, and tells each outcome as it comes. The outcomes are returned in the order of the jobs. For a job that panics, `panicked` says what
/// its outcome is.
pub fn all<J: Sync, O: Send>(
    jobs: &[J],
    threads: NonZeroUsize,
    (run, panicked): (impl Fn(&J) -> O + Sync, impl Fn(&J) -> O + Sync),
    mut tell: impl FnMut(&O),
) -> Vec<O> {
    let next = AtomicUsize::new(0);
    let (sender, outcomes) = mpsc::channel();
    let mut done: Vec<Option<O>> = jobs.iter().map(|_| None).collect();
    let (run, panicked) = (&run, &panicked);
    thread::scope(|scope| {
        for _ in 0..threads.get().min(jobs.len()) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some((index, job)) = take(jobs, next) {
                    // A run shares nothing that it could leave half changed, so its panic harms no other.
                    let outcome = catch_unwind(AssertUnwindSafe(|| run(job)));
                    let outcome = outcome.unwrap_or_else(|_| panicked(job));
                    // The receiver lives as long as the scope.
                    sender.send((index, outcome)).ok();
                }
            });
        }
        drop(sender);
        for (index, outcome) in outcomes {
            tell(&outcome);
            done[index] = Some(outcome);
        }
    });
    done.into_iter().map(|outcome| outcome.expect("every job was taken, and its outcome sent")).collect()
}

fn take<'a, J>(jobs: &'a [J], next: &AtomicUsize) -> Option<(usize, &'a J)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    jobs.get(index).map(|job| (index, job))
}
