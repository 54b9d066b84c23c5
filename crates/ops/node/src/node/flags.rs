//! The flags of `alys node`, and the settings that they lead to.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::cli::At;
use crate::exit::{Exit, Failure};
use crate::settings::{Layers, Settings, SyncMode};

/// The arguments of `alys node`.
#[derive(Clone, Debug, Args)]
pub struct Node {
    #[command(flatten)]
    pub(crate) at: At,
    /// The genesis file, for a data directory that has none yet.
    #[arg(long, value_name = "FILE")]
    pub(crate) genesis: Option<PathBuf>,
    /// Where to listen, such as /ip4/0.0.0.0/tcp/30300; once for each address.
    #[arg(long, value_name = "MULTIADDR")]
    listen: Vec<String>,
    /// Whom to dial first: a multiaddr that ends in `/p2p/ID`; once for each.
    #[arg(long, value_name = "MULTIADDR")]
    bootnode: Vec<String>,
    /// Where the RPC server listens.
    #[arg(long, value_name = "ADDRESS")]
    rpc: Option<SocketAddr>,
    /// How a fresh node begins, and what it keeps: everything since genesis, the state of a recent block first, or headers only.
    #[arg(long, value_name = "MODE", value_enum)]
    sync: Option<SyncMode>,
    /// The authority's key file. Without it: the one that is bound, or keys/authority.key in the data directory.
    #[arg(long, value_name = "FILE")]
    authority_key: Option<PathBuf>,
    /// Any setting, such as network.outbound=8; once for each. All of them are explained in alys.toml in the data directory.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Node {
    /// The settings: these flags over the environment over the layers below.
    ///
    /// # Errors
    /// [`Exit::Settings`].
    pub fn settings(
        &self,
        mut layers: Layers,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Settings, Failure> {
        layers.environment(environment)?;
        for pair in &self.set {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                let message = format!("`--set {pair}` makes no sense: write it as --set key=value");
                Failure::new(Exit::Settings, message)
            })?;
            layers.flag("--set", key.trim(), value.trim())?;
        }
        if !self.listen.is_empty() {
            layers.flag("--listen", "network.listen", &self.listen.join(","))?;
        }
        if !self.bootnode.is_empty() {
            layers.flag("--bootnode", "network.bootnodes", &self.bootnode.join(","))?;
        }
        if let Some(rpc) = self.rpc {
            layers.flag("--rpc", "rpc.listen", &rpc.to_string())?;
        }
        if let Some(mode) = self.sync {
            layers.flag("--sync", "sync.mode", mode.name())?;
        }
        if let Some(path) = &self.authority_key {
            let path = std::path::absolute(path).map_err(|error| {
                Failure::new(Exit::System, format!("cannot tell where {} is: {error}", path.display()))
            })?;
            layers.flag("--authority-key", "production.authority_key", &path.to_string_lossy())?;
        }
        Ok(layers.settings()?)
    }
}

/// The environment of this process, as far as it is text.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        node: Node,
    }

    fn settings(flags: &[&str], environment: &[(&str, &str)]) -> Result<Settings, Failure> {
        let line = Line::parse_from(std::iter::once("alys").chain(flags.iter().copied()));
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        line.node.settings(Layers::default(), environment)
    }

    #[test]
    fn flags_are_stronger_than_the_environment() {
        let flags = [
            "--listen",
            "/ip4/127.0.0.1/tcp/1",
            "--listen",
            "/ip4/127.0.0.1/tcp/2",
            "--rpc",
            "127.0.0.1:7",
            "--set",
            "network.outbound=3",
            "--authority-key",
            "/keys/a",
            "--bootnode",
            "/ip4/1.2.3.4/tcp/1/p2p/x",
            "--sync",
            "snapshot",
        ];
        let found =
            settings(&flags, &[("ALYS_NETWORK_OUTBOUND", "5"), ("ALYS_NETWORK_MDNS", "true")]).unwrap();
        assert_eq!(found.network.listen, ["/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2"]);
        assert_eq!((found.network.outbound, found.network.mdns), (3, true));
        assert_eq!(found.rpc.listen, "127.0.0.1:7");
        assert_eq!(found.sync.mode, SyncMode::Snapshot);
        assert_eq!(settings(&[], &[("ALYS_SYNC_MODE", "light")]).unwrap().sync.mode, SyncMode::Light);
        assert_eq!(found.production.authority_key, "/keys/a");
        assert_eq!(found.network.bootnodes, ["/ip4/1.2.3.4/tcp/1/p2p/x"]);
    }

    #[test]
    fn a_flag_that_is_no_setting_is_refused() {
        for flags in [["--set", "network.outbund=3"], ["--set", "network.outbound"], ["--listen", "here"]] {
            assert_eq!(settings(&flags, &[]).unwrap_err().exit, Exit::Settings, "{flags:?}");
        }
        assert_eq!(settings(&[], &[("ALYS_NETWERK", "1")]).unwrap_err().exit, Exit::Settings);
    }

    #[test]
    fn the_environment_of_this_process_can_be_read() {
        assert!(environment().any(|(name, _)| name == "PATH"));
    }
}
