//! What the PeerActor counts.

use alys_peers::Totals;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The counters of the PeerActor. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct PeerMetrics {
    /// Peers in the book.
    pub known: Gauge,
    /// Connected peers that called us.
    pub inbound: Gauge,
    /// Connected peers that we called.
    pub outbound: Gauge,
    /// Peers that are being dialled.
    pub dialing: Gauge,
    /// Peers that are banned.
    pub banned: Gauge,
    /// One while most peers fail at once, and we suspect ourselves.
    pub suspects_ourselves: Gauge,
    /// Offences that were reported.
    pub offences: Counter,
    /// Dials that were begun.
    pub dials: Counter,
    /// Bans that were imposed.
    pub bans: Counter,
    /// Saves of the book that failed.
    pub failed_saves: Counter,
    /// Wishes that the network had no room for.
    pub unheard: Counter,
}

impl PeerMetrics {
    /// Shows them in a registry.
    pub fn register(&self, registry: &mut Registry) {
        let to = registry.sub_registry_with_prefix("peers");
        to.register("known", "Peers in the book", self.known.clone());
        to.register("connected_inbound", "Connected peers that called us", self.inbound.clone());
        to.register("connected_outbound", "Connected peers that we called", self.outbound.clone());
        to.register("dialing", "Peers that are being dialled", self.dialing.clone());
        to.register("banned", "Peers that are banned", self.banned.clone());
        to.register(
            "suspects_ourselves",
            "1 while most peers fail at once, and nobody is blamed",
            self.suspects_ourselves.clone(),
        );
        to.register("offences", "Provable offences that were reported", self.offences.clone());
        to.register("dials", "Dials that were begun", self.dials.clone());
        to.register("bans", "Bans that were imposed", self.bans.clone());
        to.register("failed_saves", "Saves of the book that failed", self.failed_saves.clone());
        to.register("unheard", "Wishes that the network had no room for", self.unheard.clone());
    }

    pub(super) fn show(&self, totals: &Totals, suspects_ourselves: bool) {
        let set = |gauge: &Gauge, count: usize| gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        set(&self.known, totals.known);
        set(&self.inbound, totals.inbound);
        set(&self.outbound, totals.outbound);
        set(&self.dialing, totals.dialing);
        set(&self.banned, totals.banned);
        set(&self.suspects_ourselves, usize::from(suspects_ourselves));
    }
}
