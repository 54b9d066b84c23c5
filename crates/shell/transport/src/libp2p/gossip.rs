//! Gossip: the settings of gossipsub, and the names of topics and messages.

use core::time::Duration;

use alys_chain::BlockId;
use alys_wire::Topic;
use alys_wire::limits::MAX_GOSSIP_BYTES;
use libp2p::gossipsub::{
    self, Behaviour, ConfigBuilder, IdentTopic, MessageAcceptance, MessageAuthenticity, PeerScoreParams,
    PeerScoreThresholds, TopicHash, TopicScoreParams, ValidationMode,
};

use crate::api::{MessageId, Verdict};

/// How often the mesh is mended and messages are offered to peers outside it. Below half a slot, so that one lost copy is replaced
/// within its slot; not lower, since each costs a message to every peer.
const HEARTBEAT: Duration = Duration::from_millis(700);
/// Peers in the mesh: the target, and the range in which it is left alone. Four peers, a network of five nodes, are enough for peace; above
/// twelve a message comes too often.
const MESH: Mesh = Mesh { low: 4, target: 8, high: 12, outbound: 2 };
/// For how many heartbeats a message may wait for its verdict: 7 s, longer than the slot in which it counts.
const HISTORY: usize = 10;
/// For how long a message is recognised as seen: 30 slots.
const SEEN: Duration = Duration::from_secs(60);
/// What the envelope adds to a message in bytes: topic name, field tags, lengths. The limits count it, so the limits of the messages are
/// raised by it; otherwise a message of exactly the greatest size is sent, and never received.
const ENVELOPE: usize = 512;
/// Further bytes of a packet beside one message: control messages, which gossipsub itself limits to 16 KiB each.
const CONTROL: usize = 64 << 10;
/// How many messages wait for a slow peer. With the greatest transactions 32 MiB a peer; older ones would be too late anyway.
const QUEUE: usize = 256;
/// For how long our own message waits for a slow peer, and for how long one of others: half and all of a slot.
const PUBLISH_WAIT: Duration = Duration::from_secs(2);
const FORWARD_WAIT: Duration = Duration::from_secs(1);
/// What a rejected message costs: the square of their number is multiplied by this. The fourth brings a peer below [`GRAYLIST`].
const INVALID_WEIGHT: f64 = -10.0;
/// After ten minutes a tenth of the blame is left, one step a second.
const INVALID_DECAY: f64 = 0.996;
/// Below these scores a peer gets no gossip, none of our own messages, and is not heard at all.
const NO_GOSSIP: f64 = -10.0;
const NO_PUBLISH: f64 = -50.0;
const GRAYLIST: f64 = -100.0;

struct Mesh {
    low: usize,
    target: usize,
    high: usize,
    outbound: usize,
}

/// The topics of one network.
#[derive(Debug)]
pub(super) struct Topics {
    genesis: BlockId,
    known: Vec<(Topic, TopicHash)>,
}

impl Topics {
    pub fn new(genesis: BlockId) -> Self {
        let hash = |topic: Topic| IdentTopic::new(topic.name(genesis)).hash();
        Self { genesis, known: Topic::ALL.into_iter().map(|topic| (topic, hash(topic))).collect() }
    }

    pub fn hash(&self, topic: Topic) -> TopicHash {
        IdentTopic::new(topic.name(self.genesis)).hash()
    }

    pub fn topic(&self, hash: &TopicHash) -> Option<Topic> {
        self.known.iter().find(|(_, known)| known == hash).map(|(topic, _)| *topic)
    }
}

/// A gossipsub that takes part in all topics of the network. Messages carry neither author nor sequence number: what they say is signed in
/// itself, and who said it first need not be known.
pub(super) fn behaviour(topics: &Topics) -> Result<Behaviour, String> {
    let config = config(topics)?;
    let mut behaviour = Behaviour::new(MessageAuthenticity::Anonymous, config).map_err(str::to_owned)?;
    behaviour.with_peer_score(score(topics), thresholds())?;
    for topic in Topic::ALL {
        behaviour
            .subscribe(&IdentTopic::new(topic.name(topics.genesis)))
            .map_err(|error| error.to_string())?;
    }
    Ok(behaviour)
}

fn config(topics: &Topics) -> Result<gossipsub::Config, String> {
    let mut builder = ConfigBuilder::default();
    builder
        .validate_messages()
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(|message| alys_wire::gossip::message_id(&message.data).to_vec().into())
        .heartbeat_interval(HEARTBEAT)
        .heartbeat_initial_delay(HEARTBEAT)
        .mesh_n_low(MESH.low)
        .mesh_n(MESH.target)
        .mesh_n_high(MESH.high)
        .mesh_outbound_min(MESH.outbound)
        .history_length(HISTORY)
        .duplicate_cache_time(SEEN)
        .flood_publish(true)
        .max_transmit_size(MAX_GOSSIP_BYTES + ENVELOPE + CONTROL)
        .connection_handler_queue_len(QUEUE)
        .publish_queue_duration(PUBLISH_WAIT)
        .forward_queue_duration(FORWARD_WAIT)
        // Explicit peers are dialled by us, not by gossipsub.
        .check_explicit_peers_ticks(u64::MAX);
    for (topic, hash) in &topics.known {
        builder.max_transmit_size_for_topic(topic.max_bytes() + ENVELOPE, hash.clone());
    }
    builder.build().map_err(|error| error.to_string())
}

/// Only rejected messages count. Delivery rates are judged nowhere (a small network has quiet hours), and addresses by the peer book.
fn score(topics: &Topics) -> PeerScoreParams {
    let topic = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: INVALID_WEIGHT,
        invalid_message_deliveries_decay: INVALID_DECAY,
        ..TopicScoreParams::default()
    };
    PeerScoreParams {
        topics: topics.known.iter().map(|(_, hash)| (hash.clone(), topic.clone())).collect(),
        ip_colocation_factor_weight: 0.0,
        ..PeerScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: NO_GOSSIP,
        publish_threshold: NO_PUBLISH,
        graylist_threshold: GRAYLIST,
        ..PeerScoreThresholds::default()
    }
}

/// Our name for a message; `None` for one that is no SHA-256, which this behaviour never makes.
pub(super) fn message_id(of: &gossipsub::MessageId) -> Option<MessageId> {
    of.0.as_slice().try_into().ok().map(MessageId)
}

pub(super) fn acceptance(of: Verdict) -> MessageAcceptance {
    match of {
        Verdict::Accept => MessageAcceptance::Accept,
        Verdict::Reject => MessageAcceptance::Reject,
        Verdict::Ignore => MessageAcceptance::Ignore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_message_of_every_topic_fits_into_a_packet() {
        let topics = Topics::new(BlockId([3; 32]));
        let config = config(&topics).unwrap();
        for topic in Topic::ALL {
            let of_topic = config.max_transmit_size_for_topic(&topics.hash(topic));
            assert!(topic.max_bytes() < of_topic && of_topic < config.max_transmit_size(), "{topic:?}");
        }
    }

    #[test]
    fn topics_of_another_network_are_unknown() {
        let ours = Topics::new(BlockId([3; 32]));
        let theirs = Topics::new(BlockId([4; 32]));
        assert_eq!(ours.topic(&ours.hash(Topic::Approvals)), Some(Topic::Approvals));
        assert_eq!(ours.topic(&theirs.hash(Topic::Approvals)), None);
    }

    #[test]
    fn the_settings_are_accepted() {
        behaviour(&Topics::new(BlockId([3; 32]))).unwrap();
    }
}
