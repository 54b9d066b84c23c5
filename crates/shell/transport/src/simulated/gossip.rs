//! Gossip by flooding: to every known peer, once it is accepted.

use core::time::Duration;
use std::collections::BTreeSet;

use alys_wire::{PeerId, Topic};
use bytes::Bytes;
use rand_core::Rng;
use tokio::time::Instant;

use super::hub::{Action, Hub, Node};
use crate::api::{Event, MessageId, Verdict};

/// For how long a message is recognised as seen, as over sockets.
const SEEN: Duration = Duration::from_secs(60);

/// What a node knows of a message.
#[derive(Debug)]
pub(super) enum Seen {
    /// Waits for its verdict; who has sent it needs no copy.
    Waiting { topic: Topic, data: Bytes, from: BTreeSet<PeerId> },
    /// Forwarded or dropped.
    Settled,
}

impl Hub {
    pub fn publish(&mut self, me: PeerId, topic: Topic, data: Bytes) {
        let id = MessageId(alys_wire::message_id(&data));
        let Some(node) = self.nodes.get_mut(&me) else { return };
        // Seen before, or nobody there to send it to (then it may be sent again later), or too large.
        if data.len() > topic.max_bytes()
            || node.seen.contains_key(&id)
            || !node.peers.values().any(|end| end.known)
        {
            return;
        }
        node.seen.insert(id, Seen::Settled);
        self.later(Instant::now() + SEEN, Action::Forget { at: me, id });
        self.spread(me, topic, &data, &BTreeSet::new());
    }

    fn spread(&mut self, me: PeerId, topic: Topic, data: &Bytes, but: &BTreeSet<PeerId>) {
        let to: Vec<_> = self.nodes.get(&me).map(|node| listeners(node, but)).unwrap_or_default();
        for to in to {
            let arrives = self.arrival(me, to, data.len());
            let lost = self.rng.next_u64() % 1000 < self.links.of(me, to).gossip_loss.into();
            if !lost && !self.links.is_down(me, to) {
                self.later(arrives, Action::Gossip { to, from: me, topic, data: data.clone() });
            }
        }
    }

    pub fn hear(&mut self, me: PeerId, from: PeerId, topic: Topic, data: Bytes) {
        if self.links.is_down(me, from) {
            return;
        }
        let Some(node) = self.nodes.get_mut(&me).filter(|node| node.peers.contains_key(&from)) else {
            return;
        };
        let id = MessageId(alys_wire::message_id(&data));
        match node.seen.get_mut(&id) {
            Some(Seen::Settled) => {}
            Some(Seen::Waiting { from: senders, .. }) => drop(senders.insert(from)),
            None => {
                let senders = BTreeSet::from([from]);
                node.seen.insert(id, Seen::Waiting { topic, data: data.clone(), from: senders });
                self.later(Instant::now() + SEEN, Action::Forget { at: me, id });
                self.tell(me, Event::Gossip { id, source: from, topic, data });
            }
        }
    }

    pub fn verdict(&mut self, me: PeerId, id: MessageId, verdict: Verdict) {
        let Some(seen) = self.nodes.get_mut(&me).and_then(|node| node.seen.get_mut(&id)) else { return };
        if let Seen::Waiting { topic, data, from } = core::mem::replace(seen, Seen::Settled)
            && verdict == Verdict::Accept
        {
            self.spread(me, topic, &data, &from);
        }
    }
}

fn listeners(node: &Node, but: &BTreeSet<PeerId>) -> Vec<PeerId> {
    let known = node.peers.iter().filter(|(peer, end)| end.known && !but.contains(peer));
    known.map(|(&peer, _)| peer).collect()
}
