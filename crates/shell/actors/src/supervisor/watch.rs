//! The fate of the actors, in the log.

use alys_actor::Event;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Writes down what happens to the actors, until they have stopped.
pub(super) async fn narrate(mut events: broadcast::Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(event) => note(&event),
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "events of actors were missed"),
            Err(RecvError::Closed) => return,
        }
    }
}

fn note(event: &Event) {
    match event {
        Event::Started { actor, incarnation } => tracing::info!(actor, incarnation, "started"),
        Event::Exited { actor, incarnation, reason, message } if reason.is_crash() => {
            tracing::error!(actor, incarnation, %reason, ?message, "crashed");
        }
        Event::Exited { actor, incarnation, reason, .. } => {
            tracing::info!(actor, incarnation, %reason, "ended");
        }
        Event::Restarting { actor, after } => tracing::info!(actor, ?after, "will be restarted"),
        Event::Stuck { actor, incarnation, message, since } => {
            tracing::error!(actor, incarnation, message, ?since, "is stuck, and is aborted");
        }
        Event::Backlog { actor, oldest, messages } => {
            tracing::warn!(actor, ?oldest, messages, "does not keep up");
        }
        Event::Abandoned { actor, incarnation } => {
            tracing::error!(actor, incarnation, "blocks its thread, and was given up");
        }
        Event::Escalated { actor, reason } => {
            tracing::error!(actor, %reason, "crashed too often, and is not restarted any more");
        }
        Event::Stopped => tracing::info!("all actors have stopped"),
    }
}
