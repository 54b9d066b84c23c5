//! The mailbox: three lanes that exist before their actor and outlive each of its incarnations.
//!
//! Senders come through [`crate::Addr`]; the one running incarnation takes messages out. An older incarnation that would
//! not die is fenced off: it gets nothing more and can send nothing in its own name.

mod config;
mod gauge;

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::actor::{Actor, Lane, Overflow};
use crate::addr::{Addr, AskError, SendError};
use crate::lanes::{Headed, Lanes};
use crate::letter::{BoxLetter, Correlation};
use crate::supervisor::Fate;

pub use config::{LaneLimit, MailboxConfig};
pub(crate) use gauge::{Current, Gauge};
pub use gauge::{LaneStatus, MailboxStatus};

/// The receiving end. It belongs to the child that handles its messages; dropping it closes the mailbox for good.
pub struct Mailbox<A: Actor> {
    shared: Arc<Shared<A>>,
}

impl<A: Actor> Mailbox<A> {
    /// An empty mailbox. Messages may be sent at once; they wait for the first incarnation.
    #[must_use]
    pub fn new(name: &'static str, config: MailboxConfig) -> Self {
        Self { shared: Arc::new(Shared::new(name, config)) }
    }

    /// The address of this mailbox.
    #[must_use]
    pub fn addr(&self) -> Addr<A> {
        Addr::new(Arc::clone(&self.shared))
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared<A>> {
        &self.shared
    }
}

impl<A: Actor> Drop for Mailbox<A> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// Who may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    /// Given up by the supervisor, for now: what is queued stays.
    Shut,
    /// For good.
    Closed,
}

struct State<A: Actor> {
    lanes: Lanes<BoxLetter<A>>,
    door: Door,
    incarnation: u64,
    reader: Option<Waker>,
    current: Option<Current>,
    seen: MailboxStatus,
}

/// What senders and incarnations share.
pub(crate) struct Shared<A: Actor> {
    name: &'static str,
    ask_timeout: Duration,
    state: Mutex<State<A>>,
    /// Signalled when a message leaves a lane and somebody stands in line for room.
    room: [Notify; 3],
    /// The line of waiting senders of each lane: tokio's mutex is first come, first served.
    line: [tokio::sync::Mutex<()>; 3],
    sent: AtomicU64,
}

/// What [`Shared::next`] found.
pub(crate) enum Next<A: Actor> {
    Message(BoxLetter<A>),
    Empty,
    /// A newer incarnation has taken over.
    Fenced,
}

type Refused<A> = (SendError, BoxLetter<A>);

impl<A: Actor> Shared<A> {
    fn new(name: &'static str, config: MailboxConfig) -> Self {
        let state = State {
            lanes: Lanes::new(config.lanes),
            door: Door::Open,
            incarnation: 0,
            reader: None,
            current: None,
            seen: MailboxStatus::default(),
        };
        Self {
            name,
            ask_timeout: config.ask_timeout,
            state: Mutex::new(state),
            room: Default::default(),
            line: Default::default(),
            sent: AtomicU64::new(0),
        }
    }

    /// No user code runs under this lock, so a poisoned one is still in order.
    fn lock(&self) -> MutexGuard<'_, State<A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) const fn ask_timeout(&self) -> Duration {
        self.ask_timeout
    }

    pub(crate) fn next_correlation(&self) -> Correlation {
        Correlation { mailbox: self.name, number: self.sent.fetch_add(1, Ordering::Relaxed) }
    }

    /// Puts a message into its lane without waiting.
    pub(crate) fn try_push(&self, letter: BoxLetter<A>, rule: Overflow) -> Result<(), SendError> {
        self.offer(letter, rule).map_err(|(why, _)| why)
    }

    /// Puts a message into its lane; waits for room if that is its rule.
    pub(crate) async fn push(&self, letter: BoxLetter<A>, rule: Overflow) -> Result<(), SendError> {
        match self.offer(letter, rule) {
            Err((SendError::Full, letter)) if rule == Overflow::Wait => self.wait_in_line(letter).await,
            done => done.map_err(|(why, _)| why),
        }
    }

    fn offer(&self, letter: BoxLetter<A>, rule: Overflow) -> Result<(), Refused<A>> {
        let mut state = self.lock();
        if let Err(why) = state.admits(&letter) {
            return Err((why, letter));
        }
        let offered = state.lanes.offer(letter, rule);
        match &offered {
            Ok(displaced) => state.seen.displaced += displaced.len() as u64,
            // One that waits is not refused yet.
            Err(_) if rule == Overflow::Wait => {}
            Err(_) => state.seen.refused += 1,
        }
        let reader = state.reader.take_if(|_| offered.is_ok());
        drop(state);
        wake(reader);
        for old in offered? {
            old.refuse(AskError::Displaced);
        }
        Ok(())
    }

    async fn wait_in_line(&self, mut letter: BoxLetter<A>) -> Result<(), SendError> {
        let lane = letter.head().lane;
        let _place = Place::take(self, lane);
        let _first = self.line[lane.index()].lock().await;
        loop {
            match self.offer_first_in_line(letter) {
                Err((SendError::Full, back)) => letter = back,
                done => return done.map_err(|(why, _)| why),
            }
            // A signal given before we got here is kept by `Notify`, so none is missed.
            self.room[lane.index()].notified().await;
        }
    }

    fn offer_first_in_line(&self, letter: BoxLetter<A>) -> Result<(), Refused<A>> {
        let mut state = self.lock();
        if let Err(why) = state.admits(&letter) {
            return Err((why, letter));
        }
        state.lanes.offer_first_in_line(letter)?;
        let reader = state.reader.take();
        drop(state);
        wake(reader);
        Ok(())
    }

    /// For an incarnation's own results and ticks: never refused for want of room; dropped when the incarnation is over.
    pub(crate) fn push_own(&self, letter: BoxLetter<A>) {
        let mut state = self.lock();
        if state.admits(&letter).is_err() {
            return;
        }
        state.lanes.push(letter);
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }

    /// Puts back a message that crashed its handler for the first time.
    pub(crate) fn put_back(&self, mut letter: BoxLetter<A>) {
        let mut state = self.lock();
        // It crashed its incarnation, but the copy is the mailbox's and must survive that incarnation's end.
        letter.head_mut().origin = None;
        if state.door == Door::Closed {
            drop(state);
            letter.refuse(AskError::Closed);
            return;
        }
        state.lanes.push_front(letter);
        state.settle(Fate::Redelivered);
    }

    /// Notes what became of the message that crashed its handler.
    pub(crate) fn settle(&self, fate: Fate) {
        self.lock().settle(fate);
    }

    /// Takes out the next message that somebody still wants.
    pub(crate) fn next(&self, incarnation: u64) -> Next<A> {
        loop {
            let mut state = self.lock();
            if state.incarnation != incarnation {
                return Next::Fenced;
            }
            state.current = None;
            let Some(letter) = state.lanes.pop() else { return Next::Empty };
            let now = Instant::now();
            let wanted = !letter.head().is_stale(now) && !letter.is_abandoned();
            state.note(&letter, now, wanted);
            let room = state.lanes.calls_line(letter.head().lane);
            drop(state);
            if room {
                self.room[letter.head().lane.index()].notify_one();
            }
            if wanted {
                return Next::Message(letter);
            }
            letter.refuse(AskError::Timeout);
        }
    }

    /// Resolves when [`Self::next`] would not be empty.
    pub(crate) async fn ready(&self, incarnation: u64) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.incarnation != incarnation || !state.lanes.is_empty() {
                return Poll::Ready(());
            }
            state.reader = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Hands the mailbox to a new incarnation; what the last one had sent to itself is dropped.
    pub(crate) fn hand_over(&self, incarnation: u64) {
        let mut state = self.lock();
        state.incarnation = incarnation;
        state.current = None;
        state.reader = None;
        let own = state.lanes.extract(|head| head.origin.is_some());
        drop(state);
        self.wake_lines();
        drop(own);
    }

    /// Notes that the incarnation has handled its last message.
    pub(crate) fn rest(&self, incarnation: u64) {
        let mut state = self.lock();
        if state.incarnation == incarnation {
            state.current = None;
        }
    }

    fn close(&self) {
        let mut state = self.lock();
        state.door = Door::Closed;
        let rest = state.lanes.extract(|_| true);
        drop(state);
        self.wake_lines();
        for letter in rest {
            letter.refuse(AskError::Closed);
        }
    }

    fn wake_lines(&self) {
        for room in &self.room {
            room.notify_one();
        }
    }
}

impl<A: Actor> State<A> {
    fn admits(&self, letter: &BoxLetter<A>) -> Result<(), SendError> {
        let foreign = letter.head().origin.as_ref().is_some_and(|own| own.incarnation != self.incarnation);
        if self.door == Door::Open && !foreign { Ok(()) } else { Err(SendError::Closed) }
    }

    fn settle(&mut self, fate: Fate) {
        if fate == Fate::Quarantined {
            self.seen.quarantined += 1;
        }
        if let Some(current) = &mut self.current {
            current.fate = fate;
        }
    }

    fn note(&mut self, letter: &BoxLetter<A>, now: Instant, wanted: bool) {
        self.seen.longest_wait = self.seen.longest_wait.max(now.duration_since(letter.head().entered));
        if !wanted {
            self.seen.skipped += 1;
            return;
        }
        self.seen.delivered += 1;
        let head = letter.head();
        self.current =
            Some(Current { name: head.name, correlation: head.correlation, since: now, fate: Fate::Lost });
    }
}

fn wake(reader: Option<Waker>) {
    if let Some(reader) = reader {
        reader.wake();
    }
}

/// A sender's place in the line of a lane; given up when it is done or gives up.
struct Place<'a, A: Actor> {
    shared: &'a Shared<A>,
    lane: Lane,
}

impl<'a, A: Actor> Place<'a, A> {
    fn take(shared: &'a Shared<A>, lane: Lane) -> Self {
        shared.lock().lanes.enter_line(lane);
        Self { shared, lane }
    }
}

impl<A: Actor> Drop for Place<'_, A> {
    fn drop(&mut self) {
        self.shared.lock().lanes.leave_line(self.lane);
    }
}
