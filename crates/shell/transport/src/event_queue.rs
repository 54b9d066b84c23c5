//! The way out of a transport: a queue that is bounded, and says what it drops.
//!
//! The rule, from the first to go to the last:
//! 1. **Transactions** have a lane of their own. When it is full the oldest goes; they are read when nothing else waits.
//! 2. **Hints** (round trips, discovered peers) are dropped while more than [`HINT_EVENTS`] events wait.
//! 3. **Other gossip** is dropped, the newest first, while more than [`GOSSIP_BYTES`] of it wait.
//! 4. **Connection events** are never dropped. While more than [`PRESSURE_EVENTS`] events wait the transport stops reading from the network
//!    ([`Outlet::relieved`]), so that their number is bounded too.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use alys_wire::{PeerId, Topic};
use tokio::sync::Notify;

use crate::api::{Event, MessageId};

/// The transactions that wait, in bytes: some 30 of the greatest, or 20,000 ordinary ones, which is what two blocks hold.
pub const TRANSACTION_BYTES: usize = 4 << 20;
/// The other gossip that waits, in bytes: sixteen of the greatest blocks. More would be older than its slot when it is read.
pub const GOSSIP_BYTES: usize = 32 << 20;
/// Above this many waiting events nobody needs another hint.
pub const HINT_EVENTS: usize = 1024;
/// Above this many waiting events the transport stops reading from the network. Twice the connections that a node may have, so that all of
/// them may come and go at once.
pub const PRESSURE_EVENTS: usize = 4096;
/// What an event costs beyond its message, in bytes, so that many tiny messages are bounded as well.
const OVERHEAD: usize = 200;

#[derive(Debug, Default)]
struct Lanes {
    main: VecDeque<Event>,
    gossip_bytes: usize,
    transactions: VecDeque<Event>,
    transaction_bytes: usize,
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    lanes: Mutex<Lanes>,
    /// Something to read.
    ready: Notify,
    /// Room again.
    relieved: Notify,
}

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut Lanes) -> T) -> T {
        // The lanes are consistent after every statement, so a panic elsewhere leaves nothing half done.
        act(&mut self.lanes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A new queue: the end of a transport (or of a test that plays one) and the reader's.
pub fn event_queue() -> (Outlet, Events) {
    let shared = Arc::new(Shared::default());
    (Outlet { shared: shared.clone() }, Events { shared })
}

/// A message that was dropped unread. A verdict is owed for it: ignore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its name in the verdict.
    pub id: MessageId,
    /// The peer that it came from.
    pub source: PeerId,
}

/// The transport's end.
#[derive(Debug)]
pub struct Outlet {
    shared: Arc<Shared>,
}

impl Outlet {
    /// Puts the event into its lane, and returns the messages that had to go for it (or itself).
    pub fn push(&self, event: Event) -> Vec<Dropped> {
        let dropped = self.shared.with(|lanes| lanes.push(event));
        self.shared.ready.notify_one();
        dropped
    }

    /// Whether the transport must stop reading from the network.
    pub fn pressed(&self) -> bool {
        self.shared.with(|lanes| lanes.main.len() >= PRESSURE_EVENTS)
    }

    /// Waits until the reader has taken enough.
    pub async fn relieved(&self) {
        while self.pressed() {
            self.shared.relieved.notified().await;
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.shared.with(|lanes| lanes.closed = true);
        self.shared.ready.notify_one();
    }
}

/// The reader's end: the events of a transport, in order. One reader.
#[derive(Debug)]
pub struct Events {
    shared: Arc<Shared>,
}

impl Events {
    /// The next event; `None` when the transport has stopped and everything is read.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            let (event, closed) = self.shared.with(|lanes| (lanes.pop(), lanes.closed));
            if event.is_some() {
                self.shared.relieved.notify_one();
            }
            if event.is_some() || closed {
                return event;
            }
            self.shared.ready.notified().await;
        }
    }

    /// The next event if it is there.
    pub fn try_recv(&mut self) -> Option<Event> {
        let event = self.shared.with(Lanes::pop);
        self.shared.relieved.notify_one();
        event
    }
}

impl Lanes {
    fn push(&mut self, event: Event) -> Vec<Dropped> {
        match &event {
            Event::Gossip { topic: Topic::Transactions, data, .. } => {
                self.transaction_bytes += data.len() + OVERHEAD;
                self.transactions.push_back(event);
                self.shed_transactions()
            }
            Event::Gossip { id, source, data, .. } => {
                let weight = data.len() + OVERHEAD;
                if self.gossip_bytes + weight > GOSSIP_BYTES {
                    return vec![Dropped { id: *id, source: *source }];
                }
                self.gossip_bytes += weight;
                self.main.push_back(event);
                Vec::new()
            }
            Event::Rtt { .. } | Event::Discovered { .. } if self.main.len() >= HINT_EVENTS => Vec::new(),
            _ => {
                self.main.push_back(event);
                Vec::new()
            }
        }
    }

    fn shed_transactions(&mut self) -> Vec<Dropped> {
        let mut dropped = Vec::new();
        while self.transaction_bytes > TRANSACTION_BYTES {
            let Some(Event::Gossip { id, source, data, .. }) = self.transactions.pop_front() else { break };
            self.transaction_bytes -= data.len() + OVERHEAD;
            dropped.push(Dropped { id, source });
        }
        dropped
    }

    fn pop(&mut self) -> Option<Event> {
        if let Some(event) = self.main.pop_front() {
            if let Event::Gossip { data, .. } = &event {
                self.gossip_bytes -= data.len() + OVERHEAD;
            }
            return Some(event);
        }
        let event = self.transactions.pop_front()?;
        if let Event::Gossip { data, .. } = &event {
            self.transaction_bytes -= data.len() + OVERHEAD;
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::api::DisconnectReason;

    fn peer() -> PeerId {
        PeerId::from_bytes(&[7; 38]).unwrap()
    }

    fn gossip(n: u8, topic: Topic, size: usize) -> Event {
        Event::Gossip { id: MessageId([n; 32]), source: peer(), topic, data: Bytes::from(vec![n; size]) }
    }

    fn gone() -> Event {
        Event::Disconnected { peer: peer(), reason: DisconnectReason::Closed }
    }

    #[tokio::test]
    async fn consensus_overtakes_transactions_and_order_is_kept_otherwise() {
        let (outlet, mut events) = event_queue();
        let all = [gossip(1, Topic::Transactions, 5), gossip(2, Topic::Blocks, 5), gone()];
        for event in &all {
            assert!(outlet.push(event.clone()).is_empty());
        }
        assert_eq!(events.recv().await.as_ref(), Some(&all[1]));
        assert_eq!(events.recv().await.as_ref(), Some(&all[2]));
        assert_eq!(events.recv().await.as_ref(), Some(&all[0]));
        drop(outlet);
        assert_eq!(events.recv().await, None);
    }

    #[test]
    fn the_oldest_transaction_goes_first_and_a_verdict_is_owed() {
        let (outlet, mut events) = event_queue();
        let size = TRANSACTION_BYTES / 2 - OVERHEAD;
        assert!(outlet.push(gossip(1, Topic::Transactions, size)).is_empty());
        assert!(outlet.push(gossip(2, Topic::Transactions, size)).is_empty());
        let dropped = outlet.push(gossip(3, Topic::Transactions, size));
        assert_eq!(dropped, [Dropped { id: MessageId([1; 32]), source: peer() }]);
        assert_eq!(events.try_recv(), Some(gossip(2, Topic::Transactions, size)));
        assert!(outlet.push(gossip(4, Topic::Transactions, size)).is_empty());
    }

    #[test]
    fn other_gossip_is_refused_above_its_bytes_and_taken_again_when_read() {
        let (outlet, mut events) = event_queue();
        let size = GOSSIP_BYTES / 2 - OVERHEAD;
        assert!(outlet.push(gossip(1, Topic::Blocks, size)).is_empty());
        assert!(outlet.push(gossip(2, Topic::Blocks, size)).is_empty());
        assert_eq!(outlet.push(gossip(3, Topic::Approvals, 1)).len(), 1);
        assert!(outlet.push(gone()).is_empty());
        assert_eq!(events.try_recv(), Some(gossip(1, Topic::Blocks, size)));
        assert!(outlet.push(gossip(3, Topic::Approvals, 1)).is_empty());
    }

    #[tokio::test]
    async fn connection_events_are_never_dropped_but_press() {
        let (outlet, mut events) = event_queue();
        for _ in 0..PRESSURE_EVENTS {
            assert!(!outlet.pressed());
            outlet.push(gone());
        }
        outlet.push(Event::Rtt { peer: peer(), rtt: Duration::ZERO });
        assert!(outlet.pressed());
        let mut relieved = Box::pin(outlet.relieved());
        assert!(futures::poll!(relieved.as_mut()).is_pending());
        assert_eq!(events.recv().await, Some(gone()));
        relieved.await;
        let mut rest = 0;
        while let Some(event) = events.try_recv() {
            assert_eq!(event, gone(), "the hint was dropped");
            rest += 1;
        }
        assert_eq!(rest, PRESSURE_EVENTS - 1);
    }
}
