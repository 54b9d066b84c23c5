//! A message in its envelope: who may still want it, and what becomes of it when its handler crashes.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::actor::{Actor, Handler, Lane, Message, Overflow};
use crate::addr::AskError;
use crate::context::Context;
use crate::lanes::Headed;
use crate::mailbox::Shared;
use crate::supervisor::Fate;

/// Names one message, and whatever is sent because of it (see [`crate::Addr::correlated`]): the mailbox that it first
/// came to, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Correlation {
    /// The mailbox.
    pub mailbox: &'static str,
    /// The how-many-eth message of that mailbox.
    pub number: u64,
}

impl fmt::Display for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.mailbox, self.number)
    }
}

/// What is known of a message while it waits.
pub(crate) struct Head {
    pub(crate) name: &'static str,
    pub(crate) kind: TypeId,
    pub(crate) lane: Lane,
    pub(crate) key: Option<u64>,
    pub(crate) bytes: usize,
    pub(crate) entered: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) correlation: Correlation,
    pub(crate) crashes: u8,
    pub(crate) origin: Option<Origin>,
    pub(crate) span: Span,
}

/// The incarnation whose own task, timer or stream sent a message; such messages die with it.
pub(crate) struct Origin {
    pub(crate) incarnation: u64,
    pub(crate) cancelled: Arc<AtomicBool>,
    /// Given back when the message is handled or dropped: bounds how many of one source wait.
    pub(crate) _permit: Option<OwnedSemaphorePermit>,
}

impl Head {
    pub(crate) fn of<M: Message>(message: &M, correlation: Correlation) -> Self {
        let key = match message.overflow() {
            Overflow::Coalesce(key) => Some(key),
            Overflow::Wait | Overflow::Reject | Overflow::DropOldest => None,
        };
        Self {
            name: M::NAME,
            kind: TypeId::of::<M>(),
            lane: message.lane(),
            key,
            bytes: message.size(),
            entered: Instant::now(),
            deadline: None,
            correlation,
            crashes: 0,
            origin: None,
            span: Span::current(),
        }
    }

    /// Whether nobody wants the message any more.
    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        let cancelled = |origin: &Origin| origin.cancelled.load(Ordering::Relaxed);
        self.deadline.is_some_and(|deadline| deadline <= now) || self.origin.as_ref().is_some_and(cancelled)
    }
}

/// A message of any kind that `A` handles.
pub(crate) trait Letter<A: Actor>: Headed + Send {
    /// Lets `actor` handle it, and answers.
    fn deliver<'a>(self: Box<Self>, actor: &'a mut A, ctx: &'a mut Context<A>) -> BoxFuture<'a, ()>;

    /// Whether it was an ask and the asker has gone.
    fn is_abandoned(&self) -> bool;

    /// Ends it unhandled.
    fn refuse(self: Box<Self>, why: AskError);
}

pub(crate) type BoxLetter<A> = Box<dyn Letter<A>>;

impl<A: Actor> Headed for BoxLetter<A> {
    fn head(&self) -> &Head {
        (**self).head()
    }

    fn head_mut(&mut self) -> &mut Head {
        (**self).head_mut()
    }
}

type ReplyTo<M> = oneshot::Sender<Result<<M as Message>::Reply, AskError>>;

/// The one kind of [`Letter`].
pub(crate) struct Envelope<M: Message> {
    pub(crate) head: Head,
    pub(crate) message: M,
    pub(crate) reply: Option<ReplyTo<M>>,
}

impl<M: Message> Headed for Envelope<M> {
    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }
}

impl<A: Handler<M>, M: Message> Letter<A> for Envelope<M> {
    fn deliver<'a>(self: Box<Self>, actor: &'a mut A, ctx: &'a mut Context<A>) -> BoxFuture<'a, ()> {
        let span = self.head.span.clone();
        let work = async move {
            let Self { head, message, reply } = *self;
            let copy = message.retry().map(|copy| (copy, Arc::clone(ctx.shared())));
            let delivery = Delivery { head: Some(head), copy, reply };
            let answer = actor.handle(message, ctx).await;
            delivery.complete(answer);
        };
        if span.is_none() { Box::pin(work) } else { Box::pin(work.instrument(span)) }
    }

    fn is_abandoned(&self) -> bool {
        self.reply.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    fn refuse(self: Box<Self>, why: AskError) {
        answer(self.reply, Err(why));
    }
}

fn answer<R>(reply: Option<oneshot::Sender<Result<R, AskError>>>, result: Result<R, AskError>) {
    // An asker that has gone meanwhile wants no answer.
    reply.map(|reply| reply.send(result).ok());
}

/// A message that is being handled. Dropped before [`Self::complete`] (by a panic or an abort) it has crashed its handler:
/// its copy, if it has one, goes back to the head of its lane, or into quarantine the second time.
struct Delivery<A: Handler<M>, M: Message> {
    head: Option<Head>,
    copy: Option<(M, Arc<Shared<A>>)>,
    reply: Option<ReplyTo<M>>,
}

impl<A: Handler<M>, M: Message> Delivery<A, M> {
    fn complete(mut self, result: M::Reply) {
        self.copy = None;
        answer(self.reply.take(), Ok(result));
    }
}

impl<A: Handler<M>, M: Message> Drop for Delivery<A, M> {
    fn drop(&mut self) {
        let Some(((copy, shared), mut head)) = self.copy.take().zip(self.head.take()) else {
            return;
        };
        head.crashes += 1;
        if head.crashes < MAX_CRASHES {
            shared.put_back(Box::new(Envelope { head, message: copy, reply: self.reply.take() }));
        } else {
            shared.settle(Fate::Quarantined);
            answer(self.reply.take(), Err(AskError::Quarantined));
        }
    }
}

/// A message that crashes its handler this often is quarantined. Once may be the state's fault, which the restart rebuilt;
/// twice is the message's.
const MAX_CRASHES: u8 = 2;
