//! The life of one incarnation: start, messages one by one, stop.

use std::time::Duration;

use tokio::task::coop::consume_budget;
use tokio::time::timeout;

use crate::actor::Actor;
use crate::context::Context;
use crate::exit::ExitReason;
use crate::lanes::Headed;
use crate::letter::BoxLetter;
use crate::mailbox::Next;

/// Runs an incarnation to its end. A panic in it ends the task that runs this; the supervisor sees that.
pub(crate) async fn run<A: Actor>(
    build: impl FnOnce() -> A,
    mut ctx: Context<A>,
    ready: impl FnOnce(),
    stop_limit: Duration,
) -> ExitReason {
    let mut actor = build();
    if let Some(reason) = start(&mut actor, &mut ctx).await {
        return reason;
    }
    ready();
    let reason = serve(&mut actor, &mut ctx).await;
    ctx.rest();
    // A panicked task may have left the state half-way, and a fenced incarnation no longer owns it.
    let orderly = !matches!(reason, ExitReason::Panicked(_) | ExitReason::Killed);
    if orderly && timeout(stop_limit, actor.stopping(&mut ctx)).await.is_err() {
        tracing::warn!(actor = ctx.shared().name(), "stopping took too long and was cut short");
    }
    reason
}

async fn start<A: Actor>(actor: &mut A, ctx: &mut Context<A>) -> Option<ExitReason> {
    let token = ctx.stop_token().clone();
    tokio::select! {
        biased;
        started = actor.started(ctx) => started.err().map(|why| ExitReason::StartFailed(why.to_string())),
        () = token.cancelled() => Some(ExitReason::Shutdown),
    }
}

async fn serve<A: Actor>(actor: &mut A, ctx: &mut Context<A>) -> ExitReason {
    loop {
        if let Some(reason) = ctx.ending() {
            return reason;
        }
        match ctx.shared().next(ctx.incarnation()) {
            Next::Message(letter) => handle(actor, ctx, letter).await,
            Next::Empty => {
                if let Some(reason) = ctx.idle().await {
                    return reason;
                }
            }
            Next::Fenced => return ExitReason::Killed,
        }
        // A handler that never waits would otherwise keep its thread for ever.
        consume_budget().await;
    }
}

async fn handle<A: Actor>(actor: &mut A, ctx: &mut Context<A>, letter: BoxLetter<A>) {
    ctx.begin(letter.head().correlation);
    letter.deliver(actor, ctx).await;
}
