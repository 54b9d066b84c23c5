//! The ranges of the settings, each with its reason.

use std::net::SocketAddr;

use alys_sync::gate::{THRESHOLD_E4, WHOLE_E4};

use super::{Network, Settings, Sync};

/// A value outside of its range.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutOfRange {
    pub key: &'static str,
    pub value: String,
    pub rule: &'static str,
}

/// All values that are out of range, so that one run shows every mistake.
pub(super) fn check(settings: &Settings) -> Vec<OutOfRange> {
    let Settings { network, sync, production, rpc, log } = settings;
    let mut broken = Vec::new();
    check_network(network, &mut broken);
    check_sync(sync, &mut broken);
    require(
        (THRESHOLD_E4..=WHOLE_E4).contains(&production.threshold_e4),
        ("production.threshold_e4", &production.threshold_e4),
        "9,950 to 10,000 ten-thousandths: with less of the chain a node would build on a head that the others have left behind",
        &mut broken,
    );
    require(
        rpc.listen.parse::<SocketAddr>().is_ok(),
        ("rpc.listen", &rpc.listen),
        "an address and a port such as 127.0.0.1:8645",
        &mut broken,
    );
    require(!log.filter.is_empty(), ("log.filter", &log.filter), "a filter such as `info`", &mut broken);
    broken
}

fn check_network(network: &Network, broken: &mut Vec<OutOfRange>) {
    let listen = network.listen.join(",");
    require(
        !network.listen.is_empty() && network.listen.iter().all(|address| address.starts_with('/')),
        ("network.listen", &listen),
        "at least one multiaddr such as /ip4/0.0.0.0/tcp/30300: a node that nobody can reach serves nobody",
        broken,
    );
    require(
        network.bootnodes.iter().all(|node| node.starts_with('/') && node.contains("/p2p/")),
        ("network.bootnodes", &network.bootnodes.join(",")),
        "multiaddrs that end in /p2p/<peer id>: without the id anyone could answer in its place",
        broken,
    );
    require(
        (4..=10_000).contains(&network.max_connections),
        ("network.max_connections", &network.max_connections),
        "4 to 10,000: fewer cannot hold a federation, more needs descriptors that systems do not give by default",
        broken,
    );
    require(
        (1..=network.max_connections).contains(&network.outbound),
        ("network.outbound", &network.outbound),
        "1 to network.max_connections: without peers of its own choice a node can be surrounded",
        broken,
    );
    require(
        (100..=120_000).contains(&network.connect_timeout_ms),
        ("network.connect_timeout_ms", &network.connect_timeout_ms),
        "100 to 120,000: below it far peers are never reached, above it dead ones hold a place for minutes",
        broken,
    );
}

fn check_sync(sync: &Sync, broken: &mut Vec<OutOfRange>) {
    require(
        sync.budget_bytes >= 16 * 1024 * 1024,
        ("sync.budget_bytes", &sync.budget_bytes),
        "16 MiB or more: a few blocks of the greatest size must fit at once",
        broken,
    );
    require(sync.workers <= 256, ("sync.workers", &sync.workers), "0 (one a core) to 256", broken);
    require(
        sync.checkpoint_interval > 0,
        ("sync.checkpoint_interval", &sync.checkpoint_interval),
        "1 or more blocks",
        broken,
    );
    require(
        sync.checkpoint_retention > 0,
        ("sync.checkpoint_retention", &sync.checkpoint_retention),
        "1 or more: without a checkpoint a damaged database is downloaded again from genesis",
        broken,
    );
}

fn require(
    holds: bool,
    (key, value): (&'static str, &dyn ToString),
    rule: &'static str,
    broken: &mut Vec<OutOfRange>,
) {
    if !holds {
        broken.push(OutOfRange { key, value: value.to_string(), rule });
    }
}
