//! What is spread, and what is not.

use alys_transport::{Command, Event, MessageId, Verdict};
use alys_wire::{PeerId, Topic};
use bytes::Bytes;

use crate::world::{Node, World};

struct Heard {
    id: MessageId,
    source: PeerId,
    topic: Topic,
    data: Bytes,
}

async fn hear(node: &mut Node) -> Heard {
    node.until("gossip", |event| match event {
        Event::Gossip { id, source, topic, data } => Some(Heard { id, source, topic, data }),
        _ => None,
    })
    .await
}

/// Hears until this message comes; what comes before it is returned.
async fn hear_until(node: &mut Node, wanted: &[u8]) -> Vec<Bytes> {
    let mut before = Vec::new();
    loop {
        let heard = hear(node).await;
        node.tell(Command::Validated { id: heard.id, source: heard.source, verdict: Verdict::Ignore });
        if heard.data == wanted {
            return before;
        }
        before.push(heard.data);
    }
}

fn publish(node: &Node, topic: Topic, data: &[u8]) {
    node.tell(Command::Publish { topic, data: Bytes::copy_from_slice(data) });
}

/// Three nodes in a row that have heard each other: from here on messages pass.
async fn row(world: &mut World) -> [Node; 3] {
    let (mut left, mut middle, mut right) = (world.node().await, world.node().await, world.node().await);
    left.meet(&mut middle).await;
    middle.meet(&mut right).await;
    reach(&left, &mut middle, b"to the middle").await;
    reach(&middle, &mut right, b"to the right").await;
    [left, middle, right]
}

/// Publishes until the other hears it: subscriptions travel after the connection. Each attempt differs, since a message is spread once.
async fn reach(from: &Node, to: &mut Node, greeting: &[u8]) {
    for attempt in 0u32.. {
        publish(from, Topic::Certificates, &[greeting, &attempt.to_le_bytes()].concat());
        let heard = tokio::time::timeout(core::time::Duration::from_millis(200), hear(to)).await;
        if let Ok(heard) = heard {
            to.tell(Command::Validated { id: heard.id, source: heard.source, verdict: Verdict::Ignore });
            return;
        }
        assert!(attempt < 300, "never heard");
    }
}

pub async fn an_accepted_message_travels_on(mut world: World) {
    let [left, mut middle, mut right] = row(&mut world).await;
    publish(&left, Topic::Blocks, b"a block");
    let heard = loop {
        let heard = hear(&mut middle).await;
        if heard.topic == Topic::Blocks {
            break heard;
        }
    };
    assert_eq!((heard.source, &heard.data[..]), (left.peer, &b"a block"[..]));
    assert_eq!(heard.id.0, alys_wire::message_id(b"a block"));
    middle.tell(Command::Validated { id: heard.id, source: heard.source, verdict: Verdict::Accept });
    let further = loop {
        let heard = hear(&mut right).await;
        if heard.topic == Topic::Blocks {
            break heard;
        }
    };
    assert_eq!(
        (further.source, &further.data[..]),
        (middle.peer, &b"a block"[..]),
        "it comes from who forwarded it"
    );
}

pub async fn rejected_and_ignored_messages_go_no_further(mut world: World) {
    let [left, mut middle, mut right] = row(&mut world).await;
    for (message, verdict) in
        [(&b"bad"[..], Verdict::Reject), (b"stale", Verdict::Ignore), (b"good", Verdict::Accept)]
    {
        publish(&left, Topic::Approvals, message);
        let heard = loop {
            let heard = hear(&mut middle).await;
            if heard.topic == Topic::Approvals {
                break heard;
            }
        };
        assert_eq!(heard.data, message);
        middle.tell(Command::Validated { id: heard.id, source: heard.source, verdict });
    }
    let before = hear_until(&mut right, b"good").await;
    assert!(before.iter().all(|data| data != &b"bad"[..] && data != &b"stale"[..]), "{before:?}");
}

pub async fn the_greatest_message_arrives_and_a_greater_one_does_not(mut world: World) {
    let [left, mut middle, _right] = row(&mut world).await;
    for topic in [Topic::Approvals, Topic::Transactions, Topic::Blocks] {
        let greatest = vec![topic.max_bytes().to_le_bytes()[0]; topic.max_bytes()];
        publish(&left, topic, &vec![1; topic.max_bytes() + 1]);
        publish(&left, topic, &greatest);
        let before = hear_until(&mut middle, &greatest).await;
        assert!(before.iter().all(|data| data.len() <= topic.max_bytes()), "{topic:?}");
    }
}
