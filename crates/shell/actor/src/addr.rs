//! How others reach an actor: ask, tell, and what can go wrong.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::actor::{Actor, Handler, Message};
use crate::letter::{BoxLetter, Correlation, Envelope, Head};
use crate::mailbox::Shared;

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Its lane is full, or others stand in line for room. The moment's fault.
    #[error("the lane is full")]
    Full,
    /// It is larger than its whole lane. Ours: a limit is wrong.
    #[error("the message is larger than its lane")]
    TooLarge,
    /// The actor has ended or was given up.
    #[error("the mailbox is closed")]
    Closed,
}

/// Why an ask has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No answer in time. It may still be handled.
    #[error("no answer in time")]
    Timeout,
    /// See [`SendError::Full`].
    #[error("the lane is full")]
    Full,
    /// See [`SendError::TooLarge`].
    #[error("the message is larger than its lane")]
    TooLarge,
    /// See [`SendError::Closed`]; also when the actor ended before it came to this message.
    #[error("the mailbox is closed")]
    Closed,
    /// A newer message took its place.
    #[error("displaced by a newer message")]
    Displaced,
    /// Its handler panicked or was aborted.
    #[error("the handler crashed")]
    Crashed,
    /// It crashed its handler twice.
    #[error("quarantined after crashing its handler twice")]
    Quarantined,
}

impl From<SendError> for AskError {
    fn from(why: SendError) -> Self {
        match why {
            SendError::Full => Self::Full,
            SendError::TooLarge => Self::TooLarge,
            SendError::Closed => Self::Closed,
        }
    }
}

/// The address of an actor. Cheap to clone, valid before its first incarnation and across all of them.
pub struct Addr<A: Actor> {
    shared: Arc<Shared<A>>,
    correlation: Option<Correlation>,
}

impl<A: Actor> Addr<A> {
    pub(crate) const fn new(shared: Arc<Shared<A>>) -> Self {
        Self { shared, correlation: None }
    }

    /// The mailbox's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.shared.name()
    }

    /// The same address; messages sent through it carry `correlation`, so that a chain of messages can be followed.
    #[must_use]
    pub fn correlated(&self, correlation: Correlation) -> Self {
        Self { shared: Arc::clone(&self.shared), correlation: Some(correlation) }
    }

    /// Sends `message` and waits for the answer, at most the mailbox's default time.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask<M: Message>(&self, message: M) -> Result<M::Reply, AskError>
    where
        A: Handler<M>,
    {
        self.ask_within(message, self.shared.ask_timeout()).await
    }

    /// Sends `message` and waits for the answer, at most `limit`, waiting for room included. Dropping the future abandons
    /// the ask: it is skipped if its turn has not come.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask_within<M: Message>(&self, message: M, limit: Duration) -> Result<M::Reply, AskError>
    where
        A: Handler<M>,
    {
        let (reply, answer) = oneshot::channel();
        let rule = message.overflow();
        let mut head = self.head(&message);
        let deadline = head.entered + limit;
        head.deadline = Some(deadline);
        let letter: BoxLetter<A> = Box::new(Envelope { head, message, reply: Some(reply) });
        let exchange = async {
            self.shared.push(letter, rule).await?;
            // The reply is dropped unsent only where a handler ends before its time.
            answer.await.unwrap_or(Err(AskError::Crashed))
        };
        timeout_at(deadline, exchange).await.unwrap_or(Err(AskError::Timeout))
    }

    /// Sends `message`; waits for room where that is its overflow rule. Dropping the future while it waits sends nothing.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn tell<M: Message>(&self, message: M) -> Result<(), SendError>
    where
        A: Handler<M>,
    {
        let rule = message.overflow();
        self.shared.push(self.letter(message), rule).await
    }

    /// Sends `message` without ever waiting: for loops that must not depend on the receiver.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn try_tell<M: Message>(&self, message: M) -> Result<(), SendError>
    where
        A: Handler<M>,
    {
        let rule = message.overflow();
        self.shared.try_push(self.letter(message), rule)
    }

    fn letter<M: Message>(&self, message: M) -> BoxLetter<A>
    where
        A: Handler<M>,
    {
        Box::new(Envelope { head: self.head(&message), message, reply: None })
    }

    fn head<M: Message>(&self, message: &M) -> Head {
        Head::of(message, self.correlation.unwrap_or_else(|| self.shared.next_correlation()))
    }
}

impl<A: Actor> Clone for Addr<A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), correlation: self.correlation }
    }
}

impl<A: Actor> fmt::Debug for Addr<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Addr({})", self.name())
    }
}
