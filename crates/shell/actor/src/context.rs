//! What an incarnation can do besides handling messages: tasks, timers, streams, checkpoints, and ending itself.
//!
//! Whatever is begun here is tied to the incarnation: it is aborted with it, and what it sends is dropped with it. A task
//! that panics takes its incarnation down, since nobody would otherwise hear that its result will never come.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;

use crate::actor::{Actor, Handler, Lane, Message, Overflow};
use crate::addr::Addr;
use crate::exit::{ExitReason, panic_words};
use crate::lanes::Headed;
use crate::letter::{BoxLetter, Correlation, Envelope, Head, Origin};
use crate::mailbox::Shared;

/// How many messages of one attached stream wait in the mailbox. More would let one source fill its lane before others
/// come to it; one would cost a task switch a message.
const STREAM_WINDOW: usize = 32;

/// Why an actor ends itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Its work is done; it is not started again.
    Finished,
    /// It cannot go on, in its own words; the supervisor restarts it.
    Failed(String),
}

/// The newest seed, and the incarnation that may replace it.
pub(crate) struct SeedCell<S> {
    incarnation: u64,
    seed: S,
}

pub(crate) type SharedSeed<S> = Arc<Mutex<SeedCell<S>>>;

impl<S: Clone> SeedCell<S> {
    pub(crate) fn new(seed: S) -> SharedSeed<S> {
        Arc::new(Mutex::new(Self { incarnation: 0, seed }))
    }

    /// The seed that `incarnation` is to be built from. From now on only it may checkpoint.
    pub(crate) fn hand_over(cell: &Mutex<Self>, incarnation: u64) -> S {
        let mut cell = cell.lock().unwrap_or_else(PoisonError::into_inner);
        cell.incarnation = incarnation;
        cell.seed.clone()
    }
}

/// Cancels a task or timer. Dropping it does not.
#[derive(Clone, Debug)]
pub struct TaskHandle {
    task: AbortHandle,
    cancelled: Arc<AtomicBool>,
}

impl TaskHandle {
    /// Ends the task or timer. A message of it that already waits is skipped.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.task.abort();
    }
}

/// An incarnation's view of itself.
pub struct Context<A: Actor> {
    shared: Arc<Shared<A>>,
    seed: SharedSeed<A::Seed>,
    incarnation: u64,
    token: CancellationToken,
    tasks: JoinSet<()>,
    stop: Option<StopReason>,
    correlation: Option<Correlation>,
}

impl<A: Actor> Context<A> {
    pub(crate) fn new(
        shared: Arc<Shared<A>>,
        seed: SharedSeed<A::Seed>,
        incarnation: u64,
        token: CancellationToken,
    ) -> Self {
        Self { shared, seed, incarnation, token, tasks: JoinSet::new(), stop: None, correlation: None }
    }

    /// The actor's own address.
    #[must_use]
    pub fn addr(&self) -> Addr<A> {
        Addr::new(Arc::clone(&self.shared))
    }

    /// Which incarnation this is; the first is 1.
    #[must_use]
    pub const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The message that is being handled; none in `started` and `stopping`.
    #[must_use]
    pub const fn correlation(&self) -> Option<Correlation> {
        self.correlation
    }

    /// Cancelled when this incarnation is told to stop. Cancelling it stops nobody: it is a child of the real one.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.child_token()
    }

    /// Ends this incarnation after the current message.
    pub fn stop(&mut self, reason: StopReason) {
        self.stop.get_or_insert(reason);
    }

    /// What the next incarnation will be built from. Call it after each committed step.
    pub fn checkpoint(&self, seed: A::Seed) {
        let mut cell = self.seed.lock().unwrap_or_else(PoisonError::into_inner);
        // An incarnation that was given up must not overwrite what its successor has committed.
        if cell.incarnation == self.incarnation {
            cell.seed = seed;
        }
    }

    /// How many tasks, timers and streams are running.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// Runs `work` beside the actor. Its output comes back as a message, past the lane's limit: the actor bounds how much
    /// it begins.
    pub fn spawn<M, F>(&mut self, work: F) -> TaskHandle
    where
        A: Handler<M>,
        M: Message,
        F: Future<Output = M> + Send + 'static,
    {
        let own = self.own();
        self.run(own.clone(), async move { own.send(work.await, None) })
    }

    /// Runs `work` beside the actor; nothing comes back.
    pub fn background<F>(&mut self, work: F) -> TaskHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let own = self.own();
        self.run(own, work)
    }

    /// Sends `message` to the actor itself after `delay`.
    pub fn after<M>(&mut self, delay: Duration, message: M) -> TaskHandle
    where
        A: Handler<M>,
        M: Message,
    {
        self.spawn(async move {
            sleep(delay).await;
            message
        })
    }

    /// Sends `tick()` to the actor itself every `period`, first after one period. A tick is left out while the last one
    /// waits or is being handled, so they never pile up. A period of zero counts as a millisecond.
    pub fn every<M, T>(&mut self, period: Duration, tick: T) -> TaskHandle
    where
        A: Handler<M>,
        M: Message,
        T: Fn() -> M + Send + 'static,
    {
        let period = period.max(Duration::from_millis(1));
        let own = self.own();
        self.run(own.clone(), async move {
            let one = Arc::new(Semaphore::new(1));
            let mut clock = interval_at(Instant::now() + period, period);
            clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                clock.tick().await;
                if let Ok(permit) = Arc::clone(&one).try_acquire_owned() {
                    own.send(tick(), Some(permit));
                }
            }
        })
    }

    /// Feeds `source` into `lane` until it ends. It is read as fast as the actor keeps up: at most [`STREAM_WINDOW`] of
    /// its messages wait, and they wait for room in the lane. To hear of its end, chain a last message to it.
    pub fn attach<M, S>(&mut self, lane: Lane, source: S) -> TaskHandle
    where
        A: Handler<M>,
        M: Message,
        S: Stream<Item = M> + Send + 'static,
    {
        let own = self.own();
        self.run(own.clone(), async move {
            let window = Arc::new(Semaphore::new(STREAM_WINDOW));
            let mut source = std::pin::pin!(source);
            while let Ok(permit) = Arc::clone(&window).acquire_owned().await {
                let Some(message) = source.next().await else { return };
                own.send_in_line(message, lane, permit).await;
            }
        })
    }

    /// As [`Self::attach`], for a channel.
    pub fn attach_receiver<M>(&mut self, lane: Lane, mut source: mpsc::Receiver<M>) -> TaskHandle
    where
        A: Handler<M>,
        M: Message,
    {
        self.attach(lane, stream::poll_fn(move |cx| source.poll_recv(cx)))
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared<A>> {
        &self.shared
    }

    pub(crate) const fn stop_token(&self) -> &CancellationToken {
        &self.token
    }

    pub(crate) fn begin(&mut self, correlation: Correlation) {
        self.correlation = Some(correlation);
    }

    /// Why the actor must not take another message, if so.
    pub(crate) fn ending(&mut self) -> Option<ExitReason> {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Some(reason) = crash_of(ended) {
                return Some(reason);
            }
        }
        match &self.stop {
            Some(StopReason::Finished) => Some(ExitReason::Finished),
            Some(StopReason::Failed(why)) => Some(ExitReason::Failed(why.clone())),
            // The supervisor knows why it cancelled the token, and puts its own reason in the place of this one.
            None => self.token.is_cancelled().then_some(ExitReason::Shutdown),
        }
    }

    /// Resolves when there is something to do: a message, a stop, or a task that ended.
    pub(crate) async fn idle(&mut self) -> Option<ExitReason> {
        tokio::select! {
            biased;
            () = self.token.cancelled() => None,
            Some(ended) = self.tasks.join_next() => crash_of(ended),
            () = self.shared.ready(self.incarnation) => None,
        }
    }

    /// Notes that the last message has been handled, and ends everything that was begun here.
    pub(crate) fn rest(&mut self) {
        self.tasks.abort_all();
        self.correlation = None;
        self.shared.rest(self.incarnation);
    }

    fn own(&self) -> Own<A> {
        Own {
            shared: Arc::clone(&self.shared),
            incarnation: self.incarnation,
            correlation: self.correlation,
            cancelled: Arc::default(),
        }
    }

    fn run(&mut self, own: Own<A>, work: impl Future<Output = ()> + Send + 'static) -> TaskHandle {
        TaskHandle { task: self.tasks.spawn(work), cancelled: own.cancelled }
    }
}

fn crash_of(ended: Result<(), JoinError>) -> Option<ExitReason> {
    let panic = ended.err()?.try_into_panic().ok()?;
    Some(ExitReason::Panicked(panic_words(&*panic)))
}

/// The right to send in an incarnation's own name.
struct Own<A: Actor> {
    shared: Arc<Shared<A>>,
    incarnation: u64,
    correlation: Option<Correlation>,
    cancelled: Arc<AtomicBool>,
}

impl<A: Actor> Clone for Own<A> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            incarnation: self.incarnation,
            correlation: self.correlation,
            cancelled: Arc::clone(&self.cancelled),
        }
    }
}

impl<A: Actor> Own<A> {
    fn send<M: Message>(&self, message: M, permit: Option<OwnedSemaphorePermit>)
    where
        A: Handler<M>,
    {
        self.shared.push_own(self.letter(message, permit));
    }

    async fn send_in_line<M: Message>(&self, message: M, lane: Lane, permit: OwnedSemaphorePermit)
    where
        A: Handler<M>,
    {
        let mut letter = self.letter(message, Some(permit));
        letter.head_mut().lane = lane;
        if let Err(why) = self.shared.push(letter, Overflow::Wait).await {
            tracing::warn!(actor = self.shared.name(), message = M::NAME, %why, "attached message dropped");
        }
    }

    fn letter<M: Message>(&self, message: M, permit: Option<OwnedSemaphorePermit>) -> BoxLetter<A>
    where
        A: Handler<M>,
    {
        let correlation = self.correlation.unwrap_or_else(|| self.shared.next_correlation());
        let mut head = Head::of(&message, correlation);
        head.origin = Some(Origin {
            incarnation: self.incarnation,
            cancelled: Arc::clone(&self.cancelled),
            _permit: permit,
        });
        Box::new(Envelope { head, message, reply: None })
    }
}
