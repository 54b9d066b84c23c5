//! The CPU pool: signatures, hashes and decoding, away from the actors' threads.
//!
//! - **Owns**: its threads and three bounded queues, one a priority. One thread takes [`Priority::High`] only: a batch of signatures keeps a
//!   thread for tens of milliseconds, and neither a slot nor the import of verified blocks waits until one is through.
//! - **Comes in**: closures; **goes out**: their results, to whoever awaits them.
//! - **When it fails**: a panicking job fails only itself. A job whose caller has gone (its incarnation was aborted) is
//!   dropped if it has not started; a started one runs to its end, so a job must not own a right that a restart passes on.
//!
//! [`Pool::inline`] runs each job where it is awaited, for simulation: same calls, no threads, one order.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::exit::panic_words;

/// Jobs of one priority that wait, for each thread. Enough to keep a thread busy while callers are scheduled; more would
/// only hold memory and delay, since callers wait for room anyway.
const QUEUE_PER_THREAD: usize = 32;

/// A job that waits has its turn when so many of higher priority were taken before it, in a thread that takes all: sync keeps going while consensus
/// floods the pool.
const PASSED_AT_MOST: u32 = 8;

/// How urgent a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Consensus and import: what a slot, or the one writer of the chain, waits for.
    High,
    /// Sync, transactions, serving.
    Normal,
    /// What runs ahead of all that and takes long. It keeps the threads busy, and nobody waits for more than the job that has begun: so blocks go
    /// through to the disk as they are verified, in place of piling up behind the verification of more.
    Low,
}

/// Why a job has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The job panicked with this message. Ours.
    #[error("the job panicked: {0}")]
    Panicked(String),
}

/// Runs closures. Clones share the threads, which end when the last clone is gone.
#[derive(Clone, Debug)]
pub struct Pool(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Inline,
    /// How many of the next jobs panic.
    Faulty(Arc<AtomicU32>),
    Threads(Arc<Owner>),
}

impl Pool {
    /// A pool of `threads` threads of its own, and one more for [`Priority::High`] alone.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn threads(threads: NonZeroUsize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new(threads.get() * QUEUE_PER_THREAD));
        // Made first: if a later thread is refused, dropping it ends the earlier ones.
        let owner = Owner(Arc::clone(&shared));
        let start = |name: String, takes| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(name).spawn(move || shared.work(takes))
        };
        start("pool-high".to_owned(), Takes::High)?;
        for number in 0..threads.get() {
            start(format!("pool-{number}"), Takes::All)?;
        }
        Ok(Self(Kind::Threads(Arc::new(owner))))
    }

    /// A pool without threads: a job runs in the task that awaits it, after it has yielded once, so that it can be
    /// aborted before it starts as in the other kind.
    #[must_use]
    pub const fn inline() -> Self {
        Self(Kind::Inline)
    }

    /// An [inline](Self::inline) pool that shows what a panic costs: as many of the next jobs panic instead of running as `panics` says.
    #[must_use]
    pub const fn faulty(panics: Arc<AtomicU32>) -> Self {
        Self(Kind::Faulty(panics))
    }

    /// Runs `job` and returns its result. It is queued when first polled, and waits for room in the queue of its
    /// priority, first come, first served.
    ///
    /// # Errors
    /// See [`PoolError`].
    pub async fn run<T, F>(&self, priority: Priority, job: F) -> Result<T, PoolError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        match &self.0 {
            Kind::Inline => {
                tokio::task::yield_now().await;
                guarded(job)
            }
            Kind::Faulty(panics) => {
                tokio::task::yield_now().await;
                let left =
                    panics.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
                guarded(|| {
                    assert!(left.is_err(), "told to panic");
                    job()
                })
            }
            Kind::Threads(owner) => owner.0.run(priority, job).await,
        }
    }
}

fn guarded<T>(job: impl FnOnce() -> T) -> Result<T, PoolError> {
    // The job owns what it touches; whatever it shares guards itself, as with a panic in a thread.
    catch_unwind(AssertUnwindSafe(job)).map_err(|panic| PoolError::Panicked(panic_words(&*panic)))
}

/// Ends the threads when the last clone of the pool is gone.
#[derive(Debug)]
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

type Work = Box<dyn FnOnce() + Send>;

struct Job {
    work: Work,
    /// The place in the queue, given back when the job leaves it.
    place: OwnedSemaphorePermit,
}

/// Which jobs a thread takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    High,
    All,
}

/// The jobs of one priority.
#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// How many of higher priority were taken since the last of these, while some waited.
    passed: u32,
}

#[derive(Default)]
struct Queues {
    /// The highest priority first.
    queues: [Queue; 3],
    closed: bool,
}

impl Queues {
    fn pop(&mut self, takes: Takes) -> Option<Job> {
        if takes == Takes::High {
            return self.queues[Priority::High as usize].jobs.pop_front();
        }
        let waits = |queue: &Queue| !queue.jobs.is_empty();
        let is_due = |queue: &Queue| waits(queue) && queue.passed >= PASSED_AT_MOST;
        let next = self.queues.iter().position(is_due).or_else(|| self.queues.iter().position(waits))?;
        for queue in &mut self.queues[next + 1..] {
            queue.passed += u32::from(waits(queue));
        }
        self.queues[next].passed = 0;
        self.queues[next].jobs.pop_front()
    }
}

struct Shared {
    queues: Mutex<Queues>,
    /// There is a job, for a thread that takes all.
    filled: Condvar,
    /// There is a High one.
    filled_high: Condvar,
    places: [Arc<Semaphore>; 3],
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pool")
    }
}

impl Shared {
    fn new(places: usize) -> Self {
        let places = || Arc::new(Semaphore::new(places));
        Self {
            queues: Mutex::default(),
            filled: Condvar::new(),
            filled_high: Condvar::new(),
            places: [places(), places(), places()],
        }
    }

    /// No job runs under this lock, so a poisoned one is still in order.
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run<T, F>(&self, priority: Priority, job: F) -> Result<T, PoolError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let places = Arc::clone(&self.places[priority as usize]);
        let place = places.acquire_owned().await.expect("nobody closes the semaphore");
        let (reply, result) = oneshot::channel();
        let work = Box::new(move || {
            if !reply.is_closed() {
                // The caller may go while the job runs; its result is then nobody's.
                reply.send(guarded(job)).ok();
            }
        });
        self.push(priority, Job { work, place });
        result
            .await
            .expect("the threads outlive the pool that is borrowed here, and a job that is awaited replies")
    }

    fn push(&self, priority: Priority, job: Job) {
        let mut queues = self.lock();
        queues.queues[priority as usize].jobs.push_back(job);
        drop(queues);
        if priority == Priority::High {
            self.filled_high.notify_one();
        }
        self.filled.notify_one();
    }

    /// The life of a thread.
    fn work(&self, takes: Takes) {
        while let Some(Job { work, place }) = self.wait(takes) {
            drop(place);
            // The job's own panic is its result; this one is of a value that nobody awaits any more, as it is dropped.
            guarded(work).ok();
        }
    }

    fn wait(&self, takes: Takes) -> Option<Job> {
        let filled = if takes == Takes::High { &self.filled_high } else { &self.filled };
        let mut queues = self.lock();
        loop {
            if queues.closed {
                return None;
            }
            if let Some(job) = queues.pop(takes) {
                return Some(job);
            }
            queues = filled.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
        self.filled_high.notify_all();
    }
}

#[cfg(test)]
mod tests;
