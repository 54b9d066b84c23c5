//! What the NetworkActor counts.

use alys_transport::Verdict;
use alys_wire::Topic;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Which topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfTopic {
    topic: &'static str,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Judged {
    verdict: &'static str,
}

/// The counters of the NetworkActor. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct NetworkMetrics {
    /// Gossip that came in.
    pub received: Family<OfTopic, Counter>,
    /// Gossip that was malformed.
    pub malformed: Family<OfTopic, Counter>,
    /// Gossip that its receiver had no room for.
    pub refused: Family<OfTopic, Counter>,
    /// Gossip of our own.
    pub published: Family<OfTopic, Counter>,
    /// Verdicts.
    pub verdicts: Family<Judged, Counter>,
    /// Peers that are connected.
    pub connected: Gauge,
    /// Connected peers that proved to act for an authority.
    pub authorities: Gauge,
    /// Dials that came to nothing.
    pub dial_failures: Counter,
    /// Peers of other networks.
    pub foreign: Counter,
    /// Claims that proved wrong.
    pub wrong_claims: Counter,
    /// Commands that the transport had no room for.
    pub overloaded: Counter,
    /// News that the peer book or sync had no room for.
    pub unheard: Counter,
}

impl NetworkMetrics {
    /// Shows them in a registry.
    pub fn register(&self, registry: &mut Registry) {
        let to = registry.sub_registry_with_prefix("network");
        to.register("gossip_received", "Gossip messages that came in", self.received.clone());
        to.register("gossip_malformed", "Gossip messages that were malformed", self.malformed.clone());
        to.register("gossip_refused", "Gossip messages dropped for want of room", self.refused.clone());
        to.register("gossip_published", "Gossip messages of our own", self.published.clone());
        to.register("gossip_verdicts", "Verdicts over gossip messages", self.verdicts.clone());
        to.register("connected_peers", "Peers that are connected", self.connected.clone());
        to.register(
            "connected_authorities",
            "Connected peers that act for an authority",
            self.authorities.clone(),
        );
        to.register("dial_failures", "Dials that came to nothing", self.dial_failures.clone());
        to.register("foreign_peers", "Peers of other networks that were turned away", self.foreign.clone());
        to.register("wrong_claims", "Claims to be an authority that proved wrong", self.wrong_claims.clone());
        to.register("overloaded", "Commands that the transport had no room for", self.overloaded.clone());
        to.register("unheard", "News that the peer book or sync had no room for", self.unheard.clone());
    }

    pub(super) fn judged(&self, verdict: Verdict) {
        let verdict = match verdict {
            Verdict::Accept => "accept",
            Verdict::Reject => "reject",
            Verdict::Ignore => "ignore",
        };
        self.verdicts.get_or_create(&Judged { verdict }).inc();
    }
}

/// Counts one of this topic.
pub(super) fn count(of: &Family<OfTopic, Counter>, topic: Topic) {
    of.get_or_create(&OfTopic { topic: topic.label() }).inc();
}
