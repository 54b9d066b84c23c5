//! The settings of a node.
//!
//! - **Owns**: every setting, its default and its range.
//! - **In**: four layers, the stronger first: flags, the environment (`ALYS_*`), the TOML file, the defaults.
//! - **Out**: [`Settings`], checked as a whole.
//! - **On failure**: an error that names the key, where its value came from, what is allowed and why. Nothing starts with settings that are half right.

mod check;
mod edit;
mod layers;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use edit::with_value;
pub use layers::{Error, Layers};

/// A settings file in which every setting stands with its explanation, commented out at its default.
pub const TEMPLATE: &str = include_str!("template.toml");

/// All settings. Durations are in milliseconds (`_ms`), sizes in bytes (`_bytes`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Connections, gossip, discovery.
    pub network: Network,
    /// Downloading and checking the chain.
    pub sync: Sync,
    /// Making blocks.
    pub production: Production,
    /// The RPC server.
    pub rpc: Rpc,
    /// The log.
    pub log: Log,
}

/// Connections, gossip, discovery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Where to listen, as multiaddrs.
    pub listen: Vec<String>,
    /// Whom to dial first, as multiaddrs that end in `/p2p/<peer id>`.
    pub bootnodes: Vec<String>,
    /// Open connections at most, both directions together.
    pub max_connections: u32,
    /// Connections that this node opens and keeps by itself.
    pub outbound: u32,
    /// How long a dial may take.
    pub connect_timeout_ms: u64,
    /// Find peers on the local network. For devnets only: it tells the whole network segment who this node is.
    pub mdns: bool,
    /// Listen and dial over QUIC as well. Not for federation members: after a restart gossip returns late over it.
    pub quic: bool,
}

/// Downloading and checking the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    /// How a fresh node begins, and what it keeps: `full`, `snapshot` or `light`.
    pub mode: SyncMode,
    /// Bytes of blocks that may be in flight, waiting for checks or for import, together.
    pub budget_bytes: u64,
    /// Threads that check approvals and recover senders; 0 means one a core.
    pub workers: u32,
    /// A checkpoint every so many blocks.
    pub checkpoint_interval: u64,
    /// How many checkpoints are kept.
    pub checkpoint_retention: u32,
}

/// How a node syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SyncMode {
    /// Execute every block since genesis.
    Full,
    /// Begin with the state of a recent final block, execute what follows, fetch the older blocks afterwards.
    Snapshot,
    /// Follow headers and certificates only: no state, no production.
    Light,
}

impl SyncMode {
    /// As it is written in settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Snapshot => "snapshot",
            Self::Light => "light",
        }
    }
}

/// Making blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Production {
    /// Whether an authority proposes and approves at all. Off: it only follows.
    pub enabled: bool,
    /// How much of the chain must be here before this node may produce, in ten-thousandths: 9,950 (99.5 %) or more.
    pub threshold_e4: u32,
    /// The authority's key file, relative to the data directory; empty: `keys/authority.key`, if it is there.
    pub authority_key: String,
}

/// The RPC server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rpc {
    /// Whether it runs.
    pub enabled: bool,
    /// Where it listens. Anything but loopback gives strangers a way in.
    pub listen: String,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// What is logged, such as `info` or `info,alys_sync=debug`.
    pub filter: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one object a line.
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            network: Network {
                listen: vec!["/ip4/0.0.0.0/tcp/30300".into()],
                bootnodes: vec![],
                max_connections: 1_000,
                outbound: u32::try_from(alys_peers::Settings::OUTBOUND).unwrap_or(u32::MAX),
                connect_timeout_ms: 30_000,
                mdns: false,
                quic: false,
            },
            sync: Sync {
                mode: SyncMode::Full,
                budget_bytes: alys_sync::Config::default().budget_bytes,
                workers: 0,
                checkpoint_interval: 100,
                checkpoint_retention: 10,
            },
            production: Production {
                enabled: true,
                threshold_e4: alys_sync::gate::THRESHOLD_E4,
                authority_key: String::new(),
            },
            rpc: Rpc { enabled: true, listen: "127.0.0.1:8645".into() },
            log: Log { filter: "info".into(), format: LogFormat::Text },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_names_every_setting_at_its_default() {
        let is_setting = |line: &&str| line.strip_prefix("# ").is_some_and(|rest| rest.contains(" = "));
        let uncommented: Vec<&str> =
            TEMPLATE.lines().map(|line| if is_setting(&line) { &line[2..] } else { line }).collect();
        let settings: Settings = toml::from_str(&uncommented.join("\n")).unwrap();
        assert_eq!(settings, Settings::default());
    }
}
