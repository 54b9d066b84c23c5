//! `alys status` and `alys peers`: what a running node says of itself.
//!
//! - **In**: the RPC address of a node. **Out**: a table for people, or JSON for programs.
//! - **On failure**: [`Exit::Unreachable`] when no node answers there.

use std::net::SocketAddr;

use alys_rpc::status::{NodeStatus, PeerInfo, SyncInfo};
use alys_rpc::{Client, ClientError};
use clap::Args;
use serde::Serialize;

use crate::console::{duration, grouped, say, table};
use crate::exit::{Exit, Failure};

/// The arguments of `alys status` and `alys peers`.
#[derive(Debug, Args)]
pub struct Ask {
    /// The RPC address of the node.
    #[arg(long, default_value = "127.0.0.1:8645", value_name = "ADDRESS")]
    pub(crate) rpc: SocketAddr,
    /// JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs `alys status`.
///
/// # Errors
/// [`Exit::Unreachable`].
pub fn status(command: &Ask) -> Result<(), Failure> {
    let status = ask(command.rpc, async |client| client.status().await)?;
    print(command.json, &status, || status_table(&status));
    Ok(())
}

/// Runs `alys peers`.
///
/// # Errors
/// [`Exit::Unreachable`].
pub fn peers(command: &Ask) -> Result<(), Failure> {
    let peers = ask(command.rpc, async |client| client.peers().await)?;
    print(command.json, &peers, || peers_table(&peers));
    Ok(())
}

/// Asks the node at this address.
///
/// # Errors
/// [`Exit::Unreachable`], or [`Exit::Refused`] when it answers that it cannot, or will not.
pub(crate) fn ask<T>(
    address: SocketAddr,
    call: impl AsyncFnOnce(Client) -> Result<T, ClientError>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::System, format!("cannot start: {error}")))?;
    let answer = runtime.block_on(call(Client::new(address)));
    answer.map_err(|error| {
        let exit = match error {
            ClientError::Unreachable { .. } => Exit::Unreachable,
            ClientError::Refused(_) => Exit::Refused,
        };
        Failure::new(exit, error.to_string())
    })
}

/// Prints a result: JSON for programs, text for people.
pub(crate) fn print(json: bool, value: &impl Serialize, text: impl FnOnce() -> String) {
    if json {
        say(serde_json::to_string(value).expect("string keys and plain values"));
    } else {
        say(text());
    }
}

fn status_table(status: &NodeStatus) -> String {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let role = match (status.authority, status.may_produce) {
        (Some(seat), true) => format!("authority {seat}, may produce"),
        (Some(seat), false) => format!("authority {seat}, may not produce now"),
        (None, _) => "full node".to_owned(),
    };
    let mut rows = vec![
        row("version", status.version.clone()),
        row("network", status.genesis.clone()),
        row("peer id", status.peer.clone()),
        row("state", progress(&status.sync)),
        row(
            "head",
            format!("height {}, slot {}, {}", grouped(status.head.height), status.head.slot, status.head.id),
        ),
        row("final", format!("height {}", grouped(status.finalized.height))),
        row("slot", status.slot.to_string()),
        row("role", role),
        row("produced", format!("{} blocks since the start", grouped(status.produced))),
        row("peers", format!("{} ({} authorities)", status.peers, status.authorities)),
        row("waiting", format!("{} transactions", grouped(status.pool))),
    ];
    if status.memory_bytes > 0 {
        rows.push(row("memory", format!("{} MB", status.memory_bytes / 1_000_000)));
    }
    rows.extend(status.addresses.iter().map(|address| row("address", address.clone())));
    table(&rows)
}

/// What sync does, in one line: never without either a rate or a reason.
#[must_use]
pub fn progress(sync: &SyncInfo) -> String {
    let current = grouped(sync.current);
    let Some(target) = sync.target else {
        return format!("{}, height {current}, waiting for {}", sync.mode, sync.waiting_for);
    };
    if sync.current >= target {
        return format!("{}, height {current}", sync.mode);
    }
    let percent = sync.current.saturating_mul(100) / target;
    let rest = match sync.eta_seconds {
        Some(seconds) => format!("{:.0} blocks/s, done in {}", sync.blocks_per_second, duration(seconds)),
        None => format!("waiting for {}", sync.waiting_for),
    };
    format!("{}, height {current} of {} ({percent} %), {rest}", sync.mode, grouped(target))
}

fn peers_table(peers: &[PeerInfo]) -> String {
    if peers.is_empty() {
        return "no peers: `alys node --bootnode ADDRESS` names one to begin with".to_owned();
    }
    let head = ["peer", "class", "direction", "rtt", "rate", "height", "misbehaviour", "address"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let unknown = || "-".to_owned();
    rows.extend(peers.iter().map(|peer| {
        vec![
            peer.id.clone(),
            peer.authority.map_or_else(|| peer.class.clone(), |seat| format!("authority {seat}")),
            peer.direction.clone(),
            peer.rtt_ms.map_or_else(unknown, |rtt| format!("{rtt:.1} ms")),
            peer.bytes_per_second.map_or_else(unknown, rate),
            peer.proven_height.map_or_else(unknown, grouped),
            format!("{:.1}", peer.misbehaviour),
            peer.address.clone(),
        ]
    }));
    table(&rows)
}

fn rate(bytes_per_second: u64) -> String {
    format!("{}.{} MB/s", bytes_per_second / 1_000_000, bytes_per_second / 100_000 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sync(target: Option<u64>, eta_seconds: Option<u64>) -> SyncInfo {
        SyncInfo {
            mode: "bulk".into(),
            code: 3,
            current: 5_000,
            target,
            blocks_per_second: 2_500.0,
            eta_seconds,
            waiting_for: "peers".into(),
        }
    }

    #[test]
    fn progress_always_has_a_rate_or_a_reason() {
        assert_eq!(
            progress(&sync(Some(20_000), Some(6))),
            "bulk, height 5,000 of 20,000 (25 %), 2500 blocks/s, done in 6 s"
        );
        assert_eq!(
            progress(&sync(Some(20_000), None)),
            "bulk, height 5,000 of 20,000 (25 %), waiting for peers"
        );
        assert_eq!(progress(&sync(None, None)), "bulk, height 5,000, waiting for peers");
        assert_eq!(progress(&sync(Some(5_000), None)), "bulk, height 5,000");
    }

    #[test]
    fn the_status_says_who_what_and_whether_it_may_produce() {
        let mut status = NodeStatus { authority: Some(3), memory_bytes: 12_000_000, ..NodeStatus::default() };
        status.addresses.push("/ip4/127.0.0.1/tcp/1".into());
        let text = status_table(&status);
        for part in ["authority 3, may not produce now", "12 MB", "/ip4/127.0.0.1/tcp/1"] {
            assert!(text.contains(part), "{text}");
        }
        status.may_produce = true;
        assert!(status_table(&status).contains("authority 3, may produce"));
        status.authority = None;
        assert!(status_table(&status).contains("full node"));
    }

    #[test]
    fn peers_are_a_table_with_what_is_known_of_each() {
        let known = PeerInfo {
            id: "a".into(),
            class: "full".into(),
            rtt_ms: Some(1.25),
            bytes_per_second: Some(2_340_000),
            proven_height: Some(1_000),
            ..PeerInfo::default()
        };
        let authority = PeerInfo { id: "b".into(), authority: Some(1), ..PeerInfo::default() };
        let text = peers_table(&[known, authority]);
        assert_eq!(text.lines().count(), 3);
        assert!(
            text.contains("2.3 MB/s") && text.contains("authority 1") && text.contains("1,000"),
            "{text}"
        );
        assert!(peers_table(&[]).contains("--bootnode"));
    }

    #[test]
    fn nobody_at_the_address_is_unreachable() {
        // A port that was free a moment ago.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let rpc = listener.local_addr().unwrap();
        drop(listener);
        for command in [status, peers] {
            let failure = command(&Ask { rpc, json: false }).unwrap_err();
            assert_eq!(failure.exit, Exit::Unreachable);
            assert!(failure.message.contains(&rpc.to_string()), "{failure}");
        }
    }
}
