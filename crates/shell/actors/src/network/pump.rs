//! The way of the transport's events into the NetworkActor's mailbox.
//!
//! It is no task of the actor, whose tasks end with their incarnation and take along what they have read: a connection event must not be lost.
//! So it runs beside the actor, and while that is being restarted the events wait, first in the mailbox, then in the transport's own queue, which
//! knows what to drop.

use std::sync::Arc;
use std::time::Duration;

use alys_transport::Events;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::ingress::NetworkMailbox;
use super::messages::Happened;

/// How many events wait in the mailbox. More would wait in an order that the transport's queue could still improve; one would cost a task switch
/// an event.
pub(super) const WINDOW: usize = 32;

/// The mailbox is shut while the actor is given up after too many crashes. An operator may bring it back; until then this is how often we knock.
const SHUT_DOOR_PAUSE: Duration = Duration::from_secs(1);

/// Feeds the events to the actor until the transport ends.
pub async fn pump(mut events: Events, network: NetworkMailbox) {
    let window = Arc::new(Semaphore::new(WINDOW));
    // The place comes first: until there is one, the event is better kept where its lane is.
    while let Ok(place) = Arc::clone(&window).acquire_owned().await {
        let Some(event) = events.recv().await else { return };
        let happened = Happened { event, _place: Arc::new(place) };
        while network.happened(happened.clone()).await.is_err() {
            sleep(SHUT_DOOR_PAUSE).await;
        }
    }
}
